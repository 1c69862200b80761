//! The prices that were really asked, as one more way to price. Looks at nothing but the clock.

use super::record::{Prices, Record};
use crate::domain::{Msat, Ppm};
use crate::sim::market::Market;
use crate::sim::rules::{Quote, Rule};

pub struct Recorded {
    places: Vec<(Msat, Prices)>,
}

impl Recorded {
    pub fn new(record: &Record) -> Recorded {
        Recorded { places: record.places.iter().map(|p| (p.holding.base, p.prices.clone())).collect() }
    }
}

impl Rule for Recorded {
    fn name(&self) -> &'static str {
        "recorded"
    }

    fn every_secs(&self) -> i64 {
        300
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let now = market.now();
        let quote = |(channel, (base, prices)): (usize, &(Msat, Prices))| {
            let ppm = Ppm(prices.at(now));
            (market.channels[channel].price.ppm != ppm.0).then_some(Quote { channel, base: *base, ppm })
        };
        self.places.iter().enumerate().filter_map(quote).collect()
    }
}
