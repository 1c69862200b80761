//! What may be done with a channel, and who said so. The value only: `policy/` resolves it, `fees/` and `rebalance/` obey it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FeePolicy, Msat, Ppm};

/// One channel's policy, from whatever sources: nothing downstream knows where a rule came from, except by the trail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub pricing: Pricing,
    /// With `Pricing::Exact` all that is to be in force; with the controller only what it does not decide itself.
    pub terms: Terms,
    pub rebalance: RebalanceMode,
    pub limits: Limits,
    /// A change of the rate that costs more than this share of the revenue is taken back; `None`: none is.
    pub rollback: Option<f64>,
    pub tags: BTreeSet<String>,
    /// Which source decided each member, in the order in which they spoke.
    pub trail: Vec<Ruling>,
}

static CONTROLLER: Policy = Policy {
    pricing: Pricing::Controller,
    terms: Terms {
        ppm: None,
        base: None,
        inbound_ppm: None,
        inbound_base_msat: None,
        htlc_min: None,
        htlc_max: None,
        time_lock_delta: None,
        disabled: None,
    },
    rebalance: RebalanceMode::Enabled,
    limits: Limits { min: None, max: None, max_step: None, multiplier_min: None, multiplier_max: None },
    rollback: None,
    tags: BTreeSet::new(),
    trail: Vec::new(),
};

impl Policy {
    /// What holds where nobody said anything: the controller, within the node's limits.
    pub fn controller() -> &'static Policy {
        &CONTROLLER
    }

    /// The rate to be in force, if it is not for the controller to find.
    pub fn exact(&self) -> Option<Ppm> {
        self.terms.ppm.filter(|_| self.pricing == Pricing::Exact)
    }

    /// Does the fee controller find the rate?
    pub fn is_controlled(&self) -> bool {
        matches!(self.pricing, Pricing::Controller | Pricing::ControllerFrom(_))
    }

    /// Is the channel left alone only because the rules could not be asked?
    pub fn is_unheard(&self) -> bool {
        self.pricing == Pricing::Untouched
            && self.trail.iter().any(|ruling| matches!(ruling.source, Source::Unusable | Source::Blind))
    }

    /// Is a rate set here, by whatever rule?
    pub fn is_priced(&self) -> bool {
        match self.pricing {
            Pricing::Controller | Pricing::ControllerFrom(_) => true,
            Pricing::Exact => self.terms.ppm.is_some(),
            Pricing::Untouched => false,
        }
    }

    /// Does the peer belong to our hive?
    pub fn is_hive(&self) -> bool {
        let strategy = self.trail.iter().rev().find(|ruling| ruling.member == "strategy");
        strategy.is_some_and(|ruling| ruling.value == "hive")
    }

    /// Who decided a member, in words.
    pub fn by(&self, member: &str) -> String {
        let ruling = self.trail.iter().rev().find(|ruling| ruling.member == member);
        ruling.map_or(Source::Default, |ruling| ruling.source.clone()).to_string()
    }
}

/// Who finds the outbound fee rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pricing {
    /// The fee controller, starting from the prior where it knows nothing yet.
    #[default]
    Controller,
    ControllerFrom(Ppm),
    /// The terms as they stand, also outside the node's limits: 0 ppm is 0 ppm.
    Exact,
    /// Nobody: the channel is never touched.
    Untouched,
}

/// What a channel can be told. `None` leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub ppm: Option<Ppm>,
    pub base: Option<Msat>,
    /// Parts per million of what comes in; negative is a discount. Only LND knows inbound fees.
    pub inbound_ppm: Option<i32>,
    pub inbound_base_msat: Option<i32>,
    pub htlc_min: Option<Msat>,
    pub htlc_max: Option<Msat>,
    /// Blocks; only LND has it per channel.
    pub time_lock_delta: Option<u32>,
    /// Only LND can be told so.
    pub disabled: Option<bool>,
}

