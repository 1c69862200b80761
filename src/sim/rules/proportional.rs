//! charge-lnd's strategy `proportional`, by its README: the rate falls in a straight line from `max_fee_ppm` where nothing is ours to
//! `min_fee_ppm` where everything is. Never looks at forwards.

use super::{Quote, Rule, quotes, share};
use crate::domain::Ppm;
use crate::sim::Market;

pub const NAME: &str = "proportional";
pub const KNOBS: &[f64] = &[50.0, 100.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1_200.0, 1_800.0, 2_500.0];
pub const TUNED: f64 = 1_800.0;

/// `min_fee_ppm`; charge-lnd has no default, its examples begin low.
const MIN: f64 = 10.0;
/// `min_fee_ppm_delta` of this strategy: smaller changes are not worth telling.
const DELTA: u32 = 10;

#[derive(Clone, Debug)]
pub struct Proportional {
    min: f64,
    max: f64,
}

impl Proportional {
    /// The knob is `max_fee_ppm`.
    pub fn new(max: f64) -> Proportional {
        Proportional { min: MIN, max }
    }

    /// A higher minimum than maximum is legal and turns the slope around.
    fn rate(&self, share: f64) -> Ppm {
        Ppm::rounded((self.min + (1.0 - share) * (self.max - self.min)).trunc())
    }
}

impl Rule for Proportional {
    fn name(&self) -> &'static str {
        NAME
    }

    /// It has no timer of its own; operators run it from cron.
    fn every_secs(&self) -> i64 {
        3_600
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        quotes(market, |_, channel| {
            let rate = self.rate(share(channel));
            (rate.0.abs_diff(channel.price.ppm) >= DELTA).then_some(rate)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_straight_and_cut_not_rounded() {
        let rates = |min, max| [0.0, 0.0505, 0.1, 0.5, 0.9, 1.0].map(|r| Proportional { min, max }.rate(r).0);
        assert_eq!(rates(0.0, 1_000.0), [1_000, 949, 900, 500, 99, 0]);
        assert_eq!(rates(900.0, 100.0), [100, 140, 180, 500, 820, 900]);
        assert_eq!(Proportional { min: -50.0, max: 0.0 }.rate(1.0).0, 0);
    }
}
