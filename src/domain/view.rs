//! Everything that a step looks at, as of one moment.

use super::{Channel, PeerId, Time};

/// Which node, on which network. A ledger belongs to one such pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub node: PeerId,
    pub network: String,
}

/// The price of block space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feerate {
    /// Sat per 1,000 virtual bytes, as the node estimates for a channel opening.
    pub sat_per_kvb: u64,
}

/// The node as of `now`.
#[derive(Clone, Debug)]
pub struct NodeView {
    pub now: Time,
    pub channels: Vec<Channel>,
    /// `None`: the node cannot estimate now.
    pub feerate: Option<Feerate>,
}

impl NodeView {
    /// Channels that can be priced, grouped by peer, in the order of the peers' ids.
    pub fn priced_by_peer(&self) -> Vec<(PeerId, Vec<&Channel>)> {
        let mut groups: std::collections::BTreeMap<PeerId, Vec<&Channel>> = std::collections::BTreeMap::new();
        for channel in self.channels.iter().filter(|c| c.routes()) {
            groups.entry(channel.peer).or_default().push(channel);
        }
        groups.into_iter().collect()
    }
}
