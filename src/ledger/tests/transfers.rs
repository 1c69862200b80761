//! Money adds up, and the check says so where it does not.

use super::*;

#[tokio::test]
async fn a_transfer_is_made_once() {
    let ledger = ledger().await;
    let transfer = |key: &str, from: &str, to: &str, msat| Transfer {
        key: key.into(),
        at: NOON,
        from: from.into(),
        to: to.into(),
        amount: Msat(msat),
        memo: String::new(),
    };
    let rent = transfer("a", "wallet", "rent", 50);
    assert!(ledger.record_transfer(&rent).await.unwrap());
    assert!(!ledger.record_transfer(&Transfer { amount: Msat(70), ..rent }).await.unwrap());
    assert_eq!(ledger.balance_of("wallet").await.unwrap(), -50);
    assert_eq!(ledger.balance_of("rent").await.unwrap(), 50);
    assert_eq!(ledger.balance_of("nobody").await.unwrap(), 0);
    assert!(ledger.record_transfer(&transfer("b", "wallet", "wallet", 1)).await.is_err());
    assert!(ledger.record_transfer(&transfer("routed/x/2024-01-01", "wallet", "rent", 1)).await.is_err());
    assert_eq!(problems(&ledger).await, [""; 0]);
}

#[tokio::test]
async fn the_check_notices_every_kind_of_damage() {
    for (sql, told) in [
        ("UPDATE transfers SET amount_msat = amount_msat + 1", "daily postings"),
        ("DELETE FROM transfers", "daily postings"),
        ("UPDATE transfers SET to_account = 999", "All accounts together"),
        ("DELETE FROM forwards WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE forwards SET fee_msat = 0 WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE forwards SET status = 3 WHERE in_htlc = 1", "single forwards say"),
        ("UPDATE totals SET earned_msat = earned_msat + 1", "outgoing channels earned"),
        ("UPDATE totals SET brought_msat = 0", "incoming channels brought"),
        ("UPDATE totals SET out_count = 7", "outgoing channels count"),
        ("UPDATE rollups SET earned_msat = 7 WHERE out_count > 0", "the channels' hours say"),
        ("DELETE FROM rollups", "the channels' hours say"),
        ("UPDATE node_hours SET fees_msat = 7", "the node's hours"),
        ("UPDATE node_hours SET failed = 7", "the node's hour says"),
        ("UPDATE progress SET seen = 1", "were taken in"),
        ("UPDATE periods SET earned_msat = 7 WHERE level = 2", "spans"),
        ("UPDATE periods SET earned_msat = 7 WHERE level = 3 AND channel = 0", "the channels' lives say"),
        ("DELETE FROM periods", "the channels' lives say"),
    ] {
        let ledger = noted().await;
        record(&ledger, &[settled(1), settled(2), starved(3)]).await;
        assert_eq!(problems(&ledger).await, [""; 0]);
        tamper(&ledger, sql).await;
        let problems = problems(&ledger).await;
        assert!(problems.iter().any(|p| p.contains(told)), "{sql}: {problems:?}");
    }
}

#[tokio::test]
async fn the_check_comes_round_to_all_of_the_past() {
    let ledger = noted().await;
    let day = |n: i64| NOON.plus_secs(-n * 24 * HOUR);
    let days =
        (0..60).map(|n| Forward { received: day(n), resolved: Some(day(n)), ..settled(u64::try_from(n).unwrap()) });
    record(&ledger, &days.collect::<Vec<_>>()).await;
    tamper(&ledger, "UPDATE forwards SET fee_msat = 0 WHERE in_htlc = 30").await;
    let mut noticed = 0;
    for hour in 0..24 {
        noticed += usize::from(!ledger.check(NOON.plus_secs(hour * HOUR)).await.unwrap().problems.is_empty());
    }
    assert!((1..6).contains(&noticed), "{noticed} of 24 checks");
}
