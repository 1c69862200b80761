//! What a rule can look at: one channel, and the node that it belongs to, as of one moment. `Option` means that nobody could say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Channel, FlowClass, Msat, PeerId, Ppm, Sat, Scid, Side};

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub scid: Scid,
    pub peer: PeerId,
    /// The peer's name in the graph.
    #[serde(default)]
    pub alias: Option<String>,
    pub capacity: Sat,
    /// Our side: pending payments out are still ours, and so is the commitment's fee if we opened the channel.
    pub local: Sat,
    /// The peer's side, in the same way.
    pub remote: Sat,
    #[serde(default)]
    pub opened_by_us: Option<bool>,
    #[serde(default)]
    pub private: bool,
    /// Connected, and both sides ready to forward.
    pub active: bool,
    /// Does our graph have the channel?
    #[serde(default = "yes")]
    pub in_graph: bool,
    /// Payments in flight, both ways.
    #[serde(default)]
    pub pending: u32,
    /// The lowest height at which one of them expires.
    #[serde(default)]
    pub next_expiry: Option<u32>,
    /// What the channel keeps us from spending.
    #[serde(default)]
    pub reserve: Option<Sat>,
    pub ours: OurTerms,
    #[serde(default)]
    pub theirs: Option<TheirTerms>,
    #[serde(default)]
    pub peer_in_graph: Graph,
    /// All channels with the peer, this one included.
    #[serde(default)]
    pub shared: Shared,
    /// Settled forwards of the last so many seconds, for each span that a rule asks for.
    #[serde(default)]
    pub activity: BTreeMap<i64, Activity>,
    /// The last seven days.
    #[serde(default)]
    pub week: Option<Week>,
    #[serde(default)]
    pub flow: Option<FlowClass>,
    /// What the operator calls the peer.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    #[serde(default)]
    pub costs: Costs,
}

fn yes() -> bool {
    true
}

/// What is in force on our side, and what the channel admits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurTerms {
    pub base: Msat,
    pub ppm: Ppm,
    #[serde(default)]
    pub inbound_base_msat: i32,
    #[serde(default)]
    pub inbound_ppm: i32,
    #[serde(default)]
    pub htlc_min: Option<Msat>,
    #[serde(default)]
    pub htlc_max: Option<Msat>,
    #[serde(default)]
    pub time_lock_delta: Option<u32>,
    #[serde(default)]
    pub disabled: bool,
    /// The peer takes nothing smaller.
    #[serde(default)]
    pub least_htlc: Option<Msat>,
    /// The peer takes no more in flight.
    #[serde(default)]
    pub most_pending: Option<Msat>,
}

/// What the peer asks for forwards toward us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TheirTerms {
    pub base: Msat,
    pub ppm: Ppm,
    #[serde(default)]
    pub inbound_base_msat: i32,
    #[serde(default)]
    pub inbound_ppm: i32,
    /// `None` where the node does not say.
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// What the graph says of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Graph {
    /// Nobody has looked.
    #[default]
    Unread,
    /// The graph does not know the peer.
    Missing,
    Known {
        channels: u32,
        capacity: Sat,
    },
}

/// A peer in the public graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphPeer {
    /// `None`: the graph does not know the peer, or it has no name.
    pub alias: Option<String>,
    pub graph: Graph,
    /// Channels that the peer has disabled on its side.
    pub disabled: BTreeSet<Scid>,
}

/// The chain as the node sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    pub height: u32,
    pub synced: bool,
    /// Nearest goal first; empty if the node cannot estimate now.
    pub feerates: Vec<Estimate>,
}

/// Our channels with one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    pub active: Together,
    pub inactive: Together,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    pub channels: u32,
    pub local: Sat,
    pub remote: Sat,
}

/// Settled forwards of one channel; amounts in whole sat, each forward rounded down on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub htlcs_in: u64,
    pub htlcs_out: u64,
    pub in_sat: u64,
    pub out_sat: u64,
}

/// What a channel moved and earned in seven days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    pub in_sat: u64,
    pub out_sat: u64,
    /// Fees of forwards out by the channel.
    pub earned_sat: u64,
}

/// What a channel has cost and will cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// The fee of the funding transaction, if we paid it.
    #[serde(default)]
    pub opening: Option<Sat>,
    /// The fee of the closing transaction, if known or foreseen.
    #[serde(default)]
    pub closing: Option<Sat>,
    /// What refilling it has cost so far.
    #[serde(default)]
    pub rebalancing: Option<Sat>,
}

/// What is the same for all channels of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeFacts {
    pub height: u32,
    #[serde(default)]
    pub synced: Option<bool>,
    /// Estimates, nearest goal first.
    #[serde(default)]
    pub feerates: Vec<Estimate>,
    /// The two channels that ask the lowest rate for forwards out.
    #[serde(default)]
    pub cheapest: Vec<(Scid, Ppm)>,
    /// The two channels that ask the lowest base fee.
    #[serde(default)]
    pub least_base: Vec<(Scid, Msat)>,
}

/// What a transaction pays to be in one of the next blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub blocks: u32,
    pub sat_per_vb: f64,
}

impl Together {
    pub fn total(self) -> u64 {
        self.local.0.saturating_add(self.remote.0)
    }

    fn add(&mut self, facts: &Facts) {
        self.channels += 1;
        self.local = Sat(self.local.0.saturating_add(facts.local.0));
        self.remote = Sat(self.remote.0.saturating_add(facts.remote.0));
    }

