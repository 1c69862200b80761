//! How far a policy lets the controller go. Its own limits take the place of the node's; multiples of the fee that was there when they
//! began to hold only draw them more narrowly.

use super::{FeeInputs, Memory, Reason, Tuning};
use crate::domain::{Limits, Ppm};

/// The limits of one peer, and the fee that multiples are of. `None`: the node's hold.
pub(super) fn of(i: &FeeInputs) -> Option<(Tuning, Option<Ppm>)> {
    let limits = &i.policy.limits;
    if limits.is_none() {
        return None;
    }
    let (bottom, top) = (i.tuning.bottom(), i.tuning.top());
    // A rule that names one end means it, also where the node's other end is beyond.
    let min = limits.min.unwrap_or(limits.max.map_or(bottom, |max| max.min(bottom)));
    let max = limits.max.unwrap_or(top.max(min)).max(min);
    let multiplied = limits.multiplier_min.is_some() || limits.multiplier_max.is_some();
    let anchor = multiplied.then(|| {
        let known = i.memory.and_then(|memory| memory.anchor);
        known.unwrap_or_else(|| i.published().clamp(min, max).max(Ppm(1)))
    });
    let (low, high) = anchor.map_or((min, max), |from| multiples(limits, from, (min, max)));
    Some((Tuning { min: low, max: high, ..i.tuning.clone() }, anchor))
}

fn multiples(limits: &Limits, from: Ppm, (min, max): (Ppm, Ppm)) -> (Ppm, Ppm) {
    let of = |multiplier: f64| from.as_f64() * multiplier;
    let low = limits.multiplier_min.map_or(min, |least| Ppm::rounded(of(least).ceil()).clamp(min, max));
    let high = limits.multiplier_max.map_or(max, |most| Ppm::rounded(of(most).floor()).clamp(min, max));
    (low.min(high.max(min)), high.max(low.min(max)))
}

/// What the limits are and whose.
pub(super) fn account(i: &FeeInputs, anchor: Option<Ppm>) -> Option<Reason> {
    let limits = &i.policy.limits;
    let member = match () {
        () if limits.is_none() => return None,
        () if limits.multiplier_max.is_some() => "fee_multiplier_max",
        () if limits.multiplier_min.is_some() => "fee_multiplier_min",
        () if limits.min.is_some() => "min_fee_ppm",
        () => "max_fee_ppm",
    };
    Some(Reason::Limits { min: i.tuning.min, max: i.tuning.max, of: anchor, by: i.policy.by(member) })
}

/// No more than the largest step at once, if there is one.
pub(super) fn step(memory: &Memory, i: &FeeInputs, fee: Ppm, why: &mut Vec<Reason>) -> Ppm {
    let Some(most) = i.policy.limits.max_step else { return fee };
    let standing = memory.standing(i);
    let (low, high) = (standing.0.saturating_sub(most.0), standing.0.saturating_add(most.0));
    let after = Ppm(fee.0.clamp(low, high));
    if after != fee {
        why.push(Reason::Step { most, before: fee, after });
    }
    after
}
