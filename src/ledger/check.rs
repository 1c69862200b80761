//! The ledger examines itself: the same money and the same counts, added up in independent ways, must agree. It only reads, and it
//! stays cheap: sums are compared as a whole, single forwards over the last days and over one stretch of the past that moves on
//! with every hour.

use sqlx::{Connection as _, SqliteConnection};

use super::accounts::{ROUTING, cost_account};
use super::{Ledger, LedgerCheck, rebalances, unsigned};
use crate::accounts::CostKind;
use crate::domain::Time;

/// Hours of single forwards that are compared at most: the newest ones, and a stretch of the past.
const RECENT_HOURS: i64 = 48;
const PAST_HOURS: i64 = 120;
/// A busy node compares fewer hours: about so many forwards in each of the two.
const FORWARDS: i64 = 20_000;

/// Problems of one kind that are told one by one.
const TOLD: usize = 5;

impl Ledger {
    pub async fn check(&self, now: Time) -> anyhow::Result<LedgerCheck> {
        let mut reader = self.reader().await?;
        // One snapshot: what is written meanwhile must not look like a disagreement.
        let mut tx = reader.conn().begin().await?;
        let mut check = LedgerCheck { at: now, ..LedgerCheck::default() };
        accounts(&mut tx, &mut check).await?;
        fees_and_counts(&mut tx, &mut check).await?;
        for (what, is, moves) in rebalances::check(&mut tx).await? {
            check.compare(what, is, "its moves amount to", moves);
        }
        periods(&mut tx, &mut check).await?;
        let known_from = oldest_hour(&mut tx).await?;
        let most = hours_of(&mut tx, known_from, FORWARDS).await?;
        let recent = now.hour() - most.min(RECENT_HOURS);
        hours(&mut tx, &mut check, known_from.max(recent), now.hour() + 1).await?;
        let past = most.min(PAST_HOURS);
        let stretches = (recent - known_from).max(0) / past + 1;
        let start = known_from + now.hour().rem_euclid(stretches) * past;
        hours(&mut tx, &mut check, start, (start + past).min(recent)).await?;
        tx.rollback().await?;
        Ok(check)
    }
}

impl LedgerCheck {
    fn compare(&mut self, what: &str, is: i64, other: &str, other_is: i64) {
        if is != other_is {
            self.problems.push(format!("{what} {is}, but {other} {other_is}."));
        }
    }
}

async fn accounts(conn: &mut SqliteConnection, check: &mut LedgerCheck) -> anyhow::Result<()> {
    check.sum_of_accounts_msat = sqlx::query_scalar(
        "SELECT COALESCE(SUM(amount_msat * ((to_account IN (SELECT id FROM accounts))
                                          - (from_account IN (SELECT id FROM accounts)))), 0)
         FROM transfers",
    )
    .fetch_one(&mut *conn)
    .await?;
    if check.sum_of_accounts_msat != 0 {
        let sum = check.sum_of_accounts_msat;
        check.problems.push(format!("All accounts together hold {sum} msat; they must hold 0."));
    }
    let negative: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM transfers WHERE amount_msat < 0").fetch_one(conn).await?;
    if negative > 0 {
        check.problems.push(format!("{negative} transfers have a negative amount."));
    }
    Ok(())
}

async fn fees_and_counts(conn: &mut SqliteConnection, check: &mut LedgerCheck) -> anyhow::Result<()> {
    let posted: i64 = sqlx::query_scalar(
        "SELECT COALESCE(SUM(amount_msat), 0) FROM transfers
         WHERE key >= 'routed/' AND key < 'routed0' AND from_account = (SELECT id FROM accounts WHERE name = ?)",
    )
    .bind(ROUTING)
    .fetch_one(&mut *conn)
    .await?;
    let (earned, brought, out, incoming): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT COALESCE(SUM(earned_msat), 0), COALESCE(SUM(brought_msat), 0), COALESCE(SUM(out_count), 0),
             COALESCE(SUM(in_count), 0) FROM totals",
    )
    .fetch_one(&mut *conn)
    .await?;
    let (fees, settled): (i64, i64) =
        sqlx::query_as("SELECT COALESCE(SUM(fees_msat), 0), COALESCE(SUM(settled), 0) FROM node_hours")
            .fetch_one(&mut *conn)
            .await?;
    let (seen, dropped): (i64, i64) = sqlx::query_as("SELECT seen, dropped FROM progress").fetch_one(conn).await?;
    check.compare("The fees of the node's hours in msat are", fees, "the daily postings amount to", posted);
    check.compare("The fees of the node's hours in msat are", fees, "the outgoing channels earned", earned);
    check.compare("The fees of the node's hours in msat are", fees, "the incoming channels brought", brought);
    check.compare("The node's hours count settled forwards:", settled, "the outgoing channels count", out);
    check.compare("The node's hours count settled forwards:", settled, "the incoming channels count", incoming);
    if seen < settled || seen < dropped {
        check
            .problems
            .push(format!("{seen} forwards were taken in, but {settled} were settled and {dropped} dropped."));
    }
    check.forwards = unsigned(seen);
    check.settled = unsigned(settled);
    check.fees_msat = unsigned(fees);
    Ok(())
}

