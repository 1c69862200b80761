//! Core Lightning as we talk to it over its socket: all verbs, replayed from recordings, and all that can go wrong on the way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod replay;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cl_revenue_ops::domain::ForwardIndex;
use cl_revenue_ops::domain::{ChannelId, ForwardStatus, ManualClock, Msat, Ppm, Scid, SystemClock, Time};
use cl_revenue_ops::node::cln::CoreLightning;
use cl_revenue_ops::node::guard::{Guarded, Patience};
use cl_revenue_ops::node::{FeeOrder, ForwardPage, Node, NodeError};
use replay::{Answer, Socket};
use serde_json::{Value, json};

const SPLICED: &str = "6e0a25f4a804bd69a2f5d15a41207c510decec83128640a463e93b94d7f0cce9";
const CREATED_FROM_1: ForwardPage = ForwardPage { index: ForwardIndex::Created, start: 1, limit: 5 };

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn value(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn result(name: &str) -> Answer {
    Answer::Result(text(name))
}

fn unknown_parameter(name: &str) -> Answer {
    let message = format!("unknown parameter: {name}, this may be caused by a failure to autodetect key=value-style");
    Answer::Error(json!({"code": -32602, "message": message}).to_string())
}

fn order(base: Option<Msat>) -> FeeOrder {
    FeeOrder { base, ..FeeOrder::rate(SPLICED.parse().unwrap(), Ppm(256)) }
}

/// The node of the recordings, that also takes orders.
fn living_node() -> Socket {
    let channels = Mutex::new(value("listpeerchannels.json"));
    let forwards = value("listforwards/index_only.json");
    Socket::serve(move |method, params| match method {
        "getinfo" => result("getinfo.json"),
        "feerates" => result("feerates_perkb.json"),
        "listclosedchannels" => result("listclosedchannels.json"),
        "listforwards" => forward_page(&forwards, params),
        "listpeerchannels" => {
            let mut listing = channels.lock().unwrap().clone();
            if let Some(scid) = params.get("short_channel_id") {
                listing["channels"].as_array_mut().unwrap().retain(|row| row["short_channel_id"] == *scid);
            }
            Answer::Result(listing.to_string())
        }
        "setchannel" => set_channel(&mut channels.lock().unwrap(), params),
        _ => panic!("{method}"),
    })
}

fn forward_page(all: &Value, params: &Value) -> Answer {
    let index = format!("{}_index", params["index"].as_str().unwrap());
    let start = params["start"].as_u64().unwrap();
    let limit = usize::try_from(params["limit"].as_u64().unwrap()).unwrap();
    let mut rows: Vec<&Value> = all["forwards"].as_array().unwrap().iter().collect();
    rows.retain(|row| row[&index].as_u64().is_some_and(|i| i >= start));
    rows.sort_by_key(|row| row[&index].as_u64());
    rows.truncate(limit);
    Answer::Result(json!({"forwards": rows}).to_string())
}

fn set_channel(channels: &mut Value, params: &Value) -> Answer {
    let rows = channels["channels"].as_array_mut().unwrap();
    let Some(row) = rows.iter_mut().find(|row| row["channel_id"] == params["id"]) else {
        return Answer::Error(value("setchannel/error_unknown_channel_id.json")["error"].to_string());
    };
    let fields = [("feeppm", "fee_proportional_millionths"), ("feebase", "fee_base_msat")];
    for (ordered, field) in fields.into_iter().filter(|(ordered, _)| params.get(ordered).is_some()) {
        row[field] = params[ordered].clone();
        row["updates"]["local"][field] = params[ordered].clone();
    }
    Answer::Result(json!({"channels": [row]}).to_string())
}

#[tokio::test]
async fn core_lightning_keeps_the_contract_of_a_node() {
    let socket = living_node();
    contract::check_node(&CoreLightning::new(socket.path())).await;
}

#[tokio::test]
async fn a_guarded_node_keeps_it_too() {
    let socket = living_node();
    let patience = || Patience { timeout_secs: 15, rest_secs: 60 };
    contract::check_node(&Guarded::new(CoreLightning::new(socket.path()), Arc::new(SystemClock), patience)).await;
}

#[tokio::test]
async fn an_order_names_the_fee_and_nothing_else() {
    let socket = Socket::serve(|_, _| result("setchannel/old_scid_after_splice.json"));
    let node = CoreLightning::new(socket.path());
    let set = node.set_fee(order(None)).await.unwrap();
    assert_eq!((set.ppm, set.base), (Ppm(256), Msat(0)));
    node.set_fee(order(Some(Msat(1000)))).await.unwrap();
    let asked = |params: Value| ("setchannel".to_owned(), params);
    let expected =
        [asked(json!({"id": SPLICED, "feeppm": 256})), asked(json!({"id": SPLICED, "feeppm": 256, "feebase": 1000}))];
    assert_eq!(socket.seen(), expected);
}

#[tokio::test]
async fn short_ids_from_before_a_splice_and_of_closed_channels() {
    let socket = Socket::serve(|method, params| match (method, params["short_channel_id"].as_str()) {
        ("listpeerchannels", Some("118x6x0")) => result("states/listpeerchannels.by_old_scid.json"),
        ("listpeerchannels", Some(_)) => Answer::Result(json!({"channels": []}).to_string()),
        ("listclosedchannels", _) => result("listclosedchannels.json"),
        _ => panic!("{method} {params}"),
    });
    let node = CoreLightning::new(socket.path());
    let spliced = node.channel_of("118x6x0".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(spliced.channel_id.to_string(), SPLICED);
    let closed = node.channel_of("118x3x0".parse().unwrap()).await.unwrap().unwrap();
    assert!(closed.channel_id.to_string().starts_with("3417a591"), "{closed:?}");
    let by_alias = node.channel_of("11788134x6820046x29097".parse().unwrap()).await.unwrap().unwrap();
    assert!(by_alias.channel_id.to_string().starts_with("9db53f2d"), "{by_alias:?}");
    assert_eq!(node.channel_of("1x2x3".parse().unwrap()).await.unwrap(), None);
    assert_eq!(node.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn every_recorded_error_is_the_error_that_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln");
    let mut seen = 0;
    for folder in ["", "setchannel", "listforwards"].map(|name| folder.join(name)) {
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()) {
            let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let Some(error) = recorded.get("error").cloned() else { continue };
            seen += 1;
            let answer = error.to_string();
            let socket = Socket::serve(move |_, _| Answer::Error(answer.clone()));
            let told = CoreLightning::new(socket.path()).set_fee(order(None)).await.unwrap_err();
            let message = error["message"].as_str().unwrap().to_owned();
            let method = "setchannel".to_owned();
            let missing = error["code"] == -32601 || message.starts_with("unknown parameter");
            let expected = match missing {
                true => NodeError::Unsupported { method, why: message },
                false => NodeError::Refused { method, code: error["code"].as_i64().unwrap(), message },
            };
            assert_eq!(told, expected, "{}", file.display());
        }
    }
    assert!(seen >= 22, "{seen} recorded errors");
}

#[tokio::test]
async fn the_bytes_of_the_wire_recordings() {
    let received = |name: &str| value(&format!("rpc-wire/{name}.json"))[1]["bytes"].as_str().unwrap().to_owned();
    let call = async |name: &str| {
        let bytes = received(name);
        let socket = Socket::serve(move |_, _| Answer::Bytes(bytes.clone()));
        CoreLightning::new(socket.path()).identity().await
    };
    assert_eq!(call("numeric_id").await.unwrap().network, "regtest");
    let method = "getinfo".to_owned();
    let why = "Unknown command 'nosuchmethod'".to_owned();
    assert_eq!(call("unknown_method").await.unwrap_err(), NodeError::Unsupported { method: method.clone(), why });
    let expected = NodeError::Refused { method, code: -32600, message: "No params".to_owned() };
    assert_eq!(call("no_params_key").await.unwrap_err(), expected);
}

#[tokio::test]
async fn no_answer_and_nonsense_are_told_apart() {
    let identity = async |bytes: &str| {
        let bytes = bytes.to_owned();
        let socket = Socket::serve(move |_, _| Answer::Bytes(bytes.clone()));
        CoreLightning::new(socket.path()).identity().await.unwrap_err()
    };
    for broken in ["", "{\"jsonrpc\":\"2.0\",\"id\":1,\"resu", "nonsense\n\n", "\u{0}\u{1}\n\n"] {
        let error = identity(broken).await;
        assert!(matches!(error, NodeError::Unreachable { .. }), "{broken:?}: {error}");
    }
    for garbled in [
        "{}\n\n",
        "[1,2]\n\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}\n\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"id\":\"02\",\"network\":\"regtest\"}}\n\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"no\"}\n\n",
    ] {
        let error = identity(garbled).await;
        assert!(matches!(error, NodeError::Garbled { .. }), "{garbled:?}: {error}");
    }
    let nowhere = CoreLightning::new("/nonexistent/lightning-rpc").identity().await.unwrap_err();
    assert!(matches!(nowhere, NodeError::Unreachable { .. }), "{nowhere}");
    assert!(nowhere.to_string().contains("/nonexistent/lightning-rpc"), "{nowhere}");
}

#[tokio::test]
async fn a_failed_listing_is_never_an_empty_one() {
    let socket = Socket::serve(|_, _| Answer::Result("{}".to_owned()));
    let node = CoreLightning::new(socket.path());
    assert!(matches!(node.channels().await, Err(NodeError::Garbled { .. })));
    assert!(matches!(node.forwards(CREATED_FROM_1).await, Err(NodeError::Garbled { .. })));
    assert!(matches!(node.channel_of(Scid(1)).await, Err(NodeError::Garbled { .. })));
    assert!(matches!(node.set_fee(order(None)).await, Err(NodeError::Garbled { .. })));
    assert!(matches!(node.feerate().await, Err(NodeError::Garbled { .. })));
}

#[tokio::test]
async fn a_page_whose_rows_cannot_be_paged_is_garbled() {
    let mut page = value("listforwards/page_created_1_5.json");
    page["forwards"][3].as_object_mut().unwrap().remove("created_index").unwrap();
    let socket = Socket::serve(move |_, _| Answer::Result(page.to_string()));
    let error = CoreLightning::new(socket.path()).forwards(CREATED_FROM_1).await.unwrap_err();
    assert!(error.to_string().ends_with("the forward 118x8x0 #3 lacks 'created_index'"), "{error}");
}

/// A node of the time before v23.11: no pages, no look-up of one channel, no `updates`, amounts as texts.
fn old_node() -> Socket {
    let mut listing = value("listpeerchannels.json");
    for row in listing["channels"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("updates").unwrap();
        row["to_us_msat"] = json!(format!("{}msat", row["to_us_msat"]));
    }
    let mut forwards = value("listforwards/all_first_60.json");
    forwards["forwards"].as_array_mut().unwrap().push(value("listforwards/status_offered.json")["forwards"][0].take());
    for row in forwards["forwards"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().retain(|field, _| !field.ends_with("_index"));
        row["in_msat"] = json!(format!("{}msat", row["in_msat"]));
    }
    Socket::serve(move |method, params| match method {
        "listforwards" if params.get("index").is_some() => unknown_parameter("index"),
        "listforwards" => Answer::Result(forwards.to_string()),
        "listpeerchannels" if params.get("short_channel_id").is_some() => unknown_parameter("short_channel_id"),
        "listpeerchannels" => Answer::Result(listing.to_string()),
        "listclosedchannels" => result("listclosedchannels.json"),
        _ => panic!("{method}"),
    })
}

#[tokio::test]
async fn an_old_node_is_read_whole_and_paged_here() {
    let socket = old_node();
    let clock = Arc::new(ManualClock::at(Time::from_secs(1_000_000)));
    let node = CoreLightning::with_clock(socket.path(), clock.clone());
    let read = |index, start, limit| node.forwards(ForwardPage { index, start, limit });
    let all = read(ForwardIndex::Created, 1, 1000).await.unwrap();
    assert_eq!(all.len(), 60, "the one that is still offered waits until it is final");
    assert!(all.iter().all(|f| f.status != ForwardStatus::Offered));
    let indices: Vec<u64> = all.iter().filter_map(|f| f.created_index).collect();
    assert_eq!(indices, (1..=60).collect::<Vec<u64>>());
    assert_eq!(read(ForwardIndex::Created, 11, 5).await.unwrap(), all[10..15]);
    assert_eq!(read(ForwardIndex::Created, 61, 5).await.unwrap(), []);
    assert_eq!(read(ForwardIndex::Updated, 1, 5).await.unwrap(), []);
    assert_eq!(socket.seen().len(), 2, "a refused page, and one listing for all");
    clock.set(Time::from_secs(1_000_899));
    read(ForwardIndex::Created, 61, 5).await.unwrap();
    assert_eq!(socket.seen().len(), 2);
    clock.set(Time::from_secs(1_000_900));
    read(ForwardIndex::Created, 61, 5).await.unwrap();
    assert_eq!(socket.seen()[2], ("listforwards".to_owned(), json!({})), "after a while it is read anew");
}

#[tokio::test]
async fn what_an_old_node_cannot_do_is_told() {
    let socket = old_node();
    let node = CoreLightning::new(socket.path());
    assert_eq!(node.warnings(), Vec::<String>::new());
    assert!(node.channels().await.unwrap().iter().all(|c| c.theirs.is_none()));
    let found = node.channel_of("125x1x1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.channel_id.to_string(), SPLICED);
    assert!(node.channel_of("118x3x0".parse().unwrap()).await.unwrap().is_some(), "a closed one");
    assert_eq!(node.channel_of("118x6x0".parse().unwrap()).await.unwrap(), None, "from before a splice");
    node.forwards(CREATED_FROM_1).await.unwrap();
    let warnings = node.warnings().join("\n");
    for said in ["list forwards by pages", "before a splice", "what the peers ask for"] {
        assert!(warnings.contains(said), "{warnings}");
    }
}

/// A node that answers while `well`, and is silent otherwise.
fn moody_node(well: Arc<AtomicBool>) -> Socket {
    Socket::serve(move |method, _| match method {
        "listpeerchannels" if !well.load(Ordering::SeqCst) => Answer::Silence,
        "listpeerchannels" => result("listpeerchannels.json"),
        "getinfo" => result("getinfo.json"),
        "setchannel" => Answer::Error(value("setchannel/error_unknown_channel_id.json")["error"].to_string()),
        _ => panic!("{method}"),
    })
}

#[tokio::test]
async fn a_group_that_does_not_answer_rests_and_is_tried_again() {
    let well = Arc::new(AtomicBool::new(false));
    let socket = moody_node(Arc::clone(&well));
    let clock = Arc::new(ManualClock::at(Time::from_secs(0)));
    let rest = Arc::new(AtomicU64::new(60));
    let live_rest = Arc::clone(&rest);
    let patience = move || Patience { timeout_secs: 1, rest_secs: live_rest.load(Ordering::SeqCst) };
    let node = Guarded::new(CoreLightning::new(socket.path()), clock.clone(), patience);
    let state = || node.breakers().into_iter().find(|b| b.group == "channels").unwrap();

    let error = node.channels().await.unwrap_err();
    assert!(matches!(&error, NodeError::Unreachable { why, .. } if why == "nothing came within 1 s"), "{error}");
    assert_eq!((state().state, state().retry_in_secs), ("open", Some(60)));
    assert!(state().last_error.is_some());
    let asked = socket.seen().len();
    let resting = NodeError::Resting { method: "channels".to_owned(), group: "channels", retry_in_secs: 60 };
    assert_eq!(node.channels().await.unwrap_err(), resting);
    assert_eq!(socket.seen().len(), asked, "a resting group is not asked");
    node.identity().await.expect("other groups go on");
    assert!(matches!(node.set_fee(order(None)).await, Err(NodeError::Refused { .. })));
    assert!(matches!(node.set_fee(order(None)).await, Err(NodeError::Refused { .. })), "a refusal opens nothing");

    rest.store(30, Ordering::SeqCst);
    clock.set(Time::from_secs(31));
    well.store(true, Ordering::SeqCst);
    let (first, second) = tokio::join!(node.channels(), node.channels());
    assert!(first.is_ok(), "one tries: {first:?}");
    assert!(matches!(second, Err(NodeError::Resting { .. })), "the other is still refused");
    assert_eq!((state().state, state().last_error), ("closed", None));
    assert!(node.channels().await.is_ok());
}

#[tokio::test]
async fn a_try_that_nobody_waits_for_any_more_is_given_back() {
    let well = Arc::new(AtomicBool::new(false));
    let socket = moody_node(Arc::clone(&well));
    let clock = Arc::new(ManualClock::at(Time::from_secs(0)));
    let patience = || Patience { timeout_secs: 1, rest_secs: 60 };
    let node = Guarded::new(CoreLightning::new(socket.path()), clock.clone(), patience);
    node.channels().await.unwrap_err();
    clock.set(Time::from_secs(60));
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(50), node.channels()).await;
    assert!(dropped.is_err());
    well.store(true, Ordering::SeqCst);
    assert!(node.channels().await.is_ok());
}

#[tokio::test]
async fn without_a_rest_every_call_is_made() {
    let node = Guarded::new(CoreLightning::new("/nonexistent/lightning-rpc"), Arc::new(SystemClock), || Patience {
        timeout_secs: 1,
        rest_secs: 0,
    });
    for _ in 0..3 {
        assert!(matches!(node.identity().await, Err(NodeError::Unreachable { .. })));
    }
    assert!(node.breakers().iter().all(|b| b.state == "closed"));
    let id: ChannelId = SPLICED.parse().unwrap();
    let error = node.set_fee(FeeOrder::rate(id, Ppm(1))).await.unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }));
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_anothers() {
    // The first call is given up; its answer would be the next to arrive on the same connection.
    let calls = AtomicU64::new(0);
    let socket = Socket::serve(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Silence,
        _ => result("getinfo.json"),
    });
    let patience = || Patience { timeout_secs: 1, rest_secs: 0 };
    let node = Guarded::new(CoreLightning::new(socket.path()), Arc::new(SystemClock), patience);
    assert!(node.identity().await.is_err());
    assert_eq!(node.identity().await.unwrap().network, "regtest");
}

#[tokio::test]
async fn a_large_node_is_read_in_one_piece() {
    let row = value("listforwards/page_created_1_5.json")["forwards"][0].clone();
    let rows: Vec<Value> = (1..=20_000)
        .map(|number| {
            let mut row = row.clone();
            (row["created_index"], row["in_htlc_id"]) = (json!(number), json!(number));
            row
        })
        .collect();
    let answer = json!({"forwards": rows}).to_string();
    let socket = Socket::serve(move |_, _| Answer::Result(answer.clone()));
    let page = ForwardPage { index: ForwardIndex::Created, start: 1, limit: u64::MAX };
    assert_eq!(CoreLightning::new(socket.path()).forwards(page).await.unwrap().len(), 20_000);
    assert_eq!(socket.seen()[0].1["limit"], json!(u32::MAX), "the node counts limits in 32 bits");
}
