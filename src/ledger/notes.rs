//! Small things that node-wide stages keep: notes by name, and the feerates of the last two days.

use super::{Ledger, signed};
use crate::domain::Time;

const FEERATES_KEPT_SECS: i64 = 48 * 3600;

impl Ledger {
    /// State of a node-wide stage, as the JSON that was saved under `name`.
    pub async fn note(&self, name: &str) -> anyhow::Result<Option<String>> {
        let mut reader = self.reader().await?;
        let find = "SELECT text FROM notes WHERE name = ?";
        Ok(sqlx::query_scalar(find).bind(name.to_owned()).fetch_optional(reader.conn()).await?)
    }

    pub async fn save_note(&self, now: Time, name: &str, text: &str) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        sqlx::query(
            "INSERT INTO notes (name, text, at) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET text = excluded.text, at = excluded.at WHERE text IS NOT excluded.text",
        )
        .bind(name.to_owned())
        .bind(text.to_owned())
        .bind(now.0)
        .execute(&mut writer.conn)
        .await?;
        Ok(())
    }

    pub async fn record_feerate(&self, now: Time, sat_per_kvb: u64) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO feerates (at, sat_per_kvb) VALUES (?, ?)")
            .bind(now.0)
            .bind(signed(sat_per_kvb)?)
            .execute(&mut *tx)
            .await?;
        let kept = now.plus_secs(-FEERATES_KEPT_SECS);
        sqlx::query("DELETE FROM feerates WHERE at < ?").bind(kept.0).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Mean of the feerates recorded since `since`; `None` if there are none. Older ones than 48 h go with every new one.
    pub async fn feerate_average(&self, since: Time) -> anyhow::Result<Option<f64>> {
        let mut reader = self.reader().await?;
        let mean = "SELECT AVG(sat_per_kvb) FROM feerates WHERE at >= ?";
        Ok(sqlx::query_scalar(mean).bind(since.0).fetch_one(reader.conn()).await?)
    }
}
