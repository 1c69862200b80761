//! What a real Core Lightning said, read with our eyes: every recording under `tests/data/cln` is understood, and the facts
//! in it are the facts that we see. Opens no socket (`tests/lightning_rpc.rs` does).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cl_revenue_ops::domain::{
    Channel, ChannelState, Evidence, FeePolicy, Feerate, Forward, ForwardKey, ForwardStatus, Graph, Msat, Ppm, Sat,
    Scid, Side, Time,
};
use cl_revenue_ops::node::{NodeError, NodeEvent, cln_graph, cln_wire};
use serde_json::{Value, json};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln")
}

fn recorded(name: &str) -> Value {
    let path = data().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Names of the recordings in `folder` that begin with `prefix`, errors left out.
fn recordings(folder: &str, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(data().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix) && name.ends_with(".json"))
        .map(|name| format!("{folder}/{name}"))
        .filter(|name| recorded(name).get("error").is_none())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no recordings {folder}/{prefix}*");
    names
}

fn channels(name: &str) -> Vec<Channel> {
    cln_wire::channels(&recorded(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn forwards(name: &str) -> Vec<Forward> {
    cln_wire::forwards(&recorded(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn scid(text: &str) -> Scid {
    text.parse().unwrap()
}

fn by_scid(channels: Vec<Channel>) -> HashMap<String, Channel> {
    channels.into_iter().filter_map(|c| Some((c.scid?.to_string(), c))).collect()
}

#[test]
fn every_recorded_answer_is_understood() {
    for folder in [".", "states", "splice", "close", "deprecated-false"] {
        for name in recordings(folder, "listpeerchannels") {
            let rows = recorded(&name)["channels"].as_array().unwrap().len();
            assert_eq!(channels(&name).len(), rows, "{name}");
            assert!(!cln_wire::hides_peer_fees(&recorded(&name)), "{name}");
        }
    }
    for name in recordings("listforwards", "").iter().chain(&recordings("deprecated-false", "listforwards")) {
        assert_eq!(forwards(name).len(), recorded(name)["forwards"].as_array().unwrap().len(), "{name}");
    }
    for name in recordings("setchannel", "") {
        for row in recorded(&name)["channels"].as_array().unwrap() {
            let channel = row["channel_id"].as_str().unwrap().parse().unwrap();
            let fee = cln_wire::fee_in_force(&recorded(&name), channel).unwrap();
            assert_eq!(json!(fee.ppm.0), row["fee_proportional_millionths"], "{name}");
            assert_eq!(json!(fee.base.0), row["fee_base_msat"], "{name}");
        }
    }
    for folder in [".", "deprecated-false"] {
        cln_wire::identity(&recorded(&format!("{folder}/getinfo.json"))).unwrap();
        for name in recordings(folder, "listclosedchannels") {
            cln_wire::names("listclosedchannels", "closedchannels", &recorded(&name)).unwrap();
        }
    }
}

#[test]
fn every_recorded_notification_is_understood_wrapped_or_bare() {
    for name in recordings("notes", "note_") {
        let note = recorded(&name);
        let topic = note["method"].as_str().unwrap();
        for params in [&note["params"], &note["params"][topic]] {
            let understood = match topic {
                "forward_event" => cln_wire::forward_event(params).map(drop),
                _ => cln_wire::channel_event(topic, params).map(drop),
            };
            assert_eq!(understood, Ok(()), "{name}");
        }
    }
}

#[test]
fn who_the_node_is() {
    let identity = cln_wire::identity(&recorded("getinfo.json")).unwrap();
    assert_eq!(identity.node.to_string(), "0335bb1d7fa6955e8f69d841a5888d6280fc3389c9a648d229b1997d28acb19ea2");
    assert_eq!(identity.network, "regtest");
}

#[test]
fn channels_as_they_were() {
    let seen = by_scid(channels("listpeerchannels.json"));
    use ChannelState::{Closing, Normal};
    use Side::{Local, Remote};
    // Opener, private, state, balances in msat (ours, spendable, capacity), our ppm, the peer's base, in flight (out, in).
    let table = [
        ("118x1x0", Remote, false, Normal, (850_000_000, 815_000_000, 3_500_000_000), 10, 1, (0, 0)),
        ("118x5x0", Local, false, Normal, (2_459_300_000, 2_424_994_000, 3_000_000_000), 34, 1, (0, 0)),
        ("118x7x0", Remote, false, Closing, (9_703_250, 0, 1_500_000_000), 10, 1, (0, 0)),
        ("125x1x1", Local, false, Normal, (3_475_404_756, 3_424_672_756, 4_500_000_000), 257, 1, (1, 0)),
        ("134x1x0", Local, false, Normal, (2_000_000_000, 1_975_694_000, 2_000_000_000), 10, 1, (0, 0)),
        ("118x8x0", Remote, false, Normal, (2_096_984_008, 2_046_984_008, 5_000_000_000), 10, 1, (0, 1)),
        ("118x2x0", Local, true, Normal, (1_003_490_472, 979_184_472, 2_000_000_000), 77, 1, (0, 0)),
    ];
    assert_eq!(seen.len(), table.len());
    for (name, opener, private, state, (local, spendable, capacity), ppm, their_base, htlcs) in table {
        let c = &seen[name];
        assert_eq!((c.opener, c.private, &c.state), (Some(opener), private, &state), "{name}");
        assert_eq!((c.local, c.spendable, c.capacity), (Msat(local), Msat(spendable), Msat(capacity)), "{name}");
        assert_eq!((c.ours.ppm, c.theirs.map(|t| t.base)), (Ppm(ppm), Some(Msat(their_base))), "{name}");
        assert_eq!((c.htlcs_out, c.htlcs_in, c.max_htlcs), (htlcs.0, htlcs.1, Some(483)), "{name}");
        assert!(c.connected, "{name}");
    }
    let spliced = &seen["125x1x1"];
    assert_eq!(spliced.alias, Some(scid("14034912x12064550x17350")));
    assert_eq!(spliced.sent, Some(Msat(1_028_596_284)));
    assert_eq!(spliced.receivable, Some(Msat(979_595_244)));
    let bounds =
        FeePolicy { base: Msat(0), ppm: Ppm(257), htlc_min: Some(Msat(0)), htlc_max: Some(Msat(3_960_000_000)) };
    assert_eq!(spliced.ours, bounds);
}

#[test]
fn a_splice_changes_the_short_id_and_not_the_channel() {
    let before = by_scid(channels("splice/listpeerchannels_pending.json")).remove("118x6x0").unwrap();
    assert_eq!(before.state, ChannelState::AwaitingSplice);
    assert!(before.routes());
    let after = by_scid(channels("splice/listpeerchannels_after_both.json")).remove("263x1x0").unwrap();
    assert_eq!(after.state, ChannelState::Normal);
    assert_eq!((after.channel_id, after.alias), (before.channel_id, before.alias));
    let asked_by_old_id = channels("states/listpeerchannels.by_old_scid.json");
    assert_eq!(asked_by_old_id.len(), 1);
    assert_eq!((asked_by_old_id[0].channel_id, asked_by_old_id[0].scid), (before.channel_id, Some(scid("125x1x1"))));
}

#[test]
fn states_of_channels_by_recording() {
    let table = [
        ("states/listpeerchannels.awaiting_lockin_depth0.json", "Opening 8"),
        ("states/listpeerchannels.depth1_scid_no_announce.json", "Normal 8"),
        ("states/listpeerchannels.with_htlcs.json", "Normal 8"),
        ("splice/listpeerchannels_pending.json", "AwaitingSplice 1, Normal 7"),
        ("splice/listpeerchannels_after_both.json", "Closing 1, Normal 6"),
        ("close/listpeerchannels_closing.json", "Closing 1, Normal 7"),
        ("close/listpeerchannels_after_unilateral.json", "Closing 2, Normal 6"),
    ];
    for (name, expected) in table {
        let mut counts = BTreeMap::new();
        for channel in channels(name) {
            *counts.entry(format!("{:?}", channel.state)).or_insert(0) += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{state} {count}")).collect();
        assert_eq!(counts.join(", "), expected, "{name}");
    }
}

#[test]
fn before_the_lock_in_there_is_no_short_id_and_no_fee_of_the_peer() {
    for channel in channels("states/listpeerchannels.awaiting_lockin_depth0.json") {
        assert_eq!((channel.scid, channel.theirs), (None, None));
        assert!(channel.alias.is_some() && !channel.routes());
    }
}

#[test]
fn a_peer_that_is_away() {
    let name = "states/listpeerchannels.peer_disconnected.json";
    let away: Vec<Scid> = channels(name).iter().filter(|c| !c.connected).filter_map(|c| c.scid).collect();
    assert_eq!(away, ["118x1x0", "118x5x0", "118x9x0", "118x7x0"].map(scid));
    // Without the field, the daemon in charge of a channel says as much of those that route.
    let mut silent = recorded(name);
    for row in silent["channels"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("peer_connected").unwrap();
    }
    for (told, inferred) in channels(name).iter().zip(cln_wire::channels(&silent).unwrap()).filter(|(c, _)| c.routes())
    {
        assert_eq!(told, &inferred);
    }
}

#[test]
fn the_largest_amount_there_is_survives() {
    let mut answer = recorded("listpeerchannels_by_scid.json");
    let largest = &answer["channels"][0]["their_max_htlc_value_in_flight_msat"];
    assert_eq!(largest.as_u64(), Some(u64::MAX));
    answer["channels"][0]["out_fulfilled_msat"] = largest.clone();
    assert_eq!(cln_wire::channels(&answer).unwrap()[0].sent, Some(Msat(u64::MAX)));
}

#[test]
fn the_chain_is_as_high_as_it_says_and_its_feerates_are_in_sat_per_vbyte() {
    let chain = cln_graph::chain(&recorded("getinfo.json"), &recorded("feerates_perkb.json")).unwrap();
    assert_eq!((chain.height, chain.synced), (262, true));
    let told: Vec<_> = chain.feerates.iter().map(|e| (e.blocks, e.sat_per_vb)).collect();
    assert_eq!(told, [(2, 1.012), (6, 1.012), (12, 1.012), (100, 1.012)]);
    let mut behind = recorded("getinfo.json");
    behind["warning_lightningd_sync"] = json!("Still loading latest blocks from bitcoind.");
    assert!(!cln_graph::chain(&behind, &recorded("feerates_perkb.json")).unwrap().synced);
}

#[test]
fn a_peer_in_the_graph_has_a_name_and_each_channel_once() {
    let (nodes, from) = (recorded("listnodes_one.json"), recorded("listchannels_source.json"));
    // The recorded listing is of one source; as destination the same channels show from the other side.
    let peer = cln_graph::peer(&nodes, &from, &from).unwrap();
    let rows = from["channels"].as_array().unwrap();
    let capacity = rows.iter().map(|row| row["amount_msat"].as_u64().unwrap() / 1000).sum();
    assert_eq!(peer.alias.as_deref(), Some("REAL-C"));
    let channels = u32::try_from(rows.len()).unwrap();
    assert_eq!(peer.graph, Graph::Known { channels, capacity: Sat(capacity) });
    let nobody = json!({"channels": []});
    let missing = cln_graph::peer(&json!({"nodes": []}), &nobody, &nobody).unwrap();
    assert_eq!((missing.alias, missing.graph), (None, Graph::Missing));
}

#[test]
fn an_opening_costs_what_the_first_transaction_did_and_a_splice_is_none() {
    let cost = |file: &str| cln_graph::opening_cost(&recorded(&format!("bkpr/{file}"))).unwrap();
    assert_eq!(cost("listaccountevents_splice_channel.json"), Some(Msat(166_000)));
    assert_eq!(cost("listaccountevents_remote_opened.json"), None);
}

/// What a node from before v23.08 would have sent for the same channels and forwards.
fn aged(mut answer: Value) -> Value {
    fn age(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for newer in ["updates", "created_index", "updated_index", "reestablished", "last_stable_connection"] {
                    fields.remove(newer);
                }
                for (name, field) in fields.iter_mut() {
                    match field.as_u64().filter(|_| name.ends_with("_msat")) {
                        Some(amount) => *field = json!(format!("{amount}msat")),
                        None => age(field),
                    }
                }
            }
            Value::Array(rows) => rows.iter_mut().for_each(age),
            _ => {}
        }
    }
    age(&mut answer);
    answer
}

#[test]
fn an_old_node_tells_the_same_but_for_what_it_does_not_know() {
    let old = aged(recorded("listpeerchannels.json"));
    assert!(cln_wire::hides_peer_fees(&old));
    let mut expected = channels("listpeerchannels.json");
    expected.iter_mut().for_each(|c| (c.theirs, c.bounds.reestablished) = (None, None));
    assert_eq!(cln_wire::channels(&old).unwrap(), expected);

    let mut expected = forwards("listforwards/index_only.json");
    expected.iter_mut().for_each(|f| (f.created_index, f.updated_index) = (None, None));
    assert_eq!(cln_wire::forwards(&aged(recorded("listforwards/index_only.json"))).unwrap(), expected);
}

#[test]
fn a_channel_that_is_not_understood_is_an_error_that_names_it() {
    let why = |change: fn(&mut Value)| {
        let mut answer = recorded("listpeerchannels.json");
        change(&mut answer["channels"][1]);
        cln_wire::channels(&answer).unwrap_err().to_string()
    };
    let without = |field: &'static str| {
        let mut answer = recorded("listpeerchannels.json");
        answer["channels"][1].as_object_mut().unwrap().remove(field).unwrap();
        cln_wire::channels(&answer)
    };
    for field in ["to_us_msat", "total_msat", "spendable_msat", "peer_id", "state", "channel_id"] {
        let error = without(field).unwrap_err().to_string();
        assert!(error.contains(&format!("channels[1] (118x5x0): '{field}' is missing")), "{error}");
    }
    for field in ["receivable_msat", "max_accepted_htlcs", "opener", "private", "alias", "htlcs", "updates"] {
        without(field).unwrap_or_else(|error| panic!("we can do without '{field}': {error}"));
    }
    let error = why(|row| row["to_us_msat"] = json!("much"));
    assert_eq!(error, "listpeerchannels: answer not understood: channels[1] (118x5x0): 'to_us_msat' is \"much\"");
    let error = why(|row| row["updates"]["remote"]["fee_base_msat"] = json!(-1));
    assert!(error.ends_with("channels[1] in 'remote': 'fee_base_msat' is -1"), "{error}");
    let error = why(|row| *row = json!([]));
    assert!(error.ends_with("channels[1] is [], not an object"), "{error}");
    for answer in [json!({}), json!(null), json!([]), json!({"channels": null}), json!({"channels": {}})] {
        assert!(matches!(cln_wire::channels(&answer), Err(NodeError::Garbled { .. })), "{answer}");
    }
}

#[test]
fn channels_in_states_that_we_do_not_price() {
    let mut answer = recorded("listpeerchannels_by_scid.json");
    answer["channels"][0]["state"] = json!("CHANNELD_DREAMING");
    let channel = &cln_wire::channels(&answer).unwrap()[0];
    assert_eq!(channel.state, ChannelState::Other("CHANNELD_DREAMING".to_owned()));
    assert!(!channel.routes());

    // An opening shows up before it has a name, and with little to tell.
    let peer = answer["channels"][0]["peer_id"].clone();
    let opening = json!({"peer_id": peer, "peer_connected": true, "state": "OPENINGD", "owner": "lightning_openingd",
        "opener": "local", "to_us_msat": 1000, "total_msat": 1000, "features": []});
    answer["channels"].as_array_mut().unwrap().push(opening);
    assert_eq!(cln_wire::channels(&answer).unwrap().len(), 1);
    let named = json!({"peer_id": peer, "state": "DUALOPEND_OPEN_INIT", "channel_id": "ab".repeat(32)});
    answer["channels"].as_array_mut().unwrap().push(named);
    assert_eq!(cln_wire::channels(&answer).unwrap()[1].state, ChannelState::Opening);
}

#[test]
fn forwards_as_they_were() {
    let all = forwards("listforwards/index_only.json");
    let count = |status| all.iter().filter(|f| f.status == status).count();
    assert_eq!(
        (all.len(), count(ForwardStatus::Settled), count(ForwardStatus::Failed), count(ForwardStatus::LocalFailed)),
        (149, 132, 8, 9)
    );
    let first = Forward {
        key: ForwardKey { in_channel: scid("118x8x0"), in_htlc_id: 0 },
        out_channel: Some(scid("118x6x0")),
        in_msat: Msat(100_025_000),
        out_msat: Some(Msat(100_000_000)),
        fee: Some(Msat(25_000)),
        status: ForwardStatus::Settled,
        failcode: None,
        received: Time(1_795_243_847_702),
        resolved: Some(Time(1_795_243_847_763)),
        created_index: Some(1),
        updated_index: Some(1),
    };
    assert_eq!(all[0], first);
    for forward in all.iter().filter(|f| f.status == ForwardStatus::LocalFailed) {
        assert_eq!((forward.out_msat, forward.fee, forward.resolved, forward.updated_index), (None, None, None, None));
        assert!(forward.failcode.is_some());
    }
    let starved: Vec<u64> = all.iter().filter(|f| f.starved()).filter_map(|f| f.created_index).collect();
    assert_eq!(starved, [34, 38, 48]);
    for forward in forwards("listforwards/status_offered.json") {
        assert_eq!((forward.status, forward.resolved, forward.updated_index), (ForwardStatus::Offered, None, None));
    }
}

#[test]
fn notifications_and_listing_agree_on_a_forward() {
    let rows: HashMap<ForwardKey, Forward> =
        forwards("listforwards/index_only.json").into_iter().map(|f| (f.key, f)).collect();
    assert_eq!(rows.len(), 149, "no key twice");
    for name in recordings("notes", "note_forward_event") {
        let told = cln_wire::forward_event(&recorded(&name)["params"]).unwrap();
        let row = &rows[&told.key];
        assert_eq!((told.out_channel, told.in_msat, told.received), (row.out_channel, row.in_msat, row.received));
        match told.status {
            ForwardStatus::Offered => assert_eq!((told.created_index, told.resolved), (row.created_index, None)),
            ForwardStatus::LocalFailed => assert_eq!(&told, row),
            // Resolved ones are told without the index of their creation.
            _ => assert_eq!(&told, &Forward { created_index: None, ..row.clone() }),
        }
    }
}

#[test]
fn forwards_from_before_their_ids_were_kept() {
    let row = recorded("listforwards/page_created_1_5.json")["forwards"][0].take();
    let read = |row: &Value| cln_wire::forwards(&json!({"forwards": [row]})).unwrap().remove(0);
    let mut nameless = row.clone();
    nameless.as_object_mut().unwrap().remove("in_htlc_id").unwrap();
    let key = read(&nameless).key;
    assert_eq!(key.in_channel, scid("118x8x0"));
    assert!(key.in_htlc_id >= 1 << 62, "{key:?}");
    assert_eq!(read(&aged(nameless)).key, key, "also across an update of the node");

    let mut keys = vec![key];
    for made_up_by_the_node in [u64::MAX - 1, u64::MAX - 2, u64::MAX - 1_000_000] {
        let mut row = row.clone();
        row["in_htlc_id"] = json!(made_up_by_the_node);
        keys.push(read(&row).key);
    }
    assert!(keys.iter().all(|key| i64::try_from(key.in_htlc_id).is_ok()), "a database stores it: {keys:?}");
    keys.dedup();
    assert_eq!(keys.len(), 4);

    let mut timeless = row;
    timeless.as_object_mut().unwrap().remove("received_time").unwrap();
    let old = read(&timeless);
    timeless["received_time"] = json!(0.0);
    assert_eq!((old.received, &old), (Time(0), &read(&timeless)));
}

#[test]
fn a_status_that_is_new_to_us_is_no_outcome_and_keeps_no_other_forward_from_being_read() {
    let mut answer = recorded("listforwards/page_created_1_5.json");
    let before = cln_wire::forwards(&answer).unwrap();
    assert!(!cln_wire::has_new_status(&answer));
    answer["forwards"][2]["status"] = json!("vanished");
    let after = cln_wire::forwards(&answer).unwrap();
    assert!(cln_wire::has_new_status(&answer));
    assert_eq!(after[2].status, ForwardStatus::Offered);
    assert_eq!((&after[..2], &after[3..]), (&before[..2], &before[3..]));
}

#[test]
fn a_forward_that_is_not_understood_is_an_error_that_names_it() {
    let why = |field: &str, value: Value| {
        let mut answer = recorded("listforwards/page_created_1_5.json");
        answer["forwards"][2][field] = value;
        cln_wire::forwards(&answer).unwrap_err().to_string()
    };
    for (field, value, expected) in [
        ("status", json!(7), "forwards[2] (118x8x0): 'status' is 7"),
        ("in_msat", json!(null), "forwards[2] (118x8x0): 'in_msat' is missing"),
        ("fee_msat", json!(-5), "forwards[2] (118x8x0): 'fee_msat' is -5"),
        ("in_channel", json!("here"), "forwards[2] (here): 'in_channel' is \"here\""),
        ("received_time", json!("noon"), "forwards[2] (118x8x0): 'received_time' is \"noon\""),
    ] {
        let error = why(field, value);
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn feerates_of_the_opening_or_none() {
    let perkb = recorded("feerates_perkb.json");
    assert_eq!(cln_wire::feerate(&perkb), Ok(Some(Feerate { sat_per_kvb: 1012 })));
    let rate = |rates: Value| {
        cln_wire::feerate(&json!({"perkb": rates, "warning_missing_feerates": "Some fee estimates unavailable"}))
    };
    assert_eq!(rate(json!({"mutual_close": 300, "min_acceptable": 253})), Ok(Some(Feerate { sat_per_kvb: 300 })));
    assert_eq!(rate(json!({"min_acceptable": 253, "max_acceptable": 4_294_967_295_u32})), Ok(None));
    let other_unit = cln_wire::feerate(&recorded("feerates_perkw.json"));
    assert!(matches!(other_unit, Err(NodeError::Garbled { .. })), "{other_unit:?}");
}

#[test]
fn an_answer_about_another_channel_is_no_answer() {
    let answer = recorded("setchannel/by_channel_id.json");
    let error = cln_wire::fee_in_force(&answer, "ab".repeat(32).parse().unwrap()).unwrap_err();
    assert!(matches!(&error, NodeError::Garbled { method, .. } if method == "setchannel"), "{error}");
}

#[test]
fn what_the_node_tells_of_channels_and_peers() {
    let told = |name: &str| {
        let note = recorded(&format!("notes/note_{name}.json"));
        cln_wire::channel_event(note["method"].as_str().unwrap(), &note["params"]).unwrap()
    };
    let peer = "03dbf5b9c7187c53a0dfba8838741787fe3dadbc75cb921e11f912b9ee49bf8beb".parse().unwrap();
    let expected = NodeEvent::ChannelStateChanged {
        peer,
        channel_id: "981fcac589b32a0eb764ca3134e73d4e0adecd843440c24d4f88910f279cfe61".parse().unwrap(),
        scid: None,
        old: None,
        new: ChannelState::Opening,
        cause: Some("remote".to_owned()),
        at: Some(Time(1_795_243_664_723)),
        ending: Evidence::NONE,
    };
    assert_eq!(told("channel_state_changed_none_to_CHANNELD_AWAITING_LOCKIN_remote"), expected);
    match told("channel_state_changed_CHANNELD_AWAITING_SPLICE_to_CHANNELD_NORMAL_user") {
        NodeEvent::ChannelStateChanged { scid: now, old, new, .. } => {
            assert_eq!(
                (now, old, new),
                (Some(scid("125x1x1")), Some(ChannelState::AwaitingSplice), ChannelState::Normal)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told("channel_opened"), NodeEvent::ChannelOpened { peer, capacity: Some(Msat(5_000_000_000)) });
    assert_eq!(told("connect_out"), NodeEvent::Connected { peer });
    assert!(matches!(told("disconnect"), NodeEvent::Disconnected { .. }));
    assert!(cln_wire::channel_event("balance_snapshot", &json!({})).is_err());
    assert!(cln_wire::channel_event("connect", &json!([])).is_err());
}

#[test]
fn what_lies_on_chain_is_what_is_confirmed_and_free() {
    let mut funds = recorded("listfunds.json");
    assert_eq!(cln_wire::onchain(&funds).unwrap(), Msat(287_101_284_000));
    funds["outputs"][0]["status"] = json!("unconfirmed");
    funds["outputs"][1]["reserved"] = json!(true);
    assert_eq!(cln_wire::onchain(&funds).unwrap(), Msat(287_101_284_000 - 50_000_000_000 - 46_999_834_000));
    assert!(cln_wire::onchain(&json!({})).is_err(), "no list is no empty wallet");
}
