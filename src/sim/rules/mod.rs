//! How others price: each rule in its own file, with the source of its formula. They are measured against, never run on a node.

use crate::domain::{Msat, Ppm};
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
