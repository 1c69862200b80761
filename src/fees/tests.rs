//! A peer of quiet defaults, and tables and properties of the alpha sequence.

use super::*;
use crate::domain::{ChannelId, ChannelState, FeePolicy, Scid, Side};

pub(super) const START: Time = Time::from_secs(1_704_067_200);

/// Everything that a decision looks at, owned: one connected channel of 5 M sat, half full, at 200 ppm.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) now: Time,
    pub(super) channels: Vec<Channel>,
    pub(super) out_per_day: Option<f64>,
    pub(super) observed: Observed,
    pub(super) market: Market,
    pub(super) updates: Updates,
    pub(super) memory: Option<Memory>,
    pub(super) tuning: Tuning,
}

pub(super) fn channel(number: u8, ppm: u32) -> Channel {
    Channel {
        channel_id: ChannelId([number; 32]),
        scid: Scid::new(800_000, u32::from(number), 0),
        alias: None,
        peer: PeerId([2; 33]),
        state: ChannelState::Normal,
        opener: Some(Side::Local),
        private: false,
        connected: true,
        capacity: Msat(5_000_000_000),
        local: Msat(2_500_000_000),
        spendable: Msat(2_450_000_000),
        receivable: None,
        htlcs_out: 0,
        htlcs_in: 0,
        max_htlcs: Some(483),
        ours: FeePolicy { base: Msat(0), ppm: Ppm(ppm), htlc_min: None, htlc_max: None },
        theirs: None,
        sent: Some(Msat(1_000_000)),
    }
}

pub(super) fn scene(ppm: u32) -> Scene {
    Scene {
        now: START,
        channels: vec![channel(1, ppm)],
        out_per_day: None,
        observed: Observed { from: START.plus_secs(-1800), to: START, ..Observed::default() },
        market: Market {
            amounts: vec![Msat(50_000_000)],
            traffic: vec![1.0; 168],
            floor_multiplier: 1.0,
            sat_per_kvb: None,
        },
        updates: Updates::default(),
        memory: None,
        tuning: Tuning {
            min: Ppm(10),
            max: Ppm(5000),
            congestion_threshold: 0.8,
            scarcity: true,
            scarcity_threshold: 0.35,
            updates_per_day: 2,
            hysteresis: 0.05,
        },
    }
}

impl Scene {
    pub(super) fn decide(&self) -> FeeDecision {
        let channels: Vec<&Channel> = self.channels.iter().collect();
        decide(&FeeInputs {
            now: self.now,
            peer: PeerId([2; 33]),
            channels: &channels,
            out_per_day: self.out_per_day,
            class: None,
            observed: &self.observed,
            market: &self.market,
            updates: self.updates,
            memory: self.memory.as_ref(),
            tuning: &self.tuning,
        })
    }
}
