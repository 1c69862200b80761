//! A low balance makes a fee dearer, once.

use super::*;

fn factor(decision: &FeeDecision) -> f64 {
    match find(&decision.why, "scarcity") {
        Reason::Scarcity { factor, .. } => *factor,
        other => panic!("{other:?}"),
    }
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
