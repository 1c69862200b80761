//! Changes of rates by rules are on trial: begun when the node has confirmed one, judged at a few moments, and taken back where they have
//! cost too much. What the judgement is made of is in `policy::rollback`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;

use super::Ops;
use super::policies::Rules;
use crate::domain::{ChannelId, NodeView, Time};
use crate::ledger::{FeeOutcomeKind, FeeRow};
use crate::policy::rollback::{Look, Trial};

/// Spans of hours that are summed up in one step at most. A look that waits compares the same hours later.
const MOST_SPANS: usize = 16;

pub(super) type Trials = Arc<HashMap<ChannelId, Trial>>;

impl Ops {
    pub(super) async fn trials(&self) -> anyhow::Result<Trials> {
        if let Some(trials) = self.seen.read(|seen| seen.trials.clone()) {
            return Ok(trials);
        }
        let trials = Arc::new(self.ledger.trials().await.context("reading which changes are on trial")?);
        self.seen.change(|seen| seen.trials = Some(trials.clone()));
        Ok(trials)
    }

    /// Looks at the changes that are due, as far as the payments of those hours are known. For those who hold the turn.
    pub(super) async fn judge_trials(&self, view: &NodeView) -> anyhow::Result<()> {
        let trials = self.trials().await?;
        let known = self.read_until().await?.map_or(i64::MIN, Time::hour);
        let due = |trial: &Trial| trial.due(view.now).filter(|look| look.after.1 <= known);
        let due: Vec<(ChannelId, &Trial, Look)> =
            trials.iter().filter_map(|(id, trial)| Some((*id, trial, due(trial)?))).collect();
        let mut spans = BTreeMap::new();
        for (_, _, look) in &due {
            for span in [look.before, look.after] {
                if spans.len() < MOST_SPANS && !spans.contains_key(&span) {
                    spans.insert(span, self.ledger.payments(span).await.context("summing up payments")?);
                }
            }
        }
        let mut judged = Vec::new();
        for (id, trial, look) in due {
            let Some(channel) = view.channels.iter().find(|channel| channel.channel_id == id) else { continue };
            let (Some(before), Some(after)) = (spans.get(&look.before), spans.get(&look.after)) else { continue };
            let payments = |span: &HashMap<ChannelId, u64>| span.get(&id).copied().unwrap_or_default();
            let mut trial = Trial { looked: look.days, ..trial.clone() };
            match trial.loss(look, (payments(before), payments(after))) {
                // Somebody has set another rate since: this one is not what earned.
                _ if channel.ours.ppm != trial.new => trial = trial.closed(),
                None => {}
                Some(loss) => {
                    trial.taken_back = Some((view.now, loss));
                    let name = channel.scid.map_or_else(|| id.to_string(), |scid| scid.to_string());
                    tracing::warn!("{name}: {}", trial.in_words().unwrap_or_default());
                }
            }
            judged.push((id, trial));
        }
        self.record_trials(judged).await
    }

    /// Puts changes on trial that the node has confirmed, where their rule wants it. For those who hold the turn.
    pub(super) async fn begin_trials(&self, view: &NodeView, rules: &Rules, rows: &[FeeRow]) -> anyhow::Result<()> {
        let changed = |row: &&FeeRow| row.outcome == FeeOutcomeKind::Set && !row.manual && row.old != row.new;
        let threshold = |row: &FeeRow| {
            let channel = view.channels.iter().find(|channel| channel.channel_id == row.channel)?;
            rules.of(channel).rollback
        };
        let on_trial: Vec<(&FeeRow, f64)> =
            rows.iter().filter(changed).filter_map(|row| Some((row, threshold(row)?))).collect();
        if on_trial.is_empty() {
            return Ok(());
        }
        let known = self.trials().await?;
        let channels: Vec<ChannelId> = on_trial.iter().map(|(row, _)| row.channel).collect();
        let since = self.ledger.rates_since(&channels, view.now).await.context("looking up earlier changes")?;
        let begun = on_trial.into_iter().filter_map(|(row, threshold)| {
            let before = known.get(&row.channel);
            // The way back is no change of its own.
            let is_back = before.is_some_and(|trial| trial.taken_back.is_some() && trial.old == row.new);
            let since = since.get(&row.channel).filter(|_| !is_back)?;
            match Trial::begin(row.at, (row.old, row.new), *since, threshold) {
                Some(trial) => Some((row.channel, trial)),
                None => before.filter(|trial| trial.taken_back.is_none()).map(|t| (row.channel, t.clone().closed())),
            }
        });
        self.record_trials(begun.collect()).await
    }

    async fn record_trials(&self, news: Vec<(ChannelId, Trial)>) -> anyhow::Result<()> {
        if news.is_empty() {
            return Ok(());
        }
        self.ledger.record_trials(&news).await.context("noting which changes are on trial")?;
        self.seen.change(|seen| {
            if let Some(trials) = &mut seen.trials {
                Arc::make_mut(trials).extend(news);
            }
        });
        Ok(())
    }
}