impl Terms {
    /// What of it is not in force yet, besides the rate.
    pub fn news(&self, ours: &FeePolicy) -> Terms {
        Terms {
            base: self.base.filter(|base| *base != ours.base),
            htlc_min: self.htlc_min.filter(|least| Some(*least) != ours.htlc_min),
            htlc_max: self.htlc_max.filter(|most| Some(*most) != ours.htlc_max),
            ..Terms::default()
        }
    }

    /// The same without bounds of payments that were told just so before.
    pub fn without(self, told: Option<&Terms>) -> Terms {
        let Some(told) = told else { return self };
        let news = |wanted: Option<Msat>, before: Option<Msat>| wanted.filter(|_| wanted != before);
        Terms { htlc_min: news(self.htlc_min, told.htlc_min), htlc_max: news(self.htlc_max, told.htlc_max), ..self }
    }

    /// In words, rate and inbound fees left out; empty if there is nothing.
    pub fn in_words(&self) -> String {
        let amounts = [("base fee", self.base), ("htlcmin", self.htlc_min), ("htlcmax", self.htlc_max)];
        let told = amounts.iter().filter_map(|(name, amount)| amount.map(|amount| format!("{name} {} msat", amount.0)));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Which way liquidity may be moved by rebalancing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebalanceMode {
    #[default]
    Enabled,
    Disabled,
    /// May be drained, never filled.
    SourceOnly,
    /// May be filled, never drained.
    SinkOnly,
}

/// How far the controller may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub min: Option<Ppm>,
    pub max: Option<Ppm>,
    /// The largest change at once.
    pub max_step: Option<Ppm>,
    /// Bounds of the controller's result in multiples of the fee that it found at its start.
    pub multiplier_min: Option<f64>,
    pub multiplier_max: Option<f64>,
}

/// One source's word on one member of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    pub source: Source,
    /// The member as users spell it: `strategy`, `fee_ppm`, `rebalance_mode`, …
    pub member: String,
    pub value: String,
}

/// Where a rule comes from, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `revenue-policy`, for all channels with the peer.
    Peer,
    /// A section of the rule file.
    Section { name: String, line: u32 },
    /// The rule file, which has errors and always had.
    Unusable,
    /// The rule file, which asks for something that nobody could tell now.
    Blind,
    /// Nobody said anything.
    Default,
}

impl RebalanceMode {
    pub const ALL: [RebalanceMode; 4] =
        [RebalanceMode::Enabled, RebalanceMode::Disabled, RebalanceMode::SourceOnly, RebalanceMode::SinkOnly];

    pub fn name(self) -> &'static str {
        match self {
            RebalanceMode::Enabled => "enabled",
            RebalanceMode::Disabled => "disabled",
            RebalanceMode::SourceOnly => "source_only",
            RebalanceMode::SinkOnly => "sink_only",
        }
    }
}

impl Limits {
    /// What both allow; `None` if nothing is left.
    pub fn both(&self, other: &Limits) -> Option<Limits> {
        let both = Limits {
            min: self.min.max(other.min),
            max: self.max.into_iter().chain(other.max).min(),
            max_step: self.max_step.into_iter().chain(other.max_step).min(),
            multiplier_min: self.multiplier_min.into_iter().chain(other.multiplier_min).reduce(f64::max),
            multiplier_max: self.multiplier_max.into_iter().chain(other.multiplier_max).reduce(f64::min),
        };
        let ordered = both.min.zip(both.max).is_none_or(|(min, max)| min <= max)
            && both.multiplier_min.zip(both.multiplier_max).is_none_or(|(min, max)| min <= max);
        ordered.then_some(both)
    }

    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Peer => f.write_str("the peer's policy"),
            Source::Section { name, line } => write!(f, "section [{name}], line {line}"),
            Source::Unusable => f.write_str("the rule file, which has errors"),
            Source::Blind => f.write_str("the rule file, which asks for what the node did not tell"),
            Source::Default => f.write_str("the default"),
        }
    }
}
