//! One rate for all channels and for ever: what an operator does who copies the median of the network. What others charge is not in
//! the market, so the rate itself is the knob. Never looks at a balance or a forward.

use super::{Quote, Rule, quotes};
use crate::domain::Ppm;
use crate::sim::Market;

pub const NAME: &str = "static";
pub const KNOBS: &[f64] = &[25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1_200.0, 1_800.0];
pub const TUNED: f64 = 800.0;

#[derive(Clone, Debug)]
pub struct Fixed {
    ppm: Ppm,
}

impl Fixed {
    pub fn new(ppm: f64) -> Fixed {
        Fixed { ppm: Ppm::rounded(ppm) }
    }
}

impl Rule for Fixed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        86_400
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        quotes(market, |_, _| Some(self.ppm))
    }
}
