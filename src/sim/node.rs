//! The market as a node: what the steps read and order, answered from memory. Time stands still until it is advanced.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::channel::{Price, Stage};
use super::market::Market;
use super::mempool::Mempool;
use super::mover::Mover;
use super::network::{Network, Scenario};
use super::play::Asked;
use super::tape::Tape;
use crate::domain::{
    Booked, Chain, Channel, ChannelId, ChannelName, Estimate, FeePolicy, Feerate, Forward, Graph, GraphPeer, Identity,
    Job, MoveOrder, Msat, Paid, PeerId, Sat, Scid, Tally, Time,
};
use crate::node::{BreakerReport, FeeInForce, FeeOrder, ForwardPage, Node, NodeError, Rebalancer};

/// A market and its mempool behind one lock.
#[derive(Debug)]
pub struct SimNode {
    market: Mutex<Market>,
    mempool: Mutex<Mempool>,
    mover: Mutex<Option<Mover>>,
    asked: Mutex<Vec<Asked>>,
    identity: Identity,
}

impl SimNode {
    /// Keeps all forwards, until [`SimNode::prune`].
    pub fn new(scenario: Scenario) -> SimNode {
        SimNode::on(Arc::new(Tape::new(Network::draw(scenario))))
    }

    /// On a tape that others play as well.
    pub fn on(tape: Arc<Tape>) -> SimNode {
        let identity = Identity { node: tape.network().us, network: "regtest".to_owned() };
        let mempool = Mempool::of(&tape.network().scenario);
        let market = Mutex::new(Market::new(tape).with_book());
        SimNode { market, mempool: Mutex::new(mempool), mover: Mutex::default(), asked: Mutex::default(), identity }
    }

    pub fn owner(&self) -> &Identity {
        &self.identity
    }

