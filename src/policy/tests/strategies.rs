//! Our own strategies, bounds, and what is sent to which node.

use super::*;
use crate::domain::{Costs, Limits};
use crate::policy::{Capabilities, changes};

fn both(text: &str, facts: &Facts) -> (Option<i64>, Option<i64>) {
    let wanted = wanted(text, facts);
    (wanted.ppm, wanted.inbound_ppm)
}

#[test]
fn balance_based_has_tiers() {
    let text = "[a]\nstrategy = balance_based\nfee_ppm = 1000";
    let tiers = [0.9, 0.8, 0.4, 0.39, 0.2, 0.1].map(|share| both(text, &ours(share)));
    let expected = [(500, -100), (1000, -25), (1000, -25), (1000, 0), (1000, 0), (2000, 25)];
    assert_eq!(tiers, expected.map(|(ppm, inbound)| (Some(ppm), Some(inbound))));
    let given = "[a]\nstrategy = balance_based\nfee_ppm = 1000\ninbound_fee_ppm = -150";
    assert_eq!(both(given, &ours(0.9)), (Some(500), Some(-150)));
}

#[test]
fn flow_based_looks_at_a_week() {
    let text = "[a]\nstrategy = flow_based\nfee_ppm = 1000";
    let moved = |in_sat, out_sat| Facts { week: Some(Week { in_sat, out_sat, earned_sat: 0 }), ..quiet() };
    assert_eq!(both(text, &moved(100_000, 100_000)), (Some(1400), Some(0)));
    assert_eq!(both(text, &moved(90_000, 10_000)), (Some(700), Some(50)));
    assert_eq!(both(text, &moved(10_000, 90_000)), (Some(700), Some(-100)));
    assert_eq!(both(text, &moved(0, 0)), (Some(700), Some(0)));
    assert_eq!(both(text, &moved(0, 50_000)), (Some(700), Some(-100)));
    assert!(matches!(resolve(text, &Facts { week: None, ..quiet() }).outcome, Outcome::Skipped(_)));
}

#[test]
fn discounts_and_surcharges_follow_the_balance() {
    let discount = "[a]\nstrategy = inbound_discount\nfee_ppm = 100\n";
    let tiers = [0.9, 0.7, 0.5, 0.3].map(|share| both(discount, &ours(share)).1);
    assert_eq!(tiers, [-50, -30, -10, -5].map(Some));
    let premium = "[a]\nstrategy = inbound_premium\ninbound_fee_ppm = 200";
    let tiers = [0.1, 0.3, 0.5, 0.9].map(|share| both(premium, &ours(share)).1);
    assert_eq!(tiers, [200, 120, 40, 5].map(Some));
}

#[test]
fn a_discount_competes_with_what_the_peer_asks() {
    let text = "[a]\nstrategy = inbound_discount\nfee_ppm = 300";
    let asking = |ppm| Facts { theirs: quiet().theirs.map(|t| TheirTerms { ppm: Ppm(ppm), ..t }), ..ours(0.9) };
    assert_eq!(both(text, &asking(100)).1, Some(-50 - 60));
    assert_eq!(both(text, &asking(300)).1, Some(-50));
    assert_eq!(both(text, &asking(500)).1, Some(-50 + 40));
}

#[test]
fn costs_are_earned_back_within_the_horizon() {
    let costs = Costs { opening: Some(Sat(1_000)), closing: Some(Sat(500)), rebalancing: Some(Sat(300)) };
    let facts = Facts { costs, week: Some(Week { out_sat: 140_000, ..Week::default() }), ..quiet() };
    // 1,800 sat over 20,000 sat a day.
    assert_eq!(wanted("[a]\nstrategy = cost_recovery\nrecovery_days = 100", &facts).ppm, Some(900));
    // One filling at least.
    assert_eq!(wanted("[a]\nstrategy = cost_recovery\nrecovery_days = 1\nfee_ppm = 10", &facts).ppm, Some(1810));
    // Closing costs 180 vbytes at 10 sat.
    let unknown = Facts { costs: Costs { closing: None, ..costs }, ..facts };
    assert_eq!(wanted("[a]\nstrategy = cost_recovery\nrecovery_days = 1", &unknown).ppm, Some(3100));
}

