//! What was decided about fees: the last decision of every channel, every change for ever, and what pricing remembers of each peer.

use std::collections::{BTreeMap, HashMap};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _};

use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{ChangeCount, FeeOutcomeKind, FeeRow, Ledger, MemoryRow, channel_id, channels, peer_id};
use crate::domain::{ChannelId, PeerId, Ppm, Time};

// What did not change is not written: a quiet node leaves its disk in peace.
const MEMORIES: Bulk = Bulk {
    head: "INSERT INTO memories (peer, memory, at)",
    tail: "ON CONFLICT DO UPDATE SET memory = excluded.memory, at = excluded.at WHERE memory IS NOT excluded.memory",
};

const LEARNED: Bulk = Bulk {
    head: "INSERT INTO learned (peer, learned, at)",
    tail: "ON CONFLICT DO UPDATE SET learned = excluded.learned, at = excluded.at",
};

const DECISIONS: Bulk = Bulk {
    head: "INSERT OR REPLACE INTO decisions (channel, peer, at, old, new, outcome, manual, urgent, summary, why)",
    tail: "",
};

const CHANGES: Bulk =
    Bulk { head: "INSERT INTO changes (channel, peer, at, old, new, outcome, manual, urgent, summary, why)", tail: "" };

impl Ledger {
    /// What pricing remembers of each peer, as the JSON that was saved.
    pub async fn memories(&self) -> anyhow::Result<Vec<MemoryRow>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(Vec<u8>, String, Option<String>)> =
            sqlx::query_as("SELECT peer, memory, learned FROM memories LEFT JOIN learned USING (peer)")
                .fetch_all(reader.conn())
                .await?;
        rows.into_iter()
            .map(|(peer, memory, learned)| Ok(MemoryRow { peer: peer_id(peer)?, memory, learned }))
            .collect()
    }

    /// One transaction: memories, each channel's last decision, and for ever each change.
    pub async fn record_fees(&self, now: Time, memories: &[MemoryRow], rows: &[FeeRow]) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let lines: Vec<_> = memories.iter().map(|row| line(row, &row.memory, now)).collect();
        MEMORIES.write(&mut tx, &lines).await?;
        let lines: Vec<_> = memories.iter().filter_map(|row| Some(line(row, row.learned.as_deref()?, now))).collect();
        LEARNED.write(&mut tx, &lines).await?;
        let mut decisions = Vec::with_capacity(rows.len());
        for row in rows {
            let id = channels::known_channel(&mut tx, &mut memo, row.channel, Some(row.peer), None).await?;
            decisions.push(cells(id, row));
        }
        DECISIONS.write(&mut tx, &decisions).await?;
        let changed = |row: &FeeRow| row.outcome != FeeOutcomeKind::Kept;
        let changes: Vec<_> =
            decisions.iter().zip(rows).filter(|(_, row)| changed(row)).map(|(cells, _)| *cells).collect();
        CHANGES.write(&mut tx, &changes).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// Says what came of changes that were recorded as ordered; others stay as they are.
    pub async fn settle_fees(&self, rows: &[&FeeRow]) -> anyhow::Result<()> {
        let mut groups: BTreeMap<(i64, i64), Vec<String>> = BTreeMap::new();
        for row in rows {
            groups.entry((code(row.outcome), row.at.0)).or_default().push(row.channel.to_string());
        }
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        for ((outcome, at), channels) in groups {
            let channels = serde_json::to_string(&channels)?;
            for table in ["changes", "decisions"] {
                let sql = format!(
                    "UPDATE {table} SET outcome = ?1 WHERE outcome = 4 AND at = ?2 AND channel IN
                     (SELECT id FROM channels WHERE lower(hex(channel_id)) IN (SELECT value FROM json_each(?3)))"
                );
                sqlx::query(AssertSqlSafe(sql).into_sql_str())
                    .bind(outcome)
                    .bind(at)
                    .bind(&channels)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Changes that were ordered and of which it is not known what came, oldest first.
    pub async fn ordered_fees(&self) -> anyhow::Result<Vec<FeeRow>> {
        let mut reader = self.reader().await?;
        // Left to itself SQLite reads every change there ever was, because they lie in the wanted order.
        let rows = sqlx::query(
            "SELECT changes.id, channel_id, changes.peer, at, old, new, outcome, manual, urgent, summary, why
             FROM changes INDEXED BY changes_ordered CROSS JOIN channels ON channels.id = channel
             WHERE outcome = 4 ORDER BY changes.id",
        )
        .fetch_all(reader.conn())
        .await?;
        rows.iter().map(fee_row).map(|row| row.map(|(_, row)| row)).collect()
    }

    /// Changes that the node confirmed, or may have made, per channel, since `since`; with `dry` also those that it was not told
    /// of. What a clock that was wrong dated after `now` does not count.
    pub async fn changes_since(
        &self,
        since: Time,
        now: Time,
        dry: bool,
    ) -> anyhow::Result<HashMap<ChannelId, ChangeCount>> {
        let mut reader = self.reader().await?;
        // By itself SQLite would read all changes there ever were, in the order of the groups.
        let rows: Vec<(ChannelId, u32, u32)> = many(
            reader.conn(),
            "SELECT json_array(hex(channel_id), ordinary, urgent) AS line FROM
                 (SELECT channel, SUM(NOT urgent) AS ordinary, SUM(urgent) AS urgent FROM changes INDEXED BY changes_at
                  WHERE at BETWEEN ? AND ? AND (outcome IN (1, 4) OR outcome = 2 AND ?) AND old <> new GROUP BY channel)
             CROSS JOIN channels ON channels.id = channel",
            &[Cell::Int(since.0), Cell::Int(now.0), Cell::Int(i64::from(dry))],
        )
        .await?;
        Ok(rows.into_iter().map(|(id, ordinary, urgent)| (id, ChangeCount { ordinary, urgent })).collect())
    }

    /// The fees that the node confirmed since then, the last of each channel.
    pub async fn set_since(&self, since: Time) -> anyhow::Result<HashMap<ChannelId, Ppm>> {
        let mut reader = self.reader().await?;
        let mut rows: Vec<(i64, ChannelId, Ppm)> = many(
            reader.conn(),
            "SELECT json_array(changes.id, hex(channel_id), new) AS line FROM changes INDEXED BY changes_at
             CROSS JOIN channels ON channels.id = channel WHERE at >= ? AND outcome = 1",
            &[Cell::Int(since.0)],
        )
        .await?;
        rows.sort_unstable_by_key(|(id, ..)| *id);
        Ok(rows.into_iter().map(|(_, channel, fee)| (channel, fee)).collect())
    }

    /// The last decision of each channel.
    pub async fn last_decisions(&self) -> anyhow::Result<HashMap<ChannelId, FeeRow>> {
        let mut reader = self.reader().await?;
        let rows: Vec<Line> = many(
            reader.conn(),
            "SELECT json_array(hex(channel_id), hex(decisions.peer), at, old, new, outcome, manual, urgent, summary, why) AS line
             FROM decisions JOIN channels ON channels.id = channel",
            &[],
        )
        .await?;
        rows.into_iter().map(|line| decision(line).map(|row| (row.channel, row))).collect()
    }

    /// The last decision on one channel; `None`: there was none yet.
    pub async fn last_decision(&self, channel: ChannelId) -> anyhow::Result<Option<FeeRow>> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(
            "SELECT channel AS id, channel_id, decisions.peer, at, old, new, outcome, manual, urgent, summary, why
             FROM channels JOIN decisions ON channels.id = channel WHERE channel_id = ?",
        )
        .bind(channel.0.to_vec())
        .fetch_optional(reader.conn())
        .await?;
        row.map(|row| fee_row(&row).map(|(_, row)| row)).transpose()
    }

    /// The newest changes (set, dry or failed), newest first, with their row ids.
    pub async fn recent_changes(&self, limit: u32) -> anyhow::Result<Vec<(i64, FeeRow)>> {
        let mut reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT changes.id, channel_id, changes.peer, at, old, new, outcome, manual, urgent, summary, why
             FROM changes CROSS JOIN channels ON channels.id = channel ORDER BY changes.id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        rows.iter().map(fee_row).collect()
    }
}

fn line<'a>(row: &'a MemoryRow, text: &'a str, now: Time) -> [Cell<'a>; 3] {
    [Cell::Blob(&row.peer.0), Cell::Text(text), Cell::Int(now.0)]
}

