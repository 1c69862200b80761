//! Options that were set by command and outlive a restart. Every change gets the next version of the settings as a whole.

use sqlx::SqliteConnection;

use super::{Ledger, OverrideRow};
use crate::domain::Time;

impl Ledger {
    pub async fn overrides(&self) -> anyhow::Result<Vec<OverrideRow>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as("SELECT key, value, version, updated_at FROM overrides ORDER BY key")
                .fetch_all(reader.conn())
                .await?;
        let row = |(key, value, version, at)| OverrideRow { key, value, version, updated_at: Time(at) };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Keeps an option; returns the new version.
    pub async fn set_override(&self, now: Time, key: &str, value: &str) -> anyhow::Result<i64> {
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let version = next_version(&mut tx).await?;
        sqlx::query("INSERT OR REPLACE INTO overrides (key, value, version, updated_at) VALUES (?, ?, ?, ?)")
            .bind(key.to_owned())
            .bind(value.to_owned())
            .bind(version)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Forgets an option; `None` if there was none, otherwise the new version.
    pub async fn clear_override(&self, _now: Time, key: &str) -> anyhow::Result<Option<i64>> {
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let gone = sqlx::query("DELETE FROM overrides WHERE key = ?").bind(key.to_owned()).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(None);
        }
        let version = next_version(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    /// Version of the settings: grows with every change.
    pub async fn config_version(&self) -> anyhow::Result<i64> {
        let mut reader = self.reader().await?;
        Ok(sqlx::query_scalar("SELECT config_version FROM progress").fetch_one(reader.conn()).await?)
    }
}

async fn next_version(conn: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("UPDATE progress SET config_version = config_version + 1 RETURNING config_version")
        .fetch_one(conn)
        .await
}
