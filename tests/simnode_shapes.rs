//! The simulated lightningd answers as the recorded one: the same fields of the same types, present under the same conditions,
//! and the same errors word for word. What it leaves out is listed here, with the reason.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shape;
#[path = "simnode_shapes/ways.rs"]
mod ways;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shape::{Shape, differences};

/// Fields of the recordings that the simulated node does not have.
const OMITTED: &[(&str, &str)] = &[
    ("channels[].close_to", "there is no on-chain wallet"),
    ("channels[].close_to_addr", "there is no on-chain wallet"),
    ("channels[].funding.psbt", "nothing was funded on a chain"),
    ("closedchannels[].funding_psbt", "nothing was funded on a chain"),
    ("closedchannels[].funding_pushed_msat", "nothing was pushed at the opening"),
];

/// Writes down what it hears and answers from a short list. The same options as the plugin of the recordings.
const SPY: &str = include_str!("shape/spy.sh");

/// A running node that ends with the test.
struct Sim {
    process: Child,
    dir: tempfile::TempDir,
}

impl Sim {
    fn start(more: &[&str]) -> Sim {
        let dir = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_cl-revenue-ops"))
            .args(["simnode", "--speed=0", "--quiet", "--steady", "--seed=3", "--start=1767225600", "--lightning-dir"])
            .arg(dir.path())
            .args(more)
            .env_remove("LIGHTNINGD_PLUGIN")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sim = Sim { process, dir };
        let began = Instant::now();
        while UnixStream::connect(sim.socket()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the simulated node does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        sim
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("regtest/lightning-rpc")
    }

    /// The first message that comes back for these bytes.
    fn raw(&self, bytes: &str) -> Value {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 65_536]);
        while !answer.ends_with(b"\n\n") {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "closed before an answer");
            answer.extend_from_slice(&piece[..length]);
        }
        serde_json::from_slice(&answer).unwrap()
    }

    /// The result, or `{"error": …}` as the recordings have it.
    fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": "t:1", "method": method, "params": params});
        let mut answer = self.raw(&request.to_string());
        assert_eq!(answer["id"], "t:1");
        match answer.get("error") {
            Some(error) => json!({ "error": error }),
            None => answer["result"].take(),
        }
    }

    /// Lets time pass until there is something to see.
    fn until<T>(&self, step_secs: u64, look: impl Fn() -> Option<T>) -> T {
        // A plugin needs seconds of the machine's time, in which a quick one asks more often than this.
        let (mut asked, began) = (0, Instant::now());
        while asked < 1_000 || began.elapsed() < Duration::from_secs(10) {
            if let Some(found) = look() {
                return found;
            }
            self.call("sim-advance", json!([step_secs]));
            asked += 1;
        }
        panic!("it never happened");
    }

    fn channel(&self, place: usize) -> Value {
        self.call("listpeerchannels", json!({}))["channels"][place].clone()
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().canonicalize().unwrap().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// What the spy has heard of that method so far, waiting for the first.
    fn heard(&self, method: &str) -> Vec<Value> {
        self.heard_of(method, |_| true)
    }

    /// Of these messages, those that are so.
    fn heard_of(&self, method: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.dir.path().join("spyall.sh.heard")).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found: Vec<Value> = lines.filter(|m| m["method"] == method && wanted(m)).collect();
            if !found.is_empty() {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the plugin never heard of {method}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cln").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn alike<'a>(theirs: impl IntoIterator<Item = &'a Value>, ours: impl IntoIterator<Item = &'a Value>) {
    let (theirs, ours) = (Shape::of(theirs), Shape::of(ours));
    let omitted: Vec<&str> = OMITTED.iter().map(|(path, _)| *path).collect();
    let problems = differences(&theirs, &ours, &omitted);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn rows(answer: &Value, list: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let found: Vec<Value> = answer[list].as_array().into_iter().flatten().filter(|row| wanted(row)).cloned().collect();
    // Wrapped again, so that paths read as in the answer.
    found.into_iter().map(|row| json!({ list: [row] })).collect()
}

#[test]
fn listings_have_the_recorded_fields() {
    let sim = Sim::start(&["--history-days=3"]);
    for (method, params, file) in [
        ("getinfo", json!({}), "getinfo.json"),
        ("feerates", json!({"style": "perkb"}), "feerates_perkb.json"),
        ("feerates", json!(["perkw"]), "feerates_perkw.json"),
        ("listpeers", json!([]), "listpeers.json"),
        ("help", json!(["setchannel"]), "help_setchannel.json"),
        ("listconfigs", json!(["fee-base"]), "listconfigs_one.json"),
    ] {
        alike([&recorded(file)], [&sim.call(method, params)]);
    }
    let scid = sim.channel(0)["short_channel_id"].clone();
    alike([&recorded("listchannels_scid.json")], [&sim.call("listchannels", json!({"short_channel_id": scid}))]);
    let peer = sim.channel(0)["peer_id"].clone();
    alike([&recorded("listnodes_one.json")], [&sim.call("listnodes", json!({"id": peer}))]);
    let funds = |value: &Value| json!({"channels": value["channels"]});
    alike([&funds(&recorded("listfunds.json"))], [&funds(&sim.call("listfunds", json!({})))]);
}

/// After a splice and a close.
fn books_are_as_recorded(sim: &Sim, spliced: &Value) {
    for (method, file, (list, field), kinds) in [
        ("listchainmoves", "listchainmoves", ("chainmoves", "primary_tag"), ["channel_open", "channel_close"]),
        ("bkpr-listaccountevents", "bkpr/listaccountevents_all", ("events", "type"), ["chain", "onchain_fee"]),
        ("bkpr-listincome", "bkpr/listincome", ("income_events", "tag"), ["routed", "onchain_fee"]),
    ] {
        let params = if list == "events" { json!([spliced]) } else { json!({}) };
        let (theirs, ours) = (recorded(&format!("{file}.json")), sim.call(method, params));
        for kind in kinds {
            let with = |row: &Value| row[field] == kind && row["account"] != "wallet";
            alike(&rows(&theirs, list, with), &rows(&ours, list, with));
        }
    }
}

#[test]
fn channels_have_the_recorded_fields_in_every_state() {
    let sim = Sim::start(&["--history-days=2"]);
    let normal = |row: &Value| row["state"] == "CHANNELD_NORMAL" && row["peer_connected"] == true;
    let theirs = rows(&recorded("listpeerchannels.json"), "channels", normal);
    alike(&theirs, &rows(&sim.call("listpeerchannels", json!({})), "channels", normal));

    sim.call("disconnect", json!([sim.channel(0)["peer_id"]]));
    let away = |row: &Value| row["peer_connected"] == false;
    let theirs = rows(&recorded("states/listpeerchannels.peer_disconnected.json"), "channels", away);
    alike(&theirs, &rows(&sim.call("listpeerchannels", json!({})), "channels", away));

    let old = sim.channel(1)["short_channel_id"].clone();
    // The channel of the recording had been set to mind the limits.
    sim.call("setchannel", json!({"id": old, "ignorefeelimits": false}));
    sim.call("sim-splice", json!([old, 100_000]));
    let splicing = |row: &Value| row["state"] == "CHANNELD_AWAITING_SPLICE";
    let theirs = rows(&recorded("splice/listpeerchannels_pending.json"), "channels", splicing);
    alike(&theirs, &rows(&sim.call("listpeerchannels", json!({})), "channels", splicing));
    sim.call("sim-advance", json!([700]));
    let spliced = sim.call("listpeerchannels", json!({"short_channel_id": old}))["channels"][0].clone();
    assert_eq!(spliced["state"], "CHANNELD_NORMAL");
    assert_ne!(spliced["short_channel_id"], old, "the old name finds the channel under its new one");

    let closing = sim.channel(2);
    sim.call("sim-close", json!([closing["short_channel_id"]]));
    let is_closing = |row: &Value| row["state"] == "CLOSINGD_COMPLETE";
    let theirs = rows(&recorded("close/listpeerchannels_closing.json"), "channels", is_closing);
    alike(&theirs, &rows(&sim.call("listpeerchannels", json!({})), "channels", is_closing));
    let refused = sim.call("setchannel", json!({"id": closing["short_channel_id"], "feeppm": 1}));
    assert_eq!(refused, recorded("setchannel/error_closing_state.json"));
    sim.call("sim-advance", json!([700]));
    alike([&recorded("listclosedchannels.json")], [&sim.call("listclosedchannels", json!({}))]);
    books_are_as_recorded(&sim, &spliced["channel_id"]);
    assert_eq!(sim.call("listpeerchannels", json!(["nonsense"])), recorded("listpeerchannels_unknown.json"));
}

#[test]
fn payments_in_flight_have_the_recorded_fields() {
    let sim = Sim::start(&[]);
    let flights = |value: &Value| -> Vec<Value> {
        let channels = value["channels"].as_array().unwrap().iter();
        channels.flat_map(|c| c["htlcs"].as_array().unwrap().clone()).collect()
    };
    let look = || Some(flights(&sim.call("listpeerchannels", json!({})))).filter(|found| !found.is_empty());
    let ours = sim.until(60, look);
    alike(&flights(&recorded("states/listpeerchannels.with_htlcs.json")), &ours);
}

#[test]
fn forwards_have_the_recorded_fields_by_status() {
    let sim = Sim::start(&["--history-days=10"]);
    let theirs = recorded("listforwards/all_first_60.json");
    for (status, file) in [
        ("settled", "listforwards/status_settled_now.json"),
        ("failed", "listforwards/status_failed_now.json"),
        ("local_failed", "listforwards/status_local_failed_now.json"),
        ("offered", "listforwards/status_offered.json"),
    ] {
        let of_status = |row: &Value| row["status"] == status;
        let mut known = rows(&theirs, "forwards", of_status);
        known.extend(rows(&recorded(file), "forwards", of_status));
        let list = || rows(&sim.call("listforwards", json!({ "status": status })), "forwards", of_status);
        let ours = sim.until(60, || Some(list()).filter(|found| !found.is_empty()));
        alike(&known, &ours);
    }
}

#[test]
fn forwards_are_paged_and_refused_as_recorded() {
    let sim = Sim::start(&["--history-days=5"]);
    for (params, file) in [
        (json!({"index": "nonsense"}), "bad_index"),
        (json!({"status": "nonsense"}), "bad_status"),
        (json!({"limit": 5}), "limit_only"),
        (json!({"start": 5}), "start_without_index"),
        (json!({"start": 5, "limit": 5}), "start_without_index_limit"),
        (json!({"index": "created", "start": 100_000_000}), "page_past_end"),
    ] {
        assert_eq!(sim.call("listforwards", params), recorded(&format!("listforwards/{file}.json")), "{file}");
    }
    let page = sim.call("listforwards", json!({"index": "updated", "start": 30, "limit": 5}));
    let indexes: Vec<u64> =
        page["forwards"].as_array().unwrap().iter().map(|row| row["updated_index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [30, 31, 32, 33, 34]);
    let failed = sim.call("listforwards", json!({"status": "failed", "index": "created", "start": 1, "limit": 3}));
    assert_eq!(failed["forwards"].as_array().unwrap().len(), 3, "the limit counts what matches");
    let zero = sim.call("listforwards", json!({"index": "created", "start": 0, "limit": 2}));
    assert_eq!(zero["forwards"][0]["created_index"], 1);
}

#[test]
fn setchannel_answers_and_refuses_as_recorded() {
    let sim = Sim::start(&[]);
    let channel = sim.channel(0);
    let (scid, id, peer) = (&channel["short_channel_id"], &channel["channel_id"], &channel["peer_id"]);
    for (params, file) in [
        (json!({"id": scid, "feebase": 0, "feeppm": 250}), "by_scid"),
        (json!({"id": id, "feebase": "1000msat", "feeppm": 100}), "by_channel_id"),
        (json!({"id": peer, "feeppm": 300}), "by_peer_id_many"),
        (json!([scid, 0, 261, "1000msat", "3000000msat", 5, false]), "positional_all"),
        (json!({"id": scid, "feebase": "0", "feeppm": "250"}), "string_numbers"),
        (json!({"id": scid, "feeppm": 4_294_967_295_u32}), "max_u32_ppm"),
        (json!({"id": scid, "htlcmax": "1btc"}), "warn_htlcmax_too_high"),
        (json!({"id": "all", "feebase": 1000, "feeppm": 10}), "all"),
        (json!({"id": scid}), "id_only_noop"),
    ] {
        alike([&recorded(&format!("setchannel/{file}.json"))], [&sim.call("setchannel", params)]);
    }
    for (params, file) in [
        (json!({"id": "999x9x9", "feeppm": 1}), "error_unknown_scid"),
        (json!({"id": "nonsense", "feeppm": 1}), "error_bad_id"),
        (json!({"id": format!("02{}", "1".repeat(64)), "feeppm": 1}), "error_unknown_peer"),
        (json!({"id": "1".repeat(64), "feeppm": 1}), "error_unknown_channel_id"),
        (json!({"id": scid, "feeppm": -1}), "error_negative_ppm"),
        (json!({"id": scid, "feeppm": 1.5}), "error_float_ppm"),
        (json!({"id": scid, "feeppm": 4_294_967_296_u64}), "error_ppm_over_u32"),
        (json!({"id": scid, "feebase": "5000000000msat"}), "error_base_over_u32"),
        (json!({"id": scid, "htlcmin": 5000, "htlcmax": 1000}), "error_min_gt_max"),
        (json!({"id": scid, "inboundfeeppm": -10}), "error_unknown_param"),
        (json!({"feeppm": 1}), "error_missing_id"),
        (json!([scid, 0, 1, 0, 0, 0, true, "x"]), "error_too_many_positional"),
        (json!({"id": "118:6:0", "feeppm": 250}), "scid_colon_form"),
    ] {
        assert_eq!(sim.call("setchannel", params), recorded(&format!("setchannel/{file}.json")), "{file}");
    }
    assert_eq!(sim.call("feerates", json!({})), recorded("feerates_error.json"));
    assert_eq!(sim.call("help", json!(["nosuch"])), recorded("help_unknown.json"));
    assert_eq!(sim.call("listpeers", json!(["nonsense"])), recorded("listpeers_unknown.json"));
}

#[test]
fn the_wire_is_as_recorded() {
    let sim = Sim::start(&[]);
    for file in ["bad_json", "no_id", "no_params_key", "unknown_method", "no_jsonrpc_key"] {
        let exchange = recorded(&format!("rpc-wire/{file}.json"));
        let theirs: Value = serde_json::from_str(exchange[1]["bytes"].as_str().unwrap()).unwrap();
        let ours = sim.raw(exchange[0]["bytes"].as_str().unwrap());
        if file == "no_jsonrpc_key" {
            // The text of the request is repeated; ours is written with other spaces.
            assert_eq!(ours["error"]["code"], theirs["error"]["code"]);
        } else {
            assert_eq!(ours, theirs, "{file}");
        }
    }
    let numeric = sim.raw(r#"{"jsonrpc": "2.0", "id": 7, "method": "getinfo", "params": {}}"#);
    assert_eq!(numeric["id"], 7);
    let filter = r#"{"jsonrpc":"2.0","id":"f","method":"getinfo","params":[],"filter":{"network":true}}"#;
    assert_eq!(sim.raw(filter)["result"], json!({"network": "regtest"}));
}

#[test]
fn waiting_answers_as_recorded() {
    let sim = Sim::start(&["--history-days=2"]);
    let wait = |index: &str, next: u64| sim.call("wait", json!(["forwards", index, next]));
    alike([&recorded("wait/forwards_created_0.json")], [&wait("created", 0)]);
    alike([&recorded("wait/forwards_deleted_0.json")], [&wait("deleted", 0)]);
    assert_eq!(sim.call("wait", json!(["nonsense", "created", 0])), recorded("wait/bad_subsystem.json"));
    for index in ["created", "updated"] {
        let next = wait(index, 0)[index].as_u64().unwrap() + 1;
        let waited = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(index, next));
            std::thread::sleep(Duration::from_millis(300));
            assert!(!waiting.is_finished(), "it waits for the next forward");
            sim.call("sim-advance", json!([7200]));
            waiting.join().unwrap()
        });
        assert_eq!(waited[index], next);
        alike([&recorded(&format!("wait/forwards_{index}_next_live.json"))], [&waited]);
    }
}

#[test]
fn plugins_are_started_and_stopped_as_recorded() {
    let sim = Sim::start(&[]);
    let spy = sim.script("spyall.sh", SPY);
    // In the recordings the plugin was another file.
    let named = |file: &str, name: &str| {
        let text = recorded(&format!("plugin/{file}.json")).to_string();
        let text = text.replace("/srv/regtest/plugins/", &format!("{}/", spy.parent().unwrap().display()));
        json!({"error": serde_json::from_str::<Value>(&text.replace(name, "spyall.sh")).unwrap()})
    };
    let start = |options: Value| {
        let mut params = json!({"subcommand": "start", "plugin": spy});
        params.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        sim.call("plugin", params)
    };
    assert_eq!(start(json!({"nosuchopt": 1})), named("start_unknown_option", "spyall.py"));
    assert_eq!(start(json!({"spyall-int": "abc"})), named("start_bad_int", "spyall.py"));
    let _ = std::fs::remove_file(spy.with_extension("sh.heard"));
    alike([&recorded("plugin/start_with_opts_k.json")], [&start(json!({}))]);
    assert_eq!(start(json!({})), named("start_again_same", "spyall.py"));
    alike([&recorded("plugin/list.json")], [&sim.call("plugin", json!(["list"]))]);
    for (name, file) in [("nosuch", "stop_unknown"), ("spyall", "stop_by_name_no_ext")] {
        let theirs = json!({"error": recorded(&format!("plugin/{file}.json"))});
        assert_eq!(sim.call("plugin", json!(["stop", name])), theirs, "{file}");
    }
    let missing = sim.call("plugin", json!(["start", "/no/such/file"]));
    assert_eq!(missing["error"], recorded("plugin/start_nonexistent.json"));

    // What the plugin was told when it started.
    alike([&recorded("plugin-protocol/req_getmanifest.json")], &sim.heard("getmanifest"));
    let init = &sim.heard("init")[0];
    let theirs = recorded("plugin-protocol/req_init_spyall_dynamic_4opts.json");
    assert_eq!(init["params"]["options"], theirs["params"]["options"]);
    alike([&theirs], [init]);

    assert_eq!(sim.call("spyall-err", json!([]))["error"], recorded("plugin/rpc_err.json"));
    let stopped = sim.call("plugin", json!(["stop", "spyall.sh"]));
    assert_eq!(stopped, json!({"command": "stop", "result": "Successfully stopped spyall.sh."}));
    alike([&recorded("plugin-protocol/note_shutdown.json")], &sim.heard("shutdown"));

    let options = json!({"spyall-str": "cli", "spyall-int": 9, "spyall-bool": true, "spyall-flag": true});
    start(options);
    let theirs = recorded("plugin-protocol/req_init_spyall_dynamic_5opts.json");
    assert_eq!(sim.heard("init").last().unwrap()["params"], {
        let mut params = theirs["params"].clone();
        params["configuration"]["lightning-dir"] = init["params"]["configuration"]["lightning-dir"].clone();
        params
    });
    assert_eq!(sim.call("spyall-crash", json!([]))["error"], recorded("plugin/call_crash.json"));
    let text = "Unknown command 'spyall-crash'";
    assert_eq!(sim.call("spyall-crash", json!([]))["error"], json!({"code": -32601, "message": text}));
}

#[test]
fn plugins_that_do_not_come_up_are_refused_as_recorded() {
    let sim = Sim::start(&[]);
    let manifest = |more: &str, init: &str| {
        format!(
            "#!/bin/sh\nwhile read -r line; do\n case \"$line\" in\n \
             *getmanifest*) r='{{\"options\":[],\"rpcmethods\":[],\"subscriptions\":[],\"hooks\":[],{more}}}' ;;\n \
             *init*) r='{init}' ;;\n *) continue ;;\n esac\n \
             id=$(printf '%s' \"$line\" | sed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p')\n \
             printf '{{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"result\":%s}}\\n\\n' \"$id\" \"$r\"\ndone\n"
        )
    };
    let clash = r#""options":[{"name":"fee-base","type":"int","description":""}],"dynamic":true"#;
    for (file, name, text) in [
        ("start_static", "spystatic.py", manifest("\"dynamic\":false", "{}")),
        ("start_disable", "spydisable.py", manifest("\"dynamic\":true", "{\"disable\":\"spy says no\"}")),
        ("start_clash_opt", "spyoptclash.py", manifest(clash, "{}")),
        ("start_garbage", "spygarbage.sh", "#!/bin/sh\necho this is no json\n".to_owned()),
    ] {
        let path = sim.script(name, &text);
        let theirs = recorded(&format!("plugin/{file}.json"));
        let message = theirs["message"]
            .as_str()
            .unwrap()
            .replace("/srv/regtest/plugins", path.parent().unwrap().to_str().unwrap());
        let ours = sim.call("plugin", json!(["start", path]));
        assert_eq!(ours["error"], json!({"code": theirs["code"], "message": message}), "{file}");
    }
    assert_eq!(sim.call("plugin", json!(["list"]))["plugins"], json!([]));
}

#[test]
fn a_plugin_that_disables_itself_at_the_start_does_not_end_the_node() {
    let plugin = env!("CARGO_BIN_EXE_cl-revenue-ops");
    let mut sim = Sim::start(&["--plugin", plugin, "--option", "revenue-ops-min-fee-ppm=abc"]);
    let log = || std::fs::read_to_string(sim.dir.path().join("log")).unwrap();
    sim.until(0, || log().contains("disabled itself at init").then_some(()));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sim.call("plugin", json!(["list"]))["plugins"], json!([]));
    assert!(sim.process.try_wait().unwrap().is_none());
}

#[test]
fn options_are_changed_and_kept_as_recorded() {
    let sim = Sim::start(&[]);
    let spy = sim.script("spyall.sh", SPY);
    sim.call("plugin", json!(["start", spy]));
    let set = |params: Value| sim.call("setconfig", params);
    for (params, file) in [
        (json!(["spyall-str", "newval"]), "setconfig_ok"),
        (json!(["spyall-int", 77]), "setconfig_int_ok"),
        (json!(["spyall-bool", true]), "setconfig_bool_ok"),
        (json!({"config": "spyall-noval", "val": "tval", "transient": true}), "setconfig_transient"),
    ] {
        alike([&recorded(&format!("plugin/{file}.json"))], [&set(params)]);
    }
    for (params, file) in [
        (json!(["spyall-str", "bad"]), "setconfig_refused"),
        (json!(["spyall-fixed", "x"]), "setconfig_notdynamic"),
        (json!(["nosuch", "x"]), "setconfig_unknown"),
    ] {
        assert_eq!(set(params)["error"], recorded(&format!("plugin/{file}.json")), "{file}");
    }
    let told = sim.heard("setconfig");
    alike([&recorded("plugin-protocol/req_setconfig_spy-int_77.json")], &told);
    assert!(told.iter().any(|request| request["params"]["val"] == "77"), "numbers are told as text");
    let kept = std::fs::read_to_string(sim.dir.path().join("regtest/config.setconfig")).unwrap();
    assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), ["spyall-str=newval", "spyall-int=77", "spyall-bool=true"]);
    for (name, file) in [("spyall-str", "listconfigs_spy_str"), ("spyall-flag", "listconfigs_spy_flag")] {
        let theirs = recorded(&format!("plugin/{file}.json"));
        let ours = sim.call("listconfigs", json!([name]));
        let first = |value: &Value| value["configs"].as_object().unwrap().values().next().unwrap().clone();
        alike([&first(&theirs)], [&first(&ours)]);
    }
    assert_eq!(sim.call("listconfigs", json!(["nosuch"]))["error"], recorded("plugin/listconfigs_unknown.json"));

    // The next start of the plugin has what was set.
    sim.call("plugin", json!(["stop", "spyall.sh"]));
    sim.call("plugin", json!(["start", spy]));
    let options = sim.heard("init").last().unwrap()["params"]["options"].clone();
    let expected = json!({"spyall-str": "newval", "spyall-int": 77, "spyall-bool": true, "spyall-noval": "tval", "spyall-fixed": "fixed"});
    assert_eq!(options, expected);
}

