//! One move of liquidity between two of our channels: how it is ordered, what is told of it, why it failed. The words only; who
//! moves it is asked in `node/`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Msat, Ppm, Sat, Scid};

/// A move that is bounded in all it may do: the amount, in equal parts, at a rate of fees that no part may exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveOrder {
    pub from: Scid,
    pub to: Scid,
    /// A whole number of parts.
    pub amount: Sat,
    pub part: Sat,
    pub max: Ppm,
    /// What stays on our side of the channel that is drained.
    pub keep: Sat,
}

/// What the rebalancer has under way for one channel, whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub channel: Scid,
    pub tasks: Vec<Task>,
    /// A job that goes on for ever and is listed by its settings. Ours are never of that kind.
    pub standing: bool,
}

/// The state of one task of a job, in the rebalancer's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    NotStarted,
    Rebalancing,
    /// Nothing is left to do; or there is no room for more, and it waits for some.
    Balanced,
    /// Nothing is left that could be taken from.
    NoCandidates,
    NoCheapRoute,
    NoRoutes,
    Stopping,
    Stopped,
    Other(String),
}

/// What the rebalancer has counted for one channel, over its own window of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub moved: Sat,
    /// About so much: see [`Tally::doubt`].
    pub spent: Sat,
    pub successes: u64,
    pub failures: u64,
    /// The names of the last failures, most frequent first.
    pub reasons: Vec<String>,
}

/// What the node's own books say that went from one channel to the other, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    pub moved: Msat,
    pub spent: Msat,
    pub parts: u64,
}

impl Booked {
    /// What has come since `before`. `None`: the books have less than they had, and nothing can be told from them.
    pub fn since(&self, before: &Booked) -> Option<Booked> {
        Some(Booked {
            moved: self.moved.checked_sub(before.moved)?,
            spent: self.spent.checked_sub(before.spent)?,
            parts: self.parts.checked_sub(before.parts)?,
        })
    }
}

/// Payments to ourselves that came through, as the node's list of payments has them: whatever way they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    pub moved: Msat,
    pub spent: Msat,
}

/// Why a move did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveFailure {
    /// There is no way at all.
    NoRoute,
    /// There are ways, and all of them cost more than the move may.
    TooDear,
    /// A channel on the way could not carry it.
    Liquidity,
    /// It did not end in time and was stopped.
    TimedOut,
    /// The rebalancer would not begin.
    Refused,
    /// Whether it was ever begun was never heard.
    Lost,
    /// The rebalancer had taken the order and knows nothing of it any more: it was unloaded, and its tasks with it.
    Dropped,
}

impl MoveFailure {
    pub const ALL: [MoveFailure; 7] = [
        MoveFailure::NoRoute,
        MoveFailure::TooDear,
        MoveFailure::Liquidity,
        MoveFailure::TimedOut,
        MoveFailure::Refused,
        MoveFailure::Lost,
        MoveFailure::Dropped,
    ];

    pub fn name(self) -> &'static str {
        match self {
            MoveFailure::NoRoute => "no route",
            MoveFailure::TooDear => "too dear",
            MoveFailure::Liquidity => "lack of liquidity on the way",
            MoveFailure::TimedOut => "out of time",
            MoveFailure::Refused => "refused",
            MoveFailure::Lost => "lost",
            MoveFailure::Dropped => "dropped when sling was unloaded",
        }
    }
}

impl Task {
    fn is_at_work(&self) -> bool {
        !matches!(self, Task::NotStarted | Task::Balanced | Task::Stopped)
    }
}

impl Job {
    /// Is somebody at work there? Of a task that was over when it was told to stop, `Stopping` is said for ever; one that is not over ends
    /// with the payment that is under way, and takes no other.
    pub fn is_at_work(&self) -> bool {
        self.tasks.iter().any(|task| *task != Task::Stopping && self.may_pay(task))
    }

    /// May money still leave by it? What was ordered once starts by itself; a standing job that has not started waits for its owner.
    pub fn is_active(&self) -> bool {
        self.tasks.iter().any(|task| self.may_pay(task))
    }

    fn may_pay(&self, task: &Task) -> bool {
        task.is_at_work() || *task == Task::NotStarted && !self.standing
    }
}

impl Tally {
    /// Less than `before` in anything: the window has moved on, or all was forgotten.
    pub fn has_lost(&self, before: &Tally) -> bool {
        let spent = Msat(self.spent.0.saturating_mul(1000).saturating_add(self.doubt(before).0));
        self.moved < before.moved || spent.sat_floor() < before.spent || self.successes < before.successes
    }

    /// Nothing was ever tried.
    pub fn is_empty(&self) -> bool {
        self.successes == 0 && self.failures == 0
    }

    /// How far off the difference of what was spent may be, either way: it is told as a mean rate in whole ppm of all that came within the
    /// window, times that, in whole satoshis. So what came before has a part in it as well.
    pub fn doubt(&self, before: &Tally) -> Msat {
        Msat(self.moved.0.saturating_add(before.moved.0).div_ceil(1_000).saturating_add(1_000))
    }

    /// What has come since `before`; a window that has moved on takes nothing away.
    pub fn since(&self, before: &Tally) -> Tally {
        Tally {
            moved: Sat(self.moved.0.saturating_sub(before.moved.0)),
            spent: Sat(self.spent.0.saturating_sub(before.spent.0)),
            successes: self.successes.saturating_sub(before.successes),
            failures: self.failures.saturating_sub(before.failures),
            reasons: self.reasons.clone(),
        }
    }
}

impl fmt::Display for MoveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
