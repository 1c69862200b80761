//! Everything that a step looks at, as of one moment.

use serde::{Deserialize, Serialize};

use super::{Channel, Msat, PeerId, Ppm, Side, Time};

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

/// What we have toward one peer: all its channels that route, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    pub peer: PeerId,
    pub capacity: Msat,
    pub local: Msat,
    /// What the largest channel asks.
    pub base: Msat,
    pub ppm: Ppm,
    pub opened_by_us: bool,
}

/// All of them, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    pub at: Time,
    pub peers: Vec<Holding>,
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

    pub fn holdings(&self) -> Holdings {
        let holding = |(peer, channels): (PeerId, Vec<&Channel>)| {
            let largest = channels.iter().max_by_key(|c| c.capacity)?;
            Some(Holding {
                peer,
                capacity: channels.iter().map(|c| c.capacity).sum(),
                local: channels.iter().map(|c| c.local).sum(),
                base: largest.ours.base,
                ppm: largest.ours.ppm,
                opened_by_us: largest.opener == Some(Side::Local),
            })
        };
        Holdings { at: self.now, peers: self.priced_by_peer().into_iter().filter_map(holding).collect() }
    }
}
