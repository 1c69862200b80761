//! The ledger's past as a market sees it: who came when by which way, at which prices, and where our money lay. Channels with one
//! peer are one, because they have one price. Draws nothing.

use std::collections::HashMap;

use crate::domain::forward::Tries;
use crate::domain::{ForwardStatus, Holding, PeerId, Scid, Time};
use crate::flow::traffic::{HOURS_OF_WEEK, traffic_index};
use crate::ledger::{History, PastForward, PastPrice};
use crate::sim::network::LARGEST;
use crate::sim::tape::{DAY_MS, ELSEWHERE};

/// What a channel keeps in reserve: a hundredth.
const RESERVE: i64 = 100;
/// Where a balance cannot have lasted, money must have come by another way: a tenth of the capacity, or what was missing.
const REFILL: i64 = 10;
/// Who comes in where it was nearly always full is not multiplied without end.
const LEAST_OPEN: f64 = 0.1;
/// Between two notes of the balances, less than this part of the capacity is what was in flight.
const IN_FLIGHT: i64 = 50;

#[derive(Clone, Debug)]
pub struct Record {
    pub start: Time,
    /// Whole days.
    pub days: u32,
    pub places: Vec<Place>,
    /// By hour of the week.
    pub traffic: Vec<f64>,
    /// By hour since the start: share of all payers whose way in to us was open. Of the others we never hear.
    pub open: Vec<f64>,
    /// In the order of time.
    pub payers: Vec<Payer>,
    pub refills: Vec<Refill>,
    /// Forwards to peers with whom we have no channel any more.
    pub strays: u64,
    /// Msat, of the settled ones that are played.
    pub earned: u64,
}

/// All channels with one peer.
#[derive(Clone, Debug)]
pub struct Place {
    pub holding: Holding,
    pub prices: Prices,
    /// Ours at the start, msat.
    pub local: u64,
    /// Middle of the amounts that left by it, msat.
    pub middle: u64,
    /// By hour since the start: could it have carried a payment of the middle size out?
    pub servable: Vec<bool>,
    /// And how much could have come in, msat.
    pub room: Vec<u64>,
    /// One over the share of the hours in which it was open for payments in.
    pub unseen: f64,
    /// Who came with an old price: when, and whether he took the new one.
    pub refused: Vec<(Time, bool)>,
}

/// A payer who chose us.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Payer {
    pub at: Time,
    pub amount: u64,
    /// A place, or [`ELSEWHERE`].
    pub from: u32,
    /// Each with the msat that it cost; the second where the first lacked balance.
    pub exit: (u32, u64),
    pub second: Option<(u32, u64)>,
    pub settled: bool,
    /// Failed further on.
    pub doomed: bool,
    pub hold_ms: u32,
}

/// Money that came (or, below zero, went) by another way than a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    pub at: Time,
    pub place: u32,
    pub msat: i64,
}

/// Fee rates by the time from which they were in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(pub Vec<(Time, u32)>);

/// Why there is nothing to be played.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the ledger does not say yet where your balances are; let the plugin of this version run for an hour")]
    NoHoldings,
    #[error("the ledger holds less than one whole day of prices; come back later")]
    NoDays,
}

impl Prices {
    /// As decisions tell it; `now` where there are none. A fee that a decision found and nobody here had set was in force from
    /// then on at the latest.
    pub fn of(start: Time, rows: &[PastPrice], now: u32) -> Prices {
        let mut prices = vec![(start, rows.first().map_or(now, |row| row.before.0))];
        for row in rows {
            for ppm in [row.before.0, row.after.0] {
                if prices.last().is_none_or(|(_, last)| *last != ppm) {
                    prices.push((row.at.max(start), ppm));
                }
            }
        }
        Prices(prices)
    }

    pub fn at(&self, time: Time) -> u32 {
        let next = self.0.partition_point(|(from, _)| *from <= time);
        self.0[next.saturating_sub(1)].1
    }
}

impl Place {
    /// What a payment of that size was asked at that time, ppm, base fee included.
    pub fn rate(&self, at: Time, amount: u64) -> f64 {
        f64::from(self.prices.at(at)) + self.holding.base.as_f64() * 1e6 / (amount.max(1)) as f64
    }
}

