//! What is remembered between two decisions stays small and readable.

use super::*;

#[test]
fn two_thousand_peers_fit_into_a_cycle() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let s = s.after(100);
    let memory = s.memory.clone().unwrap();
    let first = saved(&memory, None).unwrap();
    let (often, seldom) = (first.memory.len(), first.learned.unwrap().len());
    assert!(often < 1150 && seldom < 4000, "{often} and {seldom} bytes of memory");
    assert_eq!(saved(&memory, Some(&memory)).unwrap().learned, None);
}

/// What was learned before balances were planned with is worth weeks as well.
#[test]
fn a_memory_from_before_plans_is_read() {
    let mut s = scene(200);
    s.observed.events = 3.0;
    let memory = s.after(60).memory.unwrap();
    let text = saved(&memory, None).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&text.memory).unwrap();
    let climb = old["climb"].as_object_mut().unwrap();
    assert!(climb.remove("tilt").is_some());
    assert!(climb["aim"].as_object_mut().unwrap().remove("bid").is_some());
    for name in ["came", "brought", "left", "other", "ample", "payments", "msat"] {
        assert!(climb["purse"].as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    let old = recalled(&old.to_string(), text.learned.as_deref()).unwrap();
    assert_eq!(old.seen_until, memory.seen_until);
    let s = Scene { memory: Some(old), ..s.after(60) };
    let bid = s.plan().bid(&peer()).map(|bid| Bid { holds: true, ..*bid });
    let planned = Scene { bid, ..s };
    assert!(planned.decide().why.iter().any(|reason| reason.stage() == "bid"));
}
