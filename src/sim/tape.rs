//! The tape: every payment that wants through us, with what its payer would pay, before anybody sets a fee. All controllers are
//! judged on the same tape. A day of it is a pure function of the network and the number of the day.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, LogNormal, Pareto, Poisson};

use super::mempool::Mempool;
use super::network::{Network, Seat, Stream, log_normal, stream};
use crate::domain::Time;
use crate::domain::units::{to_u32_rounded, to_u64_rounded};

pub const DAY_MS: i64 = 24 * 3_600_000;

/// The way in of payments that come from elsewhere, by none of our channels.
pub const ELSEWHERE: u32 = u32::MAX;

/// One of our channels by which a payment could leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    pub channel: u32,
    /// The highest fee at which this exit is still worth it, in thousandths of a ppm.
    pub reservation: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    pub at: Time,
    /// What is to leave by us (msat).
    pub amount: u64,
    /// The channel by which it comes in, or [`ELSEWHERE`].
    pub from: u32,
    pub exits: [Exit; 3],
    /// How many of `exits` there are. None: it comes in by `from` and stays, which is not a forward and earns nothing.
    pub choices: u8,
    /// The rest of the route fails. Where there are no exits: it does not come in but leaves, by whatever way.
    pub doomed: bool,
    /// After a failure for lack of balance the payer tries another of our channels.
    pub stubborn: bool,
    /// Until the payment is settled or failed.
    pub hold_ms: u32,
    /// How old the payer's knowledge of our fees is.
    pub gossip_ms: u32,
}

/// A peer that is away for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    pub peer: u32,
    pub from: Time,
    pub until: Time,
}

/// A channel all of whose slots somebody holds for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jam {
    pub channel: u32,
    pub from: Time,
    pub until: Time,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// In the order of time.
    pub payments: Vec<Payment>,
    pub outages: Vec<Outage>,
    pub jams: Vec<Jam>,
}

/// What payers of one channel accept during an hour.
#[derive(Clone, Copy)]
struct Hour {
    at: Time,
    level_ppm: f64,
    out_per_hour: f64,
    refills_per_hour: f64,
}

#[derive(Clone, Debug)]
pub struct Tape {
    network: Arc<Network>,
    /// Running sums of the incoming weights.
    weights: Vec<f64>,
    /// By peer: its channels.
    by_peer: Vec<Vec<u32>>,
    frozen: Vec<Arc<Day>>,
    /// Nothing is drawn after the frozen days.
    ends: bool,
    /// Which of all tapes that the same network could have had: 0 is the one that is played.
    draw: u16,
}

impl Tape {
    pub fn new(network: Arc<Network>) -> Tape {
        let weights = network.seats.iter().scan(0.0, |sum, seat| {
            *sum += seat.in_weight;
            Some(*sum)
        });
        let mut by_peer = vec![Vec::new(); network.peers.len()];
        for (place, seat) in (0u32..).zip(&network.seats) {
            by_peer[seat.peer as usize].push(place);
        }
        Tape { weights: weights.collect(), by_peer, frozen: Vec::new(), ends: false, draw: 0, network }
    }

    /// Draws the first days once, for those who play them often.
    #[must_use]
    pub fn frozen(mut self, days: u32) -> Tape {
        self.frozen = (0..days).map(|day| Arc::new(self.draw(day))).collect();
        self
    }

    /// A tape of ready payments, with outages as the network draws them; after its days it is silent.
    pub fn of_days(network: Arc<Network>, days: Vec<Day>) -> Tape {
        let mut tape = Tape::new(network);
        let days = (0u32..).zip(days).map(|(number, mut day)| {
            day.outages = tape.draw_outages(number);
            Arc::new(day)
        });
        tape.frozen = days.collect();
        tape.ends = true;
        tape
    }

