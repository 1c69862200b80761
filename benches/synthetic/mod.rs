//! Forwards as a busy node has them, made of a seed: for tests and benches only. Whoever includes this file has `domain` in scope.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::domain::units::to_u32_rounded;
use super::domain::{
    Channel, ChannelId, ChannelState, FeePolicy, Forward, ForwardKey, ForwardStatus, Identity, Msat, PeerId, Ppm, Scid,
    Time,
};

/// An endless list of forwards in the order of their creation, each with its outcome.
pub(super) struct Forwards {
    random: ChaCha8Rng,
    channels: u32,
    htlcs: Vec<u64>,
    created: u64,
    updated: u64,
    now: Time,
    gap_millis: i64,
}

impl Forwards {
    pub(super) fn new(seed: u64, channels: u32, start: Time, gap_millis: i64) -> Forwards {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let htlcs = (0..channels).map(|_| 0).collect();
        Forwards { random, channels, htlcs, created: 0, updated: 0, now: start, gap_millis }
    }

    /// Few channels carry much of the traffic.
    fn pick(&mut self) -> u32 {
        let share = self.random.random::<f64>().powi(2);
        to_u32_rounded((share * f64::from(self.channels)).floor()).min(self.channels - 1)
    }
}

impl Iterator for Forwards {
    type Item = Forward;

    fn next(&mut self) -> Option<Forward> {
        let (incoming, out) = (self.pick(), self.pick());
        self.now = Time(self.now.0 + self.random.random_range(0..=2 * self.gap_millis));
        self.created += 1;
        let slot = self.htlcs.get_mut(usize::try_from(incoming).ok()?)?;
        let in_htlc_id = *slot;
        *slot += 1;
        let out_msat = Msat(self.random.random_range(1_000..500_000_000));
        let fee = Ppm(self.random.random_range(1..2000)).fee_floor(out_msat);
        let status = match self.random.random_range(0..100) {
            0..55 => ForwardStatus::Settled,
            55..85 => ForwardStatus::Failed,
            _ => ForwardStatus::LocalFailed,
        };
        let by_us = status == ForwardStatus::LocalFailed;
        if !by_us {
            self.updated += 1;
        }
        let failcode = match self.random.random_range(0..4) {
            0 | 1 => 0x1007,
            2 => 0x100c,
            _ => 0x400a,
        };
        Some(Forward {
            key: ForwardKey { in_channel: scid(incoming), in_htlc_id },
            out_channel: Some(if failcode == 0x400a && by_us { Scid(self.random.random()) } else { scid(out) }),
            in_msat: Msat(out_msat.0 + fee.0),
            out_msat: (!by_us).then_some(out_msat),
            fee: (!by_us).then_some(fee),
            status,
            failcode: by_us.then_some(failcode),
            received: self.now,
            resolved: (!by_us).then(|| Time(self.now.0 + self.random.random_range(50..5_000))),
            created_index: Some(self.created),
            updated_index: (!by_us).then_some(self.updated),
        })
    }
}

pub(super) fn owner() -> Identity {
    Identity { node: peer(0), network: "regtest".to_owned() }
}

pub(super) fn scid(n: u32) -> Scid {
    Scid((u64::from(n) + 100) << 40 | 1 << 16)
}

pub(super) fn channel_id(n: u32) -> ChannelId {
    let mut bytes = [0xc0; 32];
    bytes[28..].copy_from_slice(&n.to_be_bytes());
    ChannelId(bytes)
}

pub(super) fn peer(n: u32) -> PeerId {
    let mut bytes = [2; 33];
    // An odd factor keeps numbers apart and gives every byte all values, as real ids have them.
    bytes[29..].copy_from_slice(&n.wrapping_mul(0x9e37_79b1).to_be_bytes());
    PeerId(bytes)
}

pub(super) fn channel(n: u32) -> Channel {
    Channel {
        channel_id: channel_id(n),
        scid: Some(scid(n)),
        alias: Some(Scid((1 << 63) | u64::from(n))),
        peer: peer(n),
        state: ChannelState::Normal,
        opener: None,
        private: false,
        connected: true,
        capacity: Msat(5_000_000_000),
        local: Msat(2_500_000_000),
        spendable: Msat(2_400_000_000),
        receivable: None,
        htlcs_out: 0,
        htlcs_in: 0,
        max_htlcs: Some(30),
        ours: FeePolicy { base: Msat(0), ppm: Ppm(200), htlc_min: None, htlc_max: None },
        theirs: None,
        sent: None,
        bounds: Default::default(),
    }
}
