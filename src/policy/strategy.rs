//! The strategies of charge-lnd. Formulas keep its order of operations: the rounding of 64-bit floats shows in the results.

use super::own;
use super::params::Params;
use super::wanted::{Outcome, Wanted};
use crate::domain::{Facts, NodeFacts, Together};

/// Changes of less are not worth telling where balances or block space make the fee.
const MOVING_DELTA: i64 = 10;

/// Vbytes of the payment that `onchain_fee` compares with.
const PAYMENT_VBYTES: f64 = 223.0;

/// An estimate for fewer blocks is not to be had.
const NEAREST_BLOCKS: i64 = 2;

/// Below this many sat/vB a node's estimate is none.
const LEAST_RATE: f64 = 1.0;

/// What a strategy is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) params: &'a Params<'a>,
    pub(super) facts: &'a Facts,
    pub(super) node: &'a NodeFacts,
}

/// What a strategy wants; an error leaves the channel as it is. `use_config` is not decided here.
pub(super) fn decide(name: &str, ask: Ask) -> Result<Outcome, String> {
    let wanted = match name {
        "static" => given(ask)?,
        "proportional" => proportional(ask)?,
        "match_peer" => match_peer(ask)?,
        "cost" => Wanted { ppm: Some(cost(ask)?), ..given_but_ppm(ask)? },
        "onchain_fee" => {
            // Here, other than with `proportional`, a negative threshold is one: none.
            let delta = ask.params.int("min_fee_ppm_delta")?.unwrap_or(MOVING_DELTA);
            Wanted { ppm: Some(onchain_fee(ask)?), min_delta: Some(delta), ..given_but_ppm(ask)? }
        }
        "ignore" => return Ok(Outcome::Untouched),
        "ignore_fees" => Wanted::default(),
        "disable" => return Ok(Outcome::Wanted(Wanted { disabled: Some(true), ..Wanted::default() })),
        other => return own::decide(other, ask),
    };
    Ok(Outcome::Wanted(common(ask, wanted)?))
}

/// What every strategy heeds that sets terms: sizes, time lock, thresholds; and a channel that was disabled by hand is enabled.
pub(super) fn common(ask: Ask, wanted: Wanted) -> Result<Wanted, String> {
    let params = ask.params;
    Ok(Wanted {
        htlc_min_msat: params.int("min_htlc_msat")?,
        htlc_max_msat: largest(ask)?,
        time_lock_delta: params.int("time_lock_delta")?,
        disabled: Some(false),
        min_delta: match wanted.min_delta {
            None => params.int("min_fee_ppm_delta")?,
            set => set,
        },
        min_inbound_delta: params.int("min_inbound_fee_ppm_delta")?,
        ..wanted
    })
}

/// `max_htlc_msat`, or a share of what the channel can carry if that is less.
fn largest(ask: Ask) -> Result<Option<i64>, String> {
    let given = ask.params.int("max_htlc_msat")?;
    // Neither 0 nor what is no number is a share.
    let share =
        ask.params.float("max_htlc_msat_ratio")?.map(|share| share.clamp(0.0, 1.0)).filter(|share| *share > 0.0);
    let Some(share) = share else { return Ok(given) };
    let reserve = ask.facts.reserve.unwrap_or_default();
    let carries = ask.facts.capacity.as_f64() - reserve.as_f64();
    let largest = truncated(share * carries * 1000.0);
    Ok(Some(given.map_or(largest, |given| given.min(largest))))
}

/// Fees as they are written.
pub(super) fn given(ask: Ask) -> Result<Wanted, String> {
    Ok(Wanted { ppm: ask.params.int("fee_ppm")?, ..given_but_ppm(ask)? })
}

pub(super) fn given_but_ppm(ask: Ask) -> Result<Wanted, String> {
    let params = ask.params;
    Ok(Wanted {
        base_msat: params.int("base_fee_msat")?,
        inbound_base_msat: params.int("inbound_base_fee_msat")?,
        inbound_ppm: params.int("inbound_fee_ppm")?,
        inbound_level: params.int("inbound_level_ppm")?,
        ..Wanted::default()
    })
}

