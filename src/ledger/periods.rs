//! Sums by day, by 8 and 64 days and over all time, per channel and for the node. They change together with what they are sums of, and are
//! all that reports read: no report adds up single forwards.

use std::collections::{BTreeMap, HashMap};

use sqlx::SqliteConnection;

use super::accounts::cost_account;
use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{Ledger, channels, unsigned};
use crate::accounts::{CostKind, Costs, Sums};
use crate::domain::{ChannelId, Time};

/// A slot of a level holds so many of the one below it; the last level holds all.
const SPAN: i64 = 8;
/// The node's own rows.
const NODE: i64 = 0;

const PERIODS: Bulk = Bulk {
    head:
        "INSERT INTO periods (level, slot, channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat,
           opening_msat, closure_msat, splice_msat, rebalance_msat)",
    tail: "ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
           in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
           earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
           opening_msat = opening_msat + excluded.opening_msat, closure_msat = closure_msat + excluded.closure_msat,
           splice_msat = splice_msat + excluded.splice_msat, rebalance_msat = rebalance_msat + excluded.rebalance_msat",
};

/// What one row changes by: in_msat, out_msat, in_count, out_count, earned, brought, and the four costs.
type Change = [i64; 10];

/// Changes by day and channel, on their way to the table.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(i64, i64), Change>);

/// Sums of a span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub node: Sums,
    pub channels: HashMap<ChannelId, Sums>,
}

/// Of each level the first slot that begins in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    hour: i64,
    day: i64,
    eight: i64,
    sixty_four: i64,
}

impl Changes {
    /// What a channel moved and brought within an hour: in_msat, out_msat, in_count, out_count, earned, brought.
    pub(super) fn moved(&mut self, hour: i64, channel: i64, sums: [i64; 6]) {
        if sums == [0; 6] {
            return;
        }
        for channel in [channel, NODE] {
            let row = self.0.entry((hour.div_euclid(24), channel)).or_default();
            row.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        }
    }

    pub(super) fn cost(&mut self, at: Time, channel: i64, (kind, msat): (CostKind, i64)) {
        let place = 6 + CostKind::ALL.iter().position(|one| *one == kind).unwrap_or_default();
        for channel in [channel, NODE] {
            self.0.entry((at.day(), channel)).or_default()[place] += msat;
        }
    }

    pub(super) async fn write(self, conn: &mut SqliteConnection) -> anyhow::Result<()> {
        let mut slots: BTreeMap<(i64, i64, i64), Change> = BTreeMap::new();
        for ((day, channel), change) in self.0 {
            let eight = day.div_euclid(SPAN);
            for key in [(0, day, channel), (1, eight, channel), (2, eight.div_euclid(SPAN), channel), (3, 0, channel)] {
                let row = slots.entry(key).or_default();
                row.iter_mut().zip(change).for_each(|(sum, more)| *sum += more);
            }
        }
        // In the order of the keys: neighbours share pages.
        let rows: Vec<[Cell<'_>; 13]> = slots
            .iter()
            .map(|((level, slot, channel), change)| {
                let mut row = [Cell::Int(0); 13];
                let values = [level, slot, channel].into_iter().chain(change);
                row.iter_mut().zip(values).for_each(|(cell, value)| *cell = Cell::Int(*value));
                row
            })
            .collect();
        PERIODS.write(conn, &rows).await
    }
}

/// Moves all sums of one channel to another.
pub(super) async fn move_periods(conn: &mut SqliteConnection, from: i64, to: i64) -> anyhow::Result<()> {
    for sql in [
        "INSERT INTO periods SELECT level, slot, ?2, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat,
             closure_msat, splice_msat, rebalance_msat FROM periods WHERE channel = ?1
         ON CONFLICT DO UPDATE SET in_msat = in_msat + excluded.in_msat, out_msat = out_msat + excluded.out_msat,
             in_count = in_count + excluded.in_count, out_count = out_count + excluded.out_count,
             earned_msat = earned_msat + excluded.earned_msat, brought_msat = brought_msat + excluded.brought_msat,
             opening_msat = opening_msat + excluded.opening_msat, closure_msat = closure_msat + excluded.closure_msat,
             splice_msat = splice_msat + excluded.splice_msat, rebalance_msat = rebalance_msat + excluded.rebalance_msat",
        "DELETE FROM periods WHERE channel = ?1",
    ] {
        sqlx::query(sql).bind(from).bind(to).execute(&mut *conn).await?;
    }
    Ok(())
}

impl Cut {
    fn of(from: Time) -> Cut {
        let next = |slot: i64, size: i64| slot.div_euclid(size) + i64::from(slot.rem_euclid(size) > 0);
        let hour = from.hour();
        let day = next(hour, 24);
        let eight = next(day, SPAN);
        Cut { hour, day, eight, sixty_four: next(eight, SPAN) }
    }
}

type Row = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);

/// Since the beginning of an hour: the largest slots, then those of each level before the first of the level above, then single hours.
const SINCE: &str = "SELECT json_array(channel, SUM(in_msat), SUM(out_msat), SUM(in_count), SUM(out_count), SUM(earned_msat),
        SUM(brought_msat), SUM(opening_msat), SUM(closure_msat), SUM(splice_msat), SUM(rebalance_msat)) AS line
    FROM (
        SELECT channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat, closure_msat, splice_msat,
            rebalance_msat
        FROM periods WHERE level = 2 AND slot >= ?4
        UNION ALL
        SELECT channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat, closure_msat, splice_msat,
            rebalance_msat
        FROM periods WHERE level = 1 AND slot >= ?3 AND slot < ?4 * 8
        UNION ALL
        SELECT channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat, closure_msat, splice_msat,
            rebalance_msat
        FROM periods WHERE level = 0 AND slot >= ?2 AND slot < ?3 * 8
        UNION ALL
        SELECT iif(n.which, channel, 0), in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, 0, 0, 0, 0
        FROM rollups, (SELECT 0 AS which UNION ALL SELECT 1) AS n WHERE hour >= ?1 AND hour < ?2 * 24)
    GROUP BY channel";

