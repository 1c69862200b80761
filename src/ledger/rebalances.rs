//! Moves of liquidity and the money for them: reserved before a move begins, settled to the msat when it is over, and the rest released.
//! Every step is a transfer with a key of its own, so that doing it twice changes nothing. Decides nothing.

use anyhow::Context as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::accounts::{self, BUDGET, RESERVED, SPENT};
use super::{Ledger, Transfer, channel_id, channels, peer_id, signed, transfers, unsigned};
use crate::domain::{Booked, ChannelId, MoveFailure, MoveOrder, Msat, PeerId, Ppm, Sat, Scid, Tally, Time};

/// A move as it is written down before it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMove {
    pub at: Time,
    pub from: ChannelId,
    pub to: ChannelId,
    pub from_peer: PeerId,
    pub to_peer: PeerId,
    pub order: MoveOrder,
    pub reserved: Msat,
    /// What it is expected to earn; may be negative.
    pub profit_msat: i64,
    pub manual: bool,
    /// One line for people.
    pub summary: String,
    /// What the rebalancer has counted for the filled channel so far.
    pub before: Tally,
    /// What the node's books had between the two channels so far; `None`: they were not asked, or there are none.
    pub booked: Option<Booked>,
}

/// A move as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveRow {
    pub id: i64,
    pub new: NewMove,
    pub state: MoveState,
    /// Why it was told to stop.
    pub stopping: Option<MoveFailure>,
    pub ended: Option<MoveEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// Perhaps begun: we may have been stopped in between.
    Reserved,
    Begun,
    Stopping,
    Closed,
}

/// What came of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveEnd {
    pub at: Time,
    pub moved: Msat,
    pub spent: Msat,
    pub failure: Option<MoveFailure>,
}

/// Sums over moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveSums {
    /// What was settled since the moment asked for.
    pub spent: Msat,
    /// What is reserved and not released.
    pub reserved: Msat,
    pub open: u32,
}

const COLUMNS: &str = "SELECT r.id, r.at, f.channel_id, t.channel_id, from_peer, to_peer, from_scid, to_scid, amount_sat, part_sat,
         keep_sat, max_ppm, reserved_msat, profit_msat, manual, summary, before_moved, before_spent, before_successes,
         before_failures, state, stopping, ended_at, moved_msat, spent_msat, failure, booked_moved, booked_spent, booked_parts
     FROM rebalances AS r CROSS JOIN channels AS f ON f.id = from_channel CROSS JOIN channels AS t ON t.id = to_channel";

