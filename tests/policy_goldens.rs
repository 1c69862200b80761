//! What charge-lnd decides, case by case, and what we make of the same file. `POLICY_GOLDENS` may name another file of cases.
#![expect(clippy::unwrap_used, reason = "a file of cases that cannot be read is no test")]

use std::collections::BTreeMap;
use std::io;

use cl_revenue_ops::domain::Facts;
use cl_revenue_ops::policy::snapshot::Snapshot;
use cl_revenue_ops::policy::{Capabilities, Inbound, Outcome, Reading, Resolution, RuleFile, Wanted, changes};
use serde_json::{Map, Value, json};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/policy/policy-goldens.json");

fn goldens(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
}

#[test]
fn every_case_is_decided_as_charge_lnd_decides_it() {
    let goldens = goldens(&std::env::var("POLICY_GOLDENS").unwrap_or_else(|_| OWN.to_owned()));
    let cases = goldens["cases"].as_array().unwrap();
    let wrong: Vec<String> = cases.iter().flat_map(|case| Case::of(&goldens["fixture"], case).wrong()).collect();
    assert!(!cases.is_empty() && wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Our own reading refuses what charge-lnd stumbles over, and otherwise decides the same. Of our own cases: where ours is held within
/// bounds (a discount that would cost us, for one) it differs on purpose.
#[test]
fn our_own_reading_decides_the_same_where_it_takes_the_file() {
    let goldens = goldens(OWN);
    let cases: Vec<Case> =
        goldens["cases"].as_array().unwrap().iter().map(|case| Case::of(&goldens["fixture"], case)).collect();
    let mut taken = 0;
    let mut wrong = Vec::new();
    for case in &cases {
        let loaded = RuleFile::load(case.text("config"), case.text("name"), &|path| case.read(path));
        if let Ok((rules, odd)) = loaded {
            taken += 1;
            // Comments behind values are the one thing that we take and charge-lnd does not.
            if odd.iter().any(|finding| finding.what.starts_with("has a comment behind its value")) {
                continue;
            }
            wrong.extend(case.judged(Some(&rules)));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken * 4 > cases.len() * 3, "{taken} of {} files are taken", cases.len());
}

/// One text of rules on one state of the node.
struct Case<'a> {
    case: &'a Value,
    fixture: Value,
    files: &'a Map<String, Value>,
}

impl<'a> Case<'a> {
    fn of(fixture: &'a Value, case: &'a Value) -> Case<'a> {
        let files = fixture["files"].as_object().unwrap();
        let mut fixture = fixture.clone();
        for (short, value) in case["override"].as_object().into_iter().flatten() {
            let long = match short.as_str() {
                "satkw" => "estimate_sat_per_kw",
                "height" => "block_height",
                "synced" => "synced_to_chain",
                other => other,
            };
            fixture[long] = value.clone();
        }
        let channels = fixture["channels"].as_array_mut().unwrap();
        if let Some(letters) = case["channels"].as_str() {
            channels.retain(|channel| letters.contains(channel["name"].as_str().unwrap()));
        }
        for channel in channels {
            let name = channel["name"].as_str().unwrap().to_owned();
            if let Some(changed) = case["override_current_policy"][&name].as_object() {
                put(&mut channel["our_policy"], changed);
            }
            if names(&case["missing_graph_edge"], channel) {
                (channel["our_policy"], channel["peer_policy"]) = (Value::Null, Value::Null);
            }
            if !case["known_graph_nodes_only"].is_null() && !names(&case["known_graph_nodes_only"], channel) {
                channel["peer"] = Value::Null;
            }
        }
        Case { case, fixture, files }
    }

    fn wrong(&self) -> Vec<String> {
        let read = |path: &str| self.read(path);
        let (rules, _) = RuleFile::parse(self.text("config"), self.text("name"), Reading::ChargeLnd, &read);
        self.judged(rules.as_ref())
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let text = self.files.get(path).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn judged(&self, rules: Option<&RuleFile>) -> Vec<String> {
        let periods = rules.map(RuleFile::periods).unwrap_or_default();
        let snapshot = Snapshot::of(self.fixture.clone(), &periods).unwrap_or_else(|error| panic!("{error}"));
        let can = charge_lnd_can(self.fixture["version"].as_str().unwrap_or_default());
        let mut wrong = Vec::new();
        for (channel, facts) in self.fixture["channels"].as_array().unwrap().iter().zip(&snapshot.channels) {
            let name = channel["name"].as_str().unwrap();
            let found = rules.map(|rules| decision(&rules.resolve(facts, &snapshot.node), facts, can));
            let expected = self.case["expect"].get(name).unwrap_or(&Value::Null);
            if let Some(difference) = self.differs(expected, found, facts) {
                wrong.push(format!("{} {name}: {difference}", self.text("name")));
            }
        }
        wrong
    }

    /// `found` is nothing where the file is refused.
    fn differs(&self, expected: &Value, found: Option<Value>, facts: &Facts) -> Option<String> {
        let nothing = |found: &Value| found.get("update").is_none() && found.get("set_disabled").is_none();
        let fails =
            !expected["skipped_error"].is_null() || self.aborts(expected) || self.text("note").starts_with("BUG");
        // charge-lnd cannot judge this key at all.
        // Nobody has looked what becomes of this one.
        if expected.is_null() && !fails {
            return None;
        }
        if fails && self.text("config").contains("chan.disabled") {
            return found.filter(|found| found["skipped_error"] == json!(true)).map(|found| found.to_string());
        }
        // Some of its mistakes are decisions that can be taken as they are.
        let is_odd = self.text("note").starts_with("BUG") && expected["set_disabled"] != json!(true);
        if is_odd && found.as_ref().is_some_and(|found| plain(found) == plain(expected)) {
            return None;
        }
        if fails {
            return found.filter(|found| !nothing(found)).map(|found| format!("should stay untouched, gets {found}"));
        }
        let found = found.unwrap_or_else(|| json!("the file is refused"));
        // charge-lnd says nothing of a channel that its graph does not have, and leaves it alone.
        if !facts.in_graph {
            let same = expected["policy"].is_null() || expected["policy"] == found["policy"];
            return (!same || !nothing(&found)).then(|| format!("{found} instead of {expected}"));
        }
        (plain(expected) != plain(&found)).then(|| format!("{found} instead of {expected}"))
    }

    fn aborts(&self, expected: &Value) -> bool {
        let said = |value: &Value| value.get("run_aborts").is_some_and(|aborts| *aborts != json!(false));
        said(expected) || said(self.case) || said(&self.case["expect"])
    }

    fn text(&self, key: &str) -> &'a str {
        self.case[key].as_str().unwrap_or_default()
    }
}

/// Short names of what is in force.
fn put(policy: &mut Value, changed: &Map<String, Value>) {
    let long: BTreeMap<&str, &str> = BTreeMap::from([
        ("base", "fee_base_msat"),
        ("ppm", "fee_rate_ppm"),
        ("ib", "inbound_base_msat"),
        ("ip", "inbound_ppm"),
        ("dis", "disabled"),
        ("max", "max_htlc_msat"),
        ("min", "min_htlc_msat"),
        ("tld", "time_lock_delta"),
    ]);
    for (short, value) in changed {
        policy[*long.get(short.as_str()).unwrap_or(&short.as_str())] = value.clone();
    }
}

/// Is the channel in a list of names, ids or nodes, or does the list stand for all?
fn names(list: &Value, channel: &Value) -> bool {
    let words = |text: &str| match text.bytes().all(|b| b.is_ascii_uppercase()) {
        true => text.chars().map(|letter| letter.to_string()).collect(),
        false => vec![text.to_owned()],
    };
    let named = |text: &Value| {
        let called = ["name", "scid", "chan_id", "remote_pubkey"].map(|key| &channel[key]);
        let text = text.as_u64().map(|id| id.to_string()).or_else(|| text.as_str().map(str::to_owned));
        text.is_some_and(|text| words(&text).iter().any(|word| called.contains(&&json!(word))))
    };
    match list {
        Value::Bool(all) => *all,
        Value::Array(list) => list.iter().any(named),
        other => named(other),
    }
}

/// charge-lnd compares the parts of a version one by one, so that for it 1.0 is older than 0.18.
fn charge_lnd_can(version: &str) -> Capabilities {
    let minor = version.split(['.', '-']).nth(1).and_then(|part| part.parse().ok()).unwrap_or(0);
    let inbound = if minor >= 18 { Inbound::Both } else { Inbound::Disregarded };
    Capabilities { inbound, disable: minor >= 13, time_lock_delta: true }
}

/// A resolution in the words of the cases.
fn decision(resolution: &Resolution, facts: &Facts, can: Capabilities) -> Value {
    let wanted = match &resolution.outcome {
        Outcome::Unruled => return json!({ "policy": null }),
        Outcome::Skipped(_) => return json!({ "skipped_error": true }),
        Outcome::Wanted(wanted) => *wanted,
        Outcome::Untouched => Wanted::default(),
        // charge-lnd knows no such strategy.
        Outcome::Controller { .. } => return json!({ "skipped_error": true }),
    };
    let mut told = json!({ "policy": resolution.section, "strategy": resolution.strategy });
    // Without an edge there is nothing to compare with.
    if !facts.in_graph {
        return told;
    }
    let update = changes(&facts.ours, facts.active, &wanted, can);
    if let Some(disable) = update.disable {
        told["set_disabled"] = json!(disable);
    }
    if let Some(terms) = update.terms {
        told["update"] = json!({
            "base_fee_msat": terms.base_msat,
            "fee_ppm": terms.ppm,
            "inbound_base_fee_msat": terms.inbound_base_msat,
            "inbound_fee_ppm": terms.inbound_ppm,
            "min_htlc_msat": terms.htlc_min_msat,
            "max_htlc_msat": terms.htlc_max_msat,
            "time_lock_delta": terms.time_lock_delta,
        });
    }
    told
}

/// Without members that say nothing.
fn plain(decision: &Value) -> Value {
    match decision {
        Value::Object(members) => {
            let said = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}
