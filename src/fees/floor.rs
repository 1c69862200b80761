//! The floor: what a channel must at least earn. Knows chain fees and expected volume; nothing of demand at other prices.

use super::{FeeInputs, Reason};
use crate::domain::{Ppm, Side};

/// A funding transaction: one input, the channel, change.
const OPENING_VBYTES: f64 = 140.0;
/// A closing with one commitment output of ours swept: dearer than a mutual close, cheaper than a fight.
const CLOSING_VBYTES: f64 = 200.0;
/// How long a channel has to earn its two transactions. Most that fail do so within the year.
const LIFE_DAYS: f64 = 365.0;
/// A channel that turns over less than once a month would not be opened again: its floor must not price it out entirely.
const LEAST_TURNOVERS: f64 = 12.0;

/// `fee`, or the floor where that is higher.
pub(super) fn stage(i: &FeeInputs, fee: f64, why: &mut Vec<Reason>) -> f64 {
    let (chain, multiplier, floor) = (chain_ppm(i), multiplier(i), floor(i));
    let after = fee.max(floor);
    why.push(Reason::Floor {
        min: i.tuning.bottom(),
        chain,
        sat_per_kvb: i.market.sat_per_kvb,
        opened: opened(i),
        msat_a_year: msat_a_year(i),
        multiplier,
        floor: Ppm::rounded(floor),
        before: fee,
        after,
    });
    after
}

fn multiplier(i: &FeeInputs) -> f64 {
    i.market.floor_multiplier.clamp(1.0, 3.0)
}

fn floor(i: &FeeInputs) -> f64 {
    (calm_floor(i) * multiplier(i)).min(i.tuning.top().as_f64())
}

/// Has the Vegas reflex raised the floor above this fee? A spike is over before an ordinary change has its turn.
pub(super) fn is_raised_above(i: &FeeInputs, fee: Ppm) -> bool {
    multiplier(i) > 1.0 && fee < Ppm::rounded(floor(i))
}

/// The floor without the Vegas reflex, never above the ceiling. The learner's centre rests on it: a spike must not teach it.
pub(super) fn calm_floor(i: &FeeInputs) -> f64 {
    i.tuning.bottom().as_f64().max(chain_ppm(i).unwrap_or(0.0)).min(i.tuning.top().as_f64())
}

/// On-chain cost of the life of the channels that we opened (a peer that opens pays for both transactions) over the
/// volume that all channels with the peer will carry. `None`: the price of block space is unknown.
fn chain_ppm(i: &FeeInputs) -> Option<f64> {
    let sat_per_vbyte = i.market.sat_per_kvb? as f64 / 1000.0;
    let cost_msat = f64::from(opened(i)) * (OPENING_VBYTES + CLOSING_VBYTES) * sat_per_vbyte * 1000.0;
    let volume = msat_a_year(i);
    Some(if volume > 0.0 { cost_msat / volume * 1e6 } else { 0.0 })
}

fn opened(i: &FeeInputs) -> u32 {
    i.channels.iter().map(|c| u32::from(c.opener == Some(Side::Local))).sum()
}

/// What the channels are expected to carry in their life.
fn msat_a_year(i: &FeeInputs) -> f64 {
    (i.out_per_day.unwrap_or(0.0) * LIFE_DAYS).max(i.capacity() * LEAST_TURNOVERS)
}
