//! What a policy says, and what the controller does within it and after it.

use super::*;
use crate::domain::{Limits, Ruling, Source, Terms};

fn ruled(pricing: Pricing, ppm: Option<u32>) -> Policy {
    let strategy = Ruling { source: Source::Peer, member: "strategy".to_owned(), value: "static".to_owned() };
    let terms = Terms { ppm: ppm.map(Ppm), ..Terms::default() };
    Policy { pricing, terms, trail: vec![strategy], ..Policy::default() }
}

fn limited(limits: Limits) -> Policy {
    Policy { limits, ..Policy::default() }
}

#[test]
fn an_exact_fee_is_written_once_also_outside_the_limits() {
    for fee in [0, 1, 9, 200, 5001, 100_000] {
        for used in [0, 9] {
            let mut s = scene(250).after(3).busy(483);
            (s.policy, s.updates) = (ruled(Pricing::Exact, Some(fee)), Updates { ordinary: used, urgent: used });
            let decision = s.decide();
            assert_eq!((decision.target, decision.action), (Ppm(fee), Action::Set { urgent: false }), "{fee}");
            assert_eq!(summary(&decision.why), format!("{fee} ppm by the peer's policy (strategy static)"));
            let again = s.next(&decision).decide();
            assert_eq!((again.target, again.action), (Ppm(fee), Action::Keep), "{fee}");
        }
    }
}

#[test]
fn whoever_changes_an_exact_fee_is_set_back() {
    let mut s = scene(250);
    s.policy = ruled(Pricing::Exact, Some(100));
    let mut s = s.next(&s.decide());
    s.channels[0].ours.ppm = Ppm(777);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(100), Action::Set { urgent: false }));
}

#[test]
fn a_dry_run_is_told_of_an_exact_fee_once() {
    let mut s = scene(250);
    s.policy = ruled(Pricing::Exact, Some(100));
    for cycle in 0..4 {
        let decision = s.decide();
        assert_eq!(decision.action == Action::Keep, cycle > 0, "cycle {cycle}");
        let channels = s.channels.clone();
        s = s.next(&decision);
        s.channels = channels;
        s.memory = if cycle == 0 { Some(untold(decision.memory)) } else { Some(decision.memory) };
    }
}

#[test]
fn what_is_not_to_be_touched_is_not() {
    let mut s = scene(250).after(3).busy(483).local(0.01);
    s.channels.push(channel(2, 77));
    s.policy = ruled(Pricing::Untouched, None);
    for _ in 0..5 {
        let decision = s.decide();
        assert_eq!((decision.action, decision.why.len()), (Action::Keep, 1));
        s = s.next(&decision);
        s.channels[1].ours.ppm = Ppm(s.channels[1].ours.ppm.0 + 50);
    }
    assert_eq!(Scene { policy: ruled(Pricing::Exact, None), ..s }.decide().action, Action::Keep);
}

#[test]
fn what_was_learned_waits_and_the_climb_goes_on_from_the_fee_that_it_finds() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let s = s.after(150);
    let learned = |memory: &Memory| saved(memory, None).unwrap().learned;
    let before = learned(s.memory.as_ref().unwrap());
    for (fee, from) in [(400, 400), (0, 10), (9000, 5000)] {
        let mut away = Scene { policy: ruled(Pricing::Exact, Some(fee)), ..s.clone() };
        away = away.after(100);
        assert_eq!(learned(away.memory.as_ref().unwrap()), before, "one price teaches nothing");
        let back = Scene { policy: Policy::default(), updates: Updates::default(), ..away };
        let decision = back.decide();
        assert!(matches!(decision.why[0], Reason::Released { .. }), "{:?}", decision.why);
        assert!(back.is_within_bounds(&decision) && !decision.memory.is_held(), "{:?}", decision.why);
        let ratio = decision.target.as_f64() / f64::from(from);
        assert!((0.7..1.4).contains(&ratio), "the first try is due at once, beside {from}: {}", decision.target);
        assert_eq!(learned(&decision.memory), before);
        let on = back.next(&decision).decide();
        let strangers = ["taken_over", "released"];
        assert!(!on.why.iter().any(|reason| strangers.contains(&reason.stage())), "{:?}", on.why);
    }
}

/// Scarcity had its part in the fee that was left alone, and has no second one.
#[test]
fn a_fee_that_was_left_alone_is_not_multiplied_again() {
    let mut s = scene(200).local(0.1).after(60);
    let before = s.channels[0].ours.ppm.as_f64();
    for _ in 0..6 {
        s = Scene { policy: ruled(Pricing::Untouched, None), updates: Updates::default(), ..s }.after(2);
        s = Scene { policy: Policy::default(), updates: Updates::default(), ..s }.after(2);
    }
    let after = s.channels[0].ours.ppm.as_f64();
    assert!((0.4..2.0).contains(&(after / before)), "{before} -> {after}");
}

