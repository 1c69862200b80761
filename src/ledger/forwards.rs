//! Single forwards: each once, by channel and HTLC id, from whichever side it arrives first. They are the subsidiary ledger behind
//! all sums, which change in the same transaction. A status only moves forward, and an outcome is never replaced by another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::bulk::{Bulk, Cell};
use super::memo::Memo;
use super::rollups::{Deltas, is_orphan, known_at, needed};
use super::{Ledger, Positions, Recorded, channels, signed, unsigned};
use crate::domain::ForwardIndex;
use crate::domain::{Forward, ForwardKey, ForwardStatus, Msat, Scid, Time};

const FORWARDS: Bulk = Bulk {
    head: "INSERT OR REPLACE INTO forwards (in_scid, in_htlc, out_scid, in_msat, out_msat, fee_msat, status, failcode, received,
           resolved, created, updated, known_at, orphan)",
    tail: "",
};

/// A row without the node's counter is kept this long behind the list, which may still bring the counter.
const LIST_LAG_MILLIS: i64 = 86_400_000;

/// What a batch makes of one forward.
struct Line {
    before: Option<Forward>,
    after: Forward,
}

impl Ledger {
    /// Takes in forwards, each once, and in the same transaction how far the node's list has been read.
    pub async fn record_forwards(
        &self,
        batch: &[Forward],
        read_to: Option<(ForwardIndex, u64)>,
    ) -> anyhow::Result<Recorded> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let lines = fold(&mut tx, &memo, batch).await?;
        make_known(&mut tx, &mut memo, &lines).await?;
        let recorded = write(&mut tx, &mut memo, &lines).await?;
        let listed = matches!(read_to, Some((ForwardIndex::Created, _)));
        let newest = batch.iter().map(|f| f.received.0).max().filter(|_| listed);
        move_on(&mut tx, &mut memo, recorded.new, read_to, newest).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(recorded)
    }

    pub async fn positions(&self) -> anyhow::Result<Positions> {
        let mut reader = self.reader().await?;
        let (created, updated): (i64, i64) =
            sqlx::query_as("SELECT created, updated FROM progress").fetch_one(reader.conn()).await?;
        Ok(Positions { created: unsigned(created), updated: unsigned(updated) })
    }

    /// Created indexes above `after` of forwards received before `before` that are only known as offered, oldest first.
    pub async fn unresolved(&self, before: Time, after: u64, limit: u32) -> anyhow::Result<Vec<u64>> {
        let mut reader = self.reader().await?;
        let created: Vec<i64> = sqlx::query_scalar(
            "SELECT created FROM forwards
             WHERE status = 0 AND created > ?2 AND received < ?1 ORDER BY created LIMIT ?3",
        )
        .bind(before.0)
        .bind(signed(after)?)
        .bind(limit)
        .fetch_all(reader.conn())
        .await?;
        Ok(created.into_iter().map(unsigned).collect())
    }

    /// Drops single forwards whose outcome was known before `before`, at most `limit`, oldest first; hourly sums stay. Returns how
    /// many went. Forwards without an outcome stay, and so do those that the node's list has not passed: a forward that is listed
    /// again after it was dropped is known by the list's own counter, and is not counted again.
    pub async fn drop_forwards(&self, before: Time, limit: u32) -> anyhow::Result<u64> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let marks = memo.marks;
        let gone: Vec<(Option<i64>, i64, i64)> = sqlx::query_as(
            "DELETE FROM forwards WHERE (in_scid, in_htlc) IN (
                 SELECT in_scid, in_htlc FROM forwards
                 WHERE known_at < ?1 AND (?2 = 0 OR created <= ?2 OR (created IS NULL AND received < ?3))
                 ORDER BY known_at LIMIT ?4)
             RETURNING created, received, known_at",
        )
        .bind(before.0)
        .bind(marks.created)
        .bind(marks.listed_received.map(|at| at - LIST_LAG_MILLIS))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        memo.marks.dropped_created = gone.iter().filter_map(|g| g.0).max().max(marks.dropped_created);
        memo.marks.dropped_received = gone.iter().map(|g| g.1).max().max(marks.dropped_received);
        let count = u64::try_from(gone.len())?;
        sqlx::query(
            "UPDATE progress SET dropped = dropped + ?1, dropped_created = ?2, dropped_received = ?3,
                 dropped_known = MAX(COALESCE(dropped_known, ?4), COALESCE(?4, dropped_known))",
        )
        .bind(signed(count)?)
        .bind(memo.marks.dropped_created)
        .bind(memo.marks.dropped_received)
        .bind(gone.iter().map(|g| g.2).max())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(count)
    }
}

