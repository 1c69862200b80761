//! A peer of quiet defaults, and tables and properties of the alpha sequence.

use super::*;
use crate::domain::units::to_u32_rounded;
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
        }
    }

    /// The plan of a node that has no other peer.
    pub(super) fn plan(&self) -> Plan {
        let channels = self.channels.iter().collect();
        let peers = [Planned { peer: peer(), channels, memory: self.memory.as_ref() }];
        let (market, tuning) = (&self.market, &self.tuning);
        plan(&PlanInputs { now: self.now, peers: &peers, market, tuning })
    }

    /// Half an hour later, with the fee as decided if it was to be set.
    pub(super) fn next(&self, decision: &FeeDecision) -> Scene {
        let mut scene = self.clone();
        scene.memory = Some(decision.memory.clone());
        scene.now = self.now.plus_secs(1800);
        scene.observed = Observed { from: self.now, to: scene.now, ..self.observed };
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

fn factor(decision: &FeeDecision) -> f64 {
    match find(&decision.why, "scarcity") {
        Reason::Scarcity { factor, .. } => *factor,
        other => panic!("{other:?}"),
    }
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

#[test]
fn congestion_drives_the_fee_up_within_bounds() {
    // 483 slots, threshold 80 %: 387 is above, 338 is not yet relief, 337 is.
    let calm = Scene::held(200).busy(386).decide();
    assert_eq!((calm.target, calm.action), (Ppm(200), Action::Keep));

    let mut fees = vec![];
    let mut s = Scene::held(200).busy(387);
    for _ in 0..4 {
        let decision = s.decide();
        fees.push(decision.target.0);
        s = s.next(&decision);
    }
    assert_eq!(fees, [450, 800, 800, 800], "the larger of x2 and +250, never above x4");
    assert_eq!(s.updates, Updates { ordinary: 0, urgent: 2 }, "no step uses up the ordinary budget");

    let lasting = s.clone().busy(340).decide();
    assert_eq!(lasting.target, Ppm(800), "not over before 10 % more slots are free");
    let relieved = s.busy(330).decide();
    assert_eq!((relieved.target, relieved.action), (Ppm(200), Action::Set { urgent: true }));
}

#[test]
fn congestion_steps_by_cycles_and_not_by_calls() {
    let s = Scene::held(1000).busy(483);
    let first = s.decide();
    let again = Scene { now: s.now.plus_secs(10), ..s.next(&first) }.decide();
    assert_eq!((first.target, again.target), (Ppm(2000), Ppm(2000)));
}

#[test]
fn congestion_counts_all_channels_with_the_peer_or_none() {
    let mut s = Scene::held(200).busy(483);
    s.channels.push(channel(2, 200));
    assert_eq!(s.decide().target, Ppm(200), "half of the slots with the peer are free");
    s.channels[1].max_htlcs = None;
    let decision = s.decide();
    assert_eq!(decision.target, Ppm(200));
    assert!(find(&decision.why, "congestion").to_string().contains("does not tell"), "{:?}", decision.why);
}

#[test]
fn scarcity_follows_the_local_share() {
    for (local, expected) in [(1.0, 1.0), (0.35, 1.0), (0.175, 3.0_f64.sqrt()), (0.0, 3.0)] {
        let found = factor(&scene(200).local(local).decide());
        assert!((found - expected).abs() < 1e-6, "{local}: {found}");
    }
    let mut off = scene(200).local(0.0);
    off.tuning.scarcity = false;
    assert_eq!(factor(&off.decide()), 1.0);
}

#[test]
fn a_virgin_channel_is_not_scarce() {
    let cases = [
        (Some(Side::Remote), Some(Msat(0)), 1.0),
        (Some(Side::Remote), Some(Msat(1)), 3.0),
        (Some(Side::Remote), None, 3.0),
        (Some(Side::Local), Some(Msat(0)), 3.0),
        (None, Some(Msat(0)), 3.0),
    ];
    for (opener, sent, expected) in cases {
        let mut s = scene(200).local(0.0);
        (s.channels[0].opener, s.channels[0].sent) = (opener, sent);
        assert_eq!(factor(&s.decide()), expected, "{opener:?} {sent:?}");
    }
}

#[test]
fn scarcity_does_not_feed_on_itself() {
    // An empty channel, a week of cycles: the factor stays 3, it is not 3 x 3 x 3.
    let decision = scene(100).local(0.0).after(40).decide();
    assert!(decision.target.0 < 500, "{}", decision.target);
}

/// What the floor says of one channel of 5 M sat: the fee after it, when the learner would ask 20 ppm.
fn floored(change: impl Fn(&mut Scene)) -> u32 {
    let mut s = Scene::held(20);
    change(&mut s);
    s.decide().target.0
}

#[test]
fn the_floor_covers_the_life_of_a_channel() {
    // (140 + 200) vB x 10 sat over 12 x 5 M sat = 56.7 ppm.
    assert_eq!(floored(|_| ()), 20);
    assert_eq!(floored(|s| s.market.sat_per_kvb = Some(10_000)), 57);
    assert_eq!(
        floored(|s| (s.market.sat_per_kvb, s.out_per_day) = (Some(10_000), Some(1e6))),
        57,
        "never below monthly"
    );
    assert_eq!(
        floored(|s| (s.market.sat_per_kvb, s.out_per_day) = (Some(10_000), Some(5e8))),
        20,
        "18.6 ppm do not bind"
    );
    assert_eq!(
        floored(|s| {
            s.market.sat_per_kvb = Some(10_000);
            s.channels[0].opener = Some(Side::Remote);
        }),
        20,
        "the peer who opened pays"
    );
}

#[test]
fn the_vegas_reflex_really_raises_the_floor() {
    assert_eq!(floored(|s| (s.market.sat_per_kvb, s.market.floor_multiplier) = (Some(10_000), 3.0)), 170);
    assert_eq!(floored(|s| s.market.floor_multiplier = 3.0), 30, "three times the minimum");
    assert_eq!(floored(|s| (s.market.sat_per_kvb, s.tuning.max) = (Some(10_000_000), Ppm(800))), 800, "never above");
}

#[test]
fn gossip_waits_for_what_is_worth_it() {
    // (published, target, hours that it has differed, changes today) -> verdict
    let small = Verdict::TooSmall { since: Some(START) };
    let cases = [
        (1000, 1000, 0.0, 0, Verdict::Same),
        (1000, 1050, 0.0, 0, Verdict::Publish),
        (1000, 1049, 0.0, 0, small),
        (1000, 951, 0.0, 0, small),
        (1000, 950, 0.0, 0, Verdict::Publish),
        (1000, 1020, 11.0, 0, small),
        (1000, 1020, 12.0, 0, Verdict::PublishSmall),
        (1000, 1019, 48.0, 0, Verdict::TooSmall { since: None }),
        (1000, 2000, 48.0, 2, Verdict::OverBudget),
        (0, 10, 0.0, 0, Verdict::Urgent),
    ];
    for (published, target, hours, ordinary, expected) in cases {
        let mut memory = scene(published).decide().memory;
        (memory.pending, memory.asked) = (None, None);
        for now in [START, START.plus_hours(hours)] {
            let mut s = scene(published);
            (s.now, s.updates.ordinary) = (now, ordinary);
            let channels: Vec<&Channel> = s.channels.iter().collect();
            let mut why = vec![];
            let _ = gossip::stage(&mut memory, &s.inputs(&channels), Ppm(target), &mut why);
            if now == START.plus_hours(hours) {
                let Some(Reason::Gossip { verdict, .. }) = why.first() else { panic!("{why:?}") };
                assert_eq!(*verdict, expected, "{published} -> {target} after {hours} h, {ordinary} changes");
            }
        }
    }
}

#[test]
fn a_target_that_waits_is_neither_lost_nor_run_away_with() {
    // A week without budget and without payers: the target is a step down, not a slide to the floor that was never tried.
    let mut s = scene(1000);
    s.updates.ordinary = 2;
    let mut decision = s.decide();
    for _ in 0..48 * 8 {
        assert_eq!(decision.action, Action::Keep);
        s = s.next(&decision);
        decision = s.decide();
    }
    assert!((400..900).contains(&decision.target.0), "{}", decision.target);
    s.updates = Updates::default();
    let told = s.decide();
    assert_eq!((told.target, told.action), (decision.target, Action::Set { urgent: false }));
}

#[test]
fn somebody_elses_fee_is_taken_over_and_held_for_a_block() {
    let mut s = scene(200).after(3);
    s.channels[0].ours.ppm = Ppm(777);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(777), Action::Keep));
    assert!(matches!(decision.why[0], Reason::TakenOver { found: Ppm(777), .. }), "{:?}", decision.why);
    let mut s = s.next(&decision);
    s.updates = Updates::default();
    for _ in 0..22 {
        let decision = s.decide();
        assert_eq!((decision.target, verdict(&decision)), (Ppm(777), Verdict::Same));
        s = s.next(&decision);
    }
    let after = s.after(3);
    assert_ne!(after.channels[0].ours.ppm, Ppm(777), "then the climb goes on");
    let ratio = after.channels[0].ours.ppm.as_f64() / 777.0;
    assert!((0.7..1.4).contains(&ratio), "from there: {ratio}");
}

