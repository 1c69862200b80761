//! Ways through the node: msat by day, channel in and channel out. Written with the other sums of a batch, read with old days
//! fading. Never says what a way is worth.

use std::collections::{BTreeMap, HashMap};

use sqlx::SqliteConnection;

use super::bulk::{Bulk, Cell};
use super::{Ledger, peer_id};
use crate::domain::{PeerId, Time};
use crate::fees::Pair;

const PAIRS: Bulk = Bulk {
    head: "INSERT INTO pairs (day, incoming, outgoing, msat)",
    tail: "ON CONFLICT DO UPDATE SET msat = msat + excluded.msat",
};

/// Ways change with the season: after two weeks a payment tells half as much, and after two months nothing.
const HALF_LIFE_DAYS: f64 = 14.0;
const DAYS: i64 = 60;

/// What a batch adds, by day, channel in and channel out; negative where it takes back.
pub(super) type PairSums = HashMap<(i64, i64, i64), i64>;

/// A day, the peers at both ends, and msat.
type Row = (i64, Vec<u8>, Vec<u8>, i64);

impl Ledger {
    /// What went from peer to peer in the last two months, old days counting less. In the order of the peers.
    pub async fn pairs(&self, now: Time) -> anyhow::Result<Vec<Pair>> {
        let today = now.hour().div_euclid(24);
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT day, i.peer, o.peer, SUM(msat)
             FROM pairs CROSS JOIN channels AS i ON i.id = incoming CROSS JOIN channels AS o ON o.id = outgoing
             WHERE day > ?1 AND day <= ?2 AND i.peer IS NOT NULL AND o.peer IS NOT NULL
             GROUP BY day, i.peer, o.peer",
        )
        .bind(today - DAYS)
        .bind(today)
        .fetch_all(reader.conn())
        .await?;
        let mut days = Vec::with_capacity(rows.len());
        for (day, from, to, msat) in rows {
            days.push((day, peer_id(from)?, peer_id(to)?, msat));
        }
        // Sums of fractions depend on their order.
        days.sort_unstable();
        let mut ways: BTreeMap<(PeerId, PeerId), f64> = BTreeMap::new();
        for (day, from, to, msat) in days {
            let kept = 0.5_f64.powf((today - day) as f64 / HALF_LIFE_DAYS);
            *ways.entry((from, to)).or_default() += kept * msat as f64;
        }
        let pairs = ways.into_iter().map(|((from, to), msat)| Pair { from, to, msat });
        Ok(pairs.filter(|pair| pair.msat > 0.0).collect())
    }
}

pub(super) async fn write(conn: &mut SqliteConnection, sums: PairSums) -> anyhow::Result<()> {
    let mut rows: Vec<_> = sums.into_iter().filter(|(_, msat)| *msat != 0).collect();
    // In the order of the keys: neighbours share pages.
    rows.sort_unstable();
    let rows: Vec<_> = rows.into_iter().map(|((day, i, o), msat)| [day, i, o, msat].map(Cell::Int)).collect();
    PAIRS.write(conn, &rows).await
}

/// Moves the ways of one channel to another, at both of their ends.
pub(super) async fn move_pairs(conn: &mut SqliteConnection, from: i64, to: i64) -> anyhow::Result<()> {
    for sql in [
        "INSERT INTO pairs SELECT day, ?2, outgoing, msat FROM pairs WHERE incoming = ?1
         ON CONFLICT DO UPDATE SET msat = msat + excluded.msat",
        "DELETE FROM pairs WHERE incoming = ?1",
        "INSERT INTO pairs SELECT day, incoming, ?2, msat FROM pairs WHERE outgoing = ?1
         ON CONFLICT DO UPDATE SET msat = msat + excluded.msat",
        "DELETE FROM pairs WHERE outgoing = ?1",
    ] {
        sqlx::query(sql).bind(from).bind(to).execute(&mut *conn).await?;
    }
    Ok(())
}
