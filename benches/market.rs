//! How many payments a second the market plays: a frozen tape at fees that never change, on one core. No ledger and no steps.

use std::sync::Arc;

use cl_revenue_ops::domain::Ppm;
use cl_revenue_ops::sim::{Kind, Network, Scenario, Tape, play_fixed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const DAYS: u32 = 45;

fn static_prices(c: &mut Criterion) {
    let kinds = ["M1", "M6", "S1"].into_iter().filter_map(Kind::by_name);
    let mut scenarios: Vec<(&str, Scenario)> = kinds.map(|kind| (kind.name, kind.scenario(1))).collect();
    scenarios.push(("default", Scenario::default()));
    let mut group = c.benchmark_group("static prices");
    for (name, scenario) in scenarios {
        let tape = Arc::new(Tape::new(Network::draw(scenario)).frozen(DAYS));
        let payments = (0..DAYS).map(|day| tape.day(day).payments.len() as u64).sum();
        let fees = vec![Ppm(200); tape.network().seats.len()];
        group.throughput(Throughput::Elements(payments));
        group.bench_function(name, |b| b.iter(|| play_fixed(&tape, DAYS, &fees)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = static_prices
}
criterion_main!(benches);