#[test]
fn a_change_that_was_never_made_is_nobodys_opinion() {
    let mut s = scene(200);
    for _ in 0..60 {
        let decision = s.decide();
        assert!(!decision.why.iter().any(|r| r.stage() == "taken_over"), "{:?}", decision.why);
        let channels = s.channels.clone();
        s = s.next(&decision);
        s.channels = channels; // A dry run.
        s.updates = Updates::default();
    }
}

#[test]
fn a_new_channel_with_the_peer_gets_the_peers_fee() {
    let mut s = scene(200).after(3);
    s.updates = Updates::default();
    let asked = s.channels[0].ours.ppm;
    let mut new = channel(2, 10);
    (new.capacity, new.local) = (Msat(50_000_000_000), Msat(25_000_000_000));
    s.channels.push(new);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (asked, Action::Set { urgent: false }));
    assert_eq!(verdict(&decision), Verdict::Align);
}

#[test]
fn a_fee_set_by_hand_on_one_of_two_channels_holds() {
    let mut s = scene(200);
    s.channels.push(channel(2, 200));
    s = s.after(3);
    s.updates = Updates::default();
    s.memory = Some(taken_over(s.memory.as_ref(), Ppm(500), s.now));
    s.channels[0].ours.ppm = Ppm(500);
    for cycle in 0..20 {
        let decision = s.decide();
        let follows = if cycle == 0 { Action::Set { urgent: false } } else { Action::Keep };
        assert_eq!((decision.target, decision.action), (Ppm(500), follows));
        assert!(!decision.why.iter().any(|r| r.stage() == "taken_over"), "{:?}", decision.why);
        s = s.next(&decision);
    }
}

