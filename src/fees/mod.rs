//! The alpha sequence: what a channel's outbound fee should be now, and why. Pure; never reads a clock, a node or a ledger.

mod belief;
mod bid_price;
mod blocks;
mod ceiling;
mod congestion;
pub mod fitted;
mod floor;
mod gossip;
mod hill_climb;
mod limits;
mod memory;
mod plan;
mod purse;
mod reason;
mod rehearsal;
mod ruled;
mod scarcity;
mod shadow_price;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_market;
mod tilt;
pub mod vegas;

use crate::domain::{Channel, Msat, PeerId, Policy, Ppm, Pricing, Time};

pub use hill_climb::Learner;
pub use memory::{
    Memory, Saved, asked_at, debug, in_earnest, learner, recalled, saved, set_by_hand, taken_over, untold, woken,
};
pub use plan::{Bid, Demand, Plan, PlanInputs, Planned, Wanted, patience_of, plan, wanted};
pub use reason::{Phase, Reason, Slots, Verdict, in_words, summary, told, waits};

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
    pub observed: &'a Observed,
    pub market: &'a Market,
    /// Changes of this peer's fee in the last 24 hours.
    pub updates: Updates,
    /// `None`: this peer is priced for the first time.
    pub memory: Option<&'a Memory>,
    /// What the plan of the whole node says of the peer; `None`: there is none yet.
    pub bid: Option<&'a Bid>,
    pub tuning: &'a Tuning,
    /// What may be done with the peer's channels.
    pub policy: &'a Policy,
}

/// What happened on the peer's channels since the last decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub from: Time,
    pub to: Time,
    /// Payers who chose our price: settled forwards out, and distinct ones that only our balance made fail; weighed by
    /// the incoming peer's reputation.
    pub events: f64,
    /// Settled forwards out, each counted as one.
    pub settled: f64,
    pub out_msat: f64,
    /// What forwards brought in.
    pub in_msat: f64,
    /// What our own moves of liquidity have brought, net. It was paid for, and it will not come again by itself.
    pub moved_msat: f64,
    /// Payers who came with a price of ours that was too old, by the time at which they came.
    pub refused: Vec<Refused>,
}

/// A payer whom our node has refused because of an old, lower price (`fee_insufficient`), and told the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub at: Time,
    /// Did it come again at once, with the new price?
    pub came_back: bool,
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
    /// Of refused payers who would pay the new price, the part that comes back: as the last plan has found it.
    pub patience: f64,
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

/// One peer's fee, as of now: by its policy, or by the controller within the limits that the policy leaves it.
pub fn decide(i: &FeeInputs) -> FeeDecision {
    match (i.policy.pricing, i.policy.exact()) {
        (Pricing::Exact, Some(fee)) => ruled::exact(i, fee),
        (Pricing::Exact, None) | (Pricing::Untouched, _) => ruled::untouched(i),
        (Pricing::Controller | Pricing::ControllerFrom(_), _) => match limits::of(i) {
            None => controlled(i, None),
            Some((tuning, anchor)) => controlled(&FeeInputs { tuning: &tuning, ..i.clone() }, anchor),
        },
    }
}

/// The controller's word. The learner always learns; congestion, while it lasts, overrules what it says.
fn controlled(i: &FeeInputs, anchor: Option<Ppm>) -> FeeDecision {
    let mut why = Vec::with_capacity(8);
    let mut memory = memory::recall(i, &mut why);
    memory.anchor = anchor;
    why.extend(limits::account(i, anchor));
    let congested = congestion::stage(&mut memory, i, &mut why);
    let learned = hill_climb::stage(&mut memory, i, &mut why);
    let wanted = match congested {
        Some(fee) => fee,
        None => scarcity::stage(&memory, i, learned, &mut why),
    };
    let wanted = gossip::joined(&memory, i, &mut why).unwrap_or(wanted);
    let fee = ceiling::stage(i, floor::stage(i, wanted, &mut why), &mut why);
    let fee = limits::step(&memory, i, fee, &mut why);
    let (target, action) = gossip::stage(&mut memory, i, fee, &mut why);
    FeeDecision { peer: i.peer, target, action, why, memory }
}

impl FeeDecision {
    /// The same with the account of the reflex, which was made for the whole node before, in its place: where a rule names the fee it
    /// has none.
    pub fn with_vegas(mut self, vegas: Reason) -> FeeDecision {
        if let Some(place) = self.why.iter().position(|reason| reason.stage() == "hill_climb") {
            self.why.insert(place, vegas);
        }
        self
    }
}

impl Tuning {
    /// The ceiling; also where the options contradict each other.
    fn top(&self) -> Ppm {
        self.max
    }

    /// The lowest fee that is ever set.
    fn bottom(&self) -> Ppm {
        self.min.min(self.max)
    }
}

impl FeeInputs<'_> {
    /// The plan's price, where the peer is priced by it.
    fn bid(&self) -> Option<f64> {
        self.bid.filter(|bid| bid.holds).map(|bid| bid.fee)
    }

    /// The fee that the network knows: that of the largest channel, where channels differ; a new one has not been asked.
    fn published(&self) -> Ppm {
        let known = |c: &Channel| self.memory.is_some_and(|m| m.knows(&c.channel_id));
        let speaker = self.channels.iter().max_by_key(|c| (known(c), c.capacity));
        speaker.map_or(self.tuning.bottom(), |c| c.ours.ppm)
    }

    /// Has the operator drawn the limits more narrowly since this fee was set?
    fn is_outside_limits(&self, fee: Ppm) -> bool {
        !(self.tuning.bottom()..=self.tuning.top()).contains(&fee)
    }

    fn local(&self) -> f64 {
        self.channels.iter().map(|c| c.local.as_f64()).sum()
    }

    fn capacity(&self) -> f64 {
        self.channels.iter().map(|c| c.capacity.as_f64()).sum()
    }

    /// Share of local balance over all channels with the peer.
    fn local_share(&self) -> f64 {
        let capacity = self.capacity();
        if capacity > 0.0 { (self.local() / capacity).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Numbers in memory are kept to six decimals: short in JSON, and read back as exactly what was written.
fn tidy(value: f64) -> f64 {
    let rounded = (value.clamp(-TIDY_LIMIT, TIDY_LIMIT) * 1e6).round() / 1e6;
    if rounded.is_nan() { 0.0 } else { rounded }
}

/// Up to here six decimals are within what a float holds.
const TIDY_LIMIT: f64 = 1e8;

/// Log weights need four decimals: a hundred pairs round by less than a hundredth.
fn tidy_weight(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.is_finite() { rounded } else { 0.0 }
}
