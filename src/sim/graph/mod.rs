//! A tape from the public network: random payments, each on its cheapest way without us and on the best ways through us. What a payer
//! would pay for the way through us is what the way without us costs more. Where money lies on other people's channels is unknown
//! and drawn: cheap directions are drained more often. Prices nothing and plays nothing.

mod file;
pub mod gossmap;
mod roads;
mod survey;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::{Context, ensure};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Pareto};

pub use file::{read, write};
pub use gossmap::Gossmap;
pub use survey::Survey;

use crate::domain::units::{to_u32_rounded, to_u64_rounded};
use crate::domain::{Msat, Time};
use crate::sim::network::{LARGEST, Network, Scenario, Seat, Stream, log_normal, stream};
use crate::sim::tape::{Exit, Payment, Tape, manners, traffic};
use roads::{Course, Door, NEVER, Payer, Road, Roads, Search, doors, roads};

/// What is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which node we are: 1 has the most channels.
    pub rank: u32,
    /// Payments on the whole network; few of them have a reason to come through us.
    pub payments: u32,
    /// Over how many days they are spread.
    pub days: u32,
    pub seed: u64,
    /// How much of the assumed lack of money there is, in percent: 0: everybody has money everywhere.
    pub drained_percent: u32,
}

/// Our node, what wants through it and how that was found.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub ground: Ground,
    /// In the order of time.
    pub payments: Vec<Payment>,
    pub survey: Survey,
}

/// Our channels as the graph has them, with what was wanted of them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ground {
    pub seed: u64,
    pub days: u32,
    pub channels: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Channels with the same number have the same peer.
    pub peer: u32,
    pub capacity_msat: u64,
    pub their_ppm: u32,
    /// Payments that like this way out best, and those that come in here.
    pub outward: u32,
    pub inward: u32,
    /// Median of what the former accept, in thousandths of a ppm, and of their amounts.
    pub level: u32,
    pub median_msat: u64,
}

/// Where money lies is drawn anew after so many payments.
const EPOCH: u32 = 400;
/// Directions up to that fee (ppm) have money with that probability, others with [`OPEN_ABOVE`].
const OPEN: [(u64, f64); 4] = [(10, 0.12), (100, 0.30), (500, 0.55), (1_500, 0.75)];
const OPEN_ABOVE: f64 = 0.9;
/// Payers who know of no other way still give up above half a percent, the usual limit.
const MOST_PPM: f64 = 5_000.0;
/// Of the amounts: median and largest (sat), standard deviation of the logarithm, share and exponent of the heavy tail.
const MEDIAN_SAT: f64 = 50_000.0;
const LARGEST_SAT: f64 = 10_000_000.0;
const AMOUNT_SPREAD: f64 = 1.6;
const TAIL: (f64, f64) = (0.03, 1.2);

impl Drawn {
    /// The tape, ready to be played.
    pub fn tape(&self) -> Tape {
        self.ground.tape(&self.payments)
    }
}

impl Ground {
    /// Our node as a network. Ids, and which side opened a channel and where its money lies, come from the seed.
    pub fn network(&self) -> Arc<Network> {
        let channels = u32::try_from(self.channels.len()).unwrap_or(LARGEST);
        let scenario = Scenario { seed: self.seed, channels, parallel: 0.0, ..Scenario::default() };
        let mut network = (*Network::draw(scenario)).clone();
        for (seat, place) in network.seats.iter_mut().zip(&self.channels) {
            place.furnish(seat, self.days);
        }
        let peers = self.channels.iter().map(|place| place.peer as usize + 1).max().unwrap_or(0);
        network.peers.truncate(peers);
        Arc::new(network)
    }

    fn tape(&self, payments: &[Payment]) -> Tape {
        Tape::of_payments(self.network(), self.days, payments.iter().copied())
    }
}

impl Place {
    fn furnish(&self, seat: &mut Seat, days: u32) {
        let local = seat.local.as_f64() / seat.capacity.as_f64();
        seat.peer = self.peer;
        seat.capacity = Msat(self.capacity_msat);
        seat.local = Msat(to_u64_rounded(self.capacity_msat as f64 * local / 1000.0) * 1000);
        seat.their_ppm = self.their_ppm;
        // Where nothing was wanted there is no level; whoever reads one finds the smallest.
        seat.level_ppm = (f64::from(self.level) / 1_000.0).max(1.0);
        seat.out_per_day = f64::from(self.outward) / f64::from(days);
        seat.in_weight = f64::from(self.inward).max(0.01);
        seat.median_sat = (self.median_msat as f64 / 1_000.0).max(1.0);
    }
}

