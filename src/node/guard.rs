//! Timeouts and circuit breakers around a node. Every call ends, and a node that does not answer is left in peace for a while,
//! one group of methods at a time. Never asks twice, and never answers in the node's stead.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::books::Books;
use super::neighbours::{HiveNews, Neighbours, Unmanaged};
use super::{
    BreakerReport, ChannelName, FeeInForce, FeeOrder, ForwardPage, Node, NodeError, Rebalancer,
    breaker::{Breaker, Pass},
};
use crate::domain::{
    Account, Booked, Chain, ChainMove, Channel, ChannelId, ChannelMoves, Clock, ClosedChannel, Feerate, Forward,
    GraphPeer, Identity, IncomeLine, Job, MoveOrder, Msat, Paid, PeerId, Sat, Scid, Tally, Time, WalletCoins,
};

/// How patient we are. Asked for anew at each call, so that a change of the options holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Seconds after which a call is given up.
    pub timeout_secs: u64,
    /// Seconds that a group of calls rests after it was given up; 0: it never rests.
    pub rest_secs: u64,
}

/// Calls that rest together, because they ask the node for the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Info,
    Channels,
    Forwards,
    Feerates,
    Fees,
    Funds,
    Routes,
    /// The plugin that moves liquidity has a life of its own.
    Rebalancer,
    Graph,
    Bookkeeper,
    Coins,
    Clboss,
    Hive,
}

pub struct Guarded<N> {
    node: N,
    clock: Arc<dyn Clock>,
    patience: Box<dyn Fn() -> Patience + Send + Sync>,
    breakers: [Mutex<Breaker>; Group::ALL.len()],
}

impl<N> Guarded<N> {
    pub fn new(node: N, clock: Arc<dyn Clock>, patience: impl Fn() -> Patience + Send + Sync + 'static) -> Guarded<N> {
        Guarded { node, clock, patience: Box::new(patience), breakers: Default::default() }
    }

    async fn guard<T>(
        &self,
        group: Group,
        method: &str,
        call: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let Patience { timeout_secs, rest_secs } = (self.patience)();
        let pass = held(self.breaker(group)).ask(self.clock.now(), rest_secs).map_err(|retry_in_secs| {
            NodeError::Resting { method: method.to_owned(), group: group.name(), retry_in_secs }
        })?;
        // Whoever waits for us may lose interest and drop us: the try must not be held for ever then.
        let mut attempt = Attempt { guarded: self, group, pass: Some(pass), rest_secs };
        let answer = match tokio::time::timeout(Duration::from_secs(timeout_secs), call).await {
            Ok(answer) => answer,
            Err(_) => Err(NodeError::Unreachable {
                method: method.to_owned(),
                why: format!("nothing came within {timeout_secs} s"),
            }),
        };
        attempt.end(answer.as_ref().err());
        answer
    }

    fn breaker(&self, group: Group) -> &Mutex<Breaker> {
        &self.breakers[group as usize]
    }

    fn reports(&self, which: impl Fn(Group) -> bool) -> Vec<BreakerReport> {
        let (now, rest_secs) = (self.clock.now(), (self.patience)().rest_secs);
        let report = |group: &Group| held(self.breaker(*group)).report(group.name(), now, rest_secs);
        Group::ALL.iter().filter(|group| which(**group)).map(report).collect()
    }
}

#[async_trait]
impl<N: Node> Node for Guarded<N> {
    async fn identity(&self) -> Result<Identity, NodeError> {
        self.guard(Group::Info, "identity", self.node.identity()).await
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        self.guard(Group::Channels, "channels", self.node.channels()).await
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        self.guard(Group::Forwards, "forwards", self.node.forwards(page)).await
    }

    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        self.guard(Group::Channels, "channel_of", self.node.channel_of(scid)).await
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        self.guard(Group::Feerates, "feerate", self.node.feerate()).await
    }

    async fn onchain(&self) -> Result<Option<Msat>, NodeError> {
        self.guard(Group::Funds, "onchain", self.node.onchain()).await
    }

    async fn way(&self, from: PeerId, to: PeerId, arrives: Msat) -> Result<Option<Msat>, NodeError> {
        self.guard(Group::Routes, "way", self.node.way(from, to, arrives)).await
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        self.guard(Group::Info, "chain", self.node.chain()).await
    }

    async fn peer_in_graph(&self, peer: PeerId) -> Result<GraphPeer, NodeError> {
        self.guard(Group::Graph, "peer_in_graph", self.node.peer_in_graph(peer)).await
    }

    async fn splicers(&self) -> Result<HashMap<PeerId, bool>, NodeError> {
        self.guard(Group::Info, "splicers", self.node.splicers()).await
    }

    async fn opening_cost(&self, channel: ChannelId) -> Result<Option<Msat>, NodeError> {
        self.guard(Group::Bookkeeper, "opening_cost", self.node.opening_cost(channel)).await
    }

    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        self.guard(Group::Fees, "set_fee", self.node.set_fee(order)).await
    }

    fn warnings(&self) -> Vec<String> {
        self.node.warnings()
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        self.reports(|group| group != Group::Rebalancer)
    }
}

