//! The plan of the whole node in a decision about one peer.

use super::*;

/// Where the plan prices, a sentence that only told of the learner would not explain the fee.
#[test]
fn the_plan_is_part_of_the_answer() {
    let s = scene(200);
    let bid = Bid { peer: peer(), mu: 120.0, cost: 80.0, rehearsed: 0.0, fee: 400.0, holds: true };
    let text = summary(&Scene { bid: Some(bid), ..s.clone() }.decide().why);
    assert!(text.contains("the plan asks 400"), "{text}");
    let alone = Bid { holds: false, ..bid };
    let text = summary(&Scene { bid: Some(alone), ..s }.decide().why);
    assert!(text.contains("learner asks") && !text.contains("plan"), "{text}");
}

/// Rebalancing asks what would be bought if there were balance for it.
#[test]
fn what_is_wanted_is_told_of_peers_that_were_watched() {
    assert_eq!(wanted(&scene(200)).demand, None, "nobody was watched yet");
    let mut s = scene(200);
    // Half an hour each: an event every two hours, of 50,000 sat.
    s.observed.events = 0.25;
    let s = s.after(48 * 20);
    let msat = wanted(&s).demand.unwrap().out;
    assert!((3e8..1.2e9).contains(&msat), "{msat} msat a day, not about 12 x 50,000 sat");
}

/// Whoever buys balance for a channel must know from the first hours whether it fills by itself, even where no payer was watched yet.
#[test]
fn what_comes_in_by_other_ways_is_told_from_the_second_look_on() {
    let capacity = scene(200).channels[0].capacity.as_f64();
    // What the balance gained in the half hour after the first look, and what of it forwards and our own moves brought.
    for (gained, by_forwards, moved) in
        [(0.0, 0.0, 0.0), (0.02, 0.0, 0.0), (-0.02, 0.0, 0.0), (0.02, 0.02, 0.0), (0.02, 0.0, 0.02), (0.05, 0.02, 0.01)]
    {
        let mut s = scene(200);
        assert_eq!(wanted(&s).other, 0.0);
        s = s.next(&s.decide()).local(0.5 + gained);
        s.observed.in_msat = by_forwards * capacity;
        s.observed.moved_msat = moved * capacity;
        s = s.next(&s.decide());
        let Wanted { demand, other, other_days, .. } = wanted(&s);
        assert!((other_days - 0.5 / 24.0).abs() < 1e-9, "{other_days}");
        let expected = 48.0 * (gained - by_forwards - moved) * capacity;
        assert!(demand.is_none() && (other - expected).abs() < 1e-3 * capacity, "{gained}: {other}, not {expected}");
    }
}

fn wanted(s: &Scene) -> Wanted {
    let channels = s.channels.iter().collect();
    let policy = Policy::controller();
    let peers = [Planned { peer: peer(), channels, memory: s.memory.as_ref(), policy }];
    let told = super::super::wanted(&PlanInputs {
        now: s.now,
        peers: &peers,
        market: &s.market,
        tuning: &s.tuning,
        last: None,
    });
    let [(who, wanted)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*who, peer());
    wanted.clone()
}

/// On a routing node nearly all comes by forwards: a peer is planned from its first day, and until something else is seen to refill it.
#[test]
fn a_peer_is_planned_until_more_came_by_other_ways() {
    let capacity = scene(200).channels[0].capacity.as_f64();
    // What the balance gained since the first look, and what of it forwards and our own moves brought.
    for (gained, by_forwards, moved, holds) in [
        (0.0, 0.0, 0.0, true),
        (-0.05, 0.0, 0.0, true),
        (0.01, 0.0, 0.0, true),
        (0.05, 0.0, 0.0, false),
        (0.05, 0.05, 0.0, true),
        (0.05, 0.0, 0.05, true),
        (0.10, 0.03, 0.0, false),
    ] {
        let mut s = scene(200);
        s = s.next(&s.decide()).local(0.5 + gained);
        s.observed.in_msat = by_forwards * capacity;
        s.observed.moved_msat = moved * capacity;
        s = s.next(&s.decide());
        let bid = *s.plan().bid(&peer()).unwrap();
        assert_eq!(bid.holds, holds, "{gained} gained, {by_forwards} by forwards, {moved} moved");
    }
}

