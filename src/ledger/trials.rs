//! Changes of fee rates on trial: one a channel, the last.

use std::collections::HashMap;

use anyhow::Context as _;

use super::bulk::{Bulk, Cell};
use super::many::many;
use super::{Ledger, channels, unsigned};
use crate::domain::{ChannelId, Time};
use crate::policy::rollback::Trial;

const TRIALS: Bulk =
    Bulk { head: "INSERT INTO trials (channel, trial)", tail: "ON CONFLICT DO UPDATE SET trial = excluded.trial" };

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

    /// Payments that wanted to leave by each channel in the hours `[from, to)`; also those that found too little balance there.
    pub async fn payments(&self, (from, to): (i64, i64)) -> anyhow::Result<HashMap<ChannelId, u64>> {
        let mut reader = self.reader().await?;
        let rows: Vec<(i64, i64)> = many(
            reader.conn(),
            "SELECT json_array(channel, payments) AS line
             FROM (SELECT channel, SUM(out_count + starved) AS payments FROM rollups WHERE hour >= ?1 AND hour < ?2
                   GROUP BY channel)",
            &[Cell::Int(from), Cell::Int(to)],
        )
        .await?;
        let names = channels::names(reader.conn()).await?;
        rows.into_iter().map(|(id, payments)| Ok((channels::named(&names, id)?.0, unsigned(payments)))).collect()
    }

    /// From when on each channel has had the rate that it has now: the last change that the node confirmed, or else when we first saw it.
    pub async fn rates_since(&self, channels: &[ChannelId], now: Time) -> anyhow::Result<HashMap<ChannelId, Time>> {
        let wanted = serde_json::to_string(&channels.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let mut reader = self.reader().await?;
        let rows: Vec<(ChannelId, Option<Time>)> = many(
            reader.conn(),
            "SELECT json_array(hex(channel_id), COALESCE(
                 (SELECT MAX(at) FROM changes WHERE channel = channels.id AND outcome = 1 AND old <> new AND at < ?2),
                 noted_at)) AS line
             FROM channels WHERE lower(hex(channel_id)) IN (SELECT value FROM json_each(?1))",
            &[Cell::Text(&wanted), Cell::Int(now.0)],
        )
        .await?;
        Ok(rows.into_iter().filter_map(|(channel, since)| Some((channel, since?))).collect())
    }
}
