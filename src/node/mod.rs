//! The outside world: what we ask of a Lightning node and tell it. Domain types only; wire formats stay in the files below.

pub mod askrene;
pub mod books;
mod breaker;
mod clboss;
pub mod cln;
pub mod cln_books;
pub mod cln_graph;
mod cln_row;
pub mod cln_wire;
pub mod guard;
mod home;
pub mod neighbours;
pub mod rule_text;
pub mod sling;
pub mod sling_wire;

use std::collections::HashMap;

use async_trait::async_trait;

pub use home::at_home;

use crate::domain::{
    Booked, Chain, Channel, ChannelId, ChannelName, ChannelState, Evidence, Feerate, Forward, ForwardIndex, GraphPeer,
    Identity, Job, MoveOrder, Msat, Paid, PeerId, Ppm, Sat, Scid, Tally, Time,
};

/// A Lightning node, as a short list of our own verbs. All are safe to repeat.
#[async_trait]
pub trait Node: Send + Sync {
    async fn identity(&self) -> Result<Identity, NodeError>;

    /// All channels that the node lists, in whatever state.
    async fn channels(&self) -> Result<Vec<Channel>, NodeError>;

    /// One page of forwards, in the order of the index asked for. Deleted forwards leave gaps. A node that cannot page shows
    /// forwards when they are final, counted by us, all by `Created`.
    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError>;

    /// Which channel an old short channel id belongs to, open or closed; `None` if the node does not know it.
    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError>;

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError>;

    /// Confirmed outputs of the node's wallet that can be spent; `None`: this node does not tell.
    async fn onchain(&self) -> Result<Option<Msat>, NodeError> {
        Ok(None)
    }

    /// What the cheapest way from the one peer to the other takes that does not lead through us, so that so much arrives; `None`: the node
    /// knows of none. `Unsupported`: it does not look for ways.
    async fn way(&self, _from: PeerId, _to: PeerId, _arrives: Msat) -> Result<Option<Msat>, NodeError> {
        Err(NodeError::unsupported("getroutes", "this node looks for no ways"))
    }

    /// Height and price of the chain.
    async fn chain(&self) -> Result<Chain, NodeError>;

    /// What the public graph says of a peer.
    async fn peer_in_graph(&self, peer: PeerId) -> Result<GraphPeer, NodeError>;

    /// Which of the peers say that they take splices, and which that they do not. Who is not connected does not say.
    async fn splicers(&self) -> Result<HashMap<PeerId, bool>, NodeError> {
        Ok(HashMap::new())
    }

    /// What the funding of a channel cost us; `None`: nothing that the node has a record of.
    async fn opening_cost(&self, channel: ChannelId) -> Result<Option<Msat>, NodeError>;

    /// Sets the outbound fee of one channel and answers what the node says is now in force.
    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError>;

    /// What this node or its version cannot do, in sentences for `revenue-status`.
    fn warnings(&self) -> Vec<String>;

    /// The circuit breakers, by group of methods.
    fn breakers(&self) -> Vec<BreakerReport>;
}

/// Who moves liquidity between our channels. Beside the node, because not every node has one, and because it comes and goes.
#[async_trait]
pub trait Rebalancer: Send + Sync {
    /// `None`: it is not there now.
    async fn version(&self) -> Result<Option<String>, NodeError>;

    /// All that it has under way, whoever asked for it.
    async fn jobs(&self) -> Result<Vec<Job>, NodeError>;

    /// What it has counted for a channel that is filled.
    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError>;

    /// Begins a move. The one verb that must not be repeated: a second time is a second move.
    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError>;

    /// Ends all that is under way for a channel. Payments in flight end by themselves, later.
    async fn stop(&self, channel: Scid) -> Result<(), NodeError>;

    /// What the node's books say that went from the one channel to the other since then; `None`: it keeps none.
    async fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Result<Option<Booked>, NodeError>;

    /// What the node's list of payments has of those to ourselves, each of so much at most, that came through since then.
    async fn paid(&self, most: Sat, since: Time) -> Result<Paid, NodeError>;

    /// Are payments to ourselves under way from the one channel to the other, as far as that can be told? They are until the books have
    /// them.
    async fn pending(&self, from: ChannelId, to: ChannelId) -> Result<bool, NodeError>;

