//! The Vegas reflex: while block space is suddenly dear, floors rise with it. One state for the whole node; pure, and never
//! a dice roll. Everything is defined in time, so that cycles may come often, seldom or twice in a row.

use serde::{Deserialize, Serialize};

use super::tidy;
use crate::domain::Time;

/// Above this multiple of the 24-hour average the reflex is at its full strength at once.
const PANIC_RATIO: f64 = 4.0;
/// Above this multiple, seen twice in a row, it grows.
const SPIKE_RATIO: f64 = 2.0;
/// Growth in half an hour of a spike that is twice the spike ratio.
const GROWTH: f64 = 0.3;
/// What `decay` and the growth refer to.
const HALF_HOUR_SECS: f64 = 1800.0;
/// Below this the reflex is over; the square root would otherwise keep floors up for hours for nothing.
const NEGLIGIBLE: f64 = 0.01;

/// What is remembered from one look at the fee market to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VegasState {
    /// When it was last brought up to date.
    pub at: Option<Time>,
    /// 0 to 1.
    pub intensity: f64,
    /// The last look, if it saw a spike.
    pub spike_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
pub struct VegasInputs {
    pub now: Time,
    pub sat_per_kvb: Option<f64>,
    /// Average of the last 24 hours; `None`: not known yet.
    pub average_24h: Option<f64>,
    /// What is left of the intensity after 30 minutes.
    pub decay: f64,
    pub enabled: bool,
}

/// The state after one more look.
pub fn step(state: &VegasState, inputs: &VegasInputs) -> VegasState {
    if !inputs.enabled {
        return VegasState { at: Some(inputs.now), ..VegasState::default() };
    }
    let faded = state.intensity * inputs.decay.clamp(0.0, 1.0).powf(half_hours(state.at, inputs.now));
    let ratio = match (inputs.sat_per_kvb, inputs.average_24h) {
        (Some(rate), Some(average)) if average > 0.0 => rate / average,
        // Nothing known is no spike; what there was fades.
        _ => 1.0,
    };
    let spike = ratio > SPIKE_RATIO;
    let intensity = if ratio > PANIC_RATIO {
        1.0
    } else if spike && state.spike_at.is_some() {
        // A second look a few seconds later has seen nothing more: growth counts the time between the looks.
        faded + GROWTH * (ratio - SPIKE_RATIO) / 2.0 * half_hours(state.spike_at, inputs.now).min(1.0)
    } else {
        faded
    };
    VegasState {
        at: Some(inputs.now),
        intensity: tidy(intensity.clamp(0.0, 1.0)),
        spike_at: spike.then_some(inputs.now),
    }
}

fn half_hours(from: Option<Time>, to: Time) -> f64 {
    from.map_or(0.0, |from| (to.hours_since(from) * 3600.0 / HALF_HOUR_SECS).max(0.0))
}

impl VegasState {
    /// What floors are multiplied with, 1 to 3. The square root makes the reflex quick to rise and slow to forget.
    pub fn multiplier(&self) -> f64 {
        if self.intensity < NEGLIGIBLE { 1.0 } else { 1.0 + 2.0 * self.intensity.min(1.0).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_700_000_000);

    fn look(minutes: f64, ratio: f64) -> VegasInputs {
        VegasInputs {
            now: START.plus_hours(minutes / 60.0),
            sat_per_kvb: Some(10_000.0 * ratio),
            average_24h: Some(10_000.0),
            decay: 0.85,
            enabled: true,
        }
    }

    fn after(looks: &[(f64, f64)]) -> f64 {
        looks.iter().fold(VegasState::default(), |s, (minutes, ratio)| step(&s, &look(*minutes, *ratio))).intensity
    }

    #[test]
    fn the_reflex_follows_the_fee_market() {
        type Case = (&'static str, &'static [(f64, f64)], f64);
        let cases: &[Case] = &[
            ("a calm market", &[(0.0, 1.0), (30.0, 1.2), (60.0, 1.9)], 0.0),
            ("over 400 % at once", &[(0.0, 4.1)], 1.0),
            ("400 % is not over 400 %", &[(0.0, 4.0)], 0.0),
            ("over 200 % once", &[(0.0, 3.0)], 0.0),
            ("over 200 % twice in a row", &[(0.0, 3.0), (30.0, 3.0)], 0.15),
            ("twice, but not in a row", &[(0.0, 3.0), (30.0, 1.0), (60.0, 3.0)], 0.0),
            ("three times in a row", &[(0.0, 3.0), (30.0, 3.0), (60.0, 3.0)], 0.15 * 0.85 + 0.15),
            ("twice within no time", &[(0.0, 3.0), (0.0, 3.0), (0.0, 3.0)], 0.0),
            ("fades by the hour", &[(0.0, 5.0), (60.0, 1.0)], 0.85 * 0.85),
            ("fades alike in small steps", &[(0.0, 5.0), (15.0, 1.0), (30.0, 1.0), (60.0, 1.0)], 0.85 * 0.85),
        ];
        for (name, looks, expected) in cases {
            assert!((after(looks) - expected).abs() < 1e-4, "{name}: {} is not {expected}", after(looks));
        }
    }

    #[test]
    fn the_multiplier_is_one_to_three() {
        for (intensity, multiplier) in [(0.0, 1.0), (0.009, 1.0), (0.25, 2.0), (1.0, 3.0)] {
            assert_eq!(VegasState { intensity, ..VegasState::default() }.multiplier(), multiplier);
        }
    }

    #[test]
    fn what_is_not_known_or_switched_off_is_no_spike() {
        let hot = step(&VegasState::default(), &look(0.0, 9.0));
        let unknown = VegasInputs { average_24h: None, ..look(30.0, 9.0) };
        assert!((step(&hot, &unknown).intensity - 0.85).abs() < 1e-4, "it only fades");
        let off = VegasInputs { enabled: false, ..look(30.0, 9.0) };
        assert_eq!(step(&hot, &off).multiplier(), 1.0);
    }

    #[test]
    fn the_state_survives_a_restart() {
        let state = step(&step(&VegasState::default(), &look(0.0, 3.3)), &look(17.0, 2.7));
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<VegasState>(&text).unwrap(), state);
    }
}
