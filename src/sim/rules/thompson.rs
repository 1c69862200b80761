//! Quadratic Thompson sampling on revenue: the textbook bandit for prices. What a channel earns an hour is taken for a parabola of the
//! logarithm of its fee; a Bayesian regression with forgetting gives the parabola's distribution, one parabola is drawn from it and the
//! fee set to its top. The knob is the fee that the prior has its top at. Never looks at balances or at single forwards.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{Quote, Rule, quotes};
use crate::domain::{Ppm, Time};
use crate::sim::Market;
use crate::sim::channel::SimChannel;

pub const NAME: &str = "thompson";
pub const KNOBS: &[f64] = &[25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 900.0];
pub const TUNED: f64 = 600.0;

const EVERY_SECS: i64 = 3 * 3_600;
/// After so many hours an observation counts half.
const HALF_LIFE_HOURS: f64 = 168.0;
/// Fees between a tenth and ten times the prior's top, in equal steps of the logarithm.
const STEPS: u32 = 41;
const REACH: f64 = 10.0;
/// The prior parabola in units of mean revenue, by the logarithm to base 10: 1 at the top, nothing at three times and a third.
const PRIOR: Vector = [1.0, 0.0, -4.4];
/// Of each coefficient, 1 over its variance.
const PRIOR_PRECISION: Vector = [2.0, 0.2, 0.2];
/// Variance of an observation before there are any, in units of mean revenue squared.
const FIRST_NOISE: f64 = 1.0;

type Vector = [f64; 3];
type Matrix = [Vector; 3];

#[derive(Clone, Debug)]
pub struct Thompson {
    top: f64,
    channels: Vec<Arm>,
    rng: ChaCha8Rng,
}

/// What one channel has shown, in sums that fade.
#[derive(Clone, Debug, Default)]
struct Arm {
    since: Option<Time>,
    earned: u64,
    /// Sums of products of the features, of features and revenue, and of revenue, its square and 1.
    features: Matrix,
    revenue: Vector,
    sums: Vector,
}

