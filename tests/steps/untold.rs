//! Moves of which nobody can tell what they have cost: for how long somebody is waited for who can.

use cl_revenue_ops::domain::{Booked, Msat, Task};

use crate::HALF_HOUR;
use crate::moves::{QUIET, story};

#[tokio::test]
async fn what_nobody_can_tell_counts_as_spent() {
    let story = story(QUIET).await;
    story.begun().await;
    let reserved = story.last().await.new.reserved;
    {
        let mut work = story.mover.work();
        (work.gone, work.no_books, work.no_list) = (true, true, true);
    }
    story.step().await;
    assert_eq!(story.books().await, (Msat(0), reserved), "unknown is not nothing");
    story.mover.work().pending = true;
    assert_eq!(story.stage.ops.clear_reservations().await.unwrap().moves, 0, "a payment is under way");
    story.mover.work().pending = false;
    let cleared = story.stage.ops.clear_reservations().await.unwrap();
    assert_eq!((cleared.moves, cleared.released), (1, reserved));
    assert_eq!(story.books().await, (reserved, Msat(0)));
}

/// A hop has held a payment back for longer than reservations last. It is let go between two questions of one step, or of one command.
#[tokio::test]
async fn what_was_stuck_for_hours_and_comes_while_it_is_looked_at_costs_what_it_costs() {
    for by_hand in [false, true] {
        let story = story(QUIET).await;
        story.begun().await;
        story.mover.work().pending = true;
        story.stage.wait(5.0);
        story.mover.brings(3, 1_004, Task::Balanced);
        story.mover.work().ends = true;
        match by_hand {
            true => drop(story.stage.ops.clear_reservations().await.unwrap()),
            false => story.step().await,
        }
        story.stage.wait(HALF_HOUR);
        story.step().await;
        assert_eq!(story.books().await, (Msat(3_012), Msat(0)), "by hand: {by_hand}");
    }
}

/// The rebalancer and the list of payments know of all of it, the books a moment later.
#[tokio::test]
async fn books_that_are_a_moment_late_are_waited_for_also_after_hours() {
    let story = story(QUIET).await;
    story.begun().await;
    story.mover.work().pending = true;
    story.stage.wait(5.0);
    story.mover.brings(3, 1_004, Task::Balanced);
    let booked = {
        let mut work = story.mover.work();
        work.pending = false;
        std::mem::replace(&mut work.booked, Booked { moved: Msat(100_000_000), spent: Msat(2_008), parts: 2 })
    };
    story.step().await;
    story.mover.work().booked = booked;
    story.stage.wait(HALF_HOUR);
    story.step().await;
    assert_eq!(story.books().await, (Msat(3_012), Msat(0)));
}