impl Ledger {
    /// Writes a move down and reserves what it may cost. `None`: with it more than `limit` would be spent and reserved since `since`;
    /// nothing is written then.
    pub async fn reserve_move(&self, new: &NewMove, limit: Msat, since: Time) -> anyhow::Result<Option<i64>> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let sums = sums(&mut tx, since).await?;
        let used = [sums.spent, sums.reserved, new.reserved].iter().try_fold(0_u64, |all, one| all.checked_add(one.0));
        let fits = used.is_some_and(|used| used <= limit.0);
        let id = if fits {
            let from = channels::known_channel(&mut tx, &mut memo, new.from, Some(new.from_peer), None).await?;
            let to = channels::known_channel(&mut tx, &mut memo, new.to, Some(new.to_peer), None).await?;
            let id = insert(&mut tx, new, from, to).await?;
            book(&mut tx, &line(id, "reserve", new.at), (BUDGET, RESERVED), new.reserved).await?;
            tx.commit().await?;
            Some(id)
        } else {
            tx.rollback().await?;
            None
        };
        writer.memo = Some(memo);
        Ok(id)
    }

    /// The rebalancer has taken the order.
    pub async fn move_begun(&self, id: i64) -> anyhow::Result<()> {
        self.advance(id, "UPDATE rebalances SET state = 1 WHERE id = ?1 AND state = 0 AND ?2 IS NULL", None).await
    }

    /// The rebalancer is about to be told to stop it. The first reason stays.
    pub async fn move_stopping(&self, id: i64, why: MoveFailure) -> anyhow::Result<()> {
        self.advance(id, "UPDATE rebalances SET state = 2, stopping = ?2 WHERE id = ?1 AND state < 2", Some(why)).await
    }

    async fn advance(&self, id: i64, sql: &'static str, why: Option<MoveFailure>) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        sqlx::query(sql).bind(id).bind(why.map(code)).execute(&mut writer.conn).await?;
        Ok(())
    }

    /// Settles what a move has cost and releases the rest; `false` if that was done before. What it cost beyond its reservation, which
    /// the rate it was given forbids, is booked all the same: it is gone.
    pub async fn close_move(&self, id: i64, end: &MoveEnd) -> anyhow::Result<bool> {
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let done = sqlx::query(
            "UPDATE rebalances SET state = 3, ended_at = ?2, moved_msat = ?3, spent_msat = ?4, failure = ?5
             WHERE id = ?1 AND state < 3",
        )
        .bind(id)
        .bind(end.at.0)
        .bind(signed(end.moved.0)?)
        .bind(signed(end.spent.0)?)
        .bind(end.failure.map(code))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let row = one(&mut tx, id).await?;
        let (reserved, within) = (row.new.reserved, end.spent.min(row.new.reserved));
        book(&mut tx, &line(id, "cost", end.at), (RESERVED, SPENT), within).await?;
        book(&mut tx, &line(id, "release", end.at), (RESERVED, BUDGET), reserved.saturating_sub(within)).await?;
        book(&mut tx, &line(id, "beyond", end.at), (BUDGET, SPENT), end.spent.saturating_sub(within)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A closed move turns out to have brought and cost more: `moved` and `spent` are all of it. What is known already is not booked
    /// again. Answers what was added.
    pub async fn late_cost(&self, id: i64, at: Time, moved: Msat, spent: Msat) -> anyhow::Result<Msat> {
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let row = one(&mut tx, id).await?;
        let known = row.ended.with_context(|| format!("move {id} is not closed"))?;
        let more = spent.saturating_sub(known.spent);
        if more == Msat::ZERO && moved <= known.moved {
            return Ok(Msat::ZERO);
        }
        sqlx::query("UPDATE rebalances SET moved_msat = ?2, spent_msat = ?3 WHERE id = ?1")
            .bind(id)
            .bind(signed(moved.max(known.moved).0)?)
            .bind(signed(spent.max(known.spent).0)?)
            .execute(&mut *tx)
            .await?;
        book(&mut tx, &line(id, &format!("late/{}", spent.0), at), (BUDGET, SPENT), more).await?;
        tx.commit().await?;
        Ok(more)
    }

    /// Moves that are not closed, oldest first.
    pub async fn open_moves(&self) -> anyhow::Result<Vec<MoveRow>> {
        let mut reader = self.reader().await?;
        rows(reader.conn(), "WHERE state < 3 ORDER BY r.id", 0).await
    }

    /// Moves that were closed since then, in the order in which they ended.
    pub async fn closed_moves(&self, since: Time) -> anyhow::Result<Vec<MoveRow>> {
        let mut reader = self.reader().await?;
        rows(reader.conn(), "WHERE state = 3 AND ended_at >= ?1 ORDER BY ended_at, r.id", since.0).await
    }

    /// The newest moves, newest first.
    pub async fn recent_moves(&self, limit: u32) -> anyhow::Result<Vec<MoveRow>> {
        let mut reader = self.reader().await?;
        rows(reader.conn(), "ORDER BY r.id DESC LIMIT ?1", i64::from(limit)).await
    }

    pub async fn move_sums(&self, since: Time) -> anyhow::Result<MoveSums> {
        let mut reader = self.reader().await?;
        sums(reader.conn(), since).await
    }
}

async fn sums(conn: &mut SqliteConnection, since: Time) -> anyhow::Result<MoveSums> {
    let (spent, reserved, open): (i64, i64, i64) = sqlx::query_as(
        "SELECT
             (SELECT COALESCE(SUM(amount_msat), 0) FROM transfers
              WHERE to_account = (SELECT id FROM accounts WHERE name = ?2) AND at >= ?1),
             (SELECT COALESCE(SUM(reserved_msat), 0) FROM rebalances WHERE state < 3),
             (SELECT COUNT(*) FROM rebalances WHERE state < 3)",
    )
    .bind(since.0)
    .bind(SPENT)
    .fetch_one(conn)
    .await?;
    let open = u32::try_from(open).unwrap_or(u32::MAX);
    Ok(MoveSums { spent: Msat(unsigned(spent)), reserved: Msat(unsigned(reserved)), open })
}

async fn insert(conn: &mut SqliteConnection, new: &NewMove, from: i64, to: i64) -> anyhow::Result<i64> {
    let MoveOrder { amount, part, keep, max, .. } = new.order;
    let done = sqlx::query(
        "INSERT INTO rebalances (at, from_channel, to_channel, from_peer, to_peer, from_scid, to_scid, amount_sat, part_sat, keep_sat,
             max_ppm, reserved_msat, profit_msat, manual, summary, before_moved, before_spent, before_successes, before_failures,
             booked_moved, booked_spent, booked_parts)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.at.0)
    .bind(from)
    .bind(to)
    .bind(new.from_peer.0.to_vec())
    .bind(new.to_peer.0.to_vec())
    .bind(new.order.from.0.cast_signed())
    .bind(new.order.to.0.cast_signed())
    .bind(signed(amount.0)?)
    .bind(signed(part.0)?)
    .bind(signed(keep.0)?)
    .bind(max.0)
    .bind(signed(new.reserved.0)?)
    .bind(new.profit_msat)
    .bind(new.manual)
    .bind(new.summary.clone())
    .bind(signed(new.before.moved.0)?)
    .bind(signed(new.before.spent.0)?)
    .bind(signed(new.before.successes)?)
    .bind(signed(new.before.failures)?)
    .bind(new.booked.map(|booked| signed(booked.moved.0)).transpose()?)
    .bind(new.booked.map(|booked| signed(booked.spent.0)).transpose()?)
    .bind(new.booked.map(|booked| signed(booked.parts)).transpose()?)
    .execute(conn)
    .await?;
    Ok(done.last_insert_rowid())
}

