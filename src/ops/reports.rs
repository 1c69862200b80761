//! What an operator asks. Reads only; never waits for a turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use super::{Job, JobReport, Ops, OrderError};
use crate::domain::{Channel, ChannelId, Flow, FlowClass, Identity, NodeView, Policy, Ppm, Scid, Time};
use crate::fees;
use crate::flow::{self, FlowInputs};

use crate::ledger::{ChannelTotals, FeeOutcomeKind, FeeRow, LedgerCheck, MoveRow, Positions};
pub use crate::node::BreakerReport as Breaker;
use crate::options::Options;

/// Fee changes that `revenue-status` shows.
const RECENT: u32 = 10;

/// Everything that `revenue-status` tells.
pub struct StatusReport {
    pub identity: Identity,
    pub options: Arc<Options>,
    /// The node's list of forwards has been read to its end since the start.
    pub caught_up: bool,
    pub positions: Positions,
    pub check: Option<Arc<LedgerCheck>>,
    pub channels: Vec<ChannelReport>,
    pub changes: Vec<(i64, FeeReport)>,
    /// The newest moves of liquidity, newest first.
    pub moves: Vec<MoveRow>,
    pub jobs: BTreeMap<Job, JobReport>,
    pub breakers: Vec<Breaker>,
    pub warnings: Vec<String>,
}

/// A channel as the last step saw it, with its last analysis.
pub struct ChannelReport {
    pub channel: Channel,
    pub flow: Option<(Time, Flow)>,
    pub totals: ChannelTotals,
}

/// A fee decision under the channel's present name.
pub struct FeeReport {
    pub scid: Option<Scid>,
    pub row: FeeRow,
}

/// The last decision on one channel in short, with what else is known of it.
pub struct FeeLine {
    pub last: FeeReport,
    /// The fee in force after the decision, and since when; `None`: that is not known.
    pub in_force: Option<Ppm>,
    pub since: Option<Time>,
    /// Why a change has to wait.
    pub waits: Option<String>,
    pub flow: Option<FlowClass>,
    pub learner: Option<String>,
}

/// What `revenue-analyze` tells of one channel, as of now.
pub struct AnalysisReport {
    pub channel: Channel,
    pub flow: Flow,
    pub window_days: u64,
    pub congested: bool,
    pub below_target: bool,
}

/// What `revenue-fee-debug` tells of one channel.
pub struct FeeDebugReport {
    pub last: FeeReport,
    /// Each stage's input and verdict.
    pub why: Vec<Value>,
    /// What the learner believes of the peer's payers and does about it.
    pub learner: Value,
    /// What pricing remembers of the peer.
    pub memory: Value,
    /// What may be done with the channel, and who said so.
    pub policy: Policy,
}

impl Ops {
    pub async fn status(&self) -> anyhow::Result<StatusReport> {
        let jobs = self.jobs.reports();
        let view = self.last_view();
        let mut channels = self.channels_of(view.as_deref()).await?;
        let changes = self.ledger.recent_changes(RECENT).await.context("reading the last fee changes")?;
        if let Some(view) = &view {
            // A step looks before it acts: a channel's fee is the one that was set since, not the one that was seen.
            let set = self.ledger.set_since(view.now).await.context("reading the fees set since the last look")?;
            take_in(&mut channels, &set);
        }
        Ok(StatusReport {
            identity: self.identity.clone(),
            options: self.settings.now(),
            caught_up: self.seen.read(|seen| seen.caught_up),
            positions: self.ledger.positions().await.context("reading how far forwards have been read")?,
            check: self.last_check(),
            channels,
            changes: changes.into_iter().map(|(id, row)| (id, named(row, view.as_deref()))).collect(),
            moves: self.ledger.recent_moves(RECENT).await.context("reading the last rebalances")?,
            breakers: self.all_breakers(),
            warnings: self.warnings(&jobs),
            jobs,
        })
    }

    /// One channel by any of its names, analysed now; nothing is recorded.
    pub async fn analysis(&self, name: &str) -> Result<AnalysisReport, OrderError> {
        let (now, options) = (self.now(), self.settings.now());
        let channels = self.node.channels().await.context("looking at the node")?;
        let view = NodeView { now, channels, feerate: None };
        let id = self.channel_by_name(&view, name).await?;
        let channel = view.channels.into_iter().find(|channel| channel.channel_id == id);
        let channel = channel.ok_or_else(|| OrderError::Caller(format!("the node has no channel '{name}' now")))?;
        let sum = self.ledger.day_sums(now, options.flow_window_days).await?.remove(&id).unwrap_or_default();
        let flow = flow::analyse(&FlowInputs {
            now,
            window_days: options.flow_window_days,
            capacity: channel.capacity,
            days: sum.days,
            last_forward: sum.last_forward,
            previous: self.ledger.flows().await?.get(&id).map(|(_, flow)| flow.class),
        });
        let limit = channel.max_htlcs.map(|max| f64::from(max) * options.htlc_congestion_threshold);
        Ok(AnalysisReport {
            congested: limit.is_some_and(|limit| f64::from(channel.htlcs_out) > limit),
            below_target: below_target(&flow, &options),
            window_days: options.flow_window_days,
            channel,
            flow,
        })
    }

