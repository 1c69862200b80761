//! Whole sessions that a real lightningd had with a plugin, played to ours: what it was told, word for word, over a node that answers
//! as it did then.
#![expect(clippy::unwrap_used, reason = "a plugin that does not speak fails the test")]

mod replay;
mod speaker;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cl_revenue_ops::domain::{Identity, PeerId, Time};
use cl_revenue_ops::ledger::Ledger;
use replay::{Answer, Socket};
use serde_json::{Value, json};
use speaker::Plugin;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln").join(name)
}

/// The messages that the recorded node sent, of the topics that we subscribe to, as text.
fn session(number: u32) -> Vec<String> {
    let file = data(&format!("plugin-protocol/session_a-spy-{number}.jsonl"));
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// The recorded node, but without forwards in its list: all that the ledger knows came with the notifications.
fn node() -> Socket {
    node_but(|_| None)
}

/// The same, with other answers to some methods.
fn node_but(other: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Socket {
    let recorded = |name: &str| std::fs::read_to_string(data(name)).unwrap();
    let answers = BTreeMap::from([
        ("getinfo", recorded("getinfo.json")),
        ("listpeerchannels", recorded("listpeerchannels.json")),
        ("listclosedchannels", recorded("listclosedchannels.json")),
        ("listforwards", r#"{"forwards":[]}"#.to_owned()),
        ("feerates", recorded("feerates_perkb.json")),
    ]);
    Socket::serve(move |method, _| match (other(method), answers.get(method)) {
        (Some(other), _) => other,
        (None, Some(answer)) => Answer::Result(answer.clone()),
        (None, None) => {
            Answer::Error(json!({ "code": -32601, "message": format!("Unknown command '{method}'") }).to_string())
        }
    })
}

/// Outcomes by (incoming channel, HTLC id), as the session told them.
fn outcomes(messages: &[String]) -> BTreeMap<(String, u64), Value> {
    let mut outcomes = BTreeMap::new();
    for message in messages {
        let message: Value = serde_json::from_str(message).unwrap();
        let event = &message["params"]["forward_event"];
        if let (Some(channel), Some(htlc)) = (event["in_channel"].as_str(), event["in_htlc_id"].as_u64()) {
            outcomes.insert((channel.to_owned(), htlc), event.clone());
        }
    }
    outcomes
}

fn status_when(plugin: &mut Plugin, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let status = plugin.call("revenue-status", json!({}))["result"].clone();
        if wanted(&status) {
            return status;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain: {status:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Plays a session and compares the books with what was told.
fn play(number: u32) -> (usize, usize) {
    let messages = session(number);
    let told = outcomes(&messages);
    let socket = node();
    let mut plugin = Plugin::start();
    plugin.network_dir = socket.path().parent().unwrap().to_owned();
    // Nothing on this node may change: it could not answer a setchannel.
    let ready = plugin.init(&[("dry_run", "true")]);
    assert_eq!(ready["result"].get("disable"), None, "{ready}");
    for message in
        messages.iter().filter(|m| !m.contains(r#""method":"getmanifest""#) && !m.contains(r#""method":"init""#))
    {
        if message.contains(r#""method":"shutdown""#) {
            continue;
        }
        write!(plugin.stdin.as_mut().unwrap(), "{message}\n\n").unwrap();
    }
    let status = status_when(&mut plugin, |status| status["jobs"]["fees"]["runs"].as_u64() > Some(0));
    let settled: Vec<&Value> = told.values().filter(|event| event["status"] == "settled").collect();
    plugin.call("revenue-analyze", json!([]));
    let ledger = plugin.call("revenue-status", json!([]))["result"]["ledger"].clone();
    assert_eq!(ledger["forwards"], told.len(), "{ledger:#}");
    assert_eq!(ledger["settled"], settled.len(), "{ledger:#}");
    let fees: u64 = settled.iter().map(|event| event["fee_msat"].as_u64().unwrap()).sum();
    assert_eq!(ledger["fees_msat"], fees, "{ledger:#}");
    assert_eq!(ledger["sum_of_accounts_msat"], 0);
    assert_eq!(ledger["problems"], json!([]));
    assert_eq!(status["status"], "running");
    assert!(socket.seen().iter().all(|(method, _)| method != "setchannel"), "dry run");
    let failures: Vec<&Value> = plugin.log.iter().filter(|m| m["params"]["level"] == "error").collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(plugin.home.path().join(".lightning/revenue_ops.db").exists());
    plugin.send(&json!({ "jsonrpc": "2.0", "method": "shutdown", "params": {} }));
    assert!(plugin.ends() < 2_000);
    (told.len(), settled.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn forwards_of_every_status_channels_opened_closed_and_spliced() {
    let (forwards, settled) = play(6582);
    assert!(forwards > 30 && settled > 10, "{forwards} forwards, {settled} settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_just_started() {
    assert!(play(15931).0 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_and_a_channel_of_somebody_else() {
    assert!(play(20220).0 > 0);
}

/// A plugin on a node that has gone wrong, with short patience.
fn beside(socket: &Socket) -> Plugin {
    let mut plugin = Plugin::start();
    plugin.network_dir = socket.path().parent().unwrap().to_owned();
    plugin.init(&[("dry_run", "true"), ("rpc_timeout_seconds", "1")]);
    plugin
}

fn breaker(status: &Value, group: &str) -> String {
    let breakers = status["breakers"].as_array().unwrap();
    breakers.iter().find(|b| b["group"] == group).map_or(String::new(), |b| b["state"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_silent_group_of_calls_blocks_no_other() {
    let socket = node_but(|method| (method == "feerates").then_some(Answer::Silence));
    let mut plugin = beside(&socket);
    let status = status_when(&mut plugin, |status| breaker(status, "feerates") == "open");
    assert_eq!(breaker(&status, "channels"), "closed");
    let status = status_when(&mut plugin, |status| status["jobs"]["fees"]["runs"].as_u64() > Some(0));
    assert_eq!(status["jobs"]["fees"]["last_error"], Value::Null, "fees are decided without the feerate");
    assert!(status["warnings"].to_string().contains("asked for the price of block space"), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_another_node_is_left_alone_and_whoever_asks_is_told() {
    let socket = node();
    let mut plugin = Plugin::start();
    plugin.network_dir = socket.path().parent().unwrap().to_owned();
    let folder = plugin.home.path().join("elsewhere");
    let path = folder.join("ledger.db");
    let other = Identity { node: PeerId([2; 33]), network: "regtest".to_owned() };
    Ledger::open(&path, &other, Time::from_secs(1_700_000_000)).await.unwrap().close().await;
    let before = std::fs::read(&path).unwrap();
    assert_eq!(plugin.init(&[("db_path", path.to_str().unwrap())])["result"], json!({}));
    let status = status_when(&mut plugin, |status| status["status"] == "disabled");
    let reason = status["warnings"][0].as_str().unwrap();
    assert!(reason.contains("belongs to node 0202") && reason.contains("revenue-ops-db-path"), "{reason}");
    for (command, params) in [
        ("revenue-analyze", json!([])),
        ("revenue-wake-all", json!([])),
        ("revenue-config", json!(["list"])),
        ("revenue-fee-debug", json!([])),
        ("revenue-set-fee", json!(["1x1x1", 5])),
        ("setconfig", json!({ "config": "revenue-ops-min-fee-ppm", "val": "25" })),
    ] {
        let error = plugin.call(command, params)["error"].clone();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(4002), &json!(format!("disabled: {reason}"))),
            "{command}"
        );
    }
    assert!(status["jobs"].as_object().unwrap().values().all(|job| job["next_run"].is_null()), "{status:#}");
    assert!(plugin.child.try_wait().unwrap().is_none(), "lightningd would take its end for a crash");
    assert!(socket.seen().iter().all(|(method, _)| method == "getinfo"), "{:?}", socket.seen());
    assert_eq!((std::fs::read(&path).unwrap(), std::fs::read_dir(&folder).unwrap().count()), (before, 1));
    plugin.send(&json!({ "jsonrpc": "2.0", "method": "shutdown", "params": {} }));
    assert!(plugin.ends() < 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_called_damaged_and_not_tried_again() {
    let socket = node();
    let mut plugin = Plugin::start();
    plugin.network_dir = socket.path().parent().unwrap().to_owned();
    let path = plugin.home.path().join("ledger.db");
    let owner = Identity { node: PeerId([2; 33]), network: "regtest".to_owned() };
    Ledger::open(&path, &owner, Time::from_secs(1_700_000_000)).await.unwrap().close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    // The header stays; the list of tables behind it is gone.
    bytes[100..4_000].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    plugin.init(&[("db_path", path.to_str().unwrap())]);
    let status = status_when(&mut plugin, |status| status["status"] == "disabled");
    let reason = status["warnings"][0].as_str().unwrap();
    assert!(reason.contains("is damaged") && reason.contains("malformed") && !reason.contains("may read"), "{reason}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// Its history was read once; then the node is silent about its forwards, also when the plugin starts again.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_list_of_forwards_blocks_no_fees() {
    let silent = Arc::new(AtomicBool::new(false));
    let switch = silent.clone();
    let socket =
        node_but(move |method| (method == "listforwards" && switch.load(Ordering::SeqCst)).then_some(Answer::Silence));
    let mut plugin = beside(&socket);
    status_when(&mut plugin, |status| status["jobs"]["fees"]["runs"].as_u64() > Some(0));
    silent.store(true, Ordering::SeqCst);
    let woken = plugin.call("revenue-wake-all", json!([]));
    assert_eq!(woken["result"]["status"], "ok", "{woken:#}");
    let status = status_when(&mut plugin, |status| breaker(status, "forwards") == "open");
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("asked for its forwards") && warnings.contains("they are known up to"), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_listing_is_an_error_of_the_step_and_changes_nothing() {
    let socket = node_but(|method| {
        let garbled = r#"{"jsonrpc":"2.0","id":1,"result":{"channels":[{"peer_id":7}]}}"#;
        (method == "listpeerchannels").then(|| Answer::Bytes(format!("{garbled}\n\n")))
    });
    let mut plugin = beside(&socket);
    let status = status_when(&mut plugin, |status| status["jobs"]["sync"]["last_error"].is_string());
    assert!(status["jobs"]["sync"]["last_error"].as_str().unwrap().contains("listpeerchannels"), "{status:#}");
    assert_eq!(status["recent_fee_changes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_a_node_that_is_silent() {
    let socket = node_but(|method| (method == "listpeerchannels").then_some(Answer::Silence));
    let mut plugin = Plugin::start();
    plugin.network_dir = socket.path().parent().unwrap().to_owned();
    plugin.init(&[("dry_run", "true")]);
    let start = Instant::now();
    while !socket.seen().iter().any(|(method, _)| method == "listpeerchannels") {
        assert!(start.elapsed() < Duration::from_secs(20), "the node is asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    plugin.send(&json!({ "jsonrpc": "2.0", "method": "shutdown", "params": {} }));
    assert!(plugin.ends() < 2_000);
}
