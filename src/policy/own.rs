//! Our own strategies: by balance, by flow, by cost, and those that hand the fee rate to the controller. Never by what was in force
//! before, so that applying twice changes nothing.

use super::strategy::{Ask, common, given, given_but_ppm, own_ratio, truncated, whole};
use super::wanted::{Outcome, Wanted};
use crate::domain::{Limits, Ppm, Sat};

/// What `fee_ppm` is where a strategy needs one and none is given.
const USUAL_PPM: i64 = 1000;

/// The most that a strategy multiplies a fee up to, ppm; a larger `fee_ppm` stays what it is.
const STEEPEST: i64 = 5000;

/// Half-widths of the inbound tiers, ppm.
const DISCOUNT: i64 = 50;
const LEAST_DISCOUNT: i64 = 5;

const RECOVERY_DAYS: i64 = 180;

/// Vbytes of a closing transaction with two outputs.
const CLOSING_VBYTES: f64 = 180.0;
const CLOSING_BLOCKS: u32 = 6;

/// The rate up to which a peer's is no competition, and from which on it is, as shares of ours.
const DEARER: f64 = 1.5;
const CHEAPER: f64 = 0.7;

pub(super) fn decide(name: &str, ask: Ask) -> Result<Outcome, String> {
    let wanted = match name {
        "balance_based" => balance_based(ask)?,
        "flow_based" => flow_based(ask)?,
        "inbound_discount" => Wanted { inbound_ppm: Some(discount(ask)?), ..given(ask)? },
        "inbound_premium" => Wanted { inbound_ppm: Some(premium(ask)?), ..given(ask)? },
        "cost_recovery" => Wanted { ppm: Some(cost_recovery(ask)?), ..given_but_ppm(ask)? },
        "hive" => hive(ask)?,
        "revenue_max" | "dynamic" if ask.params.switch("learning_enabled")? != Some(false) => return controller(ask),
        "revenue_max" | "dynamic" => given(ask)?,
        "passive" => return Ok(Outcome::Untouched),
        _ => return Err(format!("there is no strategy '{name}'")),
    };
    Ok(Outcome::Wanted(common(ask, wanted)?))
}

/// The controller starts from `fee_ppm` and keeps to the limits; what it does not decide is as written.
fn controller(ask: Ask) -> Result<Outcome, String> {
    let params = ask.params;
    let rest = common(ask, given_but_ppm(ask)?)?;
    let limits = Limits {
        min: ppm(params.int("min_fee_ppm")?, "min_fee_ppm")?,
        max: ppm(params.int("max_fee_ppm")?, "max_fee_ppm")?,
        max_step: ppm(params.int("max_step_ppm")?, "max_step_ppm")?,
        ..Limits::default()
    };
    let within = |prior: i64| {
        let least = limits.min.map_or(0, |min| i64::from(min.0));
        let most = limits.max.map_or(i64::from(u32::MAX), |max| i64::from(max.0));
        prior.min(most).max(least)
    };
    let prior = ppm(params.int("fee_ppm")?.map(within), "fee_ppm")?;
    Ok(Outcome::Controller { prior, limits, rest })
}

fn ppm(value: Option<i64>, key: &str) -> Result<Option<Ppm>, String> {
    let one = |value: i64| u32::try_from(value).map(Ppm).map_err(|_| format!("{key} is {value}, which is no fee rate"));
    value.map(one).transpose()
}

/// Half the fee above a share of 0.8 that is ours, twice below 0.2; inbound -100, -25, nothing, +25 at 0.8, 0.4, 0.2.
fn balance_based(ask: Ask) -> Result<Wanted, String> {
    let (fee, ratio) = (fee(ask)?, own_ratio(ask.facts)?);
    let ppm = match ratio {
        _ if ratio > 0.8 => scaled(fee, 0.5).max(1),
        _ if ratio < 0.2 => scaled(fee, 2.0).min(fee.max(STEEPEST)),
        _ => fee,
    };
    let tier = match ratio {
        _ if ratio > 0.8 => -100,
        _ if ratio >= 0.4 => -25,
        _ if ratio >= 0.2 => 0,
        _ => 25,
    };
    over(ask, ppm, tier)
}

