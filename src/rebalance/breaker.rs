//! When not to try again: a wait after each failure, by its kind, and a long one where nothing has ever come of trying. Pure; the
//! record of past moves is its only memory.

use super::{PastMove, Reason};
use crate::domain::{MoveFailure, PeerId, Time};

/// So many failures in a row toward a peer are futile ...
const FUTILE: usize = 10;
/// ... for so long after the last one.
const FUTILE_HOURS: f64 = 48.0;
/// A wait doubles with each failure in a row, at most so many times.
const DOUBLINGS: usize = 4;

/// Trying to fill toward that peer has led to nothing, whatever was drained for it.
pub(super) fn futile(past: &[PastMove], to: &PeerId, now: Time) -> Option<Reason> {
    let (failures, last) = failed_in_a_row(past.iter().filter(|past| past.to == *to))?;
    waits(last, FUTILE_HOURS, now).filter(|_| failures >= FUTILE).map(|until| Reason::Futile {
        failures,
        kind: last.1,
        until,
    })
}

/// That pair has just failed.
pub(super) fn back_off(past: &[PastMove], (from, to): (&PeerId, &PeerId), now: Time) -> Option<Reason> {
    let pair = past.iter().filter(|past| past.to == *to && past.from == *from);
    let (failures, last) = failed_in_a_row(pair)?;
    let doubled = (0..failures.saturating_sub(1).min(DOUBLINGS)).fold(first_wait_hours(last.1), |hours, _| 2.0 * hours);
    waits(last, doubled, now).map(|until| Reason::BackOff { failures, kind: last.1, until })
}

/// How many failures since something last came across; and the last of them.
fn failed_in_a_row<'a>(past: impl DoubleEndedIterator<Item = &'a PastMove>) -> Option<(usize, (Time, MoveFailure))> {
    let failed = past.rev().map_while(|past| Some((past.ended, past.failure.filter(|_| past.moved.0 == 0)?)));
    let mut failed = failed.peekable();
    let last = *failed.peek()?;
    Some((failed.count(), last))
}

/// How long it takes until another try may end otherwise.
fn first_wait_hours(kind: MoveFailure) -> f64 {
    match kind {
        // Balances on the way change with every payment.
        MoveFailure::Liquidity | MoveFailure::Lost | MoveFailure::Dropped => 0.25,
        // Fees on the way change within hours.
        MoveFailure::TooDear | MoveFailure::TimedOut => 0.5,
        MoveFailure::Refused => 1.0,
        // The shape of the network changes within days.
        MoveFailure::NoRoute => 6.0,
    }
}

/// Until when; `None` when it is over. It is over, too, when the clock was set back.
fn waits((ended, _): (Time, MoveFailure), hours: f64, now: Time) -> Option<Time> {
    (0.0..hours).contains(&now.hours_since(ended)).then(|| ended.plus_hours(hours))
}
