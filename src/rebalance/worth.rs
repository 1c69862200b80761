//! What a balance is worth at its margin: the fee that one more satoshi of it would earn, times the chance that it is needed. Pure;
//! never looks at the cost of moving it.

use super::demand::Need;

/// Points at which the price is computed; straight lines lie between them.
const POINTS: usize = 48;

/// The price (ppm) of balance along a channel that is filled or drained, and its sum from the start.
#[derive(Clone, Debug)]
pub(super) struct Ramp {
    /// Msat that can be moved at most.
    pub(super) most: f64,
    step: f64,
    prices: [f64; POINTS],
    /// In msat of fees.
    sums: [f64; POINTS],
}

impl Ramp {
    /// `toward`: 1 if it is filled, -1 if it is drained.
    pub(super) fn new(need: &Need, fee: f64, balance: f64, most: f64, toward: f64) -> Ramp {
        let most = most.max(0.0);
        let step = most / (POINTS as f64 - 1.0);
        let mut place = (0_u32..).map(f64::from);
        let prices: [f64; POINTS] = std::array::from_fn(|_| {
            let moved = step * place.next().unwrap_or(0.0);
            fee * need.chance_above((balance + toward * moved).max(0.0))
        });
        let mut sum = 0.0;
        let sums = std::array::from_fn(|k| {
            if k > 0 {
                sum += step * (prices[k - 1] + prices[k]) / 2.0 / 1e6;
            }
            sum
        });
        Ramp { most, step, prices, sums }
    }

    /// The price when so much has been moved, ppm.
    pub(super) fn price(&self, moved: f64) -> f64 {
        let (k, part) = self.place(moved);
        let next = self.prices[(k + 1).min(POINTS - 1)];
        self.prices[k] + part * (next - self.prices[k])
    }

    /// What all that has been moved is worth, msat.
    pub(super) fn sum(&self, moved: f64) -> f64 {
        let (k, part) = self.place(moved);
        self.sums[k] + part * self.step * (self.prices[k] + self.price(moved)) / 2.0 / 1e6
    }

    /// How much can be moved before the price has fallen to `price`.
    pub(super) fn until(&self, price: f64) -> f64 {
        let Some(k) = self.prices.iter().position(|p| *p <= price) else { return self.most };
        if k == 0 {
            return 0.0;
        }
        let (before, after) = (self.prices[k - 1], self.prices[k]);
        let part = if before > after { (before - price) / (before - after) } else { 0.0 };
        self.step * (k as f64 - 1.0 + part)
    }

    fn place(&self, moved: f64) -> (usize, f64) {
        if self.step <= 0.0 {
            return (0, 0.0);
        }
        let at = (moved / self.step).clamp(0.0, POINTS as f64 - 1.0);
        let k = usize::try_from(crate::domain::units::to_u32_rounded(at.floor())).unwrap_or(0);
        (k, at - at.floor())
    }
}

#[cfg(test)]
mod tests {
    use super::super::demand::Sizes;
    use super::*;
    use crate::domain::Msat;

    #[test]
    fn sums_are_the_areas_below_prices() {
        let need = Need::new(&Sizes::new(&[Msat(50_000_000)], 5e9), 3e8, 1e8);
        let ramp = Ramp::new(&need, 400.0, 2e8, 2e9, 1.0);
        let mut area = 0.0;
        for k in 0..2000 {
            let at = f64::from(k) * 1e6;
            area += ramp.price(at + 5e5);
            assert!((ramp.sum(at + 1e6) - area).abs() < 1e-3 * area + 1.0, "{k}");
            assert!(ramp.price(at) >= ramp.price(at + 1e6));
        }
        let target = ramp.until(100.0);
        assert!((ramp.price(target) - 100.0).abs() < 0.5, "{target}");
        assert_eq!(ramp.until(500.0), 0.0);
        assert_eq!(ramp.until(0.0), ramp.most);
    }

    #[test]
    fn what_cannot_be_moved_is_worth_nothing() {
        let need = Need::new(&Sizes::new(&[], 5e9), 3e8, 0.0);
        let ramp = Ramp::new(&need, 400.0, 0.0, -5.0, 1.0);
        assert_eq!((ramp.most, ramp.sum(1e9)), (0.0, 0.0));
    }
}
