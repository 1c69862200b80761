//! How long the flow step and the fee step of a large node take, beside a node that answers at once. Never touches a ledger that is in
//! use: the steps work on a temporary copy.
//!
//! `STEPS_BENCH_CHANNELS` (default 500), `STEPS_BENCH_FORWARDS` (default 500000) and `STEPS_BENCH_DAYS` (default 90, over which the
//! forwards are spread) set the size. `STEPS_BENCH_LEDGER` names a generated ledger to start from; it is made if it is not there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cl_revenue_ops::{domain, ledger, node, ops, options};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use domain::{ManualClock, Time};
use full::{Instantly, START, Size};
use ledger::FeeOutcomeKind;
use ops::{FeeOutcome, Ops};
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod full;
mod synthetic;

/// The steps play in the last days of the generated ones, so that there is demand in every half hour.
const PLAYED_HOURS: f64 = 30.0 * 24.0;

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
        let now = START.plus_hours(f64::from(size.days) * 24.0 - PLAYED_HOURS);
        let clock = Arc::new(ManualClock::at(now));
        let node = Instantly::new(size, Vec::new());
        let ops = runtime.block_on(full::ops(&folder.path().join("ledger.db"), size, node, clock.clone()));
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
    let mut scene = Scene::set(&Size::read());
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