#[test]
fn an_accepted_number_that_is_none_ends_the_node_as_it_ends_lightningd() {
    let mut sim = Sim::start(&[]);
    let spy = sim.script("spyall.sh", SPY);
    sim.call("plugin", json!(["start", spy]));
    sim.call("setconfig", json!(["spyall-int", "notanint"]));
    let began = Instant::now();
    while sim.process.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = std::fs::read_to_string(sim.dir.path().join("log")).unwrap();
    assert!(log.contains("Bad literal for --spyall-int: notanint"), "{log}");
}

#[test]
fn plugins_are_notified_as_recorded() {
    let sim = Sim::start(&["--fee-ppm=30"]);
    let spy = sim.script("spyall.sh", SPY);
    sim.call("plugin", json!(["start", spy]));
    alike([&recorded("plugin-protocol/note_plugin_started_spyall.json")], &sim.heard("plugin_started"));
    let event = |status: &'static str| move |m: &Value| m["params"]["forward_event"]["status"] == status;
    sim.call("sim-advance", json!([6 * 3600]));
    for status in ["offered", "settled", "failed"] {
        let theirs = recorded(&format!("notes/note_forward_event_{status}.json"));
        alike([&theirs], &sim.heard_of("forward_event", event(status)));
    }
    // Payers go by the old price for hours after it is refused.
    sim.call("setchannel", json!({"id": "all", "feebase": 0, "feeppm": 90, "enforcedelay": 0}));
    sim.call("sim-advance", json!([3600]));
    let theirs = recorded("notes/note_forward_event_local_failed_4108.json");
    alike([&theirs], &sim.heard_of("forward_event", event("local_failed")));
    let peer = sim.channel(0)["peer_id"].clone();
    sim.call("disconnect", json!([peer]));
    sim.call("connect", json!([peer]));
    alike([&recorded("notes/note_disconnect.json")], &sim.heard("disconnect"));
    alike([&recorded("notes/note_connect_out.json")], &sim.heard("connect"));
    sim.call("sim-splice", json!([sim.channel(1)["short_channel_id"]]));
    let name = "note_channel_state_changed_CHANNELD_NORMAL_to_CHANNELD_AWAITING_SPLICE_user";
    alike([&recorded(&format!("notes/{name}.json"))], &sim.heard("channel_state_changed"));
}

#[test]
fn things_go_wrong_on_demand() {
    let sim = Sim::start(&[]);
    sim.call("sim-fault", json!({"method": "getinfo", "kind": "error", "for": 2}));
    assert_eq!(sim.call("getinfo", json!([]))["error"]["message"], "simulated fault");
    assert_eq!(sim.call("getinfo", json!([]))["error"]["code"], -1);
    assert_eq!(sim.call("getinfo", json!([]))["network"], "regtest");
    sim.call("sim-fault", json!({"method": "feerates", "kind": "slow", "seconds": 1}));
    let began = Instant::now();
    sim.call("feerates", json!(["perkb"]));
    assert!(began.elapsed() >= Duration::from_secs(1));
}
