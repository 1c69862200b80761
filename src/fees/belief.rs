//! What is believed of a peer's demand: 180 curves with a weight each. Pure arithmetic over counts; never sees money.
//!
//! Demand at fee f is `rate x S(f)` with `S(f) = 1 / (1 + (f / theta)^kappa)`: theta is the fee at which half of the payers
//! are gone, kappa how abruptly they go. Weights are learned from pairs of blocks at neighbouring fees, in which the level
//! of demand cancels, from payers who come with an old price ([`raises`]), and (much more weakly) from the level itself.

mod raises;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::shadow_price::Rung;
use super::tidy_weight;
use crate::domain::Time;
pub(super) use raises::{Raise, patience, usual_patience};

const THETAS: usize = 36;
const KAPPAS: [f64; 5] = [1.3, 1.6, 2.2, 3.5, 6.0];
const CELLS: usize = THETAS * KAPPAS.len();
/// Fees outside this range are hardly ever charged between nodes.
const THETA_MIN: f64 = 8.0;
const THETA_MAX: f64 = 3500.0;

/// Payers stay to a third above what is asked now: people seldom ask more than the market bears.
const PRIOR_OVER_FEE: f64 = 1.35;
/// Without knowledge of the market the fee that somebody once set says little.
const PRIOR_SD: f64 = 1.1;
/// How abruptly payers usually go: what they accept spreads by a factor of two to four around its middle, more often than by ten
/// or by a tenth of that. The logarithm's mean and spread.
const USUAL_KAPPA: f64 = 1.9;
const KAPPA_SD: f64 = 0.35;
/// Elasticity changes slowly: what a pair taught, or a raise, is worth half after this.
const PAIR_HALF_LIFE_DAYS: f64 = 40.0;
/// The level of demand moves for reasons of its own, so it fades faster ...
const LEVEL_HALF_LIFE_DAYS: f64 = 5.0;
/// ... and varies by more than chance, about 30 % from block to block, which is nothing beside the chance in a handful of
/// events but most of what is left in hundreds: at this many events a block, the level counts for half.
const LEVEL_EVENTS: f64 = 10.0;
/// Exposure hours that the level is assumed to have been watched without any demand, so that one early payment is no boom.
pub(super) const LEVEL_PRIOR_HOURS: f64 = 0.1;
pub(super) const LEVEL_PRIOR_EVENTS: f64 = 0.5;

/// One block as the learner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) at: Time,
    /// Demand events.
    pub(super) n: f64,
    /// Hours in which demand could be served, weighed by the traffic of the hour.
    pub(super) e: f64,
    /// Mean gossiped fee, ppm.
    pub(super) f: f64,
    /// Hours on the clock.
    pub(super) h: f64,
}

/// The part that lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Belief {
    /// ln of the prior's median theta.
    prior: f64,
    /// What pairs have taught, as log weights: theta by theta within each kappa. Empty: nothing yet.
    weights: Vec<f64>,
    learned: Time,
    /// What refused payers did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    raises: Vec<Raise>,
    /// Of those refused payers who would pay the new price, the part that comes back.
    #[serde(default = "usual_patience")]
    patience: f64,
}

/// The belief at one moment, ready for questions.
pub(super) struct Posterior {
    /// Sum to 1.
    weights: [f64; CELLS],
    /// Events per exposure hour if the fee were nothing, one per cell.
    rates: [f64; CELLS],
    /// Discounted count of events behind the rates.
    pub(super) events: f64,
}

/// The belief without refused payers.
struct Level {
    /// Logarithms of the weights, not normalised.
    logs: [f64; CELLS],
    rates: [f64; CELLS],
    events: f64,
}

struct Grid {
    ln_theta: [f64; THETAS],
    /// theta^-kappa of each cell.
    scale: [f64; CELLS],
}

