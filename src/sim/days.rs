//! Days in seconds: the real steps on a manual clock, called when the timers of a live node would call them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::network::{Network, Scenario, Stream, stream};
use super::node::SimNode;
use super::tape::{DAY_MS, Tape};
use crate::domain::{ManualClock, Msat, Time};
use crate::ledger::{FeeOutcomeKind, Ledger};
use crate::ops::{FeeOutcome, Job, Ops, Settings};
use crate::options::Layers;

/// A market with the real steps on it, and a ledger that is gone when it is dropped.
pub struct Simulation {
    pub ops: Arc<Ops>,
    pub node: Arc<SimNode>,
    pub clock: Arc<ManualClock>,
}

impl Simulation {
    /// Options come from `layers`, as lightningd's configuration would set them.
    pub async fn new(scenario: Scenario, layers: Layers) -> anyhow::Result<Simulation> {
        Simulation::on(Arc::new(Tape::new(Network::draw(scenario))), layers).await
    }

    /// On a tape that others play as well.
    pub async fn on(tape: Arc<Tape>, layers: Layers) -> anyhow::Result<Simulation> {
        let node = Arc::new(SimNode::on(tape));
        let ledger = Ledger::in_memory(node.owner(), node.now()).await?;
        Simulation::with(node, ledger, layers)
    }

    /// With somebody who moves liquidity.
    pub async fn moving(tape: Arc<Tape>, layers: Layers) -> anyhow::Result<Simulation> {
        let node = Arc::new(SimNode::on(tape));
        node.bring_mover();
        let ledger = Ledger::in_memory(node.owner(), node.now()).await?;
        Simulation::with(node, ledger, layers)
    }

    /// With a ledger that stays.
    pub async fn in_file(tape: Arc<Tape>, path: &Path, layers: Layers) -> anyhow::Result<Simulation> {
        let node = Arc::new(SimNode::on(tape));
        let ledger = Ledger::open(path, node.owner(), node.now()).await?;
        Simulation::with(node, ledger, layers)
    }

    fn with(node: Arc<SimNode>, ledger: Ledger, layers: Layers) -> anyhow::Result<Simulation> {
        let clock = Arc::new(ManualClock::at(node.now()));
        let settings = Settings::new(layers)?;
        let ops = Ops::new(node.owner().clone(), node.clone(), ledger, clock.clone(), settings);
        let has_mover = node.mover().is_some();
        let ops = if has_mover { ops.with_rebalancer(node.clone()) } else { ops };
        Ok(Simulation { ops: Arc::new(ops), node, clock })
    }

    /// Plays whole days from where the market stands; tells of each when it is over.
    pub async fn run_days(&self, days: u32, progress: impl FnMut(&DayReport)) -> anyhow::Result<Vec<DayReport>> {
        run_days(&self.ops, &self.node, &self.clock, days, progress).await
    }
}

/// One day, when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct DayReport {
    /// Counts from 0.
    pub day: u32,
    /// Fees earned by all channels.
    pub earned: Msat,
    /// Of the day's last fee cycle.
    pub fees: Vec<FeeOutcome>,
    pub fee_changes: u64,
    /// Attempts that failed for lack of our balance.
    pub starved: u64,
    pub settled: u64,
}

/// Drives the steps through the next `days` whole days; a day that has begun is left out.
pub async fn run_days(
    ops: &Ops,
    node: &SimNode,
    clock: &ManualClock,
    days: u32,
    mut progress: impl FnMut(&DayReport),
) -> anyhow::Result<Vec<DayReport>> {
    let (first, start, seed) = {
        let market = node.market();
        let scenario = &market.network().scenario;
        let begun = (market.now().0 - scenario.start.0 + DAY_MS - 1) / DAY_MS;
        (u32::try_from(begun)?, Time(scenario.start.0 + begun * DAY_MS), scenario.seed)
    };
    let mut timers = Timers::new(start, stream(seed, Stream::Timers, u64::from(first)));
    if node.mover().is_some() {
        timers.due.push((start.plus_secs(60), Job::Rebalance));
    }
    let mut reports = Vec::new();
    for day in first..first + days {
        let end = Time(start.0 + i64::from(day - first + 1) * DAY_MS);
        let report = run_day(ops, node, clock, &mut timers, (day, end)).await?;
        progress(&report);
        reports.push(report);
    }
    Ok(reports)
}

async fn run_day(
    ops: &Ops,
    node: &SimNode,
    clock: &ManualClock,
    timers: &mut Timers,
    (day, end): (u32, Time),
) -> anyhow::Result<DayReport> {
    let before = node.market().tally;
    let (mut fees, mut fee_changes) = (Vec::new(), 0);
    while let Some((at, job)) = timers.next_before(end) {
        node.advance(at);
        clock.set(at);
        match job {
            Job::Fees => {
                fees = ops.fee_cycle().await.with_context(|| format!("fee cycle at {at}"))?;
                fee_changes += fees.iter().filter(|outcome| outcome.kind == FeeOutcomeKind::Set).count() as u64;
            }
            Job::Flow => drop(ops.flow_cycle().await.with_context(|| format!("flow cycle at {at}"))?),
            Job::Rebalance => drop(ops.rebalance_cycle().await.with_context(|| format!("rebalance step at {at}"))?),
            Job::Sync => drop(ops.sync().await.with_context(|| format!("sync at {at}"))?),
            Job::Policies => drop(ops.end_policies().await.with_context(|| format!("policies at {at}"))?),
            Job::Books => ops.book_cycle().await.with_context(|| format!("books at {at}"))?,
        }
        let options = ops.options().borrow().clone();
        let interval = match job {
            Job::Fees => options.fee_interval,
            Job::Flow => options.flow_interval,
            Job::Rebalance => options.rebalance_interval,
            Job::Sync | Job::Policies | Job::Books => SYNC_SECS,
        };
        timers.schedule(job, at, interval);
    }
    node.advance(Time(end.0 - 1));
    clock.set(end);
    let after = node.market().tally;
    Ok(DayReport {
        day,
        earned: node.earned_on(day).into_iter().sum(),
        fees,
        fee_changes,
        starved: after.starved - before.starved,
        settled: after.settled - before.settled,
    })
}

/// How often forwards are caught up when no other step does it.
const SYNC_SECS: u64 = 600;

/// When each job is due; every interval varies by a fifth, as on a live node.
struct Timers {
    due: Vec<(Time, Job)>,
    rng: ChaCha8Rng,
}

impl Timers {
    fn new(start: Time, rng: ChaCha8Rng) -> Timers {
        let due =
            vec![(start.plus_secs(5), Job::Sync), (start.plus_secs(20), Job::Flow), (start.plus_secs(40), Job::Fees)];
        Timers { due, rng }
    }

    fn next_before(&mut self, end: Time) -> Option<(Time, Job)> {
        let first = (0..self.due.len()).min_by_key(|i| self.due[*i])?;
        (self.due[first].0 < end).then(|| self.due.swap_remove(first))
    }

    fn schedule(&mut self, job: Job, last: Time, interval_secs: u64) {
        // Moves leave the other jobs' dice alone, so that the same tape with and without them is priced at the same moments.
        let jitter = if job == Job::Rebalance { 1.0 } else { self.rng.random_range(0.8..1.2) };
        let hours = interval_secs as f64 / 3600.0 * jitter;
        self.due.push((last.plus_hours(hours), job));
    }
}