/// The batch as one line per forward: what is there, and what it becomes.
async fn fold(
    conn: &mut SqliteConnection,
    memo: &Memo,
    batch: &[Forward],
) -> anyhow::Result<HashMap<ForwardKey, Line>> {
    let mut lines = HashMap::with_capacity(batch.len());
    for forward in find(conn, batch).await? {
        lines.insert(forward.key, Line { before: Some(forward.clone()), after: forward });
    }
    for forward in batch {
        match lines.entry(forward.key) {
            Entry::Occupied(mut line) => {
                let after = &mut line.get_mut().after;
                *after = joined(after, forward);
            }
            Entry::Vacant(_) if memo.marks.dropped(forward) => {}
            Entry::Vacant(line) => {
                line.insert(Line { before: None, after: forward.clone() });
            }
        }
    }
    lines.retain(|_, line| line.before.as_ref() != Some(&line.after));
    Ok(lines)
}

/// Two accounts of one forward, in whichever order they came. The later status speaks; the other fills in what it leaves out.
fn joined(old: &Forward, new: &Forward) -> Forward {
    if old.status.is_final() && new.status.is_final() && old.status != new.status {
        return old.clone();
    }
    let (later, earlier) = if new.status > old.status { (new, old) } else { (old, new) };
    Forward {
        out_channel: later.out_channel.or(earlier.out_channel),
        out_msat: later.out_msat.or(earlier.out_msat),
        fee: later.fee.or(earlier.fee),
        failcode: later.failcode.or(earlier.failcode),
        resolved: later.resolved.or(earlier.resolved),
        created_index: later.created_index.or(earlier.created_index),
        updated_index: later.updated_index.or(earlier.updated_index),
        ..later.clone()
    }
}

/// Sees to it that every channel that the lines count for exists.
async fn make_known(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    lines: &HashMap<ForwardKey, Line>,
) -> anyhow::Result<()> {
    let mut fresh: Vec<Scid> =
        lines.values().flat_map(|line| needed(&line.after)).filter(|scid| !memo.scids.contains_key(scid)).collect();
    fresh.sort_unstable();
    fresh.dedup();
    for scid in &fresh {
        channels::placeholder(conn, memo, *scid).await?;
    }
    channels::count_orphans(conn, memo, &fresh).await
}

async fn write(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    lines: &HashMap<ForwardKey, Line>,
) -> anyhow::Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut deltas = Deltas::default();
    let mut sorted: Vec<&Line> = lines.values().collect();
    sorted.sort_unstable_by_key(|line| line.after.key);
    let mut rows = Vec::with_capacity(sorted.len());
    for line in sorted {
        match &line.before {
            None => {
                recorded.new += 1;
                deltas.add(&line.after, memo)?;
            }
            Some(before) => {
                recorded.changed += 1;
                if !counts_alike(before, &line.after) {
                    deltas.take_back(before, memo)?;
                    deltas.add(&line.after, memo)?;
                }
            }
        }
        rows.push(cells(&line.after, is_orphan(&line.after, memo))?);
    }
    FORWARDS.write(conn, &rows).await?;
    deltas.write(conn, memo).await?;
    Ok(recorded)
}

/// Nothing but the node's counters was filled in: what the list adds to nearly every forward that a notification told of.
fn counts_alike(before: &Forward, after: &Forward) -> bool {
    let (created_index, updated_index) = (after.created_index, after.updated_index);
    Forward { created_index, updated_index, ..before.clone() } == *after
}

/// Remembers how far the list was read. A position never goes back: pages may be read twice.
async fn move_on(
    conn: &mut SqliteConnection,
    memo: &mut Memo,
    new: u64,
    read_to: Option<(ForwardIndex, u64)>,
    newest: Option<i64>,
) -> anyhow::Result<()> {
    let (created, updated) = match read_to {
        None if new == 0 => return Ok(()),
        None => (0, 0),
        Some((ForwardIndex::Created, to)) => (signed(to)?, 0),
        Some((ForwardIndex::Updated, to)) => (0, signed(to)?),
    };
    memo.marks.created = memo.marks.created.max(created);
    memo.marks.listed_received = memo.marks.listed_received.max(newest);
    sqlx::query(
        "UPDATE progress SET seen = seen + ?1, created = MAX(created, ?2), updated = MAX(updated, ?3), listed_received = ?4",
    )
    .bind(signed(new)?)
    .bind(created)
    .bind(updated)
    .bind(memo.marks.listed_received)
    .execute(conn)
    .await?;
    Ok(())
}

