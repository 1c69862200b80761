//! What is to be done about a move that has begun.

use super::super::life::{Next, Open, Outcome, Seen, next};
use super::*;
use crate::domain::{Booked, Job, Paid, Tally, Task};

fn open() -> Open {
    let before = Tally { moved: Sat(700_000), spent: Sat(14), successes: 7, failures: 2, reasons: vec![] };
    Open { began: NOW, amount: Sat(150_000), reserved: Msat(300_153), before, begun: true, stopping: None }
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
    Seen { now: NOW.plus_secs(900), job, tally, booked: None, paid: None, pending: Some(false), timeout_secs: 7200 }
}

#[test]
fn success_is_what_the_rebalancer_says() {
    let done = job(&[Task::Balanced]);
    let outcome = Outcome { moved: Msat(150_000_000), spent: Msat(5_550), failure: None };
    assert_eq!(next(&open(), &seen(Some(&done), tally(150_000, 3, 3, 0))), Next::Close(outcome));
    let exact = Booked { moved: Msat(150_000_000), spent: Msat(3_012), parts: 3 };
    let booked = Seen { booked: Some(exact), ..seen(None, tally(150_000, 3, 3, 0)) };
    assert_eq!(next(&open(), &booked), Next::Close(Outcome { spent: Msat(3_012), ..outcome }));
}

#[test]
fn books_that_are_behind_are_waited_for() {
    let done = job(&[Task::Balanced]);
    let two = Booked { moved: Msat(100_000_000), spent: Msat(2_008), parts: 2 };
    let behind = Seen { booked: Some(two), ..seen(Some(&done), tally(150_000, 3, 3, 0)) };
    assert_eq!(next(&open(), &behind), Next::Wait);
    let paid = Paid { moved: Msat(150_000_000), spent: Msat(3_012) };
    assert_eq!(next(&open(), &Seen { paid: Some(paid), ..behind.clone() }), Next::Wait, "the third was paid");
    let two_paid = Paid { moved: two.moved, spent: two.spent };
    let Next::Close(lie) = next(&open(), &Seen { paid: Some(two_paid), ..behind.clone() }) else { panic!() };
    assert_eq!((lie.moved, lie.spent), (two.moved, two.spent), "nobody has paid for a third");
    let left_out = Seen { booked: Some(two), ..seen(Some(&done), tally(50_000, 1, 1, 0)) };
    let Next::Stop(_) = next(&open(), &left_out) else { panic!() };
    let Next::Close(end) = next(&open(), &Seen { job: None, ..left_out }) else { panic!() };
    assert_eq!((end.moved, end.spent), (two.moved, two.spent), "the rebalancer left one out");
}

#[test]
fn without_books_the_dearer_is_believed_and_nonsense_is_all_that_was_reserved() {
    let paid = |moved: u64, spent: u64| Some(Paid { moved: Msat(moved * 1000), spent: Msat(spent) });
    let whole = open().reserved;
    let nothing = || Tally::default();
    for (told, paid, moved, spent) in [
        // The list is exact.
        (tally(150_000, 3, 3, 0), paid(150_000, 3_012), 150_000_000, 3_012),
        (tally(150_000, 3, 3, 0), None, 150_000_000, 5_550),
        // Fees that were overstated, and understated.
        (tally(150_000, 250, 3, 0), paid(150_000, 3_012), 150_000_000, 3_012),
        (tally(150_000, 0, 3, 0), paid(150_000, 3_012), 150_000_000, 3_012),
        // A success that was none, and one that was left out.
        (tally(150_000, 3, 3, 0), paid(100_000, 2_008), 150_000_000, 5_550),
        (tally(100_000, 2, 2, 0), paid(150_000, 3_012), 150_000_000, 3_012),
        // More than was ordered, or reserved; less than nothing.
        (tally(200_000, 4, 4, 0), None, 150_000_000, whole.0),
        (tally(150_000, 301, 3, 0), None, 150_000_000, whole.0),
        (tally(150_000, u64::MAX - 14, 3, 0), None, 150_000_000, whole.0),
        (nothing(), None, 0, whole.0),
        (nothing(), paid(100_000, 2_008), 100_000_000, 2_008),
        (nothing(), paid(100_000, 900_000), 0, whole.0),
        // A list that was cleared tells nothing.
        (nothing(), paid(0, 0), 0, whole.0),
    ] {
        let open = Open { stopping: Some(MoveFailure::TimedOut), ..open() };
        let seen = Seen { paid, ..seen(None, told.clone()) };
        let Next::Close(end) = next(&open, &seen) else { panic!("{told:?}") };
        assert_eq!((end.moved, end.spent), (Msat(moved), Msat(spent)), "{told:?} {paid:?}");
    }
}

#[test]
fn a_partial_success_pays_for_what_came() {
    let mut open = open();
    open.stopping = Some(MoveFailure::TooDear);
    let stopped = job(&[Task::Stopped]);
    let partly = Outcome { moved: Msat(50_000_000), spent: Msat(3_450), failure: Some(MoveFailure::TooDear) };
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
    let unheard = Open { begun: false, ..open() };
    assert_eq!(next(&unheard, &seen(None, tally(0, 0, 0, 0))), Next::Close(lost));
    let dropped = Outcome { failure: Some(MoveFailure::Dropped), ..lost };
    assert_eq!(next(&open(), &seen(None, tally(0, 0, 0, 0))), Next::Close(dropped), "it had been taken");
    let tried = Outcome { failure: Some(MoveFailure::Liquidity), ..lost };
    assert_eq!(next(&open(), &seen(None, tally(0, 0, 0, 3))), Next::Close(tried));
}