/// What is believed before anybody paid is carried by curves on which a dear fee earns a fortune.
#[test]
fn a_plan_raises_no_fee_that_nobody_has_paid() {
    // The lowest and the highest fee that is asked in 30 hours.
    let asked_of = |scene: Scene, plan: f64, events: f64| {
        let mut s = Scene {
            bid: Some(Bid { peer: peer(), mu: 0.0, cost: 0.0, rehearsed: 0.0, fee: plan, holds: true }),
            ..scene
        };
        s.observed.events = events;
        (0..60).fold((u32::MAX, 0), |(low, high), _| {
            let decision = s.decide();
            s = Scene { updates: Updates::default(), ..s.next(&decision) };
            (low.min(decision.target.0), high.max(decision.target.0))
        })
    };
    let asked = |plan: f64, events: f64| asked_of(scene(200), plan, events);
    let (_, unpaid) = asked(4000.0, 0.0);
    assert!(unpaid <= 270, "no more than the first tries: {unpaid}");
    let (_, paid) = asked(4000.0, 1.0);
    assert!(paid > 800, "{paid}");
    let (down, _) = asked(40.0, 0.0);
    assert!(down < 80, "{down}");
    // Empty since the peer has opened it: nobody could have been served at any fee.
    let mut virgin = scene(200).local(0.0);
    virgin.channels[0].opener = Some(Side::Remote);
    virgin.channels[0].sent = Some(Msat::ZERO);
    let (_, empty) = asked_of(virgin, 4000.0, 0.0);
    assert!(empty < 300, "no more than the first tries: {empty}");
}

/// Each plan's rehearsal begins where the one before has ended. A single channel has nobody to rehearse with, nor has anybody before
/// something was forwarded.
#[test]
fn a_rehearsal_goes_on_from_the_last() {
    let mut s = scene(200);
    let other = PeerId([3; 33]);
    let both = |s: &Scene, last: Option<&Plan>| {
        let channels: Vec<&Channel> = s.channels.iter().collect();
        let planned = |peer| Planned { peer, channels: channels.clone(), memory: s.memory.as_ref(), policy: &s.policy };
        let peers = [planned(peer()), planned(other)];
        plan(&PlanInputs { now: s.now, peers: &peers, market: &s.market, tuning: &s.tuning, last })
    };
    let rehearsed = |plan: &Plan| plan.bid(&peer()).unwrap().rehearsed;
    assert_eq!(rehearsed(&both(&s, None)), 0.0);
    s = s.next(&s.decide());
    (s.observed.out_msat, s.observed.in_msat) = (1e8, 4e7);
    let elsewhere = s.next(&s.decide());
    assert_eq!(rehearsed(&both(&elsewhere, None)), 0.0, "most of it came from elsewhere");
    s.observed.in_msat = 1e8;
    s = s.next(&s.decide());
    let first = both(&s, None);
    assert_eq!(both(&s, None), first, "the same at the same time");
    let text = serde_json::to_string(&first).unwrap();
    let found = rehearsed(&first);
    let field = format!("\"rehearsed\":{}", serde_json::to_string(&found).unwrap());
    let far: Plan = serde_json::from_str(&text.replace(&field, "\"rehearsed\":2.5")).unwrap();
    let next = rehearsed(&both(&s, Some(&far)));
    assert!(found != 0.0 && found.abs() < 1.3 && next > 1.3, "{found}, and from 2.5 {next}");
    let older: Plan = serde_json::from_str(&text.replace(&format!("{field},"), "")).unwrap();
    assert_eq!(rehearsed(&older), 0.0, "plans of earlier versions were never rehearsed");
    assert_eq!(rehearsed(&s.plan()), 0.0);
}
