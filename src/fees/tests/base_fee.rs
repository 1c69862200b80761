//! The base fee, which payers see and we do not move.

use super::*;

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
