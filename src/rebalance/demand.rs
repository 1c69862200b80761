//! How likely it is that a balance will be needed within a week. Pure arithmetic over sizes and rates; never sees a fee.
//!
//! Outgoing volume is compound Poisson: payments come at a rate, each of the size of any recent one. What comes in meanwhile is as
//! well, and takes away from the need. The difference is described by its mean, spread and skew.

use crate::domain::Msat;

/// Days within which a balance is to be of use.
pub(super) const HORIZON_DAYS: f64 = 7.0;
/// The size of a payment where no recent one is known, msat.
const USUAL_PAYMENT: f64 = 50_000_000.0;
/// No payment is larger than this share of the channel's capacity.
const LARGEST: f64 = 0.5;
/// More skew than this the transform below does not follow.
const MOST_SKEW: f64 = 3.0;

/// Means of the first three powers of the size of a payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    one: f64,
    two: f64,
    three: f64,
}

/// What is wanted out minus what comes in over the horizon, where anything is wanted out at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Need {
    /// The chance that anything is wanted out.
    any: f64,
    mean: f64,
    sd: f64,
    skew: f64,
}

impl Sizes {
    /// `amounts`: of recent payments of the whole node.
    pub(super) fn new(amounts: &[Msat], capacity: f64) -> Sizes {
        let most = (LARGEST * capacity).max(1.0);
        if amounts.is_empty() {
            let one = USUAL_PAYMENT.min(most);
            // As if sizes were exponential.
            return Sizes { one, two: 2.0 * one * one, three: 6.0 * one * one * one };
        }
        let mean = |power: i32| {
            let sum: f64 = amounts.iter().map(|amount| amount.as_f64().clamp(1.0, most).powi(power)).sum();
            sum / amounts.len() as f64
        };
        Sizes { one: mean(1), two: mean(2), three: mean(3) }
    }

    pub(super) fn mean(&self) -> f64 {
        self.one
    }

    /// The payment in which the average millisatoshi comes: what a rate of volume that was counted for a day varies by, over its mean.
    pub(super) fn lump(&self) -> f64 {
        self.two / self.one
    }
}

impl Need {
    /// Of msat a day that are wanted out, and that come in.
    pub(super) fn new(sizes: &Sizes, out_per_day: f64, in_per_day: f64) -> Need {
        let count = |per_day: f64| (per_day * HORIZON_DAYS / sizes.one).max(0.0);
        let (out, into) = (count(out_per_day), count(in_per_day));
        let any = -(-out).exp_m1();
        if any <= 0.0 {
            return Need { any: 0.0, mean: 0.0, sd: 0.0, skew: 0.0 };
        }
        // Moments of what is wanted out, then the same where at least one payment comes.
        let first = out * sizes.one;
        let second = out * sizes.two + first * first;
        let third = out * sizes.three + 3.0 * out * sizes.two * first + first.powi(3);
        let (first, second, third) = (first / any, second / any, third / any);
        let variance = (second - first * first).max(0.0) + into * sizes.two;
        let skewness = third - 3.0 * first * second + 2.0 * first.powi(3) - into * sizes.three;
        let sd = variance.sqrt();
        let skew = if sd > 0.0 { (skewness / sd.powi(3)).clamp(-MOST_SKEW, MOST_SKEW) } else { 0.0 };
        Need { any, mean: first - into * sizes.one, sd, skew }
    }

    /// The chance that more than `balance` is wanted.
    pub(super) fn chance_above(&self, balance: f64) -> f64 {
        if self.any <= 0.0 {
            return 0.0;
        }
        if self.sd <= 0.0 {
            return if self.mean > balance { self.any } else { 0.0 };
        }
        self.any * tail(normal((balance - self.mean) / self.sd, self.skew))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.any <= 0.0
    }
}

/// The deviate of the normal law that lies as far out as `x` does under a law with that skew (Wilson and Hilferty's cube root).
fn normal(x: f64, skew: f64) -> f64 {
    if skew.abs() < 1e-3 {
        return x;
    }
    let root = (skew * x / 2.0 + 1.0).max(0.0).cbrt();
    6.0 / skew * (root - 1.0) + skew / 6.0
}

/// Share of the normal law above `x` (Abramowitz and Stegun 26.2.17: to seven digits).
fn tail(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let above = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if x >= 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution as _, Poisson};

    use super::*;

    const SAT: f64 = 1000.0;

    /// Log-normal sizes around 50,000 sat.
    fn amounts() -> Vec<Msat> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let law = rand_distr::LogNormal::new(50_000_000.0_f64.ln(), 1.2).unwrap();
        (0..400).map(|_| Msat(crate::domain::units::to_u64_rounded(law.sample(&mut random)))).collect()
    }

    fn drawn(amounts: &[Msat], (out, into): (f64, f64), balance: f64, capacity: f64) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mean = Sizes::new(amounts, capacity).mean();
        let mut sum = |per_day: f64| -> f64 {
            let count = per_day * HORIZON_DAYS / mean;
            let n: f64 = if count > 0.0 { Poisson::new(count).unwrap().sample(&mut random) } else { 0.0 };
            let mut total = 0.0;
            for _ in 0..crate::domain::units::to_u64_rounded(n) {
                total += amounts[random.random_range(0..amounts.len())].as_f64().min(capacity / 2.0);
            }
            total
        };
        let tries = 4000;
        let above = (0..tries).filter(|_| sum(out) - sum(into) > balance).count();
        above as f64 / f64::from(tries)
    }

    #[test]
    fn the_chance_is_that_of_drawn_weeks() {
        let (amounts, capacity) = (amounts(), 5_000_000.0 * SAT);
        for (out, into) in
            [(20_000.0, 0.0), (100_000.0, 0.0), (400_000.0, 0.0), (400_000.0, 300_000.0), (300_000.0, 400_000.0)]
        {
            let need = Need::new(&Sizes::new(&amounts, capacity), out * SAT, into * SAT);
            for balance in [50_000.0, 500_000.0, 1_500_000.0, 3_000_000.0] {
                let (told, real) = (
                    need.chance_above(balance * SAT),
                    drawn(&amounts, (out * SAT, into * SAT), balance * SAT, capacity),
                );
                assert!((told - real).abs() < 0.1, "{out} out {into} in, {balance}: {told} instead of {real}");
            }
        }
    }

    #[test]
    fn the_chance_falls_with_the_balance_and_grows_with_what_is_wanted() {
        let sizes = Sizes::new(&amounts(), 5e9);
        for out in [0.0, 1e6, 1e8, 1e10] {
            let chances: Vec<f64> =
                (0..200).map(|k| Need::new(&sizes, out, 3e8).chance_above(f64::from(k) * 5e7)).collect();
            assert!(chances.windows(2).all(|pair| pair[0] >= pair[1] - 1e-12), "{out}: {chances:?}");
            assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        }
        let more: Vec<f64> = (1..60).map(|k| Need::new(&sizes, f64::from(k) * 2e7, 0.0).chance_above(5e8)).collect();
        assert!(more.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{more:?}");
        assert_eq!(Need::new(&sizes, 0.0, 1e9).chance_above(0.0), 0.0);
    }
}
