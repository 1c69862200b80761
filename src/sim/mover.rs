//! Somebody who moves liquidity in the market, as sling does: in parts, over ways whose cost and luck are drawn from the seed. Tells what it
//! has done as sling tells it. It knows nothing of why it was ordered.

use std::collections::BTreeMap;

use rand::RngExt;

use super::market::Market;
use super::network::{Stream, stream};
use super::tape::DAY_MS;
use crate::domain::units::to_u64_rounded;
use crate::domain::{Booked, ChannelId, Job, MoveOrder, Msat, Paid, PeerId, Sat, Scid, Tally, Task, Time};

/// The cheapest circular way of a pair on the public network (ppm), by quantile; drained as balances really are.
const COSTS: [(f64, f64); 7] =
    [(0.0, 12.0), (0.1, 47.0), (0.25, 219.0), (0.5, 759.0), (0.75, 1007.0), (0.9, 1662.0), (1.0, 2500.0)];
/// The same as a search sees it that takes every channel for full: what it finds is often drained.
const SEARCHED: [(f64, f64); 7] =
    [(0.0, 3.0), (0.1, 12.0), (0.25, 152.0), (0.5, 657.0), (0.75, 1000.0), (0.9, 1150.0), (1.0, 1700.0)];
/// The next way is dearer by this factor, after one that failed.
const NEXT_WAY: f64 = 1.08;
/// What has come by a way makes it dearer: twice for so many msat in a day.
const DEPTH: f64 = 4e9;
/// Share of the parts that are stuck for hours.
const STUCK: f64 = 0.005;
/// Between two tries.
const PAUSE_SECS: i64 = 2;
/// sling looks for another way so long after all were too dear.
const TOO_DEAR_SECS: i64 = 600;
/// What it leaves to a channel beside a part, msat.
const LEFT: u64 = 10_000_000;

#[derive(Clone, Debug)]
pub struct Mover {
    seed: u64,
    /// Is the plugin loaded? Its tasks are gone with it; the payments are not.
    present: bool,
    /// Whether there are ways at all.
    ways: bool,
    /// What ways cost here, of what they cost on the public network.
    dearness: f64,
    works: BTreeMap<Scid, Work>,
    flying: Vec<Part>,
    done: Vec<Part>,
    tries: u64,
    /// Parts up to this number have been forgotten.
    forgotten: u64,
    lie: Option<Lie>,
}

/// What is wrong with its statistics, or with what it does. The payments themselves, and what the node says of them, are never wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A success that was none.
    Phantom,
    /// The last success is not counted.
    LeavesOut,
    /// Ten times the fees.
    Overstates,
    /// No fees at all.
    Understates,
    /// After a restart nothing is known of what was before.
    Forgets,
    /// Each part is half of what was ordered.
    Halves,
}

/// One order.
#[derive(Clone, Debug)]
struct Work {
    order: MoveOrder,
    task: Task,
    moved: Sat,
    /// Parts with a greater number are its own.
    after: u64,
    /// Ways that failed since one came through.
    failed: i32,
    /// When it tries again; `None`: a part is under way, or nothing is left to do.
    next: Option<Time>,
}

/// One payment to ourselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub number: u64,
    pub from: ChannelId,
    pub to: ChannelId,
    pub to_scid: Scid,
    pub amount: Sat,
    pub fee: Msat,
    pub sent: Time,
    pub until: Time,
    pub came: bool,
    places: (usize, usize),
}

impl Lie {
    pub const ALL: [Lie; 6] =
        [Lie::Phantom, Lie::LeavesOut, Lie::Overstates, Lie::Understates, Lie::Forgets, Lie::Halves];

    /// As `sim-neighbours` is told.
    pub fn name(self) -> &'static str {
        match self {
            Lie::Phantom => "phantom",
            Lie::LeavesOut => "leaves-out",
            Lie::Overstates => "overstates",
            Lie::Understates => "understates",
            Lie::Forgets => "forgets",
            Lie::Halves => "halves",
        }
    }
}

impl Mover {
    pub fn new(seed: u64) -> Mover {
        Mover {
            seed,
            present: true,
            ways: true,
            dearness: 1.0,
            works: BTreeMap::new(),
            flying: Vec::new(),
            done: Vec::new(),
            tries: 0,
            forgotten: 0,
            lie: None,
        }
    }

    pub fn is_present(&self) -> bool {
        self.present
    }