#[async_trait]
impl<R: Rebalancer> Rebalancer for Guarded<R> {
    async fn version(&self) -> Result<Option<String>, NodeError> {
        self.guard(Group::Rebalancer, "version", self.node.version()).await
    }

    async fn jobs(&self) -> Result<Vec<Job>, NodeError> {
        self.guard(Group::Rebalancer, "jobs", self.node.jobs()).await
    }

    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError> {
        self.guard(Group::Rebalancer, "tally", self.node.tally(channel)).await
    }

    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError> {
        self.guard(Group::Rebalancer, "begin", self.node.begin(order)).await
    }

    async fn stop(&self, channel: Scid) -> Result<(), NodeError> {
        self.guard(Group::Rebalancer, "stop", self.node.stop(channel)).await
    }

    async fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Result<Option<Booked>, NodeError> {
        self.guard(Group::Rebalancer, "booked", self.node.booked(from, to, since)).await
    }

    async fn paid(&self, most: Sat, since: Time) -> Result<Paid, NodeError> {
        self.guard(Group::Rebalancer, "listsendpays", self.node.paid(most, since)).await
    }

    async fn pending(&self, from: ChannelId, to: ChannelId) -> Result<bool, NodeError> {
        self.guard(Group::Rebalancer, "pending", self.node.pending(from, to)).await
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        self.reports(|group| group == Group::Rebalancer)
    }
}

#[async_trait]
impl<N: Node + Neighbours> Neighbours for Guarded<N> {
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError> {
        self.guard(Group::Clboss, "clboss-status", self.node.clboss_unmanaged()).await
    }

    async fn clboss_unmanage(&self, peer: PeerId, tags: &BTreeSet<String>) -> Result<(), NodeError> {
        self.guard(Group::Clboss, "clboss-unmanage", self.node.clboss_unmanage(peer, tags)).await
    }

    async fn tell_hive(&self, news: &HiveNews) -> Result<bool, NodeError> {
        self.guard(Group::Hive, "cl-hive", self.node.tell_hive(news)).await
    }
}

#[async_trait]
impl<N: Node + Books> Books for Guarded<N> {
    async fn chain_moves(&self, start: u64, limit: u64) -> Result<Vec<ChainMove>, NodeError> {
        self.guard(Group::Coins, "chain_moves", self.node.chain_moves(start, limit)).await
    }

    async fn channel_moves(&self, start: u64, limit: u64) -> Result<ChannelMoves, NodeError> {
        self.guard(Group::Coins, "channel_moves", self.node.channel_moves(start, limit)).await
    }

    async fn account(&self, channel: ChannelId) -> Result<Option<Account>, NodeError> {
        self.guard(Group::Bookkeeper, "account", self.node.account(channel)).await
    }

    async fn income(&self, from: Time, to: Time) -> Result<Vec<IncomeLine>, NodeError> {
        self.guard(Group::Bookkeeper, "income", self.node.income(from, to)).await
    }

    async fn closed_channels(&self) -> Result<Vec<ClosedChannel>, NodeError> {
        self.guard(Group::Channels, "closed_channels", self.node.closed_channels()).await
    }

    async fn wallet(&self) -> Result<WalletCoins, NodeError> {
        self.guard(Group::Coins, "wallet", self.node.wallet()).await
    }
}

/// One call that was let through.
struct Attempt<'a, N> {
    guarded: &'a Guarded<N>,
    group: Group,
    /// Taken when the call has ended.
    pass: Option<Pass>,
    rest_secs: u64,
}

impl<N> Attempt<'_, N> {
    fn end(&mut self, error: Option<&NodeError>) {
        let Some(pass) = self.pass.take() else { return };
        let mut breaker = held(self.guarded.breaker(self.group));
        match error {
            // Any other error is an answer: the node is well.
            Some(error @ NodeError::Unreachable { .. }) => {
                breaker.failed(pass, self.guarded.clock.now(), self.rest_secs, error.to_string());
            }
            _ => breaker.answered(),
        }
    }
}

impl<N> Drop for Attempt<'_, N> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            held(self.guarded.breaker(self.group)).abandoned(pass);
        }
    }
}

impl Group {
    const ALL: [Group; 13] = [
        Group::Info,
        Group::Channels,
        Group::Forwards,
        Group::Feerates,
        Group::Fees,
        Group::Graph,
        Group::Bookkeeper,
        Group::Coins,
        Group::Clboss,
        Group::Hive,
        Group::Funds,
        Group::Routes,
        Group::Rebalancer,
    ];

    fn name(self) -> &'static str {
        match self {
            Group::Info => "info",
            Group::Channels => "channels",
            Group::Forwards => "forwards",
            Group::Feerates => "feerates",
            Group::Fees => "fees",
            Group::Funds => "funds",
            Group::Routes => "routes",
            Group::Rebalancer => "rebalancer",
            Group::Graph => "graph",
            Group::Bookkeeper => "bookkeeper",
            Group::Coins => "coins",
            Group::Clboss => "clboss",
            Group::Hive => "hive",
        }
    }
}

/// A breaker is valid at every moment, also after a panic elsewhere.
fn held(breaker: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}
