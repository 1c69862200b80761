//! What holds back a strategy: bounds of the rates, the largest step, and no discount that makes a forward cost less than nothing.

use super::params::Params;
use super::strategy::Ask;
use super::wanted::Wanted;
use super::words::Strategy;
use super::{Origin, Reading};
use crate::domain::Msat;

const MILLION: i128 = 1_000_000;

/// A wanted value that was not allowed to be so.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Held {
    pub key: &'static str,
    pub from: i64,
    pub to: i64,
    pub why: String,
}

/// Brings what is wanted within bounds. charge-lnd knows none.
pub(super) fn hold(ask: Ask, strategy: &Strategy, wanted: &mut Wanted) -> Result<Vec<Held>, String> {
    if ask.params.reading == Reading::ChargeLnd || !strategy.sets_terms {
        return Ok(Vec::new());
    }
    let mut held = Vec::new();
    if let (Some(ppm), true) = (&mut wanted.ppm, strategy.name != "proportional") {
        let (least, most) = bounds(ask.params, strategy)?;
        up(&mut held, "fee_ppm", ppm, least, "min_fee_ppm");
        down(&mut held, "fee_ppm", ppm, most, "max_fee_ppm");
    }
    if let (Some(ppm), Some(step)) = (&mut wanted.ppm, ask.params.int("max_step_ppm")?) {
        let now = i64::from(ask.facts.ours.ppm.0);
        up(&mut held, "fee_ppm", ppm, Some(now.saturating_sub(step)), "max_step_ppm");
        down(&mut held, "fee_ppm", ppm, Some(now.saturating_add(step)), "max_step_ppm");
    }
    settle_level(ask, wanted);
    if let Some(ppm) = &mut wanted.inbound_ppm {
        up(&mut held, "inbound_fee_ppm", ppm, ask.params.int("min_inbound_fee_ppm")?, "min_inbound_fee_ppm");
        down(&mut held, "inbound_fee_ppm", ppm, ask.params.int("max_inbound_fee_ppm")?, "max_inbound_fee_ppm");
    }
    never_below_nothing(ask, strategy, wanted, &mut held);
    Ok(held)
}

/// The bounds of charge-lnd's strategies are those of the section that decides: defaults for another section's `proportional` are none
/// for a fixed fee.
fn bounds(params: &Params, strategy: &Strategy) -> Result<(Option<i64>, Option<i64>), String> {
    let of = |key| match strategy.origin {
        Origin::ChargeLnd => params.own_int(key),
        Origin::Ours => params.int(key),
    };
    Ok((of("min_fee_ppm")?, of("max_fee_ppm")?))
}

/// A level becomes the inbound rate that it stands for, so that bounds can be put to it: it and the outbound rate that will be in force.
fn settle_level(ask: Ask, wanted: &mut Wanted) {
    if let Some(level) = wanted.inbound_level.take() {
        let now = i64::from(ask.facts.ours.ppm.0);
        let least = u64::try_from(wanted.min_delta.unwrap_or(0)).unwrap_or(0);
        let out = wanted.ppm.filter(|new| new.abs_diff(now) >= least).unwrap_or(now);
        wanted.inbound_ppm = Some(level.saturating_sub(out).min(0));
    }
}

/// No discount that makes a forward cost less than nothing. A forward that comes in here leaves by another channel: our own strategies
/// give at most what the cheapest of those asks, or this one where no other is known. What is written for a strategy of charge-lnd counts
/// up to what this channel asks, as its users expect; LND itself lets no total fall below nothing.
fn never_below_nothing(ask: Ask, strategy: &Strategy, wanted: &mut Wanted, held: &mut Vec<Held>) {
    let (node, facts) = (ask.node, ask.facts);
    let strict = strategy.origin == Origin::Ours;
    let ours = wanted.ppm.unwrap_or(i64::from(facts.ours.ppm.0)).max(0);
    let cheapest = node.cheapest_besides(facts.scid).filter(|_| strict);
    let (asked, who) = match cheapest {
        Some((scid, ppm)) => (i64::from(ppm.0), format!("out by {scid}, for {} ppm,", ppm.0)),
        None => (ours, format!("for this channel's own {ours} ppm")),
    };
    // LND asks the inbound rate of amount and outbound fee together: for an outbound rate of `p` that leaves `p / (1 + p)`.
    let deepest = if strict { i128::from(asked) * MILLION / (MILLION + i128::from(asked)) } else { i128::from(asked) };
    if let (Some(ppm), Ok(deepest)) = (&mut wanted.inbound_ppm, i64::try_from(-deepest)) {
        up(
            held,
            "inbound_fee_ppm",
            ppm,
            Some(deepest),
            &format!("with more, a forward {who} would cost less than nothing"),
        );
    }
    let msat = |base: Msat| i64::try_from(base.0).unwrap_or(i64::MAX);
    let ours = wanted.base_msat.unwrap_or(msat(facts.ours.base)).max(0);
    let base = node.least_base_besides(facts.scid).filter(|_| strict).map_or(ours, msat);
    // And of the base fee too.
    let rate = i128::from(wanted.inbound_ppm.unwrap_or(i64::from(facts.ours.inbound_ppm))).clamp(-MILLION, 0);
    let deepest = if strict { i128::from(base) * (MILLION + rate) / MILLION } else { i128::from(base) };
    if let (Some(inbound), Ok(deepest)) = (&mut wanted.inbound_base_msat, i64::try_from(-deepest)) {
        let why = format!("with more, a forward for a base fee of {base} msat would cost less than nothing");
        up(held, "inbound_base_fee_msat", inbound, Some(deepest), &why);
    }
}

fn up(held: &mut Vec<Held>, key: &'static str, value: &mut i64, least: Option<i64>, why: &str) {
    to(held, key, value, least.map(|least| least.max(*value)), why);
}

fn down(held: &mut Vec<Held>, key: &'static str, value: &mut i64, most: Option<i64>, why: &str) {
    to(held, key, value, most.map(|most| most.min(*value)), why);
}

fn to(held: &mut Vec<Held>, key: &'static str, value: &mut i64, bound: Option<i64>, why: &str) {
    if let Some(bound) = bound.filter(|bound| bound != value) {
        held.push(Held { key, from: *value, to: bound, why: why.to_owned() });
        *value = bound;
    }
}
