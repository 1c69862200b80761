//! What holds for every scene, drawn at random.

use proptest::prelude::*;

use super::*;
use crate::domain::units::to_u32_rounded;

/// Scenes as they come, some in the middle of a climb.
fn scenes() -> impl Strategy<Value = Scene> {
    let fee = 0_u32..6000;
    let rest =
        (0.0..1.0_f64, 0.0..20.0_f64, 0_u32..500, 0_usize..80, 1.0..3.0_f64, proptest::option::of(0_u64..200_000));
    (fee, 0_u32..500, 1_u32..6000, rest).prop_map(|(fee, min, max, (local, events, slots, cycles, vegas, chain))| {
        let mut s = scene(fee).local(local);
        (s.tuning.min, s.tuning.max) = (Ppm(min), Ppm(max.max(min)));
        (s.market.floor_multiplier, s.market.sat_per_kvb) = (vegas, chain);
        s.observed.events = events;
        s.observed.out_msat = events * 50_000_000.0;
        s.updates = Updates::default();
        let mut s = s.after(cycles).busy(slots);
        s.updates = Updates { ordinary: u32::from(events < 10.0), urgent: 0 };
        s
    })
}

fn numbers_in<'a>(value: &'a mut serde_json::Value, found: &mut Vec<&'a mut serde_json::Value>) {
    match value {
        serde_json::Value::Number(_) => found.push(value),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| numbers_in(item, found)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| numbers_in(field, found)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_fee_is_always_within_bounds(s in scenes()) {
        let decision = s.decide();
        prop_assert!(s.is_within_bounds(&decision), "{:?}", decision.why);
    }

    #[test]
    fn less_local_balance_never_lowers_the_fee(s in scenes(), a in 0.0..1.0_f64, b in 0.0..1.0_f64, skip in 0_usize..60) {
        let s = s.after(skip);
        let (less, more) = (s.clone().local(a.min(b)).decide(), s.local(a.max(b)).decide());
        prop_assert!(less.target >= more.target, "{:?} {:?}", less.why, more.why);
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(s in scenes()) {
        let (one, two) = (s.decide(), s.decide());
        prop_assert_eq!((one.target, one.action, one.why, one.memory), (two.target, two.action, two.why, two.memory));
    }

    /// A memory may come from another version, another node's clock or a bad disk: whatever it says, no fee leaves the bounds.
    #[test]
    fn a_weird_memory_breaks_nothing(s in scenes(), at in 0_usize..200, value in -1e9..1e9_f64, later in 0_i64..2_000_000) {
        let s = s.after(50);
        let mut memory = serde_json::to_value(s.memory.as_ref().unwrap()).unwrap();
        let mut numbers = vec![];
        numbers_in(&mut memory, &mut numbers);
        let count = numbers.len();
        let number = &mut *numbers[at % count];
        *number = if number.is_f64() { value.into() } else { to_u32_rounded(value.abs()).into() };
        let Ok(memory) = serde_json::from_value(memory) else { return Ok(()) };
        let mut s = Scene { memory: Some(memory), now: s.now.plus_secs(later), ..s };
        for _ in 0..60 {
            let decision = s.decide();
            prop_assert!(s.is_within_bounds(&decision), "{:?}", decision.why);
            let text = serde_json::to_string(&decision.memory).unwrap();
            prop_assert!(serde_json::from_str::<Memory>(&text).is_ok(), "{text}");
            s = s.next(&decision);
        }
    }

    #[test]
    fn memory_survives_json(s in scenes()) {
        let memory = s.decide().memory;
        let text = saved(&memory, None).unwrap();
        prop_assert_eq!(recalled(&text.memory, text.learned.as_deref()).unwrap(), memory);
    }
}
