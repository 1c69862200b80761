//! feeadjuster of the Core Lightning community plugins, by its README: the node's base rate times a curve of the balance, 50^(0.5 -
//! share of the channel that is ours), its default. The global base is the knob; the median of other nodes' fees toward
//! the same peer is not in the market. Never looks at what was earned.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Quote, Rule, quotes, share};
use crate::domain::Ppm;
use crate::sim::Market;

pub const NAME: &str = "feeadjuster";
pub const KNOBS: &[f64] = &[10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1_200.0];
pub const TUNED: f64 = 600.0;

/// `feeadjuster-threshold`: how far the balance must have moved, in shares of the channel.
const THRESHOLD: f64 = 0.05;
/// The threshold is moved by chance so that nobody reads the balance from the moment of the update.
const FUZZ: f64 = 0.015;
/// `feeadjuster-threshold-abs`: a move of this size (msat) is always enough.
const THRESHOLD_MSAT: u64 = 100_000_000;

#[derive(Clone, Debug)]
pub struct Feeadjuster {
    base_ppm: f64,
    /// What was ours (msat) when the channel was adjusted last.
    adjusted: Vec<Option<u64>>,
    rng: ChaCha8Rng,
}

impl Feeadjuster {
    /// The knob is the rate of a balanced channel.
    pub fn new(base_ppm: f64, seed: u64) -> Feeadjuster {
        Feeadjuster { base_ppm, adjusted: Vec::new(), rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn rate(&self, share: f64) -> Ppm {
        Ppm::rounded((self.base_ppm * 50_f64.powf(0.5 - share)).trunc())
    }

    fn has_moved(&mut self, place: usize, ours: u64, total: u64) -> bool {
        let Some(before) = self.adjusted[place] else { return true };
        let moved = before.abs_diff(ours);
        let threshold = THRESHOLD + self.rng.random_range(-FUZZ..FUZZ);
        moved >= THRESHOLD_MSAT || moved as f64 / total as f64 >= threshold
    }
}

impl Rule for Feeadjuster {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The original is called at every settled forward; a few minutes are the nearest.
    fn every_secs(&self) -> i64 {
        300
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        self.adjusted.resize(market.channels.len(), None);
        quotes(market, |place, channel| {
            let ours = channel.to_us();
            if !self.has_moved(place, ours, channel.capacity) {
                return None;
            }
            self.adjusted[place] = Some(ours);
            Some(self.rate(share(channel)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_falls_with_what_is_ours() {
        let rates = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| Feeadjuster::new(100.0, 1).rate(share).0);
        assert_eq!(rates, [707, 478, 100, 20, 14]);
    }

    #[test]
    fn small_moves_wait_and_large_ones_never_do() {
        let mut rule = Feeadjuster { adjusted: vec![None, Some(500_000_000)], ..Feeadjuster::new(100.0, 1) };
        let total = 1_000_000_000;
        assert!(rule.has_moved(0, 0, total));
        let moved: [usize; 4] = [30_000_000, 50_000_000, 66_000_000, 100_000_000]
            .map(|by| (0..100).filter(|_| rule.has_moved(1, 500_000_000 - by, total)).count());
        assert_eq!((moved[0], moved[2], moved[3]), (0, 100, 100));
        assert!((20..80).contains(&moved[1]), "{moved:?}");
        let large = 100 * total;
        assert!(rule.has_moved(1, 600_000_000, large) && !rule.has_moved(1, 599_999_999, large));
    }
}
