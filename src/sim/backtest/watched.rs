//! A rule that is watched: how often its fees are such as were never tried. Changes nothing of what it says.

use super::believed::Believed;
use crate::sim::market::Market;
use crate::sim::rules::{Quote, Rule};

/// Up to this factor beyond what was tried a fee is still like it.
const LIKE: f64 = 1.25;

pub(super) struct Watched<'a> {
    rule: &'a mut dyn Rule,
    tried: Vec<(f64, f64)>,
    looks: u64,
    outside: u64,
}

impl<'a> Watched<'a> {
    pub(super) fn new(rule: &'a mut dyn Rule, believed: &Believed) -> Watched<'a> {
        Watched { rule, tried: believed.tried(), looks: 0, outside: 0 }
    }

    pub(super) fn untried(&self) -> f64 {
        self.outside as f64 / self.looks.max(1) as f64
    }
}

impl Rule for Watched<'_> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn every_secs(&self) -> i64 {
        self.rule.every_secs()
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let quotes = self.rule.look(market);
        for (place, (channel, (low, high))) in market.channels.iter().zip(&self.tried).enumerate() {
            let quoted = quotes.iter().find(|quote| quote.channel == place).map(|quote| quote.ppm.0);
            let ppm = f64::from(quoted.unwrap_or(channel.price.ppm));
            self.looks += 1;
            self.outside += u64::from(ppm * LIKE < *low || ppm > high * LIKE);
        }
        quotes
    }
}
