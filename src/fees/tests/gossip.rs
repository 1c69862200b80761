//! What the network is told, and what waits.

use super::*;
use crate::fees::gossip::stage;

#[test]
fn gossip_waits_for_what_is_worth_it() {
    // (published, target, hours that it has differed, changes today) -> verdict
    let small = Verdict::TooSmall { since: Some(START) };
    let cases = [
        (1000, 1000, 0.0, 0, Verdict::Same),
        (1000, 1050, 0.0, 0, Verdict::Publish),
        (1000, 1049, 0.0, 0, small),
        // The second change of a day is as good as the first; each one after it must be half as much larger.
        (1000, 1050, 0.0, 1, Verdict::Publish),
        (1000, 1076, 0.0, 2, Verdict::Publish),
        (1000, 1074, 0.0, 2, small),
        (1000, 926, 0.0, 2, small),
        (1000, 1101, 0.0, 3, Verdict::Publish),
        (1000, 1099, 0.0, 3, small),
        (1000, 1020, 24.0, 3, Verdict::PublishSmall),
        (1000, 951, 0.0, 0, small),
        (1000, 950, 0.0, 0, Verdict::Publish),
        (1000, 1020, 23.0, 0, small),
        (1000, 1020, 24.0, 0, Verdict::PublishSmall),
        (1000, 1019, 48.0, 0, Verdict::TooSmall { since: None }),
        (1000, 2000, 48.0, 4, Verdict::OverBudget),
        (0, 10, 0.0, 0, Verdict::Urgent),
    ];
    for (published, target, hours, ordinary, expected) in cases {
        let mut memory = scene(published).decide().memory;
        (memory.pending, memory.asked) = (None, None);
        for now in [START, START.plus_hours(hours)] {
            let mut s = scene(published);
            (s.now, s.updates.ordinary, s.tuning.updates_per_day) = (now, ordinary, 4);
            let channels: Vec<&Channel> = s.channels.iter().collect();
            let mut why = vec![];
            let _ = stage(&mut memory, &s.inputs(&channels), Ppm(target), &mut why);
            if now == START.plus_hours(hours) {
                let Some(Reason::Gossip { verdict, .. }) = why.first() else { panic!("{why:?}") };
                assert_eq!(*verdict, expected, "{published} -> {target} after {hours} h, {ordinary} changes");
            }
        }
    }
}

#[test]
fn a_target_that_waits_is_neither_lost_nor_run_away_with() {
    // A week without budget and without payers: the target is a step down, not a slide to the floor that was never tried.
    let mut s = scene(1000);
    s.updates.ordinary = 2;
    let mut decision = s.decide();
    for _ in 0..48 * 8 {
        assert_eq!(decision.action, Action::Keep);
        s = s.next(&decision);
        decision = s.decide();
    }
    assert!((400..900).contains(&decision.target.0), "{}", decision.target);
    s.updates = Updates::default();
    let told = s.decide();
    assert_eq!((told.target, told.action), (decision.target, Action::Set { urgent: false }));
}

#[test]
fn waking_makes_the_next_decision_act() {
    let mut s = Scene::held(200).after(2);
    assert_eq!(verdict(&s.decide()), Verdict::Same, "held");
    s.memory = Some(woken(s.memory.as_ref().unwrap(), s.now));
    let decision = s.decide();
    assert_eq!(decision.action, Action::Set { urgent: false }, "{}", summary(&decision.why));
}