    /// The circuit breaker of these calls.
    fn breakers(&self) -> Vec<BreakerReport>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardPage {
    pub index: ForwardIndex,
    /// First value of the index that is wanted; counting starts at 1.
    pub start: u64,
    pub limit: u64,
}

/// What to set on a channel. `None` leaves what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeOrder {
    pub channel: ChannelId,
    pub ppm: Ppm,
    pub base: Option<Msat>,
    pub htlc_min: Option<Msat>,
    pub htlc_max: Option<Msat>,
}

/// What the node says is in force after an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeInForce {
    pub ppm: Ppm,
    pub base: Msat,
    /// Where the node says so: it may have cut what was ordered.
    pub htlc_min: Option<Msat>,
    pub htlc_max: Option<Msat>,
}

impl FeeOrder {
    /// This rate, and nothing else.
    pub fn rate(channel: ChannelId, ppm: Ppm) -> FeeOrder {
        FeeOrder { channel, ppm, base: None, htlc_min: None, htlc_max: None }
    }
}

/// What a node tells unasked, besides forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    ChannelStateChanged {
        peer: PeerId,
        channel_id: ChannelId,
        scid: Option<Scid>,
        /// Absent when the channel is new.
        old: Option<ChannelState>,
        new: ChannelState,
        /// Who or what brought it about, in the node's words.
        cause: Option<String>,
        /// What the two states say of how the channel ends.
        ending: Evidence,
        at: Option<Time>,
    },
    /// A peer opened a channel with us. Our own openings are not told so; their first change of state is.
    ChannelOpened {
        peer: PeerId,
        capacity: Option<Msat>,
    },
    Connected {
        peer: PeerId,
    },
    Disconnected {
        peer: PeerId,
    },
}

/// State of one circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerReport {
    pub group: &'static str,
    /// `closed`: calls pass; `open`: they are refused; `half-open`: one is tried.
    pub state: &'static str,
    pub last_error: Option<String>,
    /// Seconds until the next try, when open.
    pub retry_in_secs: Option<u64>,
}

impl BreakerReport {
    /// What an operator should know of it; `None`: the node answers.
    pub fn in_words(&self) -> Option<String> {
        let asked = match self.group {
            _ if self.state == "closed" => return None,
            "info" => "when it was asked who it is",
            "channels" => "when it was asked for its channels",
            "forwards" => "when it was asked for its forwards",
            "feerates" => "when it was asked for the price of block space",
            "graph" => "when it was asked for the public graph",
            "coins" => "when it was asked for its coins",
            "bookkeeper" => "when its bookkeeper was asked",
            "fees" => "when it was told to change a fee",
            "routes" => "when it was asked for a route",
            "funds" => "when it was asked for its funds",
            "rebalancer" => "when its rebalancer was asked or told",
            "clboss" => "when CLBoss was spoken to",
            "hive" => "when cl-hive was spoken to",
            group => group,
        };
        let error = self.last_error.as_deref().unwrap_or("no answer");
        let next = match self.retry_in_secs {
            Some(secs) => format!("it is left in peace with that for {secs} s more, and then tried again"),
            None => "whether it answers again, the next try will tell".to_owned(),
        };
        Some(format!("the node did not answer {asked} ({error}); {next}"))
    }
}

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No answer: the outcome is unknown.
    #[error("{method}: no answer from the node: {why}")]
    Unreachable { method: String, why: String },
    /// The node answered that it will not.
    #[error("{method}: refused by the node: {message} (code {code})")]
    Refused { method: String, code: i64, message: String },
    /// This node has no such method or parameter.
    #[error("{method}: not supported by this node: {why}")]
    Unsupported { method: String, why: String },
    /// The node answered something that we do not understand.
    #[error("{method}: answer not understood: {why}")]
    Garbled { method: String, why: String },
    /// Not asked: this group of methods is resting after a failure.
    #[error("{method}: not asked, because '{group}' calls rest for {retry_in_secs} s more after a failure")]
    Resting { method: String, group: &'static str, retry_in_secs: u64 },
}

impl NodeError {
    pub fn unsupported(method: impl Into<String>, why: impl Into<String>) -> NodeError {
        NodeError::Unsupported { method: method.into(), why: why.into() }
    }
}
