//! What local balance is worth to a channel that something else than our own forwards refills, and the fee that follows at each
//! balance. Pure arithmetic over rates; knows nothing of time, of memories or of nodes.
//!
//! Payments of all sizes come for the fee that is asked, others come in at their own pace, and what a payment takes is missing when the
//! next one comes. With `V(b)` the expected worth of all fees to come from the balance `b`, those of later days counting less:
//!
//! ```text
//! V(b) / DAYS = max over f of   sum over sizes a <= b of  D(f) p(a) (f a + V(b - a) - V(b))
//!                             + sum over sizes that fit of  inflow p(a) (V(b + a) - V(b))
//! ```
//!
//! The mean of `V(b) - V(b - a)` per unit is the shadow price of the balance: what a forward costs beside its fee. The equation is
//! solved on forty steps of the balance by policy iteration: the worth of a list of fees is a system of linear equations, the fees that
//! are best for that worth are the next list, and after a handful of rounds nothing changes any more (R. Howard, "Dynamic Programming
//! and Markov Processes", 1960).

use crate::domain::units::to_u64_rounded;

/// Steps of the balance from empty to full.
const STEPS: usize = 40;
const STATES: usize = STEPS + 1;
/// Balances for which the answer is told: every fourth.
const TOLD_EVERY: usize = 4;
/// Days after which a fee is worth 1/e of one today. Markets change in weeks, and what was saved for later may not be wanted then.
const DAYS: f64 = 90.0;
/// Share of the capacity that either side must keep.
pub(super) const RESERVE: f64 = 0.01;
/// Rounds end by themselves after about five.
const ROUNDS: usize = 12;

/// A fee that may be asked. Fees and costs are in the same unit, ppm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rung {
    pub(super) fee: f64,
    /// Payments a day that want to leave at it.
    pub(super) events: f64,
    /// What a forward may cost for this still to be the best fee. Rises with the fee.
    pub(super) cost: f64,
}

/// Payments of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    /// Share of the capacity.
    pub(super) share: f64,
    /// The part of all payments that have it.
    pub(super) part: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scene<'a> {
    /// By fee, rising.
    pub(super) rungs: &'a [Rung],
    pub(super) sizes: &'a [Size],
    /// Payments a day that want to come in.
    pub(super) inflow: f64,
}

/// The best fees at local shares from 0 to 1, in equal steps; none if there is no fee to choose from. Never rise with the balance.
pub(super) fn fees(scene: &Scene) -> Vec<f64> {
    if scene.rungs.is_empty() {
        return vec![];
    }
    let mut rungs = [scene.rung(0.0); STATES];
    for _ in 0..ROUNDS {
        let better = scene.costs(&scene.values(&rungs)).map(|cost| scene.rung(cost));
        let settled = better == rungs;
        rungs = better;
        if settled {
            break;
        }
    }
    rungs.iter().step_by(TOLD_EVERY).map(|rung| rung.fee).collect()
}

/// The share of the capacity that is ours in a state.
fn share(state: usize) -> f64 {
    state as f64 / STEPS as f64
}

/// A share as a place between two of so many equal steps: the one below, and how far it is from there to the next.
pub(super) fn between(share: f64, steps: usize) -> (usize, f64) {
    let place = (share * steps as f64).clamp(0.0, steps as f64);
    let below = usize::try_from(to_u64_rounded(place.floor())).unwrap_or_default().min(steps.saturating_sub(1));
    (below, place - below as f64)
}

fn at(values: &[f64; STATES], share: f64) -> f64 {
    let (state, part) = between(share, STEPS);
    values[state] * (1.0 - part) + values[state + 1] * part
}

impl Scene<'_> {
    /// The best fee for what a forward costs.
    fn rung(&self, cost: f64) -> Rung {
        let place = self.rungs.partition_point(|rung| rung.cost < cost).min(self.rungs.len() - 1);
        self.rungs[place]
    }

    /// What each balance is worth if these fees are asked.
    fn values(&self, rungs: &[Rung; STATES]) -> [f64; STATES] {
        let mut system = System::new();
        for (state, rung) in rungs.iter().enumerate() {
            for size in self.sizes {
                let (after, full) = (share(state) - size.share, share(state) + size.share);
                if after >= RESERVE {
                    system.moves(state, after, (rung.events * size.part, rung.fee * size.share));
                }
                if full <= 1.0 - RESERVE {
                    system.moves(state, full, (self.inflow * size.part, 0.0));
                }
            }
        }
        system.solved()
    }

    /// The shadow price of each balance, by what balances are worth. Less balance is never worth less: where only small payments fit,
    /// their own cost would say so.
    fn costs(&self, values: &[f64; STATES]) -> [f64; STATES] {
        let mut least = 0.0;
        let mut costs = [0.0; STATES];
        for state in (0..STATES).rev() {
            let fitting = self.sizes.iter().filter(|size| share(state) - size.share >= RESERVE);
            let (lost, sent) = fitting.fold((0.0, 0.0), |(lost, sent), size| {
                let after = at(values, share(state) - size.share);
                (lost + size.part * (values[state] - after), sent + size.part * size.share)
            });
            if sent > 0.0 {
                least = f64::max(least, lost / sent);
            }
            costs[state] = least;
        }
        costs
    }
}

/// One linear equation for each state; what is earned stands in the last column.
struct System([[f64; STATES + 1]; STATES]);

impl System {
    fn new() -> System {
        let mut rows = [[0.0; STATES + 1]; STATES];
        rows.iter_mut().enumerate().for_each(|(state, row)| row[state] = 1.0 / DAYS);
        System(rows)
    }

