//! The price of block space from cycle to cycle: history and intensity are in the ledger, so that a restart forgets nothing.

use anyhow::Context;

use super::Ops;
use crate::domain::{NodeView, Time};
use crate::fees::Reason;
use crate::fees::vegas::{self, VegasInputs, VegasState};
use crate::options::Options;

/// Name of the reflex's state in the ledger.
const NOTE: &str = "vegas";
/// The average that a spike is measured against.
const AVERAGE_HOURS: f64 = 24.0;

impl Ops {
    /// One step of the reflex; answers what floors are multiplied with, and why.
    pub(super) async fn vegas(&self, view: &NodeView, options: &Options) -> anyhow::Result<(f64, Reason)> {
        let average_24h = self.feerate_lately(view.now).await?;
        let sat_per_kvb = view.feerate.map(|feerate| feerate.sat_per_kvb);
        let state = self.vegas_state().await?;
        let inputs = VegasInputs {
            now: view.now,
            sat_per_kvb: sat_per_kvb.map(|price| price as f64),
            average_24h,
            decay: options.vegas_decay,
            enabled: options.vegas_reflex,
        };
        let state = vegas::step(&state, &inputs);
        self.ledger.save_note(view.now, NOTE, &serde_json::to_string(&state)?).await?;
        if let Some(price) = sat_per_kvb {
            self.ledger.record_feerate(view.now, price).await?;
        }
        let (enabled, intensity, multiplier) = (inputs.enabled, state.intensity, state.multiplier());
        Ok((multiplier, Reason::Vegas { enabled, sat_per_kvb, average_24h, intensity, multiplier }))
    }

    /// Mean price of block space over a day, sat per 1,000 virtual bytes; `None`: nothing was recorded.
    pub(super) async fn feerate_lately(&self, now: Time) -> anyhow::Result<Option<f64>> {
        self.ledger.feerate_average(now.plus_hours(-AVERAGE_HOURS)).await
    }

    pub(super) async fn vegas_state(&self) -> anyhow::Result<VegasState> {
        match self.ledger.note(NOTE).await? {
            Some(text) => serde_json::from_str(&text).context("the saved state of the Vegas reflex"),
            None => Ok(VegasState::default()),
        }
    }
}
