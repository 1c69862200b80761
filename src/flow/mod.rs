//! Forwards -> flow: where the money of a channel goes. Pure.

pub mod traffic;

use crate::domain::{Flow, FlowClass, Msat, Time};

/// What the ledger sums up for one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowInputs {
    pub now: Time,
    pub window_days: u64,
    pub capacity: Msat,
    /// One row per day of the window in which something moved.
    pub days: Vec<DaySum>,
    /// May lie before the window.
    pub last_forward: Option<Time>,
    /// The class of the analysis before, for hysteresis.
    pub previous: Option<FlowClass>,
}

/// Sums of settled forwards over 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySum {
    /// 0: the last 24 hours, 1: the 24 hours before, ...
    pub age_days: u32,
    pub in_msat: u64,
    pub out_msat: u64,
    pub in_count: u64,
    pub out_count: u64,
}

/// The flow of one channel.
pub fn analyse(_inputs: &FlowInputs) -> Flow {
    todo!()
}