impl Record {
    pub fn of(history: &History) -> Result<Record, Unusable> {
        let holdings = history.holdings.last().filter(|h| !h.peers.is_empty()).ok_or(Unusable::NoHoldings)?;
        let days = u32::try_from((history.to.0 - history.from.0) / DAY_MS).unwrap_or(0);
        // The newest days count; what is too little for a day is left out at the beginning.
        let start = Time(history.to.0 - i64::from(days) * DAY_MS);
        if days == 0 {
            return Err(Unusable::NoDays);
        }
        let mut holding: Vec<Holding> = holdings.peers.clone();
        holding.truncate(LARGEST as usize);
        let index: HashMap<PeerId, u32> = (0..).zip(&holding).map(|(place, h)| (h.peer, place)).collect();
        let mut rows: Vec<Vec<PastPrice>> = vec![Vec::new(); holding.len()];
        for row in &history.prices {
            if let Some(place) = index.get(&row.peer) {
                rows[*place as usize].push(*row);
            }
        }
        let places = holding.into_iter().zip(&rows).map(|(holding, rows)| Place {
            prices: Prices::of(start, rows, holding.ppm.0),
            local: 0,
            middle: 0,
            servable: Vec::new(),
            room: Vec::new(),
            unseen: 1.0,
            refused: Vec::new(),
            holding,
        });
        let mut record = Record {
            start,
            days,
            places: places.collect(),
            traffic: vec![1.0; HOURS_OF_WEEK],
            open: Vec::new(),
            payers: Vec::new(),
            refills: Vec::new(),
            strays: 0,
            earned: 0,
        };
        for refused in history.refused.iter().filter(|refused| refused.at >= start) {
            if let Some(place) = index.get(&refused.out) {
                record.places[*place as usize].refused.push((refused.at, refused.came_back));
            }
        }
        record.take_in(history, &index);
        record.walk(history, &index);
        Ok(record)
    }

    pub fn end(&self) -> Time {
        Time(self.start.0 + i64::from(self.days) * DAY_MS)
    }

    pub fn middle(&self) -> Time {
        self.start.plus_hours(12.0 * f64::from(self.days))
    }

    pub fn settled(&self) -> u64 {
        self.payers.iter().filter(|payer| payer.settled).count() as u64
    }

    /// Hours since the start.
    pub fn hour(&self, at: Time) -> usize {
        usize::try_from((at.0 - self.start.0).div_euclid(3_600_000)).unwrap_or(0)
    }

    /// Relative traffic of that hour of the week.
    pub fn traffic_at(&self, at: Time) -> f64 {
        let hour = usize::try_from(at.hour_of_week()).unwrap_or(0);
        self.traffic.get(hour).copied().unwrap_or(1.0)
    }

    /// Share of the payers whose way in to us was open.
    pub fn open_at(&self, at: Time) -> f64 {
        self.open.get(self.hour(at)).copied().unwrap_or(1.0)
    }

    /// Was that way in open for that much?
    pub fn is_open(&self, from: u32, at: Time, amount: u64) -> bool {
        let hour = self.hour(at);
        self.places.get(from as usize).and_then(|place| place.room.get(hour)).is_none_or(|room| *room >= amount)
    }

    /// Forwards become payers: tries of one payment are one.
    fn take_in(&mut self, history: &History, index: &HashMap<PeerId, u32>) {
        let mut hungry: HashMap<Scid, Tries<usize>> = HashMap::new();
        let mut by_hour: HashMap<i64, u64> = HashMap::new();
        for forward in history.forwards.iter().filter(|f| f.received >= self.start) {
            let Some(payer) = self.payer(forward, index) else {
                self.strays += 1;
                continue;
            };
            let tries = hungry.entry(forward.in_channel).or_default();
            if let Some(at) = tries.repeated(payer.at, forward.in_msat) {
                self.payers[*at].joined(&payer);
                continue;
            }
            if forward.status == ForwardStatus::LocalFailed {
                tries.note(payer.at, forward.in_msat, self.payers.len());
            }
            *by_hour.entry(payer.at.hour()).or_default() += 1;
            self.payers.push(payer);
        }
        self.earned = self.payers.iter().filter(|p| p.settled).map(|p| p.second.unwrap_or(p.exit).1).sum();
        let hours: Vec<(i64, u64)> = by_hour.into_iter().collect();
        self.traffic = traffic_index(&hours, self.start, self.end());
    }

