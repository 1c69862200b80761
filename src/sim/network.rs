//! The scene of a market: our channels, their peers and how much is wanted of them, drawn from a seed. Nothing here moves.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, LogNormal};

use super::curve::has_point;
use super::story::{self, Beat, Phase, Story};
use crate::domain::units::to_u64_rounded;
use crate::domain::{ChannelId, Msat, PeerId, Scid, Side, Time};

/// Monday, 2024-01-01 00:00 UTC: where a market begins unless it is told otherwise.
pub const MONDAY: Time = Time::from_secs(1_704_067_200);
/// Height of the chain when the market begins.
pub const START_HEIGHT: u32 = 840_000;
pub const SMALLEST: u32 = 2;
pub const LARGEST: u32 = 2_000;

/// What a market is drawn from. The same scenario gives the same market, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub seed: u64,
    /// How many channels we have; cut to what [`SMALLEST`] and [`LARGEST`] allow.
    pub channels: u32,
    pub start: Time,
    /// Median over the channels of what payers accept (ppm).
    pub median_ppm: f64,
    /// Standard deviation of the logarithm of that level from channel to channel.
    pub level_spread: f64,
    /// Standard deviation of the logarithm of what single payers of one channel accept: from and to, drawn by channel.
    pub payer_spread: (f64, f64),
    /// Share of the time that a peer is offline.
    pub offline: f64,
    /// Share of the payments that could also leave by another of our peers.
    pub rivalry: f64,
    /// Share of the channels that belong to a peer with whom we have another one.
    pub parallel: f64,
    /// Fee of all channels on the first day (ppm), for those who play by [`super::play`].
    pub start_ppm: u32,
    /// Payments a day that want to leave by a channel, from and to.
    pub rates: (f64, f64),
    /// Sat, from and to.
    pub capacities: (f64, f64),
    /// Shape of the gamma law of the incoming weights: the smaller, the fewer channels bring most of the traffic. `None`: all
    /// bring the same.
    pub in_shape: Option<f64>,
    /// `None`: a closed market, every payment comes in by one of our channels and leaves by another. With a number payments
    /// come from elsewhere, channels do not touch each other, and each gets back from elsewhere so many times what its best
    /// fixed fee would sell.
    pub refill: Option<f64>,
    /// Payers of two kinds: share of the first kind, and by what the levels of both differ from the channel's.
    pub segments: Option<(f64, f64, f64)>,
    /// Share of the payers who hardly look at the price.
    pub insensitive: f64,
    /// Of the payers who are refused for an old price, the share that looks at the new one; the others go for good.
    pub patience: f64,
    /// No channel has ever been used: those that we opened are full, the others are empty.
    pub virgin: bool,
    /// How many times more than it would want by itself is wanted of the first channel.
    pub whale: f64,
    pub story: Story,
    pub beat: Option<Beat>,
    /// Times a week that all of a channel's slots are held by somebody for hours.
    pub jams_per_week: f64,
    /// Days between jumps of the price of block space, on average.
    pub spike_days: f64,
    /// What payers accept follows the price of block space with this exponent.
    pub spike_pull: f64,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            seed: 1,
            channels: 8,
            start: MONDAY,
            median_ppm: 260.0,
            level_spread: 0.8,
            payer_spread: (0.9, 0.9),
            offline: 0.02,
            rivalry: 0.25,
            parallel: 0.15,
            start_ppm: 200,
            rates: (10.0, 150.0),
            capacities: (3e6, 16e6),
            in_shape: Some(0.9),
            refill: None,
            segments: None,
            insensitive: 0.0,
            patience: 1.0,
            virgin: false,
            whale: 1.0,
            story: Story::Steady,
            beat: None,
            jams_per_week: 0.0,
            spike_days: 6.0,
            spike_pull: 0.0,
        }
    }
}

impl Scenario {
    /// The day on which everything changes at once, if there is one.
    pub fn shock_day(&self) -> Option<u32> {
        story::shock_day(self)
    }
}

/// One of our channels before the first payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    pub channel_id: ChannelId,
    pub scid: Scid,
    pub alias: Scid,
    /// Place in [`Network::peers`].
    pub peer: u32,
    pub opener: Side,
    pub capacity: Msat,
    pub local: Msat,
    /// Median of what payers accept for a way out by this channel (ppm).
    pub level_ppm: f64,
    /// Payments a day that want to leave by this channel, at any price.
    pub out_per_day: f64,
    /// Share of all payments that come in here, in no unit.
    pub in_weight: f64,
    /// Median payment (sat).
    pub median_sat: f64,
    /// What the peer asks for forwards toward us.
    pub their_ppm: u32,
    /// Standard deviation of the logarithm of what single payers accept.
    pub payer_spread: f64,
    /// Payments a day that come in here and do not leave by another of our channels.
    pub refills_per_day: f64,
    /// How demand changes on the way.
    pub phases: Vec<Phase>,
}

/// Who we are and who our peers are.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub scenario: Scenario,
    pub us: PeerId,
    pub peers: Vec<PeerId>,
    pub seats: Vec<Seat>,
}

impl Network {
    pub fn draw(scenario: Scenario) -> Arc<Network> {
        let mut rng = stream(scenario.seed, Stream::Network, 0);
        let us = node_id(&mut rng);
        let mut network = Network { us, peers: Vec::new(), seats: Vec::new(), scenario };
        for place in 0..network.scenario.channels.clamp(SMALLEST, LARGEST) {
            let seat = network.seat(place, &mut rng);
            network.seats.push(seat);
        }
        Arc::new(network)
    }