    /// A tape of so many days of payments, which are in the order of time.
    pub fn of_payments(network: Arc<Network>, count: u32, payments: impl IntoIterator<Item = Payment>) -> Tape {
        let start = network.scenario.start;
        let mut days = vec![Day::default(); count as usize];
        for payment in payments {
            let day = usize::try_from((payment.at.0 - start.0) / DAY_MS).unwrap_or(0);
            if let Some(day) = days.get_mut(day) {
                day.payments.push(payment);
            }
        }
        Tape::of_days(network, days)
    }

    /// Another tape of the same payers: as many are wanted by the same channels at the same prices and in the same regimes, but
    /// which payment comes when, and which peer is away, is another chance. `None`: its payments were not drawn.
    pub fn redrawn(&self, draw: u16) -> Option<Tape> {
        (!self.ends).then(|| Tape { frozen: Vec::new(), draw, ..self.clone() })
    }

    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Days after which it is silent, if it ever is.
    pub fn length(&self) -> Option<u32> {
        self.ends.then(|| u32::try_from(self.frozen.len()).unwrap_or(u32::MAX))
    }

    pub fn start_of(&self, day: u32) -> Time {
        Time(self.network.scenario.start.0 + i64::from(day) * DAY_MS)
    }

    pub fn day(&self, day: u32) -> Arc<Day> {
        let drawn = || if self.ends { Arc::default() } else { Arc::new(self.draw(day)) };
        self.frozen.get(day as usize).cloned().unwrap_or_else(drawn)
    }

    /// Where chance of that day comes from.
    fn place(&self, day: u32) -> u64 {
        u64::from(self.draw) << 32 | u64::from(day)
    }

    fn draw(&self, day: u32) -> Day {
        let seed = self.network.scenario.seed;
        let mut rng = stream(seed, Stream::Payments, self.place(day));
        let mut payments = Vec::new();
        for hour in 0..24 {
            let start = Time(self.start_of(day).0 + hour * 3_600_000);
            self.draw_hour(start, &mut rng, &mut payments);
        }
        payments.sort_by_key(|payment| payment.at);
        Day { payments, outages: self.draw_outages(day), jams: self.draw_jams(day) }
    }

    /// Arrivals of every pair (source, exit) are Poisson. All pairs of an exit together are Poisson too, and each arrival
    /// then belongs to a source by the sources' weights: the same law at a fraction of the draws.
    fn draw_hour(&self, start: Time, rng: &mut ChaCha8Rng, payments: &mut Vec<Payment>) {
        for (place, seat) in (0u32..).zip(&self.network.seats) {
            let hour = self.hour(seat, start);
            let amounts = log_normal(seat.median_sat, AMOUNT_SPREAD);
            for _ in 0..poisson(hour.out_per_hour, rng) {
                payments.extend(self.draw_payment(&hour, place, &amounts, rng));
            }
            for _ in 0..poisson(hour.refills_per_hour, rng) {
                payments.push(draw_refill(seat, (place, start), &amounts, rng));
            }
        }
    }

    /// Demand of one channel at that hour.
    fn hour(&self, seat: &Seat, at: Time) -> Hour {
        let scenario = &self.network.scenario;
        let (mut level, mut rate) = seat
            .phases
            .iter()
            .rev()
            .find(|phase| phase.from <= at)
            .map_or((1.0, 1.0), |phase| (phase.level, phase.rate));
        if let Some(beat) = &scenario.beat {
            let up = beat.is_up(scenario.start, at);
            level *= if up { beat.level } else { 1.0 / beat.level };
            rate *= if up { beat.rate } else { 1.0 / beat.rate };
        }
        if scenario.spike_pull > 0.0 {
            level *= Mempool::of(scenario).ratio(at).powf(scenario.spike_pull);
        }
        let traffic = traffic(at) / 24.0;
        Hour {
            at,
            level_ppm: seat.level_ppm * level,
            out_per_hour: seat.out_per_day * rate * traffic,
            refills_per_hour: seat.refills_per_day * traffic,
        }
    }

