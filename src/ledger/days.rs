//! Where our money lay at the end of each day, as it was last seen on it. A day on which nobody looked has no row, and none is made up.

use std::collections::BTreeMap;

use super::{Ledger, signed, unsigned};
use crate::accounts::Worth;
use crate::domain::Time;

/// A day's row: when it was seen, and what.
type Row = (i64, i64, Option<i64>, Option<i64>, i64, i64, i64, i64, i64, i64);

impl Ledger {
    /// Notes where the money lies now; the last word of a day stays.
    pub async fn note_day(&self, now: Time, worth: &Worth) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        sqlx::query(
            "INSERT OR REPLACE INTO days (day, at, onchain_msat, unconfirmed_msat, local_msat, remote_msat, pending_msat, closing_msat,
                 capacity_msat, channels)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(now.day())
        .bind(now.0)
        .bind(worth.onchain.map(signed).transpose()?)
        .bind(worth.unconfirmed.map(signed).transpose()?)
        .bind(signed(worth.local)?)
        .bind(signed(worth.remote)?)
        .bind(signed(worth.pending)?)
        .bind(signed(worth.closing)?)
        .bind(signed(worth.capacity)?)
        .bind(signed(worth.channels)?)
        .execute(&mut writer.conn)
        .await?;
        Ok(())
    }

    /// What was seen on days, `from` and `to` included.
    pub async fn days(&self, from: i64, to: i64) -> anyhow::Result<BTreeMap<i64, (Time, Worth)>> {
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT day, at, onchain_msat, unconfirmed_msat, local_msat, remote_msat, pending_msat, closing_msat, capacity_msat, channels
             FROM days WHERE day >= ? AND day <= ?",
        )
        .bind(from)
        .bind(to)
        .fetch_all(reader.conn())
        .await?;
        let day = |(day, at, onchain, unconfirmed, local, remote, pending, closing, capacity, channels): Row| {
            let worth = Worth {
                onchain: onchain.map(unsigned),
                unconfirmed: unconfirmed.map(unsigned),
                local: unsigned(local),
                remote: unsigned(remote),
                pending: unsigned(pending),
                closing: unsigned(closing),
                capacity: unsigned(capacity),
                channels: unsigned(channels),
            };
            (day, (Time(at), worth))
        };
        Ok(rows.into_iter().map(day).collect())
    }
}
