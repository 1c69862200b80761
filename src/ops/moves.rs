//! Moves under way: each is looked at once a step, and its account is closed when all that it may cost is known. Never begins one.

use std::collections::HashMap;
use std::fmt;

use anyhow::Context;

use super::Ops;
use crate::accounts::CostKind;
use crate::domain::{Booked, Job, MoveFailure, Msat, Sat, Tally, Time};
use crate::ledger::{Estimate, MoveEnd, MoveRow, MoveState};
use crate::node::{NodeError, Rebalancer};
use crate::options::Options;
use crate::rebalance::life::{self, Next, Open, Outcome, Seen};

/// How long a move that failed is asked about afterwards: something of it may have come through after all.
const LATE_HOURS: f64 = 24.0;
/// How long an order that was never heard of may still begin: as long as the node keeps a call.
const UNHEARD_HOURS: f64 = 1.0;
/// Differences that are shown.
const DIFFERENCES_KEPT: usize = 20;

/// What the rebalancer says of all channels; `None`: it is not there.
pub(super) type Jobs<'a> = Option<&'a [Job]>;

/// With what the moves under way are looked at.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) rebalancer: &'a dyn Rebalancer,
    pub(super) jobs: Jobs<'a>,
    pub(super) now: Time,
    pub(super) options: &'a Options,
}

/// After how long nobody is waited for who could tell what a move has cost.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Since it was ordered.
    pub(super) age_secs: i64,
    /// Since nothing of it was found at work.
    pub(super) rest_secs: i64,
}

impl Patience {
    /// An order that was just given may not show at once, nor a payment that was just made in the node's books.
    pub(super) const SHORT: Patience = Patience { age_secs: 60, rest_secs: 60 };
    /// Of what an earlier look has found at rest.
    pub(super) const NONE: Patience = Patience { rest_secs: 0, ..Patience::SHORT };

    pub(super) fn usual(options: &Options) -> Patience {
        let hours = u32::try_from(options.reservation_timeout_hours).unwrap_or(u32::MAX);
        Patience { age_secs: 3600 * i64::from(hours), ..Patience::SHORT }
    }
}

/// A move that is not closed.
#[derive(Clone, Copy)]
struct Watched<'a> {
    row: &'a MoveRow,
    /// No other move of ours was under way since it began.
    alone: bool,
}

/// A move of which the rebalancer and the node did not say the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveDifference {
    pub id: i64,
    pub at: Time,
    /// What the rebalancer counts.
    pub told: (Sat, Sat),
    /// What was settled: moved, and spent.
    pub settled: (Msat, Msat),
    pub by: Witness,
}

/// By whose word a move was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    Books,
    Payments,
    /// There was nobody but the rebalancer, and what it says cannot be right.
    Nobody,
}

impl Witness {
    pub fn name(self) -> &'static str {
        match self {
            Witness::Books => "the node's books",
            Witness::Payments => "the node's list of payments",
            Witness::Nobody => "the reservation",
        }
    }
}

impl Ops {
    /// Goes through all moves that are not closed. One that cannot be asked about waits for the next step.
    pub(super) async fn watch_moves(&self, watch: Watch<'_>) -> anyhow::Result<()> {
        let open = self.ledger.open_moves().await.context("reading the moves under way")?;
        let first = open.iter().map(|row| row.new.at).min().unwrap_or(watch.now);
        let ended = self.ledger.closed_moves(first).await.context("reading the moves of late")?;
        for row in &open {
            let with = |other: &MoveRow| other.id != row.id && other.ended.is_none_or(|end| end.at >= row.new.at);
            let watched = Watched { row, alone: !open.iter().chain(&ended).any(with) };
            match self.watch(watch, watched).await? {
                Ok(()) => {}
                Err(error) => tracing::warn!("{}: what came of it is not known yet: {error}", name(row)),
            }
        }
        if watch.jobs.is_some() {
            self.add_late_costs(watch.rebalancer, watch.now).await?;
        }
        Ok(())
    }