    fn draw_payment(&self, hour: &Hour, exit: u32, amounts: &LogNormal<f64>, rng: &mut ChaCha8Rng) -> Option<Payment> {
        let at = Time(hour.at.0 + rng.random_range(0..3_600_000));
        let seat = &self.network.seats[exit as usize];
        let amount = draw_amount(seat, amounts, rng);
        let open = self.network.scenario.refill.is_some();
        let from = if open { ELSEWHERE } else { self.draw_source(rng) };
        let (exits, choices) = self.draw_exits((exit, hour), from, rng);
        let manners = manners(rng);
        // A payment to the peer that it comes from never takes the way through us.
        let comes_back = !open && self.network.seats[from as usize].peer == seat.peer;
        (!comes_back).then_some(Payment { at, amount, from, exits, choices, ..manners })
    }

    fn draw_source(&self, rng: &mut ChaCha8Rng) -> u32 {
        let total = self.weights.last().copied().unwrap_or(1.0);
        let mark = rng.random_range(0.0..total);
        let place = self.weights.partition_point(|sum| *sum <= mark).min(self.weights.len() - 1);
        u32::try_from(place).expect("a network has at most LARGEST channels")
    }

    /// The exit that is wanted, a parallel channel with the same peer, and sometimes a rival.
    fn draw_exits(&self, (exit, hour): (u32, &Hour), from: u32, rng: &mut ChaCha8Rng) -> ([Exit; 3], u8) {
        let seats = &self.network.seats;
        let reservation = self.draw_reservation(&seats[exit as usize], hour.level_ppm, rng);
        let mut exits = [Exit { channel: exit, reservation }; 3];
        let mut choices = 1;
        if from == ELSEWHERE {
            return (exits, choices);
        }
        let peer = seats[exit as usize].peer;
        let siblings = &self.by_peer[peer as usize];
        if siblings.len() > 1 {
            let others = siblings.len() - 1;
            let sibling = siblings.iter().filter(|c| **c != exit).nth(rng.random_range(0..others));
            exits[1].channel = sibling.copied().unwrap_or(exit);
            choices = 2;
        }
        let rival = self.draw_source(rng);
        let rival_peer = seats[rival as usize].peer;
        let rivalled = rng.random_bool(self.network.scenario.rivalry);
        let rival_level = self.hour(&seats[rival as usize], hour.at).level_ppm;
        let rival_reservation = self.draw_reservation(&seats[rival as usize], rival_level, rng);
        if rivalled && rival_peer != peer && rival_peer != seats[from as usize].peer {
            exits[usize::from(choices)] = Exit { channel: rival, reservation: rival_reservation };
            choices += 1;
        }
        (exits, choices)
    }

    fn draw_reservation(&self, seat: &Seat, level_ppm: f64, rng: &mut ChaCha8Rng) -> u32 {
        let scenario = &self.network.scenario;
        let kind =
            scenario.segments.map_or(1.0, |(share, first, second)| if rng.random_bool(share) { first } else { second });
        let careless = scenario.insensitive > 0.0 && rng.random_bool(scenario.insensitive);
        let accepted = log_normal(level_ppm * kind, seat.payer_spread).sample(rng);
        to_u32_rounded(1000.0 * if careless { accepted.max(level_ppm * CARELESS) } else { accepted })
    }

    /// Peers go away for two hours on average, so often that the share of the scenario comes out.
    fn draw_outages(&self, day: u32) -> Vec<Outage> {
        let scenario = &self.network.scenario;
        let mut rng = stream(scenario.seed, Stream::Outages, self.place(day));
        let chance = (scenario.offline * 12.0).clamp(0.0, 1.0);
        let mut outages = Vec::new();
        for peer in (0u32..).take(self.network.peers.len()) {
            let (strikes, at) = (rng.random_bool(chance), rng.random_range(0..DAY_MS));
            let hours: f64 = Exp1.sample(&mut rng);
            let from = Time(self.start_of(day).0 + at);
            if strikes {
                outages.push(Outage { peer, from, until: from.plus_hours(hours * 2.0) });
            }
        }
        outages
    }

