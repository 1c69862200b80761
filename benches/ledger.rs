//! How fast the ledger takes forwards in, and how fast it answers when it holds many. Never touches a ledger that is in use: all files
//! are temporary.
//!
//! `LEDGER_BENCH_FORWARDS` (default 200000) and `LEDGER_BENCH_CHANNELS` (default 1000) set the size.

use std::path::Path;
use std::time::{Duration, Instant};

use cl_revenue_ops::domain;
use cl_revenue_ops::domain::ForwardIndex;
use cl_revenue_ops::ledger::{FeeOutcomeKind, FeeRow, Ledger, MemoryRow};
use criterion::{Criterion, criterion_group, criterion_main};
use domain::{Channel, Forward, Ppm, Time};
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod synthetic;

const START: Time = Time::from_secs(1_704_067_200);
const PAGE: usize = 1_000;

struct Size {
    forwards: u64,
    channels: u32,
}

fn size() -> Size {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    Size {
        forwards: number("LEDGER_BENCH_FORWARDS").map_or(200_000, u64::from),
        channels: number("LEDGER_BENCH_CHANNELS").unwrap_or(1_000),
    }
}

fn take(count: u64) -> usize {
    usize::try_from(count).expect("a count of rows fits into memory")
}

async fn open(path: &Path, channels: u32) -> Ledger {
    let ledger = Ledger::open(path, &synthetic::owner(), START).await.expect("a new file opens");
    note(&ledger, channels).await;
    ledger
}

async fn note(ledger: &Ledger, channels: u32) {
    let channels: Vec<Channel> = (0..channels).map(synthetic::channel).collect();
    ledger.note_channels(START, &channels).await.expect("channels are noted");
}

/// Pages as catching up reads them.
async fn ingest(ledger: &Ledger, forwards: &[Forward]) {
    for page in forwards.chunks(PAGE) {
        let read = page.last().and_then(|f| f.created_index).map(|to| (ForwardIndex::Created, to));
        ledger.record_forwards(page, read).await.expect("a page is taken in");
    }
}

fn writing(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let size = size();
    let forwards: Vec<Forward> = synthetic::Forwards::new(1, size.channels, START, 9_000).take(50 * PAGE).collect();
    let mut group = c.benchmark_group("write");
    group.sample_size(10).throughput(criterion::Throughput::Elements(u64::try_from(forwards.len()).expect("it fits")));
    group.bench_function("ingest_pages_of_1000", |b| {
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let folder = TempDir::new().expect("a temporary folder");
                let ledger = runtime.block_on(open(&folder.path().join("ledger.db"), size.channels));
                let begun = Instant::now();
                runtime.block_on(ingest(&ledger, &forwards));
                spent += begun.elapsed();
                runtime.block_on(ledger.close());
            }
            spent
        });
    });
    group.finish();

    let ledger = runtime.block_on(async {
        let ledger = Ledger::in_memory(&synthetic::owner(), START).await.expect("memory opens");
        note(&ledger, size.channels).await;
        ledger
    });
    let mut endless = synthetic::Forwards::new(2, size.channels, START, 9_000);
    c.bench_function("write/one_forward_in_memory", |b| {
        b.iter(|| {
            let one: Vec<Forward> = endless.by_ref().take(1).collect();
            runtime.block_on(ledger.record_forwards(&one, None)).expect("it is taken in")
        });
    });
}

fn fee_row(n: u32) -> FeeRow {
    FeeRow {
        channel: synthetic::channel_id(n),
        peer: synthetic::peer(n),
        at: START,
        old: Ppm(100),
        new: Ppm(100),
        outcome: FeeOutcomeKind::Kept,
        manual: false,
        urgent: false,
        summary: "100 ppm stays: too small a change to gossip".to_owned(),
        why: "[\"a stage that says a sentence\"]".repeat(10),
    }
}

fn reading(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let size = size();
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("ledger.db");
    let mut source = synthetic::Forwards::new(1, size.channels, START, 9_000);
    let begun = Instant::now();
    let mut now = START;
    let ledger = runtime.block_on(open(&path, size.channels));
    for _ in 0..size.forwards / 1_000 {
        let page: Vec<Forward> = source.by_ref().take(PAGE).collect();
        now = page.last().map_or(now, |f| f.received);
        runtime.block_on(ingest(&ledger, &page));
    }
    let megabytes = path.metadata().map_or(0, |m| m.len()) / 1_000_000;
    eprintln!(
        "{} forwards in {:.1} s (making them included), {megabytes} MB",
        size.forwards,
        begun.elapsed().as_secs_f64()
    );

    let mut group = c.benchmark_group("read");
    group.sample_size(20);
    macro_rules! bench {
        ($name:literal, $call:expr) => {
            group.bench_function($name, |b| b.iter(|| runtime.block_on($call).expect("it answers")));
        };
    }
    bench!("day_sums_7_days", ledger.day_sums(now, 7));
    bench!("totals", ledger.totals());
    bench!("demand_30_minutes", ledger.demand(now.plus_secs(-1800), now));
    bench!("demand_1_day", ledger.demand(now.plus_secs(-86_400), now));
    bench!("recent_amounts", ledger.recent_amounts(400));
    bench!("node_hours_28_days", ledger.node_hours(now.plus_secs(-28 * 86_400)));
    bench!("check", ledger.check(now));
    bench!("balance_of_income", ledger.balance_of("income/routing"));
    let rows: Vec<FeeRow> = (0..size.channels).map(fee_row).collect();
    let memory =
        |n| MemoryRow { peer: synthetic::peer(n), memory: "{\"level\":1.0,\"spread\":0.5}".repeat(20), learned: None };
    let memories: Vec<MemoryRow> = (0..size.channels).map(memory).collect();
    bench!("record_fees_unchanged", ledger.record_fees(now, &memories, &rows));
    bench!("update_reputation", ledger.update_reputation(now, 0.98));
    let channels: Vec<Channel> = (0..size.channels).map(synthetic::channel).collect();
    bench!("note_channels_unchanged", ledger.note_channels(now, &channels));
    group.finish();

    let begun = Instant::now();
    let dropped = runtime.block_on(ledger.drop_forwards(now, 1_000)).expect("it drops");
    eprintln!("dropping {dropped} took {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    runtime.block_on(ledger.close());
}

/// The rollups of a node that is busy everywhere: every channel in every hour of a week.
fn full_week(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let size = size();
    let hours = 168.min(size.forwards / u64::from(size.channels).max(1));
    let folder = TempDir::new().expect("a temporary folder");
    let ledger = runtime.block_on(open(&folder.path().join("ledger.db"), size.channels));
    let mut source = synthetic::Forwards::new(1, size.channels, START, 0);
    let mut at = START;
    for hour in 0..hours {
        at = START.plus_secs(i64::try_from(hour).expect("a week is short") * 3600);
        let mut page: Vec<Forward> = source.by_ref().take(take(u64::from(size.channels))).collect();
        for (n, forward) in (0..).zip(&mut page) {
            forward.out_channel = Some(synthetic::scid(n));
            forward.status = domain::ForwardStatus::Settled;
            forward.resolved = Some(at);
        }
        runtime.block_on(ingest(&ledger, &page));
    }
    c.bench_function("read/day_sums_every_channel_every_hour", |b| {
        b.iter(|| runtime.block_on(ledger.day_sums(at, 7)).expect("it answers"));
    });
    runtime.block_on(ledger.close());
}

criterion_group!(benches, writing, reading, full_week);
criterion_main!(benches);
