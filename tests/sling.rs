//! sling as we talk to it over the node's socket: what it really said, what it is told, and what its absence looks like.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod replay;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cl_revenue_ops::domain::{
    Booked, ChannelId, ManualClock, MoveOrder, Msat, Paid, Ppm, Sat, Scid, Tally, Task, Time,
};
use cl_revenue_ops::node::guard::{Guarded, Patience};
use cl_revenue_ops::node::sling::Sling;
use cl_revenue_ops::node::{NodeError, Rebalancer, sling_wire as wire};
use replay::{Answer, Socket};
use serde_json::{Value, json};

/// 118x1x0, which was filled, and 125x1x1, which was drained for it.
const FILLED: &str = "af731219f2305e3f74651bb0065c0025fadea818a85610674b8566ec5267bcef";
const DRAINED: &str = "6e0a25f4a804bd69a2f5d15a41207c510decec83128640a463e93b94d7f0cce9";

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn value(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn said(name: &str) -> Answer {
    let answer = value(&format!("sling/{name}.json"));
    match answer.get("error") {
        Some(error) => Answer::Error(error.to_string()),
        None => Answer::Result(answer.to_string()),
    }
}

fn scid(text: &str) -> Scid {
    text.parse().unwrap()
}

fn id(text: &str) -> ChannelId {
    text.parse().unwrap()
}

fn order() -> MoveOrder {
    let (from, to) = (scid("125x1x1"), scid("118x1x0"));
    MoveOrder { from, to, amount: Sat(150_000), part: Sat(50_000), max: Ppm(2000), keep: Sat(50_000) }
}

/// The rows of one account, as the bookkeeper lists them.
fn account(name: &str) -> Value {
    let mut all = value("bkpr/listaccountevents_rebalances.json");
    all["events"].as_array_mut().unwrap().retain(|row| row["account"] == name);
    all
}

/// The node of the recordings with sling beside it, after a move.
fn node() -> Socket {
    Socket::serve(|method, params| match method {
        "sling-version" => said("version"),
        "sling-stats" if params.get("scid").is_some() => said("stats_once_one"),
        "sling-stats" => said("stats_once"),
        "sling-jobsettings" => said("jobsettings"),
        "sling-once" => said("once_ok"),
        "sling-stop" => said("stop_one"),
        "bkpr-listaccountevents" => Answer::Result(account(params["account"].as_str().unwrap()).to_string()),
        "getinfo" => Answer::Result(text("getinfo.json")),
        "listsendpays" => Answer::Result(text("listsendpays.json")),
        "listpeerchannels" => Answer::Result(text("listpeerchannels.json")),
        _ => panic!("{method}"),
    })
}

#[tokio::test]
async fn every_verb_is_understood() {
    let socket = node();
    let sling = Sling::new(socket.path());
    assert_eq!(sling.version().await.unwrap().as_deref(), Some("v4.2.1"));
    let jobs = sling.jobs().await.unwrap();
    let told: Vec<_> = jobs.iter().map(|job| (job.channel.to_string(), job.tasks.clone(), job.standing)).collect();
    assert_eq!(told, [("118x1x0".into(), vec![Task::Balanced], true), ("118x2x0".into(), vec![], true)]);
    let tally = sling.tally(order().to).await.unwrap();
    assert_eq!((tally.moved, tally.spent, tally.successes, tally.failures), (Sat(850_000), Sat(17), 10, 0));
    sling.begin(&order()).await.unwrap();
    sling.stop(order().to).await.unwrap();
    assert!(sling.pending(id(DRAINED), id(FILLED)).await.unwrap(), "rebalances are payments to ourselves");
    let paid = sling.paid(Sat(50_000), Time::from_secs(1_795_244_500)).await.unwrap();
    assert_eq!(paid, Paid { moved: Msat(150_000_000), spent: Msat(3_012) });
    let told = |wanted: &str| socket.seen().into_iter().find(|(method, _)| method == wanted).unwrap().1;
    assert_eq!(told("sling-stop"), json!({"scid": "118x1x0"}));
    assert_eq!(told("listsendpays"), json!({"status": "pending"}));
}

/// Named, because sling takes nothing else; bounded, because `onceamount` is; with the one channel that is to be drained.
#[test]
fn an_order_says_all_that_bounds_it() {
    let expected = json!({
        "scid": "118x1x0", "direction": "pull", "amount": 50_000, "onceamount": 150_000, "maxppm": 2000,
        "candidates": ["125x1x1"], "depleteuptoamount": 50_000, "paralleljobs": 1,
    });
    assert_eq!(wire::once(&order()), expected);
}

#[test]
fn what_sling_counts_is_what_the_books_say() {
    let tally = wire::tally(&value("sling/stats_once_one.json")).unwrap();
    let booked = wire::booked(&account(DRAINED), &account(FILLED), Time(0)).unwrap();
    assert_eq!(booked, Booked { moved: Msat(850_000_000), spent: Msat(17_040), parts: 10 });
    assert_eq!((booked.moved.sat_floor(), booked.spent.sat_floor()), (tally.moved, tally.spent));
    let before = Tally { moved: Sat(700_000), spent: Sat(14), successes: 7, ..Tally::default() };
    let came = tally.since(&before);
    assert_eq!((came.moved, came.spent, came.successes), (Sat(150_000), Sat(3), 3));
    // Only what came since; and nothing between channels that had no part in it.
    let late = wire::booked(&account(DRAINED), &account(FILLED), Time::from_secs(1_795_244_500)).unwrap();
    assert_eq!(late, Booked { moved: Msat(150_000_000), spent: Msat(3_012), parts: 3 });
    assert_eq!(wire::booked(&account(FILLED), &account(DRAINED), Time(0)).unwrap(), Booked::default());
}

/// The bookkeeper looks for the other end when a payment leaves, and not when it comes back.
#[test]
fn a_payment_that_the_bookkeeper_has_not_marked_is_seen_all_the_same() {
    let unmarked = |id: &str| {
        let mut account = account(id);
        let rows = account["events"].as_array_mut().unwrap();
        rows.iter_mut().filter(|row| row["is_rebalance"] == true).for_each(|row| row["is_rebalance"] = false.into());
        account
    };
    let booked = wire::booked(&unmarked(DRAINED), &unmarked(FILLED), Time(0)).unwrap();
    assert_eq!(booked, Booked { moved: Msat(850_000_000), spent: Msat(17_040), parts: 10 });
}

/// A payment to ourselves that came through.
const PAID: &str = "2d6245dc";

/// A node on which nothing is pending, and that has still HTLCs of that payment in these channels, in that direction.
fn node_that_remembers(links: &'static [(&str, &str)]) -> Socket {
    let htlcs = |channel: &Value| {
        let here = links.iter().filter(|(id, _)| channel["channel_id"] == *id);
        here.map(|(_, direction)| json!({"direction": direction, "payment_hash": PAID})).collect::<Value>()
    };
    Socket::serve(move |method, params| match method {
        "getinfo" => Answer::Result(text("getinfo.json")),
        "listsendpays" if params.get("status").is_some() => Answer::Result(json!({"payments": []}).to_string()),
        "listsendpays" => {
            let mut all = value("listsendpays.json");
            let asked = params["payment_hash"].as_str().unwrap().to_owned();
            let is_asked = |row: &Value| row["payment_hash"].as_str().unwrap().starts_with(&asked);
            all["payments"].as_array_mut().unwrap().retain(is_asked);
            Answer::Result(all.to_string())
        }
        "listpeerchannels" => {
            let mut channels = value("listpeerchannels.json");
            channels["channels"].as_array_mut().unwrap().iter_mut().for_each(|c| c["htlcs"] = htlcs(c));
            Answer::Result(channels.to_string())
        }
        _ => panic!("{method}"),
    })
}

/// A payment is complete with its preimage, a moment before the last link forgets its HTLC and the books hear of it; and that moment
/// lasts while a peer is away.
#[tokio::test]
async fn what_the_books_have_not_heard_of_is_under_way() {
    const OTHER: &str = "67ab08731407984dfdc9b64c7c43c0c153a816173c44845051474109fa3a404c";
    let cases: [(&'static [(&str, &str)], bool); 6] = [
        (&[], false),
        (&[(DRAINED, "out")], true),
        (&[(FILLED, "in")], true),
        (&[(DRAINED, "out"), (FILLED, "in")], true),
        // It left by another channel: somebody else's.
        (&[(OTHER, "out"), (FILLED, "in")], false),
        (&[(FILLED, "out"), (DRAINED, "in")], false),
    ];
    for (links, pending) in cases {
        let socket = node_that_remembers(links);
        assert_eq!(Sling::new(socket.path()).pending(id(DRAINED), id(FILLED)).await.unwrap(), pending, "{links:?}");
    }
}

#[test]
fn every_state_of_a_job_is_known() {
    let tasks = |name: &str| {
        let jobs = wire::jobs(&value(&format!("sling/{name}.json")), &json!({})).unwrap();
        jobs.into_iter().map(|job| (job.channel.to_string(), job.tasks)).collect::<Vec<_>>()
    };
    assert_eq!(tasks("stats_empty_json"), []);
    assert_eq!(tasks("stats_noroute"), [("118x1x0".into(), vec![Task::NoRoutes])]);
    let two = [("118x1x0".to_owned(), vec![Task::NoCheapRoute]), ("118x2x0".to_owned(), vec![Task::Stopping])];
    assert_eq!(tasks("stats_too_cheap"), two);
    assert_eq!(tasks("stats_too_big"), [("118x1x0".into(), vec![Task::Balanced, Task::Balanced])]);
    let running = [("118x1x0".to_owned(), vec![Task::Rebalancing]), ("118x2x0".to_owned(), vec![Task::NotStarted])];
    assert_eq!(tasks("stats_json"), running);
    let bad = wire::tally(&value("sling/stats_with_failures_one_json.json")).unwrap();
    assert_eq!((bad.failures, bad.reasons), (1, vec!["WIRE_TEMPORARY_CHANNEL_FAILURE".to_owned()]));
    let nothing = json!({"successes_in_time_window": null, "failures_in_time_window": null});
    assert_eq!(wire::tally(&nothing).unwrap(), Tally::default());
    assert!(wire::tally(&json!({})).is_err(), "no answer is not an answer of nothing");
    assert!(wire::jobs(&json!({}), &json!({})).is_err());
    assert!(wire::jobs(&value("sling/stats_empty.json"), &json!({})).is_err(), "the table for people is not read");
}

#[tokio::test]
async fn what_sling_refuses_is_told_in_its_words() {
    for name in ["once_error_job_exists", "once_error_not_multiple", "job_error_no_outppm_candidates"] {
        let socket = Socket::serve(move |_, _| said(name));
        let error = Sling::new(socket.path()).begin(&order()).await.unwrap_err();
        let NodeError::Refused { code: -32700, message, .. } = error else { panic!("{error}") };
        assert_eq!(message, value(&format!("sling/{name}.json"))["error"]["message"]);
    }
}

#[tokio::test]
async fn sling_may_come_and_go() {
    let gone = Socket::serve(|_, _| said("after_stop_unknown_command"));
    let sling = Sling::new(gone.path());
    assert_eq!(sling.version().await.unwrap(), None);
    assert!(matches!(sling.jobs().await, Err(NodeError::Unsupported { .. })), "a missing sling has not no jobs");
    assert!(matches!(sling.tally(order().to).await, Err(NodeError::Unsupported { .. })));
    assert_eq!(sling.booked(id(DRAINED), id(FILLED), Time(0)).await.unwrap(), None, "no bookkeeper");
}

#[tokio::test]
async fn half_an_answer_is_no_success() {
    let broken = Socket::serve(|_, _| Answer::Bytes(r#"{"jsonrpc":"2.0","result":{"result":"sta"#.to_owned()));
    let error = Sling::new(broken.path()).begin(&order()).await.unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. } | NodeError::Garbled { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_rebalancer_is_left_in_peace() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let silent = Socket::serve(|_, _| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        Answer::Silence
    });
    let patience = || Patience { timeout_secs: 1, rest_secs: 60 };
    let guarded = Guarded::new(Sling::new(silent.path()), Arc::new(ManualClock::at(Time(0))), patience);
    assert!(matches!(guarded.begin(&order()).await, Err(NodeError::Unreachable { .. })));
    assert!(matches!(guarded.begin(&order()).await, Err(NodeError::Resting { .. })), "nothing is asked twice");
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
    let reports = guarded.breakers();
    assert_eq!(reports.iter().map(|report| (report.group, report.state)).collect::<Vec<_>>(), [("rebalancer", "open")]);
    assert!(reports[0].in_words().unwrap().contains("rebalancer"));
}
