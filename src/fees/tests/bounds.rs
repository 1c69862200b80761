//! What holds for every peer: with several channels, with new ones among them, with the plan's price, and whoever else sets fees.

use proptest::prelude::*;

use super::*;

/// Half hours in which the budget never runs out.
fn after(s: &Scene, cycles: usize) -> Scene {
    (0..cycles).fold(s.clone(), |s, _| Scene { updates: Updates::default(), ..s.next(&s.decide()) })
}

#[test]
fn a_new_channel_beside_one_above_the_maximum_brings_both_within_bounds() {
    let mut s = after(&scene(850), 3);
    let fee = s.channels[0].ours.ppm;
    (s.tuning.max, s.updates) = (Ppm(500), Updates { ordinary: 2, urgent: 9 });
    s.channels.push(channel(2, 10));
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(500), Action::Set { urgent: false }), "{:?}", decision.why);
    assert_eq!(verdict(&decision), Verdict::Align);
    let words: Vec<String> = decision.why.iter().map(Reason::to_string).collect();
    assert!(
        words.iter().any(|w| *w == format!("a channel has joined: the others with the peer are at {fee}")),
        "{words:?}"
    );
    assert!(words.iter().any(|w| *w == format!("ceiling 500 ppm cuts {fee}")), "{words:?}");
    let next = s.next(&decision).decide();
    assert!(!next.why.iter().any(|r| r.stage() == "taken_over"), "our own change is nobody else's: {:?}", next.why);
}

#[test]
fn parallel_channels_follow_whoever_set_one_of_them() {
    let mut s = scene(444);
    s.channels.push(Channel { capacity: Msat(900_000_000), ..channel(2, 444) });
    let mut s = after(&s, 3);
    let before = s.channels[0].ours.ppm;
    // The smaller one, and on a day without budget.
    (s.channels[1].ours.ppm, s.updates.ordinary) = (Ppm(333), 2);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(333), Action::Set { urgent: false }));
    assert_eq!(verdict(&decision), Verdict::Align);
    assert_eq!(find(&decision.why, "gossip").to_string(), "publish 333 ppm on all channels with the peer");
    let words: Vec<String> = decision.why.iter().map(Reason::to_string).collect();
    assert!(words[0].starts_with(&format!("somebody changed {before} to 333 ppm: it holds")), "{words:?}");
    assert!(words.iter().any(|w| w.starts_with("set by hand: 333 ppm stays")), "{words:?}");
    let next = s.next(&decision).decide();
    assert_eq!((next.target, verdict(&next)), (Ppm(333), Verdict::Same));
}

#[test]
fn what_an_operator_set_by_hand_is_what_somebody_changed() {
    let mut s = after(&scene(200), 3);
    let channels: Vec<&Channel> = s.channels.iter().collect();
    s.memory = Some(set_by_hand(s.memory.as_ref(), &channels, Ppm(444), false, s.now));
    s.channels[0].ours.ppm = Ppm(333);
    let words = s.decide().why[0].to_string();
    assert!(words.starts_with("somebody changed 444 ppm to 333 ppm"), "{words}");
}

#[test]
fn somebody_elses_fee_outside_the_limits_is_brought_within_them_at_once() {
    for (found, limit) in [(9000, 5000), (3, 10)] {
        let mut s = after(&scene(200), 3);
        (s.channels[0].ours.ppm, s.updates) = (Ppm(found), Updates { ordinary: 2, urgent: 9 });
        let decision = s.decide();
        assert_eq!((decision.target, decision.action), (Ppm(limit), Action::Set { urgent: false }));
        let words = decision.why[0].to_string();
        assert!(words.ends_with(&format!("outside the limits: {limit} ppm holds for a block")), "{words}");
        let next = s.next(&decision).decide();
        assert_eq!((next.target, verdict(&next)), (Ppm(limit), Verdict::Same), "{:?}", next.why);
    }
    // An operator's own order is an exception that he made.
    let mut s = after(&scene(200), 3);
    let channels: Vec<&Channel> = s.channels.iter().collect();
    s.memory = Some(set_by_hand(s.memory.as_ref(), &channels, Ppm(9000), true, s.now));
    s.channels[0].ours.ppm = Ppm(9000);
    assert_eq!(s.decide().action, Action::Keep);
}

#[test]
fn narrower_limits_hold_for_a_fee_that_was_set_by_hand_within_the_old_ones() {
    let mut s = after(&scene(200), 3);
    let channels: Vec<&Channel> = s.channels.iter().collect();
    s.memory = Some(set_by_hand(s.memory.as_ref(), &channels, Ppm(900), false, s.now));
    s.channels[0].ours.ppm = Ppm(900);
    let mut s = s.next(&s.decide());
    (s.tuning.max, s.updates) = (Ppm(500), Updates { ordinary: 2, urgent: 9 });
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(500), Action::Set { urgent: false }));
    assert_eq!(verdict(&s.next(&decision).decide()), Verdict::Same);
}

