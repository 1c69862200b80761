//! The plugin's first words with lightningd, spoken with the real program: manifest, `init`, and the end.
#![expect(clippy::unwrap_used, reason = "a plugin that does not speak fails the test")]

mod speaker;

use std::time::Instant;

use cl_revenue_ops::{options, rpc};
use serde_json::{Value, json};

use speaker::Plugin;

fn sorted(list: &Value, field: Option<&str>) -> Vec<String> {
    let text = |item: &Value| field.map_or(item, |field| &item[field]).as_str().unwrap().to_owned();
    let mut texts: Vec<_> = list.as_array().unwrap().iter().map(text).collect();
    texts.sort();
    texts
}

#[test]
fn the_manifest_has_every_option_and_command_and_no_hooks() {
    let manifest = Plugin::start().call("getmanifest", json!({}))["result"].clone();
    let mut expected: Vec<_> =
        options::TABLE.iter().filter(|spec| spec.in_manifest()).map(|s| s.option_name()).collect();
    expected.sort();
    assert_eq!(sorted(&manifest["options"], Some("name")), expected);
    for option in manifest["options"].as_array().unwrap() {
        let spec = options::find(option["name"].as_str().unwrap()).unwrap();
        assert_eq!((&option["type"], &option["default"]), (&json!("string"), &json!(spec.default)), "{}", spec.key);
        assert_eq!(option["dynamic"].as_bool(), Some(spec.is_dynamic()), "{}", spec.key);
    }
    let mut commands: Vec<_> = rpc::COMMANDS.iter().map(|command| command.name.to_owned()).collect();
    commands.sort();
    assert_eq!(sorted(&manifest["rpcmethods"], Some("name")), commands);
    let topics = ["channel_opened", "channel_state_changed", "connect", "disconnect", "forward_event", "shutdown"];
    assert_eq!(sorted(&manifest["subscriptions"], None), topics);
    assert_eq!((&manifest["hooks"], &manifest["dynamic"]), (&json!([]), &json!(true)));
}

#[test]
fn a_bad_option_disables_the_plugin_in_one_sentence() {
    let name = "option 'revenue-ops-";
    for (key, value, parts) in [
        ("min_fee_ppm", "abc", [name, "min-fee-ppm': 'abc' is not allowed; give a whole number from 0 to 100000"]),
        ("fee_interval", "0", [name, "fee-interval': '0' is not allowed; give a whole number from 60 to 86400"]),
        ("dry_run", "perhaps", [name, "dry-run': 'perhaps' is not allowed; give true or false"]),
        ("min_fee_ppm", "6000", ["'revenue-ops-min-fee-ppm' (6000)", "'revenue-ops-max-fee-ppm' (5000) contradict"]),
        ("db_path", "~nobody/r.db", [name, "db-path': the home directory in '~nobody/r.db' is not known"]),
        ("db_path", "/tmp", ["'/tmp' cannot be opened: Is a directory", "'revenue-ops-db-path'"]),
        ("db_path", "/proc/nope/x.db", ["its folder '/proc/nope' cannot be made", "'revenue-ops-db-path'"]),
        ("db_path", "/dev/null/x.db", ["'/dev/null/x.db' cannot be opened", "'revenue-ops-db-path'"]),
    ] {
        let mut plugin = Plugin::start();
        let reason = plugin.init(&[(key, value)])["result"]["disable"].clone();
        let text = reason.as_str().unwrap_or_else(|| panic!("{key}={value} is accepted"));
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains('\n'), "{text}");
        let said = |line: &Value| line["params"]["message"].as_str().is_some_and(|said| said.contains(text));
        assert!(plugin.log.iter().any(said), "the log does not say why: {:?}", plugin.log);
        plugin.ends();
    }
}

