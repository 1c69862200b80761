//! A channel that is priced alone asks what its balance is worth, and goes on asking it between the ends of its pairs.

use super::*;

/// Days in which half of two payers of 50,000 sat every half hour paid 400 ppm, and this share of the balance was there at each moment; and some hours more.
fn sold(days: u16, local: impl Fn(f64) -> f64) -> Scene {
    let mut s = scene(400);
    for half_hour in 0..days * 48 + 5 {
        s.observed.events = 2.0 / (1.0 + (s.channels[0].ours.ppm.as_f64() / 400.0).powi(2));
        s.observed.out_msat = 50e6 * s.observed.events;
        s = s.local(local(f64::from(half_hour) / 48.0));
        s = s.next(&s.decide());
    }
    s
}

/// What the learner asks at that balance, and what the balance has made of it since the last pair's end.
fn asked(s: &Scene, local: f64) -> (f64, f64) {
    match find(&s.clone().local(local).decide().why, "hill_climb") {
        Reason::HillClimb { fee, lean, .. } => (*fee, *lean),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fee_follows_the_balance_between_the_ends_of_pairs() {
    let s = sold(4, |days| 0.9 - 0.1 * days);
    let fees: Vec<f64> = [0.9, 0.7, 0.5, 0.3, 0.1].iter().map(|local| asked(&s, *local).0).collect();
    assert!(fees.is_sorted_by(|a, b| a < b), "{fees:?}");
    assert!(asked(&s, 0.9).1 < 0.0 && asked(&s, 0.1).1 > 0.0);
    let text = find(&s.local(0.1).decide().why, "hill_climb").to_string();
    assert!(text.contains(", its balance asked ") && text.contains(" and has moved it by +"), "{text}");
}

#[test]
fn where_the_balance_says_nothing_the_fee_does_not_follow_it() {
    let falling = |days: f64| 0.9 - 0.1 * days;
    let held = |s: &Scene| Scene { memory: Some(taken_over(s.memory.as_ref(), Ppm(400), s.now)), ..s.clone() };
    let planned = |s: &Scene| {
        let bid = s.plan().bid(&peer()).map(|bid| Bid { holds: true, ..*bid });
        Scene { bid, ..s.clone() }.after(60)
    };
    for (about, s) in [
        ("before the first pair is over", sold(0, falling)),
        ("refilled by what it sells", sold(4, |_| 0.6)),
        ("set by hand", held(&sold(4, falling))),
        ("priced by the plan", planned(&sold(4, falling))),
    ] {
        let [full, empty] = [0.9, 0.1].map(|local| asked(&s, local));
        assert_eq!((full.1, empty.1), (0.0, 0.0), "{about}");
    }
}
