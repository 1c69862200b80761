//! Sums by day, demand, reputation.

use std::collections::HashMap;

use super::*;
use crate::domain::forward::FEE_INSUFFICIENT;

#[tokio::test]
async fn days_are_counted_back_from_now() {
    let ledger = noted().await;
    let at = |hours: i64| Time(NOON.0 - hours * HOUR * 1000);
    for (htlc, hours) in (0..).zip([0, 23, 24, 47, 48, 167, 168]) {
        record(&ledger, &[Forward { received: at(hours), resolved: Some(at(hours)), ..settled(htlc) }]).await;
    }
    record(&ledger, &[starved(50)]).await;
    let sums = ledger.day_sums(NOON, 7).await.unwrap();
    let days: Vec<_> = sums[&cid(1)].days.iter().map(|d| (d.age_days, d.out_count, d.out_msat, d.in_count)).collect();
    assert_eq!(days, [(0, 2, 2_000_000, 0), (1, 2, 2_000_000, 0), (2, 1, 1_000_000, 0), (6, 1, 1_000_000, 0)]);
    assert_eq!(sums[&cid(0)].days[0].in_msat, 2_000_200);
    assert_eq!(sums[&cid(1)].last_forward, Some(NOON));
    assert_eq!(sums.get(&cid(2)), None);
    // Long after, the window is empty and the last forward is not forgotten.
    let sums = ledger.day_sums(NOON.plus_secs(90 * 24 * HOUR), 7).await.unwrap();
    assert_eq!(sums[&cid(1)], ChannelDays { days: vec![], last_forward: Some(NOON) });
    assert_eq!(ledger.node_hours(at(24)).await.unwrap().iter().map(|(_, n)| n).sum::<u64>(), 3);
}

#[tokio::test]
async fn demand_counts_tries_of_one_payment_once() {
    // Seconds, incoming channel, msat; and what all up to here come to.
    let tries = [
        (0, 0, 1_000_000, 1),
        (20, 0, 1_000_000, 1),
        (30, 0, 1_009_000, 1),
        (40, 0, 1_050_000, 2),
        (50, 2, 1_000_000, 3),
        (61, 0, 1_000_000, 4),
    ];
    let ledger = noted().await;
    for (n, (secs, incoming, msat, expected)) in (0..).zip(tries) {
        let key = ForwardKey { in_channel: scid(incoming), in_htlc_id: n };
        let received = NOON.plus_secs(secs);
        record(&ledger, &[Forward { key, received, in_msat: Msat(msat), ..starved(n) }]).await;
        let demand = ledger.demand(NOON.plus_secs(-10), NOON.plus_secs(300)).await.unwrap();
        assert_eq!(demand.iter().map(|d| d.starved).sum::<u64>(), expected, "after {secs} s");
    }
    let after = ledger.demand(NOON.plus_secs(10), NOON.plus_secs(45)).await.unwrap();
    assert_eq!(
        after.iter().map(|d| d.starved).sum::<u64>(),
        1,
        "what was counted before the span does not count again"
    );
}

/// Refused for an old price.
fn refused(n: u64) -> Forward {
    Forward { failcode: Some(FEE_INSUFFICIENT), ..starved(n) }
}

