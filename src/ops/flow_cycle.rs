//! The flow step: catch up, sum, classify, remember; then the ledger tidies and examines itself.

use std::sync::Arc;

use anyhow::Context;

use super::{Flows, Ops};
use crate::domain::{ChannelId, Flow, NodeView, Time};
use crate::flow::{self, FlowInputs};
use crate::ledger::LedgerCheck;
use crate::options::Options;

/// Forwards past their retention that one step drops: old ones go in small portions, so that no step is long.
const DROP_PER_STEP: u32 = 20_000;

/// How often the balances are noted.
const HOLDINGS_HOURS: f64 = 24.0;

/// Flow is summed up over days: what is missing of the last hours hardly shows. What is missing of more would look like a channel
/// that has fallen asleep.
const MISSING_HOURS: f64 = 2.0;

impl Ops {
    /// One whole flow analysis. Also keeps reputations, retention and the ledger's own examination.
    pub async fn flow_cycle(&self) -> anyhow::Result<Vec<(ChannelId, Flow)>> {
        self.catch_up().await?;
        let _turn = self.turn.lock().await;
        let (now, options) = (self.clock.now(), self.settings.now());
        let view = self.look(now).await.context("looking at the node")?;
        let flows = match self.unknown_since(now).await? {
            None => Ok(self.analyse_all(&view, &options).await?),
            Some(until) => Err(anyhow::anyhow!(
                "the flow is not analysed, because forwards are known up to {until} only; revenue-status says why"
            )),
        };
        self.note_holdings(&view).await.context("noting the balances")?;
        self.keep_house(now, &options).await.context("tidying the ledger")?;
        flows
    }

    /// Since when forwards are unknown, if that is too long ago to say how the flow is now.
    async fn unknown_since(&self, now: Time) -> anyhow::Result<Option<Time>> {
        let until = self.read_until().await?;
        Ok(until.filter(|until| now.hours_since(*until).abs() > MISSING_HOURS))
    }

    async fn analyse_all(&self, view: &NodeView, options: &Options) -> anyhow::Result<Vec<(ChannelId, Flow)>> {
        let flows = self.analyse(view, options).await.context("summing up the flow")?;
        self.seen.change(|seen| seen.flows = None);
        self.ledger.record_flows(view.now, &flows).await.context("recording the flow")?;
        Ok(flows)
    }

    /// Once a day, and after a start, where our money lies: whoever looks back on the ledger reckons from there.
    async fn note_holdings(&self, view: &NodeView) -> anyhow::Result<()> {
        let noted = self.seen.read(|seen| seen.holdings_noted);
        if noted.is_some_and(|at| (0.0..HOLDINGS_HOURS).contains(&view.now.hours_since(at))) {
            return Ok(());
        }
        self.ledger.note_holdings(&view.holdings()).await?;
        self.seen.change(|seen| seen.holdings_noted = Some(view.now));
        Ok(())
    }

    async fn analyse(&self, view: &NodeView, options: &Options) -> anyhow::Result<Vec<(ChannelId, Flow)>> {
        let mut sums = self.ledger.day_sums(view.now, options.flow_window_days).await?;
        let before = self.flows().await?;
        let flow_of = |channel: &crate::domain::Channel| {
            let sum = sums.remove(&channel.channel_id).unwrap_or_default();
            let inputs = FlowInputs {
                now: view.now,
                window_days: options.flow_window_days,
                capacity: channel.capacity,
                days: sum.days,
                last_forward: sum.last_forward,
                previous: before.get(&channel.channel_id).map(|(_, flow)| flow.class),
            };
            (channel.channel_id, flow::analyse(&inputs))
        };
        Ok(view.channels.iter().filter(|channel| channel.routes()).map(flow_of).collect())
    }

    /// The last flow analysis, for those who hold the turn.
    pub(super) async fn flows(&self) -> anyhow::Result<Flows> {
        if let Some(flows) = self.seen.read(|seen| seen.flows.clone()) {
            return Ok(flows);
        }
        let flows = Arc::new(self.ledger.flows().await?);
        self.seen.change(|seen| seen.flows = Some(flows.clone()));
        Ok(flows)
    }

    async fn keep_house(&self, now: Time, options: &Options) -> anyhow::Result<()> {
        self.ledger.update_reputation(now, options.reputation_decay).await?;
        let retention_hours = options.forwards_retention_days as f64 * 24.0;
        self.ledger.drop_forwards(now.plus_hours(-retention_hours), DROP_PER_STEP).await?;
        let check = self.ledger.check(now).await?;
        for problem in &check.problems {
            tracing::error!("the ledger does not agree with itself: {problem}");
        }
        self.seen.change(|seen| seen.check = Some(Arc::new(check)));
        Ok(())
    }

    /// The ledger's last examination of itself.
    pub fn last_check(&self) -> Option<Arc<LedgerCheck>> {
        self.seen.read(|seen| seen.check.clone())
    }
}