    fn payer(&self, forward: &PastForward, index: &HashMap<PeerId, u32>) -> Option<Payer> {
        let exit = *index.get(&forward.out)?;
        let place = &self.places[exit as usize];
        let ppm = u128::from(place.prices.at(forward.received));
        let brought = u128::from(forward.in_msat.saturating_sub(place.holding.base).0);
        let asked = || u64::try_from(brought * 1_000_000 / (1_000_000 + ppm)).unwrap_or(0);
        let amount = forward.out_msat.map_or_else(asked, |msat| msat.0);
        let held = forward.known.0 - forward.received.0;
        Some(Payer {
            at: forward.received,
            amount,
            from: forward
                .from
                .and_then(|peer| index.get(&peer))
                .copied()
                .filter(|from| *from != exit)
                .unwrap_or(ELSEWHERE),
            exit: (exit, forward.in_msat.0.saturating_sub(amount)),
            second: None,
            settled: forward.status == ForwardStatus::Settled,
            doomed: forward.status == ForwardStatus::Failed,
            hold_ms: u32::try_from(held.max(50)).unwrap_or(u32::MAX),
        })
    }

    /// Where our money was: from note to note by the forwards, and by other ways where these do not explain the next note; before
    /// the first note, backward. What cannot have been is made up for.
    fn walk(&mut self, history: &History, index: &HashMap<PeerId, u32>) {
        let moves = self.moves(history, index);
        let mut notes: Vec<Vec<(Time, i64)>> = vec![Vec::new(); self.places.len()];
        for holdings in history.holdings.iter().filter(|holdings| holdings.at >= self.start) {
            for holding in &holdings.peers {
                if let Some(place) = index.get(&holding.peer) {
                    notes[*place as usize].push((holdings.at, signed(holding.local.0)));
                }
            }
        }
        for (place, (mut own, notes)) in moves.into_iter().zip(notes).enumerate() {
            let capacity = signed(self.places[place].holding.capacity.0);
            self.other_ways(place, &notes, &mut own, capacity);
            let (noted, local) =
                notes.first().copied().unwrap_or((self.end(), signed(self.places[place].holding.local.0)));
            let start = begun(&own, (noted, local), capacity);
            self.places[place].local = start.unsigned_abs();
            self.follow(place, &own, start, capacity);
        }
        self.refills.sort_by_key(|refill| refill.at);
        self.open = self.open_hours();
    }

    /// How much more of the payers come in by that place than are seen, because it was full at times.
    pub fn unseen(&self, from: u32) -> f64 {
        self.places.get(from as usize).map_or(1.0, |place| place.unseen)
    }