/// What reports read is what the transfers and the channels' lives say.
async fn periods(conn: &mut SqliteConnection, check: &mut LedgerCheck) -> anyhow::Result<()> {
    const EVER: &str =
        "SELECT COALESCE(SUM(earned_msat), 0), COALESCE(SUM(brought_msat), 0), COALESCE(SUM(opening_msat), 0),
            COALESCE(SUM(closure_msat), 0), COALESCE(SUM(splice_msat), 0), COALESCE(SUM(rebalance_msat), 0)
        FROM periods WHERE level = ?1 AND (channel = 0) = ?2";
    type Ever = (i64, i64, i64, i64, i64, i64);
    let node: Ever = sqlx::query_as(EVER).bind(3).bind(true).fetch_one(&mut *conn).await?;
    for (level, of_node, whose) in
        [(3, false, "channels over all time"), (2, true, "node's spans"), (2, false, "channels' spans")]
    {
        let sums: Ever = sqlx::query_as(EVER).bind(level).bind(of_node).fetch_one(&mut *conn).await?;
        if sums != node {
            check
                .problems
                .push(format!("The node's sums over all time are {node:?} msat, but those of the {whose} {sums:?}."));
        }
    }
    let earned: i64 =
        sqlx::query_scalar("SELECT COALESCE(SUM(earned_msat), 0) FROM totals").fetch_one(&mut *conn).await?;
    check.compare("The reports' fees in msat are", node.0, "the channels' lives say", earned);
    for (kind, sum) in CostKind::ALL.into_iter().zip([node.2, node.3, node.4, node.5]) {
        let booked: i64 = sqlx::query_scalar(
            "SELECT COALESCE(SUM(amount_msat), 0) FROM transfers WHERE to_account = (SELECT id FROM accounts WHERE name = ?)",
        )
        .bind(cost_account(kind))
        .fetch_one(&mut *conn)
        .await?;
        let what = format!("The reports' {} costs in msat are", kind.name());
        check.compare(&what, sum, "the transfers amount to", booked);
    }
    Ok(())
}

/// The first hour of which no single forward has been dropped.
async fn oldest_hour(conn: &mut SqliteConnection) -> anyhow::Result<i64> {
    let dropped: Option<i64> = sqlx::query_scalar("SELECT dropped_known FROM progress").fetch_one(&mut *conn).await?;
    let oldest: Option<i64> =
        sqlx::query_scalar("SELECT MIN(known_at) FROM forwards WHERE known_at IS NOT NULL").fetch_one(conn).await?;
    let after_dropped = dropped.map_or(i64::MIN, |at| Time(at).hour() + 1);
    Ok(after_dropped.max(Time(oldest.unwrap_or(0)).hour()))
}

/// How many hours it takes on average until so many outcomes are known; at least one.
async fn hours_of(conn: &mut SqliteConnection, from: i64, forwards: i64) -> anyhow::Result<i64> {
    let (hours, known): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(settled + failed + local_failed), 0) FROM node_hours WHERE hour >= ?",
    )
    .bind(from)
    .fetch_one(conn)
    .await?;
    Ok((forwards.saturating_mul(hours) / known.max(1)).max(1))
}

/// One line per hour in which single forwards, the node's hour and the channels' hours do not agree.
async fn hours(conn: &mut SqliteConnection, check: &mut LedgerCheck, from: i64, to: i64) -> anyhow::Result<()> {
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "WITH one AS (
             SELECT known_at / 3600000 AS hour, SUM(status = 1) AS settled,
                 SUM(CASE WHEN status = 1 THEN COALESCE(fee_msat, in_msat - out_msat, 0) ELSE 0 END) AS fees,
                 SUM(status = 2) AS failed, SUM(status = 3) AS local_failed
             FROM forwards WHERE known_at >= ?1 * 3600000 AND known_at < ?2 * 3600000 GROUP BY 1),
         channel AS (
             SELECT hour, SUM(out_count) AS settled, SUM(earned_msat) AS fees, SUM(in_count) AS came, SUM(brought_msat) AS brought
             FROM rollups WHERE hour >= ?1 AND hour < ?2 GROUP BY hour),
         node AS (SELECT * FROM node_hours WHERE hour >= ?1 AND hour < ?2),
         every AS (SELECT hour FROM one UNION SELECT hour FROM channel UNION SELECT hour FROM node),
         told AS (
             SELECT every.hour,
                 FORMAT('%d settled for %d msat, %d failed, %d failed by us', one.settled, one.fees, one.failed, one.local_failed)
                     AS single,
                 FORMAT('%d settled for %d msat, %d failed, %d failed by us', node.settled, node.fees_msat, node.failed,
                     node.local_failed) AS node,
                 FORMAT('%d settled for %d msat', node.settled, node.fees_msat) AS short,
                 FORMAT('%d settled for %d msat', channel.settled, channel.fees) AS outgoing,
                 FORMAT('%d settled for %d msat', channel.came, channel.brought) AS incoming
             FROM every LEFT JOIN one USING (hour) LEFT JOIN channel USING (hour) LEFT JOIN node USING (hour))
         SELECT hour, single, node, outgoing || ' out and ' || incoming || ' in' FROM told
         WHERE single <> node OR short <> outgoing OR short <> incoming ORDER BY hour",
    )
    .bind(from)
    .bind(to)
    .fetch_all(conn)
    .await?;
    for (hour, single, node, channels) in rows.iter().take(TOLD) {
        let hour = Time(hour.saturating_mul(3_600_000));
        check.problems.push(format!(
            "In the hour from {hour} single forwards say {single}; the node's hour says {node}; the channels' hours say {channels}."
        ));
    }
    if rows.len() > TOLD {
        check.problems.push(format!("{} more hours do not agree.", rows.len() - TOLD));
    }
    Ok(())
}
