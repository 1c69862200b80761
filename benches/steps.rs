//! How long the flow step and the fee step of a large node take, beside a node that answers at once. Never touches a ledger that is in
//! use: the steps work on a temporary copy.
//!
//! `STEPS_BENCH_CHANNELS` (default 500), `STEPS_BENCH_FORWARDS` (default 500000) and `STEPS_BENCH_DAYS` (default 90, over which the
//! forwards are spread) set the size. `STEPS_BENCH_LEDGER` names a generated ledger to start from; it is made if it is not there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cl_revenue_ops::{domain, ledger, node, ops, options};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use domain::{Channel, ChannelName, Feerate, Forward, ForwardIndex, Identity, ManualClock, Msat, Scid, Time};
use ledger::{FeeOutcomeKind, Ledger};
use node::{BreakerReport, FeeInForce, FeeOrder, ForwardPage, Node, NodeError};
use ops::{FeeOutcome, Ops, Settings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod synthetic;

const START: Time = Time::from_secs(1_704_067_200);
const PAGE: u64 = 10_000;
/// The steps play in the last days of the generated ones, so that there is demand in every half hour.
const PLAYED_HOURS: f64 = 30.0 * 24.0;

struct Size {
    forwards: u64,
    channels: u32,
    days: u32,
}

fn size() -> Size {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    Size {
        forwards: number("STEPS_BENCH_FORWARDS").map_or(500_000, u64::from),
        channels: number("STEPS_BENCH_CHANNELS").unwrap_or(500),
        days: number("STEPS_BENCH_DAYS").unwrap_or(90).max(31),
    }
}

/// A node that does what it is told, and whose forwards are all in the ledger.
struct Instantly {
    channels: Mutex<Vec<Channel>>,
}

#[async_trait]
impl Node for Instantly {
    async fn identity(&self) -> Result<Identity, NodeError> {
        Ok(synthetic::owner())
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        Ok(self.channels.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn forwards(&self, _page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        Ok(Vec::new())
    }

    async fn channel_of(&self, _scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        Ok(None)
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        Ok(Some(Feerate { sat_per_kvb: 5_000 }))
    }

    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.iter_mut().find(|channel| channel.channel_id == order.channel).expect("it is ours");
        channel.ours.ppm = order.ppm;
        Ok(FeeInForce { ppm: order.ppm, base: Msat(0) })
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}

/// Fills a ledger with forwards, page by page as catching up does.
async fn generate(path: &Path, size: &Size) {
    let ledger = Ledger::open(path, &synthetic::owner(), START).await.expect("a new file opens");
    let channels: Vec<Channel> = (0..size.channels).map(synthetic::channel).collect();
    ledger.note_channels(START, &channels).await.expect("channels are noted");
    let gap = i64::from(size.days) * 86_400_000 / i64::try_from(size.forwards).expect("a count fits").max(1);
    let mut source = synthetic::Forwards::new(1, size.channels, START, gap);
    let mut spent = Duration::ZERO;
    for _ in 0..size.forwards / PAGE {
        let page: Vec<Forward> = (0..PAGE).filter_map(|_| source.next()).collect();
        let read = page.last().and_then(|f| f.created_index).map(|to| (ForwardIndex::Created, to));
        let begun = Instant::now();
        ledger.record_forwards(&page, read).await.expect("a page is taken in");
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

struct Scene {
    runtime: Runtime,
    ops: Ops,
    clock: Arc<ManualClock>,
    now: Time,
    _folder: TempDir,
}

impl Scene {
    fn set(size: &Size) -> Scene {
        let runtime = Runtime::new().expect("a runtime starts");
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("ledger.db");
        match std::env::var_os("STEPS_BENCH_LEDGER").map(PathBuf::from) {
            None => runtime.block_on(generate(&path, size)),
            Some(kept) => {
                if !kept.exists() {
                    runtime.block_on(generate(&kept, size));
                }
                std::fs::copy(&kept, &path).expect("the ledger is copied");
            }
        }
        let now = START.plus_hours(f64::from(size.days) * 24.0 - PLAYED_HOURS);
        let ledger = runtime.block_on(Ledger::open(&path, &synthetic::owner(), now)).expect("the ledger opens");
        let clock = Arc::new(ManualClock::at(now));
        let channels = Mutex::new((0..size.channels).map(synthetic::channel).collect());
        let settings = Settings::new(options::Layers::default()).expect("defaults are allowed");
        let ops = Ops::new(synthetic::owner(), Arc::new(Instantly { channels }), ledger, clock.clone(), settings);
        Scene { runtime, ops, clock, now, _folder: folder }
    }

    fn go_on(&mut self, hours: f64) {
        self.now = self.now.plus_hours(hours);
        self.clock.set(self.now);
    }

    fn fees(&self) -> (Duration, Vec<FeeOutcome>) {
        let begun = Instant::now();
        let outcomes = self.runtime.block_on(self.ops.fee_cycle()).expect("the fee step ends");
        (begun.elapsed(), outcomes)
    }

    fn flow(&self) -> Duration {
        let begun = Instant::now();
        let flows = self.runtime.block_on(self.ops.flow_cycle()).expect("the flow step ends");
        assert!(!flows.is_empty());
        begun.elapsed()
    }
}

/// Every round goes on where the last one ended, so that a round is one cycle, whatever its length.
fn rounds(mut cycle: impl FnMut() -> Duration) -> impl FnMut(u64) -> Duration {
    move |count| (0..count).map(|_| cycle()).sum()
}

fn steps(c: &mut Criterion) {
    let mut scene = Scene::set(&size());
    eprintln!("first flow step: {:.0} ms", scene.flow().as_secs_f64() * 1e3);
    eprintln!("first fee step: {:.0} ms", scene.fees().0.as_secs_f64() * 1e3);
    let mut group = c.benchmark_group("steps");
    group.sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_millis(1));

    // Two days, so that every peer's blocks end four times.
    let (mut changed, mut longest) = (Vec::new(), Duration::ZERO);
    group.sample_size(96).bench_function("fee_step", |b| {
        b.iter_custom(rounds(|| {
            scene.go_on(0.5);
            let (spent, outcomes) = scene.fees();
            longest = longest.max(spent);
            changed.push(outcomes.iter().filter(|outcome| outcome.kind == FeeOutcomeKind::Set).count());
            spent
        }));
    });
    eprintln!("fees set in each cycle: {changed:?}; the longest took {:.0} ms", longest.as_secs_f64() * 1e3);
    group.sample_size(20).bench_function("flow_step", |b| {
        b.iter_custom(rounds(|| {
            scene.go_on(1.0);
            scene.flow()
        }));
    });
    group.finish();
    scene.runtime.block_on(scene.ops.close());
}

criterion_group!(benches, steps);
criterion_main!(benches);