    /// The outer error is the ledger's: it ends the step. The inner one is the rebalancer's.
    async fn watch(&self, watch: Watch<'_>, watched: Watched<'_>) -> anyhow::Result<Result<(), NodeError>> {
        let row = watched.row;
        match self.next(watch, watched).await {
            Err(error) => return Ok(Err(error)),
            Ok(Next::Wait) => {}
            Ok(Next::Stop(why)) => {
                // Before it is told: whoever stops us in between finds that it was to be stopped.
                self.ledger.move_stopping(row.id, why).await?;
                tracing::info!("{}: stopped: {why}", name(row));
                return self.halt(watch, watched, why).await;
            }
            Ok(Next::Close(outcome)) => self.close_move(row, outcome, watch.now).await?,
        }
        Ok(Ok(()))
    }

    /// sling answers that it has stopped when nothing is at work any more; its word on the task itself may stay what it was.
    async fn halt(
        &self,
        watch: Watch<'_>,
        Watched { row, alone }: Watched<'_>,
        why: MoveFailure,
    ) -> anyhow::Result<Result<(), NodeError>> {
        let stopped = MoveRow { stopping: row.stopping.or(Some(why)), ..row.clone() };
        let next = match watch.rebalancer.stop(row.new.order.to).await {
            Ok(()) => self.next(Watch { jobs: Some(&[]), ..watch }, Watched { row: &stopped, alone }).await,
            Err(error) => Err(error),
        };
        match next {
            Err(error) => return Ok(Err(error)),
            Ok(Next::Close(outcome)) => self.close_move(&stopped, outcome, watch.now).await?,
            // A payment is still under way.
            Ok(Next::Wait | Next::Stop(_)) => {}
        }
        Ok(Ok(()))
    }

    async fn close_move(&self, row: &MoveRow, outcome: Outcome, now: Time) -> anyhow::Result<()> {
        let Outcome { moved, spent, failure } = outcome;
        self.ledger.close_move(row.id, &MoveEnd { at: now, moved, spent, failure }).await?;
        self.estimate_move(row, spent, now).await?;
        match failure {
            None => tracing::info!("{}: done for {spent}", name(row)),
            Some(why) => tracing::info!("{}: {why}; {} came across for {spent}", name(row), moved.sat_floor()),
        }
        if spent > row.new.reserved {
            tracing::error!("{}: it cost {spent}, and {} was reserved", name(row), row.new.reserved);
        }
        Ok(())
    }

    /// A node without a record of coins will never tell what a move has cost the channel that was drained: then what we know of it stands in
    /// the channel's books.
    async fn estimate_move(&self, row: &MoveRow, spent: Msat, at: Time) -> anyhow::Result<()> {
        if self.books_sight().records != Some(false) || spent == Msat::ZERO {
            return Ok(());
        }
        let (channel, which) = (row.new.from, format!("move/{}", row.id));
        self.ledger.record_estimates(&[Estimate { channel, kind: CostKind::Rebalance, which, msat: spent, at }]).await
    }

    async fn next(&self, watch: Watch<'_>, Watched { row, alone }: Watched<'_>) -> Result<Next, NodeError> {
        let Watch { rebalancer, jobs, now, options } = watch;
        let order = &row.new.order;
        let tally = match jobs {
            Some(_) => rebalancer.tally(order.to).await?,
            // Without it only the node's books can tell.
            None => row.new.before.clone(),
        };
        let open = Open {
            began: row.new.at,
            amount: order.amount,
            reserved: row.new.reserved,
            before: row.new.before.clone(),
            begun: row.state != MoveState::Reserved,
            stopping: row.stopping,
        };
        let come = tally.since(&open.before);
        let mut seen = Seen {
            now,
            job: jobs.unwrap_or_default().iter().find(|job| job.channel == order.to),
            tally,
            booked: None,
            paid: None,
            // Asked below: it holds back nothing but what would be closed.
            pending: Some(false),
            timeout_secs: i64::try_from(options.sling_job_timeout_seconds).unwrap_or(i64::MAX),
        };
        let next = life::next(&open, &seen);
        let whole = come.moved >= open.amount;
        if !whole && !matches!(next, Next::Close(_)) {
            return Ok(next);
        }
        seen.pending = Some(rebalancer.pending(row.new.from, row.new.to).await?);
        if !whole && seen.pending == Some(true) {
            return Ok(Next::Wait);
        }
        seen.booked = booked(rebalancer, row).await?;
        // The list is long: it is asked where the others do not agree, or cannot.
        let agreed = seen.booked.is_some_and(|booked| booked.moved.sat_floor() == come.moved);
        if !agreed && (alone || seen.booked.is_some()) {
            seen.paid = Some(rebalancer.paid(order.part, row.new.at).await?);
        }
        // Neither the rebalancer nor the node: what it has cost is not known, and not nothing.
        if jobs.is_none() && seen.booked.is_none() && seen.paid.is_none() {
            return Ok(Next::Wait);
        }
        let next = life::next(&open, &seen);
        if let (Next::Close(outcome), Some(_)) = (next, jobs) {
            self.compare(row, &open, (&seen, outcome));
        }
        Ok(next)
    }

