//! Sums over hours and over a channel's life, and the last flow analysis. All from rollups: single forwards may be gone.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{ChannelDays, ChannelTotals, Ledger, Moved, channel_id, channels, signed, unsigned};
use crate::domain::{ChannelId, Flow, Msat, Time};
use crate::flow::DaySum;

const FLOWS: Bulk = Bulk {
    head:
        "INSERT OR REPLACE INTO flows (channel, at, class, out_per_day, in_per_day, net, turnover, velocity, confidence,
           out_msat, in_msat, forwards, last_forward)",
    tail: "",
};

impl Ledger {
    /// Daily sums of every channel over the last `window_days` x 24 hours. The hour that `now` lies in counts as the newest of
    /// them. Channels that nobody could name are here too, by the id of their placeholder.
    pub async fn day_sums(&self, now: Time, window_days: u64) -> anyhow::Result<HashMap<ChannelId, ChannelDays>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, u32, i64, i64, i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(channel, age, in_msat, out_msat, in_count, out_count) AS line
             FROM (SELECT channel, (?1 - hour) / 24 AS age, SUM(in_msat) AS in_msat, SUM(out_msat) AS out_msat,
                       SUM(in_count) AS in_count, SUM(out_count) AS out_count
                   FROM rollups WHERE hour > ?1 - ?2 AND hour <= ?1 GROUP BY channel, age)
             WHERE in_count + out_count > 0",
            &[Cell::Int(now.hour()), Cell::Int(signed(window_days)?.saturating_mul(24))],
        )
        .await?;
        let newest: Vec<(i64, Time)> = many(
            reader.conn(),
            "SELECT json_array(channel, last_forward) AS line FROM totals WHERE last_forward IS NOT NULL",
            &[],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        let mut sums: HashMap<ChannelId, ChannelDays> = HashMap::new();
        for (id, age_days, in_msat, out_msat, in_count, out_count) in rows {
            sums.entry(channels::named(&names, id)?.0).or_default().days.push(DaySum {
                age_days,
                in_msat: unsigned(in_msat),
                out_msat: unsigned(out_msat),
                in_count: unsigned(in_count),
                out_count: unsigned(out_count),
            });
        }
        for (id, at) in newest {
            sums.entry(channels::named(&names, id)?.0).or_default().last_forward = Some(at);
        }
        sums.values_mut().for_each(|days| days.days.sort_unstable_by_key(|day| day.age_days));
        Ok(sums)
    }

    /// What every channel moved and earned in the last so many seconds, by whole hours: the one in which they begin counts whole.
    pub async fn moved(&self, now: Time, secs: i64) -> anyhow::Result<HashMap<ChannelId, Moved>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64, i64, i64, i64, i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(channel, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat) AS line
             FROM (SELECT channel, SUM(in_msat) AS in_msat, SUM(out_msat) AS out_msat, SUM(in_count) AS in_count,
                       SUM(out_count) AS out_count, SUM(earned_msat) AS earned_msat, SUM(brought_msat) AS brought_msat
                   FROM rollups WHERE hour >= ?1 AND hour <= ?2 GROUP BY channel)",
            &[Cell::Int(now.plus_secs(-secs).hour()), Cell::Int(now.hour())],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        let mut moved = HashMap::with_capacity(rows.len());
        for (id, in_msat, out_msat, in_count, out_count, earned_msat, brought_msat) in rows {
            let of = moved.entry(channels::named(&names, id)?.0).or_insert_with(Moved::default);
            of.in_msat += unsigned(in_msat);
            of.out_msat += unsigned(out_msat);
            of.in_count += unsigned(in_count);
            of.out_count += unsigned(out_count);
            of.earned_msat += unsigned(earned_msat);
            of.brought_msat += unsigned(brought_msat);
        }
        Ok(moved)
    }

    pub async fn record_flows(&self, now: Time, flows: &[(ChannelId, Flow)]) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let mut rows = Vec::with_capacity(flows.len());
        for (channel, flow) in flows {
            let id = channels::known_channel(&mut tx, &mut memo, *channel, None, None).await?;
            rows.push([
                Cell::Int(id),
                Cell::Int(now.0),
                Cell::Text(flow.class.name()),
                Cell::Real(flow.out_per_day),
                Cell::Real(flow.in_per_day),
                Cell::Real(flow.net),
                Cell::Real(flow.turnover),
                Cell::Real(flow.velocity),
                Cell::Real(flow.confidence),
                Cell::Int(signed(flow.out_msat.0)?),
                Cell::Int(signed(flow.in_msat.0)?),
                Cell::Int(signed(flow.forwards)?),
                Cell::Maybe(flow.last_forward.map(|t| t.0)),
            ]);
        }
        FLOWS.write(&mut tx, &rows).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// The last analysis of each channel.
    pub async fn flows(&self) -> anyhow::Result<HashMap<ChannelId, (Time, Flow)>> {
        let mut reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT channel_id, at, class, out_per_day, in_per_day, net, turnover, velocity, confidence, out_msat,
                 in_msat, forwards, last_forward
             FROM flows JOIN channels ON channels.id = channel",
        )
        .fetch_all(reader.conn())
        .await?;
        rows.iter().map(|row| Ok((channel_id(row.try_get(0)?)?, (Time(row.try_get(1)?), flow(row)?)))).collect()
    }

    /// Lifetime sums of each channel, from the rollups' own totals. Channels that nobody could name are here too, by the id of
    /// their placeholder, so that the whole is whole.
    pub async fn totals(&self) -> anyhow::Result<HashMap<ChannelId, ChannelTotals>> {
        let mut reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT channel_id, out_msat, in_msat, out_count, in_count, earned_msat, brought_msat, failed, local_failed, starved
             FROM totals JOIN channels ON channels.id = channel",
        )
        .fetch_all(reader.conn())
        .await?;
        rows.iter().map(|row| Ok((channel_id(row.try_get(0)?)?, totals(row)?))).collect()
    }

    /// What forwards have earned since the hour of `from` began.
    pub async fn fees_since(&self, from: Time) -> anyhow::Result<Msat> {
        let mut reader = self.reader().await?;
        let sum = "SELECT COALESCE(SUM(fees_msat), 0) FROM node_hours WHERE hour >= ?";
        let fees: i64 = sqlx::query_scalar(sum).bind(from.hour()).fetch_one(reader.conn()).await?;
        Ok(Msat(unsigned(fees)))
    }

    /// Settled forwards of the whole node per hour (hours since 1970), from the hour of `from` on. Hours without any are left out.
    pub async fn node_hours(&self, from: Time) -> anyhow::Result<Vec<(i64, u64)>> {
        let mut reader = self.reader().await?;
        let mut hours: Vec<(i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(hour, settled) AS line FROM node_hours WHERE hour >= ? AND settled > 0",
            &[Cell::Int(from.hour())],
        )
        .await?;
        hours.sort_unstable();
        Ok(hours.into_iter().map(|(hour, settled)| (hour, unsigned(settled))).collect())
    }
}

fn flow(row: &SqliteRow) -> anyhow::Result<Flow> {
    Ok(Flow {
        class: row.try_get::<String, _>(2)?.parse().map_err(anyhow::Error::msg)?,
        out_per_day: row.try_get(3)?,
        in_per_day: row.try_get(4)?,
        net: row.try_get(5)?,
        turnover: row.try_get(6)?,
        velocity: row.try_get(7)?,
        confidence: row.try_get(8)?,
        out_msat: Msat(unsigned(row.try_get(9)?)),
        in_msat: Msat(unsigned(row.try_get(10)?)),
        forwards: unsigned(row.try_get(11)?),
        last_forward: row.try_get::<Option<i64>, _>(12)?.map(Time),
    })
}

fn totals(row: &SqliteRow) -> anyhow::Result<ChannelTotals> {
    let sum = |column: usize| row.try_get(column).map(unsigned);
    Ok(ChannelTotals {
        out_msat: sum(1)?,
        in_msat: sum(2)?,
        out_count: sum(3)?,
        in_count: sum(4)?,
        fees_earned_msat: sum(5)?,
        fees_brought_msat: sum(6)?,
        failed: sum(7)?,
        local_failed: sum(8)?,
        starved: sum(9)?,
    })
}