/// A plan may think of quite another price. Its turn comes when the fee that was found has been tried; upward, when somebody has paid.
#[test]
fn a_plan_does_not_jump_from_the_fee_that_a_policy_has_left() {
    let bid = Some(Bid { peer: peer(), mu: 0.0, cost: 0.0, rehearsed: 0.0, fee: 2000.0, holds: true });
    let mut paid = scene(200);
    paid.observed.events = 3.0;
    for (s, upward) in [(scene(200), false), (paid.after(150), true)] {
        let s = Scene { bid, policy: ruled(Pricing::Exact, Some(200)), ..s }.after(3);
        let mut back = Scene { policy: Policy::default(), updates: Updates::default(), ..s };
        let first = back.decide();
        let ratio = first.target.as_f64() / 200.0;
        assert!((0.7..1.4).contains(&ratio), "the first try is beside what was found: {}", first.target);
        let mut most = 0.0_f64;
        for _ in 0..100 {
            back.updates = Updates::default();
            back = back.next(&back.decide());
            most = most.max(back.channels[0].ours.ppm.as_f64());
        }
        assert_eq!(most > 300.0, upward, "{most}");
    }
}

#[test]
fn a_peer_that_was_never_priced_begins_as_a_new_one() {
    let mut s = scene(300);
    s.policy = ruled(Pricing::Untouched, None);
    let mut s = s.after(3);
    s.policy = Policy::default();
    let fresh = scene(300).decide();
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (fresh.target, fresh.action));
}

#[test]
fn a_policy_may_say_where_the_climb_begins() {
    let mut s = scene(10);
    s.policy = Policy { pricing: Pricing::ControllerFrom(Ppm(800)), ..Policy::default() };
    let first = s.decide();
    assert!((560..1120).contains(&first.target.0) && first.action != Action::Keep, "beside it: {}", first.target);
    let s = s.next(&first).after(20);
    let fee = s.channels[0].ours.ppm;
    assert!((400..1600).contains(&fee.0), "and goes on by itself: {fee}");
    // Where something is known already, that counts.
    let mut known = scene(100).after(60);
    known.policy = Policy { pricing: Pricing::ControllerFrom(Ppm(800)), ..Policy::default() };
    assert!(known.decide().target.0 < 300);
}

#[test]
fn multiples_are_of_the_fee_at_their_beginning() {
    let limits = Limits { multiplier_min: Some(0.8), multiplier_max: Some(1.25), ..Limits::default() };
    // Congestion alone would ask four times as much, and scarcity three times.
    for s in [scene(200).after(3).busy(483), scene(200).local(0.0), scene(200)] {
        let start = s.channels[0].ours.ppm;
        let mut s = Scene { policy: limited(limits), updates: Updates::default(), ..s };
        for _ in 0..120 {
            let decision = s.decide();
            let ratio = decision.target.as_f64() / start.as_f64();
            assert!((0.8..=1.25).contains(&ratio), "{start} -> {}: {:?}", decision.target, decision.why);
            let said = find(&decision.why, "limits").to_string();
            assert!(said.ends_with(&format!("in multiples of {start}")), "{said}");
            s = s.next(&decision);
            s.updates = Updates::default();
        }
        let free = Scene { policy: Policy::default(), ..s }.decide();
        assert!(free.memory.anchor.is_none(), "they end with the policy");
    }
}

#[test]
fn a_policys_limits_take_the_place_of_the_nodes() {
    let of = |min: Option<u32>, max: Option<u32>| Limits { min: min.map(Ppm), max: max.map(Ppm), ..Limits::default() };
    for (limits, expected) in [
        (of(Some(1), None), (1, 5000)),
        (of(None, Some(300)), (10, 300)),
        (of(None, Some(5)), (5, 5)),
        (of(Some(6000), None), (6000, 6000)),
        (of(Some(50), Some(60)), (50, 60)),
        (of(Some(60), Some(50)), (60, 60)),
    ] {
        let s = Scene { policy: limited(limits), ..scene(200) };
        let decision = s.decide();
        let Reason::Limits { min, max, .. } = find(&decision.why, "limits") else { panic!("{:?}", decision.why) };
        assert_eq!((min.0, max.0), expected, "{limits:?}");
        assert!((min..=max).contains(&&decision.target), "{limits:?}: {}", decision.target);
    }
}

#[test]
fn no_change_is_larger_than_the_largest_step() {
    let limits = Limits { max_step: Some(Ppm(20)), ..Limits::default() };
    let mut s = Scene { policy: limited(limits), ..scene(200).busy(483) };
    for _ in 0..10 {
        let decision = s.decide();
        assert!(decision.target.0.abs_diff(s.channels[0].ours.ppm.0) <= 20, "{:?}", decision.why);
        s = s.next(&decision);
        s.updates = Updates::default();
    }
    assert!(s.channels[0].ours.ppm > Ppm(250), "but it gets there: {}", s.channels[0].ours.ppm);
}

#[test]
fn a_plan_does_not_reckon_with_other_fees_than_a_policy_allows() {
    let s = Scene { policy: ruled(Pricing::Exact, Some(0)), ..scene(200).after(60) };
    let bid = *s.plan().bid(&peer()).unwrap();
    assert!(bid.fee <= 1.0, "{bid:?}");
}

#[test]
fn memories_from_before_policies_are_read() {
    let memory = scene(200).after(3).memory.unwrap();
    let text = saved(&memory, None).unwrap();
    assert!(!text.memory.contains("ruled") && !text.memory.contains("anchor"), "{}", text.memory);
    assert_eq!(recalled(&text.memory, text.learned.as_deref()).unwrap(), memory);
}
