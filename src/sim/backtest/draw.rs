//! The record as a tape. Who came, came; what each would have paid at most is drawn from the believed curve above what he paid.
//! Who did not come, because we asked too much at that hour, is drawn from the same curve below.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

use super::believed::Drawn;
use super::record::{Payer, Place, Record};
use crate::domain::units::to_u32_rounded;
use crate::domain::{Side, Time};
use crate::sim::network::{Network, Scenario, Stream, stream};
use crate::sim::tape::{ELSEWHERE, Exit, Payment, STUBBORN, Tape, gossip_hours};

/// Nobody is drawn who would pay less than this share of the lowest price that was asked: nothing is known of them.
const LOWEST: f64 = 0.1;
/// Nor more than so many times those who bore the lowest price.
const MOST: f64 = 20.0;
/// Beliefs are about weeks.
const WEEK_HOURS: usize = 7 * 24;
/// Payers of one channel before its own ways in count as much as the node's.
const OWN_SOURCES: f64 = 20.0;
/// Draws of one way in before it comes from elsewhere.
const MOST_DRAWS: u32 = 100;

pub(super) fn tape(record: &Record, drawn: &[Drawn], seed: u64) -> Tape {
    let mut artist = Artist { record, rng: stream(seed, Stream::Backtest, 1), sources: Sources::of(record) };
    let mut payments: Vec<Payment> = Vec::with_capacity(record.payers.len() * 2);
    for payer in &record.payers {
        payments.push(artist.who_came(payer, drawn));
    }
    for (place, drawn) in (0..).zip(drawn) {
        artist.who_did_not(place, drawn, &mut payments);
    }
    for refill in &record.refills {
        let (amount, from, doomed) = (refill.msat.unsigned_abs(), refill.place, refill.msat < 0);
        payments.push(Payment { at: refill.at, amount, from, doomed, ..Payment::default() });
    }
    payments.sort_by_key(|payment| payment.at);
    Tape::of_payments(network(record, seed), record.days, payments)
}

/// Our node with its peers. Short channel ids are invented; outages are in the record already, as payers who did not come.
fn network(record: &Record, seed: u64) -> Arc<Network> {
    let channels = u32::try_from(record.places.len()).unwrap_or(u32::MAX);
    let shape = Scenario { parallel: 0.0, rivalry: 0.0, offline: 0.0, ..Scenario::default() };
    let mut network = (*Network::draw(Scenario { seed, channels, start: record.start, ..shape })).clone();
    network.seats.truncate(record.places.len());
    network.peers.truncate(record.places.len());
    for (seat, place) in network.seats.iter_mut().zip(&record.places) {
        seat.capacity = place.holding.capacity;
        seat.local = crate::domain::Msat(place.local);
        seat.opener = if place.holding.opened_by_us { Side::Local } else { Side::Remote };
        seat.median_sat = (place.middle as f64 / 1000.0).max(1.0);
        seat.level_ppm = f64::from(place.prices.at(record.start)).max(1.0);
    }
    for (peer, place) in network.peers.iter_mut().zip(&record.places) {
        *peer = place.holding.peer;
    }
    Arc::new(network)
}

struct Artist<'a> {
    record: &'a Record,
    rng: ChaCha8Rng,
    sources: Sources,
}

/// Payers of the record by place, and all of them: where those come in who did not come.
struct Sources {
    own: Vec<Vec<usize>>,
    doomed: f64,
    /// The largest factor by which a way in is seen too seldom.
    unseen: f64,
}

impl Sources {
    fn of(record: &Record) -> Sources {
        let mut own = vec![Vec::new(); record.places.len()];
        for (number, payer) in record.payers.iter().enumerate() {
            own[payer.exit.0 as usize].push(number);
        }
        let doomed = record.payers.iter().filter(|payer| payer.doomed).count();
        let ways = 0..u32::try_from(record.places.len()).unwrap_or(u32::MAX);
        let unseen = ways.map(|from| record.unseen(from)).fold(1.0, f64::max);
        Sources { own, doomed: doomed as f64 / record.payers.len().max(1) as f64, unseen }
    }
}

