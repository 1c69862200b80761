//! Surprises: pairs of blocks whose counts contradict what was believed. Says which part of the belief they contradict, never what
//! to do about it.

use crate::fees::belief::{Posterior, Sample};

/// A surprise is beyond 1 % of the expected spread, and not about a handful of events.
const SURPRISE_SD: f64 = 2.33;
const SURPRISE_EVENTS: f64 = 5.0;
/// How far the split of a pair must be off to blame the price and not the size of the market.
const SPLIT_SD: f64 = 1.65;

pub(super) enum Surprise {
    /// As many more or fewer as at any price.
    Market,
    Price {
        up: bool,
    },
}

/// Do the counts of a pair contradict what was believed?
pub(super) fn surprise(belief: &Posterior, first: &Sample, second: &Sample) -> Option<Surprise> {
    let (one, two) = (first.e * belief.demand(first.f), second.e * belief.demand(second.f));
    let (expected, seen) = (one + two, first.n + second.n);
    // The expectation is itself known from so many events only.
    let sd = (expected + expected * expected / (belief.events + 0.5)).sqrt();
    let off = seen - expected;
    if off.abs() < SURPRISE_EVENTS || off.abs() < SURPRISE_SD * sd {
        return None;
    }
    let dear_is_first = first.f >= second.f;
    let (dear_share, dear) = if dear_is_first { (one / expected, first.n) } else { (two / expected, second.n) };
    let split_sd = (seen * dear_share * (1.0 - dear_share)).sqrt().max(1.0);
    let split = (dear - seen * dear_share) / split_sd;
    match (split > SPLIT_SD, split < -SPLIT_SD) {
        (true, _) => Some(Surprise::Price { up: true }),
        (_, true) => Some(Surprise::Price { up: false }),
        _ => Some(Surprise::Market),
    }
}