    fn open_hours(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.places.len() + 1];
        for payer in &self.payers {
            let last = weights.len() - 1;
            weights[(payer.from as usize).min(last)] += 1.0;
        }
        for (from, weight) in (0..).zip(&mut weights) {
            *weight *= self.unseen(from);
        }
        let all: f64 = weights.iter().sum();
        let hours = 0..self.days as usize * 24;
        let shut = |hour: usize| {
            let full = self.places.iter().zip(&weights).filter(move |(place, _)| place.room[hour] < place.middle);
            full.map(|(_, weight)| weight).sum::<f64>()
        };
        hours.map(|hour| if all > 0.0 { (1.0 - shut(hour) / all).max(LEAST_OPEN) } else { 1.0 }).collect()
    }

    /// What forwards do not explain between two notes came or went evenly, hour by hour.
    fn other_ways(&mut self, place: usize, notes: &[(Time, i64)], own: &mut Vec<(Time, i64)>, capacity: i64) {
        let mut others = Vec::new();
        for pair in notes.windows(2) {
            let [(from, before), (to, after)] = [pair[0], pair[1]];
            let between = own.iter().filter(|(at, _)| *at > from && *at <= to);
            let msat = after - before - between.map(|(_, msat)| msat).sum::<i64>();
            if msat.abs() >= capacity / IN_FLIGHT {
                let hours = ((to.0 - from.0) / 3_600_000).max(1);
                let hour = |hour: i64| (Time(from.0 + (to.0 - from.0) * (2 * hour + 1) / (2 * hours)), msat / hours);
                others.extend((0..hours).map(hour));
            }
        }
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.refills.extend(others.iter().map(|(at, msat)| Refill { at: *at, place, msat: *msat }));
        own.extend(others);
        own.sort_by_key(|(at, _)| *at);
    }

    /// By place: when it gained or lost how much.
    fn moves(&self, history: &History, index: &HashMap<PeerId, u32>) -> Vec<Vec<(Time, i64)>> {
        let mut moves: Vec<Vec<(Time, i64)>> = vec![Vec::new(); self.places.len()];
        let settled = |f: &&PastForward| f.status == ForwardStatus::Settled && f.received >= self.start;
        for forward in history.forwards.iter().filter(settled) {
            if let Some(from) = forward.from.and_then(|peer| index.get(&peer)) {
                moves[*from as usize].push((forward.known, signed(forward.in_msat.0)));
            }
            if let Some(out) = index.get(&forward.out) {
                moves[*out as usize].push((forward.known, -signed(forward.out_msat.unwrap_or(forward.in_msat).0)));
            }
        }
        moves.iter_mut().for_each(|own| own.sort_by_key(|(at, _)| *at));
        moves
    }

    fn follow(&mut self, place: usize, moves: &[(Time, i64)], mut local: i64, capacity: i64) {
        let hours = self.days as usize * 24;
        let middle = self.middle_amount(place);
        let enough = capacity / RESERVE + i64::try_from(middle).unwrap_or(i64::MAX / 2);
        let (mut servable, mut room) = (Vec::with_capacity(hours), Vec::with_capacity(hours));
        let left = |local: i64| (capacity - local - capacity / RESERVE).max(0).unsigned_abs();
        for (at, msat) in moves {
            let hour = self.hour(*at).min(hours).max(servable.len());
            servable.resize(hour, local >= enough);
            room.resize(hour, left(local));
            if local + msat < 0 && *msat < 0 {
                let amount = (-(local + msat)).max(capacity / REFILL).min(capacity - local.min(capacity));
                local += amount;
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                self.refills.push(Refill { at: Time(at.0 - 60_000).max(self.start), place, msat: amount });
            }
            local = (local + msat).min(capacity);
        }
        servable.resize(hours, local >= enough);
        room.resize(hours, left(local));
        let open = room.iter().filter(|room| **room >= middle).count() as f64 / hours.max(1) as f64;
        let place = &mut self.places[place];
        place.unseen = 1.0 / open.max(LEAST_OPEN);
        (place.servable, place.room, place.middle) = (servable, room, middle);
    }

    /// Of what left by that place; where little did, of the node.
    fn middle_amount(&self, place: usize) -> u64 {
        let of = |own: bool| {
            let amounts = self.payers.iter().filter(|p| !own || p.exit.0 as usize == place).map(|p| p.amount);
            let mut amounts: Vec<u64> = amounts.collect();
            amounts.sort_unstable();
            amounts.get(amounts.len() / 2).copied()
        };
        of(true).or_else(|| of(false)).unwrap_or(0)
    }
}

/// The balance at the start, such that it is the one noted, and never was nothing or everything if that can be.
fn begun(moves: &[(Time, i64)], (noted, local): (Time, i64), capacity: i64) -> i64 {
    let since: i64 = moves.iter().filter(|(at, _)| *at <= noted).map(|(_, msat)| msat).sum();
    let (mut sum, mut least, mut most) = (0, 0, 0);
    for (_, msat) in moves {
        sum += msat;
        (least, most) = (sum.min(least), sum.max(most));
    }
    let (low, high) = (capacity / RESERVE - least, capacity - capacity / RESERVE - most);
    if low <= high { (local - since).clamp(low, high) } else { (local - since).clamp(0, capacity) }
}

fn signed(msat: u64) -> i64 {
    i64::try_from(msat).unwrap_or(i64::MAX)
}

impl Payer {
    /// Another try of the same payment: by another of our channels, or merely again.
    fn joined(&mut self, again: &Payer) {
        if again.exit.0 != self.exit.0 && self.second.is_none() {
            (self.second, self.hold_ms) = (Some(again.exit), again.hold_ms);
            (self.settled, self.doomed) = (again.settled, again.doomed);
        }
    }

    pub fn exits(&self) -> impl Iterator<Item = (u32, u64)> {
        std::iter::once(self.exit).chain(self.second)
    }
}