#[test]
fn a_file_that_is_not_our_ledger_is_refused_at_the_door_and_left_alone() {
    let sqlite = |application: u32, pages: u8| {
        let mut file = vec![0; 4096];
        file[..16].copy_from_slice(b"SQLite format 3\0");
        file[31] = pages;
        file[68..72].copy_from_slice(&application.to_be_bytes());
        file
    };
    let diary = b"dear diary, ".repeat(100);
    for (content, reason) in [
        (diary.clone(), "is not a SQLite file"),
        (sqlite(0, 2), "is a SQLite file of another program"),
        (sqlite(0x1234_5678, 1), "is a SQLite file of another program"),
    ] {
        let mut plugin = Plugin::start();
        let path = plugin.home.path().join("somebody.db");
        std::fs::write(&path, &content).unwrap();
        let answer = plugin.init(&[("db_path", path.to_str().unwrap())])["result"]["disable"].clone();
        let text = answer.as_str().unwrap_or_else(|| panic!("accepted, though it {reason}"));
        assert!(text.contains(reason) && text.contains("revenue-ops-db-path"), "{text}");
        plugin.ends();
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn any_spelling_of_a_value_is_accepted() {
    for given in [("dry_run", "YES"), ("min_fee_ppm", " 25 "), ("scarcity_threshold", ".5"), ("vegas_reflex", "0")] {
        assert_eq!(Plugin::start().init(&[given])["result"], json!({}), "{given:?}");
    }
}

#[test]
fn time_is_not_scaled_where_money_is_at_stake() {
    let scaled = || Plugin::start_with(&[("CL_REVENUE_OPS_TIME_SCALE", "60")]);
    let reason = scaled().init_on("bitcoin", &[])["result"]["disable"].clone();
    assert!(reason.as_str().unwrap().contains("CL_REVENUE_OPS_TIME_SCALE"), "{reason}");
    assert_eq!(scaled().init_on("regtest", &[])["result"], json!({}));
}

#[test]
fn init_is_answered_at_once_though_there_is_no_node() {
    let one = || {
        let mut plugin = Plugin::start();
        plugin.call("getmanifest", json!({}));
        let start = Instant::now();
        let configuration = json!({
            "lightning-dir": "/nonexistent", "rpc-file": "lightning-rpc", "startup": true, "network": "regtest",
            "feature_set": {},
        });
        assert_eq!(plugin.call("init", json!({ "options": {}, "configuration": configuration }))["result"], json!({}));
        start.elapsed().as_millis()
    };
    // The best of three: the machine may be busy with other tests.
    let best = (0..3).map(|_| one()).min().unwrap();
    assert!(best < 100, "{best} ms");
}

#[test]
fn without_a_node_it_goes_on_trying_and_says_so() {
    let mut plugin = Plugin::start();
    assert_eq!(plugin.init(&[])["result"], json!({}));
    let status = plugin.call("revenue-status", json!([]))["result"].clone();
    assert_eq!(status["status"], "starting");
    assert_eq!(status["config"]["fee_range_ppm"], json!([10, 5000]));
    let error = plugin.call("revenue-wake-all", json!([]))["error"].clone();
    assert_eq!(error["code"], 4001, "{error}");
    assert!(error["message"].as_str().unwrap().starts_with("still starting: "), "{error}");
    let error = plugin.call("revenue-set-fee", json!(["1x1x1", 5, "loud=1"]))["error"].clone();
    assert_eq!((&error["code"], error["message"].as_str().unwrap().contains("loud")), (&json!(-32602), true));
    let error = plugin.call("setconfig", json!({ "config": "revenue-ops-min-fee-ppm", "val": "abc" }))["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");
    let warnings = plugin.log.iter().filter(|line| line["params"]["level"] == "warn").count();
    assert!(warnings >= 1, "{:?}", plugin.log);
    assert!(plugin.child.try_wait().unwrap().is_none());
}

#[test]
fn it_ends_soon_after_a_shutdown_or_when_lightningd_is_gone() {
    let mut told = Plugin::start();
    told.init(&[]);
    told.send(&json!({ "jsonrpc": "2.0", "method": "shutdown", "params": { "shutdown": {} } }));
    assert!(told.ends() < 2000);

    let mut left = Plugin::start();
    left.init(&[]);
    left.stdin = None;
    assert!(left.ends() < 2000);

    let mut asked_for_the_manifest_only = Plugin::start();
    asked_for_the_manifest_only.call("getmanifest", json!({}));
    asked_for_the_manifest_only.stdin = None;
    assert!(asked_for_the_manifest_only.ends() < 2000);
}