static GRID: LazyLock<Grid> = LazyLock::new(|| {
    let step = (THETA_MAX / THETA_MIN).ln() / (THETAS as f64 - 1.0);
    let ln_theta = std::array::from_fn(|t| THETA_MIN.ln() + step * t as f64);
    let scale = std::array::from_fn(|cell| (-KAPPAS[cell / THETAS] * ln_theta[cell % THETAS]).exp());
    Grid { ln_theta, scale }
});

/// Fees in steps of 6 %: demand hardly differs between two rungs.
static LADDER: LazyLock<[f64; RUNGS]> = LazyLock::new(|| {
    let mut fees = (0..).map(|rung| LADDER_STEP.powi(rung));
    std::array::from_fn(|_| fees.next().unwrap_or(f64::MAX))
});
/// The share of payers that stays at each rung, cell by cell.
static STAYING: LazyLock<Vec<[f64; RUNGS]>> = LazyLock::new(|| {
    let odds: Vec<[f64; CELLS]> = LADDER.iter().map(|fee| odds(*fee)).collect();
    (0..CELLS).map(|cell| std::array::from_fn(|rung| 1.0 / (1.0 + odds[rung][cell]))).collect()
});
const LADDER_STEP: f64 = 1.06;
/// Up to 10,000 ppm.
const RUNGS: usize = 159;

/// (f / theta)^kappa of each cell: the odds that a payer is gone.
fn odds(fee: f64) -> [f64; CELLS] {
    let ln = fee.max(f64::MIN_POSITIVE).ln();
    let powers = KAPPAS.map(|kappa| (kappa * ln).exp());
    std::array::from_fn(|cell| powers[cell / THETAS] * GRID.scale[cell])
}

fn half_lives(from: Time, to: Time, days: f64) -> f64 {
    0.5_f64.powf((to.hours_since(from) / 24.0 / days).max(0.0))
}

impl Default for Belief {
    fn default() -> Belief {
        Belief::new(1.0, Time(0))
    }
}

impl Belief {
    /// All that is known of a peer at first: what is asked now.
    pub(super) fn new(fee: f64, now: Time) -> Belief {
        let prior = tidy_weight((PRIOR_OVER_FEE * fee.max(1.0)).ln());
        Belief { prior, weights: vec![], learned: now, raises: vec![], patience: usual_patience() }
    }

    /// Payers were found at `fee` after a search: that says more of the market than the fee of the beginning.
    pub(super) fn settle(&mut self, fee: f64) {
        self.prior = tidy_weight((PRIOR_OVER_FEE * fee.max(1.0)).ln());
    }

    /// Days since a pair was learned from.
    pub(super) fn days_since(&self, now: Time) -> f64 {
        (now.hours_since(self.learned) / 24.0).max(0.0)
    }

    /// Takes in two neighbouring blocks: what share of their events fell into the first.
    pub(super) fn learn(&mut self, first: &Sample, second: &Sample, now: Time) {
        let kept = half_lives(self.learned, now, PAIR_HALF_LIFE_DAYS);
        let (odds_1, odds_2) = (odds(first.f), odds(second.f));
        self.weights.resize(CELLS, 0.0);
        for (cell, weight) in self.weights.iter_mut().enumerate() {
            let one = first.e / (1.0 + odds_1[cell]);
            let two = second.e / (1.0 + odds_2[cell]);
            *weight = kept * *weight + first.n * (one / (one + two)).ln() + second.n * (two / (one + two)).ln();
        }
        let best = self.weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for weight in &mut self.weights {
            *weight = tidy_weight(*weight - best);
        }
        self.learned = now;
    }

    /// After a surprise: keep the shape of what was learned, trust it half.
    pub(super) fn temper(&mut self) {
        for weight in &mut self.weights {
            *weight = tidy_weight(*weight / 2.0);
        }
        self.doubt_raises();
    }

    pub(super) fn patience(&self) -> f64 {
        self.patience
    }

    /// What all peers of the node together tell of refused payers.
    pub(super) fn expect_patience(&mut self, patience: f64) {
        self.patience = patience;
    }

