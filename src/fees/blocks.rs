//! Blocks: the hours at one fee in which demand is counted. Turns slices of observation into samples; never decides anything.

use serde::{Deserialize, Serialize};

use super::belief::Sample;
use super::{FeeInputs, Memory, tidy};
use crate::domain::{Channel, Msat, Time};

/// Hours after a change of ours in which payers still route by the old fee.
const WASH_OUT_HOURS: f64 = 3.0;
/// Of a short block the wash-out takes a third at most.
const WASH_OUT_SHARE: f64 = 1.0 / 3.0;
/// A block that could serve less than this share of its time has seen our balance, not the payers.
const LEAST_EXPOSURE: f64 = 0.2;
/// A block whose last hour is still to be read may end; the rest of it counts for the next.
const UNKNOWN_HOURS: f64 = 1.0;
/// Sat that a payment moves where no forward has been seen yet: the usual size on the network.
const USUAL_AMOUNT_MSAT: f64 = 50_000_000.0;
/// Amounts above this quantile count as if they were at it: one whale is not the market.
const WINSOR: f64 = 0.98;

/// A stretch of time at one fee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) start: Time,
    /// Ends with the first decision after this.
    pub(super) until: Time,
    /// What was seen before this still answered to another fee.
    pub(super) washed: Time,
    pub(super) events: f64,
    /// Hours in which payers could be served, weighed by the usual traffic of the hour.
    pub(super) exposure: f64,
    pub(super) hours: f64,
    /// Sum of exposure x ln(fee).
    pub(super) ln_fees: f64,
    /// Something else than the price ruled (congestion): not to be learned from.
    pub(super) marked: bool,
}

impl Block {
    pub(super) fn new(start: Time, hours: f64) -> Block {
        Block {
            start,
            until: start.plus_hours(hours),
            washed: start,
            events: 0.0,
            exposure: 0.0,
            hours: 0.0,
            ln_fees: 0.0,
            marked: false,
        }
    }

    /// A change of ours is on its way into the network's maps.
    pub(super) fn wash_out(&mut self, now: Time) {
        let length = self.until.hours_since(self.start);
        self.washed = self.washed.max(now.plus_hours(washed_hours(length)));
    }

    /// Takes in what was observed, as far as it answers to this block's fee.
    pub(super) fn observe(&mut self, memory: &Seen, i: &FeeInputs) {
        let slice = i.observed;
        let from = slice.from.max(self.washed).max(memory.until);
        let (hours, whole) = (slice.to.hours_since(from), slice.to.hours_since(slice.from));
        if hours <= 0.0 || whole <= 0.0 {
            return;
        }
        let exposure = hours * memory.sendable * traffic(&i.market.traffic, from, slice.to);
        self.events = tidy(self.events + slice.events.max(0.0) * hours / whole);
        self.hours = tidy(self.hours + hours);
        self.exposure = tidy(self.exposure + exposure);
        self.ln_fees = tidy(self.ln_fees + exposure * gossiped(i).max(MIN_FEE).ln());
    }

    /// Is it known who came, up to its end? Where the node does not tell its forwards nothing is tried and nothing concluded: that
    /// nobody is known to have paid is not that nobody paid.
    pub(super) fn is_known(&self, i: &FeeInputs) -> bool {
        self.until.min(i.now).hours_since(i.observed.to) <= UNKNOWN_HOURS
    }

    /// What can be learned from the block, if anything.
    pub(super) fn sample(&self, now: Time) -> Option<Sample> {
        let seen = !self.marked && self.exposure > 0.0 && self.exposure >= LEAST_EXPOSURE * self.hours;
        seen.then(|| Sample {
            at: now,
            n: short(self.events),
            e: short(self.exposure).max(SHORT),
            f: short((self.ln_fees / self.exposure).exp()).max(SHORT),
            h: short(self.hours),
        })
    }
}

/// Hours at the beginning of so many hours at one fee in which payers still go by the one before.
pub fn washed_hours(hours: f64) -> f64 {
    WASH_OUT_HOURS.min(hours * WASH_OUT_SHARE)
}

/// Samples are kept by the dozen: three decimals are enough.
const SHORT: f64 = 0.001;

pub(super) fn short(value: f64) -> f64 {
    tidy((value / SHORT).round() / (1.0 / SHORT))
}

/// A fee of nothing has no logarithm.
const MIN_FEE: f64 = 0.5;

/// Up to when, and how well, the peer's channels were observed before this decision.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) until: Time,
    pub(super) sendable: f64,
}

