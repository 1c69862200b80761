//! What a rule can measure of a channel, its peer and the chain.

use crate::domain::{Activity, Facts, Graph, NodeFacts, Sat, Together};

/// How many blocks a day has.
const BLOCKS_A_DAY: f64 = 144.0;

/// A measure with a lower and an upper bound in rule files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    Capacity,
    Ratio,
    Local,
    Remote,
    Age,
    PeerBase,
    PeerPpm,
    HtlcsIn,
    HtlcsOut,
    SatsIn,
    SatsOut,
    HtlcsRatio,
    SatsRatio,
    Pending,
    NextExpiry,
    NodeChannels,
    NodeCapacity,
    SharedChannels(Which),
    SharedCapacity(Which),
    SharedRatio(Which),
    FeeRate,
    AgeDays,
    Flow7d,
    Alternatives,
    FeeRatio,
    Revenue7d,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Active,
    Inactive,
}

/// What came of measuring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measured {
    Value(f64),
    /// Nobody could say: no rule that asks for it matches.
    Unknown(&'static str),
    /// The question makes no sense here: the channel is left alone.
    Absurd(&'static str),
}

/// What a section looks at, with the parameters that it sets for the looking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) facts: &'a Facts,
    pub(super) node: &'a NodeFacts,
    /// Seconds of activity that count.
    pub(super) period: i64,
    /// Blocks that an on-chain estimate is for.
    pub(super) conf_target: u32,
}

use Measured::{Absurd, Unknown, Value};

impl Quantity {
    /// Does it lie between 0 and 1?
    pub(super) fn is_share(self) -> bool {
        matches!(self, Quantity::Ratio | Quantity::HtlcsRatio | Quantity::SatsRatio | Quantity::SharedRatio(_))
    }

    pub(super) fn of(self, look: &Look) -> Measured {
        let facts = look.facts;
        match self {
            Quantity::Capacity => sat(facts.capacity),
            Quantity::Ratio => ratio(facts.local.0, facts.remote.0, Absurd("the channel is empty")),
            Quantity::Local => sat(facts.local),
            Quantity::Remote => sat(facts.remote),
            Quantity::Age => Value(facts.age(look.node) as f64),
            Quantity::AgeDays => Value(facts.age(look.node) as f64 / BLOCKS_A_DAY),
            Quantity::PeerBase => known(facts.theirs.map(|t| t.base.0 as f64), NO_TERMS),
            Quantity::PeerPpm => known(facts.theirs.map(|t| t.ppm.as_f64()), NO_TERMS),
            Quantity::HtlcsIn => activity(look, |a| a.htlcs_in as f64),
            Quantity::HtlcsOut => activity(look, |a| a.htlcs_out as f64),
            Quantity::SatsIn => activity(look, |a| a.in_sat as f64),
            Quantity::SatsOut => activity(look, |a| a.out_sat as f64),
            // Without any activity these are no numbers, and no bound holds.
            Quantity::HtlcsRatio => activity(look, |a| a.htlcs_in as f64 / (a.htlcs_in as f64 + a.htlcs_out as f64)),
            Quantity::SatsRatio => activity(look, |a| a.in_sat as f64 / (a.in_sat as f64 + a.out_sat as f64)),
            Quantity::Pending => Value(f64::from(facts.pending)),
            Quantity::NextExpiry => next_expiry(look),
            Quantity::FeeRate => {
                known(look.node.sat_per_vb(look.conf_target), "the node cannot estimate on-chain fees now")
            }
            Quantity::Flow7d => known(facts.week.map(|w| w.in_sat as f64 + w.out_sat as f64), NO_WEEK),
            Quantity::Revenue7d => known(facts.week.map(|w| w.earned_sat as f64), NO_WEEK),
            Quantity::FeeRatio => fee_ratio(facts),
            _ => self.of_peer(facts),
        }
    }

    fn of_peer(self, facts: &Facts) -> Measured {
        let shared = facts.shared;
        let both = || shared.active.with(shared.inactive);
        match (self, facts.peer_in_graph) {
            (Quantity::SharedChannels(which), _) => Value(f64::from(which.of(facts).channels)),
            (Quantity::SharedCapacity(which), _) => Value(which.of(facts).total() as f64),
            (Quantity::SharedRatio(Which::All), _) => {
                ratio(both().local.0, both().remote.0, Absurd("all channels with the peer are empty"))
            }
            (Quantity::SharedRatio(which), _) => {
                let part = which.of(facts);
                ratio(part.local.0, part.remote.0, Unknown("there is no such channel with anything in it"))
            }
            (Quantity::NodeChannels, Graph::Known { channels, .. }) => Value(f64::from(channels)),
            (Quantity::NodeCapacity, Graph::Known { capacity, .. }) => sat(capacity),
            (Quantity::Alternatives, Graph::Known { channels, .. }) => {
                Value(f64::from(channels.saturating_sub(both().channels)))
            }
            _ => Unknown("the graph has not been read"),
        }
    }
}

const NO_TERMS: &str = "the peer's fees are not known";
const NO_WEEK: &str = "the forwards of the last seven days are not known";

impl Which {
    fn of(self, facts: &Facts) -> Together {
        match self {
            Which::All => facts.shared.active.with(facts.shared.inactive),
            Which::Active => facts.shared.active,
            Which::Inactive => facts.shared.inactive,
        }
    }
}

fn sat(amount: Sat) -> Measured {
    Value(amount.as_f64())
}

fn known(value: Option<f64>, otherwise: &'static str) -> Measured {
    value.map_or(Unknown(otherwise), Value)
}

fn ratio(local: u64, remote: u64, empty: Measured) -> Measured {
    match local.saturating_add(remote) {
        0 => empty,
        both => Value(local as f64 / both as f64),
    }
}

fn activity(look: &Look, of: impl Fn(&Activity) -> f64) -> Measured {
    known(look.facts.activity.get(&look.period).map(of), "the forwards of that time are not known")
}

fn next_expiry(look: &Look) -> Measured {
    let blocks = |expiry: u32| f64::from(expiry) - f64::from(look.node.height);
    known(look.facts.next_expiry.map(blocks), "no payment is pending")
}

/// What the peer asks on this channel, in multiples of what we ask.
fn fee_ratio(facts: &Facts) -> Measured {
    match facts.theirs {
        None => Unknown(NO_TERMS),
        Some(theirs) if theirs.ppm == facts.ours.ppm => Value(1.0),
        Some(theirs) => Value(theirs.ppm.as_f64() / facts.ours.ppm.as_f64()),
    }
}
