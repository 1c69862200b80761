//! Changes of rates by rules are on trial: begun when the node has confirmed one, judged at a few moments, and taken back where they have
//! cost too much. What the judgement is made of is in `policy::rollback`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;

use super::Ops;
use super::policies::Rules;
use crate::domain::{Channel, ChannelId, NodeView, Ppm, Time};
use crate::ledger::{FeeOutcomeKind, FeeRow};
use crate::policy::rollback::{Look, Takings, Trial};

/// Spans of hours that are summed up in one step at most. A look that waits compares the same hours later.
const MOST_SPANS: usize = 16;

pub(super) type Trials = Arc<HashMap<ChannelId, Trial>>;
/// The rate that each channel was last seen to have, and since when.
pub(super) type Rates = Arc<HashMap<ChannelId, (Ppm, Time)>>;
type Sums = BTreeMap<(i64, i64), HashMap<ChannelId, Takings>>;

impl Ops {
    pub(super) async fn trials(&self) -> anyhow::Result<Trials> {
        if let Some(trials) = self.seen.read(|seen| seen.trials.clone()) {
            return Ok(trials);
        }
        let trials = Arc::new(self.ledger.trials().await.context("reading which changes are on trial")?);
        self.seen.change(|seen| seen.trials = Some(trials.clone()));
        Ok(trials)
    }

    /// Looks at the changes that are due, as far as the payments of those hours are known. What is taken back is set by the next step.
    /// For those who hold the turn.
    pub(super) async fn judge_trials(&self, view: &NodeView, rules: &Rules) -> anyhow::Result<()> {
        let trials = self.trials().await?;
        let known = self.read_until().await?.map_or(i64::MIN, Time::hour);
        let due = |channel: &Channel| {
            let trial = trials.get(&channel.channel_id)?;
            Some((trial, trial.due(view.now).filter(|look| look.after.1 <= known)?))
        };
        let routing = view.channels.iter().filter(|channel| channel.routes());
        let due: Vec<_> =
            routing.filter_map(|channel| due(channel).map(|(trial, look)| (channel, trial, look))).collect();
        let sums = self.sums(due.iter().map(|(_, _, look)| *look)).await?;
        let judged = due.into_iter().filter_map(|(channel, trial, look)| {
            let (before, after) = (sums.get(&look.before)?, sums.get(&look.after)?);
            let takings =
                |span: &HashMap<ChannelId, Takings>| span.get(&channel.channel_id).copied().unwrap_or_default();
            let wanted = rules.of(channel).rollback.is_some() && channel.ours.ppm == trial.new;
            // Somebody has set another rate since, or its rule does not want to be judged any more.
            let judged = match (wanted, trial.loss(look, (takings(before), takings(after)))) {
                (false, _) => trial.clone().closed(),
                (true, None) => Trial { looked: look.days, ..trial.clone() },
                (true, Some(loss)) => {
                    let judged = trial.clone().refused(view.now, loss);
                    let name = channel.scid.map_or_else(|| channel.channel_id.to_string(), |scid| scid.to_string());
                    tracing::warn!("{name}: {}", judged.in_words().unwrap_or_default());
                    judged
                }
            };
            Some((channel.channel_id, judged))
        });
        self.record_trials(judged.collect()).await
    }

    async fn sums(&self, looks: impl Iterator<Item = Look>) -> anyhow::Result<Sums> {
        let mut sums = Sums::new();
        for span in looks.flat_map(|look| [look.before, look.after]) {
            if sums.len() < MOST_SPANS && !sums.contains_key(&span) {
                sums.insert(span, self.ledger.takings(span).await.context("summing up what came by channels")?);
            }
        }
        Ok(sums)
    }

    /// Puts changes on trial that the node has confirmed, where their rule wants it. For those who hold the turn.
    pub(super) async fn begin_trials(&self, view: &NodeView, rules: &Rules, rows: &[FeeRow]) -> anyhow::Result<()> {
        let changed = |row: &&FeeRow| row.outcome == FeeOutcomeKind::Set && !row.manual && row.old != row.new;
        let threshold = |row: &FeeRow| {
            let channel = view.channels.iter().find(|channel| channel.channel_id == row.channel)?;
            let policy = rules.of(channel);
            // With another base fee as well nobody could tell which of the two has cost what.
            let alone = policy.terms.base.is_none_or(|base| base == channel.ours.base);
            policy.rollback.filter(|_| alone)
        };
        let on_trial: Vec<(&FeeRow, f64)> =
            rows.iter().filter(changed).filter_map(|row| Some((row, threshold(row)?))).collect();
        if on_trial.is_empty() {
            return Ok(());
        }
        let (known, rates) = (self.trials().await?, self.rates().await?);
        let begun = on_trial.into_iter().filter_map(|(row, threshold)| {
            let before = known.get(&row.channel);
            // The way back is no change of its own.
            if before.and_then(|trial| trial.refused.as_ref()).is_some_and(|refused| refused.old == row.new) {
                return None;
            }
            let (_, since) = rates.get(&row.channel).filter(|(ppm, _)| *ppm == row.old)?;
            let trial = Trial::begin(row.at, (row.old, row.new), (*since, threshold), before);
            Some((row.channel, trial.or_else(|| before.cloned().map(Trial::closed))?))
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

    async fn rates(&self) -> anyhow::Result<Rates> {
        if let Some(rates) = self.seen.read(|seen| seen.rates.clone()) {
            return Ok(rates);
        }
        let rates = Arc::new(self.ledger.rates().await.context("reading which rates channels had")?);
        self.seen.change(|seen| seen.rates = Some(rates.clone()));
        Ok(rates)
    }

    /// Notes rates that are others than before, whoever set them. For those who hold the turn.
    pub(super) async fn note_rates(&self, view: &NodeView) -> anyhow::Result<()> {
        let rates = self.rates().await?;
        let is_news =
            |channel: &&Channel| rates.get(&channel.channel_id).is_none_or(|(ppm, _)| *ppm != channel.ours.ppm);
        let news: Vec<_> = (view.channels.iter().filter(|channel| channel.routes()).filter(is_news))
            .map(|channel| (channel.channel_id, (channel.ours.ppm, view.now)))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        self.ledger.record_rates(&news).await.context("noting which rates channels have")?;
        self.seen.change(|seen| {
            if let Some(rates) = &mut seen.rates {
                Arc::make_mut(rates).extend(news);
            }
        });
        Ok(())
    }
}
