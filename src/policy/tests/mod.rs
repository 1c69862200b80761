//! Rule files on channels that are made for the purpose.

mod blocks;
mod cascade;
mod lint;
mod properties;
mod strategies;

use std::io;

use crate::domain::{
    Estimate, Facts, FlowClass, Graph, Msat, NodeFacts, OurTerms, PeerId, Ppm, Sat, Scid, TheirTerms, Week,
};
use crate::policy::{Finding, Outcome, Reading, Resolution, RuleFile, Wanted};

/// Rule files are found in no folder.
fn nowhere(_: &str) -> io::Result<String> {
    Err(io::ErrorKind::NotFound.into())
}

fn rules(text: &str) -> RuleFile {
    match RuleFile::load(text, "rules.conf", &nowhere) {
        Ok((rules, _)) => rules,
        Err(findings) => panic!("{}", said(&findings).join("\n")),
    }
}

fn findings(text: &str) -> Vec<String> {
    said(&RuleFile::parse(text, "r", Reading::Ours, &nowhere).1)
}

fn said(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}

fn peer(number: u8) -> PeerId {
    let mut bytes = [number; 33];
    bytes[0] = 2;
    PeerId(bytes)
}

fn node() -> NodeFacts {
    NodeFacts {
        height: 850_000,
        synced: Some(true),
        feerates: vec![Estimate { blocks: 6, sat_per_vb: 10.0 }],
        ..NodeFacts::default()
    }
}

/// A quiet channel of 1,000,000 sat, half of it ours, 1,000 blocks old, at 1,000 msat and 100 ppm on both sides.
fn quiet() -> Facts {
    Facts {
        scid: Scid::new(849_000, 1, 0).unwrap(),
        peer: peer(7),
        alias: Some("ACINQ".to_owned()),
        capacity: Sat(1_000_000),
        local: Sat(500_000),
        remote: Sat(500_000),
        opened_by_us: Some(true),
        private: false,
        active: true,
        in_graph: true,
        pending: 0,
        next_expiry: None,
        reserve: Some(Sat(10_000)),
        ours: OurTerms {
            base: Msat(1000),
            ppm: Ppm(100),
            htlc_min: Some(Msat(1000)),
            htlc_max: Some(Msat(990_000_000)),
            time_lock_delta: Some(80),
            least_htlc: Some(Msat(1000)),
            most_pending: Some(Msat(990_000_000)),
            ..OurTerms::default()
        },
        theirs: Some(TheirTerms { base: Msat(1000), ppm: Ppm(100), disabled: Some(false), ..TheirTerms::default() }),
        peer_in_graph: Graph::Known { channels: 50, capacity: Sat(100_000_000) },
        shared: Default::default(),
        activity: Default::default(),
        week: Some(Week { in_sat: 1_000, out_sat: 4_000, earned_sat: 2 }),
        flow: Some(FlowClass::Source),
        tags: ["friend".to_owned()].into(),
        costs: Default::default(),
    }
}

fn ours(share: f64) -> Facts {
    let local = crate::domain::units::to_u64_rounded(share * 1_000_000.0);
    Facts { local: Sat(local), remote: Sat(1_000_000 - local), ..quiet() }
}

fn resolve(text: &str, facts: &Facts) -> Resolution {
    rules(text).resolve(facts, &node())
}

fn wanted(text: &str, facts: &Facts) -> Wanted {
    match resolve(text, facts).outcome {
        Outcome::Wanted(wanted) => wanted,
        other => panic!("{other:?}"),
    }
}