/// Key, time and text of a transfer of a move.
fn line(id: i64, what: &str, at: Time) -> Transfer {
    let (key, memo) = (format!("{}{id}/{what}", transfers::MOVES), format!("rebalance {id}: {what}"));
    Transfer { key, at, from: String::new(), to: String::new(), amount: Msat::ZERO, memo }
}

/// Nothing is not booked.
async fn book(
    conn: &mut SqliteConnection,
    line: &Transfer,
    (from, to): (&str, &str),
    amount: Msat,
) -> anyhow::Result<()> {
    if amount > Msat::ZERO {
        let transfer = Transfer { from: from.to_owned(), to: to.to_owned(), amount, ..line.clone() };
        transfers::write(conn, &transfer).await?;
    }
    Ok(())
}

async fn rows(conn: &mut SqliteConnection, which: &str, value: i64) -> anyhow::Result<Vec<MoveRow>> {
    let sql = format!("{COLUMNS} {which}");
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = if which.contains("?1") { query.bind(value) } else { query };
    query.fetch_all(conn).await?.iter().map(move_row).collect()
}

async fn one(conn: &mut SqliteConnection, id: i64) -> anyhow::Result<MoveRow> {
    rows(conn, "WHERE r.id = ?1", id).await?.pop().with_context(|| format!("there is no move {id}"))
}

