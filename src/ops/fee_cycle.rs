//! The fee step: look at every channel, decide its fee, set what changed, remember why.

use crate::domain::{ChannelId, PeerId, Ppm, Scid};
use crate::ledger::FeeOutcomeKind;

use super::Ops;

/// What became of one channel in a fee cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct FeeOutcome {
    pub channel: ChannelId,
    pub scid: Option<Scid>,
    pub peer: PeerId,
    pub old: Ppm,
    pub new: Ppm,
    pub kind: FeeOutcomeKind,
    pub summary: String,
}

impl Ops {
    /// Decides every channel's fee. One refusal does not hide the rest.
    pub async fn fee_cycle(&self) -> anyhow::Result<Vec<FeeOutcome>> {
        todo!()
    }
}
