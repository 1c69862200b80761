//! The ceiling: the highest fee that an operator wants to ask. The last word on the number.

use super::{FeeInputs, Reason};
use crate::domain::Ppm;

/// `fee` in whole ppm, or the ceiling where that is lower.
pub(super) fn stage(i: &FeeInputs, fee: f64, why: &mut Vec<Reason>) -> Ppm {
    let max = i.tuning.top();
    let after = Ppm::rounded(fee).min(max);
    why.push(Reason::Ceiling { max, before: fee, after });
    after
}
