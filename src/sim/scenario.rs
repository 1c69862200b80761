//! The scenarios by name, and the seeds by set: what a way to price is judged on. Only what is to be drawn, nothing that plays it.

use super::network::Scenario;
use super::story::{Beat, Story};

/// One line of the registry.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    pub days: u32,
    shape: fn() -> Scenario,
}

/// Seeds that rules are tuned on, seeds that they are checked on, and seeds that nobody looks at before the last table. This
/// is the only place that knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    Train,
    Validation,
    Holdout,
}

impl Set {
    pub fn seeds(self, count: u32) -> impl Iterator<Item = u64> {
        let (first, most) = match self {
            Set::Train => (1, 1_000),
            Set::Validation => (1_001, 10_000),
            Set::Holdout => (100_001, 100_000),
        };
        first..first + u64::from(count).min(most)
    }
}

/// Days of the closed markets, and of those with single channels.
const CLOSED_DAYS: u32 = 45;
const SINGLE_DAYS: u32 = 90;

/// M: closed markets. S: single channels. N: what nobody can win, so that nothing may be seen in it.
pub const KINDS: &[Kind] = &[
    Kind { name: "M1", about: "few peers bring most of the traffic in", days: CLOSED_DAYS, shape: closed },
    Kind { name: "M2", about: "ten times the capacity", days: CLOSED_DAYS, shape: || capacity(closed(), 10.0) },
    Kind { name: "M3", about: "a third of the capacity", days: CLOSED_DAYS, shape: || capacity(closed(), 1.0 / 3.0) },
    Kind {
        name: "M4",
        about: "a fifth of the demand",
        days: CLOSED_DAYS,
        shape: || Scenario { rates: (3.0, 32.0), ..closed() },
    },
    Kind {
        name: "M5",
        about: "all peers bring the same",
        days: CLOSED_DAYS,
        shape: || Scenario { in_shape: None, ..closed() },
    },
    Kind { name: "M6", about: "14 channels", days: CLOSED_DAYS, shape: || Scenario { channels: 14, ..closed() } },
    Kind {
        name: "S1",
        about: "steady and rich",
        days: SINGLE_DAYS,
        shape: || Scenario { rates: (60.0, 160.0), refill: Some(1.5), ..single() },
    },
    Kind {
        name: "S2",
        about: "steady and sparse",
        days: SINGLE_DAYS,
        shape: || Scenario { rates: (2.0, 10.0), refill: Some(1.5), ..single() },
    },
    Kind {
        name: "S3",
        about: "a sink that is drained: a quarter comes back",
        days: SINGLE_DAYS,
        shape: || Scenario { refill: Some(0.25), ..single() },
    },
    Kind { name: "S4", about: "another regime about every 15 days", days: SINGLE_DAYS, shape: regimes },
    Kind {
        name: "S5",
        about: "a price war from day 45",
        days: SINGLE_DAYS,
        shape: || Scenario { story: Story::War { day: 45, days: 25 }, ..single() },
    },
    Kind {
        name: "S6",
        about: "two kinds of payers",
        days: SINGLE_DAYS,
        shape: || Scenario { segments: Some((0.65, 0.35, 2.2)), payer_spread: (0.3, 0.6), ..single() },
    },
    Kind {
        name: "S7",
        about: "slots held by an attacker twice a week",
        days: SINGLE_DAYS,
        shape: || Scenario { jams_per_week: 2.0, ..single() },
    },
    Kind {
        name: "S8",
        about: "block space jumps twice in three days, and payers with it",
        days: SINGLE_DAYS,
        shape: || Scenario { spike_days: 1.5, spike_pull: 0.3, ..single() },
    },
    Kind {
        name: "S9",
        about: "a new node: 20 channels never used",
        days: SINGLE_DAYS,
        shape: || Scenario { channels: 20, virgin: true, refill: Some(1.0), ..single() },
    },
    Kind {
        name: "S10",
        about: "one channel is wanted 15 times as much, and gets no more back",
        days: SINGLE_DAYS,
        shape: || Scenario { whale: 15.0, refill: Some(0.8), ..single() },
    },
    Kind {
        name: "S11",
        about: "no demand at all",
        days: SINGLE_DAYS,
        shape: || Scenario { rates: (1e-9, 1e-9), ..single() },
    },
    Kind {
        name: "S12",
        about: "a competitor who changes every 12 hours",
        days: SINGLE_DAYS,
        shape: || Scenario { beat: Some(Beat { half_hours: 12.0, level: 1.4, rate: 1.0 }), ..single() },
    },
    Kind {
        name: "N1",
        about: "payers who pay anything",
        days: SINGLE_DAYS,
        shape: || Scenario { median_ppm: 100_000.0, level_spread: 0.0, payer_spread: (0.2, 0.2), ..single() },
    },
    Kind {
        name: "N2",
        about: "demand that doubles every other 12 hours",
        days: SINGLE_DAYS,
        shape: || Scenario { beat: Some(Beat { half_hours: 12.0, level: 1.0, rate: 1.4 }), ..single() },
    },
    Kind {
        name: "N3",
        about: "payers of whom half leave for good when they come with an old price",
        days: SINGLE_DAYS,
        shape: || Scenario { patience: 0.5, ..single() },
    },
];

/// What every change is checked on.
pub const QUICK: &[&str] = &["M1", "M2", "M3", "M4", "M5", "M6", "S1", "S2", "S3", "S4", "S5", "S6"];

impl Kind {
    pub fn by_name(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// What is drawn for that seed.
    pub fn scenario(&self, seed: u64) -> Scenario {
        Scenario { seed, ..(self.shape)() }
    }

    /// Is every payment one that we forward from one of our channels to another?
    pub fn is_closed(&self) -> bool {
        (self.shape)().refill.is_none()
    }
}

/// Several rather even channels whose prices touch each other through the balances, and one shock.
fn closed() -> Scenario {
    Scenario {
        channels: 6,
        rivalry: 0.0,
        parallel: 0.0,
        rates: (15.0, 160.0),
        story: Story::Shift { from_day: 15, to_day: 30, spread: 0.6 },
        ..Scenario::default()
    }
}

fn capacity(shape: Scenario, factor: f64) -> Scenario {
    let (from, to) = shape.capacities;
    Scenario { capacities: (from * factor, to * factor), ..shape }
}

/// Twelve channels that have nothing to do with each other.
fn single() -> Scenario {
    Scenario {
        channels: 12,
        rivalry: 0.0,
        parallel: 0.0,
        payer_spread: (0.6, 1.6),
        rates: (15.0, 150.0),
        capacities: (10e6, 50e6),
        refill: Some(1.2),
        insensitive: 0.03,
        ..Scenario::default()
    }
}

fn regimes() -> Scenario {
    let story = Story::Regimes { level_spread: 0.6, rate_spread: 0.5, until_day: SINGLE_DAYS, death_day: 60 };
    Scenario { story, ..single() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sets_do_not_meet() {
        for kind in KINDS {
            assert_eq!(KINDS.iter().filter(|other| other.name == kind.name).count(), 1);
            assert_eq!(kind.scenario(3), Kind::by_name(&kind.name.to_lowercase()).unwrap().scenario(3));
        }
        assert!(QUICK.iter().all(|name| Kind::by_name(name).is_some()));
        let sets = [Set::Train, Set::Validation, Set::Holdout].map(|set| set.seeds(u32::MAX).collect::<Vec<_>>());
        assert!(sets.windows(2).all(|pair| pair[0].last() < pair[1].first()));
    }
}
