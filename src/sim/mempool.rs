//! The price of block space in the market: calm, with sudden jumps that fade within a day.

use rand::RngExt;

use super::network::{Scenario, Stream, stream};
use super::tape::DAY_MS;
use crate::domain::units::to_u64_rounded;
use crate::domain::{Feerate, Time};

/// Sat per 1,000 virtual bytes on a calm day.
const CALM: f64 = 5_000.0;
const HALF_LIFE_HOURS: f64 = 6.0;

/// A pure function of seed and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mempool {
    seed: u64,
    /// Days between jumps, on average.
    spike_days: f64,
    /// The operator of the market fixed the price.
    fixed: Option<u64>,
}

impl Mempool {
    pub fn of(scenario: &Scenario) -> Mempool {
        Mempool { seed: scenario.seed, spike_days: scenario.spike_days.max(1.0), fixed: None }
    }

    /// How many times dearer than on a calm day.
    pub fn ratio(&self, now: Time) -> f64 {
        self.at(now).sat_per_kvb as f64 / CALM
    }

    /// From now on this price, or the seed's again.
    pub fn fix(&mut self, sat_per_kvb: Option<u64>) {
        self.fixed = sat_per_kvb;
    }

    pub fn at(&self, now: Time) -> Feerate {
        if let Some(sat_per_kvb) = self.fixed {
            return Feerate { sat_per_kvb };
        }
        let today = now.0.div_euclid(DAY_MS);
        // What jumped more than four days ago has faded to a 65,000th.
        let jumps: f64 = (today - 4..=today).map(|day| self.jump(day, now)).sum();
        let ripple = 1.0 + 0.1 * (now.hours_since(Time(0)) / 24.0 * std::f64::consts::TAU).sin();
        Feerate { sat_per_kvb: to_u64_rounded(CALM * ripple * (1.0 + jumps)) }
    }

    /// What is left at `now` of the jump of that day, if there was one.
    fn jump(&self, day: i64, now: Time) -> f64 {
        let mut rng = stream(self.seed, Stream::Mempool, day.unsigned_abs());
        let strikes = rng.random_bool(1.0 / self.spike_days);
        let at = Time(day * DAY_MS + rng.random_range(0..DAY_MS));
        let factor = rng.random_range(3.0..10.0);
        let age = now.hours_since(at);
        if strikes && age >= 0.0 { (factor - 1.0) * 0.5_f64.powf(age / HALF_LIFE_HOURS) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::MONDAY;
    use super::*;

    #[test]
    fn the_price_jumps_and_comes_back() {
        let mempool = Mempool::of(&Scenario { seed: 7, ..Scenario::default() });
        let prices: Vec<u64> =
            (0..24 * 60).map(|hour| mempool.at(MONDAY.plus_hours(f64::from(hour))).sat_per_kvb).collect();
        let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
        assert!((4_000..6_000).contains(low), "{low}");
        assert!(*high > 15_000, "{high}");
    }
}
