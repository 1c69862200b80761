//! How long each report takes on books of three years: 2,000 channels, a row a day for each of them, and sums of millions of forwards behind them.
//! A report never looks at single forwards, so each one here stands for all that a channel forwarded on a day.
//!
//! `REPORTS_BENCH_CHANNELS` (default 2000) and `REPORTS_BENCH_DAYS` (default 1096) set the size.

use std::time::{Duration, Instant};

use cl_revenue_ops::accounts::Worth;
use cl_revenue_ops::domain;
use cl_revenue_ops::domain::Scid;
use cl_revenue_ops::domain::{
    Account, AccountLine, Channel, Direction, Forward, Msat, OwnPayment, PaymentHash, Time, TxId,
};
use cl_revenue_ops::ledger::{Ledger, LifeNews};
use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod synthetic;

const END: Time = Time::from_secs(1_798_761_600);
const DAY_SECS: i64 = 86_400;

fn size(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One forward a channel and day: each stands for all of that day, because reports never look at single ones.
fn day(channels: u32, day: i64) -> Vec<Forward> {
    let at = END.plus_secs(-day * DAY_SECS - 3_600);
    let scid = |n: u32| -> Scid { synthetic::scid(n % channels) };
    let model = synthetic::Forwards::new(1, channels, at, 1).next().expect("there is always one more");
    let forward = |n: u32| {
        let mut forward = model.clone();
        forward.key.in_channel = scid(n + 7);
        forward.key.in_htlc_id = u64::from(n) + u64::try_from(day).unwrap_or(0) * u64::from(channels);
        forward.out_channel = Some(scid(n));
        forward.in_msat = Msat(5_000_100);
        forward.out_msat = Some(Msat(5_000_000));
        forward.fee = Some(Msat(100));
        forward.status = cl_revenue_ops::domain::ForwardStatus::Settled;
        forward.received = at;
        forward.resolved = Some(at);
        forward.created_index = None;
        forward.updated_index = None;
        forward
    };
    (0..channels).map(forward).collect()
}

async fn fill(ledger: &Ledger, channels: u32, days: i64) {
    let listed: Vec<Channel> = (0..channels).map(synthetic::channel).collect();
    ledger.note_channels(END, &listed).await.expect("channels are noted");
    let news: Vec<_> = listed.iter().map(|c| (c.channel_id, LifeNews::listed(c, END))).collect();
    ledger.record_lives(END, &news).await.expect("lives are noted");
    for n in (0..days).rev() {
        ledger.record_forwards(&day(channels, n), None).await.expect("a day is taken in");
        let worth = Worth { onchain: Some(1), unconfirmed: Some(0), capacity: 1_000_000_000, ..Worth::default() };
        ledger.note_day(END.plus_secs(-n * DAY_SECS), &worth).await.expect("a day is noted");
    }
    for (n, channel) in (0_u32..).zip(&listed) {
        let (txid, at) = (TxId(channel.channel_id.0), END.plus_secs(-i64::from(n) * 3_600));
        let rebalance = |k: u8| {
            let mut hash = channel.channel_id.0;
            hash[31] = k;
            AccountLine::Rebalance(OwnPayment {
                payment: PaymentHash(hash),
                part: 0,
                channel: channel.channel_id,
                direction: Direction::Out,
                amount: Msat(100_000_000),
                fee: Msat(2_004),
                at: END.plus_secs(-i64::from(k) * DAY_SECS),
            })
        };
        let mut lines = vec![
            AccountLine::Opened { txid, credit: Msat(1), at },
            AccountLine::Fee { txid, credit: Msat(166_000), debit: Msat(0), at },
        ];
        lines.extend((0..20).map(rebalance));
        let account = Account { lines, balance_msat: 0 };
        ledger.record_account(END, channel.channel_id, Some(&account)).await.expect("an account is booked");
    }
}

fn reports(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let folder = TempDir::new().expect("a folder is made");
    let (channels, days) = (size("REPORTS_BENCH_CHANNELS", 2_000), size("REPORTS_BENCH_DAYS", 1_096));
    let began = Instant::now();
    let ledger = runtime.block_on(async {
        let path = folder.path().join("ledger.db");
        let ledger = Ledger::open(&path, &synthetic::owner(), END).await.expect("a new file opens");
        fill(&ledger, channels, i64::from(days)).await;
        ledger
    });
    eprintln!("filled in {:.0} s", began.elapsed().as_secs_f64());
    let mut group = c.benchmark_group("reports");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for (name, window) in [("30 days", 30), ("a year", 365), ("three years less a day", 1_095)] {
        let from = END.plus_secs(-window * DAY_SECS + 5_000);
        group.bench_function(format!("window of {name}"), |b| {
            b.iter(|| runtime.block_on(ledger.window(Some(from))).expect("sums"));
        });
    }
    group.bench_function("all time", |b| b.iter(|| runtime.block_on(ledger.window(None)).expect("sums")));
    group.bench_function("lives of all channels", |b| b.iter(|| runtime.block_on(ledger.lives()).expect("lives")));
    let today = END.hour() / 24;
    group.bench_function("1,096 days", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let sums = ledger.day_series(today - 1_096, today).await.expect("sums");
                (sums, ledger.days(today - 1_096, today).await.expect("balances"))
            })
        });
    });
    group.finish();
}

criterion_group!(benches, reports);
criterion_main!(benches);