    fn draw_jams(&self, day: u32) -> Vec<Jam> {
        let scenario = &self.network.scenario;
        let mut rng = stream(scenario.seed, Stream::Jams, self.place(day));
        let mut jams = Vec::new();
        for channel in (0u32..).take(self.network.seats.len()) {
            if scenario.jams_per_week > 0.0 && rng.random_bool((scenario.jams_per_week / 7.0).min(1.0)) {
                let from = Time(self.start_of(day).0 + rng.random_range(0..DAY_MS / 2));
                jams.push(Jam { channel, from, until: from.plus_hours(rng.random_range(3.0..12.0)) });
            }
        }
        jams
    }
}

/// Mean age of what payers know of our prices.
const GOSSIP_HOURS: f64 = 2.0;
/// Of those who find no balance, the share that tries another of our channels.
pub(super) const STUBBORN: f64 = 0.7;

/// What has nothing to do with ways and amounts: how long a payment is under way, and how its payer behaves.
pub(super) fn manners(rng: &mut ChaCha8Rng) -> Payment {
    let gossip_hours = gossip_hours(rng);
    let stuck = rng.random_bool(0.005);
    let hold = if stuck { rng.random_range(1.0..24.0) * 3600.0 } else { log_normal(3.0, 0.6).sample(rng) };
    Payment {
        doomed: rng.random_bool(0.05),
        stubborn: rng.random_bool(STUBBORN),
        hold_ms: to_u32_rounded(hold * 1000.0).max(50),
        gossip_ms: to_u32_rounded(gossip_hours * 3_600_000.0),
        ..Payment::default()
    }
}

/// How old one payer's knowledge of our prices is.
pub(super) fn gossip_hours(rng: &mut ChaCha8Rng) -> f64 {
    let hours: f64 = Exp1.sample(rng);
    hours * GOSSIP_HOURS
}

/// Payers who hardly look at the price pay up to this multiple of what others accept.
const CARELESS: f64 = 4.0;

fn poisson(mean: f64, rng: &mut ChaCha8Rng) -> u32 {
    Poisson::new(mean).map_or(0, |law| to_u32_rounded(law.sample(rng)))
}

/// What comes in by a channel and stays.
fn draw_refill(seat: &Seat, (place, hour): (u32, Time), amounts: &LogNormal<f64>, rng: &mut ChaCha8Rng) -> Payment {
    let at = Time(hour.0 + rng.random_range(0..3_600_000));
    let amount = draw_amount(seat, amounts, rng);
    Payment { at, amount, from: place, ..Payment::default() }
}

/// Standard deviation of the logarithm of amounts.
const AMOUNT_SPREAD: f64 = 1.6;

/// In sat by law, in msat by chance: amounts on the network are rarely round.
fn draw_amount(seat: &Seat, amounts: &LogNormal<f64>, rng: &mut ChaCha8Rng) -> u64 {
    let large = rng.random_bool(0.03);
    let tail = Pareto::new(5.0 * seat.median_sat, 1.2).map_or(seat.median_sat, |law| law.sample(rng));
    let body = amounts.sample(rng);
    let msat = to_u64_rounded(if large { tail } else { body }.max(1.0) * 1000.0);
    msat.min(seat.capacity.0 / 2)
}

/// How much of the average traffic there is at this hour of the week.
pub(super) fn traffic(at: Time) -> f64 {
    let hour = (at.hour() % 24) as f64;
    let weekend = at.hour_of_week() >= 5 * 24;
    let of_day = 1.0 + 0.45 * ((hour - 10.0) / 24.0 * std::f64::consts::TAU).sin();
    of_day * if weekend { 0.8 } else { 1.08 }
}
