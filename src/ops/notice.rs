//! What the node tells us of its own accord. Never waits for a turn, never asks the node anything.

use super::Ops;
use crate::domain::Forward;

impl Ops {
    /// Forwards were made or resolved.
    pub async fn forwards_noticed(&self, forwards: &[Forward]) -> anyhow::Result<()> {
        self.ledger.record_forwards(forwards, None).await?;
        Ok(())
    }
}