#[test]
fn waking_makes_the_next_decision_act() {
    let mut s = Scene::held(200).after(2);
    assert_eq!(verdict(&s.decide()), Verdict::Same, "held");
    s.memory = Some(woken(s.memory.as_ref().unwrap(), s.now));
    let decision = s.decide();
    assert_eq!(decision.action, Action::Set { urgent: false }, "{}", summary(&decision.why));
}

#[test]
fn nothing_is_tried_while_the_peer_is_away() {
    let mut s = scene(200).after(1);
    s.channels[0].connected = false;
    let asked = s.channels[0].ours.ppm;
    s = s.after(48 * 10);
    assert_eq!(s.channels[0].ours.ppm, asked);
    s.channels[0].connected = true;
    s.updates = Updates::default();
    assert_ne!(s.after(48).channels[0].ours.ppm, asked);
}

#[test]
fn the_base_fee_is_part_of_what_payers_see_and_not_of_what_we_move() {
    // 1 sat on payments of 50,000 sat is 20 ppm; a fee of 100 ppm above it is an effective 120.
    let mut s = Scene::held(100);
    s.channels[0].ours.base = Msat(1000);
    let decision = s.decide();
    assert_eq!(decision.target, Ppm(100));
    let view = debug(&decision.memory);
    assert_eq!(view["hill_climb"]["centre_ppm"], 100.0, "{view}");
    assert_eq!(view["hill_climb"]["base_fee_adds_ppm"], 20.0, "{view}");
}

