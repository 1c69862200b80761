//! A price that follows the balance and the true regime and that everybody knows at once: what only an oracle can ask. No rule
//! ever has it.

use crate::domain::Time;
use crate::domain::units::to_u32_rounded;

/// f = p exp(k (1 - r/t)) where the local share r is below t, and p elsewhere; p by regime.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// p from each moment on, in order; the first holds from the start.
    pub ppm: Vec<(Time, f64)>,
    pub steepness: f64,
    pub threshold: f64,
}

/// No oracle asks more or less than this.
pub const LOWEST_PPM: f64 = 1.0;
pub const HIGHEST_PPM: f64 = 5_000.0;

impl Law {
    /// The same price whatever happens.
    pub fn fixed(start: Time, ppm: f64) -> Law {
        Law { ppm: vec![(start, ppm)], steepness: 0.0, threshold: 0.0 }
    }

    /// p at that moment.
    pub fn level(&self, now: Time) -> f64 {
        let regime = self.ppm.iter().rev().find(|(from, _)| *from <= now).or(self.ppm.first());
        regime.map_or(LOWEST_PPM, |(_, ppm)| *ppm)
    }

    pub fn at(&self, now: Time, local_share: f64) -> u32 {
        let scarce = self.steepness > 0.0 && local_share < self.threshold;
        let factor = if scarce { (self.steepness * (1.0 - local_share / self.threshold)).exp() } else { 1.0 };
        to_u32_rounded((self.level(now) * factor).clamp(LOWEST_PPM, HIGHEST_PPM))
    }

    /// All prices by that factor.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Law {
        let by = |(from, ppm): &(Time, f64)| (*from, (ppm * factor).clamp(LOWEST_PPM, HIGHEST_PPM));
        Law { ppm: self.ppm.iter().map(by).collect(), ..*self }
    }
}