    /// Loads or unloads the plugin.
    pub fn set_present(&mut self, present: bool) {
        if !present {
            self.works.clear();
            if self.lie == Some(Lie::Forgets) {
                self.forgotten = self.tries;
            }
        }
        self.present = present;
    }

    pub fn set_ways(&mut self, ways: bool) {
        self.ways = ways;
    }

    pub fn set_dearness(&mut self, dearness: f64) {
        self.dearness = dearness;
    }

    pub fn set_lie(&mut self, lie: Option<Lie>) {
        self.lie = lie;
    }

    /// Payments to ourselves that are over; those that failed too.
    pub fn parts(&self) -> &[Part] {
        &self.done
    }

    pub fn flying(&self) -> &[Part] {
        &self.flying
    }

    /// All that the network has really taken.
    pub fn spent(&self) -> Msat {
        self.done.iter().filter(|part| part.came).map(|part| part.fee).sum()
    }

    /// The same on one day of the market.
    pub fn spent_on(&self, day: u32, start: Time) -> Msat {
        let on_day = |part: &&Part| part.came && (part.until.0 - start.0) / DAY_MS == i64::from(day);
        self.done.iter().filter(on_day).map(|part| part.fee).sum()
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Time> {
        let works = self.works.values().filter_map(|work| work.next);
        works.chain(self.flying.iter().map(|part| part.until)).min()
    }

    /// Does what is due by now.
    pub fn act(&mut self, market: &mut Market) {
        let now = market.now();
        let (due, flying): (Vec<Part>, Vec<Part>) = self.flying.drain(..).partition(|part| part.until <= now);
        self.flying = flying;
        for part in due {
            self.land(market, part);
        }
        let due = |work: &Work| work.next.is_some_and(|at| at <= now);
        let ready: Vec<Scid> = self.works.iter().filter(|(_, work)| due(work)).map(|(scid, _)| *scid).collect();
        for scid in ready {
            self.attempt(market, scid);
        }
    }

    /// Takes an order, as `sling-once` does.
    pub fn begin(&mut self, market: &Market, order: &MoveOrder) -> Result<(), String> {
        if self.works.get(&order.to).is_some_and(|work| work.is_active()) {
            return Err("There is already a job for that scid running!".to_owned());
        }
        let to = market.channels.iter().find(|channel| channel.scid == order.to && channel.routes());
        let Some(to) = to else { return Err(format!("Channel {} not found", order.to)) };
        let amount = order.amount.0 * 1000;
        if to.receivable() < amount {
            return Err(format!("Channel {} has not enough capacity to pull {amount}msat", order.to));
        }
        let next = Some(market.now().plus_secs(PAUSE_SECS));
        let work = Work { order: *order, task: Task::Rebalancing, moved: Sat(0), after: self.tries, failed: 0, next };
        self.works.insert(order.to, work);
        Ok(())
    }

    /// Ends the work of a channel; a part that is under way goes on. Of what was over before it is said for ever that it is stopping.
    pub fn stop(&mut self, channel: Scid) -> u64 {
        let Some(work) = self.works.get_mut(&channel) else { return 0 };
        let task = if work.is_active() { Task::Stopped } else { Task::Stopping };
        (work.task, work.next) = (task, None);
        1
    }

    pub fn jobs(&self) -> Vec<Job> {
        let job = |(channel, work): (&Scid, &Work)| Job {
            channel: *channel,
            tasks: vec![work.task.clone()],
            standing: false,
        };
        self.works.iter().map(job).collect()
    }

    /// In whole satoshis, of all time. What was spent is told as sling does: a mean rate in whole ppm of all that came, times that.
    pub fn tally(&self, channel: Scid) -> Tally {
        let mine = || self.done.iter().filter(|part| part.to_scid == channel && part.number > self.forgotten);
        let came = || mine().filter(|part| part.came);
        let tally = Tally {
            moved: came().map(|part| part.amount).fold(Sat(0), |all, one| Sat(all.0 + one.0)),
            spent: told_spent(came()),
            successes: came().count() as u64,
            failures: mine().filter(|part| !part.came).count() as u64,
            reasons: vec![],
        };
        let last = came().next_back().map_or(Sat(0), |part| part.amount);
        let phantom = self.works.get(&channel).map_or(Sat(0), |work| work.order.part);
        match self.lie {
            Some(Lie::Phantom) => {
                Tally { moved: Sat(tally.moved.0 + phantom.0), successes: tally.successes + 1, ..tally }
            }
            Some(Lie::LeavesOut) => {
                Tally { moved: Sat(tally.moved.0 - last.0), successes: tally.successes.saturating_sub(1), ..tally }
            }
            Some(Lie::Overstates) => Tally { spent: Sat(tally.spent.0 * 10), ..tally },
            Some(Lie::Understates) => Tally { spent: Sat(0), ..tally },
            _ => tally,
        }
    }

    /// What the node's books say.
    pub fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Booked {
        let mut booked = Booked::default();
        let between =
            |part: &&Part| part.came && (part.from, part.to) == (from, to) && part.until.secs() >= since.secs();
        for part in self.done.iter().filter(between) {
            booked.moved = Msat(booked.moved.0 + part.amount.0 * 1000);
            booked.spent = Msat(booked.spent.0 + part.fee.0);
            booked.parts += 1;
        }
        booked
    }

    /// What the node's list of payments says.
    pub fn paid(&self, most: Sat, since: Time) -> Paid {
        let mut paid = Paid::default();
        let counts = |part: &&Part| part.came && part.amount <= most && part.sent.secs() >= since.secs();
        for part in self.done.iter().filter(counts) {
            paid.moved = Msat(paid.moved.0 + part.amount.0 * 1000);
            paid.spent = Msat(paid.spent.0 + part.fee.0);
        }
        paid
    }

    /// What a search of the public graph says that a way from peer to peer takes.
    pub fn searched(&self, market: &Market, (from, to): (PeerId, PeerId), arrives: Msat) -> Option<Msat> {
        let place = |peer| market.channels.iter().position(|channel| channel.peer_id == peer && channel.routes());
        let places = (place(from)?, place(to)?);
        // The last peer's part of it is asked for by itself.
        let last = f64::from(market.channels[places.1].seat.their_ppm);
        let ppm = (self.usual(market, places, &SEARCHED) - last).max(0.0);
        self.ways.then(|| Msat(to_u64_rounded(arrives.as_f64() * ppm / 1e6)))
    }

    fn attempt(&mut self, market: &mut Market, scid: Scid) {
        let now = market.now();
        let Some(work) = self.works.get(&scid).cloned() else { return };
        if work.moved >= work.order.amount {
            return self.rest(scid, Task::Balanced, None);
        }
        let place = |scid: Scid| market.channels.iter().position(|channel| channel.scid == scid && channel.routes());
        let (Some(from), Some(to)) = (place(work.order.from), place(work.order.to)) else {
            return self.rest(scid, Task::NoCandidates, Some(now.plus_secs(TOO_DEAR_SECS)));
        };
        if !self.ways {
            return self.rest(scid, Task::NoRoutes, Some(now.plus_secs(TOO_DEAR_SECS)));
        }
        let rate = self.rate(market, (from, to)) * NEXT_WAY.powi(work.failed);
        if rate > f64::from(work.order.max.0) {
            return self.rest(scid, Task::NoCheapRoute, Some(now.plus_secs(TOO_DEAR_SECS)));
        }
        let amount = self.part_of(&work.order).0 * 1000;
        let fee = to_u64_rounded((amount as f64 * rate / 1e6).floor());
        if market.channels[to].receivable() < amount {
            return self.rest(scid, Task::Balanced, Some(now.plus_secs(TOO_DEAR_SECS)));
        }
        let free = market.channels[from].spendable();
        let away = |place: usize| !market.is_online(&market.channels[place]);
        if free < amount + fee + LEFT.max(work.order.keep.0 * 1000) || away(from) || away(to) {
            return self.rest(scid, Task::NoCandidates, Some(now.plus_secs(60)));
        }
        self.send(market, (from, to), &work.order, Msat(fee));
    }

    fn part_of(&self, order: &MoveOrder) -> Sat {
        if self.lie == Some(Lie::Halves) { Sat((order.part.0 / 2).max(1)) } else { order.part }
    }

    fn send(&mut self, market: &mut Market, places: (usize, usize), order: &MoveOrder, fee: Msat) {
        let now = market.now();
        self.tries += 1;
        let mut dice = stream(self.seed, Stream::Moves, self.tries);
        let luck = 0.3 + 0.5 * self.drawn(market, places, 1);
        let came = dice.random_bool(luck);
        let hold = if dice.random_bool(STUCK) { dice.random_range(3_600..20_000) } else { dice.random_range(3..60) };
        let part = self.part_of(order);
        let amount = part.0 * 1000;
        let source = &mut market.channels[places.0];
        source.local -= amount + fee.0;
        source.flying_out += amount + fee.0;
        source.htlcs_out += 1;
        let from = source.seat.channel_id;
        let target = &mut market.channels[places.1];
        target.remote -= amount;
        target.flying_in += amount;
        target.htlcs_in += 1;
        let to = target.seat.channel_id;
        let (sent, until) = (now, now.plus_secs(hold));
        let number = self.tries;
        self.flying.push(Part { number, from, to, to_scid: order.to, amount: part, fee, sent, until, came, places });
        self.rest(order.to, Task::Rebalancing, None);
    }

    fn land(&mut self, market: &mut Market, part: Part) {
        let amount = part.amount.0 * 1000;
        let (from, to) = part.places;
        let source = &mut market.channels[from];
        source.flying_out -= amount + part.fee.0;
        source.htlcs_out -= 1;
        if part.came {
            source.pay_out(amount + part.fee.0)
        } else {
            source.local += amount + part.fee.0
        }
        let target = &mut market.channels[to];
        target.flying_in -= amount;
        target.htlcs_in -= 1;
        if part.came {
            target.take_in(amount)
        } else {
            target.remote += amount
        }
        if let Some(work) =
            self.works.get_mut(&part.to_scid).filter(|work| part.number > work.after && work.task == Task::Rebalancing)
        {
            work.next = Some(market.now().plus_secs(PAUSE_SECS));
            work.failed = if part.came { 0 } else { work.failed + 1 };
            work.moved = Sat(work.moved.0 + if part.came { part.amount.0 } else { 0 });
        }
        self.done.push(part);
    }

    fn rest(&mut self, scid: Scid, task: Task, next: Option<Time>) {
        if let Some(work) = self.works.get_mut(&scid) {
            // Another way may be found the next time.
            work.failed = if task == Task::NoCheapRoute { 0 } else { work.failed };
            (work.task, work.next) = (task, next);
        }
    }

    /// The cheapest way of a pair today, ppm. What has come by it lately has made it dearer.
    fn rate(&self, market: &Market, places: (usize, usize)) -> f64 {
        let (from, to) = (market.channels[places.0].seat.channel_id, market.channels[places.1].seat.channel_id);
        let lately =
            |part: &&Part| part.came && (part.from, part.to) == (from, to) && part.until.0 > market.now().0 - DAY_MS;
        let come: f64 = self.done.iter().rev().take(500).filter(lately).map(|part| part.amount.as_f64() * 1000.0).sum();
        (self.usual(market, places, &COSTS) * (1.0 + come / DEPTH))
            .max(f64::from(market.channels[places.1].seat.their_ppm))
    }

    /// What ways between the two take today, ppm.
    fn usual(&self, market: &Market, places: (usize, usize), costs: &[(f64, f64); 7]) -> f64 {
        let at = self.drawn(market, places, 0);
        let step = costs.windows(2).find(|pair| at <= pair[1].0);
        let usual = step.map_or(costs[6].1, |pair| {
            let part = (at - pair[0].0) / (pair[1].0 - pair[0].0);
            pair[0].1 * (pair[1].1 / pair[0].1).powf(part)
        });
        let today = (0.6 * (self.drawn(market, places, 2 + u64::from(market.day_number())) - 0.5)).exp();
        self.dearness * usual * today
    }

    /// 0 to 1, always the same for the pair and that purpose.
    fn drawn(&self, market: &Market, (from, to): (usize, usize), purpose: u64) -> f64 {
        let pair = (from * market.channels.len() + to) as u64;
        stream(self.seed, Stream::Ways, pair << 16 | purpose).random_range(0.0..1.0)
    }
}

/// Each part's rate is rounded up to whole ppm, and their mean down.
fn told_spent<'a>(came: impl Iterator<Item = &'a Part>) -> Sat {
    let (mut rates, mut msat) = (0_u128, 0_u128);
    for part in came {
        let amount = u128::from(part.amount.0) * 1000;
        rates += (u128::from(part.fee.0) * 1_000_000).div_ceil(amount.max(1)) * amount;
        msat += amount;
    }
    let mean = rates.checked_div(msat).unwrap_or(0);
    Sat(u64::try_from(mean * msat / 1_000_000 / 1000).unwrap_or(u64::MAX))
}

impl Work {
    fn is_active(&self) -> bool {
        self.next.is_some() || self.task == Task::Rebalancing
    }
}
