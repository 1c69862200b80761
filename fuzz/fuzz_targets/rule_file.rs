//! Whatever the bytes: the parser does not panic, a file that is loaded resolves, and what could not be judged changes nothing.
#![no_main]

use std::io;

use cl_revenue_ops::policy::snapshot::Snapshot;
use cl_revenue_ops::policy::{Outcome, Reading, RuleFile, has_errors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // A rule file may name itself.
    let read = |path: &str| match path.len() % 2 {
        0 => Ok(text.clone().into_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    for reading in [Reading::Ours, Reading::ChargeLnd] {
        let (rules, findings) = RuleFile::parse(&text, "fuzz.conf", reading, &read);
        let Some(rules) = rules else {
            assert!(has_errors(&findings));
            continue;
        };
        let snapshot = Snapshot::of(node(), &rules.periods()).expect("a snapshot");
        for facts in &snapshot.channels {
            let resolution = rules.explain(facts, &snapshot.node);
            assert_eq!(resolution.outcome, rules.resolve(facts, &snapshot.node).outcome);
            if matches!(resolution.outcome, Outcome::Skipped(_)) {
                assert!(resolution.policy().is_none_or(|policy| policy.terms == Default::default()));
            }
        }
    }
});

fn node() -> serde_json::Value {
    let policy = serde_json::json!({ "fee_base_msat": 1000, "fee_rate_ppm": 100, "max_htlc_msat": 1_000_000 });
    serde_json::json!({
        "block_height": 850_000, "synced_to_chain": true, "estimate_sat_per_kw": 2500,
        "channels": [{
            "scid": "840001x2x0", "remote_pubkey": format!("02{}", "07".repeat(32)), "capacity": 1_000_000,
            "local_balance": 600_000, "remote_balance": 399_000, "commit_fee": 1000, "initiator": true, "active": true,
            "our_policy": policy, "peer_policy": policy,
            "peer": { "num_channels": 3, "total_capacity": 1_000_000, "alias": "beta" }
        }]
    })
}
