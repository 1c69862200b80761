//! How often payments that a peer brought in got through. Failures for our own lack of balance never count against anyone.

use std::collections::HashMap;

use super::bulk::Cell;
use super::many::many;
use super::{Ledger, Reputation};
use crate::domain::{PeerId, Time};

/// Less than this much is left of a record: it is forgotten.
const FORGOTTEN: f64 = 0.001;

/// Parts of a payment that a record is read in.
const GRAIN: f64 = 1e6;

impl Ledger {
    /// Forgets the part `1 - decay` of every peer's record and adds what happened since the last time, however late it was heard of.
    pub async fn update_reputation(&self, now: Time, decay: f64) -> anyhow::Result<()> {
        anyhow::ensure!((0.0..=1.0).contains(&decay), "a decay lies between 0 and 1, {decay} does not");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        sqlx::query("UPDATE reputation SET successes = successes * ?1, failures = failures * ?1, at = ?2")
            .bind(decay)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO reputation (peer, successes, failures, at)
             SELECT peer, CAST(SUM(in_count - rated_good) AS REAL), CAST(SUM(in_failed - rated_bad) AS REAL), ?
             FROM totals JOIN channels ON channels.id = channel
             WHERE peer IS NOT NULL AND (in_count <> rated_good OR in_failed <> rated_bad) GROUP BY peer
             ON CONFLICT DO UPDATE SET successes = MAX(successes + excluded.successes, 0.0),
                 failures = MAX(failures + excluded.failures, 0.0)",
        )
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        // A channel without a peer keeps what it has for the day on which somebody names it.
        sqlx::query(
            "UPDATE totals SET rated_good = in_count, rated_bad = in_failed
             WHERE (in_count <> rated_good OR in_failed <> rated_bad)
                 AND channel IN (SELECT id FROM channels WHERE peer IS NOT NULL)",
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM reputation WHERE successes + failures < ?").bind(FORGOTTEN).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    pub async fn reputations(&self) -> anyhow::Result<HashMap<PeerId, Reputation>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(PeerId, i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(hex(peer), CAST(successes * ?1 AS INTEGER), CAST(failures * ?1 AS INTEGER)) AS line
             FROM reputation",
            &[Cell::Real(GRAIN)],
        )
        .await?;
        let whole = |grains: i64| grains as f64 / GRAIN;
        Ok(rows
            .into_iter()
            .map(|(peer, good, bad)| (peer, Reputation { successes: whole(good), failures: whole(bad) }))
            .collect())
    }
}