/// With `u` the share of the capacity that moved in a week: `fee * (1 + 2u)` above a tenth, `0.7 fee` elsewhere. Inbound by `q`, what
/// came in over what left: up to +50 above 2, down to -100 below a half.
fn flow_based(ask: Ask) -> Result<Wanted, String> {
    let week = ask.facts.week.ok_or("the forwards of the last seven days are not known")?;
    let fee = fee(ask)?;
    let (came_in, left) = (week.in_sat as f64, week.out_sat as f64);
    let moved = (came_in + left) / ask.facts.capacity.as_f64().max(1.0);
    let ppm = match moved > 0.1 {
        true => scaled(fee, 1.0 + 2.0 * moved).min(fee.max(STEEPEST)),
        false => scaled(fee, 0.7).max(1),
    };
    let q = came_in / left.max(1.0);
    let tier = match q {
        // Nothing moved: that says nothing of the direction.
        _ if came_in + left == 0.0 => 0,
        _ if q > 2.0 => truncated(20.0 * q).min(50),
        _ if q < 0.5 && came_in > 0.0 => (-truncated(30.0 / q)).max(-100),
        _ if q < 0.5 => -100,
        _ => 0,
    };
    over(ask, ppm, tier)
}

/// The inbound fee that is written wins over the one that was found.
fn over(ask: Ask, ppm: i64, inbound: i64) -> Result<Wanted, String> {
    let given = given_but_ppm(ask)?;
    Ok(Wanted { ppm: Some(ppm), inbound_ppm: given.inbound_ppm.or(Some(inbound)), ..given })
}

/// All, three fifths, one fifth, one tenth of the discount above a share of 0.8, 0.6, 0.4 that is ours, and below. More of it where the
/// peer asks much less than we do, less where it asks much more.
fn discount(ask: Ask) -> Result<i64, String> {
    let full = ask.params.int("inbound_fee_ppm")?.unwrap_or(-DISCOUNT).min(0);
    let tier = tiered(full, own_ratio(ask.facts)?).max(full);
    let ours = ask.params.int("fee_ppm")?.unwrap_or(i64::from(ask.facts.ours.ppm.0)) as f64;
    let theirs = ask.facts.theirs.map_or(ours, |theirs| theirs.ppm.as_f64());
    let competing = match () {
        () if ours > DEARER * theirs => -truncated(0.3 * (ours - theirs)),
        () if ours < CHEAPER * theirs => truncated(0.2 * (theirs - ours)),
        () => 0,
    };
    Ok(tier.saturating_add(competing).min(0))
}

/// The same upside down: the less is ours, the dearer it is to bring more of it to the other side.
fn premium(ask: Ask) -> Result<i64, String> {
    let full = ask.params.int("inbound_fee_ppm")?.unwrap_or(DISCOUNT).max(0);
    Ok(-tiered(-full, 1.0 - own_ratio(ask.facts)?))
}

fn tiered(full: i64, share: f64) -> i64 {
    match share {
        _ if share > 0.8 => full,
        _ if share > 0.6 => scaled(full, 0.6),
        _ if share > 0.4 => scaled(full, 0.2),
        _ => scaled(full, 0.1).max(-LEAST_DISCOUNT),
    }
}

/// `trunc(factor * 1_000_000 * (opening + closing + rebalancing) / volume) + fee_ppm`. The volume is what leaves within the horizon at
/// the last week's pace, or one filling of the channel if that is more.
fn cost_recovery(ask: Ask) -> Result<i64, String> {
    let (params, facts) = (ask.params, ask.facts);
    let days = params.int("recovery_days")?.unwrap_or(RECOVERY_DAYS) as f64;
    let factor = params.float("cost_factor")?.unwrap_or(1.0);
    let known = |cost: Option<Sat>| cost.map(|sat| sat.as_f64());
    let closing = match (params.int("closing_cost_sat")?, known(facts.costs.closing)) {
        (Some(given), _) => given as f64,
        (None, Some(known)) => known,
        (None, None) if facts.opened_by_us == Some(true) => {
            CLOSING_VBYTES * ask.node.sat_per_vb(CLOSING_BLOCKS).unwrap_or(0.0)
        }
        (None, None) => 0.0,
    };
    let costs = known(facts.costs.opening).unwrap_or(0.0) + closing + known(facts.costs.rebalancing).unwrap_or(0.0);
    let a_day = facts.week.map_or(0.0, |week| week.out_sat as f64 / 7.0);
    let volume = (a_day * days).max(facts.capacity.as_f64());
    let margin = params.int("fee_ppm")?.unwrap_or(0);
    Ok(whole(factor * 1_000_000.0 * costs / volume)?.saturating_add(margin).max(1))
}

fn hive(ask: Ask) -> Result<Wanted, String> {
    let given = given(ask)?;
    Ok(Wanted { ppm: given.ppm.or(Some(0)), base_msat: given.base_msat.or(Some(0)), ..given })
}

fn fee(ask: Ask) -> Result<i64, String> {
    Ok(ask.params.int("fee_ppm")?.unwrap_or(USUAL_PPM))
}

fn scaled(fee: i64, factor: f64) -> i64 {
    truncated(fee as f64 * factor)
}