    fn seat(&mut self, place: u32, rng: &mut ChaCha8Rng) -> Seat {
        let shape = self.scenario.clone();
        let capacity = to_u64_rounded(log_uniform(shape.capacities, rng) / 1000.0) * 1_000_000;
        let level = log_normal(shape.median_ppm, shape.level_spread).sample(rng);
        let whale = if place == 0 { shape.whale } else { 1.0 };
        let out_per_day = log_uniform(shape.rates, rng) * whale;
        let gamma = Gamma::new(shape.in_shape.unwrap_or(1.0), 1.0_f64);
        let in_weight = gamma.map_or(1.0, |gamma| gamma.sample(rng)).max(0.01);
        let median_sat = log_uniform((20e3, 100e3), rng);
        let local = to_u64_rounded(capacity as f64 * rng.random_range(0.2..0.8) / 1000.0) * 1000;
        let parallel = self.peers.len() > 1 && rng.random_bool(shape.parallel);
        let opener = if rng.random_bool(0.7) { Side::Local } else { Side::Remote };
        let mut own = stream(shape.seed, Stream::Story, (1 << 32) + u64::from(place));
        let payer_spread = shape.payer_spread.0 + (shape.payer_spread.1 - shape.payer_spread.0) * own.random::<f64>();
        let best = best_share(payer_spread);
        Seat {
            channel_id: ChannelId(rng.random()),
            scid: scid(700_000 + 40 * place + rng.random_range(0..40), rng.random_range(1..3000), 0),
            alias: scid(rng.random_range(1 << 21..1 << 23), rng.random_range(0..1 << 24), rng.random()),
            peer: self.peer(parallel, rng),
            opener,
            capacity: Msat(capacity),
            local: Msat(if shape.virgin { never_used(opener, capacity) } else { local }),
            level_ppm: level.clamp(5.0, f64::max(5_000.0, shape.median_ppm)),
            out_per_day,
            in_weight: if shape.in_shape.is_some() { in_weight } else { 1.0 },
            median_sat,
            their_ppm: rng.random_range(0..400),
            payer_spread,
            // What feeds the whale does not grow with it.
            refills_per_day: shape.refill.unwrap_or(0.0) * out_per_day / whale * best,
            phases: story::phases(&shape, place, place + 1 == shape.channels),
        }
    }

    fn peer(&mut self, parallel: bool, rng: &mut ChaCha8Rng) -> u32 {
        if !parallel {
            self.peers.push(node_id(rng));
        }
        let newest = u32::try_from(self.peers.len() - 1).expect("there are at most LARGEST peers");
        if parallel { rng.random_range(0..newest) } else { newest }
    }
}

/// Independent sources of chance: drawing more of one leaves the others as they were.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    Network = 1,
    Payments = 2,
    Outages = 3,
    Mempool = 4,
    Timers = 5,
    Story = 6,
    Jams = 7,
    Score = 8,
    Oracle = 9,
    Backtest = 10,
    Moves = 11,
    Ways = 12,
}

/// The generator of one stream, at one place (such as a day) of it.
pub fn stream(seed: u64, stream: Stream, place: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((stream as u64) << 48 | place);
    rng
}

/// Log-normal around a median.
pub(super) fn log_normal(median: f64, spread: f64) -> LogNormal<f64> {
    LogNormal::new(median.ln(), spread).expect("spreads are finite and not negative")
}

fn log_uniform((from, to): (f64, f64), rng: &mut ChaCha8Rng) -> f64 {
    let place = rng.random_range(0.0..1.0);
    (from.ln() + (to.ln() - from.ln()) * place).exp()
}

fn never_used(opener: Side, capacity: u64) -> u64 {
    if opener == Side::Local { capacity } else { 0 }
}

/// Share of the payers who pay the fee that earns most, where what they accept is log-normal with this spread: by trying fees
/// from a tenth of the median to ten times it.
fn best_share(spread: f64) -> f64 {
    let share = |fee: f64| normal_above(fee.ln() / spread.max(0.01));
    let ladder = (-46..=46).map(|step| (f64::from(step) * 0.05).exp());
    ladder.map(|fee| (fee * share(fee), share(fee))).max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.5, |(_, share)| share)
}

/// The chance of a standard normal number above `x`, to four digits (Abramowitz and Stegun 26.2.19).
fn normal_above(x: f64) -> f64 {
    let z = x.abs();
    let d = [0.049_867_347, 0.021_141_006, 0.003_277_626, 0.000_038_004, 0.000_048_891, 0.000_005_383];
    let sum = 1.0 + d.iter().rev().fold(0.0, |sum, d| (sum + d) * z);
    let tail = 0.5 * sum.powi(-16);
    if x >= 0.0 { tail } else { 1.0 - tail }
}

fn scid(block: u32, transaction: u32, output: u16) -> Scid {
    Scid::new(block, transaction, output).expect("all parts are drawn within their range")
}

/// Every other number is the key of some node, and some plugins look.
fn node_id(rng: &mut ChaCha8Rng) -> PeerId {
    loop {
        let mut id = [0; 33];
        rng.fill(&mut id[..]);
        id[0] = 2 + id[0] % 2;
        if has_point(&id[1..]) {
            return PeerId(id);
        }
    }
}
