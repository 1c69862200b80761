//! What the node tells us of its own accord. Never waits for a turn, never does slow work.

use crate::domain::Forward;

use super::Ops;

impl Ops {
    /// A forward was made or resolved.
    pub async fn forward_noticed(&self, _forward: Forward) -> anyhow::Result<()> {
        todo!()
    }
}
