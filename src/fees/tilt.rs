//! The tilt: a slow correction of the price by the balance itself. Beliefs and flows are never exact, and what they miss piles up
//! in the balance; its integral takes that back. Scarcity is the quick answer to a low balance, this the patient one.

use serde::{Deserialize, Serialize};

use super::tidy;
use crate::domain::Time;

/// The share of local balance that a channel is steered to: a little below the middle, because what is ours earns nothing lying.
const TARGET: f64 = 0.4;
/// What a day at an empty channel adds to the logarithm of the price, per share that is missing.
const GAIN: f64 = 0.1;
/// What a day takes off the correction itself: old errors are forgotten in ten days.
const LEAK: f64 = 0.1;
/// Bounds of the correction, as logarithms. Down it helps less: a full channel needs payers, not a price of nothing.
const LEAST: f64 = -2.0;
const MOST: f64 = 3.0;
/// After a longer absence the balance of meanwhile is unknown.
const LONGEST_DAYS: f64 = 1.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tilt {
    /// `None`: balances are not planned with yet.
    at: Option<Time>,
    /// ln of what the price is multiplied with.
    pub(super) x: f64,
}

impl Tilt {
    /// Follows the share of local balance up to now; `None`: the balance is not planned with, and nothing is corrected.
    pub(super) fn follow(&mut self, local_share: Option<f64>, now: Time) {
        let Some(local_share) = local_share else {
            *self = Tilt::default();
            return;
        };
        let days = self.at.map_or(0.0, |at| (now.hours_since(at) / 24.0).clamp(0.0, LONGEST_DAYS));
        let drift = GAIN * (TARGET - local_share) - LEAK * self.x;
        *self = Tilt { at: Some(now), x: tidy((self.x + days * drift).clamp(LEAST, MOST)) };
    }
}
