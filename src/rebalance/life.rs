//! What to do next about a move that was begun: wait, stop it, or close its account. Pure: from our record, what the rebalancer says of
//! the channel, and what the node's books say. A channel's balance is no witness: forwards move it as well.

use crate::domain::{Booked, Job, MoveFailure, Msat, Sat, Tally, Task, Time};

/// A move that the ledger has not closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub began: Time,
    pub amount: Sat,
    pub reserved: Msat,
    /// What the rebalancer had counted for the channel before.
    pub before: Tally,
    /// It has been told to stop.
    pub stopping: Option<MoveFailure>,
}

/// What is known of it now. `None`: it could not be asked, which says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'a> {
    pub now: Time,
    /// The job of the filled channel, if the rebalancer has any.
    pub job: Option<&'a Job>,
    pub tally: Tally,
    pub booked: Option<Booked>,
    /// Are payments to ourselves under way in the node?
    pub pending: Option<bool>,
    /// After so long a move is stopped.
    pub timeout_secs: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Wait,
    Stop(MoveFailure),
    Close(Outcome),
}

/// What came of a move, in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub moved: Msat,
    pub spent: Msat,
    /// `None`: all of it came across.
    pub failure: Option<MoveFailure>,
}

/// A rebalancer that was just told may not show its work at once.
const FIRST_SIGN_SECS: i64 = 60;

pub fn next(open: &Open, seen: &Seen) -> Next {
    let come = seen.tally.since(&open.before);
    let whole = come.moved >= open.amount;
    // All of ours has come by the pair that it was to come by: what is at work there now is somebody else's.
    let done = seen.booked.is_some_and(|booked| booked.moved.sat_floor() >= open.amount);
    let active = !done && seen.job.is_some_and(|job| job.is_active() || waits_for_room(job) && !whole);
    let age_secs = (seen.now.0 - open.began.0) / 1000;
    // Also when all seems to have come: somebody else may have filled the same channel meanwhile, and ours is still to come.
    if active {
        return match open.stopping {
            // Somebody else's job for the same channel would be stopped with ours. Ours is bounded, and ends by itself.
            _ if seen.job.is_some_and(|job| job.standing) => Next::Wait,
            // We may have been interrupted before the rebalancer heard of it, or before it answered.
            Some(why) => Next::Stop(why),
            None if whole && age_secs <= seen.timeout_secs => Next::Wait,
            None => stop(seen, age_secs).map_or(Next::Wait, Next::Stop),
        };
    }
    let ended = whole || seen.job.is_some() || open.stopping.is_some() || come.successes + come.failures > 0;
    if !ended && age_secs < FIRST_SIGN_SECS {
        return Next::Wait;
    }
    // Payments that are still under way may cost something yet: what was reserved for them stays reserved.
    if seen.pending != Some(false) {
        return Next::Wait;
    }
    Next::Close(outcome(open, seen, &come))
}

/// What was ordered once says that it is balanced when all of it has come, and also when there is no room left: then it goes on as soon as
/// there is some again.
fn waits_for_room(job: &Job) -> bool {
    !job.standing && job.tasks.contains(&Task::Balanced)
}

fn stop(seen: &Seen, age_secs: i64) -> Option<MoveFailure> {
    let tasks = seen.job.map(|job| job.tasks.as_slice()).unwrap_or_default();
    if tasks.contains(&Task::NoRoutes) {
        Some(MoveFailure::NoRoute)
    } else if tasks.contains(&Task::NoCheapRoute) {
        Some(MoveFailure::TooDear)
    } else if tasks.contains(&Task::Balanced) || tasks.contains(&Task::NoCandidates) {
        Some(MoveFailure::Liquidity)
    } else if age_secs > seen.timeout_secs {
        Some(MoveFailure::TimedOut)
    } else {
        None
    }
}

/// The node's books are exact; the rebalancer counts whole satoshis. Where the two disagree about what came across, the dearer one
/// is believed, because the money may be gone.
fn outcome(open: &Open, seen: &Seen, come: &Tally) -> Outcome {
    let told = Outcome {
        moved: Msat::from_sat(come.moved).unwrap_or_default(),
        // Each success may have lost up to a satoshi in the counting.
        spent: Msat(come.spent.0.saturating_add(come.successes).saturating_mul(1000).min(bound(open, come))),
        failure: None,
    };
    let known = match seen.booked {
        Some(booked) if booked.moved >= told.moved => Outcome { moved: booked.moved, spent: booked.spent, ..told },
        _ => told,
    };
    let short = known.moved.sat_floor() < open.amount;
    Outcome { failure: short.then(|| failure(open, seen, come)), ..known }
}

/// What the rebalancer says it spent, or what was reserved if that is more: rounding up stays within the reservation.
fn bound(open: &Open, come: &Tally) -> u64 {
    open.reserved.0.max(come.spent.0.saturating_mul(1000))
}

fn failure(open: &Open, seen: &Seen, come: &Tally) -> MoveFailure {
    let tasks = seen.job.map(|job| job.tasks.as_slice()).unwrap_or_default();
    if come.failures > 0 && open.stopping.is_none_or(|why| why == MoveFailure::TimedOut) {
        return MoveFailure::Liquidity;
    }
    open.stopping.unwrap_or(if tasks.is_empty() { MoveFailure::Lost } else { MoveFailure::NoRoute })
}
