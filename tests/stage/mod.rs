//! A scene for stories about steps: the market as a node with a few bad habits, a ledger to look into, and a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cl_revenue_ops::domain::{
    Chain, Channel, ChannelId, ChannelName, Clock as _, Feerate, Forward, GraphPeer, Identity, ManualClock, Msat,
    PeerId, Ppm, Scid, Time,
};
use cl_revenue_ops::ledger::{FeeRow, Ledger, MemoryRow};
use cl_revenue_ops::node::neighbours::Neighbours;
use cl_revenue_ops::node::{BreakerReport, FeeInForce, FeeOrder, ForwardPage, Node, NodeError};
use cl_revenue_ops::ops::{FeeOutcome, Ops, Settings};
use cl_revenue_ops::options::{Layers, find};
use cl_revenue_ops::sim::{Scenario, SimNode};

/// What the node does with an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    Obeys,
    Refuses,
    /// Leaves the fee as it was, and says so.
    SaysOther,
    /// Sets the fee; the answer never arrives.
    ObeysInSilence,
}

/// What a search for ways between peers finds.
#[derive(Clone, Copy, Default)]
pub(crate) enum Ways {
    /// The node does not look for any.
    #[default]
    NeverSought,
    /// It does not answer.
    Unheard,
    None,
    Each(Msat),
}

#[derive(Default)]
pub(crate) struct Tricks {
    pub answer: Answer,
    /// Does not list its channels.
    pub silent: bool,
    /// Does not list its forwards.
    pub no_forwards: bool,
    pub no_feerate: bool,
    pub ways: Ways,
    /// Tells nothing of the public graph.
    pub no_graph: bool,
    /// All outgoing slots of this channel are taken.
    pub jammed: Option<ChannelId>,
    /// This channel does not exist yet.
    pub hidden: Option<ChannelId>,
    /// Orders wait here.
    gate: Option<Arc<Gate>>,
    /// Starts of the single forwards that it was asked for.
    asked: BTreeSet<u64>,
    /// Pairs of peers that ways were sought between.
    pub sought: Vec<(PeerId, PeerId)>,
}

pub(crate) struct TrickyNode {
    pub inner: SimNode,
    tricks: Mutex<Tricks>,
}

impl TrickyNode {
    pub(crate) fn asked_for(&self, created: u64) -> bool {
        self.tricks.lock().unwrap().asked.contains(&created)
    }
}

fn no_answer() -> NodeError {
    NodeError::Unreachable { method: "setchannel".to_owned(), why: "60 s passed".to_owned() }
}

#[async_trait]
impl Node for TrickyNode {
    async fn identity(&self) -> Result<Identity, NodeError> {
        self.inner.identity().await
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        let mut channels = self.inner.channels().await?;
        let tricks = self.tricks.lock().unwrap();
        if tricks.silent {
            return Err(no_answer());
        }
        channels.retain(|channel| Some(channel.channel_id) != tricks.hidden);
        for channel in channels.iter_mut().filter(|channel| Some(channel.channel_id) == tricks.jammed) {
            channel.htlcs_out = channel.max_htlcs.unwrap_or(0);
        }
        Ok(channels)
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        if self.tricks.lock().unwrap().no_forwards {
            return Err(NodeError::Unreachable { method: "forwards".to_owned(), why: "60 s passed".to_owned() });
        }
        if page.limit == 1 {
            self.tricks.lock().unwrap().asked.insert(page.start);
        }
        self.inner.forwards(page).await
    }

    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        self.inner.channel_of(scid).await
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        if self.tricks.lock().unwrap().no_feerate { Ok(None) } else { self.inner.feerate().await }
    }

    async fn way(&self, from: PeerId, to: PeerId, _: Msat) -> Result<Option<Msat>, NodeError> {
        let mut tricks = self.tricks.lock().unwrap();
        tricks.sought.push((from, to));
        match tricks.ways {
            Ways::NeverSought => Err(NodeError::Unsupported { method: "getroutes".to_owned(), why: String::new() }),
            Ways::Unheard => Err(no_answer()),
            Ways::None => Ok(None),
            Ways::Each(fee) => Ok(Some(fee)),
        }
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        self.inner.chain().await
    }

    async fn peer_in_graph(&self, peer: PeerId) -> Result<GraphPeer, NodeError> {
        let silent = self.tricks.lock().unwrap().no_graph;
        if silent { Err(no_answer()) } else { self.inner.peer_in_graph(peer).await }
    }

    async fn opening_cost(&self, channel: ChannelId) -> Result<Option<Msat>, NodeError> {
        self.inner.opening_cost(channel).await
    }

    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        let gate = self.tricks.lock().unwrap().gate.take();
        if let Some(gate) = gate {
            *gate.first.lock().unwrap() = Some(order.channel);
            gate.reached.notify_one();
            gate.opened.notified().await;
        }
        let answer = self.tricks.lock().unwrap().answer;
        match answer {
            Answer::Obeys => self.inner.set_fee(order).await,
            Answer::Refuses => {
                let (method, message) = ("setchannel".to_owned(), "not now".to_owned());
                Err(NodeError::Refused { method, code: -1, message })
            }
            Answer::SaysOther => Ok(FeeInForce {
                ppm: Ppm(order.ppm.0 + 1),
                base: cl_revenue_ops::domain::Msat(0),
                htlc_min: None,
                htlc_max: None,
            }),
            Answer::ObeysInSilence => {
                self.inner.set_fee(order).await?;
                Err(no_answer())
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        vec![]
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        vec![]
    }
}

