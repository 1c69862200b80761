//! Single forwards count once.

use super::*;

#[tokio::test]
async fn unresolved_forwards_take_turns() {
    let ledger = noted().await;
    record(&ledger, &[offered(1), settled(2), offered(3), offered(4)]).await;
    let later = NOON.plus_secs(60);
    assert_eq!(ledger.unresolved(later, 0, 2).await.unwrap(), [2, 4]);
    assert_eq!(ledger.unresolved(later, 4, 2).await.unwrap(), [5]);
    assert_eq!(ledger.unresolved(NOON, 0, 2).await.unwrap(), [0; 0]);
}

#[tokio::test]
async fn a_forward_counts_once_from_whichever_side_it_comes() {
    // The notification knows no created_index, the list does.
    let notified = Forward { created_index: None, ..settled(7) };
    let listed = Forward { updated_index: Some(3), ..settled(7) };
    let notified = Forward { updated_index: Some(3), ..notified };
    for order in [
        vec![offered(7), notified.clone(), listed.clone()],
        vec![listed.clone(), offered(7), notified.clone()],
        vec![notified.clone(), listed.clone(), listed.clone(), offered(7)],
    ] {
        let ledger = noted().await;
        let first = record(&ledger, &order[..1]).await;
        assert_eq!(first, (1, 0));
        record(&ledger, &order[1..]).await;
        assert_eq!(record(&ledger, &order).await, (0, 0), "a repetition changes nothing");
        let totals = ledger.totals().await.unwrap();
        let (incoming, out) = (totals[&cid(0)], totals[&cid(1)]);
        assert_eq!((out.out_msat, out.out_count, out.fees_earned_msat, out.fees_brought_msat), (1_000_000, 1, 100, 0));
        assert_eq!(
            (incoming.in_msat, incoming.in_count, incoming.fees_earned_msat, incoming.fees_brought_msat),
            (1_000_100, 1, 0, 100)
        );
        assert_eq!(ledger.balance_of("income/routing").await.unwrap(), -100);
        assert_eq!(ledger.balance_of(&format!("channel/{}", cid(1))).await.unwrap(), 100);
        assert_eq!(problems(&ledger).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_outcome_is_never_replaced() {
    let ledger = noted().await;
    record(&ledger, &[settled(1)]).await;
    let failed = Forward { status: ForwardStatus::Failed, ..settled(1) };
    assert_eq!(record(&ledger, &[failed, offered(1)]).await, (0, 0));
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 1);
}

#[tokio::test]
async fn positions_are_saved_with_the_rows_and_never_go_back() {
    let ledger = noted().await;
    for (index, to, created, updated) in
        [(ForwardIndex::Created, 5, 5, 0), (ForwardIndex::Updated, 9, 5, 9), (ForwardIndex::Created, 2, 5, 9)]
    {
        ledger.record_forwards(&[settled(to)], Some((index, to))).await.unwrap();
        assert_eq!(ledger.positions().await.unwrap(), Positions { created, updated });
    }
    ledger.record_forwards(&[], Some((ForwardIndex::Created, 6))).await.unwrap();
    assert_eq!(ledger.positions().await.unwrap().created, 6);
    let absurd = Forward { in_msat: Msat(u64::MAX), ..settled(20) };
    ledger.record_forwards(&[settled(19), absurd], Some((ForwardIndex::Created, 20))).await.unwrap_err();
    assert_eq!(ledger.positions().await.unwrap().created, 6, "a batch is taken in whole or not at all");
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 3);
    assert_eq!(record(&ledger, &[settled(19)]).await, (1, 0), "and the next one is none the worse for it");
}

#[tokio::test]
async fn dropped_forwards_stay_counted_once() {
    let ledger = noted().await;
    let old: Vec<Forward> = (0..10).map(settled).collect();
    let read = Some((ForwardIndex::Created, 8));
    ledger.record_forwards(&old[..8], read).await.unwrap();
    record(&ledger, &old[8..]).await;
    record(&ledger, &[Forward { status: ForwardStatus::Offered, ..offered(20) }]).await;
    let later = NOON.plus_secs(HOUR);
    assert_eq!(ledger.drop_forwards(NOON, 100).await.unwrap(), 0, "none is older");
    assert_eq!(ledger.drop_forwards(later, 3).await.unwrap(), 3);
    assert_eq!(ledger.drop_forwards(later, 100).await.unwrap(), 5, "the list has not passed the last two");
    assert_eq!(ledger.drop_forwards(later, 100).await.unwrap(), 0);
    assert_eq!(ledger.record_forwards(&old, Some((ForwardIndex::Updated, 10))).await.unwrap(), Recorded::default());
    let repeated = Forward { created_index: None, ..settled(2) };
    assert_eq!(record(&ledger, &[repeated]).await, (0, 0));
    assert_eq!(ledger.totals().await.unwrap()[&cid(1)].out_count, 10);
    let check = ledger.check(later).await.unwrap();
    assert_eq!((check.forwards, check.settled, check.fees_msat, check.problems), (11, 10, 1000, vec![]));
    // History that the list brings for the first time is no repetition, however old.
    let older = Forward { received: Time(0), resolved: Some(Time(5)), created_index: Some(9), ..settled(99) };
    assert_eq!(record(&ledger, &[older]).await, (1, 0));
}
