//! One channel's statement: what it earned and brought over its life and of late, what it cost, and what to call that.

use super::{Sums, percent};
use crate::domain::{ChannelId, CloseType, Msat, PeerId, Scid, Side, Time};

/// Below and above so many percent a channel is not even any more.
const EVEN_PERCENT: f64 = 10.0;
/// Without a forward for so long, at a loss.
const STAGNANT_DAYS: f64 = 7.0;
const ZOMBIE_DAYS: f64 = 30.0;

/// What is known of a channel's life. `None` is what nobody told.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub channel: ChannelId,
    pub scid: Option<Scid>,
    pub peer: Option<PeerId>,
    pub capacity: Option<Msat>,
    pub opener: Option<Side>,
    pub closer: Option<Side>,
    pub cause: Option<String>,
    pub opened_at: Option<Time>,
    pub closing_at: Option<Time>,
    /// The node has forgotten it.
    pub archived_at: Option<Time>,
    pub close_type: Option<CloseType>,
    /// The node's record of the chain says that its funding was spent for good.
    pub spent: bool,
    pub last_forward: Option<Time>,
    /// What the bookkeeper says that is still ours there.
    pub balance_msat: Option<i64>,
    /// Part of its costs is estimated.
    pub estimated: bool,
    /// Told by the bookkeeper.
    pub spliced: Option<Spliced>,
}

/// How often our side of a channel was spliced, and by how much. What left by a splice out includes its fee if that was paid from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spliced {
    pub in_count: u64,
    pub in_msat: u64,
    pub out_count: u64,
    pub out_msat: u64,
}

impl Spliced {
    pub fn join(&mut self, other: &Spliced) {
        self.in_count = self.in_count.saturating_add(other.in_count);
        self.in_msat = self.in_msat.saturating_add(other.in_msat);
        self.out_count = self.out_count.saturating_add(other.out_count);
        self.out_msat = self.out_msat.saturating_add(other.out_msat);
    }
}

/// A channel's life with what it brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub life: Life,
    pub lifetime: Sums,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Profitable,
    BreakEven,
    Underwater,
    Stagnant,
    Zombie,
}

impl Class {
    pub const ALL: [Class; 5] =
        [Class::Profitable, Class::BreakEven, Class::Underwater, Class::Stagnant, Class::Zombie];

    pub fn name(self) -> &'static str {
        match self {
            Class::Profitable => "profitable",
            Class::BreakEven => "break_even",
            Class::Underwater => "underwater",
            Class::Stagnant => "stagnant_candidate",
            Class::Zombie => "zombie",
        }
    }
}

/// Which way payments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Inactive,
    InboundOnly,
    OutboundOnly,
    InboundDominant,
    OutboundDominant,
    Balanced,
}

impl Profile {
    pub fn of(sums: &Sums) -> Profile {
        match (sums.in_count, sums.out_count) {
            (0, 0) => Profile::Inactive,
            (_, 0) => Profile::InboundOnly,
            (0, _) => Profile::OutboundOnly,
            (inward, out) if inward > out.saturating_mul(3) => Profile::InboundDominant,
            (inward, out) if inward.saturating_mul(100) < out.saturating_mul(33) => Profile::OutboundDominant,
            _ => Profile::Balanced,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Profile::Inactive => "inactive",
            Profile::InboundOnly => "inbound_only",
            Profile::OutboundOnly => "outbound_only",
            Profile::InboundDominant => "inbound_dominant",
            Profile::OutboundDominant => "outbound_dominant",
            Profile::Balanced => "balanced",
        }
    }
}

impl Life {
    pub fn days_open(&self, now: Time) -> Option<f64> {
        let until = self.closing_at.unwrap_or(now);
        self.opened_at.map(|opened| (until.hours_since(opened) / 24.0).max(0.0))
    }

    pub fn is_closed(&self) -> bool {
        self.closing_at.is_some() || self.archived_at.is_some()
    }

    /// Days without a forward, counted from the opening where there never was one.
    pub fn idle_days(&self, now: Time) -> Option<f64> {
        let since = self.last_forward.or(self.opened_at)?;
        Some((now.hours_since(since) / 24.0).max(0.0))
    }
}

/// What the channel's costs have brought back, in percent of them: what it earned and brought in, less what it cost. Without costs it is
/// 100 if it brought anything, and 0 if not.
pub fn roi_percent(sums: &Sums) -> f64 {
    return_of(sums.contribution(), sums.costs.total())
}

/// The same for the costs that go on: what is sunk into opening and splicing does not count.
pub fn marginal_roi_percent(sums: &Sums) -> f64 {
    return_of(sums.contribution(), sums.costs.rebalance)
}

fn return_of(contribution: u64, costs: u64) -> f64 {
    match percent(super::difference(contribution, costs), costs) {
        Some(percent) => percent,
        None if contribution > 0 => 100.0,
        None => 0.0,
    }
}

pub fn classify(statement: &Statement, now: Time) -> Class {
    let roi = roi_percent(&statement.lifetime);
    let idle = statement.life.idle_days(now).unwrap_or_default();
    match roi {
        _ if roi < -EVEN_PERCENT && idle >= ZOMBIE_DAYS => Class::Zombie,
        _ if roi < -EVEN_PERCENT && idle >= STAGNANT_DAYS => Class::Stagnant,
        _ if roi > EVEN_PERCENT => Class::Profitable,
        _ if roi < -EVEN_PERCENT => Class::Underwater,
        _ => Class::BreakEven,
    }
}
