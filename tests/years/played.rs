//! The world as a node: it answers what is known now, in the shapes of the recordings, through the house's own readers of them.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cl_revenue_ops::domain::{
    Account, Bounds, Chain, ChainMove, Channel, ChannelId, ChannelMoves, ChannelName, ChannelState, Clock as _,
    ClosedChannel, FeePolicy, Feerate, Forward, ForwardIndex, GraphPeer, Identity, IncomeLine, ManualClock, Msat,
    PeerId, Ppm, Scid, Side, Time, WalletCoins,
};
use cl_revenue_ops::node::books::Books;
use cl_revenue_ops::node::{BreakerReport, FeeInForce, FeeOrder, ForwardPage, Node, NodeError, cln_books};
use serde_json::{Value, json};

use crate::world::{Seat, Stage, World};

pub(crate) struct Played {
    world: Mutex<World>,
    clock: Arc<ManualClock>,
}

impl Played {
    pub(crate) fn new(world: World, clock: Arc<ManualClock>) -> Played {
        Played { world: Mutex::new(world), clock }
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        world.advance(self.clock.now());
        world
    }
}

fn none<T>(method: &str) -> Result<T, NodeError> {
    Err(NodeError::Unsupported { method: method.to_owned(), why: "nobody asks that here".to_owned() })
}

fn channel(seat: &Seat) -> Channel {
    Channel {
        channel_id: seat.id,
        scid: seat.scids.last().copied(),
        alias: None,
        peer: seat.peer,
        state: if seat.stage == Stage::Open { ChannelState::Normal } else { ChannelState::Closing },
        opener: Some(seat.opener),
        private: false,
        connected: true,
        capacity: Msat(seat.capacity),
        local: Msat(seat.local),
        spendable: Msat(seat.local),
        receivable: None,
        htlcs_out: 0,
        htlcs_in: 0,
        max_htlcs: None,
        ours: FeePolicy { base: Msat(0), ppm: Ppm(200), htlc_min: None, htlc_max: None },
        theirs: None,
        sent: None,
        bounds: Bounds::default(),
    }
}

#[async_trait]
impl Node for Played {
    async fn identity(&self) -> Result<Identity, NodeError> {
        none("identity")
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        Ok(self.world().seats.iter().filter(|seat| seat.stage != Stage::Forgotten).map(channel).collect())
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        let world = self.world();
        let skipped = usize::try_from(page.start.saturating_sub(1)).unwrap();
        let limit = usize::try_from(page.limit).unwrap();
        Ok(match page.index {
            ForwardIndex::Created => world.forwards.iter().skip(skipped).take(limit).cloned().collect(),
            ForwardIndex::Updated => {
                world.resolved.iter().skip(skipped).take(limit).map(|place| world.forwards[*place].clone()).collect()
            }
        })
    }

    /// Earlier names only while the channel is there.
    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        let world = self.world();
        let knows = |seat: &&Seat| match seat.stage {
            Stage::Forgotten => seat.scids.last() == Some(&scid),
            Stage::Open | Stage::Closing => seat.scids.contains(&scid),
        };
        let found = world.seats.iter().find(knows);
        Ok(found.map(|seat| ChannelName { channel_id: seat.id, peer: Some(seat.peer) }))
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        Ok(None)
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        none("chain")
    }

    async fn peer_in_graph(&self, _: PeerId) -> Result<GraphPeer, NodeError> {
        none("peer_in_graph")
    }

    async fn opening_cost(&self, _: ChannelId) -> Result<Option<Msat>, NodeError> {
        Ok(None)
    }

    async fn set_fee(&self, _: FeeOrder) -> Result<FeeInForce, NodeError> {
        none("set_fee")
    }

    fn warnings(&self) -> Vec<String> {
        vec![]
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        vec![]
    }
}

/// A page of a record, whose rows count from 1.
fn page(rows: &[Value], start: u64, limit: u64) -> Vec<Value> {
    let skipped = usize::try_from(start.saturating_sub(1)).unwrap();
    rows.iter().skip(skipped).take(usize::try_from(limit).unwrap()).cloned().collect()
}

#[async_trait]
impl Books for Played {
    async fn chain_moves(&self, start: u64, limit: u64) -> Result<Vec<ChainMove>, NodeError> {
        cln_books::chain_moves(&json!({ "chainmoves": page(&self.world().chain_moves, start, limit) }))
    }

    async fn channel_moves(&self, start: u64, limit: u64) -> Result<ChannelMoves, NodeError> {
        cln_books::channel_moves(&json!({ "channelmoves": page(&self.world().channel_moves, start, limit) }))
    }

    async fn account(&self, channel: ChannelId) -> Result<Option<Account>, NodeError> {
        let world = self.world();
        let Some(seat) = world.seats.iter().find(|seat| seat.id == channel) else { return Ok(None) };
        cln_books::account(&json!({ "events": seat.events })).map(Some)
    }

    /// From the world's own numbers, not from the records that we read.
    async fn income(&self, from: Time, to: Time) -> Result<Vec<IncomeLine>, NodeError> {
        let world = self.world();
        let inside = |at: &Time| (from.secs()..=to.secs()).contains(&at.secs());
        let line = |seat: &Seat, tag: &str, (credit, debit): (u64, u64)| json!({ "account": seat.id, "tag": tag, "credit_msat": credit, "debit_msat": debit, "currency": "bcrt" });
        let fees = world.fees.iter().filter(|fee| inside(&fee.at)).map(|fee| {
            let mut row = line(&world.seats[fee.seat], "onchain_fee", (0, fee.msat));
            row["txid"] = json!(fee.txid.to_string());
            row
        });
        let refills = world.refills.iter().filter(|(.., at)| inside(at));
        let refills = refills.map(|(seat, fee, _)| line(&world.seats[*seat], "rebalance_fee", (0, *fee)));
        let routed = world.routed().filter(|one| inside(&one.at) && one.fee > 0);
        let routed = routed.map(|one| line(&world.seats[one.to], "routed", (one.fee, 0)));
        cln_books::income(&json!({ "income_events": fees.chain(refills).chain(routed).collect::<Vec<_>>() }))
    }

    async fn closed_channels(&self) -> Result<Vec<ClosedChannel>, NodeError> {
        let side = |side: Side| if side == Side::Local { "local" } else { "remote" };
        let row = |seat: &Seat| {
            json!({
                "peer_id": seat.peer, "channel_id": seat.id, "short_channel_id": seat.scids.last(),
                "opener": side(seat.opener), "total_msat": seat.capacity, "last_commitment_fee_msat": 195_000,
                "close_cause": "user",
            })
        };
        let world = self.world();
        let rows: Vec<Value> = world.seats.iter().filter(|seat| seat.stage == Stage::Forgotten).map(row).collect();
        cln_books::closed_channels(&json!({ "closedchannels": rows }))
    }

    async fn wallet(&self) -> Result<WalletCoins, NodeError> {
        Ok(WalletCoins { confirmed: Msat(1_000_000), unconfirmed: Msat(0) })
    }
}
