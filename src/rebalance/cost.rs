//! What a move will cost: from our own moves first, then from the node's search for routes, then, as a guess, from the peer's fee. What is
//! not known stays unknown; it is never nothing.

use super::{Basis, PastMove, Reason, Route};
use crate::domain::{Channel, Ppm};

/// Own moves that a median needs to stand alone; with fewer it is blended with the next source below.
const ENOUGH: usize = 5;
/// Only the newest moves are looked at.
const NEWEST: usize = 20;
/// The amount that rates are told for, msat: larger moves take dearer routes ...
const REFERENCE: f64 = 500_000_000.0;
/// ... by this power of the amount.
const CONVEXITY: f64 = 0.15;

/// An expected cost, for any amount.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quote {
    /// At the reference amount and below.
    ppm: f64,
    pub(super) basis: Basis,
}

impl Quote {
    /// The mean rate of so much, ppm.
    pub(super) fn rate(&self, msat: f64) -> f64 {
        self.ppm * dearer(msat)
    }

    /// Msat of fees.
    pub(super) fn cost(&self, msat: f64) -> f64 {
        self.rate(msat) * msat / 1e6
    }
}

/// What all sources together say of one pair.
pub(super) fn quote(
    past: &[PastMove],
    (from, to): (&Channel, &Channel),
    route: Option<&Route>,
    buffer: Ppm,
) -> Result<Quote, Reason> {
    let guess = || {
        let theirs = to.theirs?;
        let base = theirs.base.as_f64() * 1e6 / REFERENCE;
        Some(Quote { ppm: theirs.ppm.as_f64() + base + buffer.as_f64(), basis: Basis::PeerFee })
    };
    let (mut quote, unknown) = match route {
        None => (guess(), Reason::CostUnknown),
        Some(Route::None) => (None, Reason::NoRoute),
        Some(Route::Costs { amount, fee }) => {
            let ppm = reference_rate(fee.as_f64(), amount.as_f64().max(1.0));
            (Some(Quote { ppm, basis: Basis::Route }), Reason::CostUnknown)
        }
    };
    let toward = |past: &&PastMove| past.to == to.peer;
    let pair = |past: &&PastMove| past.to == to.peer && past.from == from.peer;
    quote = blended(past.iter().rev().filter(toward), quote, |moves, guessed| Basis::Peer { moves, guessed });
    blended(past.iter().rev().filter(pair), quote, |moves, guessed| Basis::Pair { moves, guessed }).ok_or(unknown)
}

/// The median of moves that came across, as far as there are enough of them.
fn blended<'a>(
    newest_first: impl Iterator<Item = &'a PastMove>,
    below: Option<Quote>,
    basis: impl FnOnce(usize, bool) -> Basis,
) -> Option<Quote> {
    let came = newest_first.filter(|past| past.moved.0 > 0).take(NEWEST);
    let mut rates: Vec<f64> = came.map(|past| reference_rate(past.spent.as_f64(), past.moved.as_f64())).collect();
    let Some(median) = median(&mut rates) else { return below };
    let moves = rates.len();
    let Some(below) = below.filter(|_| moves < ENOUGH) else {
        return Some(Quote { ppm: median, basis: basis(moves, false) });
    };
    let share = moves as f64 / ENOUGH as f64;
    Some(Quote { ppm: share * median + (1.0 - share) * below.ppm, basis: basis(moves, below.basis.is_guess()) })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

fn reference_rate(fee: f64, msat: f64) -> f64 {
    fee * 1e6 / msat / dearer(msat)
}

fn dearer(msat: f64) -> f64 {
    (msat / REFERENCE).max(1.0).powf(CONVEXITY)
}