impl Thompson {
    pub fn new(top: f64, seed: u64) -> Thompson {
        Thompson { top, channels: Vec::new(), rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn x(&self, ppm: f64) -> f64 {
        (ppm.max(1.0) / self.top).log10()
    }

    fn rate(&self, parabola: &Vector) -> Ppm {
        let steps = (0..STEPS).map(|step| f64::from(step) / f64::from(STEPS - 1) * 2.0 - 1.0);
        let height = |x: &f64| value(parabola, *x);
        let best = steps.max_by(|a, b| height(a).total_cmp(&height(b))).unwrap_or(0.0);
        Ppm::rounded((self.top * REACH.powf(best)).max(1.0))
    }

    fn observe(&self, arm: &mut Arm, channel: &SimChannel, now: Time) {
        if let Some(since) = arm.since {
            let hours = now.hours_since(since).max(0.1);
            let revenue = (channel.earned - arm.earned) as f64 / hours;
            arm.note(self.x(f64::from(channel.price.ppm)), revenue, 0.5_f64.powf(hours / HALF_LIFE_HOURS));
        }
        (arm.since, arm.earned) = (Some(now), channel.earned);
    }
}

fn features(x: f64) -> Vector {
    [1.0, x, x * x]
}

fn value(parabola: &Vector, x: f64) -> f64 {
    parabola.iter().zip(features(x)).map(|(a, b)| a * b).sum()
}

impl Arm {
    fn note(&mut self, x: f64, revenue: f64, fade: f64) {
        let phi = features(x);
        for (row, a) in self.features.iter_mut().zip(phi) {
            row.iter_mut().zip(phi).for_each(|(sum, b)| *sum = *sum * fade + a * b);
        }
        self.revenue.iter_mut().zip(phi).for_each(|(sum, a)| *sum = *sum * fade + a * revenue);
        let seen = [revenue, revenue * revenue, 1.0];
        self.sums.iter_mut().zip(seen).for_each(|(sum, value)| *sum = *sum * fade + value);
    }

    /// A parabola drawn from what is believed, in units of mean revenue.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Vector {
        let [sum, squares, count] = self.sums;
        let mean = (sum / count.max(1.0)).max(1.0);
        // Revenue hardly depends on the fee beside its noise, so all its variance is taken for noise.
        let noise = ((squares / count.max(1.0)) / (mean * mean) - 1.0).max(0.05);
        let noise = (noise * count + FIRST_NOISE) / (count + 1.0);
        let mut precision = self.features.map(|row| row.map(|sum| sum / noise));
        let mut right = self.revenue.map(|sum| sum / mean / noise);
        for i in 0..3 {
            precision[i][i] += PRIOR_PRECISION[i];
            right[i] += PRIOR_PRECISION[i] * PRIOR[i];
        }
        let lower = cholesky(&precision);
        let centre = solve_upper(&lower, &solve_lower(&lower, &right));
        let normal: Vector = std::array::from_fn(|_| rng.sample(StandardNormal));
        let error = solve_upper(&lower, &normal);
        std::array::from_fn(|i| centre[i] + error[i])
    }
}

/// The lower triangle whose product with its transpose is the matrix.
fn cholesky(matrix: &Matrix) -> Matrix {
    let mut lower = Matrix::default();
    for i in 0..3 {
        for j in 0..=i {
            let rest = matrix[i][j] - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
            lower[i][j] = if i == j { rest.max(1e-12).sqrt() } else { rest / lower[j][j] };
        }
    }
    lower
}

fn solve_lower(lower: &Matrix, right: &Vector) -> Vector {
    let mut x = Vector::default();
    for i in 0..3 {
        x[i] = (right[i] - (0..i).map(|k| lower[i][k] * x[k]).sum::<f64>()) / lower[i][i];
    }
    x
}

/// Solves with the transpose.
fn solve_upper(lower: &Matrix, right: &Vector) -> Vector {
    let mut x = Vector::default();
    for i in (0..3).rev() {
        x[i] = (right[i] - (i + 1..3).map(|k| lower[k][i] * x[k]).sum::<f64>()) / lower[i][i];
    }
    x
}

impl Rule for Thompson {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        EVERY_SECS
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let mut arms = std::mem::take(&mut self.channels);
        arms.resize_with(market.channels.len(), Arm::default);
        let now = market.now();
        let quotes = quotes(market, |place, channel| {
            self.observe(&mut arms[place], channel, now);
            let parabola = arms[place].draw(&mut self.rng);
            Some(self.rate(&parabola))
        });
        self.channels = arms;
        quotes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_a_parabola_is_the_fee() {
        let rule = Thompson::new(200.0, 1);
        let tops = [PRIOR, [1.0, 4.0, -4.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.5]].map(|parabola| rule.rate(&parabola).0);
        assert_eq!(tops, [200, 632, 2_000, 20]);
    }

    #[test]
    fn a_system_is_solved() {
        let matrix = [[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let lower = cholesky(&matrix);
        let x = solve_upper(&lower, &solve_lower(&lower, &[1.0, 2.0, 3.0]));
        for (row, right) in matrix.iter().zip([1.0, 2.0, 3.0]) {
            assert!((row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>() - right).abs() < 1e-12);
        }
    }

    #[test]
    fn draws_settle_where_revenue_is_highest() {
        let (rule, mut rng) = (Thompson::new(200.0, 1), ChaCha8Rng::seed_from_u64(2));
        let mut arm = Arm::default();
        for _ in 0..400 {
            let ppm = rule.rate(&arm.draw(&mut rng)).as_f64();
            // Highest at 500 ppm.
            let revenue = 10_000.0 * (1.0 - (ppm / 500.0).log10().powi(2)).max(0.0);
            arm.note(rule.x(ppm), revenue, 0.99);
        }
        let last: Vec<u32> = (0..50).map(|_| rule.rate(&arm.draw(&mut rng)).0).collect();
        assert!(last.iter().filter(|ppm| (300..900).contains(*ppm)).count() > 40, "{last:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = [7, 7, 8].map(|seed| Arm::default().draw(&mut ChaCha8Rng::seed_from_u64(seed)));
        assert!(draws[0] == draws[1] && draws[0] != draws[2]);
    }
}
