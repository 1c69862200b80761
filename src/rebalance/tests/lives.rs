//! What is to be done about a move that has begun.

use super::super::life::{Next, Open, Outcome, Seen, next};
use super::*;
use crate::domain::{Booked, Job, Tally, Task};

fn open() -> Open {
    let before = Tally { moved: Sat(700_000), spent: Sat(14), successes: 7, failures: 2, reasons: vec![] };
    Open { began: NOW, amount: Sat(150_000), reserved: Msat(300_153), before, stopping: None }
}

fn job(tasks: &[Task]) -> Job {
    Job { channel: scid(1), tasks: tasks.to_vec(), standing: false }
}

fn tally(moved: u64, spent: u64, successes: u64, failures: u64) -> Tally {
    Tally {
        moved: Sat(700_000 + moved),
        spent: Sat(14 + spent),
        successes: 7 + successes,
        failures: 2 + failures,
        reasons: vec![],
    }
}

fn seen(job: Option<&Job>, tally: Tally) -> Seen<'_> {
    Seen { now: NOW.plus_secs(900), job, tally, booked: None, pending: Some(false), timeout_secs: 7200 }
}

#[test]
fn success_is_what_the_rebalancer_says() {
    let done = job(&[Task::Balanced]);
    let outcome = Outcome { moved: Msat(150_000_000), spent: Msat(6_000), failure: None };
    assert_eq!(next(&open(), &seen(Some(&done), tally(150_000, 3, 3, 0))), Next::Close(outcome));
    let exact = Booked { moved: Msat(150_000_000), spent: Msat(3_012), parts: 3 };
    let booked = Seen { booked: Some(exact), ..seen(None, tally(150_000, 3, 3, 0)) };
    assert_eq!(next(&open(), &booked), Next::Close(Outcome { spent: Msat(3_012), ..outcome }));
    let behind = Seen { booked: Some(Booked { moved: Msat(100_000_000), ..exact }), ..booked };
    assert_eq!(next(&open(), &behind), Next::Close(outcome), "books that are behind are not believed");
}

#[test]
fn a_partial_success_pays_for_what_came() {
    let mut open = open();
    open.stopping = Some(MoveFailure::TooDear);
    let stopped = job(&[Task::Stopped]);
    let partly = Outcome { moved: Msat(50_000_000), spent: Msat(2_000), failure: Some(MoveFailure::TooDear) };
    assert_eq!(next(&open, &seen(Some(&stopped), tally(50_000, 1, 1, 0))), Next::Close(partly));
    let failed = Outcome { moved: Msat(0), spent: Msat(0), failure: Some(MoveFailure::TooDear) };
    assert_eq!(next(&open, &seen(None, tally(0, 0, 0, 0))), Next::Close(failed));
}

#[test]
fn nothing_is_closed_while_a_payment_is_under_way() {
    for pending in [None, Some(true)] {
        let seen = Seen { pending, ..seen(None, tally(150_000, 3, 3, 0)) };
        assert_eq!(next(&open(), &seen), Next::Wait);
    }
}

#[test]
fn what_leads_nowhere_is_stopped() {
    for (task, age, next_is) in [
        (Task::Rebalancing, 900, Next::Wait),
        (Task::Rebalancing, 7201, Next::Stop(MoveFailure::TimedOut)),
        (Task::NoCheapRoute, 900, Next::Stop(MoveFailure::TooDear)),
        (Task::NoRoutes, 900, Next::Stop(MoveFailure::NoRoute)),
        (Task::NoCandidates, 900, Next::Stop(MoveFailure::Liquidity)),
        (Task::Balanced, 900, Next::Stop(MoveFailure::Liquidity)),
        (Task::NotStarted, 5, Next::Wait),
        (Task::NotStarted, 7201, Next::Stop(MoveFailure::TimedOut)),
    ] {
        let job = job(std::slice::from_ref(&task));
        let seen = Seen { now: NOW.plus_secs(age), ..seen(Some(&job), tally(0, 0, 0, 0)) };
        assert_eq!(next(&open(), &seen), next_is, "{task:?}");
    }
    let theirs = Job { standing: true, ..job(&[Task::Rebalancing]) };
    let late = Seen { now: NOW.plus_secs(99_999), ..seen(Some(&theirs), tally(0, 0, 0, 0)) };
    assert_eq!(next(&open(), &late), Next::Wait, "theirs would be stopped with ours");
    let told = Open { stopping: Some(MoveFailure::TimedOut), ..open() };
    let slow = job(&[Task::Stopping]);
    let slow = next(&told, &seen(Some(&slow), tally(0, 0, 0, 0)));
    assert_eq!(slow, Next::Stop(MoveFailure::TimedOut), "only its answer tells that it has stopped");
    let deaf = job(&[Task::Rebalancing]);
    let again = next(&told, &seen(Some(&deaf), tally(0, 0, 0, 0)));
    assert_eq!(again, Next::Stop(MoveFailure::TimedOut), "it has not heard of it");
}

#[test]
fn what_is_at_work_is_not_over_whatever_was_counted() {
    let job = job(&[Task::Rebalancing]);
    assert_eq!(next(&open(), &seen(Some(&job), tally(150_000, 3, 3, 0))), Next::Wait);
    let booked = Some(Booked { moved: Msat(150_000_000), spent: Msat(3_012), parts: 3 });
    let next_job = Seen { booked, ..seen(Some(&job), tally(150_000, 3, 3, 0)) };
    assert!(matches!(next(&open(), &next_job), Next::Close(_)), "all of ours has come: this is another's");
    let theirs = Job { standing: true, ..self::job(&[Task::Balanced, Task::NotStarted]) };
    assert!(matches!(next(&open(), &seen(Some(&theirs), tally(150_000, 3, 3, 0))), Next::Close(_)));
}

#[test]
fn a_move_that_nobody_has_heard_of_is_lost() {
    let early = Seen { now: NOW.plus_secs(5), ..seen(None, tally(0, 0, 0, 0)) };
    assert_eq!(next(&open(), &early), Next::Wait);
    let lost = Outcome { moved: Msat(0), spent: Msat(0), failure: Some(MoveFailure::Lost) };
    assert_eq!(next(&open(), &seen(None, tally(0, 0, 0, 0))), Next::Close(lost));
    let tried = Outcome { failure: Some(MoveFailure::Liquidity), ..lost };
    assert_eq!(next(&open(), &seen(None, tally(0, 0, 0, 3))), Next::Close(tried));
}
