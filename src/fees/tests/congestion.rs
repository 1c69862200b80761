//! Slots that run out drive the fee up, within bounds, and give it back.

use super::*;

#[test]
fn congestion_drives_the_fee_up_within_bounds() {
    // 483 slots, threshold 80 %: 387 is above, 338 is not yet relief, 337 is.
    let calm = Scene::held(200).busy(386).decide();
    assert_eq!((calm.target, calm.action), (Ppm(200), Action::Keep));

    let mut fees = vec![];
    let mut s = Scene::held(200).busy(387);
    for _ in 0..4 {
        let decision = s.decide();
        fees.push(decision.target.0);
        s = s.next(&decision);
    }
    assert_eq!(fees, [450, 800, 800, 800], "the larger of x2 and +250, never above x4");
    assert_eq!(s.updates, Updates { ordinary: 0, urgent: 2 }, "no step uses up the ordinary budget");

    let lasting = s.clone().busy(340).decide();
    assert_eq!(lasting.target, Ppm(800), "not over before 10 % more slots are free");
    let relieved = s.busy(330).decide();
    assert_eq!((relieved.target, relieved.action), (Ppm(200), Action::Set { urgent: true }));
}

#[test]
fn congestion_steps_by_cycles_and_not_by_calls() {
    let s = Scene::held(1000).busy(483);
    let first = s.decide();
    let again = Scene { now: s.now.plus_secs(10), ..s.next(&first) }.decide();
    assert_eq!((first.target, again.target), (Ppm(2000), Ppm(2000)));
}

#[test]
fn congestion_counts_all_channels_with_the_peer_or_none() {
    let mut s = Scene::held(200).busy(483);
    s.channels.push(channel(2, 200));
    assert_eq!(s.decide().target, Ppm(200), "half of the slots with the peer are free");
    s.channels[1].max_htlcs = None;
    let decision = s.decide();
    assert_eq!(decision.target, Ppm(200));
    assert!(find(&decision.why, "congestion").to_string().contains("does not tell"), "{:?}", decision.why);
}
