//! The fees of a channel that is priced alone, by its balance: made when a pair is over, followed until the next one is. Demand that
//! would empty it is met by the price before it is met by an empty channel.

use serde::{Deserialize, Serialize};

use super::bounded;
use crate::domain::Msat;
use crate::fees::belief::Posterior;
use crate::fees::purse::Purse;
use crate::fees::shadow_price::{self, Scene, Size};
use crate::fees::{FeeInputs, tidy};

/// Fewer events than this say too little of demand to foretell what becomes of a balance.
const LEAST_EVENTS: f64 = 3.0;
/// Groups of payments by size, as many in each.
const GROUPS: usize = 8;
/// A payment that is larger than this share of the capacity hardly ever gets through, and counts as one that is not.
const LARGEST: f64 = 0.9;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// Proportional fees (ppm) at local shares from 0 to 1, in equal steps. Empty: as `at` 0. Saved apart.
    #[serde(skip)]
    pub(super) fees: Vec<f64>,
    /// The one at the balance for which the middle was set; 0: the middle was set by somebody else, and the balance has no say.
    at: f64,
    /// ln of what the balance has made of it since.
    pub(super) lean: f64,
}

impl Schedule {
    /// What the believed demand and the purse ask at each balance; empty as long as too little is known.
    pub(super) fn new(purse: &Purse, posterior: &Posterior, i: &FeeInputs, base: f64) -> Schedule {
        if posterior.events < LEAST_EVENTS {
            return Schedule::default();
        }
        let rungs = posterior.rungs(bounded(0.0, i) + base, bounded(f64::INFINITY, i) + base);
        let sizes = sizes(&i.market.amounts, purse.payment(&i.market.amounts), i.capacity());
        let mean: f64 = sizes.iter().map(|size| size.share * size.part).sum();
        let scene = Scene { rungs: &rungs, sizes: &sizes, inflow: purse.inflow_per_day() / mean };
        let fees: Vec<f64> = shadow_price::fees(&scene).iter().map(|fee| tidy((fee - base).max(1.0))).collect();
        let schedule = Schedule { fees, at: 0.0, lean: 0.0 };
        Schedule { at: tidy(schedule.fee(i.local_share()).unwrap_or_default()), ..schedule }
    }

    /// The fee at that balance.
    pub(super) fn fee(&self, local_share: f64) -> Option<f64> {
        let last = self.fees.len().checked_sub(1).filter(|last| *last > 0)?;
        let (below, part) = shadow_price::between(local_share, last);
        Some((self.fees[below].ln() * (1.0 - part) + self.fees[below + 1].ln() * part).exp())
    }

    /// Takes note of the balance of this moment.
    pub(super) fn follow(&mut self, local_share: f64) {
        self.lean = self.fee(local_share).filter(|_| self.at > 0.0).map_or(0.0, |fee| tidy((fee / self.at).ln()));
    }

    pub(super) fn is_resting(&self) -> bool {
        self.at == 0.0
    }

    /// Somebody else has set the middle.
    pub(super) fn rest(&mut self) {
        (self.at, self.lean) = (0.0, 0.0);
    }

    /// The middle now stands where the balance has taken the fee: gives what that is in ln.
    pub(super) fn settle(&mut self) -> f64 {
        let lean = std::mem::take(&mut self.lean);
        self.at = tidy(self.at * lean.exp());
        lean
    }
}

/// Sizes of payments as shares of the capacity, with the spread of the node's payments and the peer's own mean, msat.
fn sizes(amounts: &[Msat], mean: f64, capacity: f64) -> Vec<Size> {
    let size = |msat: f64, part: f64| Size { share: (msat / capacity).min(LARGEST), part };
    let whole: f64 = amounts.iter().map(|amount| amount.as_f64()).sum();
    if whole <= 0.0 {
        return vec![size(mean, 1.0)];
    }
    let usual = whole / amounts.len() as f64;
    let group = |group: &[Msat]| {
        let sum: f64 = group.iter().map(|amount| amount.as_f64()).sum();
        size(sum / group.len() as f64 * mean / usual, group.len() as f64 / amounts.len() as f64)
    };
    amounts.chunks(amounts.len().div_ceil(GROUPS)).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_goes_where_the_balance_has_taken_the_fee() {
        let mut schedule = Schedule { fees: vec![800.0, 400.0, 200.0], at: 400.0, lean: 0.0 };
        // local share: fee, and what the balance has made of 400 ppm
        for (local, fee, lean) in [(0.5, 400.0, 1.0), (0.25, 565.7, 1.414), (0.0, 800.0, 2.0), (0.75, 282.8, 0.707)] {
            schedule.follow(local);
            assert!((schedule.fee(local).unwrap() - fee).abs() < 0.1 && (schedule.lean.exp() - lean).abs() < 0.001);
        }
        let before = schedule.lean;
        assert_eq!(schedule.settle(), before);
        schedule.follow(0.75);
        assert!(schedule.lean.abs() < 1e-4, "told once: {schedule:?}");
        schedule.rest();
        schedule.follow(0.1);
        assert_eq!(schedule.lean, 0.0, "somebody else has set the middle");
    }

    #[test]
    fn sizes_keep_the_spread_of_the_node_and_the_mean_of_the_peer() {
        let amounts: Vec<Msat> = (1..=16).map(|k| Msat(k * 1_000_000)).collect();
        let sizes = sizes(&amounts, 17_000_000.0, 1e9);
        assert_eq!(sizes.len(), GROUPS);
        let mean: f64 = sizes.iter().map(|size| size.share * size.part).sum();
        assert!((mean - 0.017).abs() < 1e-12 && (sizes[7].share / sizes[0].share - 31.0 / 3.0).abs() < 1e-9);
        assert_eq!(super::sizes(&[], 17_000_000.0, 1e9), [Size { share: 0.017, part: 1.0 }]);
    }
}