/// Draws the payments; tells after each epoch how many are done.
pub fn draw(map: &Gossmap, plan: &Plan, mut progress: impl FnMut(u32)) -> anyhow::Result<Drawn> {
    let us = node_of_rank(map, plan.rank)?;
    let mut doors = doors(map, us);
    ensure!(doors.len() > 1, "node of rank {} has no two channels that are open in both directions", plan.rank);
    doors.truncate(LARGEST as usize);
    let mut sketch = Sketch::new(map, us, doors, plan);
    let mut payments = Vec::new();
    for epoch in 0..plan.payments.div_ceil(EPOCH) {
        let (from, until) = (epoch * EPOCH, plan.payments.min((epoch + 1) * EPOCH));
        let mut rng = stream(plan.seed, Stream::Payments, u64::from(epoch));
        sketch.drain(&mut rng);
        payments.extend((from..until).filter_map(|number| sketch.payment(number, &mut rng)));
        progress(until);
    }
    payments.sort_by_key(|payment| payment.at);
    let ground = survey::ground(&sketch.doors, &payments, plan);
    let survey = Survey::of(&payments, (plan.payments, sketch.cut_off));
    Ok(Drawn { ground, payments, survey })
}

/// The node with that many others of more channels, beginning with 1; among equals the lower number goes first.
fn node_of_rank(map: &Gossmap, rank: u32) -> anyhow::Result<u32> {
    let mut degrees = vec![0_u32; map.nodes as usize];
    let open = map.channels.iter().filter(|channel| channel.directions.iter().all(Option::is_some));
    open.flat_map(|channel| channel.ends).for_each(|end| degrees[end as usize] += 1);
    let mut nodes: Vec<(u32, u32)> = (0..).zip(degrees).filter(|(_, degree)| *degree > 0).collect();
    nodes.sort_by_key(|(node, degree)| (std::cmp::Reverse(*degree), *node));
    let place = rank.checked_sub(1).and_then(|place| nodes.get(place as usize));
    place.map(|(node, _)| *node).with_context(|| format!("ranks are 1 to {}", nodes.len()))
}

/// What is needed to draw one payment after the other.
struct Sketch<'a> {
    plan: &'a Plan,
    us: u32,
    doors: Vec<Door>,
    roads: Roads,
    /// By road: has it money?
    open: Vec<bool>,
    /// Running sums of the capacity of all nodes.
    capacity: Vec<u64>,
    /// Running sums of the traffic of all hours.
    hours: Vec<f64>,
    start: Time,
    to_end: Search,
    from_start: Search,
    /// Payments that find no way at all, with us or without.
    cut_off: u32,
}

/// A payment on the network.
#[derive(Clone, Copy)]
struct Errand {
    start: u32,
    end: u32,
    amount: u64,
    payer: Payer,
}

