//! How others price: each rule in its own file, with the source of its formula. They are measured against, never run on a node.

pub mod clboss;
pub mod core_lightning;
pub mod feeadjuster;
pub mod fixed;
pub mod lndg;
pub mod perturb;
pub mod proportional;
pub mod thompson;

use crate::domain::{Msat, Ppm};
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

/// All rules, as [`by_name`] knows them.
pub const NAMES: &[&str] = &[
    core_lightning::NAME,
    fixed::NAME,
    feeadjuster::NAME,
    proportional::NAME,
    clboss::NAME,
    lndg::NAME,
    perturb::NAME,
    thompson::NAME,
];

/// The rule with its main knob where the training seeds put it.
pub fn by_name(name: &str, seed: u64) -> Option<Box<dyn Rule>> {
    with_knob(name, None, seed)
}

/// The rule with its main knob as given, for those who tune it.
pub fn with_knob(name: &str, knob: Option<f64>, seed: u64) -> Option<Box<dyn Rule>> {
    let at = |tuned: f64| knob.unwrap_or(tuned);
    Some(match name {
        core_lightning::NAME => Box::new(core_lightning::CoreLightning::new(at(core_lightning::TUNED))),
        fixed::NAME => Box::new(fixed::Fixed::new(at(fixed::TUNED))),
        feeadjuster::NAME => Box::new(feeadjuster::Feeadjuster::new(at(feeadjuster::TUNED), seed)),
        proportional::NAME => Box::new(proportional::Proportional::new(at(proportional::TUNED))),
        clboss::NAME => Box::new(clboss::Clboss::new(at(clboss::TUNED), seed)),
        lndg::NAME => Box::new(lndg::Lndg::new(at(lndg::TUNED))),
        perturb::NAME => Box::new(perturb::Perturb::new(at(perturb::TUNED))),
        thompson::NAME => Box::new(thompson::Thompson::new(at(thompson::TUNED), seed)),
        _ => return None,
    })
}

/// What the main knob of a rule is tried at. One step means that there is nothing to tune.
pub fn knobs(name: &str) -> &'static [f64] {
    match name {
        core_lightning::NAME => core_lightning::KNOBS,
        fixed::NAME => fixed::KNOBS,
        feeadjuster::NAME => feeadjuster::KNOBS,
        proportional::NAME => proportional::KNOBS,
        clboss::NAME => clboss::KNOBS,
        lndg::NAME => lndg::KNOBS,
        perturb::NAME => perturb::KNOBS,
        thompson::NAME => thompson::KNOBS,
        _ => &[],
    }
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
