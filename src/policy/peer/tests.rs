//! What is taken, what is refused in which words, and what holds for every policy.

use proptest::prelude::*;
use proptest::strategy::Strategy as Draw;

use super::Strategy;
use super::*;

const NOW: Time = Time::from_secs(1_704_067_200);

fn id() -> PeerId {
    PeerId([2; 33])
}

fn fixed(fee: u32) -> Change {
    Change { strategy: Some(Strategy::Static), fee: Some(Some(Ppm(fee))), ..Change::default() }
}

fn tags(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_is_not_said_stays_as_it_was() {
    let first = changed(None, id(), &fixed(100), NOW).unwrap();
    let later = NOW.plus_secs(60);
    let merged = Change { rebalance: Some(RebalanceMode::SinkOnly), ..Change::default() };
    let second = changed(Some(&first), id(), &merged, later).unwrap();
    assert_eq!((second.strategy, second.fee), (Some(Strategy::Static), Some(Ppm(100))));
    assert_eq!((second.rebalance, second.updated_at), (Some(RebalanceMode::SinkOnly), later));
    // Away from static, the fee is kept for the next time.
    let dynamic = Change { strategy: Some(Strategy::Dynamic), ..Change::default() };
    assert_eq!(changed(Some(&second), id(), &dynamic, later).unwrap().fee, Some(Ppm(100)));
    let again = Change { strategy: Some(Strategy::Static), ..Change::default() };
    assert!(changed(Some(&second), id(), &again, later).is_ok());
}

#[test]
fn every_refusal_names_the_key_and_what_would_be_right() {
    let none = Change::default();
    let strategy = Some(Strategy::Static);
    for (change, words) in [
        (Change { strategy, ..none.clone() }, "add fee_ppm=N"),
        (fixed(100_001), "'fee_ppm' must be a whole number from 0 to 100000, not 100001"),
        (
            Change { multiplier_min: Some(Some(0.05)), ..none.clone() },
            "'fee_multiplier_min' must be a number from 0.1 to 5",
        ),
        (Change { multiplier_max: Some(Some(5.5)), ..none.clone() }, "'fee_multiplier_max'"),
        (Change { multiplier_max: Some(Some(f64::NAN)), ..none.clone() }, "'fee_multiplier_max'"),
        (
            Change { multiplier_min: Some(Some(2.0)), multiplier_max: Some(Some(1.0)), ..none.clone() },
            "'fee_multiplier_min' (2) must not be above 'fee_multiplier_max' (1)",
        ),
        (Change { expires_in_hours: Some(720.1), ..none.clone() }, "up to 720 (30 days)"),
        (Change { expires_in_hours: Some(f64::NAN), ..none.clone() }, "'expires_in_hours'"),
        (Change { tags: Some(tags(&["ok", " "])), ..none.clone() }, "'tags' must be a text of 1 to 64"),
        (Change { tags: Some(tags(&["two\nlines"])), ..none.clone() }, "'tags'"),
        (Change { tags: Some((0..33).map(|n| n.to_string()).collect()), ..none.clone() }, "at most 32"),
    ] {
        let refusal = changed(None, id(), &change, NOW).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
    assert!(
        "aggressive".parse::<Strategy>().unwrap_err().to_string().contains("'passive' or 'hive', not 'aggressive'")
    );
    assert!(rebalance_mode("maybe").unwrap_err().to_string().contains("'source_only'"));
    assert_eq!(("STATIC".parse(), rebalance_mode("Sink_Only")), (Ok(Strategy::Static), Ok(RebalanceMode::SinkOnly)));
}

#[test]
fn the_border_of_the_merged_policy_counts() {
    let narrow = Change { multiplier_max: Some(Some(0.5)), ..Change::default() };
    let policy = changed(None, id(), &narrow, NOW).unwrap();
    let above = Change { multiplier_min: Some(Some(0.6)), ..Change::default() };
    assert_eq!(changed(Some(&policy), id(), &above, NOW), Err(Refusal::Order { min: 0.6, max: 0.5 }));
    let free = Change { multiplier_max: Some(None), ..above };
    assert_eq!(changed(Some(&policy), id(), &free, NOW).unwrap().multiplier_max, None);
}

#[test]
fn expiry_is_from_now_on_and_at_most_thirty_days() {
    let expiring = |hours| Change { expires_in_hours: Some(hours), ..fixed(100) };
    let policy = changed(None, id(), &expiring(720.0), NOW).unwrap();
    assert_eq!(policy.expires_at, Some(NOW.plus_secs(720 * 3600)));
    assert!(!policy.is_expired(NOW.plus_secs(720 * 3600 - 1)) && policy.is_expired(NOW.plus_secs(720 * 3600)));
    for never in [0.0, -1.0] {
        assert_eq!(changed(Some(&policy), id(), &expiring(never), NOW).unwrap().expires_at, None);
    }
    // What has expired is not merged with.
    let late = NOW.plus_secs(721 * 3600);
    let tagged = tagged(Some(&policy), id(), "vip", late).unwrap();
    assert_eq!((tagged.strategy, tagged.tags), (None, tags(&["vip"])));
}

#[test]
fn tags_come_once_and_go() {
    let policy = changed(None, id(), &Change { tags: Some(tags(&[" a ", "b", "a"])), ..fixed(1) }, NOW).unwrap();
    assert_eq!(policy.tags, tags(&["a", "b"]));
    assert_eq!(tagged(Some(&policy), id(), "b", NOW.plus_secs(9)).unwrap(), policy, "nothing changes, nor its date");
    let without = untagged(&policy, "a", NOW.plus_secs(9)).unwrap();
    assert_eq!((without.tags, without.updated_at), (tags(&["b"]), NOW.plus_secs(9)));
    assert!(tagged(None, id(), "", NOW).unwrap_err().to_string().starts_with("'tag' must be"));
    // A policy that was nothing but a tag ends with it.
    let only = tagged(None, id(), "vip", NOW).unwrap();
    assert_eq!(untagged(&only, "vip", NOW), None);
}

#[test]
fn ten_changes_a_minute() {
    let at = |secs: i64| NOW.plus_secs(secs);
    let nine: Vec<Time> = (0..9).map(at).collect();
    assert_eq!(may_change(&nine, at(9)), Ok(()));
    let ten: Vec<Time> = (0..10).map(at).collect();
    assert_eq!(may_change(&ten, at(10)), Err(51));
    assert_eq!(may_change(&ten, at(59)), Err(2));
    assert_eq!(may_change(&ten, at(60)), Ok(()));
    assert_eq!(may_change(&ten, at(-1000)), Ok(()), "a clock set back does not lock anybody out");
}

#[test]
fn who_is_ignored_and_why() {
    let change = Change {
        strategy: Some(Strategy::Passive),
        rebalance: Some(RebalanceMode::Disabled),
        tags: Some(tags(&["old", "ignored", "sanctions"])),
        ..Change::default()
    };
    let policy = changed(None, id(), &change, NOW).unwrap();
    assert_eq!((policy.is_ignored(), policy.reason()), (true, Some("sanctions")));
    let dynamic = Change { strategy: Some(Strategy::Dynamic), ..Change::default() };
    assert!(!changed(Some(&policy), id(), &dynamic, NOW).unwrap().is_ignored());
    assert_eq!(policy.to_string(), "passive, rebalance disabled, tags old, ignored, sanctions");
}

#[test]
fn an_ignore_ends_with_its_tag_and_leaves_none_behind() {
    let policy = changed(None, id(), &fixed(100), NOW).unwrap();
    let aside = ignored(Some(&policy), id(), "a quarrel", NOW).unwrap();
    let back = untagged(&aside, IGNORED, NOW).unwrap();
    assert_eq!((back.fee, back.tags.len(), back.aside), (policy.fee, 0, None));
    assert_eq!(untagged(&ignored(None, id(), "manual", NOW).unwrap(), IGNORED, NOW), None);
    let known = tagged(Some(&aside), id(), "vip", NOW).unwrap();
    let after = changed(Some(&known), id(), &fixed(7), NOW).unwrap();
    assert_eq!((after.tags, after.aside), (tags(&["vip"]), None));
}

#[test]
fn what_was_said_before_an_ignore_holds_after_it() {
    let policy = changed(None, id(), &fixed(100), NOW).unwrap();
    let aside = ignored(Some(&policy), id(), "a quarrel", NOW.plus_secs(9)).unwrap();
    assert_eq!((aside.is_ignored(), aside.reason(), aside.fee), (true, Some("a quarrel"), None));
    assert_eq!(ignored(Some(&aside), id(), "a quarrel", NOW.plus_secs(99)).unwrap(), aside);
    let again = ignored(Some(&aside), id(), "another", NOW.plus_secs(99)).unwrap();
    let back = unignored(&again, NOW.plus_secs(100)).unwrap();
    assert_eq!(PeerPolicy { updated_at: NOW, ..back }, policy);
    assert_eq!(unignored(&ignored(None, id(), "manual", NOW).unwrap(), NOW), None);
    assert_eq!(unignored(&policy, NOW.plus_secs(5)), Some(policy));
    let words = ignored(None, id(), &"x".repeat(65), NOW).unwrap_err().to_string();
    assert!(words.starts_with("'reason' must be"), "{words}");
    // A policy that is set over it ends it, with all that waited.
    let dynamic = Change { strategy: Some(Strategy::Dynamic), ..Change::default() };
    assert_eq!(changed(Some(&again), id(), &dynamic, NOW).unwrap().aside, None);
}

/// Anything that somebody may ask for, right or wrong.
fn changes() -> impl Draw<Value = Change> {
    let strategy = proptest::option::of(proptest::sample::select(Strategy::ALL.to_vec()));
    let rebalance = proptest::option::of(proptest::sample::select(RebalanceMode::ALL.to_vec()));
    let fee = proptest::option::of(proptest::option::of((0_u32..120_000).prop_map(Ppm)));
    let tags = proptest::option::of(proptest::collection::vec("[a-c ]{0,2}", 0..4));
    let multiplier = || proptest::option::of(proptest::option::of(0.0..6.0_f64));
    let hours = proptest::option::of(-10.0..800.0_f64);
    (strategy, rebalance, fee, tags, multiplier(), multiplier(), hours).prop_map(
        |(strategy, rebalance, fee, tags, multiplier_min, multiplier_max, expires_in_hours)| Change {
            strategy,
            rebalance,
            fee,
            tags,
            multiplier_min,
            multiplier_max,
            expires_in_hours,
        },
    )
}

proptest! {
    #[test]
    fn a_change_that_is_made_twice_changes_nothing_the_second_time(first in changes(), second in changes(), secs in 0_i64..3_000_000) {
        let Ok(policy) = changed(None, id(), &first, NOW) else { return Ok(()) };
        let now = NOW.plus_secs(secs);
        let Ok(once) = changed(Some(&policy), id(), &second, now) else { return Ok(()) };
        // What counts from now on counts from the later now.
        let later = if second.expires_in_hours.is_some() { now } else { now.plus_secs(1) };
        if once.is_expired(later) { return Ok(()) }
        prop_assert_eq!(changed(Some(&once), id(), &second, later).unwrap(), once);
    }

    #[test]
    fn whatever_is_taken_can_be_obeyed_and_read_back(first in changes(), second in changes()) {
        let Ok(policy) = changed(None, id(), &first, NOW) else { return Ok(()) };
        let policy = changed(Some(&policy), id(), &second, NOW).unwrap_or(policy);
        prop_assert!(policy.strategy != Some(Strategy::Static) || policy.fee.is_some());
        prop_assert!(policy.expires_at.is_none_or(|at| at > NOW && at <= NOW.plus_hours(MOST_HOURS)));
        let resolved = crate::policy::resolve(Some(&policy), None, Ppm(0));
        prop_assert!(resolved.is_priced() == (policy.strategy != Some(Strategy::Passive)));
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<PeerPolicy>(&text).unwrap(), policy);
    }
}
