//! A large node for the benches: a ledger as years of forwards leave it, and a node that answers at once. Never touches a ledger that
//! is in use: the file that `STEPS_BENCH_LEDGER` names is made here and only copied from then on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::domain::{
    Chain, Channel, ChannelId, ChannelName, Feerate, Forward, ForwardIndex, GraphPeer, Identity, ManualClock, Msat,
    PeerId, Scid, Time,
};
use super::ledger::Ledger;
use super::node::{BreakerReport, FeeInForce, FeeOrder, ForwardPage, Node, NodeError};
use super::ops::{Ops, Settings};
use super::{options, synthetic};

pub(super) const START: Time = Time::from_secs(1_704_067_200);
/// Rows that catching up takes in at once.
const BATCH: u64 = 30_000;

pub(super) struct Size {
    pub(super) forwards: u64,
    pub(super) channels: u32,
    pub(super) days: u32,
}

impl Size {
    /// From the environment.
    pub(super) fn read() -> Size {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        Size {
            forwards: number("STEPS_BENCH_FORWARDS").map_or(500_000, u64::from),
            channels: number("STEPS_BENCH_CHANNELS").unwrap_or(500),
            days: number("STEPS_BENCH_DAYS").unwrap_or(90).max(31),
        }
    }

    /// All forwards that there are, those of the ledger first.
    pub(super) fn list(&self) -> synthetic::Forwards {
        let gap = i64::from(self.days) * 86_400_000 / i64::try_from(self.forwards).expect("a count fits").max(1);
        synthetic::Forwards::new(1, self.channels, START, gap)
    }
}

/// A node that does what it is told, and lists the forwards that it is given.
pub(super) struct Instantly {
    channels: Mutex<Vec<Channel>>,
    /// In the order of their creation, without gaps.
    forwards: Vec<Forward>,
}

impl Instantly {
    pub(super) fn new(size: &Size, forwards: Vec<Forward>) -> Instantly {
        Instantly { channels: Mutex::new((0..size.channels).map(synthetic::channel).collect()), forwards }
    }
}

#[async_trait]
impl Node for Instantly {
    async fn identity(&self) -> Result<Identity, NodeError> {
        Ok(synthetic::owner())
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        Ok(self.channels.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        let first = self.forwards.first().and_then(|forward| forward.created_index);
        let Some(first) = first.filter(|_| page.index == ForwardIndex::Created) else { return Ok(Vec::new()) };
        let (skip, limit) = (page.start.saturating_sub(first), page.limit);
        let count = |rows: u64| usize::try_from(rows).expect("a page fits into memory");
        Ok(self.forwards.iter().skip(count(skip)).take(count(limit)).cloned().collect())
    }

    async fn channel_of(&self, _scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        Ok(None)
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        Ok(Some(Feerate { sat_per_kvb: 5_000 }))
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        Ok(Chain { height: 850_000, synced: true, feerates: Vec::new() })
    }

    async fn peer_in_graph(&self, _: PeerId) -> Result<GraphPeer, NodeError> {
        Ok(GraphPeer::default())
    }

    async fn opening_cost(&self, _: ChannelId) -> Result<Option<Msat>, NodeError> {
        Ok(None)
    }

    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.iter_mut().find(|channel| channel.channel_id == order.channel).expect("it is ours");
        channel.ours.ppm = order.ppm;
        Ok(FeeInForce { ppm: order.ppm, base: Msat(0), htlc_min: None, htlc_max: None })
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}

/// The steps over a copy of the ledger at `path`, which is taken from the kept one or made.
pub(super) async fn ops(path: &Path, size: &Size, node: Instantly, clock: Arc<ManualClock>) -> Ops {
    match std::env::var_os("STEPS_BENCH_LEDGER").map(PathBuf::from) {
        None => generate(path, size).await,
        Some(kept) => {
            if !kept.exists() {
                generate(&kept, size).await;
            }
            std::fs::copy(&kept, path).expect("the ledger is copied");
        }
    }
    let ledger = Ledger::open(path, &synthetic::owner(), START).await.expect("the ledger opens");
    let settings = Settings::new(options::Layers::default()).expect("defaults are allowed");
    Ops::new(synthetic::owner(), Arc::new(node), ledger, clock, settings)
}

/// Fills a ledger with forwards, batch by batch as catching up does.
async fn generate(path: &Path, size: &Size) {
    let ledger = Ledger::open(path, &synthetic::owner(), START).await.expect("a new file opens");
    let channels: Vec<Channel> = (0..size.channels).map(synthetic::channel).collect();
    ledger.note_channels(START, &channels).await.expect("channels are noted");
    let mut source = size.list();
    let mut spent = Duration::ZERO;
    let mut left = size.forwards;
    while left > 0 {
        let rows = left.min(BATCH);
        left -= rows;
        let batch: Vec<Forward> = (0..rows).filter_map(|_| source.next()).collect();
        let read = batch.last().and_then(|f| f.created_index).map(|to| (ForwardIndex::Created, to));
        let begun = Instant::now();
        ledger.record_forwards(&batch, read).await.expect("a batch is taken in");
        spent += begun.elapsed();
    }
    let begun = Instant::now();
    ledger.close().await;
    spent += begun.elapsed();
    let megabytes = path.metadata().map_or(0, |m| m.len()) / 1_000_000;
    eprintln!(
        "{} forwards taken in within {:.1} s, {:.0} a second; {megabytes} MB",
        size.forwards,
        spent.as_secs_f64(),
        size.forwards as f64 / spent.as_secs_f64()
    );
}
