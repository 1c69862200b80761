//! From what is wanted and what is in force to what is to be sent: thresholds, the channel's own limits, and what the node cannot do.

use serde::Serialize;

use super::wanted::Wanted;
use crate::domain::{Msat, OurTerms};

/// What a node lets us say of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub inbound: Inbound,
    pub disable: bool,
    pub time_lock_delta: bool,
}

/// What a node does with inbound fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// It has discounts and surcharges.
    Both,
    /// It refuses surcharges, as LND does unless it is told otherwise.
    Discounts,
    /// It does not know them and says nothing: they go along with other changes, and cause none.
    Disregarded,
    /// There is no way to say them.
    None,
}

impl Capabilities {
    pub const CORE_LIGHTNING: Capabilities =
        Capabilities { inbound: Inbound::None, disable: false, time_lock_delta: false };
    pub const LND: Capabilities = Capabilities { inbound: Inbound::Discounts, disable: true, time_lock_delta: true };
    /// An LND that runs with `accept-positive-inbound-fees`.
    pub const LND_WITH_SURCHARGES: Capabilities = Capabilities { inbound: Inbound::Both, ..Capabilities::LND };
}

/// What is to be sent; nothing at all if nothing changes that is worth it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Update {
    /// Every member that the rules define, also those that stay as they are; `None` if no member changes.
    pub terms: Option<Wanted>,
    /// Disable or enable the channel.
    pub disable: Option<bool>,
    /// Keys that ask for what this node cannot do.
    pub unsupported: Vec<&'static str>,
}

impl Update {
    pub fn is_empty(&self) -> bool {
        self.terms.is_none() && self.disable.is_none()
    }
}

/// What to send for a channel that has `ours` in force; `active`: it can be told to be enabled or disabled.
pub fn changes(ours: &OurTerms, active: bool, wanted: &Wanted, can: Capabilities) -> Update {
    let mut unsupported = Vec::new();
    let mut to = *wanted;
    let delta = wanted.min_delta.unwrap_or(0);
    let ppm = i64::from(ours.ppm.0);
    let ppm_changes = to.ppm.is_some_and(|new| new != ppm && new.abs_diff(ppm) >= threshold(delta));
    let mut changes = ppm_changes || differs(to.base_msat, Some(ours.base));
    let outbound = if ppm_changes { to.ppm.unwrap_or(ppm) } else { ppm };
    changes |= inbound(ours, &mut to, (outbound, delta), can.inbound, &mut unsupported);
    let floor = ours.least_htlc.map(whole);
    to.htlc_min_msat = to.htlc_min_msat.map(|new| floor.map_or(new, |floor| new.max(floor)));
    let ceiling = ours.most_pending.map(whole);
    to.htlc_max_msat = to.htlc_max_msat.map(|new| ceiling.map_or(new, |ceiling| new.min(ceiling)));
    if !can.time_lock_delta && to.time_lock_delta.take().is_some() {
        unsupported.push("time_lock_delta");
    }
    changes |= differs(to.htlc_min_msat, ours.htlc_min) || differs(to.htlc_max_msat, ours.htlc_max);
    changes |= to.time_lock_delta.is_some_and(|new| Some(new) != ours.time_lock_delta.map(i64::from));
    let disable = to.disabled.take().filter(|new| active && *new != ours.disabled);
    if disable.is_some() && !can.disable {
        unsupported.push("disable");
    }
    Update { terms: changes.then_some(to), disable: disable.filter(|_| can.disable), unsupported }
}

/// Brings the inbound members to what can be sent; whether they change anything.
fn inbound(
    ours: &OurTerms,
    to: &mut Wanted,
    (outbound, delta): (i64, i64),
    can: Inbound,
    unsupported: &mut Vec<&'static str>,
) -> bool {
    let level = to.inbound_level.take();
    match can {
        Inbound::None => {
            let asked = [to.inbound_base_msat.take(), to.inbound_ppm.take(), level].iter().any(Option::is_some);
            unsupported.extend(asked.then_some("inbound fees"));
            return false;
        }
        Inbound::Disregarded => return false,
        Inbound::Both | Inbound::Discounts => {}
    }
    if let Some(level) = level {
        to.inbound_ppm = Some(level.saturating_sub(outbound).min(0));
    }
    if can == Inbound::Discounts {
        let above = |member: &Option<i64>| member.is_some_and(|new| new > 0);
        unsupported.extend((above(&to.inbound_ppm) || above(&to.inbound_base_msat)).then_some("inbound surcharges"));
        to.inbound_ppm = to.inbound_ppm.map(|new| new.min(0));
        to.inbound_base_msat = to.inbound_base_msat.map(|new| new.min(0));
    }
    let (base, ppm) = (i64::from(ours.inbound_base_msat), i64::from(ours.inbound_ppm));
    let base_changes = to.inbound_base_msat.is_some_and(|new| new != base);
    let least = threshold(to.min_inbound_delta.unwrap_or(delta));
    if !base_changes {
        // A change to nothing is always made.
        to.inbound_ppm = to.inbound_ppm.map(|new| if new != 0 && new.abs_diff(ppm) < least { ppm } else { new });
    }
    base_changes || to.inbound_ppm.is_some_and(|new| new != ppm)
}

/// A threshold below zero is none.
fn threshold(delta: i64) -> u64 {
    u64::try_from(delta).unwrap_or(0)
}

fn differs(new: Option<i64>, current: Option<Msat>) -> bool {
    new.is_some_and(|new| Some(new) != current.map(whole))
}

fn whole(amount: Msat) -> i64 {
    i64::try_from(amount.0).unwrap_or(i64::MAX)
}
