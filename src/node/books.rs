//! The node's own books: its record of coins, its bookkeeper, its list of closed channels. A node may have none of them.

use async_trait::async_trait;

use super::NodeError;
use crate::domain::{Account, ChainMove, ChannelId, ChannelMoves, ClosedChannel, IncomeLine, Time, WalletCoins};

/// What is asked of the books. All is read, page by page where it grows.
#[async_trait]
pub trait Books: Send + Sync {
    /// A page of the record of coins on the chain, from this index on. `Unsupported`: the node keeps none.
    async fn chain_moves(&self, start: u64, limit: u64) -> Result<Vec<ChainMove>, NodeError>;

    /// A page of the record of coins in channels, from this index on. `Unsupported`: the node keeps none.
    async fn channel_moves(&self, start: u64, limit: u64) -> Result<ChannelMoves, NodeError>;

    /// The bookkeeper's account of one channel; it grows with the channel's past. `None`: it has not heard of the channel.
    /// `Unsupported`: there is no bookkeeper.
    async fn account(&self, channel: ChannelId) -> Result<Option<Account>, NodeError>;

    /// The bookkeeper's statement of income within a span of time.
    async fn income(&self, from: Time, to: Time) -> Result<Vec<IncomeLine>, NodeError>;

    /// Channels that the node has forgotten.
    async fn closed_channels(&self) -> Result<Vec<ClosedChannel>, NodeError>;

    async fn wallet(&self) -> Result<WalletCoins, NodeError>;
}

/// A node without books.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBooks;

fn none<T>(method: &str) -> Result<T, NodeError> {
    Err(NodeError::unsupported(method, "this node keeps no books"))
}

#[async_trait]
impl Books for NoBooks {
    async fn chain_moves(&self, _start: u64, _limit: u64) -> Result<Vec<ChainMove>, NodeError> {
        none("chain_moves")
    }

    async fn channel_moves(&self, _start: u64, _limit: u64) -> Result<ChannelMoves, NodeError> {
        none("channel_moves")
    }

    async fn account(&self, _channel: ChannelId) -> Result<Option<Account>, NodeError> {
        none("account")
    }

    async fn income(&self, _from: Time, _to: Time) -> Result<Vec<IncomeLine>, NodeError> {
        none("income")
    }

    async fn closed_channels(&self) -> Result<Vec<ClosedChannel>, NodeError> {
        none("closed_channels")
    }

    async fn wallet(&self) -> Result<WalletCoins, NodeError> {
        none("wallet")
    }
}