    /// Notes where the rebalancer says something else than what is settled.
    fn compare(&self, row: &MoveRow, open: &Open, (seen, outcome): (&Seen<'_>, Outcome)) {
        if life::agree(open, seen, &outcome) {
            return;
        }
        let come = seen.tally.since(&open.before);
        let by = match (seen.booked, seen.paid) {
            (Some(_), _) => Witness::Books,
            (None, Some(paid)) if (paid.moved, paid.spent) == (outcome.moved, outcome.spent) => Witness::Payments,
            (None, _) => Witness::Nobody,
        };
        let (told, settled) = ((come.moved, come.spent), (outcome.moved, outcome.spent));
        let found = MoveDifference { id: row.id, at: seen.now, told, settled, by };
        tracing::warn!("{}: {found}", name(row));
        self.seen.change(|seen| {
            seen.differences.insert(0, found);
            seen.differences.truncate(DIFFERENCES_KEPT);
        });
    }

    /// The newest first; since the plugin has started.
    pub fn move_differences(&self) -> Vec<MoveDifference> {
        self.seen.read(|seen| seen.differences.clone())
    }

    /// Closes moves on which nobody works any more and of which nobody can tell what they have cost: they count as spent to the last msat
    /// that was reserved. Not what an earlier look has found at work: it may have ended since it was watched in this one, and the node's
    /// books have it a moment later.
    pub(super) async fn give_up(
        &self,
        rebalancer: &dyn Rebalancer,
        jobs: &[Job],
        (now, patience): (Time, Patience),
    ) -> anyhow::Result<()> {
        let open = self.ledger.open_moves().await?;
        self.seen.change(|seen| seen.at_rest.retain(|id, _| open.iter().any(|row| row.id == *id)));
        for row in open.iter().filter(|row| row.new.at.plus_secs(patience.age_secs) <= now) {
            let works = jobs.iter().any(|job| job.channel == row.new.order.to && job.is_active());
            // Whoever cannot tell whether something is under way has not said that nothing is.
            let rests = !works && !rebalancer.pending(row.new.from, row.new.to).await.unwrap_or(true);
            let since = self.seen.change(|seen| at_rest_since(&mut seen.at_rest, (row.id, rests), now));
            if since.is_none_or(|since| since.plus_secs(patience.rest_secs) > now) {
                continue;
            }
            tracing::warn!("{}: given up; {} count as spent", name(row), row.new.reserved);
            let failure = if row.state == MoveState::Reserved { MoveFailure::Lost } else { MoveFailure::Dropped };
            let lost = Outcome { moved: Msat::ZERO, spent: row.new.reserved, failure: Some(failure) };
            self.close_move(row, lost, now).await?;
        }
        Ok(())
    }

    /// Stops what is at work for a channel without an open record, if the last word on it was that nobody ever heard whether our move there
    /// was begun: then it was. What it has brought and cost is added to its record, as all that comes late. Whatever else is at work is
    /// somebody else's, also where a move of ours had begun: sling forgets nothing, unless it is unloaded, and then its tasks are gone.
    pub(super) async fn stop_orphans(
        &self,
        rebalancer: &dyn Rebalancer,
        jobs: &[Job],
        now: Time,
    ) -> anyhow::Result<()> {
        let open = self.ledger.open_moves().await?;
        let closed = self.ledger.closed_moves(now.plus_hours(-UNHEARD_HOURS)).await?;
        for job in jobs.iter().filter(|job| !job.standing && job.is_active()) {
            let known = open.iter().any(|row| row.new.order.to == job.channel);
            let last = closed.iter().filter(|row| row.new.order.to == job.channel).max_by_key(|row| row.id);
            let is_lost = |row: &&MoveRow| row.ended.is_some_and(|end| end.failure == Some(MoveFailure::Lost));
            let Some(row) = last.filter(|row| !known && is_lost(row)) else { continue };
            tracing::warn!("{}: it is still at work although it was lost; stopped", name(row));
            if let Err(error) = rebalancer.stop(job.channel).await {
                tracing::warn!("{}: it could not be stopped, the next step tries again: {error}", name(row));
            }
        }
        Ok(())
    }

    /// What came through of moves that were closed as failed.
    async fn add_late_costs(&self, rebalancer: &dyn Rebalancer, now: Time) -> anyhow::Result<()> {
        let newest = self.ledger.recent_moves(200).await?;
        let again = |row: &MoveRow| newest.iter().any(|other| other.id > row.id && other.new.to == row.new.to);
        for row in self.ledger.closed_moves(now.plus_hours(-LATE_HOURS)).await? {
            let Some(end) = row.ended.filter(|end| end.failure.is_some() && !again(&row)) else { continue };
            match late(rebalancer, &row, end).await {
                Ok(None) => {}
                Ok(Some((moved, spent))) => {
                    let more = self.ledger.late_cost(row.id, now, moved, spent).await?;
                    self.estimate_move(&row, spent, end.at).await?;
                    tracing::info!("{}: {} came across after all, for {more} more", name(&row), moved.sat_floor());
                }
                Err(error) => tracing::warn!("{}: whether it came through late is not known: {error}", name(&row)),
            }
        }
        Ok(())
    }
}

/// Since when nothing of a move was found at work, before this look.
fn at_rest_since(resting: &mut HashMap<i64, Time>, (id, rests): (i64, bool), now: Time) -> Option<Time> {
    let before = resting.remove(&id).filter(|_| rests);
    rests.then(|| resting.insert(id, before.unwrap_or(now)));
    before
}

/// What a closed move has brought and cost by now, if it is more than was known. What goes beyond its amount is somebody else's.
async fn late(rebalancer: &dyn Rebalancer, row: &MoveRow, end: MoveEnd) -> Result<Option<(Msat, Msat)>, NodeError> {
    let Tally { moved, .. } = rebalancer.tally(row.new.order.to).await?.since(&row.new.before);
    if moved <= end.moved.sat_floor() || moved > row.new.order.amount {
        return Ok(None);
    }
    let booked = booked(rebalancer, row).await?;
    let fits = |moved: Msat| moved > end.moved && moved.sat_floor() <= row.new.order.amount;
    Ok(booked.filter(|booked| fits(booked.moved)).map(|booked| (booked.moved, booked.spent)))
}

/// What the node's books have of the move: what they have now beyond what they had before. Only for an order of which that is not known, the
/// time tells, and no clock that was set back.
async fn booked(rebalancer: &dyn Rebalancer, row: &MoveRow) -> Result<Option<Booked>, NodeError> {
    let (from, to) = (row.new.from, row.new.to);
    match &row.new.booked {
        Some(before) => Ok(rebalancer.booked(from, to, Time(0)).await?.and_then(|all| all.since(before))),
        None => rebalancer.booked(from, to, row.new.at).await,
    }
}

impl fmt::Display for MoveDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((told, fees), (moved, spent)) = (self.told, self.settled);
        write!(f, "sling counts {told} for {fees}; settled by {}: {moved} for {spent}", self.by.name())
    }
}

/// How a log calls a move.
pub(super) fn name(row: &MoveRow) -> String {
    let order = &row.new.order;
    format!("rebalance {} of {} from {} to {}", row.id, order.amount, order.from, order.to)
}
