//! The life of a move in the books: reserved, settled, released, each once.

use super::*;
use crate::domain::{Booked, MoveFailure, MoveOrder, Sat, Tally};

pub(super) fn new(at: Time, to: u32, reserved: u64) -> NewMove {
    let order = MoveOrder {
        from: scid(0),
        to: scid(to),
        amount: Sat(150_000),
        part: Sat(50_000),
        max: Ppm(2000),
        keep: Sat(50_000),
    };
    NewMove {
        at,
        from: cid(0),
        to: cid(to),
        from_peer: peer(0),
        to_peer: peer(to),
        order,
        reserved: Msat(reserved),
        profit_msat: -7,
        manual: true,
        summary: "by hand".into(),
        before: Tally { moved: Sat(1), spent: Sat(2), successes: 3, failures: 4, reasons: vec![] },
        booked: Some(Booked { moved: Msat(5), spent: Msat(6), parts: 7 }),
    }
}

fn end(at: Time, spent: u64) -> MoveEnd {
    MoveEnd { at, moved: Msat(100_000_000), spent: Msat(spent), failure: Some(MoveFailure::TooDear) }
}

async fn balances(ledger: &Ledger) -> [i64; 3] {
    let mut all = [0; 3];
    let names = ["budget/rebalancing", "reserved/rebalancing", "spent/rebalancing"];
    for (balance, name) in all.iter_mut().zip(names) {
        *balance = ledger.balance_of(name).await.unwrap();
    }
    assert_eq!(problems(ledger).await, [""; 0]);
    all
}

#[tokio::test]
async fn a_reservation_is_settled_to_the_msat_and_the_rest_released() {
    let ledger = noted().await;
    let id = ledger.reserve_move(&new(NOON, 1, 300_153), Msat(1_000_000), Time(0)).await.unwrap().unwrap();
    assert_eq!(balances(&ledger).await, [-300_153, 300_153, 0]);
    ledger.move_begun(id).await.unwrap();
    for why in [MoveFailure::TimedOut, MoveFailure::NoRoute] {
        ledger.move_stopping(id, why).await.unwrap();
    }
    ledger.move_begun(id).await.unwrap();
    let open = ledger.open_moves().await.unwrap();
    let expected = MoveRow {
        id,
        new: new(NOON, 1, 300_153),
        state: MoveState::Stopping,
        stopping: Some(MoveFailure::TimedOut),
        ended: None,
    };
    assert_eq!(open, std::slice::from_ref(&expected));
    assert_eq!(ledger.move_sums(NOON).await.unwrap(), MoveSums { spent: Msat(0), reserved: Msat(300_153), open: 1 });

    let end = end(NOON.plus_secs(60), 3_012);
    assert!(ledger.close_move(id, &end).await.unwrap());
    assert!(!ledger.close_move(id, &MoveEnd { spent: Msat(99), ..end }).await.unwrap(), "only once");
    assert_eq!(balances(&ledger).await, [-3_012, 0, 3_012]);
    let closed = MoveRow { state: MoveState::Closed, ended: Some(end), ..expected };
    assert_eq!(ledger.closed_moves(NOON).await.unwrap(), std::slice::from_ref(&closed));
    assert_eq!(ledger.recent_moves(5).await.unwrap(), [closed]);
    assert_eq!(ledger.open_moves().await.unwrap(), []);
    let sums = |since| ledger.move_sums(since);
    assert_eq!(sums(NOON).await.unwrap(), MoveSums { spent: Msat(3_012), ..MoveSums::default() });
    assert_eq!(sums(NOON.plus_secs(61)).await.unwrap(), MoveSums::default());
}

#[tokio::test]
async fn what_came_late_is_added_once() {
    let ledger = noted().await;
    let id = ledger.reserve_move(&new(NOON, 1, 5_000), Msat(5_000), Time(0)).await.unwrap().unwrap();
    assert!(ledger.late_cost(id, NOON, Msat(0), Msat(1)).await.is_err(), "it is not late before it is closed");
    ledger.close_move(id, &end(NOON, 3_000)).await.unwrap();
    let late = |spent| ledger.late_cost(id, NOON.plus_secs(9), Msat(150_000_000), Msat(spent));
    assert_eq!(late(3_000).await.unwrap(), Msat(0));
    assert_eq!(late(4_500).await.unwrap(), Msat(1_500));
    assert_eq!(late(4_500).await.unwrap(), Msat(0));
    assert_eq!(late(4_000).await.unwrap(), Msat(0));
    assert_eq!(balances(&ledger).await, [-4_500, 0, 4_500]);
    // More than was reserved: it is gone, and told.
    assert_eq!(late(9_000).await.unwrap(), Msat(4_500));
    assert_eq!(balances(&ledger).await, [-9_000, 0, 9_000]);
    let other = ledger.reserve_move(&new(NOON, 2, 1_000), Msat(10_000), Time(0)).await.unwrap().unwrap();
    ledger.close_move(other, &end(NOON, 1_500)).await.unwrap();
    assert_eq!(balances(&ledger).await, [-10_500, 0, 10_500]);
}

#[tokio::test]
async fn nothing_is_reserved_beyond_the_limit() {
    let ledger = noted().await;
    let reserve =
        async |reserved, limit, since| ledger.reserve_move(&new(NOON, 1, reserved), Msat(limit), since).await.unwrap();
    let first = reserve(600, 1_000, Time(0)).await.unwrap();
    assert_eq!(reserve(401, 1_000, Time(0)).await, None);
    assert_eq!(reserve(u64::MAX, u64::MAX, Time(0)).await, None);
    ledger.close_move(first, &end(NOON, 500)).await.unwrap();
    assert!(reserve(500, 1_000, Time(0)).await.is_some());
    assert_eq!(reserve(1, 1_000, Time(0)).await, None);
    assert!(reserve(500, 1_000, NOON.plus_secs(1)).await.is_some(), "what was spent before does not count");
    assert_eq!(ledger.open_moves().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_books_of_moves_are_examined() {
    for sql in [
        "UPDATE rebalances SET reserved_msat = reserved_msat + 1",
        "UPDATE rebalances SET state = 3 WHERE state = 0",
        "UPDATE rebalances SET spent_msat = 0",
        "DELETE FROM transfers WHERE key LIKE 'rebalance/%/cost'",
    ] {
        let ledger = noted().await;
        let id = ledger.reserve_move(&new(NOON, 1, 5_000), Msat(9_000), Time(0)).await.unwrap().unwrap();
        ledger.close_move(id, &end(NOON, 3_000)).await.unwrap();
        ledger.reserve_move(&new(NOON, 2, 4_000), Msat(9_000), Time(0)).await.unwrap().unwrap();
        assert_eq!(problems(&ledger).await, [""; 0]);
        tamper(&ledger, sql).await;
        assert!(problems(&ledger).await.iter().any(|problem| problem.contains("its moves amount to")), "{sql}");
    }
}

#[tokio::test]
async fn nobody_else_makes_transfers_of_moves() {
    let transfer = Transfer {
        key: "rebalance/1/cost".into(),
        at: NOON,
        from: "a".into(),
        to: "b".into(),
        amount: Msat(1),
        memo: String::new(),
    };
    assert!(noted().await.record_transfer(&transfer).await.is_err());
}