fn cells(id: i64, row: &FeeRow) -> [Cell<'_>; 10] {
    [
        Cell::Int(id),
        Cell::Blob(&row.peer.0),
        Cell::Int(row.at.0),
        Cell::Int(i64::from(row.old.0)),
        Cell::Int(i64::from(row.new.0)),
        Cell::Int(code(row.outcome)),
        Cell::Int(i64::from(row.manual)),
        Cell::Int(i64::from(row.urgent)),
        Cell::Text(&row.summary),
        Cell::Text(&row.why),
    ]
}

type Line = (ChannelId, PeerId, Time, u32, u32, i64, u8, u8, String, String);

fn decision((channel, peer, at, old, new, code, manual, urgent, summary, why): Line) -> anyhow::Result<FeeRow> {
    Ok(FeeRow {
        channel,
        peer,
        at,
        old: Ppm(old),
        new: Ppm(new),
        outcome: outcome(code)?,
        manual: manual != 0,
        urgent: urgent != 0,
        summary,
        why,
    })
}

fn fee_row(row: &SqliteRow) -> anyhow::Result<(i64, FeeRow)> {
    let ppm = |column: usize| anyhow::Ok(Ppm(u32::try_from(row.try_get::<i64, _>(column)?)?));
    let fee = FeeRow {
        channel: channel_id(row.try_get(1)?)?,
        peer: peer_id(row.try_get(2)?)?,
        at: Time(row.try_get(3)?),
        old: ppm(4)?,
        new: ppm(5)?,
        outcome: outcome(row.try_get(6)?)?,
        manual: row.try_get(7)?,
        urgent: row.try_get(8)?,
        summary: row.try_get(9)?,
        why: row.try_get(10)?,
    };
    Ok((row.try_get(0)?, fee))
}

fn code(outcome: FeeOutcomeKind) -> i64 {
    match outcome {
        FeeOutcomeKind::Kept => 0,
        FeeOutcomeKind::Set => 1,
        FeeOutcomeKind::Dry => 2,
        FeeOutcomeKind::Failed => 3,
        FeeOutcomeKind::Ordered => 4,
    }
}

fn outcome(code: i64) -> anyhow::Result<FeeOutcomeKind> {
    Ok(match code {
        0 => FeeOutcomeKind::Kept,
        1 => FeeOutcomeKind::Set,
        2 => FeeOutcomeKind::Dry,
        3 => FeeOutcomeKind::Failed,
        4 => FeeOutcomeKind::Ordered,
        other => anyhow::bail!("outcome {other} of a fee decision in the ledger is unknown"),
    })
}
