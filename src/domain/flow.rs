//! Where the money of a channel goes: the value that [`crate::flow`] computes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Msat, Time};

/// The flow of one channel over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    pub class: FlowClass,
    /// Msat a day that leave by the channel, recent days weighted more.
    pub out_per_day: f64,
    /// Msat a day that come in by the channel, recent days weighted more.
    pub in_per_day: f64,
    /// (out - in) / (out + in), -1 to 1; 0 without flow.
    pub net: f64,
    /// Share of the capacity that moves in a day.
    pub turnover: f64,
    /// Change of `net` per day between the two halves of the window.
    pub velocity: f64,
    /// 0 to 1: how much the class rests on.
    pub confidence: f64,
    /// What left by the channel within the window, and what came in.
    pub out_msat: Msat,
    pub in_msat: Msat,
    /// Forwards in and out within the window.
    pub forwards: u64,
    pub last_forward: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowClass {
    /// Draining: more leaves by it than comes in.
    Source,
    /// Filling: more comes in by it than leaves.
    Sink,
    Balanced,
    /// Too little moves to say.
    #[default]
    Idle,
}

impl FlowClass {
    pub const ALL: [FlowClass; 4] = [FlowClass::Source, FlowClass::Sink, FlowClass::Balanced, FlowClass::Idle];

    pub fn name(self) -> &'static str {
        match self {
            FlowClass::Source => "source",
            FlowClass::Sink => "sink",
            FlowClass::Balanced => "balanced",
            FlowClass::Idle => "idle",
        }
    }
}

impl fmt::Display for FlowClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FlowClass {
    type Err = String;

    fn from_str(text: &str) -> Result<FlowClass, String> {
        FlowClass::ALL.into_iter().find(|c| c.name() == text).ok_or_else(|| format!("'{text}' is not a flow class"))
    }
}