#[test]
fn a_base_fee_beside_tiny_payments_makes_nobody_jump() {
    // 1 sat on payments of 10 sat is 100,000 ppm: what we ask beside it hardly matters, and is moved in ordinary steps.
    let mut s = scene(10);
    s.channels[0].ours.base = Msat(1000);
    s.market.amounts = vec![Msat(10_000); 100];
    let first = s.decide().target;
    assert!((7..=14).contains(&first.0), "{first}");
}

#[test]
fn two_thousand_peers_fit_into_a_cycle() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let s = s.after(100);
    let memory = s.memory.clone().unwrap();
    let first = saved(&memory, None).unwrap();
    let (often, seldom) = (first.memory.len(), first.learned.unwrap().len());
    assert!(often < 1000 && seldom < 4000, "{often} and {seldom} bytes of memory");
    assert_eq!(saved(&memory, Some(&memory)).unwrap().learned, None);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Scenes as they come, some in the middle of a climb.
    fn scenes() -> impl Strategy<Value = Scene> {
        let fee = 0_u32..6000;
        let rest =
            (0.0..1.0_f64, 0.0..20.0_f64, 0_u32..500, 0_usize..80, 1.0..3.0_f64, proptest::option::of(0_u64..200_000));
        (fee, 0_u32..500, 1_u32..6000, rest).prop_map(
            |(fee, min, max, (local, events, slots, cycles, vegas, chain))| {
                let mut s = scene(fee).local(local);
                (s.tuning.min, s.tuning.max) = (Ppm(min), Ppm(max.max(min)));
                (s.market.floor_multiplier, s.market.sat_per_kvb) = (vegas, chain);
                s.observed.events = events;
                s.observed.out_msat = events * 50_000_000.0;
                s.updates = Updates::default();
                let mut s = s.after(cycles).busy(slots);
                s.updates = Updates { ordinary: u32::from(events < 10.0), urgent: 0 };
                s
            },
        )
    }

    fn numbers_in<'a>(value: &'a mut serde_json::Value, found: &mut Vec<&'a mut serde_json::Value>) {
        match value {
            serde_json::Value::Number(_) => found.push(value),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| numbers_in(item, found)),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| numbers_in(field, found)),
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn a_fee_is_always_within_bounds(s in scenes()) {
            let decision = s.decide();
            prop_assert!(s.tuning.min <= decision.target && decision.target <= s.tuning.max, "{:?}", decision.why);
        }

        #[test]
        fn less_local_balance_never_lowers_the_fee(s in scenes(), a in 0.0..1.0_f64, b in 0.0..1.0_f64, skip in 0_usize..60) {
            let s = s.after(skip);
            let (less, more) = (s.clone().local(a.min(b)).decide(), s.local(a.max(b)).decide());
            prop_assert!(less.target >= more.target, "{:?} {:?}", less.why, more.why);
        }

        #[test]
        fn the_same_inputs_give_the_same_decision(s in scenes()) {
            let (one, two) = (s.decide(), s.decide());
            prop_assert_eq!((one.target, one.action, one.why, one.memory), (two.target, two.action, two.why, two.memory));
        }

        /// A memory may come from another version, another node's clock or a bad disk: whatever it says, no fee leaves the bounds.
        #[test]
        fn a_weird_memory_breaks_nothing(s in scenes(), at in 0_usize..200, value in -1e9..1e9_f64, later in 0_i64..2_000_000) {
            let s = s.after(50);
            let mut memory = serde_json::to_value(s.memory.as_ref().unwrap()).unwrap();
            let mut numbers = vec![];
            numbers_in(&mut memory, &mut numbers);
            let count = numbers.len();
            let number = &mut *numbers[at % count];
            *number = if number.is_f64() { value.into() } else { to_u32_rounded(value.abs()).into() };
            let Ok(memory) = serde_json::from_value(memory) else { return Ok(()) };
            let mut s = Scene { memory: Some(memory), now: s.now.plus_secs(later), ..s };
            for _ in 0..60 {
                let decision = s.decide();
                prop_assert!(s.tuning.min <= decision.target && decision.target <= s.tuning.max, "{:?}", decision.why);
                let text = serde_json::to_string(&decision.memory).unwrap();
                prop_assert!(serde_json::from_str::<Memory>(&text).is_ok(), "{text}");
                s = s.next(&decision);
            }
        }

        #[test]
        fn memory_survives_json(s in scenes()) {
            let memory = s.decide().memory;
            let text = saved(&memory, None).unwrap();
            prop_assert_eq!(recalled(&text.memory, text.learned.as_deref()).unwrap(), memory);
        }
    }
}