/// Holds the first order that is given until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    reached: tokio::sync::Notify,
    opened: tokio::sync::Notify,
    first: Mutex<Option<ChannelId>>,
}

impl Gate {
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }

    /// Whose order it was.
    pub(crate) fn first(&self) -> Option<ChannelId> {
        *self.first.lock().unwrap()
    }
}

pub(crate) struct Stage {
    pub ops: Ops,
    pub node: Arc<TrickyNode>,
    pub ledger: Ledger,
    pub clock: Arc<ManualClock>,
}

pub(crate) fn layers(options: &[(&'static str, &str)]) -> Layers {
    let mut layers = Layers::default();
    for (key, value) in options {
        layers.config.insert(find(key).unwrap().key, (*value).to_owned());
    }
    layers
}

impl Stage {
    pub(crate) async fn new(seed: u64, channels: u32, options: &[(&'static str, &str)]) -> Stage {
        let inner = SimNode::new(Scenario { seed, channels, offline: 0.0, ..Scenario::default() });
        let ledger = Ledger::in_memory(inner.owner(), inner.now()).await.unwrap();
        Stage::with(inner, ledger, options)
    }

    pub(crate) async fn on_file(seed: u64, channels: u32, options: &[(&'static str, &str)], file: &Path) -> Stage {
        let inner = SimNode::new(Scenario { seed, channels, offline: 0.0, ..Scenario::default() });
        let ledger = Ledger::open(file, inner.owner(), inner.now()).await.unwrap();
        Stage::with(inner, ledger, options)
    }

    fn with(inner: SimNode, ledger: Ledger, options: &[(&'static str, &str)]) -> Stage {
        inner.set_all(Ppm(200));
        let clock = Arc::new(ManualClock::at(inner.now()));
        let node = Arc::new(TrickyNode { inner, tricks: Mutex::default() });
        let ops = Stage::ops(&node, &ledger, &clock, options);
        Stage { ops, node, ledger, clock }
    }

    fn ops(node: &Arc<TrickyNode>, ledger: &Ledger, clock: &Arc<ManualClock>, options: &[(&'static str, &str)]) -> Ops {
        let settings = Settings::new(layers(options)).unwrap();
        Ops::new(node.inner.owner().clone(), node.clone(), ledger.clone(), clock.clone(), settings)
    }

    /// The plugin ends and starts again; node and file stay.
    pub(crate) async fn restart(&mut self, options: &[(&'static str, &str)], file: &Path) {
        self.ops.close().await;
        self.ledger = Ledger::open(file, self.node.inner.owner(), self.clock.now()).await.unwrap();
        self.ops = Stage::ops(&self.node, &self.ledger, &self.clock, options);
    }

    /// The next order waits until the gate is opened.
    pub(crate) fn hold_orders(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.tricks().gate = Some(gate.clone());
        gate
    }

    /// From now on these run beside us on the node.
    pub(crate) fn beside(&mut self, neighbours: &Arc<impl Neighbours + 'static>) {
        let ops = Stage::ops(&self.node, &self.ledger, &self.clock, &[]);
        self.ops = ops.beside(neighbours.clone());
    }

    pub(crate) fn tricks(&self) -> MutexGuard<'_, Tricks> {
        self.node.tricks.lock().unwrap()
    }

    pub(crate) fn clock_now(&self) -> Time {
        self.clock.now()
    }

    /// Time passes; nobody does anything.
    pub(crate) fn wait(&self, hours: f64) {
        let to = self.clock.now().plus_hours(hours);
        self.node.inner.advance(to);
        self.clock.set(to);
    }

    pub(crate) async fn cycle(&self) -> Vec<FeeOutcome> {
        self.ops.fee_cycle().await.unwrap()
    }

    /// Half-hourly fee cycles, and a flow cycle every second time.
    pub(crate) async fn hours(&self, hours: f64) {
        let end = self.clock.now().plus_hours(hours);
        let mut round = 0;
        while self.clock.now() < end {
            self.wait(0.5);
            if round % 2 == 0 {
                self.ops.flow_cycle().await.unwrap();
            }
            self.cycle().await;
            round += 1;
        }
    }

    pub(crate) fn market_fee(&self, fee: Ppm) {
        self.node.inner.set_all(fee);
    }

    pub(crate) fn fees(&self) -> BTreeMap<ChannelId, Ppm> {
        self.node.inner.market().channels.iter().map(|c| (c.seat.channel_id, Ppm(c.price.ppm))).collect()
    }

    pub(crate) fn place(&self, id: ChannelId) -> usize {
        self.node.inner.market().channels.iter().position(|c| c.seat.channel_id == id).unwrap()
    }

    /// A channel that is the only one with its peer, and has sent something.
    pub(crate) async fn single(&self) -> Channel {
        let channels = self.node.channels().await.unwrap();
        let alone = |c: &&Channel| channels.iter().filter(|other| other.peer == c.peer).count() == 1;
        channels.iter().find(|c| alone(c) && c.opener == Some(cl_revenue_ops::domain::Side::Local)).unwrap().clone()
    }

    /// What is remembered of a peer, both parts.
    pub(crate) async fn memory_of(&self, peer: PeerId) -> MemoryRow {
        let rows = self.ledger.memories().await.unwrap();
        rows.into_iter().find(|row| row.peer == peer).unwrap()
    }

    /// Every change on the record, oldest first.
    pub(crate) async fn changes(&self) -> Vec<FeeRow> {
        let mut rows: Vec<FeeRow> =
            self.ledger.recent_changes(u32::MAX).await.unwrap().into_iter().map(|(_, row)| row).collect();
        rows.reverse();
        rows
    }
}