impl Artist<'_> {
    fn who_came(&mut self, payer: &Payer, drawn: &[Drawn]) -> Payment {
        let mut exits = [Exit::default(); 3];
        let mut choices = 0;
        for (exit, paid) in payer.exits() {
            let week = self.record.hour(payer.at) / WEEK_HOURS;
            let (demand, _) = drawn[exit as usize].weeks[week];
            let least = paid as f64 * 1e6 / payer.amount.max(1) as f64;
            let bears = demand.fee_of(self.rng.random::<f64>() * demand.share(least));
            exits[usize::from(choices)] = Exit { channel: exit, reservation: above(bears, paid, payer.amount) };
            choices += 1;
        }
        let place = &self.record.places[payer.exit.0 as usize];
        // Whoever paid less than he would have heard of then knew better.
        let gossip = gossip_hours(&mut self.rng);
        let heard = place.rate(payer.at.plus_hours(-gossip), payer.amount) * payer.amount as f64 / 1e6;
        let knew = heard <= payer.exit.1 as f64 + 1.0;
        Payment {
            at: payer.at,
            amount: payer.amount,
            from: payer.from,
            exits,
            choices,
            doomed: payer.doomed,
            stubborn: payer.second.is_some(),
            hold_ms: payer.hold_ms,
            gossip_ms: if knew { to_u32_rounded(gossip * 3_600_000.0) } else { 0 },
        }
    }

    /// All who might have come by that place, and of them those who would have been refused by the prices of their hour.
    fn who_did_not(&mut self, place: u32, drawn: &Drawn, payments: &mut Vec<Payment>) {
        let record = self.record;
        let it = &record.places[place as usize];
        let lowest = drawn.tried.0;
        for hour in 0..record.days as usize * 24 {
            let start = record.start.plus_hours(hour as f64);
            let (demand, level) = drawn.weeks[hour / WEEK_HOURS];
            let most = ((1.0 + MOST) * demand.share(lowest)).min(demand.share(lowest * LOWEST));
            let mean = level * record.traffic_at(start) * most;
            for _ in 0..Poisson::new(mean).map_or(0, |law| to_u32_rounded(law.sample(&mut self.rng))) {
                let at = Time(start.0 + self.rng.random_range(0..3_600_000));
                let bears = demand.fee_of(self.rng.random::<f64>() * most);
                payments.extend(self.stranger(it, (place, at), bears));
            }
        }
    }

    /// `None`: would have come, and so is in the record or was not there.
    fn stranger(&mut self, it: &Place, (place, at): (u32, Time), bears: f64) -> Option<Payment> {
        let model = self.model(place)?;
        let Payer { amount, hold_ms, .. } = self.record.payers[model];
        let amount = amount.min(it.holding.capacity.0 / 2);
        let gossip = gossip_hours(&mut self.rng);
        let asked = it.rate(at, amount).max(it.rate(at.plus_hours(-gossip), amount));
        let from = self.source(place);
        if bears > asked && self.record.is_open(from, at, amount) {
            return None;
        }
        let exit = Exit { channel: place, reservation: to_u32_rounded(bears * 1000.0) };
        Some(Payment {
            at,
            amount,
            from,
            exits: [exit; 3],
            choices: 1,
            doomed: self.rng.random_bool(self.sources.doomed),
            stubborn: self.rng.random_bool(STUBBORN),
            hold_ms,
            gossip_ms: to_u32_rounded(gossip * 3_600_000.0),
        })
    }

    /// Somebody who came there, or by any other place where nobody did: amounts and times under way are like his.
    fn model(&mut self, place: u32) -> Option<usize> {
        let own = &self.sources.own[place as usize];
        if own.is_empty() {
            let all = self.record.payers.len();
            return (all > 0).then(|| self.rng.random_range(0..all));
        }
        Some(own[self.rng.random_range(0..own.len())])
    }

    /// The way in of somebody who came; ways that were often full are seen too seldom, and drawn more often.
    fn source(&mut self, place: u32) -> u32 {
        let own = &self.sources.own[place as usize];
        let trusted = own.len() as f64 / (own.len() as f64 + OWN_SOURCES);
        let payers = &self.record.payers;
        for _ in 0..MOST_DRAWS {
            let number = match self.rng.random_bool(trusted) {
                true => own[self.rng.random_range(0..own.len())],
                false => self.rng.random_range(0..payers.len()),
            };
            let from = payers[number].from;
            if from != place && self.rng.random_bool((self.record.unseen(from) / self.sources.unseen).min(1.0)) {
                return from;
            }
        }
        ELSEWHERE
    }
}

/// A reservation that bears more than what was paid, by a hair at least.
fn above(bears: f64, paid: u64, amount: u64) -> u32 {
    let least = (paid + 1) as f64 * 1e9 / amount.max(1) as f64;
    to_u32_rounded((bears * 1000.0).max(least.ceil() + 1.0))
}
