//! Changes of fee rates on trial, one a channel; and which rate each channel has had since when.

use std::collections::HashMap;

use anyhow::Context as _;

use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{Ledger, channels, unsigned};
use crate::domain::{ChannelId, Ppm, Time};
use crate::policy::rollback::{Takings, Trial};

const TRIALS: Bulk =
    Bulk { head: "INSERT INTO trials (channel, trial)", tail: "ON CONFLICT DO UPDATE SET trial = excluded.trial" };

const RATES: Bulk = Bulk { head: "INSERT OR REPLACE INTO rates (channel, ppm, since)", tail: "" };

impl Ledger {
    pub async fn trials(&self) -> anyhow::Result<HashMap<ChannelId, Trial>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(ChannelId, String)> = many(
            reader.conn(),
            "SELECT json_array(hex(channel_id), trial) AS line FROM trials JOIN channels ON channels.id = channel",
            &[],
        )
        .await?;
        let trial = |(channel, text): (ChannelId, String)| {
            let trial = serde_json::from_str(&text).with_context(|| format!("the change on trial of {channel}"))?;
            Ok((channel, trial))
        };
        rows.into_iter().map(trial).collect()
    }

    /// Notes these instead of what was on trial before.
    pub async fn record_trials(&self, trials: &[(ChannelId, Trial)]) -> anyhow::Result<()> {
        let texts = trials.iter().map(|(_, trial)| serde_json::to_string(trial)).collect::<Result<Vec<_>, _>>()?;
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let mut lines = Vec::with_capacity(trials.len());
        for ((channel, _), text) in trials.iter().zip(&texts) {
            let id = channels::known_channel(&mut tx, &mut memo, *channel, None, None).await?;
            lines.push([Cell::Int(id), Cell::Text(text)]);
        }
        TRIALS.write(&mut tx, &lines).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }

    /// What came by each channel on its way out in the hours `[from, to)`.
    pub async fn takings(&self, (from, to): (i64, i64)) -> anyhow::Result<HashMap<ChannelId, Takings>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64, i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(channel, settled, starved, earned) AS line
             FROM (SELECT channel, SUM(out_count) AS settled, SUM(starved) AS starved, SUM(earned_msat) AS earned
                   FROM rollups WHERE hour >= ?1 AND hour < ?2 GROUP BY channel)",
            &[Cell::Int(from), Cell::Int(to)],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        let takings = |(id, settled, starved, earned): (i64, i64, i64, i64)| {
            let earned_msat = unsigned(earned);
            Ok((
                channels::named(&names, id)?.0,
                Takings { settled: unsigned(settled), starved: unsigned(starved), earned_msat },
            ))
        };
        rows.into_iter().map(takings).collect()
    }

    /// The rate that each channel was last seen to have, and since when.
    pub async fn rates(&self) -> anyhow::Result<HashMap<ChannelId, (Ppm, Time)>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(ChannelId, u32, Time)> = many(
            reader.conn(),
            "SELECT json_array(hex(channel_id), ppm, since) AS line FROM rates JOIN channels ON channels.id = channel",
            &[],
        )
        .await?;
        Ok(rows.into_iter().map(|(channel, ppm, since)| (channel, (Ppm(ppm), since))).collect())
    }

    /// Other rates than those that were seen before.
    pub async fn record_rates(&self, rates: &[(ChannelId, (Ppm, Time))]) -> anyhow::Result<()> {
        let mut writer = self.writer().await?;
        let mut memo = writer.take_memo().await?;
        let mut tx = writer.begin().await?;
        let mut lines = Vec::with_capacity(rates.len());
        for (channel, (ppm, since)) in rates {
            let id = channels::known_channel(&mut tx, &mut memo, *channel, None, None).await?;
            lines.push([Cell::Int(id), Cell::Int(i64::from(ppm.0)), Cell::Int(since.0)]);
        }
        RATES.write(&mut tx, &lines).await?;
        tx.commit().await?;
        writer.memo = Some(memo);
        Ok(())
    }
}
