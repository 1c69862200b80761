//! How a pair is tried: how far its two fees lie from the middle, and how long each is asked.

use super::Climb;
use crate::fees::belief::Sample;
use crate::fees::tidy;

/// Half a day at each fee: a pair is a day, and flips and moves of the middle make two changes a day.
pub(super) const BLOCK_HOURS: f64 = 12.0;
/// A channel with few events needs longer blocks to see any.
const SPARSE_BLOCK_HOURS: f64 = 24.0;
const SPARSE_EVENTS_PER_DAY: f64 = 5.0;
/// A busy one can do with shorter blocks, where the gossip budget carries three to four changes a day.
const BUSY_BLOCK_HOURS: f64 = 6.0;
const BUSY_EVENTS_PER_DAY: f64 = 100.0;
const BUSY_UPDATES: u32 = 4;
/// Perturbation at first, and the least that goes on for ever: a greedy fit freezes at a wrong price.
pub(super) const DELTA_MAX: f64 = 0.30;
pub(super) const DELTA_MIN: f64 = 0.08;
/// Information (events x delta^2) at which the perturbation starts to shrink, as its fourth root.
const DELTA_INFO: f64 = 6.0;
/// Where many pay, narrow tries tell enough, and wide ones cost with the square of their width: no wider than this over the
/// root of those who come in a day.
const DELTA_MANY: f64 = 0.45;
/// Perturbation beside a plan, whose own moves are tries as well.
pub(super) const DELTA_PLANNED: f64 = 0.05;
/// The last samples tell how busy a channel is.
const RATE_SAMPLES: usize = 6;

impl Climb {
    /// How far from the middle, in ln, the next pair's fees lie.
    pub(super) fn next_delta(&self, is_planned: bool) -> f64 {
        if is_planned {
            return DELTA_PLANNED;
        }
        let learned = DELTA_MAX / (1.0 + self.info / DELTA_INFO).powf(0.25);
        let many = self.events_per_day().map_or(DELTA_MAX, |events| DELTA_MANY / events.max(f64::MIN_POSITIVE).sqrt());
        tidy(learned.min(many).max(DELTA_MIN))
    }

    /// How long the next pair's fees are asked, each.
    pub(super) fn block_hours(&self, updates_per_day: u32) -> f64 {
        match self.events_per_day() {
            Some(rate) if rate < SPARSE_EVENTS_PER_DAY => SPARSE_BLOCK_HOURS,
            Some(rate) if rate > BUSY_EVENTS_PER_DAY && updates_per_day >= BUSY_UPDATES => BUSY_BLOCK_HOURS,
            _ => BLOCK_HOURS,
        }
    }

    /// Events a day of late; `None`: not even a day was watched.
    fn events_per_day(&self) -> Option<f64> {
        let (n, h) = self.lately(|sample| sample.h);
        (h >= SPARSE_BLOCK_HOURS).then(|| n / h * 24.0)
    }

    /// Events of the last samples, and the hours in which they came, by whichever clock.
    pub(super) fn lately(&self, hours: fn(&Sample) -> f64) -> (f64, f64) {
        let last = self.recent.iter().rev().take(RATE_SAMPLES);
        last.fold((0.0, 0.0), |(n, h), sample| (n + sample.n, h + hours(sample)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;
    use crate::fees::blocks::Block;
    use crate::fees::hill_climb::Step;

    /// A climb that has watched blocks of twelve hours with so many events each.
    fn after(blocks: usize, events: f64, info: f64) -> Climb {
        let start = Time::from_secs(1_704_067_200);
        let mut climb = Climb::starting(200.0, 0.0, Block::new(start, BLOCK_HOURS), Step::First);
        climb.recent = vec![Sample { at: start, n: events, e: 12.0, f: 200.0, h: 12.0 }; blocks];
        climb.info = info;
        climb
    }

    #[test]
    fn tries_are_wide_where_little_is_known_and_few_come() {
        // Blocks watched, events in each, information; delta, and hours of a block.
        let cases = [
            (0, 0.0, 0.0, 0.30, 12.0),
            (1, 50.0, 0.0, 0.30, 12.0), // half a day says nothing of how many come
            (4, 0.0, 0.0, 0.30, 24.0),
            (4, 1.0, 0.0, 0.30, 24.0),
            (4, 1.0, 12.0, 0.228, 24.0),
            (4, 8.0, 0.0, 0.1125, 12.0),
            (4, 8.0, 5000.0, 0.08, 12.0),
            (4, 18.0, 0.0, 0.08, 12.0),
            (4, 60.0, 0.0, 0.08, 6.0),
        ];
        for (blocks, events, info, delta, hours) in cases {
            let climb = after(blocks, events, info);
            assert!(
                (climb.next_delta(false) - delta).abs() < 0.001,
                "{blocks} {events} {info}: {}",
                climb.next_delta(false)
            );
            assert_eq!((climb.block_hours(4), climb.next_delta(true)), (hours, DELTA_PLANNED), "{blocks} {events}");
        }
        assert_eq!(after(4, 60.0, 0.0).block_hours(3), BLOCK_HOURS, "the budget carries no shorter ones");
    }
}