/// What was learned before balances were planned with is worth weeks as well.
#[test]
fn a_memory_from_before_plans_is_read() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let memory = s.after(60).memory.unwrap();
    let text = saved(&memory, None).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&text.memory).unwrap();
    let climb = old["climb"].as_object_mut().unwrap();
    assert!(climb.remove("tilt").is_some());
    assert!(climb["aim"].as_object_mut().unwrap().remove("bid").is_some());
    for name in ["came", "brought", "left", "other", "ample", "payments", "msat"] {
        assert!(climb["purse"].as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    let old = recalled(&old.to_string(), text.learned.as_deref()).unwrap();
    assert_eq!(old.seen_until, memory.seen_until);
    let s = Scene { memory: Some(old), ..s.after(60) };
    let bid = s.plan().bid(&peer()).map(|bid| Bid { holds: true, ..*bid });
    let planned = Scene { bid, ..s };
    assert!(planned.decide().why.iter().any(|reason| reason.stage() == "bid"));
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

#[test]
fn slices_of_any_length_add_up_to_the_same() {
    // Twelve hours in one piece (the plugin was down), in half hours, and in seconds: the same events and exposure.
    let seen = |slice_secs: i64, slices: u32| {
        let mut s = scene(200);
        (s.observed.from, s.observed.to) = (s.now, s.now);
        let decision = s.decide();
        s = s.next(&decision);
        (s.now, s.observed) = (START, Observed { from: START, to: START, ..Observed::default() });
        let mut memory = s.memory.clone();
        for k in 1..=slices {
            let now = START.plus_secs(slice_secs * i64::from(k));
            s.observed = Observed { from: s.now, to: now, events: 11.0 / f64::from(slices), ..Observed::default() };
            (s.now, s.memory) = (now, memory);
            memory = Some(s.decide().memory);
        }
        let view = debug(memory.as_ref().unwrap());
        (
            view["hill_climb"]["block"]["events"].as_f64().unwrap(),
            view["hill_climb"]["block"]["exposure_hours"].as_f64().unwrap(),
        )
    };
    // Eleven hours, of which three are washed out.
    for (secs, slices) in [(39_600, 1), (1_800, 22), (60, 660)] {
        let (events, exposure) = seen(secs, slices);
        assert!(
            (events - 8.0).abs() < 1e-3 && (exposure - 8.0).abs() < 1e-3,
            "{slices} slices: {events} in {exposure} h"
        );
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

/// Where the plan prices, a sentence that only told of the learner would not explain the fee.
#[test]
fn the_plan_is_part_of_the_answer() {
    let s = scene(200);
    let bid = Bid { peer: peer(), mu: 120.0, cost: 80.0, fee: 400.0, holds: true };
    let text = summary(&Scene { bid: Some(bid), ..s.clone() }.decide().why);
    assert!(text.contains("the plan asks 400"), "{text}");
    let alone = Bid { holds: false, ..bid };
    let text = summary(&Scene { bid: Some(alone), ..s }.decide().why);
    assert!(text.contains("learner asks") && !text.contains("plan"), "{text}");
}
