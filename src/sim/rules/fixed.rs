//! One fee for all channels and for ever: what most nodes do. Looks at nothing.

use super::{Quote, Rule};
use crate::domain::{Msat, Ppm};
use crate::sim::market::Market;

/// The median of what nodes of the public network ask, about.
pub const MEDIAN_PPM: u32 = 200;

#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub Ppm);

impl Rule for Fixed {
    fn name(&self) -> &'static str {
        "static"
    }

    fn every_secs(&self) -> i64 {
        86_400
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        (0..market.channels.len()).map(|channel| Quote { channel, base: Msat::ZERO, ppm: self.0 }).collect()
    }
}
