//! A peer of quiet defaults, and what belongs to no single stage.

mod balance;
mod base_fee;
mod bounds;
mod congestion;
mod floor;
mod gossip;
mod memory;
mod observation;
mod opinion;
mod plan;
mod policies;
mod properties;
mod scarcity;

use super::*;
use crate::domain::{ChannelId, ChannelState, FeePolicy, Scid, Side};

pub(super) const START: Time = Time::from_secs(1_704_067_200);

/// Everything that a decision looks at, owned: one connected channel of 5 M sat, half full, at 200 ppm.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) now: Time,
    pub(super) channels: Vec<Channel>,
    pub(super) out_per_day: Option<f64>,
    pub(super) observed: Observed,
    pub(super) market: Market,
    pub(super) updates: Updates,
    pub(super) memory: Option<Memory>,
    pub(super) bid: Option<Bid>,
    pub(super) tuning: Tuning,
    pub(super) policy: Policy,
}

pub(super) fn channel(number: u8, ppm: u32) -> Channel {
    Channel {
        channel_id: ChannelId([number; 32]),
        scid: Scid::new(800_000, u32::from(number), 0),
        alias: None,
        peer: peer(),
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
        bounds: crate::domain::Bounds::default(),
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
            patience: patience_of(None),
        },
        updates: Updates::default(),
        memory: None,
        bid: None,
        tuning: Tuning {
            min: Ppm(10),
            max: Ppm(5000),
            congestion_threshold: 0.8,
            scarcity: true,
            scarcity_threshold: 0.35,
            updates_per_day: 2,
            hysteresis: 0.05,
        },
        policy: Policy::default(),
    }
}

impl Scene {
    pub(super) fn decide(&self) -> FeeDecision {
        let channels: Vec<&Channel> = self.channels.iter().collect();
        decide(&self.inputs(&channels))
    }

    fn inputs<'a>(&'a self, channels: &'a [&'a Channel]) -> FeeInputs<'a> {
        FeeInputs {
            now: self.now,
            peer: peer(),
            channels,
            out_per_day: self.out_per_day,
            observed: &self.observed,
            market: &self.market,
            updates: self.updates,
            memory: self.memory.as_ref(),
            bid: self.bid.as_ref(),
            tuning: &self.tuning,
            policy: &self.policy,
        }
    }

    /// The plan of a node that has no other peer.
    pub(super) fn plan(&self) -> Plan {
        let channels = self.channels.iter().collect();
        let peers = [Planned { peer: peer(), channels, memory: self.memory.as_ref(), policy: &self.policy }];
        let (market, tuning) = (&self.market, &self.tuning);
        plan(&PlanInputs { now: self.now, peers: &peers, market, tuning, last: None })
    }

    /// Half an hour later, with the fee as decided if it was to be set.
    pub(super) fn next(&self, decision: &FeeDecision) -> Scene {
        let mut scene = self.clone();
        scene.memory = Some(decision.memory.clone());
        scene.now = self.now.plus_secs(1800);
        scene.observed = Observed { from: self.now, to: scene.now, refused: vec![], ..self.observed.clone() };
        if let Action::Set { urgent } = decision.action {
            scene.channels.iter_mut().for_each(|c| c.ours.ppm = decision.target);
            scene.updates.urgent += u32::from(urgent);
            scene.updates.ordinary += u32::from(!urgent);
        }
        scene
    }

    fn after(&self, cycles: usize) -> Scene {
        (0..cycles).fold(self.clone(), |scene, _| scene.next(&scene.decide()))
    }

    fn is_within_bounds(&self, decision: &FeeDecision) -> bool {
        (self.tuning.min..=self.tuning.max).contains(&decision.target)
    }

    /// A scene whose fee somebody has set by hand: the learner asks exactly that.
    fn held(ppm: u32) -> Scene {
        Scene { memory: Some(taken_over(None, Ppm(ppm), START)), ..scene(ppm) }
    }

    fn busy(mut self, htlcs_out: u32) -> Scene {
        self.channels[0].htlcs_out = htlcs_out;
        self
    }

    fn local(mut self, share: f64) -> Scene {
        for c in &mut self.channels {
            c.local = Msat(crate::domain::units::to_u64_rounded(c.capacity.as_f64() * share));
            c.spendable = c.local;
        }
        self
    }
}

fn find<'a>(why: &'a [Reason], stage: &str) -> &'a Reason {
    why.iter().find(|r| r.stage() == stage).unwrap_or_else(|| panic!("no {stage} in {why:?}"))
}

fn verdict(decision: &FeeDecision) -> Verdict {
    match find(&decision.why, "gossip") {
        Reason::Gossip { verdict, .. } => *verdict,
        other => panic!("{other:?}"),
    }
}

/// A peer whose first block is as long as all others.
fn peer() -> PeerId {
    let mut id = [2; 33];
    id[31] = u8::MAX;
    PeerId(id)
}

#[test]
fn every_stage_accounts_for_itself() {
    let decision = scene(200).decide();
    let stages: Vec<&str> = decision.why.iter().map(Reason::stage).collect();
    assert_eq!(stages, ["first_seen", "congestion", "hill_climb", "scarcity", "floor", "ceiling", "gossip"]);
    for reason in &decision.why {
        let text = reason.to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{text}");
        assert_eq!(serde_json::to_value(reason).unwrap()["stage"], reason.stage());
    }
    let words: Vec<String> = decision.why.iter().map(Reason::to_string).collect();
    let again = in_words(&told(&decision.why).unwrap()).unwrap();
    assert_eq!(again.iter().map(|stage| stage["text"].as_str().unwrap()).collect::<Vec<_>>(), words);
    let newer = in_words(r#"[{"stage":"of a later version","number":7}]"#).unwrap();
    assert_eq!(serde_json::to_string(&newer).unwrap(), r#"[{"number":7,"stage":"of a later version"}]"#);
    let kept = scene(200).after(3).decide();
    assert_eq!((kept.action, kept.why.len()), (Action::Keep, 6), "a refusal explains itself as well");
    assert!(!summary(&kept.why).is_empty());
}

/// How long a cycle takes: cargo test --release --lib fees::tests::speed -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn speed() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let s = s.after(48 * 25 + 5);
    let memory = format!("{:?}", saved(s.memory.as_ref().unwrap(), None).unwrap());
    for (name, hours) in [("no block ends", 0.0_f64), ("all blocks end", 13.0), ("all pairs end", 26.0)] {
        let mut s = s.clone();
        if hours > 20.0 {
            (s.now, s.observed.to) = (s.now.plus_hours(13.0), s.now.plus_hours(13.0));
            s = s.next(&s.decide());
        }
        (s.now, s.observed.to) = (s.now.plus_hours(hours.min(13.0)), s.now.plus_hours(hours.min(13.0)));
        let start = std::time::Instant::now();
        let actions = (0..2000).filter(|_| s.decide().action == Action::Keep).count();
        println!("{name}: {:?} for 2000 peers ({actions} kept), {} bytes each", start.elapsed(), memory.len());
    }
}

/// Every sentence once: cargo test --lib fees::tests::sentences -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn sentences() {
    for s in [
        scene(200),
        scene(200).after(5).local(0.1),
        Scene::held(200).busy(450),
        Scene::held(200),
        scene(200).after(150),
    ] {
        let decision = s.decide();
        println!("\n{}", summary(&decision.why));
        decision.why.iter().for_each(|r| println!("  {}: {r}", r.stage()));
    }
}