    /// So many times a day the balance goes from there to that share, and earns something.
    fn moves(&mut self, from: usize, to: f64, (rate, earned): (f64, f64)) {
        let (state, part) = between(to, STEPS);
        let row = &mut self.0[from];
        row[from] += rate;
        row[state] -= rate * (1.0 - part);
        row[state + 1] -= rate * part;
        row[STATES] += rate * earned;
    }

    /// By elimination. What leads away from a state is less than what stands on its diagonal, so no row needs to be exchanged.
    fn solved(self) -> [f64; STATES] {
        let System(mut rows) = self;
        for pivot in 0..STATES {
            let (above, below) = rows.split_at_mut(pivot + 1);
            let row = &above[pivot];
            for other in below {
                let factor = other[pivot] / row[pivot];
                if factor != 0.0 {
                    other[pivot..].iter_mut().zip(&row[pivot..]).for_each(|(cell, by)| *cell -= factor * by);
                }
            }
        }
        let mut values = [0.0; STATES];
        for state in (0..STATES).rev() {
            let row = &rows[state];
            let known: f64 = (state + 1..STATES).map(|other| row[other] * values[other]).sum();
            values[state] = (row[STATES] - known) / row[state];
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::domain::Ppm;

    /// Payers of whom `1 / (1 + (fee/400)^2)` stay, so many a day at no fee. Half of them are at the best fee, 400 ppm.
    fn rungs(per_day: f64) -> Vec<Rung> {
        let rung = |k: i32| {
            let fee = 20.0 * 1.06_f64.powi(k);
            let odds = (fee / 400.0).powi(2);
            // f - f / elasticity, which is 2 odds / (1 + odds).
            let cost = fee - fee * (1.0 + odds) / (2.0 * odds);
            Rung { fee, events: per_day / (1.0 + odds), cost }
        };
        (0..90).map(rung).collect()
    }

    const SIZES: [Size; 3] =
        [Size { share: 0.005, part: 0.6 }, Size { share: 0.02, part: 0.3 }, Size { share: 0.1, part: 0.1 }];

    fn asked(per_day: f64, inflow: f64) -> Vec<u32> {
        let rungs = rungs(per_day);
        let fees = fees(&Scene { rungs: &rungs, sizes: &SIZES, inflow });
        fees.iter().map(|fee| Ppm::rounded(*fee).0).collect()
    }

    #[test]
    fn what_comes_in_decides_what_balance_is_worth() {
        // payments a day that want out at no fee, that want in | fees from empty to full
        for (out, into, expected) in [
            // Room for all: the fee that earns most, but for the last payments.
            (10.0, 50.0, [465, 439, 414, 414, 414, 414, 414, 414, 414, 414, 414]),
            // As many as pay at 400 ppm.
            (10.0, 5.0, [992, 883, 660, 554, 493, 493, 465, 439, 439, 414, 414]),
            // An eighth of that, and next to none: a full channel is soon an empty one.
            (40.0, 5.0, [2243, 1996, 1492, 1252, 1115, 1052, 992, 936, 833, 699, 622]),
            (40.0, 1.0, [3575, 3575, 3182, 2520, 2243, 1996, 1883, 1777, 1676, 1328, 1182]),
            // What is there is all that there is: it is sold dear, over three months.
            (40.0, 0.0, [3575, 3575, 3575, 3575, 3575, 3575, 3575, 3372, 3182, 2832, 2671]),
        ] {
            assert_eq!(asked(out, into), expected, "{out} out, {into} in");
        }
    }

    #[test]
    fn less_balance_less_inflow_or_more_demand_never_ask_less() {
        for (out, into) in [(3.0, 1.0), (10.0, 5.0), (40.0, 5.0), (200.0, 30.0)] {
            let fees = asked(out, into);
            assert!(fees.is_sorted_by(|a, b| a >= b), "{fees:?}");
            let no_lower = |other: &[u32]| other.iter().zip(&fees).all(|(other, fee)| other >= fee);
            assert!(no_lower(&asked(out, into / 2.0)) && no_lower(&asked(out * 2.0, into)), "{out} out, {into} in");
        }
    }

    /// Played out payment by payment, the list earns more than any one fee.
    #[test]
    fn a_list_of_fees_earns_more_than_any_single_fee() {
        let rungs = rungs(40.0);
        let earned = |fees: &[f64]| {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let (mut local, mut earned) = (0.5, 0.0);
            for _ in 0..200_000 {
                let size = match rng.random_range(0..10) {
                    0..6 => SIZES[0].share,
                    6..9 => SIZES[1].share,
                    _ => SIZES[2].share,
                };
                let fee = fees[between(local, fees.len() - 1).0];
                let odds = (fee / 400.0_f64).powi(2);
                if rng.random_bool(5.0 / 45.0) {
                    local = Some(local + size).filter(|full| *full <= 0.99).unwrap_or(local);
                } else if rng.random_bool(1.0 / (1.0 + odds)) && local - size >= 0.01 {
                    local -= size;
                    earned += fee * size;
                }
            }
            earned
        };
        let list = earned(&fees(&Scene { rungs: &rungs, sizes: &SIZES, inflow: 5.0 }));
        let single = rungs.iter().map(|rung| earned(&[rung.fee])).fold(0.0, f64::max);
        assert!(list > 1.02 * single, "{list:.0} against {single:.0}");
    }

    #[test]
    fn without_a_fee_to_choose_there_is_no_list() {
        assert_eq!(fees(&Scene { rungs: &[], sizes: &SIZES, inflow: 1.0 }), Vec::<f64>::new());
    }
}
