//! The scene of a market: our channels, their peers and how much is wanted of them, drawn from a seed. Nothing here moves.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, LogNormal};

use super::curve::has_point;
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
    /// Standard deviation of the logarithm of what single payers of one channel accept.
    pub payer_spread: f64,
    /// Share of the time that a peer is offline.
    pub offline: f64,
    /// Share of the payments that could also leave by another of our peers.
    pub rivalry: f64,
    /// Share of the channels that belong to a peer with whom we have another one.
    pub parallel: f64,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            seed: 1,
            channels: 8,
            start: MONDAY,
            median_ppm: 260.0,
            level_spread: 0.8,
            payer_spread: 0.9,
            offline: 0.02,
            rivalry: 0.25,
            parallel: 0.15,
        }
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
        let shape = &self.scenario;
        let capacity_sat = (rng.random_range(3e6_f64.ln()..16e6_f64.ln())).exp();
        let capacity = to_u64_rounded(capacity_sat / 1000.0) * 1_000_000;
        let level = log_normal(shape.median_ppm, shape.level_spread).sample(rng);
        let out_per_day = rng.random_range(10f64.ln()..150f64.ln()).exp();
        let in_weight = Gamma::new(0.9, 1.0_f64).map_or(1.0, |gamma| gamma.sample(rng)).max(0.01);
        let median_sat = rng.random_range(20e3_f64.ln()..100e3_f64.ln()).exp();
        let local = to_u64_rounded(capacity as f64 * rng.random_range(0.2..0.8) / 1000.0) * 1000;
        let parallel = self.peers.len() > 1 && rng.random_bool(shape.parallel);
        let opener = if rng.random_bool(0.7) { Side::Local } else { Side::Remote };
        Seat {
            channel_id: ChannelId(rng.random()),
            scid: scid(700_000 + 40 * place + rng.random_range(0..40), rng.random_range(1..3000), 0),
            alias: scid(rng.random_range(1 << 21..1 << 23), rng.random_range(0..1 << 24), rng.random()),
            peer: self.peer(parallel, rng),
            opener,
            capacity: Msat(capacity),
            local: Msat(local),
            level_ppm: level.clamp(5.0, 5_000.0),
            out_per_day,
            in_weight,
            median_sat,
            their_ppm: rng.random_range(0..400),
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