impl<'a> Sketch<'a> {
    fn new(map: &Gossmap, us: u32, doors: Vec<Door>, plan: &'a Plan) -> Sketch<'a> {
        let roads = roads(map, us);
        let mut capacity = vec![0; map.nodes as usize];
        for road in &roads.all {
            capacity[road.from as usize] += road.capacity_msat;
        }
        running_sum(&mut capacity, |sum, own| sum + own);
        let start = Scenario::default().start;
        let hours = i64::from(plan.days.max(1)) * 24;
        let mut hours: Vec<f64> = (0..hours).map(|hour| traffic(Time(start.0 + hour * 3_600_000))).collect();
        running_sum(&mut hours, |sum, own| sum + own);
        Sketch {
            plan,
            us,
            doors,
            open: vec![true; roads.all.len()],
            roads,
            capacity,
            hours,
            start,
            to_end: Search::new(map.nodes),
            from_start: Search::new(map.nodes),
            cut_off: 0,
        }
    }

    fn drain(&mut self, rng: &mut ChaCha8Rng) {
        let drained = f64::from(self.plan.drained_percent) / 100.0;
        for (open, road) in self.open.iter_mut().zip(&self.roads.all) {
            let chance =
                OPEN.iter().find(|(most, _)| road.policy.ppm <= *most).map_or(OPEN_ABOVE, |(_, chance)| *chance);
            *open = rng.random_bool((1.0 - (1.0 - chance) * drained).clamp(0.0, 1.0));
        }
    }

    /// The payment of that number, if some way through us is worth anything to it.
    fn payment(&mut self, number: u32, rng: &mut ChaCha8Rng) -> Option<Payment> {
        let at = self.time(number, rng);
        let (start, end) = (self.node(rng), self.node(rng));
        let payer = match rng.random_range(0..4) {
            0 | 1 => Payer::Lnd,
            2 => Payer::Ldk,
            _ => Payer::CoreLightning,
        };
        let errand = Errand { start, end, amount: draw_amount(rng), payer };
        let manners = Payment { at, amount: errand.amount, ..manners(rng) };
        if start == end || start == self.us || end == self.us {
            return None;
        }
        let (from, best) = self.through_us(&errand)?;
        let mut exits = [best[0]; 3];
        exits.iter_mut().zip(&best).for_each(|(exit, best)| *exit = *best);
        let choices = u8::try_from(best.len().min(3)).ok()?;
        Some(Payment { from, exits, choices, ..manners })
    }

    /// Payments come one after the other, more of them in busy hours.
    fn time(&self, number: u32, rng: &mut ChaCha8Rng) -> Time {
        let place = (f64::from(number) + rng.random::<f64>()) / f64::from(self.plan.payments);
        let mark = place * self.hours.last().copied().unwrap_or(1.0);
        let hour = self.hours.partition_point(|sum| *sum <= mark).min(self.hours.len() - 1);
        let before = if hour == 0 { 0.0 } else { self.hours[hour - 1] };
        let part = (mark - before) / (self.hours[hour] - before);
        self.start.plus_hours(hour as f64 + part.clamp(0.0, 0.999_999))
    }

    /// A node by its capacity.
    fn node(&self, rng: &mut ChaCha8Rng) -> u32 {
        let mark = rng.random_range(0..self.capacity.last().copied().unwrap_or(1).max(1));
        u32::try_from(self.capacity.partition_point(|sum| *sum <= mark)).unwrap_or(self.us)
    }

    /// By which of our channels it would come in, and the best ways out, the best first.
    fn through_us(&mut self, errand: &Errand) -> Option<(u32, Vec<Exit>)> {
        let Errand { start, end, amount, payer } = *errand;
        let (open, roads) = (&self.open, &self.roads);
        // What payers pay nothing for is their own channel.
        let price = |place: u32, road: &Road| {
            let passes = open[place as usize] && road.carries(amount);
            passes.then(|| if road.from == start { 0 } else { road.cost(amount, payer) })
        };
        self.to_end.run(roads, (end, Course::Backward), price, |node, _| node == start);
        let without = self.to_end.cost(start);
        let outward = self.doors.iter().filter(|door| door.outward.carries(amount));
        let rest = outward.map(|door| self.to_end.cost(door.peer)).min()?;
        if rest >= without {
            self.cut_off += u32::from(without == NEVER);
            return None;
        }
        let most = without - rest;
        self.from_start.run(roads, (start, Course::Forward), price, |_, cost| cost >= most);
        let Some((from, entry)) = self.entry(errand) else {
            self.cut_off += u32::from(without == NEVER);
            return None;
        };
        let exits = self.exits(errand, without, entry);
        (!exits.is_empty()).then_some((from, exits))
    }

    /// The cheapest way to us.
    fn entry(&self, errand: &Errand) -> Option<(u32, u64)> {
        let Errand { start, amount, payer, .. } = *errand;
        let cost = |door: &Door| {
            let toward = self.from_start.cost(door.peer);
            let last = if door.peer == start { 0 } else { door.inward.cost(amount, payer) };
            (toward != NEVER && door.inward.carries(amount)).then(|| toward.saturating_add(last))
        };
        let costs = (0..).zip(&self.doors).filter_map(|(place, door)| Some((cost(door)?, place)));
        costs.min().map(|(cost, place)| (place, cost))
    }

    /// What each way out is worth; at most three that are worth anything.
    fn exits(&self, errand: &Errand, without: u64, entry: u64) -> Vec<Exit> {
        let Errand { amount, payer, .. } = *errand;
        let most = MOST_PPM * amount as f64 / 1e6;
        let worth = |door: &Door| {
            let rest = self.to_end.cost(door.peer);
            if rest == NEVER || !door.outward.carries(amount) {
                return 0.0;
            }
            let others = entry.saturating_add(rest);
            let left = if without == NEVER { f64::INFINITY } else { without.saturating_sub(others) as f64 };
            door.outward.fee_at(left, amount, payer).min(most)
        };
        let reservation = |door: &Door| to_u32_rounded((worth(door) / amount as f64 * 1e9).floor());
        let ways = (0..).zip(&self.doors).map(|(channel, door)| Exit { channel, reservation: reservation(door) });
        let mut ways: Vec<Exit> = ways.filter(|exit| exit.reservation > 0).collect();
        ways.sort_by_key(|exit| (std::cmp::Reverse(exit.reservation), exit.channel));
        ways.truncate(3);
        ways
    }
}

fn running_sum<T: Copy>(values: &mut [T], add: impl Fn(T, T) -> T) {
    for i in 1..values.len() {
        values[i] = add(values[i - 1], values[i]);
    }
}

fn draw_amount(rng: &mut ChaCha8Rng) -> u64 {
    let large = rng.random_bool(TAIL.0);
    let tail = Pareto::new(5.0 * MEDIAN_SAT, TAIL.1).map_or(MEDIAN_SAT, |law| law.sample(rng));
    let body = log_normal(MEDIAN_SAT, AMOUNT_SPREAD).sample(rng);
    to_u64_rounded(if large { tail } else { body }.clamp(1.0, LARGEST_SAT) * 1000.0)
}