#[test]
fn the_learner_starts_from_the_sections_fee_within_its_bounds() {
    let text = "[a]\nstrategy = revenue_max\nfee_ppm = 50\nmin_fee_ppm = 100\nmax_fee_ppm = 900\nmax_step_ppm = 25\nbase_fee_msat = 0";
    let Outcome::Controller { prior, limits, rest } = resolve(text, &quiet()).outcome else { panic!("no controller") };
    assert_eq!((prior, rest.ppm, rest.base_msat), (Some(Ppm(100)), None, Some(0)));
    let expected = Limits { min: Some(Ppm(100)), max: Some(Ppm(900)), max_step: Some(Ppm(25)), ..Limits::default() };
    assert_eq!(limits, expected);
    assert_eq!(wanted(&format!("{text}\nlearning_enabled = no"), &quiet()).ppm, Some(100));
}

#[test]
fn fleet_channels_are_free_and_passive_ones_left_alone() {
    assert_eq!(
        wanted("[a]\nstrategy = hive", &quiet()),
        Wanted { base_msat: Some(0), ppm: Some(0), disabled: Some(false), ..Wanted::default() }
    );
    assert_eq!(resolve("[a]\nstrategy = passive", &quiet()).outcome, Outcome::Untouched);
}

#[test]
fn bounds_hold_and_say_so() {
    let text = "[a]\nstrategy = static\nfee_ppm = 5000\nmax_fee_ppm = 2000\nmax_step_ppm = 300\ninbound_fee_ppm = -120\n\
                min_inbound_fee_ppm = -110";
    let resolution = resolve(text, &quiet());
    let held: Vec<_> =
        resolution.held_back.iter().map(|held| (held.key, held.from, held.to, held.why.as_str())).collect();
    assert_eq!(
        held,
        [
            ("fee_ppm", 5000, 2000, "max_fee_ppm"),
            ("fee_ppm", 2000, 400, "max_step_ppm"),
            ("inbound_fee_ppm", -120, -110, "min_inbound_fee_ppm")
        ]
    );
}

#[test]
fn bounds_that_are_another_sections_slope_do_not_bind_a_fixed_fee() {
    let text = "[n]\nmax_fee_ppm = 200\n[a]\nstrategy = static\nfee_ppm = 2000";
    assert_eq!(wanted(text, &quiet()).ppm, Some(2000));
    assert_eq!(wanted(&text.replace("static", "hive"), &quiet()).ppm, Some(200));
}

#[test]
fn no_discount_makes_a_forward_cost_less_than_nothing() {
    let text = "[a]\nstrategy = balance_based\nfee_ppm = 1000";
    let cheap = NodeFacts { cheapest: vec![(Scid(1), Ppm(40))], ..node() };
    let Outcome::Wanted(wanted) = rules(text).resolve(&ours(0.9), &cheap).outcome else { panic!("nothing wanted") };
    assert_eq!(wanted.inbound_ppm, Some(-39));
    let dear = NodeFacts { cheapest: vec![(Scid(1), Ppm(4000))], ..node() };
    let deep = text.replace("1000", "100\ninbound_fee_ppm = -150");
    let Outcome::Wanted(wanted) = rules(&deep).resolve(&ours(0.9), &dear).outcome else { panic!("nothing wanted") };
    assert_eq!((wanted.ppm, wanted.inbound_ppm), (Some(50), Some(-150)));
    let own = "[a]\nstrategy = static\nfee_ppm = 100\ninbound_fee_ppm = -150\nbase_fee_msat = 10\ninbound_base_fee_msat = -11";
    let both = super::wanted(own, &quiet());
    assert_eq!((both.inbound_ppm, both.inbound_base_msat), (Some(-100), Some(-10)));
}

#[test]
fn a_node_is_sent_what_it_can_do_and_told_of_the_rest() {
    let text = "[a]\nstrategy = static\nfee_ppm = 200\ninbound_fee_ppm = 20\ntime_lock_delta = 40";
    let wanted = wanted(text, &quiet());
    let sent = |can| {
        let update = changes(&quiet().ours, true, &wanted, can);
        let terms = update.terms.unwrap_or_default();
        (terms.ppm, terms.inbound_ppm, terms.time_lock_delta, update.unsupported)
    };
    assert_eq!(sent(Capabilities::CORE_LIGHTNING), (Some(200), None, None, vec!["inbound fees", "time_lock_delta"]));
    assert_eq!(sent(Capabilities::LND), (Some(200), Some(0), Some(40), vec!["inbound surcharges"]));
    assert_eq!(sent(Capabilities::LND_WITH_SURCHARGES), (Some(200), Some(20), Some(40), vec![]));
    let off = super::wanted("[a]\nstrategy = disable", &quiet());
    let on_cln = changes(&quiet().ours, true, &off, Capabilities::CORE_LIGHTNING);
    assert!(on_cln.is_empty() && on_cln.unsupported == ["disable"]);
}