fn moving_delta(ask: Ask) -> Result<i64, String> {
    Ok(ask.params.int("min_fee_ppm_delta")?.filter(|delta| *delta >= 0).unwrap_or(MOVING_DELTA))
}

/// `max(0, trunc(min + (1 - ratio) * (max - min)))`
fn proportional(ask: Ask) -> Result<Wanted, String> {
    let (least, most) = (ask.params.needed("min_fee_ppm")?, ask.params.needed("max_fee_ppm")?);
    let shared = ask.facts.shared;
    let ratio = match ask.params.switch("sum_peer_chans")? {
        Some(true) if shared.active.channels > 0 => ratio(shared.active)?,
        Some(true) => ratio(shared.inactive)?,
        _ => own_ratio(ask.facts)?,
    };
    let ppm = truncated(least as f64 + (1.0 - ratio) * (most as f64 - least as f64)).max(0);
    Ok(Wanted { ppm: Some(ppm), min_delta: Some(moving_delta(ask)?), ..given_but_ppm(ask)? })
}

pub(super) fn own_ratio(facts: &Facts) -> Result<f64, String> {
    ratio(Together { channels: 1, local: facts.local, remote: facts.remote })
}

fn ratio(of: Together) -> Result<f64, String> {
    match of.total() {
        0 => Err("the channel is empty, and no share of it is ours".to_owned()),
        all => Ok(of.local.as_f64() / all as f64),
    }
}

/// What the sections before say counts, and the peer's terms where they say nothing.
fn match_peer(ask: Ask) -> Result<Wanted, String> {
    let theirs = ask.facts.theirs.ok_or("the peer's fees are not known")?;
    let given = given(ask)?;
    let base = i64::try_from(theirs.base.0).unwrap_or(i64::MAX);
    Ok(Wanted {
        base_msat: given.base_msat.or(Some(base)),
        ppm: given.ppm.or(Some(i64::from(theirs.ppm.0))),
        inbound_base_msat: given.inbound_base_msat.or(Some(i64::from(theirs.inbound_base_msat))),
        inbound_ppm: given.inbound_ppm.or(Some(i64::from(theirs.inbound_ppm))),
        ..Wanted::default()
    })
}

/// `trunc(cost_factor * 1_000_000 * opening / capacity)`
fn cost(ask: Ask) -> Result<i64, String> {
    let factor = ask.params.float("cost_factor")?.unwrap_or(1.0);
    let Some(opening) = ask.facts.costs.opening else { return Ok(1) };
    whole(factor * 1_000_000.0 * opening.as_f64() / ask.facts.capacity.as_f64())
}

/// `trunc((0.01 / btc) * (223 * sat_per_vb))`
fn onchain_fee(ask: Ask) -> Result<i64, String> {
    let btc = ask.params.float("onchain_fee_btc")?.unwrap_or(0.1);
    let blocks = ask.params.int("onchain_fee_numblocks")?.unwrap_or(6).max(NEAREST_BLOCKS);
    let rate = ask.node.sat_per_vb(u32::try_from(blocks).unwrap_or(u32::MAX));
    let rate =
        rate.filter(|rate| *rate >= LEAST_RATE).ok_or("the node has no on-chain estimate of 1 sat/vB or more")?;
    whole((0.01 / btc) * (PAYMENT_VBYTES * rate))
}

/// Toward zero; what is no number is an error.
pub(super) fn whole(value: f64) -> Result<i64, String> {
    if value.is_finite() { Ok(truncated(value)) } else { Err("the fee would be no number".to_owned()) }
}

/// Toward zero; what lies outside becomes the nearest end.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and dropping the fraction is the order")]
pub(super) fn truncated(value: f64) -> i64 {
    value as i64
}
