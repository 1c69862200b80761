//! Many rows read as one.

use super::*;
use crate::domain::{ChannelId, PeerId};
use crate::ledger::bulk::Cell;
use crate::ledger::many::many;

type Line = (i64, ChannelId, Option<PeerId>, Option<i64>);

/// Ids and numbers as they were put in, and `None` where there was nothing.
#[tokio::test]
async fn rows_that_are_read_as_one_come_back_as_they_went() {
    let ledger = ledger().await;
    let mut reader = ledger.reader().await.unwrap();
    let lines = "SELECT json_array(number, hex(channel), iif(peer IS NULL, NULL, hex(peer)), maybe) AS line
        FROM (SELECT ?1 AS number, ?2 AS channel, ?3 AS peer, ?4 AS maybe UNION ALL SELECT ?5, ?2, NULL, NULL)";
    let (channel, peer) = (cid(7), peer(8));
    let cases = [
        (0, -1, Some(1)),
        (i64::MAX, i64::MIN, Some(i64::MAX)),
        (i64::MAX - 1, 1 << 53, None),
        ((1 << 53) + 1, -(1 << 53) - 1, Some(i64::MIN)),
    ];
    for (one, two, maybe) in cases {
        let values = [Cell::Int(one), Cell::Blob(&channel.0), Cell::Blob(&peer.0), Cell::Maybe(maybe), Cell::Int(two)];
        let mut rows: Vec<Line> = many(reader.conn(), lines, &values).await.unwrap();
        rows.sort_unstable_by_key(|row| row.2.is_none());
        assert_eq!(rows, [(one, channel, Some(peer), maybe), (two, channel, None, None)]);
    }
}

#[tokio::test]
async fn no_row_is_an_empty_list_and_one_of_another_shape_an_error() {
    let ledger = ledger().await;
    let mut reader = ledger.reader().await.unwrap();
    let rows: Vec<i64> = many(reader.conn(), "SELECT scid AS line FROM scids", &[]).await.unwrap();
    assert!(rows.is_empty());
    for lines in ["SELECT json_array(1) AS line", "SELECT 1.5 AS line", "SELECT 'x' AS line"] {
        assert!(many::<i64>(reader.conn(), lines, &[]).await.is_err(), "{lines}");
    }
}

#[tokio::test]
async fn thousands_of_rows_are_all_there() {
    let ledger = ledger().await;
    let mut reader = ledger.reader().await.unwrap();
    let lines = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
        SELECT json_array(n, n * n) AS line FROM numbers";
    let mut rows: Vec<(i64, i64)> = many(reader.conn(), lines, &[Cell::Int(20_000)]).await.unwrap();
    rows.sort_unstable();
    assert!(rows.into_iter().eq((1..=20_000).map(|n| (n, n * n))));
}
