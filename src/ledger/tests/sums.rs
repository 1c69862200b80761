//! Sums by day, demand, reputation.

use std::collections::HashMap;

use super::*;

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