    /// The market itself, for those who drive it. Never held across an await.
    pub fn market(&self) -> MutexGuard<'_, Market> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Time {
        self.market().now()
    }

    /// Plays the tape up to that time.
    pub fn advance(&self, to: Time) {
        let (mut market, mut mover) = (self.market(), self.mover());
        if let Some(mover) = mover.as_mut() {
            while let Some(at) = mover.next().filter(|at| *at <= to) {
                market.advance(at);
                mover.act(&mut market);
            }
        }
        market.advance(to);
    }

    /// From now on there is somebody who moves liquidity.
    pub fn bring_mover(&self) {
        let seed = self.market().network().scenario.seed;
        self.mover().get_or_insert_with(|| Mover::new(seed));
    }

    /// Who moves liquidity, if anybody; locked after the market by those who need both.
    pub fn mover(&self) -> MutexGuard<'_, Option<Mover>> {
        self.mover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every price that was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn moving<T>(&self, method: &str, ask: impl FnOnce(&mut Mover) -> T) -> Result<T, NodeError> {
        let mut mover = self.mover();
        let here = mover.as_mut().filter(|mover| mover.is_present());
        here.map(ask).ok_or_else(|| NodeError::unsupported(method, "Unknown command"))
    }

    /// Forgets finished forwards received before that time, as `autoclean` does.
    pub fn prune(&self, before: Time) {
        if let Some(book) = self.market().book_mut() {
            book.prune(before);
        }
    }

    /// All fees earned so far.
    pub fn earned(&self) -> Msat {
        self.market().channels.iter().map(|channel| Msat(channel.earned)).sum()
    }

    /// Fees earned on that day of the market, by channel, in the order of [`Network::seats`].
    pub fn earned_on(&self, day: u32) -> Vec<Msat> {
        self.market().earned_on(day).collect()
    }

    /// Sets one rate on all channels, without base fee: where a demonstration begins.
    pub fn set_all(&self, ppm: crate::domain::Ppm) {
        self.market().set_all(ppm);
    }

    pub fn feerate_now(&self) -> Feerate {
        let now = self.now();
        self.mempool().at(now)
    }

    /// Fixes the price of block space, or lets it move again.
    pub fn fix_feerate(&self, sat_per_kvb: Option<u64>) {
        self.mempool().fix(sat_per_kvb);
    }

    fn mempool(&self) -> MutexGuard<'_, Mempool> {
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Node for SimNode {
    async fn identity(&self) -> Result<Identity, NodeError> {
        Ok(self.identity.clone())
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        let market = self.market();
        let open = market.channels.iter().filter(|channel| channel.stage != Stage::Closed);
        Ok(open.map(|channel| channel.view(market.is_online(channel))).collect())
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        Ok(self.market().book().map(|book| book.page(page)).unwrap_or_default())
    }

    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        let market = self.market();
        let found = market.channels.iter().find(|c| c.scid == scid || c.old_scids.contains(&scid));
        Ok(found.map(|c| ChannelName { channel_id: c.seat.channel_id, peer: Some(c.peer_id) }))
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        Ok(Some(self.feerate_now()))
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        let height = self.market().height();
        let sat_per_vb = self.feerate_now().sat_per_kvb as f64 / 1000.0;
        Ok(Chain { height, synced: true, feerates: vec![Estimate { blocks: 6, sat_per_vb }] })
    }

    async fn way(&self, from: PeerId, to: PeerId, arrives: Msat) -> Result<Option<Msat>, NodeError> {
        let market = self.market();
        let nobody = || NodeError::unsupported("getroutes", "nobody moves liquidity in this market");
        Ok(self.mover().as_ref().ok_or_else(nobody)?.searched(&market, (from, to), arrives))
    }

    /// The graph of the market is our channels.
    async fn peer_in_graph(&self, peer: PeerId) -> Result<GraphPeer, NodeError> {
        let market = self.market();
        let ours: Vec<_> = market.channels.iter().filter(|c| c.peer_id == peer && c.stage != Stage::Closed).collect();
        let capacity = Sat(ours.iter().map(|c| c.capacity / 1000).sum());
        let graph = match u32::try_from(ours.len()) {
            Ok(0) => Graph::Missing,
            channels => Graph::Known { channels: channels.unwrap_or(u32::MAX), capacity },
        };
        Ok(GraphPeer { alias: None, graph, ..GraphPeer::default() })
    }

    async fn opening_cost(&self, _: ChannelId) -> Result<Option<Msat>, NodeError> {
        Ok(None)
    }

    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        let mut market = self.market();
        let place = market.channels.iter().position(|c| c.seat.channel_id == order.channel && c.routes());
        let Some(place) = place else {
            let message = "id: Channel id not found: invalid token (see logs for details)".to_owned();
            return Err(NodeError::Refused { method: "setchannel".to_owned(), code: -32602, message });
        };
        let old = market.channels[place].price;
        let most = market.channels[place].capacity / 100 * 99;
        let price = Price {
            base: order.base.map_or(old.base, |base| base.0),
            ppm: order.ppm.0,
            htlc_min: order.htlc_min.map_or(old.htlc_min, |min| min.0),
            htlc_max: order.htlc_max.map_or(old.htlc_max, |max| max.0.min(most)),
        };
        market.set_price(place, price, None);
        let asked = Asked { at: market.now(), channel: place, price };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let FeePolicy { base, ppm, htlc_min, htlc_max } = price.policy();
        Ok(FeeInForce { ppm, base, htlc_min, htlc_max })
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}

#[async_trait]
impl Rebalancer for SimNode {
    async fn version(&self) -> Result<Option<String>, NodeError> {
        Ok(self.moving("sling-version", |_| "v4.2.1".to_owned()).ok())
    }

    async fn jobs(&self) -> Result<Vec<Job>, NodeError> {
        self.moving("sling-stats", |mover| mover.jobs())
    }

    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError> {
        self.moving("sling-stats", |mover| mover.tally(channel))
    }

    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError> {
        let market = self.market();
        let begun = self.moving("sling-once", |mover| mover.begin(&market, order))?;
        begun.map_err(|message| NodeError::Refused { method: "sling-once".to_owned(), code: -32700, message })
    }

    async fn stop(&self, channel: Scid) -> Result<(), NodeError> {
        self.moving("sling-stop", |mover| mover.stop(channel)).map(drop)
    }

    async fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Result<Option<Booked>, NodeError> {
        Ok(self.mover().as_ref().map(|mover| mover.booked(from, to, since)))
    }

    async fn paid(&self, most: Sat, since: Time) -> Result<Paid, NodeError> {
        Ok(self.mover().as_ref().map(|mover| mover.paid(most, since)).unwrap_or_default())
    }

    async fn pending(&self, from: ChannelId, _to: ChannelId) -> Result<bool, NodeError> {
        Ok(self.mover().as_ref().is_some_and(|mover| mover.flying().iter().any(|part| part.from == from)))
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}
