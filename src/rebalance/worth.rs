//! What a balance is worth at its margin. Where payers are known: what one more satoshi of it earns, if the fee always follows. Where
//! they are not: the fee in force, times the chance that it is needed. Pure; never looks at the cost of moving it.

use super::demand::HORIZON_DAYS;

/// Points at which the price is computed; straight lines lie between them.
const POINTS: usize = 48;

/// What the next millisatoshi of outflow earns (ppm, falling), by the outflow there is (msat a day, rising); nothing past the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Worth {
    points: Vec<(f64, f64)>,
    /// Days over which pricing makes a balance last.
    lasts: f64,
}

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

impl Worth {
    /// `None`: the points are none, out of order, or no numbers.
    pub fn new(points: Vec<(f64, f64)>, lasts: f64) -> Option<Worth> {
        let falls = points.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 >= pair[1].1);
        let numbers = points.iter().all(|(per_day, ppm)| per_day.is_finite() && ppm.is_finite());
        (falls && numbers && !points.is_empty() && lasts > 0.0).then_some(Worth { points, lasts })
    }

    /// What one more unit of a balance earns that is used up within the horizon, beside what comes in by itself (msat a day).
    pub(super) fn of_more(&self, balance: f64, into: f64) -> f64 {
        self.at(into.max(0.0) + balance.max(0.0) / HORIZON_DAYS)
    }

    /// What the last unit of a balance would earn where it is: it is sold no faster than pricing makes it last, and so for more.
    pub(super) fn of_last(&self, balance: f64, into: f64) -> f64 {
        self.at(into.max(0.0) + balance.max(0.0) / self.lasts)
    }

    fn at(&self, per_day: f64) -> f64 {
        let next = self.points.partition_point(|point| point.0 <= per_day);
        match (next.checked_sub(1).and_then(|k| self.points.get(k)), self.points.get(next)) {
            (Some(a), Some(b)) => a.1 + (per_day - a.0) / (b.0 - a.0) * (b.1 - a.1),
            (None, Some(first)) => first.1,
            (_, None) => 0.0,
        }
    }
}

impl Ramp {
    /// `price`: by what has been moved.
    pub(super) fn new(most: f64, price: impl Fn(f64) -> f64) -> Ramp {
        let most = most.max(0.0);
        let step = most / (POINTS as f64 - 1.0);
        let mut place = (0_u32..).map(f64::from);
        let prices: [f64; POINTS] = std::array::from_fn(|_| price(step * place.next().unwrap_or(0.0)));
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
    use super::super::demand::{Need, Sizes};
    use super::*;
    use crate::domain::Msat;

    #[test]
    fn sums_are_the_areas_below_prices() {
        let need = Need::new(&Sizes::new(&[Msat(50_000_000)], 5e9), 3e8, 1e8);
        let ramp = Ramp::new(2e9, |moved| 400.0 * need.chance_above(2e8 + moved));
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
        let ramp = Ramp::new(-5.0, |_| 400.0);
        assert_eq!((ramp.most, ramp.sum(1e9)), (0.0, 0.0));
    }

    #[test]
    fn a_balance_is_worth_what_the_next_of_it_earns() {
        // Up to 100 sat a day are sold at 1,000 ppm and more; 300 sat earn as much as can be earned.
        let worth = Worth::new(vec![(0.0, 2000.0), (100_000.0, 1000.0), (300_000.0, 0.0)], 28.0).unwrap();
        let table = [
            // (balance, comes in a day, ppm)
            (0.0, 0.0, 2000.0),
            (350_000.0, 0.0, 1500.0),
            (0.0, 50_000.0, 1500.0),
            (350_000.0, 50_000.0, 1000.0),
            (700_000.0, 100_000.0, 500.0),
            (0.0, 300_000.0, 0.0),
            (1e12, 0.0, 0.0),
            (-5.0, -5.0, 2000.0),
        ];
        for (balance, into, ppm) in table {
            assert!((worth.of_more(balance, into) - ppm).abs() < 1e-9, "{balance} {into}");
            // Sold four times as slowly.
            assert!((worth.of_last(4.0 * balance, into) - ppm).abs() < 1e-9, "{balance} {into}");
        }
        let refused = |points, lasts| assert_eq!(Worth::new(points, lasts), None);
        refused(vec![], 7.0);
        // More is never worth more.
        refused(vec![(0.0, 5.0), (1.0, 6.0)], 7.0);
        refused(vec![(0.0, f64::NAN)], 7.0);
        refused(vec![(0.0, 5.0)], 0.0);
    }
}
