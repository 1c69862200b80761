//! How long a large rule file takes: 500 sections as generators write them, on 2,000 channels. Under 50 ms is what a node can spare in a
//! cycle.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use cl_revenue_ops::domain::{
    Activity, Estimate, Facts, Graph, Msat, NodeFacts, OurTerms, PeerId, Ppm, Sat, Scid, Week,
};
use cl_revenue_ops::policy::{Reading, RuleFile};
use criterion::{Criterion, criterion_group, criterion_main};

const SECTIONS: u32 = 500;
const CHANNELS: u32 = 2_000;

fn scid(number: u32) -> Scid {
    Scid::new(800_000 + number, number, 0).expect("a block below the limit")
}

fn peer(number: u32) -> PeerId {
    let mut bytes = [7; 33];
    bytes[0] = 2;
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    PeerId(bytes)
}

/// Sections by channel, by node, by balance and by activity; the last takes what no other took.
fn text() -> String {
    let mut text = "[base]\nbase_fee_msat = 0\nmin_fee_ppm_delta = 5\n".to_owned();
    for number in 1..SECTIONS - 1 {
        let ids: Vec<String> = (0..4).map(|at| scid(number * 4 + at).to_string()).collect();
        let nodes: Vec<String> = (0..20).map(|at| peer(number * 20 + at).to_string()).collect();
        let criteria = match number % 4 {
            0 => format!("chan.id = {}", ids.join(", ")),
            1 => format!("node.id = {}", nodes.join(", ")),
            2 => format!("chan.min_ratio = 0.{:03}\nchan.max_ratio = 0.{:03}\nchan.private = true", number, number + 1),
            _ => format!("chan.activity_period = 7d\nchan.min_sats_out = {number}00_000\nnode.min_channels = 10"),
        };
        let _ = writeln!(text, "[section-{number}]\n{criteria}\nstrategy = static\nfee_ppm = {number}");
    }
    text + "[default]\nstrategy = proportional\nmin_fee_ppm = 10\nmax_fee_ppm = 1000\n"
}

fn facts(number: u32) -> Facts {
    let local = u64::from(number) * 997 % 1_000_000;
    Facts {
        scid: scid(number),
        peer: peer(number / 2),
        alias: Some(format!("node {number}")),
        capacity: Sat(1_000_000),
        local: Sat(local),
        remote: Sat(1_000_000 - local),
        opened_by_us: Some(true),
        private: false,
        active: true,
        in_graph: true,
        pending: 0,
        next_expiry: None,
        reserve: Some(Sat(10_000)),
        ours: OurTerms { base: Msat(1000), ppm: Ppm(100), ..OurTerms::default() },
        theirs: None,
        peer_in_graph: Graph::Known { channels: 50, capacity: Sat(100_000_000) },
        shared: Default::default(),
        activity: BTreeMap::from([(604_800, Activity { out_sat: 1_000, ..Activity::default() })]),
        week: Some(Week::default()),
        flow: None,
        tags: Default::default(),
        costs: Default::default(),
    }
}

fn policy(bench: &mut Criterion) {
    let (text, nowhere) = (text(), |_: &str| Err(io::ErrorKind::NotFound.into()));
    let (rules, findings) = RuleFile::load(&text, "bench.conf", &nowhere).expect("a file without errors");
    assert_eq!(findings, []);
    assert_eq!(rules.sections().count(), SECTIONS as usize);
    let mut channels: Vec<Facts> = (0..CHANNELS).map(facts).collect();
    let feerates = vec![Estimate { blocks: 6, sat_per_vb: 10.0 }];
    let mut node = NodeFacts { height: 850_000, synced: Some(true), feerates, ..NodeFacts::default() };
    node.gather(&mut channels);
    bench.bench_function("read 500 sections", |b| {
        b.iter(|| RuleFile::parse(&text, "bench.conf", Reading::Ours, &nowhere))
    });
    bench.bench_function("resolve 2,000 channels by 500 sections", |b| {
        b.iter(|| channels.iter().map(|facts| rules.resolve(facts, &node)).filter(|r| r.section.is_some()).count())
    });
}

criterion_group!(benches, policy);
criterion_main!(benches);