    /// The last decision on each channel, newest first.
    pub async fn fee_lines(&self) -> anyhow::Result<Vec<FeeLine>> {
        let view = self.last_view();
        let (memories, flows) = (self.memories().await?, self.flows().await?);
        let line = |row: FeeRow| {
            let in_force = match row.outcome {
                FeeOutcomeKind::Set => Some(row.new),
                FeeOutcomeKind::Ordered => None,
                FeeOutcomeKind::Kept | FeeOutcomeKind::Dry | FeeOutcomeKind::Failed => Some(row.old),
            };
            let memory = memories.get(&row.peer);
            FeeLine {
                in_force,
                since: in_force.zip(memory).and_then(|(fee, memory)| fees::asked_at(memory, fee)),
                waits: fees::waits(&row.why),
                flow: flows.get(&row.channel).map(|(_, flow)| flow.class),
                learner: memory.and_then(fees::learner).map(|learner| learner.to_string()),
                last: named(row, view.as_deref()),
            }
        };
        let mut lines: Vec<_> = self.ledger.last_decisions().await?.into_values().map(line).collect();
        lines.sort_by_key(|FeeLine { last, .. }| (Reverse(last.row.at), last.scid, last.row.channel));
        Ok(lines)
    }

    /// The last decision on one channel, stage by stage.
    pub async fn fee_debug(&self, name: &str) -> Result<FeeDebugReport, OrderError> {
        let now = self.now();
        let view = self.last_view().unwrap_or_else(|| Arc::new(NodeView { now, channels: Vec::new(), feerate: None }));
        let id = self.channel_by_name(&view, name).await?;
        let row = self.ledger.last_decision(id).await?.ok_or_else(|| {
            OrderError::Caller(format!(
                "no fee has been decided for '{name}' yet; revenue-fee-debug lists those that have"
            ))
        })?;
        let why = fees::in_words(&row.why).context("reading the stages of the decision")?;
        let memories = self.memories().await?;
        let memory = memories.get(&row.peer);
        let policy = match view.channels.iter().find(|channel| channel.channel_id == id) {
            Some(channel) => self.policy_of_channel(channel).await?,
            None => self.policy_of(row.peer).await?.1,
        };
        let learner = memory.and_then(fees::learner).map_or(Value::Null, |learner| learner.json());
        Ok(FeeDebugReport {
            last: named(row, Some(&view)),
            why,
            learner,
            memory: memory.map_or(Value::Null, fees::debug),
            policy,
        })
    }

    async fn channels_of(&self, view: Option<&NodeView>) -> anyhow::Result<Vec<ChannelReport>> {
        let mut flows = self.ledger.flows().await.context("reading the last flow analysis")?;
        let totals = self.ledger.totals().await.context("reading the channels' totals")?;
        let channels = view.map(|view| view.channels.as_slice()).unwrap_or_default();
        let report = |channel: &Channel| ChannelReport {
            flow: flows.remove(&channel.channel_id),
            totals: totals.get(&channel.channel_id).copied().unwrap_or_default(),
            channel: channel.clone(),
        };
        let mut reports: Vec<_> = channels.iter().filter(|channel| channel.routes()).map(report).collect();
        reports.sort_by(|a, b| {
            let key = |report: &ChannelReport| report.flow.as_ref().map(|(_, flow)| flow.class.name());
            let net = |report: &ChannelReport| report.flow.as_ref().map_or(0.0, |(_, flow)| flow.net);
            key(a).cmp(&key(b)).then(net(b).total_cmp(&net(a))).then(a.channel.scid.cmp(&b.channel.scid))
        });
        Ok(reports)
    }

    fn all_breakers(&self) -> Vec<Breaker> {
        let rebalancer = self.rebalancer.as_ref().map(|rebalancer| rebalancer.breakers()).unwrap_or_default();
        self.node.breakers().into_iter().chain(rebalancer).collect()
    }

    /// What an operator should look at, in sentences.
    fn warnings(&self, jobs: &BTreeMap<Job, JobReport>) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.settings.now().dry_run {
            warnings.push(
                "dry-run is on: fees are decided and recorded, and not set on the node; nothing is rebalanced"
                    .to_owned(),
            );
        }
        warnings.extend(self.node.warnings());
        warnings.extend(self.all_breakers().iter().filter_map(Breaker::in_words));
        warnings.extend(self.unread_in_words());
        warnings.extend(self.last_rebalance().and_then(|report| report.rebalancer.in_words()));
        warnings.extend(self.last_rules().iter().flat_map(|book| book.warnings()));
        warnings.extend(self.blind_in_words());
        warnings.extend(self.refused_in_words());
        warnings.extend(self.clboss_in_words());
        for (job, report) in jobs {
            if let Some(error) = &report.last_error {
                warnings.push(format!("the last {} step failed: {error}", job.name()));
            }
        }
        if let Some(check) = self.last_check() {
            warnings.extend(check.problems.iter().map(|problem| format!("ledger: {problem}")));
        }
        warnings.extend(self.settings.warnings());
        warnings
    }
}

impl FeeReport {
    /// The channel's present name: its scid, or its channel id if it has none.
    pub fn name(&self) -> String {
        self.scid.map_or_else(|| self.row.channel.to_string(), |scid| scid.to_string())
    }

    pub fn outcome(&self) -> &'static str {
        super::publish::in_words(self.row.outcome)
    }
}

fn take_in(channels: &mut [ChannelReport], set: &HashMap<ChannelId, Ppm>) {
    for report in channels {
        if let Some(fee) = set.get(&report.channel.channel_id) {
            report.channel.ours.ppm = *fee;
        }
    }
}

/// Does less move than the operator wants to see?
pub fn below_target(flow: &Flow, options: &Options) -> bool {
    (flow.in_per_day + flow.out_per_day) / 1000.0 < options.target_flow as f64
}

fn named(row: FeeRow, view: Option<&NodeView>) -> FeeReport {
    let channels = view.map(|view| view.channels.as_slice()).unwrap_or_default();
    let scid = channels.iter().find(|channel| channel.channel_id == row.channel).and_then(|channel| channel.scid);
    FeeReport { scid, row }
}
