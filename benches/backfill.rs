//! How fast catching up takes forwards into a ledger that holds many already: the real `sync`, by pages of a thousand, beside a
//! node that answers at once. Never touches a ledger that is in use: it writes to a temporary copy.
//!
//! The ledger is that of the steps bench (`STEPS_BENCH_...`); `BACKFILL_BENCH_FORWARDS` (default 500000) go into it.

use std::sync::Arc;
use std::time::Instant;

use cl_revenue_ops::{domain, ledger, node, ops, options};
use domain::{Forward, ManualClock};
use full::{Instantly, START, Size};
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod full;
mod synthetic;

/// What the process has used of all processors, in seconds.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect::<Vec<_>>().join(" ")
}

fn main() {
    let runtime = Runtime::new().expect("a runtime starts");
    let size = Size::read();
    let count = std::env::var("BACKFILL_BENCH_FORWARDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let folder = TempDir::new().expect("a temporary folder");
    let known = usize::try_from(size.forwards).expect("a count fits");
    let list: Vec<Forward> = size.list().skip(known).take(count).collect();
    let clock = Arc::new(ManualClock::at(list.last().map_or(START, |forward| forward.received)));
    let node = Instantly::new(&size, list);
    let ops = runtime.block_on(full::ops(&folder.path().join("ledger.db"), &size, node, clock));
    eprintln!("before {}", memory());
    let (begun, used) = (Instant::now(), processor());
    let report = runtime.block_on(ops.sync()).expect("catching up ends");
    eprintln!("after {}", memory());
    // What still waits in the log belongs to the price.
    runtime.block_on(ops.close());
    let (spent, used) = (begun.elapsed().as_secs_f64(), processor() - used);
    assert_eq!(usize::try_from(report.new), Ok(count), "each forward is new once");
    let rate = |seconds: f64| report.new as f64 / seconds;
    eprintln!(
        "{count} forwards into a ledger with {}: {spent:.1} s, {:.0} a second, {:.0} a second of processor time",
        size.forwards,
        rate(spent),
        rate(used)
    );
}
