//! How often and by how much channels were spliced. What that cost is a transfer like any other cost.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::{Ledger, unsigned};
use crate::accounts::{CostKind, Splice, Spliced};

/// Takes in what the bookkeeper says of a channel's splices; the last word counts.
pub(super) async fn note_splices(conn: &mut SqliteConnection, channel: i64, splices: &[Splice]) -> anyhow::Result<()> {
    for one in splices {
        sqlx::query(
            "INSERT INTO splices (channel, txid, at, change_msat) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET at = excluded.at, change_msat = excluded.change_msat",
        )
        .bind(channel)
        .bind(one.txid.0.to_vec())
        .bind(one.at.0)
        .bind(one.change_msat)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// By channel; those that were never spliced are not in it. The peer's splices change nothing of ours, and do not count.
pub(super) async fn spliced(conn: &mut SqliteConnection) -> anyhow::Result<HashMap<Vec<u8>, Spliced>> {
    let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT channel_id, SUM(change_msat > 0), SUM(MAX(change_msat, 0)), SUM(change_msat < 0), SUM(MAX(-change_msat, 0))
         FROM splices JOIN channels ON channels.id = splices.channel GROUP BY channel_id",
    )
    .fetch_all(conn)
    .await?;
    let sums = |(id, in_count, in_msat, out_count, out_msat): (Vec<u8>, i64, i64, i64, i64)| {
        let [in_count, in_msat, out_count, out_msat] = [in_count, in_msat, out_count, out_msat].map(unsigned);
        (id, Spliced { in_count, in_msat, out_count, out_msat })
    };
    Ok(rows.into_iter().map(sums).collect())
}

impl Ledger {
    /// Splices that cost us something, and how many of them are only estimated.
    pub async fn paid_splices(&self) -> anyhow::Result<(u64, u64)> {
        let mut reader = self.reader().await?;
        let (all, estimated): (i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(key < 'estimate0' AND key > 'estimate/'), 0) FROM transfers
             WHERE to_account = (SELECT id FROM accounts WHERE name = ?)",
        )
        .bind(super::accounts::cost_account(CostKind::Splice))
        .fetch_one(reader.conn())
        .await?;
        Ok((unsigned(all), unsigned(estimated)))
    }
}
