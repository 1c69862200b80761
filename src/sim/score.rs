//! How good a rule was: its revenue as a share of the oracle's, by tape; then over all tapes, with intervals. Reads runs only.

use rand::RngExt;
use serde::Serialize;

use super::network::{Stream, stream};
use super::play::Run;

/// One rule on one tape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mark {
    pub seed: u64,
    /// Revenue as a share of the oracle's; `None`: there was nothing to earn.
    pub share: Option<f64>,
    /// The same of the best fixed fees, where those are not the oracle that is meant above.
    pub of_fixed: Option<f64>,
    pub earned_msat: u64,
    /// What moves of liquidity have cost; taken off in all shares.
    pub spent_msat: u64,
    pub oracle_msat: u64,
    pub updates_per_channel_day: f64,
    /// Of those who chose our price, the share refused for what we could not carry.
    pub refused_share: f64,
    /// Days until the last seven earned 90 % of what they earned the oracle; `None`: never.
    pub days_to_90: Option<u32>,
    /// Share of the oracle's revenue in the 14 days after the shock.
    pub after_shock: Option<f64>,
}

/// A mean with a bootstrap interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// One rule on one kind of scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub share: Option<Estimate>,
    /// The tape on which it did worst.
    pub worst: Option<(u64, f64)>,
    pub updates_per_channel_day: f64,
    pub refused_share: f64,
    /// Of what was earned, the share that moves of liquidity have cost.
    pub spent_share: f64,
    /// Median; days that never came count as all days.
    pub days_to_90: Option<f64>,
    pub after_shock: Option<f64>,
    pub earned_msat: f64,
}

const WEEK: u32 = 7;
const GOOD: f64 = 0.9;
const SHOCK_DAYS: u32 = 14;
const RESAMPLES: usize = 2_000;

impl Mark {
    pub fn of(seed: u64, run: &Run, oracle: &Run, shock: Option<u32>) -> Mark {
        let sum = |run: &Run, from: u32, to: u32| (from..to.min(run.days)).map(|day| run.net_on_day(day)).sum::<f64>();
        let share = |from: u32, to: u32| {
            let whole = sum(oracle, from, to);
            (whole > 0.0).then(|| sum(run, from, to) / whole)
        };
        let good = |day: &u32| share(day - WEEK, *day).is_some_and(|share| share >= GOOD);
        Mark {
            seed,
            share: share(0, run.days),
            of_fixed: None,
            earned_msat: run.total(),
            spent_msat: run.spent.iter().sum(),
            oracle_msat: oracle.total(),
            updates_per_channel_day: run.updates_per_channel_day(),
            refused_share: run.refused_share(),
            days_to_90: (WEEK..=run.days).find(good),
            after_shock: shock.filter(|day| *day < run.days).and_then(|day| share(day, day + SHOCK_DAYS)),
        }
    }
}

impl Mark {
    /// Beside the oracle of fixed fees as well, if it is another one.
    #[must_use]
    pub fn beside(self, fixed: &Run) -> Mark {
        let other = fixed.total() > 0 && fixed.total() != self.oracle_msat;
        Mark {
            of_fixed: other.then(|| (self.earned_msat as f64 - self.spent_msat as f64) / fixed.total() as f64),
            ..self
        }
    }
}

impl Estimate {
    /// Of independent values; the seed is that of the resampling.
    pub fn of(values: &[f64], seed: u64) -> Option<Estimate> {
        let mean = mean(values)?;
        let mut rng = stream(seed, Stream::Score, 0);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| (0..values.len()).map(|_| values[rng.random_range(0..values.len())]).sum::<f64>())
            .map(|sum| sum / values.len() as f64)
            .collect();
        means.sort_by(f64::total_cmp);
        let (low, high) = (RESAMPLES / 40, RESAMPLES - 1 - RESAMPLES / 40);
        Some(Estimate { mean, low: means[low], high: means[high] })
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Score {
    pub fn of(marks: &[Mark], days: u32) -> Score {
        let all = |of: fn(&Mark) -> Option<f64>| marks.iter().filter_map(of).collect::<Vec<f64>>();
        let average = |of: fn(&Mark) -> Option<f64>| mean(&all(of));
        let worst = marks.iter().filter_map(|mark| mark.share.map(|share| (mark.seed, share)));
        let mut waits: Vec<u32> =
            marks.iter().filter(|m| m.share.is_some()).map(|m| m.days_to_90.unwrap_or(days)).collect();
        waits.sort_unstable();
        let spent: f64 = marks.iter().map(|mark| mark.spent_msat as f64).sum();
        let earned: f64 = marks.iter().map(|mark| mark.earned_msat as f64).sum();
        Score {
            share: Estimate::of(&all(|mark| mark.share), 1),
            worst: worst.min_by(|a, b| a.1.total_cmp(&b.1)),
            updates_per_channel_day: average(|mark| Some(mark.updates_per_channel_day)).unwrap_or(0.0),
            refused_share: average(|mark| Some(mark.refused_share)).unwrap_or(0.0),
            spent_share: spent / earned.max(1.0),
            days_to_90: waits.get(waits.len() / 2).map(|days| f64::from(*days)),
            after_shock: average(|mark| mark.after_shock),
            earned_msat: average(|mark| Some(mark.earned_msat as f64)).unwrap_or(0.0),
        }
    }
}

/// By how much the first did better than the second, on the same tapes.
pub fn paired(first: &[Mark], second: &[Mark]) -> Option<Estimate> {
    let on_same = |mark: &Mark| {
        let other = second.iter().find(|other| other.seed == mark.seed)?;
        Some(mark.share? - other.share?)
    };
    Estimate::of(&first.iter().filter_map(on_same).collect::<Vec<f64>>(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(by_day: &[u64]) -> Run {
        let days = u32::try_from(by_day.len()).unwrap();
        Run { days, channels: 1, earned: by_day.to_vec(), updates: vec![days], ..Run::default() }
    }

    #[test]
    fn a_mark_is_a_share_of_what_the_oracle_earned() {
        let slow: Vec<u64> = (0..20).map(|day| if day < 10 { 0 } else { 100 }).collect();
        let mark = Mark::of(1, &run(&slow), &run(&[100; 20]), Some(8));
        assert_eq!((mark.share, mark.days_to_90, mark.updates_per_channel_day), (Some(0.5), Some(17), 1.0));
        assert_eq!(mark.after_shock, Some(10.0 / 12.0));
        assert_eq!(Mark::of(1, &run(&slow), &run(&[0; 20]), None).share, None);
    }

    #[test]
    fn pairs_tell_more_than_means() {
        let marks = |gain: u64| -> Vec<Mark> {
            (0..30).map(|seed| Mark::of(seed, &run(&[40 + seed + gain; 8]), &run(&[100; 8]), None)).collect()
        };
        let (plain, better) = (marks(0), marks(2));
        let (score, gain) = (Score::of(&better, 8), paired(&better, &plain).unwrap());
        let share = score.share.unwrap();
        assert!(share.low < share.mean && share.mean < share.high && share.high - share.low > 0.04);
        assert!((gain.low - 0.02).abs() < 1e-9 && (gain.high - 0.02).abs() < 1e-9);
        assert_eq!(score.worst, Some((0, 0.42)));
    }
}