    /// Adds the prior, what the recent level of demand says, and what refused payers did.
    pub(super) fn posterior(&self, recent: &[Sample], now: Time) -> Posterior {
        let Level { mut logs, rates, events } = self.level(recent, now);
        if !self.raises.is_empty() {
            logs.iter_mut().zip(self.raised(recent, now)).for_each(|(log, raised)| *log += raised);
        }
        Posterior { weights: normalised(&logs), rates, events }
    }

    /// What pairs and the recent level of demand say of each curve.
    fn level(&self, recent: &[Sample], now: Time) -> Level {
        let mut hours = [LEVEL_PRIOR_HOURS; CELLS];
        let mut fits = [0.0; CELLS];
        let (mut events, mut blocks) = (0.0, 0.0);
        for sample in recent {
            let kept = half_lives(sample.at, now, LEVEL_HALF_LIFE_DAYS);
            let odds = odds(sample.f);
            blocks += kept;
            for cell in 0..CELLS {
                hours[cell] += kept * sample.e / (1.0 + odds[cell]);
            }
            if sample.n > 0.0 {
                events += kept * sample.n;
                for cell in 0..CELLS {
                    fits[cell] -= kept * sample.n * (1.0 + odds[cell]).ln();
                }
            }
        }
        let kept = half_lives(self.learned, now, PAIR_HALF_LIFE_DAYS);
        let shape = LEVEL_PRIOR_EVENTS + events;
        let level_weight = if blocks > 0.0 { 1.0 / (1.0 + events / blocks / LEVEL_EVENTS) } else { 1.0 };
        let logs = std::array::from_fn(|cell| {
            let theta = (GRID.ln_theta[cell % THETAS] - self.prior) / PRIOR_SD;
            let kappa = (KAPPAS[cell / THETAS] / USUAL_KAPPA).ln() / KAPPA_SD;
            let prior = -0.5 * (theta * theta + kappa * kappa);
            let level = level_weight * (fits[cell] - shape * hours[cell].ln());
            prior + level + kept * self.weights.get(cell).copied().unwrap_or(0.0)
        });
        Level { logs, rates: hours.map(|h| shape / h), events }
    }
}