    pub fn with(self, other: Together) -> Together {
        Together {
            channels: self.channels + other.channels,
            local: Sat(self.local.0.saturating_add(other.local.0)),
            remote: Sat(self.remote.0.saturating_add(other.remote.0)),
        }
    }
}

impl OurTerms {
    fn of(channel: &Channel) -> OurTerms {
        // Core Lightning keeps the largest payment below the capacity by a reserve.
        let most = channel.bounds.reserve.map(|reserve| channel.capacity.saturating_sub(reserve));
        OurTerms {
            base: channel.ours.base,
            ppm: channel.ours.ppm,
            htlc_min: channel.ours.htlc_min,
            htlc_max: channel.ours.htlc_max,
            most_pending: channel.bounds.most_pending.into_iter().chain(most).min(),
            ..OurTerms::default()
        }
    }
}

impl Facts {
    /// What a channel tells of itself; `None` until it has a short channel id. What others know (the graph, the ledger, the operator) is
    /// still to be added, and what it shares by [`NodeFacts::gather`].
    pub fn of(channel: &Channel) -> Option<Facts> {
        let (capacity, local) = (channel.capacity.sat_floor(), channel.local.sat_floor());
        Some(Facts {
            scid: channel.scid?,
            peer: channel.peer,
            alias: None,
            capacity,
            local,
            remote: Sat(capacity.0.saturating_sub(local.0)),
            opened_by_us: channel.opener.map(|opener| opener == Side::Local),
            private: channel.private,
            active: channel.is_active(),
            in_graph: true,
            pending: channel.htlcs_in.saturating_add(channel.htlcs_out),
            next_expiry: channel.bounds.next_expiry,
            reserve: channel.bounds.reserve.map(Msat::sat_floor),
            ours: OurTerms::of(channel),
            theirs: channel.theirs.map(|theirs| TheirTerms {
                base: theirs.base,
                ppm: theirs.ppm,
                ..TheirTerms::default()
            }),
            peer_in_graph: Graph::Unread,
            shared: Shared::default(),
            activity: BTreeMap::new(),
            week: None,
            flow: None,
            tags: BTreeSet::new(),
            costs: Costs::default(),
        })
    }

    /// Blocks since the funding transaction; negative for an alias, whose block is none.
    pub fn age(&self, node: &NodeFacts) -> i64 {
        let block = i64::try_from(self.scid.block()).unwrap_or(i64::MAX);
        i64::from(node.height) - block
    }
}

impl NodeFacts {
    /// What `blocks` blocks to go cost, between two estimates in proportion; `None` without any.
    pub fn sat_per_vb(&self, blocks: u32) -> Option<f64> {
        let after = self.feerates.iter().position(|e| e.blocks >= blocks);
        match after {
            None => self.feerates.last().map(|e| e.sat_per_vb),
            Some(0) => self.feerates.first().map(|e| e.sat_per_vb),
            Some(at) => {
                let (a, b) = (self.feerates[at - 1], self.feerates[at]);
                let share = f64::from(blocks - a.blocks) / f64::from(b.blocks - a.blocks);
                Some(a.sat_per_vb + share * (b.sat_per_vb - a.sat_per_vb))
            }
        }
    }

    /// What the cheapest of the other channels asks.
    pub fn cheapest_besides(&self, scid: Scid) -> Option<(Scid, Ppm)> {
        self.cheapest.iter().find(|(other, _)| *other != scid).copied()
    }

    pub fn least_base_besides(&self, scid: Scid) -> Option<Msat> {
        self.least_base.iter().find(|(other, _)| *other != scid).map(|(_, base)| *base)
    }

    /// Adds to each channel what it shares with others of its peer, and to the node what is cheapest.
    pub fn gather(&mut self, channels: &mut [Facts]) {
        let mut by_peer: BTreeMap<PeerId, Shared> = BTreeMap::new();
        for facts in channels.iter() {
            let shared = by_peer.entry(facts.peer).or_default();
            if facts.active { shared.active.add(facts) } else { shared.inactive.add(facts) }
        }
        for facts in channels.iter_mut() {
            facts.shared = by_peer.get(&facts.peer).copied().unwrap_or_default();
        }
        self.cheapest = two_least(channels, |facts| facts.ours.ppm);
        self.least_base = two_least(channels, |facts| facts.ours.base);
    }
}

fn two_least<T: Ord + Copy>(channels: &[Facts], of: impl Fn(&Facts) -> T) -> Vec<(Scid, T)> {
    let mut all: Vec<(Scid, T)> = channels.iter().map(|facts| (facts.scid, of(facts))).collect();
    all.sort_by_key(|(scid, asked)| (*asked, *scid));
    all.truncate(2);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_between_two_goals_lie_on_the_line_between() {
        let node = |feerates| NodeFacts { feerates, ..NodeFacts::default() };
        let two = [Estimate { blocks: 2, sat_per_vb: 20.0 }, Estimate { blocks: 12, sat_per_vb: 10.0 }];
        let asked = [1, 2, 7, 12, 100].map(|blocks| node(two.to_vec()).sat_per_vb(blocks));
        assert_eq!(asked, [20.0, 20.0, 15.0, 10.0, 10.0].map(Some));
        assert_eq!(node(Vec::new()).sat_per_vb(6), None);
    }
}