const ONE_DAY: &str =
    "SELECT json_array(channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat,
        closure_msat, splice_msat, rebalance_msat) AS line
    FROM periods WHERE level = 0 AND slot = ?1";

const EVER: &str =
    "SELECT json_array(channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat,
        closure_msat, splice_msat, rebalance_msat) AS line
    FROM periods WHERE level = 3 AND slot = 0";

impl Ledger {
    /// Sums since `from` (the hour that it lies in counts whole), or over all time.
    pub async fn window(&self, from: Option<Time>) -> anyhow::Result<Window> {
        let mut reader = self.reader().await?;
        let conn = reader.conn();
        let names = channels::names(&mut *conn).await?;
        let mut window = Window::default();
        let Some(from) = from else {
            for row in many::<Row>(conn, EVER, &[]).await? {
                window.take(&names, row)?;
            }
            return Ok(window);
        };
        let cut = Cut::of(from);
        let values = [cut.hour, cut.day, cut.eight, cut.sixty_four].map(Cell::Int);
        for row in many::<Row>(&mut *conn, SINCE, &values).await? {
            window.take(&names, row)?;
        }
        for kind in CostKind::ALL {
            let start = Time(cut.hour.saturating_mul(3_600_000));
            let end = Time::start_of_day(cut.day);
            for (account, msat) in costs_between(&mut *conn, kind, start, end).await? {
                let Ok(channel) = account.trim_start_matches("channel/").parse() else { continue };
                window.node.costs.add(kind, unsigned(msat));
                window.channels.entry(channel).or_default().costs.add(kind, unsigned(msat));
            }
        }
        Ok(window)
    }

    /// Sums of one day.
    pub async fn day_window(&self, day: i64) -> anyhow::Result<Window> {
        let mut reader = self.reader().await?;
        let names = channels::names(reader.conn()).await?;
        let mut window = Window::default();
        for row in many::<Row>(reader.conn(), ONE_DAY, &[Cell::Int(day)]).await? {
            window.take(&names, row)?;
        }
        Ok(window)
    }

    /// The node's sums of single days, `from` and `to` included.
    pub async fn day_series(&self, from: i64, to: i64) -> anyhow::Result<BTreeMap<i64, Sums>> {
        let mut reader = self.reader().await?;
        let rows: Vec<Row> = many(
            reader.conn(),
            "SELECT json_array(slot, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat, opening_msat, closure_msat,
                 splice_msat, rebalance_msat) AS line
             FROM periods WHERE level = 0 AND slot >= ?1 AND slot <= ?2 AND channel = 0",
            &[Cell::Int(from), Cell::Int(to)],
        )
        .await?;
        Ok(rows.into_iter().map(|row| (row.0, sums(row))).collect())
    }

    /// The first day that anything is known of.
    pub async fn first_day(&self) -> anyhow::Result<Option<i64>> {
        let mut reader = self.reader().await?;
        let first = "SELECT MIN(slot) FROM periods WHERE level = 0";
        Ok(sqlx::query_scalar(first).fetch_one(reader.conn()).await?)
    }
}

impl Window {
    fn take(&mut self, names: &channels::Names, row: Row) -> anyhow::Result<()> {
        match row.0 {
            NODE => self.node = sums(row),
            id => drop(self.channels.insert(channels::named(names, id)?.0, sums(row))),
        }
        Ok(())
    }
}

fn sums(row: Row) -> Sums {
    let (_, in_msat, out_msat, in_count, out_count, earned, brought, opening, closure, splice, rebalance) = row;
    Sums {
        in_msat: unsigned(in_msat),
        out_msat: unsigned(out_msat),
        in_count: unsigned(in_count),
        out_count: unsigned(out_count),
        earned: unsigned(earned),
        brought: unsigned(brought),
        costs: Costs {
            opening: unsigned(opening),
            closure: unsigned(closure),
            splice: unsigned(splice),
            rebalance: unsigned(rebalance),
        },
    }
}

/// Costs of one kind before the first whole day, by the account that paid.
async fn costs_between(
    conn: &mut SqliteConnection,
    kind: CostKind,
    from: Time,
    to: Time,
) -> anyhow::Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as(
        "SELECT a.name, SUM(t.amount_msat) FROM transfers AS t JOIN accounts AS a ON a.id = t.from_account
         WHERE t.to_account = (SELECT id FROM accounts WHERE name = ?1) AND t.at >= ?2 AND t.at < ?3 GROUP BY a.name",
    )
    .bind(cost_account(kind))
    .bind(from.0)
    .bind(to.0)
    .fetch_all(conn)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_cut_into_hours_days_and_spans() {
        let day = 64 * 300;
        let cut = |hours: i64| Cut::of(Time(hours * 3_600_000));
        assert_eq!(cut(day * 24), Cut { hour: day * 24, day, eight: 2_400, sixty_four: 300 });
        assert_eq!(cut(day * 24 + 1), Cut { hour: day * 24 + 1, day: day + 1, eight: 2_401, sixty_four: 301 });
    }
}