#[tokio::test]
async fn who_comes_again_with_the_new_price_is_known_by_the_next_payment() {
    let key = |incoming: u32, n: u64| ForwardKey { in_channel: scid(incoming), in_htlc_id: n };
    let again = move |secs: i64, msat: u64| Forward {
        received: NOON.plus_secs(secs),
        resolved: Some(NOON.plus_secs(secs + 400)),
        in_msat: Msat(msat),
        key: key(0, 6),
        ..settled(6)
    };
    let first = refused(5);
    let (amount, toward) = (first.in_msat.0, first.out_channel);
    // What comes next, and whether it is the same payer who stays.
    let cases = [
        ("at once", again(2, amount + 300), true),
        ("still under way", Forward { status: ForwardStatus::Offered, resolved: None, ..again(2, amount + 300) }, true),
        ("failed further down", Forward { status: ForwardStatus::Failed, ..again(2, amount + 300) }, true),
        ("our balance was short", Forward { received: NOON.plus_secs(2), key: key(0, 6), ..starved(6) }, true),
        ("refused once more", Forward { received: NOON.plus_secs(2), key: key(0, 6), ..refused(6) }, false),
        ("a minute later", again(60, amount), true),
        ("too late", again(61, amount), false),
        ("another amount", again(2, amount + amount / 50), false),
        ("from another channel", Forward { key: key(2, 6), ..again(2, amount) }, false),
        ("to another peer", Forward { out_channel: Some(scid(2)), ..again(2, amount) }, false),
        ("before", Forward { key: key(0, 4), ..again(0, amount) }, false),
    ];
    for (case, next, stays) in cases {
        let ledger = noted().await;
        assert_ne!(next.out_channel, None, "{case}");
        record(&ledger, &[Forward { out_channel: toward, ..first.clone() }, next]).await;
        let found = ledger.refusals(NOON.plus_secs(-10), NOON.plus_secs(300)).await.unwrap();
        assert_eq!(found.len(), 1, "{case}");
        assert_eq!((found[0].at, found[0].came_back), (NOON, stays), "{case}");
    }
}

#[tokio::test]
async fn each_refused_payer_is_told_once_and_only_when_its_minute_is_over() {
    let ledger = noted().await;
    let at = |n: u64, secs: i64| Forward { received: NOON.plus_secs(secs), ..refused(n) };
    // Three tries of one payment, and another payment.
    record(&ledger, &[at(1, 0), at(2, 20), at(3, 50), at(4, 200)]).await;
    let spans = [(-100, 59, 0), (59, 61, 1), (61, 259, 0), (259, 300, 1), (300, 900, 0), (-100, 900, 2)];
    for (from, to, count) in spans {
        let found = ledger.refusals(NOON.plus_secs(from), NOON.plus_secs(to)).await.unwrap();
        assert_eq!(found.len(), count, "{from} to {to}: {found:?}");
    }
}

#[tokio::test]
async fn demand_lies_within_the_span() {
    let ledger = noted().await;
    record(&ledger, &[settled(1), settled(2), offered(3), Forward { status: ForwardStatus::Failed, ..settled(4) }])
        .await;
    let resolved = NOON.plus_secs(1);
    for (from, to, count) in [(NOON, resolved, 2), (resolved, resolved.plus_secs(9), 0), (Time(0), NOON, 0)] {
        let demand = ledger.demand(from, to).await.unwrap();
        assert_eq!(demand.iter().map(|d| d.settled).sum::<u64>(), count);
    }
    let demand = ledger.demand(NOON, resolved).await.unwrap();
    let expected = Demand {
        out: cid(1),
        from_peer: Some(peer(0)),
        settled: 2,
        starved: 0,
        out_msat: 2_000_000,
        in_msat: 2_000_200,
    };
    assert_eq!(demand, [expected]);
    record(&ledger, &[Forward { out_msat: Some(Msat(5)), resolved: Some(NOON.plus_secs(60)), ..settled(8) }]).await;
    assert_eq!(ledger.recent_amounts(2).await.unwrap(), [Msat(5), Msat(1_000_000)]);
}

#[tokio::test]
async fn reputation_fades_and_blames_nobody_for_our_lack_of_balance() {
    let ledger = noted().await;
    let failed = Forward { status: ForwardStatus::Failed, ..settled(3) };
    record(&ledger, &[settled(1), settled(2), failed, starved(4)]).await;
    ledger.update_reputation(NOON, 0.5).await.unwrap();
    let expect = |successes, failures| HashMap::from([(peer(0), Reputation { successes, failures })]);
    assert_eq!(ledger.reputations().await.unwrap(), expect(2.0, 1.0));
    record(&ledger, &[settled(5)]).await;
    ledger.update_reputation(NOON, 0.5).await.unwrap();
    assert_eq!(ledger.reputations().await.unwrap(), expect(2.0, 0.5));
    ledger.update_reputation(NOON, 0.0001).await.unwrap();
    assert_eq!(ledger.reputations().await.unwrap(), HashMap::new());
}
