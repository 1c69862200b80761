//! Forwards from the node's list into the ledger, by pages.

use super::Ops;

/// What one catch-up brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    pub pages: u64,
    pub new: u64,
    pub changed: u64,
}

impl Ops {
    /// Reads what the node has listed since the last time; each page and its position are one transaction.
    pub async fn sync(&self) -> anyhow::Result<SyncReport> {
        todo!()
    }
}
