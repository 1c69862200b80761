//! The plan of the whole node in a decision about one peer.

use super::*;

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

/// Rebalancing asks what would be bought if there were balance for it.
#[test]
fn what_is_wanted_is_told_of_peers_that_were_watched() {
    let wanted = |s: &Scene| {
        let channels = s.channels.iter().collect();
        let policy = Policy::controller();
        let peers = [Planned { peer: peer(), channels, memory: s.memory.as_ref(), policy }];
        super::super::wanted(&PlanInputs { now: s.now, peers: &peers, market: &s.market, tuning: &s.tuning })
    };
    assert_eq!(wanted(&scene(200)), [], "nobody was watched yet");
    let mut s = scene(200);
    // Half an hour each: an event every two hours, of 50,000 sat.
    s.observed.events = 0.25;
    let s = s.after(48 * 20);
    let [(who, Wanted { out: msat, .. })] = wanted(&s)[..] else { panic!("{:?}", wanted(&s)) };
    assert!(who == peer() && (3e8..1.2e9).contains(&msat), "{msat} msat a day, not about 12 x 50,000 sat");
}
