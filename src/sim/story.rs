//! How demand changes while a market is played: regimes, shocks, wars and rhythms, drawn from the seed before the first payment.
//! Knows nothing of fees.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};

use super::network::{Scenario, Stream, stream};
use super::tape::DAY_MS;
use crate::domain::Time;

/// What happens on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Story {
    #[default]
    Steady,
    /// On one day between the two, what payers accept changes on all channels, by factors of this spread (of their logarithm).
    Shift { from_day: u32, to_day: u32, spread: f64 },
    /// Each channel by itself: another level and another amount of demand about every 15 days. On the last channel demand ends
    /// for good on that day.
    Regimes { level_spread: f64, rate_spread: f64, until_day: u32, death_day: u32 },
    /// A competitor undercuts us everywhere from that day on, and relents after so many days, but not wholly.
    War { day: u32, days: u32 },
}

/// Demand on one channel from a moment on, relative to what the seat says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    pub from: Time,
    pub level: f64,
    pub rate: f64,
}

/// A rhythm that has nothing to do with the hours of people: so many hours at a factor, and as many at its inverse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    pub half_hours: f64,
    pub level: f64,
    pub rate: f64,
}

/// Mean length of a regime.
const REGIME_DAYS: f64 = 15.0;
/// What is left of the level in a price war, and after it.
const WAR_LEVELS: (f64, f64) = (0.35, 0.5);
const AFTER_WAR: f64 = 0.8;

/// The phases of the channel at `place`, in order; before the first the seat's own numbers hold.
pub(super) fn phases(scenario: &Scenario, place: u32, is_last: bool) -> Vec<Phase> {
    let mut rng = stream(scenario.seed, Stream::Story, u64::from(place) + 1);
    let on = |day: f64| scenario.start.plus_hours(day * 24.0);
    match scenario.story {
        Story::Steady => Vec::new(),
        Story::Shift { spread, .. } => {
            let Some(day) = shock_day(scenario) else { return Vec::new() };
            vec![Phase { from: on(f64::from(day)), level: factor(spread, &mut rng), rate: 1.0 }]
        }
        Story::Regimes { level_spread, rate_spread, until_day, death_day } => {
            let mut day = REGIME_DAYS * rng.random_range(0.5..1.5);
            let mut phases = Vec::new();
            while day < f64::from(until_day) && !(is_last && day >= f64::from(death_day)) {
                let (level, rate) = (factor(level_spread, &mut rng), factor(rate_spread, &mut rng));
                phases.push(Phase { from: on(day), level, rate });
                day += REGIME_DAYS * rng.random_range(0.7..1.3);
            }
            if is_last {
                phases.push(Phase { from: on(f64::from(death_day)), level: 1.0, rate: 0.0 });
            }
            phases
        }
        Story::War { day, days } => {
            let level = rng.random_range(WAR_LEVELS.0..WAR_LEVELS.1);
            let peace = Phase { from: on(f64::from(day + days)), level: AFTER_WAR, rate: 1.0 };
            vec![Phase { from: on(f64::from(day)), level, rate: 1.0 }, peace]
        }
    }
}

/// The day on which everything changes at once, if there is one.
pub(super) fn shock_day(scenario: &Scenario) -> Option<u32> {
    match scenario.story {
        Story::Shift { from_day, to_day, .. } => {
            Some(stream(scenario.seed, Stream::Story, 0).random_range(from_day..=to_day))
        }
        Story::War { day, .. } => Some(day),
        Story::Steady | Story::Regimes { .. } => None,
    }
}

fn factor(spread: f64, rng: &mut impl Rng) -> f64 {
    Normal::new(0.0, spread).map_or(1.0, |law| law.sample(rng).exp())
}

impl Beat {
    /// Is this the half in which the factors hold, and not their inverse?
    pub(super) fn is_up(&self, start: Time, at: Time) -> bool {
        let halves = at.0.saturating_sub(start.0) as f64 / (self.half_hours / 24.0 * DAY_MS as f64);
        halves.rem_euclid(2.0) < 1.0
    }
}
