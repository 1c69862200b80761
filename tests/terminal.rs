//! The program as a person at a terminal has it.
#![expect(clippy::unwrap_used, reason = "a program that cannot be started is no test")]

use std::process::{Command, Stdio};

#[test]
fn a_reader_who_has_left_is_no_failure() {
    let day = ["demo", "--days", "1", "--channels", "2"];
    let run = ["simulate", "run", "--scenario", "S1", "--seeds", "1", "--days", "7", "--policy", "ours", "--json", "-"];
    for order in [&["simulate", "list"][..], &day, &run] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_cl-revenue-ops"));
        program.args(order).env_remove("LIGHTNINGD_PLUGIN").stdout(writer).stderr(Stdio::piped());
        let ended = program.spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !said.contains("panicked"), "{order:?}: {said}");
    }
}

#[test]
fn a_knob_that_is_none_is_told_by_its_rule() {
    let said = |order: &[&str]| {
        let (fine, _, why) = program(order);
        assert!(!fine, "{order:?}");
        why
    };
    for value in ["abc", "nan", "-5"] {
        let why =
            said(&["simulate", "run", "--scenario", "S1", "--seeds", "1", "--policy", &format!("static:{value}")]);
        assert!(
            why.contains(&format!("the knob of 'static' is a number from 0 on, as in 'static:300', not '{value}'")),
            "{why}"
        );
    }
    let why = said(&["simulate", "run", "--scenario", "S1", "--seeds", "1", "--policy", "core-lightning:5"]);
    assert!(why.contains("'core-lightning' has no knob to set; write it without ':5'"), "{why}");
    let why = said(&["simulate", "run", "--tape", "/missing.tape", "--policy", "ours,insider"]);
    assert!(why.contains("'insider'") && why.contains("--scenario"), "{why}");
    let why = said(&["simulate", "tune", "--policy", "static", "--knob", "100,abc"]);
    assert!(why.contains("--knob") && why.contains("not 'abc'"), "{why}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_work() {
    let missing = "/missing/out";
    let years: &[&str] = &["simulate", "run", "--scenario", "all", "--seeds", "1000", "--json", missing];
    let swept: &[&str] = &["simulate", "sweep", "--seeds", "1000", "--option", "hive-fee-ppm=1", "--json", missing];
    let drawn: &[&str] = &["simulate", "run", "--scenario", "all", "--seeds", "1000", "--plot", missing];
    let tape: &[&str] = &["simulate", "tape", "--graph", "/missing/graph", "--out", missing];
    for order in [years, swept, drawn, tape] {
        let (fine, said, why) = program(order);
        assert!(
            !fine && said.is_empty() && why.starts_with("cl-revenue-ops: writing /missing/out: "),
            "{order:?}: {why}"
        );
    }
}

fn program(order: &[&str]) -> (bool, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cl-revenue-ops"));
    let ended = program.args(order).env_remove("LIGHTNINGD_PLUGIN").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.success(), text(&ended.stdout), text(&ended.stderr))
}

#[test]
fn rules_are_made_checked_and_tried_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (rules, wrong, node) = (path("rules.conf"), path("wrong.conf"), path("node.json"));
    assert!(program(&["policy", "generate-config", &rules]).0);
    let (again, _, why) = program(&["policy", "generate-config", &rules]);
    assert!(!again && why.contains("File exists"), "{why}");
    let (fine, said, _) = program(&["policy", "check", &rules]);
    assert!(fine && said.ends_with("5 sections, 0 errors, 0 warnings: can be applied\n"), "{said}");

    std::fs::write(&wrong, "[a]\nstrategy = static\nfee_pmm = 5\n").unwrap();
    let (fine, said, _) = program(&["policy", "check", &wrong]);
    assert!(!fine && said.contains("wrong.conf:3: error: [a] fee_pmm is no key; did you mean 'fee_ppm'?"), "{said}");

    let goldens = include_str!("data/policy/policy-goldens.json");
    let goldens: serde_json::Value = serde_json::from_str(goldens).unwrap();
    std::fs::write(&node, goldens["fixture"].to_string()).unwrap();
    let (fine, said, why) = program(&["policy", "test-channel", &rules, "840001x2x0", "--snapshot", &node]);
    assert!(fine && said.contains("[new] line 22: no, chan.max_age_days = 14, and here it is 69."), "{said}{why}");
    assert!(said.contains("[drained] line 28: matches and decides"), "{said}");
    assert!(said.contains("100 ➜ 1500"), "{said}");
    let (_, said, _) = program(&["policy", "test-channel", &rules, "840001x2x0", "--snapshot", &node, "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["section"], &told["update"]["terms"]["ppm"]), (&"drained".into(), &1500.into()));
    for name in ["923590866843598848", "840001:2:0"] {
        let (fine, again, why) = program(&["policy", "test-channel", &rules, name, "--snapshot", &node, "--json"]);
        assert!(fine && again == said, "{again}{why}");
    }
    std::fs::write(&wrong, "# nothing yet\n").unwrap();
    let (fine, said, _) = program(&["policy", "check", &wrong]);
    assert!(!fine && said.contains("wrong.conf: error: has no section yet"), "{said}");
    let (fine, _, why) = program(&["policy", "test-channel", &rules, "1x2x3", "--snapshot", &node]);
    assert!(!fine && why.contains("the snapshot has no channel 1x2x3"), "{why}");
}