fn move_row(row: &SqliteRow) -> anyhow::Result<MoveRow> {
    let number = |column: usize| anyhow::Ok(unsigned(row.try_get(column)?));
    let scid = |column: usize| anyhow::Ok(Scid(row.try_get::<i64, _>(column)?.cast_unsigned()));
    let order = MoveOrder {
        from: scid(6)?,
        to: scid(7)?,
        amount: Sat(number(8)?),
        part: Sat(number(9)?),
        keep: Sat(number(10)?),
        max: Ppm(u32::try_from(number(11)?)?),
    };
    let before = Tally {
        moved: Sat(number(16)?),
        spent: Sat(number(17)?),
        successes: number(18)?,
        failures: number(19)?,
        reasons: vec![],
    };
    let new = NewMove {
        at: Time(row.try_get(1)?),
        from: channel_id(row.try_get(2)?)?,
        to: channel_id(row.try_get(3)?)?,
        from_peer: peer_id(row.try_get(4)?)?,
        to_peer: peer_id(row.try_get(5)?)?,
        order,
        reserved: Msat(number(12)?),
        profit_msat: row.try_get(13)?,
        manual: row.try_get(14)?,
        summary: row.try_get(15)?,
        before,
        booked: booked(row)?,
    };
    let (moved, spent) = (Msat(number(23)?), Msat(number(24)?));
    let failure = failure(row.try_get(25)?)?;
    let ended = row.try_get::<Option<i64>, _>(22)?.map(|at| MoveEnd { at: Time(at), moved, spent, failure });
    Ok(MoveRow {
        id: row.try_get(0)?,
        new,
        state: state(row.try_get(20)?)?,
        stopping: self::failure(row.try_get(21)?)?,
        ended,
    })
}

fn booked(row: &SqliteRow) -> anyhow::Result<Option<Booked>> {
    let number = |column: usize| anyhow::Ok(row.try_get::<Option<i64>, _>(column)?.map(unsigned));
    let all = (number(26)?, number(27)?, number(28)?);
    let (Some(moved), Some(spent), Some(parts)) = all else { return Ok(None) };
    Ok(Some(Booked { moved: Msat(moved), spent: Msat(spent), parts }))
}

fn state(code: i64) -> anyhow::Result<MoveState> {
    Ok(match code {
        0 => MoveState::Reserved,
        1 => MoveState::Begun,
        2 => MoveState::Stopping,
        3 => MoveState::Closed,
        other => anyhow::bail!("state {other} of a move in the ledger is unknown"),
    })
}

fn code(failure: MoveFailure) -> i64 {
    match failure {
        MoveFailure::NoRoute => 0,
        MoveFailure::TooDear => 1,
        MoveFailure::Liquidity => 2,
        MoveFailure::TimedOut => 3,
        MoveFailure::Refused => 4,
        MoveFailure::Lost => 5,
        MoveFailure::Dropped => 6,
    }
}

fn failure(found: Option<i64>) -> anyhow::Result<Option<MoveFailure>> {
    let Some(found) = found else { return Ok(None) };
    let known = MoveFailure::ALL.into_iter().find(|failure| code(*failure) == found);
    known.map(Some).with_context(|| format!("failure {found} of a move in the ledger is unknown"))
}

/// Reservations and costs are in the transfers and in the moves: both must say the same.
pub(super) async fn check(conn: &mut SqliteConnection) -> anyhow::Result<[(&'static str, i64, i64); 3]> {
    let (open, spent): (i64, i64) = sqlx::query_as(
        "SELECT COALESCE(SUM(CASE WHEN state < 3 THEN reserved_msat END), 0), COALESCE(SUM(spent_msat), 0) FROM rebalances",
    )
    .fetch_one(&mut *conn)
    .await?;
    let reserved = accounts::balance(&mut *conn, RESERVED).await?;
    let budget = accounts::balance(&mut *conn, BUDGET).await?;
    let cost = accounts::balance(conn, SPENT).await?;
    Ok([
        ("The account of reservations holds in msat", reserved, open),
        ("The budget of moves has lent and spent in msat", -budget, open.saturating_add(spent)),
        ("The account of costs of moves holds in msat", cost, spent),
    ])
}
