//! The flow step: catch up, sum, classify, remember; then the ledger examines itself.

use crate::domain::{ChannelId, Flow};

use super::Ops;

impl Ops {
    /// One whole flow analysis. Also keeps reputations, retention and the ledger's own check.
    pub async fn flow_cycle(&self) -> anyhow::Result<Vec<(ChannelId, Flow)>> {
        todo!()
    }
}
