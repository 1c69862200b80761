//! The Vegas reflex.

use crate::domain::Time;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VegasState {}

#[derive(Clone, Debug)]
pub struct VegasInputs {
    pub now: Time,
    pub sat_per_kvb: Option<u64>,
    pub average_24h: Option<f64>,
    pub decay: f64,
    pub enabled: bool,
}

impl VegasState {
    pub fn multiplier(&self) -> f64 {
        1.0
    }
}

pub fn step(_state: &VegasState, _inputs: &VegasInputs) -> VegasState {
    todo!()
}