impl Seen {
    pub(super) fn of(memory: &Memory) -> Seen {
        Seen { until: memory.seen_until, sendable: memory.sendable }
    }
}

/// Share of recent amounts that one of the channels could carry now.
pub(super) fn sendable(i: &FeeInputs) -> f64 {
    let limit =
        i.channels.iter().filter(|c| c.connected).map(|c| c.ours.htlc_max.map_or(c.spendable, |m| m.min(c.spendable)));
    let Some(limit) = limit.max() else { return 0.0 };
    let amounts = &i.market.amounts;
    if amounts.is_empty() {
        return if limit.as_f64() >= USUAL_AMOUNT_MSAT { 1.0 } else { 0.0 };
    }
    amounts.partition_point(|a| *a <= limit) as f64 / amounts.len() as f64
}

/// The part of what usually comes, by its amount, that one of the channels could take in now.
pub(super) fn receivable(i: &FeeInputs) -> f64 {
    let Some(limit) = i.channels.iter().filter(|c| c.connected).map(|c| c.room()).max() else { return 0.0 };
    let amounts = &i.market.amounts;
    if amounts.is_empty() {
        return if limit.as_f64() >= USUAL_AMOUNT_MSAT { 1.0 } else { 0.0 };
    }
    let (fits, top) = (amounts.partition_point(|amount| *amount <= limit), winsor(amounts));
    winsorised(&amounts[..fits], top) / winsorised(amounts, top).max(1.0)
}

/// The rate that payers see, ppm: the base fee counts as what it adds to a payment of the middle size. Where channels
/// differ, the one that can carry more counts more.
pub(super) fn gossiped(i: &FeeInputs) -> f64 {
    mean_rate(i, |channel| channel.ours.ppm.as_f64() + base_rate(channel.ours.base, i))
}

/// Geometric mean over the channels, by what each could send.
fn mean_rate(i: &FeeInputs, rate: impl Fn(&Channel) -> f64) -> f64 {
    let (mut ln, mut whole) = (0.0, 0.0);
    for channel in i.channels {
        let weight = channel.spendable.as_f64() + 1.0;
        ln += weight * rate(channel).max(MIN_FEE).ln();
        whole += weight;
    }
    if whole > 0.0 { (ln / whole).exp() } else { MIN_FEE }
}

/// The proportional fee that is published, ppm; the mean where parallel channels differ.
pub(super) fn asked(i: &FeeInputs) -> f64 {
    mean_rate(i, |channel| channel.ours.ppm.as_f64()).max(1.0)
}

/// What the base fee adds, ppm.
pub(super) fn base_rate(base: Msat, i: &FeeInputs) -> f64 {
    let amounts = &i.market.amounts;
    let median = amounts.get(amounts.len() / 2).map_or(USUAL_AMOUNT_MSAT, |m| m.as_f64());
    base.as_f64() * 1e6 / median.max(1.0)
}

/// Mean size of a payment that we forward, msat.
pub(super) fn mean_amount(amounts: &[Msat]) -> f64 {
    if amounts.is_empty() {
        return USUAL_AMOUNT_MSAT;
    }
    winsorised(amounts, winsor(amounts)) / amounts.len() as f64
}

/// The sum of amounts of which none counts more than `top`, msat.
fn winsorised(amounts: &[Msat], top: f64) -> f64 {
    amounts.iter().map(|amount| amount.as_f64().min(top)).sum()
}

/// The most that one amount counts, msat.
fn winsor(amounts: &[Msat]) -> f64 {
    let last = amounts.len().saturating_sub(1);
    let cut = crate::domain::units::to_u64_rounded(WINSOR * last as f64);
    amounts.get(usize::try_from(cut).unwrap_or(last)).map_or(USUAL_AMOUNT_MSAT, |m| m.as_f64())
}

/// Mean traffic index between two moments, hour by hour; a week is enough to know it.
fn traffic(index: &[f64], from: Time, to: Time) -> f64 {
    if index.is_empty() {
        return 1.0;
    }
    let steps = to.hour().saturating_sub(from.hour()).clamp(0, 167);
    let at = |k: i64| {
        let hour = usize::try_from(from.plus_secs(k * 3600).hour_of_week()).unwrap_or(0);
        index.get(hour).copied().filter(|x| x.is_finite()).unwrap_or(1.0).max(0.0)
    };
    (0..=steps).map(at).sum::<f64>() / (steps + 1) as f64
}
