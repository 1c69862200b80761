//! What a strategy wants of a channel, before anybody asks whether that differs from what is in force.

use serde::Serialize;

use crate::domain::{Limits, Msat, Ppm, Terms};

/// Wide numbers, as the file has them: what no channel can be told is refused by [`Wanted::terms`]. `None` leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Wanted {
    pub base_msat: Option<i64>,
    pub ppm: Option<i64>,
    pub inbound_base_msat: Option<i64>,
    pub inbound_ppm: Option<i64>,
    /// Ppm that the outbound and the inbound rate make together; wins over `inbound_ppm`.
    pub inbound_level: Option<i64>,
    pub htlc_min_msat: Option<i64>,
    pub htlc_max_msat: Option<i64>,
    pub time_lock_delta: Option<i64>,
    pub disabled: Option<bool>,
    /// Smaller changes of the outbound rate alone are not made.
    pub min_delta: Option<i64>,
    /// Smaller changes of the inbound rate alone are not made; if not given, the same as outbound.
    pub min_inbound_delta: Option<i64>,
}

/// What the section that decides says of taking a change back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rollback {
    /// `None`: it does not say.
    pub enabled: Option<bool>,
    /// Share of revenue that must be lost.
    pub threshold: Option<f64>,
    /// Bounds that are named anywhere: no rate beyond them is gone back to.
    #[serde(skip)]
    pub bounds: (Option<i64>, Option<i64>),
}

impl Rollback {
    /// May this rate be gone back to?
    pub fn allows(&self, ppm: i64) -> bool {
        self.bounds.0.is_none_or(|min| min <= ppm) && self.bounds.1.is_none_or(|max| ppm <= max)
    }
}

/// What the rules make of one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No section decides: the rules say nothing of the channel.
    Unruled,
    /// The channel is never touched.
    Untouched,
    Wanted(Wanted),
    /// The fee controller finds the fee rate; the rest is as wanted.
    Controller {
        prior: Option<Ppm>,
        limits: Limits,
        rest: Wanted,
    },
    /// Something could not be judged or computed: the channel is left as it is.
    Skipped(String),
}

impl Wanted {
    /// As the words of the house, where every member exists; the reason where one does not.
    pub fn terms(&self) -> Result<Terms, String> {
        let terms = Terms {
            ppm: narrow(self.ppm, "fee_ppm")?.map(Ppm),
            base: narrow(self.base_msat, "base_fee_msat")?.map(Msat),
            inbound_ppm: narrow(self.inbound_ppm, "inbound_fee_ppm")?,
            inbound_base_msat: narrow(self.inbound_base_msat, "inbound_base_fee_msat")?,
            htlc_min: narrow(self.htlc_min_msat, "min_htlc_msat")?.map(Msat),
            htlc_max: narrow(self.htlc_max_msat, "max_htlc_msat")?.map(Msat),
            time_lock_delta: narrow(self.time_lock_delta, "time_lock_delta")?,
            disabled: self.disabled,
        };
        Ok(terms)
    }
}

fn narrow<T: TryFrom<i64>>(value: Option<i64>, key: &str) -> Result<Option<T>, String> {
    let one = |value: i64| T::try_from(value).map_err(|_| format!("{key} would be {value}, which no channel can have"));
    value.map(one).transpose()
}
