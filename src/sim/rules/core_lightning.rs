//! Core Lightning left alone: `fee-base` 1,000 msat and `fee-per-satoshi` 10, the defaults of lightningd-config. Never looks at
//! anything.

use super::{Quote, Rule};
use crate::domain::{Msat, Ppm};
use crate::sim::Market;

pub const NAME: &str = "core-lightning";
/// A default has nothing to tune.
pub const KNOBS: &[f64] = &[TUNED];
pub const TUNED: f64 = 10.0;

const BASE: Msat = Msat(1_000);

#[derive(Clone, Debug)]
pub struct CoreLightning {
    ppm: Ppm,
}

impl CoreLightning {
    pub fn new(ppm: f64) -> CoreLightning {
        CoreLightning { ppm: Ppm::rounded(ppm) }
    }
}

impl Rule for CoreLightning {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        86_400
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let quote = |channel| Quote { channel, base: BASE, ppm: self.ppm };
        let other = |place: &usize| {
            let channel = &market.channels[*place];
            channel.routes() && (channel.price.base, channel.price.ppm) != (BASE.0, self.ppm.0)
        };
        (0..market.channels.len()).filter(other).map(quote).collect()
    }
}
