//! Fees that are not ours: set by hand, by others, or not yet on a new channel.

use super::*;

#[test]
fn somebody_elses_fee_is_taken_over_and_held_for_a_block() {
    let mut s = scene(200).after(3);
    s.channels[0].ours.ppm = Ppm(777);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (Ppm(777), Action::Keep));
    assert!(matches!(decision.why[0], Reason::TakenOver { found: Ppm(777), .. }), "{:?}", decision.why);
    let mut s = s.next(&decision);
    s.updates = Updates::default();
    for _ in 0..22 {
        let decision = s.decide();
        assert_eq!((decision.target, verdict(&decision)), (Ppm(777), Verdict::Same));
        s = s.next(&decision);
    }
    let after = s.after(3);
    assert_ne!(after.channels[0].ours.ppm, Ppm(777), "then the climb goes on");
    let ratio = after.channels[0].ours.ppm.as_f64() / 777.0;
    assert!((0.7..1.4).contains(&ratio), "from there: {ratio}");
}

#[test]
fn a_change_that_was_never_made_is_nobodys_opinion() {
    let mut s = scene(200);
    for _ in 0..60 {
        let decision = s.decide();
        assert!(!decision.why.iter().any(|r| r.stage() == "taken_over"), "{:?}", decision.why);
        let channels = s.channels.clone();
        s = s.next(&decision);
        s.channels = channels; // A dry run.
        s.updates = Updates::default();
    }
}

#[test]
fn a_new_channel_with_the_peer_gets_the_peers_fee() {
    let mut s = scene(200).after(3);
    s.updates = Updates::default();
    let asked = s.channels[0].ours.ppm;
    let mut new = channel(2, 10);
    (new.capacity, new.local) = (Msat(50_000_000_000), Msat(25_000_000_000));
    s.channels.push(new);
    let decision = s.decide();
    assert_eq!((decision.target, decision.action), (asked, Action::Set { urgent: false }));
    assert_eq!(verdict(&decision), Verdict::Align);
}

#[test]
fn a_fee_set_by_hand_on_one_of_two_channels_holds() {
    let mut s = scene(200);
    s.channels.push(channel(2, 200));
    s = s.after(3);
    s.updates = Updates::default();
    s.memory = Some(taken_over(s.memory.as_ref(), Ppm(500), s.now));
    s.channels[0].ours.ppm = Ppm(500);
    for cycle in 0..20 {
        let decision = s.decide();
        let follows = if cycle == 0 { Action::Set { urgent: false } } else { Action::Keep };
        assert_eq!((decision.target, decision.action), (Ppm(500), follows));
        assert!(!decision.why.iter().any(|r| r.stage() == "taken_over"), "{:?}", decision.why);
        s = s.next(&decision);
    }
}
