//! What a channel costs is never forgotten: the floor, and the Vegas reflex on it.

use super::*;

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
