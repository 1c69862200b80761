//! Single forwards: each once, by channel and HTLC id, from whichever side it arrives first. They are the subsidiary ledger behind
//! all sums, which change in the same transaction. A status only moves forward, and an outcome is never replaced by another.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;

use sqlx::SqliteConnection;

use super::bulk::{Bulk, Cell, MOST};
use super::forward_row::{Row, cells, forward, stored};
use super::many::many;
use super::memo::Memo;
use super::rollups::{Deltas, is_orphan, needed};
use super::{Ledger, Positions, Recorded, channels, orphans, signed, unsigned};
use crate::domain::{Forward, ForwardIndex, ForwardKey, Scid, Time};

/// New rows. A failure ends the whole transaction, so no statement need be undone alone: FAIL spares SQLite the copy of every page
/// that it would keep for that, a copy per channel and batch.
const NEW: Bulk = Bulk {
    head: "INSERT OR FAIL INTO forwards (in_scid, in_htlc, out_scid, in_msat, out_msat, fee_msat, status, failcode, received,
           resolved, created, updated, known_at, orphan)",
    tail: "",
};

const CHANGED: Bulk = Bulk {
    head: "INSERT OR REPLACE INTO forwards (in_scid, in_htlc, out_scid, in_msat, out_msat, fee_msat, status, failcode, received,
           resolved, created, updated, known_at, orphan)",
    tail: "",
};

/// A row without the node's counter is kept this long behind the list, which may still bring the counter.
const LIST_LAG_MILLIS: i64 = 86_400_000;

/// Rows that are looked for in one query: rows weigh much more than the forwards that are made of them.
const LOOKED_FOR: usize = 1_000;

/// What a batch makes of one forward.
struct Line<'a> {
    /// Boxed, because in a backfill there is none.
    before: Option<Box<Forward>>,
    after: After<'a>,
}

/// As one account told it, or joined of several.
enum After<'a> {
    Told(&'a Forward),
    Joined(Box<Forward>),
}

impl Deref for After<'_> {
    type Target = Forward;

    fn deref(&self) -> &Forward {
        match self {
            After::Told(forward) => forward,
            After::Joined(forward) => forward,
        }
    }
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
        let lines = fold(&mut tx, &mut memo, batch).await?;
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

