//! How others price: each rule in its own file, with the source of its formula. They are measured against, never run on a node.

pub mod clboss;
pub mod core_lightning;
pub mod feeadjuster;
pub mod fixed;
pub mod lndg;
pub mod ours;
pub mod perturb;
pub mod proportional;
pub mod thompson;

use crate::domain::{Msat, Ppm};
use crate::options::Options;
use crate::sim::channel::SimChannel;
use crate::sim::market::Market;

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

/// One line of the registry.
pub struct Named {
    pub name: &'static str,
    pub about: &'static str,
    /// What its main knob is tried at. One step means that there is nothing to tune.
    pub knobs: &'static [f64],
    /// Makes the rule with its knob at a value, or where training seeds were best for it (`simulate tune`). The seed is for rules that leave something to chance.
    pub make: fn(Option<f64>, u64) -> Box<dyn Rule>,
}

impl Named {
    /// Is there anything to tune?
    pub fn has_knob(&self) -> bool {
        self.knobs.len() > 1
    }
}

/// Every rule that can be asked for by name.
pub const RULES: &[Named] = &[
    Named {
        name: "ours",
        about: "the plugin's pricing alone, without its ledger; the knob at 0: each channel alone",
        knobs: &[0.0, 1.0],
        make: |knob, _| {
            let make = if knob == Some(0.0) { ours::Ours::alone } else { ours::Ours::new };
            Box::new(make(Options::default()))
        },
    },
    Named {
        name: fixed::NAME,
        about: "one fee for all channels; the knob is the fee in ppm",
        knobs: fixed::KNOBS,
        make: |knob, _| Box::new(fixed::Fixed::new(knob.unwrap_or(fixed::TUNED))),
    },
    Named {
        name: core_lightning::NAME,
        about: "what Core Lightning asks if nobody sets a fee; nothing to tune",
        knobs: core_lightning::KNOBS,
        make: |knob, _| Box::new(core_lightning::CoreLightning::new(knob.unwrap_or(core_lightning::TUNED))),
    },
    Named {
        name: feeadjuster::NAME,
        about: "a curve over the balance around a middle fee, which is the knob",
        knobs: feeadjuster::KNOBS,
        make: |knob, seed| Box::new(feeadjuster::Feeadjuster::new(knob.unwrap_or(feeadjuster::TUNED), seed)),
    },
    Named {
        name: proportional::NAME,
        about: "between two fees by the share that is ours; the knob is the higher one",
        knobs: proportional::KNOBS,
        make: |knob, _| Box::new(proportional::Proportional::new(knob.unwrap_or(proportional::TUNED))),
    },
    Named {
        name: clboss::NAME,
        about: "a base fee, which is the knob, times price cards and the balance",
        knobs: clboss::KNOBS,
        make: |knob, seed| Box::new(clboss::Clboss::new(knob.unwrap_or(clboss::TUNED), seed)),
    },
    Named {
        name: lndg::NAME,
        about: "steps by balance and flow, from a starting fee, which is the knob",
        knobs: lndg::KNOBS,
        make: |knob, _| Box::new(lndg::Lndg::new(knob.unwrap_or(lndg::TUNED))),
    },
    Named {
        name: perturb::NAME,
        about: "a step every half hour, kept if revenue rose; the knob is the highest fee",
        knobs: perturb::KNOBS,
        make: |knob, _| Box::new(perturb::Perturb::new(knob.unwrap_or(perturb::TUNED))),
    },
    Named {
        name: thompson::NAME,
        about: "a quadratic of revenue over the fee, drawn from a belief; the knob is where that begins",
        knobs: thompson::KNOBS,
        make: |knob, seed| Box::new(thompson::Thompson::new(knob.unwrap_or(thompson::TUNED), seed)),
    },
];

/// A rule by its name, or by its name and the value of its knob: `static`, `static:300`.
pub fn by_name(name: &str, seed: u64) -> Option<Box<dyn Rule>> {
    let (name, knob) = name.split_once(':').map_or((name, None), |(name, knob)| (name, Some(knob)));
    let knob = knob.map(str::parse).transpose().ok()?;
    RULES.iter().find(|rule| rule.name == name).map(|rule| (rule.make)(knob, seed))
}

/// The share of a channel that is ours, as a node reports it: payments on their way out are still ours.
fn share(channel: &SimChannel) -> f64 {
    if channel.capacity == 0 { 0.5 } else { channel.to_us() as f64 / channel.capacity as f64 }
}

/// Asks for the rate of every channel that routes and drops what is in force already. Except for Core Lightning's default nobody who
/// tunes a rate keeps a base fee beside it, so the base is always 0 here.
fn quotes(market: &Market, mut rate: impl FnMut(usize, &SimChannel) -> Option<Ppm>) -> Vec<Quote> {
    let routing = market.channels.iter().enumerate().filter(|(_, channel)| channel.routes());
    routing
        .filter_map(|(place, channel)| {
            let ppm = rate(place, channel)?;
            let changes = channel.price.ppm != ppm.0 || channel.price.base != 0;
            changes.then_some(Quote { channel: place, base: Msat::ZERO, ppm })
        })
        .collect()
}

#[cfg(test)]
mod tests;
