//! Blocks of rules as operators pass them on: each loads, and does what its words say.

use super::*;
use crate::domain::{Facts, Graph};
use crate::policy::{Rollback, has_errors};

const BLOCKS: &str = include_str!("../../../tests/data/policy/blocks.txt");

/// The section of this name, wherever it is, with the block around it.
fn block(section: &str) -> &'static str {
    let header = format!("[{section}]");
    BLOCKS.split("%%\n").find(|block| block.contains(&header)).unwrap_or_else(|| panic!("there is no {header}"))
}

fn rates(section: &str, facts: &Facts) -> (Option<i64>, Option<i64>) {
    let resolution = resolve(block(section), facts);
    assert_eq!(resolution.section.as_deref(), Some(section));
    match resolution.outcome {
        Outcome::Wanted(wanted) => (wanted.ppm, wanted.inbound_ppm),
        other => panic!("{other:?}"),
    }
}

/// Busy, and with a peer that many others reach.
fn busy(share: f64) -> Facts {
    Facts {
        week: Some(Week { in_sat: 3_000_000, out_sat: 3_000_000, earned_sat: 500 }),
        capacity: Sat(2_000_000),
        peer_in_graph: Graph::Known { channels: 50, capacity: Sat(100_000_000) },
        ..ours(share)
    }
}

#[test]
fn every_block_loads_with_no_worse_than_warnings() {
    let mut blocks = 0;
    for block in BLOCKS.split("%%\n") {
        let (rules, findings) = RuleFile::parse(block, "block", Reading::Ours, &nowhere);
        assert!(rules.is_some() && !has_errors(&findings), "{block}\n{}", said(&findings).join("\n"));
        blocks += 1;
    }
    assert_eq!(blocks, 15);
}

#[test]
fn tiers_are_those_that_the_block_names() {
    let tiers = [0.9, 0.6, 0.1].map(|share| rates("liquidity-management", &ours(share)).1);
    assert_eq!(tiers, [-100, -25, 25].map(Some));
    // High local balance: a discount; low: a surcharge.
    assert_eq!(
        [0.9, 0.1].map(|share| rates("balance-optimization", &ours(share))),
        [(Some(500), Some(-100)), (Some(2000), Some(25))]
    );
}

#[test]
fn flow_decides_between_discount_and_surcharge() {
    let flows = |in_sat, out_sat| Facts { week: Some(Week { in_sat, out_sat, earned_sat: 0 }), ..quiet() };
    let inbound = |facts| rates("flow-optimization", &facts).1;
    assert_eq!([inbound(flows(9, 1)), inbound(flows(1, 9)), inbound(flows(5, 5))], [Some(50), Some(-100), Some(0)]);
}

#[test]
fn learners_take_their_bounds_and_what_they_say_of_going_back() {
    let learner = |section: &str| {
        let resolution = resolve(block(section), &busy(0.5));
        let Outcome::Controller { prior, limits, .. } = resolution.outcome else { panic!("{section}: {resolution:?}") };
        let Rollback { enabled, threshold, .. } = resolution.rollback;
        (prior.map(|ppm| ppm.0), limits.min.map(|ppm| ppm.0), (enabled, threshold))
    };
    let back = |threshold| (Some(true), Some(threshold));
    assert_eq!(learner("revenue-channels"), (None, None, back(0.25)));
    assert_eq!(learner("smart-optimization"), (None, None, (None, None)));
    assert_eq!(learner("advanced-section"), (None, Some(100), back(0.3)));
}

#[test]
fn fixed_fees_are_as_they_are_written() {
    let large = Facts { capacity: Sat(5_000_000), ..quiet() };
    assert_eq!(rates("high-capacity", &large).0, Some(1500));
    let premium = Facts {
        peer: "033d8656219478701227199cbd6f670335c8d408a92ae88b962c49d4dc0e83e025".parse().unwrap(),
        ..quiet()
    };
    assert_eq!(rates("premium-peers", &premium), (Some(500), Some(-25)));
    assert_eq!(resolve(block("premium-peers"), &premium).rollback.enabled, Some(false));
    assert_eq!(rates("new-channels", &quiet()), (Some(200), Some(-100)));
    let old = Facts { scid: Scid::new(800_000, 1, 0).unwrap(), ..busy(0.5) };
    let resolution = resolve(block("mature-channels"), &old);
    assert_eq!(resolution.strategy.as_deref(), Some("revenue_max"));
}

#[test]
fn a_block_that_only_chooses_decides_nothing() {
    assert_eq!(resolve(block("competitive-channels"), &busy(0.5)).outcome, Outcome::Unruled);
    assert!(rates("competitive-strategy", &busy(0.9)).1 < Some(0));
}

#[test]
fn a_deep_discount_is_given_where_the_way_on_costs_more() {
    let by = |others| {
        let node = NodeFacts { cheapest: vec![(Scid(1), Ppm(others))], ..node() };
        let resolution = rules(block("rebalancing-helper")).resolve(&ours(0.9), &node);
        let Outcome::Wanted(wanted) = &resolution.outcome else { panic!("{resolution:?}") };
        (wanted.ppm, wanted.inbound_ppm, resolution.held_back.len())
    };
    assert_eq!(by(500), (Some(50), Some(-150), 0));
    assert_eq!(by(120), (Some(50), Some(-119), 1));
}