/// The rows that are there already, found in one query.
async fn find(conn: &mut SqliteConnection, batch: &[Forward]) -> anyhow::Result<Vec<Forward>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let pair = |f: &Forward| (f.key.in_channel.0.cast_signed(), f.key.in_htlc_id.cast_signed());
    let mut keys = String::with_capacity(batch.len() * 32);
    for (n, (scid, htlc)) in batch.iter().map(pair).enumerate() {
        write!(keys, "{}[{scid},{htlc}]", if n == 0 { '[' } else { ',' })?;
    }
    keys.push(']');
    let rows = sqlx::query(
        "SELECT f.in_scid, f.in_htlc, f.out_scid, f.in_msat, f.out_msat, f.fee_msat, f.status, f.failcode, f.received,
             f.resolved, f.created, f.updated
         FROM json_each(?) AS keys CROSS JOIN forwards AS f
         WHERE f.in_scid = keys.value ->> 0 AND f.in_htlc = keys.value ->> 1",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    rows.iter().map(forward).collect()
}

/// Failures that were toward these scids while they were no channels of ours: they are not orphans any longer.
pub(super) async fn adopt(conn: &mut SqliteConnection, scids: &[Scid]) -> anyhow::Result<Vec<Forward>> {
    let scids: Vec<i64> = scids.iter().map(|scid| scid.0.cast_signed()).collect();
    let rows = sqlx::query(
        "UPDATE forwards SET orphan = 0 WHERE orphan = 1 AND out_scid IN (SELECT value FROM json_each(?))
         RETURNING in_scid, in_htlc, out_scid, in_msat, out_msat, fee_msat, status, failcode, received, resolved, created, updated",
    )
    .bind(serde_json::to_string(&scids)?)
    .fetch_all(conn)
    .await?;
    rows.iter().map(forward).collect()
}

fn cells(forward: &Forward, orphan: bool) -> anyhow::Result<[Cell<'static>; 14]> {
    let msat = |amount: Option<Msat>| amount.map(|m| signed(m.0)).transpose().map(Cell::Maybe);
    let index = |index: Option<u64>| index.map(signed).transpose().map(Cell::Maybe);
    Ok([
        Cell::Int(forward.key.in_channel.0.cast_signed()),
        Cell::Int(forward.key.in_htlc_id.cast_signed()),
        Cell::Maybe(forward.out_channel.map(|scid| scid.0.cast_signed())),
        Cell::Int(signed(forward.in_msat.0)?),
        msat(forward.out_msat)?,
        msat(forward.fee)?,
        Cell::Int(code(forward.status)),
        Cell::Maybe(forward.failcode.map(i64::from)),
        Cell::Int(forward.received.0),
        Cell::Maybe(forward.resolved.map(|t| t.0)),
        index(forward.created_index)?,
        index(forward.updated_index)?,
        Cell::Maybe(known_at(forward).map(|t| t.0)),
        Cell::Int(i64::from(orphan)),
    ])
}

pub(super) fn forward(row: &SqliteRow) -> anyhow::Result<Forward> {
    let maybe = |column: usize| row.try_get::<Option<i64>, _>(column);
    let scid = |value: i64| Scid(value.cast_unsigned());
    Ok(Forward {
        key: ForwardKey { in_channel: scid(row.try_get(0)?), in_htlc_id: row.try_get::<i64, _>(1)?.cast_unsigned() },
        out_channel: maybe(2)?.map(scid),
        in_msat: Msat(unsigned(row.try_get(3)?)),
        out_msat: maybe(4)?.map(unsigned).map(Msat),
        fee: maybe(5)?.map(unsigned).map(Msat),
        status: status(row.try_get(6)?)?,
        failcode: maybe(7)?.map(u32::try_from).transpose()?,
        received: Time(row.try_get(8)?),
        resolved: maybe(9)?.map(Time),
        created_index: maybe(10)?.map(unsigned),
        updated_index: maybe(11)?.map(unsigned),
    })
}

fn code(status: ForwardStatus) -> i64 {
    match status {
        ForwardStatus::Offered => 0,
        ForwardStatus::Settled => 1,
        ForwardStatus::Failed => 2,
        ForwardStatus::LocalFailed => 3,
    }
}

fn status(code: i64) -> anyhow::Result<ForwardStatus> {
    Ok(match code {
        0 => ForwardStatus::Offered,
        1 => ForwardStatus::Settled,
        2 => ForwardStatus::Failed,
        3 => ForwardStatus::LocalFailed,
        other => anyhow::bail!("status {other} of a forward in the ledger is unknown"),
    })
}