/// The batch as one line per forward that it changes, in the order of the keys: what is there, and what it becomes.
async fn fold<'a>(conn: &mut SqliteConnection, memo: &mut Memo, batch: &'a [Forward]) -> anyhow::Result<Vec<Line<'a>>> {
    let mut found: HashMap<ForwardKey, Forward> =
        find(conn, memo, batch).await?.into_iter().map(|forward| (forward.key, forward)).collect();
    let mut sorted: Vec<&Forward> = batch.iter().collect();
    sorted.sort_by_key(|forward| stored(forward.key));
    let mut lines: Vec<Line<'a>> = Vec::with_capacity(sorted.len());
    for forward in sorted {
        let again = lines.last_mut().filter(|line| line.after.key == forward.key);
        if let Some(line) = again {
            line.after = After::Joined(Box::new(joined(&line.after, forward)));
        } else if let Some(before) = found.remove(&forward.key) {
            let after = After::Joined(Box::new(joined(&before, forward)));
            lines.push(Line { before: Some(Box::new(before)), after });
        } else if !memo.marks.dropped(forward) {
            lines.push(Line { before: None, after: After::Told(forward) });
        }
    }
    lines.retain(|line| line.before.as_deref() != Some(&*line.after));
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
async fn make_known(conn: &mut SqliteConnection, memo: &mut Memo, lines: &[Line<'_>]) -> anyhow::Result<()> {
    let mut fresh: Vec<Scid> =
        lines.iter().flat_map(|line| needed(&line.after)).filter(|scid| !memo.scids.contains_key(scid)).collect();
    fresh.sort_unstable();
    fresh.dedup();
    for scid in &fresh {
        channels::placeholder(conn, memo, *scid).await?;
    }
    orphans::adopt(conn, memo, &fresh).await
}

async fn write(conn: &mut SqliteConnection, memo: &mut Memo, lines: &[Line<'_>]) -> anyhow::Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut deltas = Deltas::default();
    for line in lines {
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
    }
    // In the order of the keys, as the lines are: neighbours share pages.
    let (new, changed): (Vec<&Line<'_>>, Vec<&Line<'_>>) = lines.iter().partition(|line| line.before.is_none());
    write_rows(conn, memo, NEW, &new).await?;
    write_rows(conn, memo, CHANGED, &changed).await?;
    for line in new {
        let (scid, htlc) = stored(line.after.key);
        memo.highest.entry(scid).and_modify(|highest| *highest = htlc.max(*highest));
    }
    deltas.write(conn, memo).await?;
    Ok(recorded)
}

/// Statement by statement, so that a large batch is never in memory twice.
async fn write_rows(conn: &mut SqliteConnection, memo: &Memo, how: Bulk, lines: &[&Line<'_>]) -> anyhow::Result<()> {
    for lines in lines.chunks(MOST) {
        let rows: anyhow::Result<Vec<_>> =
            lines.iter().map(|line| cells(&line.after, is_orphan(&line.after, memo))).collect();
        how.write(conn, &rows?).await?;
    }
    Ok(())
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

/// The rows that are there already. A channel counts its HTLCs upward: what lies above all that is known of its
/// channel is new, and is not looked for.
async fn find(conn: &mut SqliteConnection, memo: &mut Memo, batch: &[Forward]) -> anyhow::Result<Vec<Forward>> {
    learn_highest(conn, memo, batch).await?;
    let known = |key: &(i64, i64)| memo.highest.get(&key.0).is_none_or(|highest| key.1 <= *highest);
    let mut wanted: Vec<(i64, i64)> = batch.iter().map(|forward| stored(forward.key)).filter(known).collect();
    wanted.sort_unstable();
    let mut found = Vec::new();
    for wanted in wanted.chunks(LOOKED_FOR) {
        look_for(conn, wanted, &mut found).await?;
    }
    Ok(found)
}

async fn look_for(conn: &mut SqliteConnection, wanted: &[(i64, i64)], found: &mut Vec<Forward>) -> anyhow::Result<()> {
    let rows: Vec<Row> = many(
        conn,
        "SELECT json_array(f.in_scid, f.in_htlc, f.out_scid, f.in_msat, f.out_msat, f.fee_msat, f.status, f.failcode, f.received,
             f.resolved, f.created, f.updated) AS line
         FROM json_each(?) AS keys CROSS JOIN forwards AS f
         WHERE f.in_scid = keys.value ->> 0 AND f.in_htlc = keys.value ->> 1",
        &[Cell::Text(&serde_json::to_string(wanted)?)],
    )
    .await?;
    for row in rows {
        found.push(forward(row)?);
    }
    Ok(())
}

/// Looks up the highest HTLC id of those incoming scids of which it is not known.
async fn learn_highest(conn: &mut SqliteConnection, memo: &mut Memo, batch: &[Forward]) -> anyhow::Result<()> {
    let scids = batch.iter().map(|forward| stored(forward.key).0).filter(|scid| !memo.highest.contains_key(scid));
    let scids: BTreeSet<i64> = scids.collect();
    if scids.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, Option<i64>)> = many(
        conn,
        "SELECT json_array(value, (SELECT MAX(in_htlc) FROM forwards WHERE in_scid = value)) AS line FROM json_each(?)",
        &[Cell::Text(&serde_json::to_string(&scids)?)],
    )
    .await?;
    memo.highest.extend(rows.into_iter().map(|(scid, highest)| (scid, highest.unwrap_or(i64::MIN))));
    Ok(())
}
