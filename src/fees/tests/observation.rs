//! Hours count once, however they are cut, and only where the peer was there.

use super::*;

#[test]
fn nothing_is_tried_while_the_peer_is_away() {
    let mut s = scene(200).after(1);
    s.channels[0].connected = false;
    let asked = s.channels[0].ours.ppm;
    s = s.after(48 * 10);
    assert_eq!(s.channels[0].ours.ppm, asked);
    s.channels[0].connected = true;
    s.updates = Updates::default();
    assert_ne!(s.after(48).channels[0].ours.ppm, asked);
}

#[test]
fn slices_of_any_length_add_up_to_the_same() {
    // Twelve hours in one piece (the plugin was down), in half hours, and in seconds: the same events and exposure.
    let seen = |slice_secs: i64, slices: u32| {
        let mut s = scene(200);
        (s.observed.from, s.observed.to) = (s.now, s.now);
        let decision = s.decide();
        s = s.next(&decision);
        (s.now, s.observed) = (START, Observed { from: START, to: START, ..Observed::default() });
        let mut memory = s.memory.clone();
        for k in 1..=slices {
            let now = START.plus_secs(slice_secs * i64::from(k));
            s.observed = Observed { from: s.now, to: now, events: 11.0 / f64::from(slices), ..Observed::default() };
            (s.now, s.memory) = (now, memory);
            memory = Some(s.decide().memory);
        }
        let view = debug(memory.as_ref().unwrap());
        (
            view["hill_climb"]["block"]["events"].as_f64().unwrap(),
            view["hill_climb"]["block"]["exposure_hours"].as_f64().unwrap(),
        )
    };
    // Eleven hours, of which three are washed out.
    for (secs, slices) in [(39_600, 1), (1_800, 22), (60, 660)] {
        let (events, exposure) = seen(secs, slices);
        assert!(
            (events - 8.0).abs() < 1e-3 && (exposure - 8.0).abs() < 1e-3,
            "{slices} slices: {events} in {exposure} h"
        );
    }
}

/// Room counts by amount: a channel that takes in all but the large ones turns away most of what would come.
#[test]
fn room_is_what_could_come_in() {
    let mut s = scene(200);
    s.market.amounts = [1, 1, 1, 7].map(|sat| Msat(sat * 1_000_000)).to_vec();
    let open = |s: &Scene| {
        let channels: Vec<&Channel> = s.channels.iter().collect();
        super::super::blocks::receivable(&s.inputs(&channels))
    };
    for (receivable, part) in [(Some(0), 0.0), (Some(1_000_000), 0.3), (Some(7_000_000), 1.0), (None, 1.0)] {
        s.channels[0].receivable = receivable.map(Msat);
        assert!((open(&s) - part).abs() < 1e-9, "{receivable:?}: {}", open(&s));
    }
    s.channels[0].connected = false;
    assert_eq!(open(&s), 0.0);
}
