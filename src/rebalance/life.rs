//! What to do next about a move that was begun: wait, stop it, or close its account. Pure: from our record, what the rebalancer says of
//! the channel, and what the node's books say. A channel's balance is no witness: forwards move it as well.

use crate::domain::{Booked, Job, MoveFailure, Msat, Paid, Sat, Tally, Task, Time};

/// A move that the ledger has not closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub began: Time,
    pub amount: Sat,
    pub reserved: Msat,
    /// What the rebalancer had counted for the channel before.
    pub before: Tally,
    /// The rebalancer has taken the order.
    pub begun: bool,
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
    /// What the node's list of payments has that may be of this move, if the others do not agree; `None` also where it could be of another
    /// move of ours.
    pub paid: Option<Paid>,
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
    settled(open, seen, &come).map_or(Next::Wait, |(moved, spent)| {
        let short = moved.sat_floor() < open.amount;
        Next::Close(Outcome { moved, spent, failure: short.then(|| failure(open, seen, &come)) })
    })
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

/// What has come across and what it cost. The node's books are exact and know whose payment was whose; its list of payments is exact; the
/// rebalancer counts whole satoshis, and may be wrong. `None`: the books may have to hear of a payment yet.
fn settled(open: &Open, seen: &Seen, come: &Tally) -> Option<(Msat, Msat)> {
    let told = Msat::from_sat(come.moved).unwrap_or(Msat(u64::MAX));
    let Some(booked) = seen.booked else { return Some(told_only(open, seen, (told, come))) };
    // Paid for, as the rebalancer and the list of payments say both; or nobody has looked there.
    let behind = told > booked.moved && seen.paid.is_none_or(|paid| paid.moved > booked.moved);
    (!behind).then_some((booked.moved, booked.spent))
}

/// Without books. Of what the rebalancer says and what was paid the dearer is believed, because the money may be gone; what cannot be right
/// counts as all that was reserved, and so does a list without any of the payments that the rebalancer has counted.
fn told_only(open: &Open, seen: &Seen, (told, come): (Msat, &Tally)) -> (Msat, Msat) {
    let (least, most) = spent(seen, &open.before);
    // It had taken the order, and knows of nothing at all any more.
    let forgotten = open.begun && seen.job.is_none() && seen.paid.is_none() && seen.tally.is_empty();
    let lost = forgotten || seen.tally.has_lost(&open.before);
    let possible = come.moved <= open.amount && least <= open.reserved && !lost;
    let fits = |paid: &Paid| paid.moved.sat_floor() <= open.amount && paid.spent <= open.reserved;
    let tells = |paid: &Paid| if possible { paid.moved >= told } else { paid.moved > Msat::ZERO };
    match seen.paid.filter(fits).filter(tells) {
        Some(paid) => (paid.moved, paid.spent),
        _ if possible => (told, most.min(open.reserved)),
        _ => (told.min(Msat::from_sat(open.amount).unwrap_or(told)), open.reserved),
    }
}

/// What was spent since then by the rebalancer's count, at least and at most.
fn spent(seen: &Seen, before: &Tally) -> (Msat, Msat) {
    let msat = |sat: Sat| Msat::from_sat(sat).unwrap_or(Msat(u64::MAX));
    // Where nothing has come, the same was counted twice.
    let doubt = if seen.tally.successes == before.successes { Msat::ZERO } else { seen.tally.doubt(before) };
    let (now, then) = (msat(seen.tally.spent), msat(before.spent));
    let more = |one: Msat| Msat(one.0.saturating_add(doubt.0));
    (now.saturating_sub(more(then)), more(now).saturating_sub(then))
}

/// Does the rebalancer say of a move what the node says, as far as it can tell?
pub fn agree(open: &Open, seen: &Seen, outcome: &Outcome) -> bool {
    let (least, most) = spent(seen, &open.before);
    seen.tally.since(&open.before).moved == outcome.moved.sat_floor() && (least..=most).contains(&outcome.spent)
}

fn failure(open: &Open, seen: &Seen, come: &Tally) -> MoveFailure {
    let tasks = seen.job.map(|job| job.tasks.as_slice()).unwrap_or_default();
    if come.failures > 0 && open.stopping.is_none_or(|why| why == MoveFailure::TimedOut) {
        return MoveFailure::Liquidity;
    }
    open.stopping.unwrap_or(match tasks.is_empty() {
        true if open.begun => MoveFailure::Dropped,
        true => MoveFailure::Lost,
        false => MoveFailure::NoRoute,
    })
}
