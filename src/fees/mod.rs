//! The alpha sequence: what a channel's outbound fee should be now, and why. Pure; never reads a clock, a node or a ledger.

pub mod vegas;

use serde::{Deserialize, Serialize};

use crate::domain::{Channel, FlowClass, Msat, PeerId, Ppm, Time};

/// All that a decision looks at. Channels to one peer are priced together, because Core Lightning forwards over any of
/// several channels with equal fees.
#[derive(Clone, Debug)]
pub struct FeeInputs<'a> {
    pub now: Time,
    pub peer: PeerId,
    /// The channels with the peer that route; never empty.
    pub channels: &'a [&'a Channel],
    /// Msat a day that left by these channels lately; `None` before the first flow analysis.
    pub out_per_day: Option<f64>,
    pub class: Option<FlowClass>,
    pub observed: &'a Observed,
    pub market: &'a Market,
    /// Changes of this peer's fee in the last 24 hours.
    pub updates: Updates,
    /// `None`: this peer is priced for the first time.
    pub memory: Option<&'a Memory>,
    pub tuning: &'a Tuning,
}

/// What happened on the peer's channels since the last decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub from: Time,
    pub to: Time,
    /// Payers who chose our price: settled forwards out, and distinct ones that only our balance made fail; weighed by
    /// the incoming peer's reputation.
    pub events: f64,
    pub out_msat: f64,
    pub in_msat: f64,
}

/// What is the same for all channels of the node in this cycle.
#[derive(Clone, Debug)]
pub struct Market {
    /// Amounts of the last forwards of the whole node, ascending; at most 400.
    pub amounts: Vec<Msat>,
    /// Relative traffic of each hour of the week (168 values around 1), shrunk toward 1 where little was seen.
    pub traffic: Vec<f64>,
    /// What the Vegas reflex multiplies floors with, 1 to 3.
    pub floor_multiplier: f64,
    /// Sat per 1,000 virtual bytes; `None`: unknown.
    pub sat_per_kvb: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    pub ordinary: u32,
    pub urgent: u32,
}

/// The few options that pricing needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub min: Ppm,
    pub max: Ppm,
    pub congestion_threshold: f64,
    pub scarcity: bool,
    pub scarcity_threshold: f64,
    pub updates_per_day: u32,
    pub hysteresis: f64,
}

/// What is remembered from one decision to the next; the step that made it saves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Up to when `Observed` has been taken in.
    pub seen_until: Time,
}

#[derive(Clone, Debug)]
pub struct FeeDecision {
    pub peer: PeerId,
    /// What the fee should be; with `Action::Keep` the target that waits.
    pub target: Ppm,
    pub action: Action,
    /// Each stage's input and verdict, in order.
    pub why: Vec<Reason>,
    pub memory: Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Publish the target on every channel with the peer that has another fee.
    Set {
        /// May exceed the ordinary gossip budget.
        urgent: bool,
    },
    Keep,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Reason {
    Placeholder,
    ByHand { fee: Ppm },
}

pub fn decide(_inputs: &FeeInputs<'_>) -> FeeDecision {
    todo!()
}
pub fn summary(_why: &[Reason]) -> String {
    todo!()
}
pub fn taken_over(_memory: Option<&Memory>, _fee: Ppm, _now: Time) -> Memory {
    todo!()
}
pub fn woken(_memory: &Memory, _now: Time) -> Memory {
    todo!()
}