/// Weights by their logarithms; they sum to 1.
fn normalised<const N: usize>(logs: &[f64; N]) -> [f64; N] {
    let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = logs.map(|log| (log - best).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

impl Posterior {
    /// Expected events per exposure hour at `fee`.
    pub(super) fn demand(&self, fee: f64) -> f64 {
        let odds = odds(fee);
        (0..CELLS).map(|cell| self.weights[cell] * self.rates[cell] / (1.0 + odds[cell])).sum()
    }

    /// Expected events per exposure hour at each rung of a ladder of fees within the bounds.
    pub(super) fn ladder(&self, low: f64, high: f64) -> Vec<(f64, f64)> {
        let mut wanted = [0.0; RUNGS];
        for (cell, staying) in STAYING.iter().enumerate() {
            let level = self.weights[cell] * self.rates[cell];
            wanted.iter_mut().zip(staying).for_each(|(wanted, stay)| *wanted += stay * level);
        }
        let rungs = LADDER.iter().copied().zip(wanted);
        let ladder: Vec<(f64, f64)> = rungs.filter(|(fee, _)| (low..=high).contains(fee)).collect();
        if ladder.is_empty() { vec![(low, self.demand(low))] } else { ladder }
    }

    /// The same by the day, each with the highest cost (ppm) of a forward at which [`Posterior::best_fee`] still asks it.
    pub(super) fn rungs(&self, low: f64, high: f64) -> Vec<Rung> {
        let mut elasticity = [0.0; RUNGS];
        for (cell, staying) in STAYING.iter().enumerate() {
            let most = self.weights[cell] * KAPPAS[cell / THETAS];
            elasticity.iter_mut().zip(staying).for_each(|(sum, stay)| *sum += most * (1.0 - stay));
        }
        let costs = LADDER.iter().zip(elasticity).filter(|(fee, _)| (low..=high).contains(*fee));
        let costs = costs.map(|(fee, elasticity)| fee - fee / elasticity.max(f64::MIN_POSITIVE));
        let ladder = self.ladder(low, high).into_iter();
        ladder.zip(costs).map(|((fee, events), cost)| Rung { fee, events: 24.0 * events, cost }).collect()
    }

    /// The fee within the bounds that earns most, if every payment costs us `cost` ppm. "Most" is the mean of the logarithm:
    /// the plain mean is carried by the few curves on which a dear fee would earn a fortune, and a channel with little
    /// traffic then climbs to where nobody pays and nothing can be learned. It is where the expected elasticity of demand,
    /// which only grows with the fee, comes up to that of our margin.
    pub(super) fn best_fee(&self, cost: f64, low: f64, high: f64) -> f64 {
        crossing(low, high, |fee| {
            let odds = odds(fee);
            let elasticity: f64 = (0..CELLS)
                .map(|cell| self.weights[cell] * KAPPAS[cell / THETAS] * odds[cell] / (1.0 + odds[cell]))
                .sum();
            elasticity * (fee - cost) >= fee
        })
    }

    /// The chance that the fee which earns most lies above `fee`; or, if demand has a limit (events per hour), that more
    /// than that come at `fee`, which asks for a higher one as well.
    pub(super) fn chance_above(&self, fee: f64, limit: Option<f64>) -> f64 {
        let odds = odds(fee);
        let above = |cell: &usize| {
            let stay = 1.0 / (1.0 + odds[*cell]);
            // Where demand is inelastic a higher fee earns more.
            KAPPAS[cell / THETAS] * (1.0 - stay) < 1.0 || limit.is_some_and(|limit| self.rates[*cell] * stay > limit)
        };
        (0..CELLS).filter(above).map(|cell| self.weights[cell]).sum::<f64>().clamp(0.0, 1.0)
    }

    /// Theta and kappa of the curve below which that share of the weight lies.
    pub(super) fn cell(&self, mark: f64) -> (f64, f64) {
        let mut sum = 0.0;
        let found = self.weights.iter().position(|weight| {
            sum += weight;
            sum > mark
        });
        let cell = found.unwrap_or(CELLS - 1);
        (GRID.ln_theta[cell % THETAS].exp(), KAPPAS[cell / THETAS])
    }

    /// 10 %, mean and 90 % of theta; the mean is the geometric one.
    pub(super) fn theta(&self) -> [f64; 3] {
        let weights: Vec<f64> =
            (0..THETAS).map(|t| (0..KAPPAS.len()).map(|k| self.weights[k * THETAS + t]).sum()).collect();
        interval(&GRID.ln_theta, &weights).map(f64::exp)
    }

    /// 10 %, mean and 90 % of kappa.
    pub(super) fn kappa(&self) -> [f64; 3] {
        let weights: Vec<f64> =
            (0..KAPPAS.len()).map(|k| self.weights[k * THETAS..(k + 1) * THETAS].iter().sum()).collect();
        interval(&KAPPAS, &weights)
    }
}

/// Halvings of the range of fees, in logarithms: the last step is far finer than anything that demand can tell apart.
const HALVINGS: usize = 14;

/// Where `enough` becomes true on the way up; one of the ends if it does not change between them.
fn crossing(low: f64, high: f64, enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low.max(1.0).ln(), high.max(1.0).ln());
    if enough(low.exp()) || low >= high {
        return low.exp();
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if enough(middle.exp()) { high = middle } else { low = middle }
    }
    high.exp()
}

fn interval(values: &[f64], weights: &[f64]) -> [f64; 3] {
    let quantile = |q: f64| {
        let mut sum = 0.0;
        values.iter().zip(weights).find(|(_, w)| {
            sum += **w;
            sum >= q
        })
    };
    let last = values.last().copied().unwrap_or(0.0);
    let mean = values.iter().zip(weights).map(|(v, w)| v * w).sum();
    [quantile(0.1).map_or(last, |(v, _)| *v), mean, quantile(0.9).map_or(last, |(v, _)| *v)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_700_000_000);

    fn sample(day: f64, f: f64, n: f64) -> Sample {
        Sample { at: START.plus_hours(24.0 * day), n, e: 12.0, f, h: 12.0 }
    }

    /// Events of one block at fee `f` if demand is the curve (theta, kappa) with `rate` events an hour at no fee.
    fn expected(f: f64, theta: f64, kappa: f64, rate: f64) -> f64 {
        12.0 * rate / (1.0 + (f / theta).powf(kappa))
    }

    #[test]
    fn the_belief_concentrates_on_the_true_curve() {
        for (theta, kappa) in [(60.0, 1.6), (300.0, 2.2), (300.0, 6.0), (1500.0, 3.5)] {
            let mut belief = Belief::new(theta, START);
            let mut recent = vec![];
            for k in 0..30_i32 {
                // Fees on both sides of theta, as a climb from below and above would try them.
                let f = theta * (0.5 + 0.05 * f64::from(k));
                let day = f64::from(k);
                let pair = [f * 1.2, f / 1.2].map(|f| sample(day, f, expected(f, theta, kappa, 20.0)));
                belief.learn(&pair[0], &pair[1], pair[1].at);
                recent.extend(pair);
            }
            let posterior = belief.posterior(&recent, START.plus_hours(24.0 * 30.0));
            let [low, mean, high] = posterior.theta();
            println!("{theta} {kappa}: {low} {mean} {high} {:?}", posterior.kappa());
            assert!(low <= theta * 1.2 && high >= theta / 1.2, "theta {theta}: {low} {mean} {high}");
            assert!((mean / theta).ln().abs() < 0.2, "theta {theta}: {mean}");
            let [_, k, _] = posterior.kappa();
            assert!((k / kappa).ln().abs() < 0.25, "kappa {kappa}: {k}");
            let best = theta * (1.0 / (kappa - 1.0)).powf(1.0 / kappa);
            let found = posterior.best_fee(0.0, 1.0, 100_000.0);
            assert!((found / best).ln().abs() < 0.2, "best fee {best}: {found}");
        }
    }

    #[test]
    fn without_data_the_belief_is_the_prior() {
        let posterior = Belief::new(200.0, START).posterior(&[], START);
        let [low, mean, high] = posterior.theta();
        assert!(low < 150.0 && high > 500.0 && (mean / 270.0).ln().abs() < 0.1, "{low} {mean} {high}");
    }

    #[test]
    fn the_level_of_demand_cancels_in_a_pair() {
        let pair = |exposure: f64| {
            let mut belief = Belief::new(200.0, START);
            let at = |f, n| Sample { e: exposure, ..sample(0.0, f, n) };
            belief.learn(&at(240.0, 9.0), &at(160.0, 21.0), START.plus_hours(24.0));
            belief.posterior(&[], START.plus_hours(24.0)).theta()
        };
        assert_eq!(pair(12.0), pair(3.0));
    }

    #[test]
    fn the_rung_for_a_cost_is_the_fee_that_earns_most_beyond_it() {
        let recent: Vec<Sample> =
            (0..20).map(|k| sample(f64::from(k) / 2.0, 100.0, expected(100.0, 300.0, 2.2, 10.0))).collect();
        let posterior = Belief::new(222.0, START).posterior(&recent, START.plus_hours(240.0));
        let rungs = posterior.rungs(1.0, 5000.0);
        assert!(rungs.is_sorted_by(|a, b| a.cost < b.cost && a.fee < b.fee && a.events >= b.events));
        for cost in [0.0, 50.0, 200.0, 800.0] {
            let rung = rungs.iter().find(|rung| rung.cost >= cost).unwrap();
            let best = posterior.best_fee(cost, 1.0, 5000.0);
            assert!((rung.fee / best).ln().abs() < 0.061, "{rung:?} for a cost of {cost}: {best}");
            assert!((rung.events / (24.0 * posterior.demand(rung.fee)) - 1.0).abs() < 1e-9);
        }
    }
}
