//! How others price: each rule in its own file, with the source of its formula. They are measured against, never run on a node.

pub mod fixed;
pub mod ours;

use crate::domain::{Msat, Ppm};
use crate::options::Options;
use crate::sim::market::Market;

/// One line of the registry.
pub struct Named {
    pub name: &'static str,
    pub about: &'static str,
    /// Makes the rule with its main knob turned to a value, or left alone.
    pub make: fn(Option<f64>) -> Box<dyn Rule>,
}

/// Every rule that can be asked for by name.
pub const RULES: &[Named] = &[
    Named {
        name: "ours",
        about: "the plugin's pricing alone, without its ledger; no knob",
        make: |_| Box::new(ours::Ours::new(Options::default())),
    },
    Named {
        name: "static",
        about: "one fee for all channels; the knob is the fee in ppm",
        make: |knob| Box::new(fixed::Fixed(knob.map_or(Ppm(fixed::MEDIAN_PPM), Ppm::rounded))),
    },
];

/// A rule by its name, or by its name and the value of its knob: `static`, `static:300`.
pub fn by_name(name: &str) -> Option<Box<dyn Rule>> {
    let (name, knob) = name.split_once(':').map_or((name, None), |(name, knob)| (name, Some(knob)));
    let knob = knob.map(str::parse).transpose().ok()?;
    RULES.iter().find(|rule| rule.name == name).map(|rule| (rule.make)(knob))
}

/// What a rule asks for the way out by one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Place in [`Market::channels`].
    pub channel: usize,
    pub base: Msat,
    pub ppm: Ppm,
}

/// A way to price, asked again and again by whoever plays a tape. It sees of the market what its original sees of a node: our own
/// channels and what became of forwards; never the tape, and never what payers would have paid.
pub trait Rule: Send {
    fn name(&self) -> &'static str;

    /// Seconds between two looks.
    fn every_secs(&self) -> i64;

    /// The channels that get another price now; of the others nothing is said.
    fn look(&mut self, market: &Market) -> Vec<Quote>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_by_its_name() {
        for rule in RULES {
            assert!(by_name(rule.name).is_some_and(|made| made.name() == rule.name));
        }
        assert!(by_name("static:300").is_some());
        assert!(by_name("static:much").is_none() && by_name("nobody").is_none());
    }
}