/// An attack of three hours, on a day whose ordinary budget is gone: the fee really goes up step by step, and comes back.
#[test]
fn congestion_reaches_its_bound_whatever_was_changed_today() {
    // (fee at first, maximum, urgent changes before) -> fees of the attack's first cycles
    let cases: [(u32, u32, u32, &[u32]); 5] = [
        (1000, 5000, 0, &[2000, 4000, 4000]),
        (1000, 3000, 0, &[2000, 3000, 3000]),
        (200, 5000, 0, &[450, 800, 800]),
        (50, 5000, 0, &[200, 200, 200]),
        (1000, 5000, 5, &[2000, 2000, 2000]),
    ];
    for (fee, max, urgent, expected) in cases {
        let mut s = Scene::held(fee).busy(483);
        (s.tuning.max, s.updates) = (Ppm(max), Updates { ordinary: 2, urgent });
        let mut fees = vec![];
        for _ in 0..6 {
            s = s.next(&s.decide());
            fees.push(s.channels[0].ours.ppm.0);
        }
        assert_eq!(fees[..3], *expected, "from {fee}, maximum {max}, {urgent} before");
        assert_eq!(fees[3..], [fees[2]; 3], "and stays at its bound");
        let calm = s.busy(0).decide();
        assert_eq!((calm.target, calm.action), (Ppm(fee), Action::Set { urgent: true }), "{:?}", calm.why);
    }
}

#[test]
fn what_is_shown_has_dates_where_milliseconds_are_kept() {
    let mut s = after(&scene(1000), 1);
    s.channels[0].ours.ppm = Ppm(s.channels[0].ours.ppm.0 + 30);
    s.memory = Some(Memory { asked: None, channels: vec![], ..s.memory.unwrap() });
    let decision = s.decide();
    assert!(matches!(verdict(&decision), Verdict::TooSmall { since: Some(_) }), "{:?}", decision.why);
    let stages = in_words(&told(&decision.why).unwrap()).unwrap();
    let shown = serde_json::json!({ "stages": stages, "memory": debug(&decision.memory) });
    let of = |path: &str| shown.pointer(path).cloned().unwrap_or_default();
    let stage = |name: &str| stages.iter().find(|stage| stage["stage"] == name).unwrap().clone();
    let since = stage("gossip")["verdict"]["too_small"]["since"].clone();
    assert_eq!((&since, of("/memory/pending/since")), (&since, serde_json::json!("2024-01-01T00:30:00Z")));
    assert_eq!(stage("hill_climb")["until"], "2024-01-01T12:00:00Z");
    assert!(!shown.to_string().contains("170406"), "no milliseconds: {shown}");
}

/// Peers as they come: up to four channels of which some are new, at fees of their own, planned for or not.
fn scenes() -> impl Strategy<Value = Scene> {
    let channels = proptest::collection::vec((0_u32..6000, 1_u64..9, proptest::bool::ANY), 1..5);
    let bid = proptest::option::of((1.0..6000.0_f64, proptest::bool::ANY));
    let bounds = (0_u32..500, 1_u32..6000);
    let rest = (0.0..1.0_f64, 0.0..20.0_f64, 0_u32..1000, 0_usize..80, 1.0..3.0_f64);
    (channels, bid, bounds, rest, 0_u32..4).prop_map(|(channels, bid, (min, max), rest, updates)| {
        let (share, events, slots, cycles, vegas) = rest;
        let mut s = scene(channels[0].0);
        (s.tuning.min, s.tuning.max) = (Ppm(min), Ppm(max.max(min)));
        s.market.floor_multiplier = vegas;
        s.bid =
            bid.map(|(fee, holds)| Bid { peer: s.channels[0].peer, mu: 0.0, cost: 0.0, rehearsed: 0.0, fee, holds });
        (s.observed.events, s.observed.out_msat) = (events, events * 5e7);
        let made = channels.iter().enumerate().map(|(k, (ppm, size, new))| {
            let mut c = channel(u8::try_from(k).unwrap(), *ppm);
            (c.capacity, c.htlcs_out) = (Msat(size * 1_000_000_000), slots / 2);
            (*new && k > 0, c)
        });
        let (new, known): (Vec<_>, Vec<_>) = made.partition(|(new, _)| *new);
        s.channels = known.into_iter().map(|(_, c)| c).collect();
        let mut s = after(&s.local(share), cycles);
        s.channels.extend(new.into_iter().map(|(_, c)| c));
        s.updates = Updates { ordinary: updates, urgent: updates };
        s.local(share)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_fee_of_every_channel_is_within_bounds(s in scenes()) {
        let decision = s.decide();
        prop_assert!(s.is_within_bounds(&decision), "{:?}", decision.why);
        // Also where somebody else meddles with one of them, and then the others follow.
        let mut s = s.next(&decision);
        s.channels[0].ours.ppm = Ppm(50_000);
        let decision = s.decide();
        let acts = decision.action != Action::Keep || decision.memory.episode.is_some();
        prop_assert!(s.is_within_bounds(&decision) && acts, "{:?}", decision.why);
    }

    #[test]
    fn less_local_balance_of_any_peer_never_lowers_the_fee(s in scenes(), a in 0.0..1.0_f64, b in 0.0..1.0_f64, skip in 0_usize..60) {
        let s = after(&s, skip);
        let (less, more) = (s.clone().local(a.min(b)).decide(), s.local(a.max(b)).decide());
        prop_assert!(less.target >= more.target, "{:?} {:?}", less.why, more.why);
    }

    #[test]
    fn the_same_inputs_give_the_same_decision_whoever_the_peer_is(s in scenes()) {
        let (one, two) = (s.decide(), s.decide());
        prop_assert_eq!((one.target, one.action, one.why, one.memory), (two.target, two.action, two.why, two.memory));
    }
}
