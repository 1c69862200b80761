//! What a careful reader says of a rule file.

use super::*;
use crate::policy::{Capabilities, MATCHERS, PARAMETERS, STRATEGIES, has_errors};

fn one(text: &str, expected: &str) {
    assert_eq!(findings(text), [expected], "{text}");
}

#[test]
fn unknown_words_have_neighbours() {
    one("[a]\nstrategy = static\nfee_pmm = 5", "r:3: error: [a] fee_pmm is no key; did you mean 'fee_ppm'?");
    one(
        "[a]\nchan.min_capcity = 5\nstrategy = ignore",
        "r:2: error: [a] chan.min_capcity is no key by which channels are chosen; did you mean 'chan.min_capacity'?",
    );
    one(
        "[a]\nstrategy = proportinal",
        "r:2: error: [a] strategy is 'proportinal', which is no strategy; did you mean 'proportional'?",
    );
    one(
        "[a]\nactivity.level = hihg\nstrategy = ignore",
        "r:2: error: [a] activity.level has 'hihg', which is none of inactive, low, medium, high; did you mean 'high'?",
    );
}

#[test]
fn bad_values_are_errors_where_they_stand() {
    one("[a]\nstrategy = static\nfee_ppm = 5.0", "r:3: error: [a] fee_ppm '5.0' is not a whole number");
    one("[a]\nstrategy = static\nfee_ppm = -5", "r:3: error: [a] fee_ppm is -5; the least is 0");
    one(
        "[a]\nchan.private = perhaps\nstrategy = ignore",
        "r:2: error: [a] chan.private 'perhaps' is neither yes nor no (true, yes, on, 1; false, no, off, 0)",
    );
    one("[a]\nstrategy = static\nfee_ppm = ${b}", "r:3: error: [a] fee_ppm refers to ${b}, which is not there");
}

#[test]
fn a_strategy_that_lacks_what_it_needs_is_an_error_of_the_file() {
    let proportional = "strategy = proportional\nmin_fee_ppm = 5\n";
    let lacks = |line: u32, section: &str| {
        format!(
            "r:{line}: error: [{section}] strategy is 'proportional', which needs max_fee_ppm: give it in this section, or in one before \
             it that has no strategy"
        )
    };
    one(&format!("[a]\n{proportional}"), &lacks(2, "a"));
    one(
        "[default]\nstrategy = use_config",
        "r:2: error: [default] strategy is 'use_config', which needs config_file: give it in this section, or in one before it that \
         has no strategy",
    );
    // What a section behind gives, or one that decides, comes too late.
    let behind = format!("[a]\nchan.private = no\n{proportional}[b]\nmax_fee_ppm = 50\n[c]\nstrategy = ignore");
    assert_eq!(findings(&behind), [lacks(3, "a")]);
    let decides = format!("[a]\nchan.private = no\nstrategy = static\nmax_fee_ppm = 50\n[b]\n{proportional}");
    assert_eq!(findings(&decides), [lacks(6, "b")]);
    // A strategy that all inherit is missed in the section that lacks the key.
    let inherited = "[DEFAULT]\nstrategy = proportional\nmin_fee_ppm = 5\n[a]\nchan.private = no\nmax_fee_ppm = 9\n[b]";
    assert_eq!(findings(inherited), [lacks(7, "b")]);
    for fine in [
        format!("[a]\nmax_fee_ppm = 50\n[b]\n{proportional}"),
        format!("[a]\nchan.private = no\nmax_fee_ppm = 50\n[b]\n{proportional}"),
        format!("[default]\n{proportional}[a]\nmax_fee_ppm = 50"),
        format!("[DEFAULT]\nmax_fee_ppm = 50\n[b]\n{proportional}"),
        format!("[a]\nfinal = no\n{proportional}[b]\nmax_fee_ppm = 50"),
        format!("[a]\nenabled = no\n{proportional}"),
    ] {
        assert_eq!(findings(&fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn what_nobody_means_is_told() {
    for (key, value) in [("fee_ppm", "2_000_000"), ("min_fee_ppm", "4294967295"), ("max_fee_ppm", "100_001")] {
        let number = value.replace('_', "");
        one(
            &format!("[a]\nstrategy = dynamic\n{key} = {value}"),
            &format!(
                "r:3: warning: [a] {key} is {number}: more than 100000 ppm, a tenth of what is forwarded, nobody pays"
            ),
        );
    }
    one(
        "[a]\nstrategy = static\nbase_fee_msat = 2_000_000",
        "r:3: warning: [a] base_fee_msat is 2000000: more than 1000000 msat, 1000 sat for each payment, nobody pays",
    );
    let of_share = |line: &str| findings(&format!("[a]\n{line}\nstrategy = ignore"));
    let odd = |key: &str, value: &str, what: &str| {
        vec![format!("r:2: warning: [a] {key} is {value}, and a share lies between 0 and 1: {what}")]
    };
    assert_eq!(
        of_share("chan.max_ratio = 20"),
        odd("chan.max_ratio", "20", "it holds for every channel; 20 % are written 0.2")
    );
    assert_eq!(
        of_share("node.min_shared_ratio = 1.5"),
        odd("node.min_shared_ratio", "1.5", "the section never matches; 1.5 % are written 0.015")
    );
    assert_eq!(of_share("chan.max_ratio = -1"), odd("chan.max_ratio", "-1", "the section never matches"));
    assert_eq!(of_share("peer.fee_ratio.max = 20"), Vec::<String>::new(), "multiples are no shares");
    for key in ["chan.min_ratio", "onchain.max_fee_rate"] {
        let text = format!("[a]\n{key} = nan\nstrategy = ignore");
        one(&text, &format!("r:2: error: [a] {key} is 'nan', which is no number: the section never matches"));
        let (_, found) = RuleFile::parse(&text, "r", Reading::ChargeLnd, &nowhere);
        assert!(found.len() == 1 && !has_errors(&found), "{found:?}");
    }
}

#[test]
fn a_text_without_a_section_is_no_rule_file_yet() {
    for text in ["", "# nothing yet\n", "[DEFAULT]\nfee_ppm = 5\n"] {
        assert_eq!(findings(text), ["r: error: has no section yet"], "{text}");
        let (_, found) = RuleFile::parse(text, "r", Reading::ChargeLnd, &nowhere);
        assert!(found.len() == 1 && !has_errors(&found), "charge-lnd leaves every channel alone: {found:?}");
        let told = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(told["line"], serde_json::Value::Null, "{told}");
    }
    // Whoever switches every section off means it.
    fine("[a]\nenabled = no\nstrategy = ignore");
    // A file that another names may have nothing to say.
    let inner = |_: &str| Ok("# nothing\n".to_owned());
    let outer = "[a]\nstrategy = use_config\nconfig_file = inner.conf";
    assert_eq!(RuleFile::parse(outer, "r", Reading::Ours, &inner).1, []);
}

fn fine(text: &str) {
    assert_eq!(findings(text), Vec::<String>::new(), "{text}");
}

#[test]
fn what_charge_lnd_takes_is_told_to_its_letter_and_not_refused() {
    let as_charge_lnd = |line: &str| {
        let text = format!("[a]\nstrategy = static\n{line}");
        said(&RuleFile::parse(&text, "r", Reading::ChargeLnd, &nowhere).1)
    };
    for (line, what) in [
        ("fee_ppm = -5", "warning: [a] fee_ppm is -5; the least is 0"),
        ("max_htlc_msat_ratio = 1.5", "warning: [a] max_htlc_msat_ratio is 1.5; it must be between 0 and 1"),
        ("fee_ppm = 5.0", "error: [a] fee_ppm '5.0' is not a whole number"),
    ] {
        assert_eq!(as_charge_lnd(line), [format!("r:3: {what}")]);
        let ours = findings(&format!("[a]\nstrategy = static\n{line}"));
        assert_eq!(ours, [format!("r:3: {what}").replace("warning", "error")]);
    }
    let of = |strategy: &str, line: &str| {
        let text = format!("[a]\nstrategy = {strategy}\nmin_fee_ppm = 1\nmax_fee_ppm = 2\n{line}");
        let found = RuleFile::parse(&text, "r", Reading::ChargeLnd, &nowhere).1;
        said(&found).into_iter().find(|what| what.starts_with("r:5"))
    };
    let any_word = "r:5: warning: [a] sum_peer_chans is 'false', and charge-lnd takes any word for yes";
    assert_eq!(of("proportional", "sum_peer_chans = false").as_deref(), Some(any_word));
    assert_eq!(of("proportional", "sum_peer_chans = yes"), None);
    let divided = of("onchain_fee", "onchain_fee_btc = 0").unwrap();
    assert!(divided.contains("error"), "charge-lnd stumbles over it: {divided}");
}

#[test]
fn an_indented_key_is_a_part_of_the_value_above_and_that_is_told() {
    let text = "[a]\nstrategy = static\n   fee_ppm = 100\n   Chan.Private: no";
    assert_eq!(
        findings(text),
        [
            "r:2: error: [a] strategy is 'static fee_ppm = 100 Chan.Private: no', which is no strategy; did you mean 'static'?",
            "r:2: warning: [a] strategy goes on in the indented line 'Chan.Private: no', which is no key of its own: begin it where \
             'strategy' begins",
            "r:2: warning: [a] strategy goes on in the indented line 'fee_ppm = 100', which is no key of its own: begin it where \
             'strategy' begins",
        ]
    );
    let list =
        format!("[a]\nchan.id = file://none,\n  1x2x3\nnode.id = {},\n  {}\nstrategy = ignore", peer(1), peer(2));
    assert!(findings(&list).iter().all(|what| !what.contains("indented")), "a list may go on");
    one("[a]\nfee_ppm = 5\n  6", "r:2: error: [a] fee_ppm '5 6' is not a whole number");
}

#[test]
fn capital_letters_are_no_other_word() {
    one("[a]\nstrategy = STATIC", "r:2: error: [a] strategy is 'STATIC', which is no strategy; did you mean 'static'?");
}

#[test]
fn commas_are_counted() {
    let (a, b) = (peer(1), peer(2));
    one(
        &format!("[a]\nnode.id = {a}\n  {b}\nstrategy = ignore"),
        &format!("r:2: warning: [a] node.id has '{a} {b}', which matches no node: a comma is missing"),
    );
    one(
        &format!("[a]\nnode.id = {a},\nstrategy = ignore"),
        "r:2: warning: [a] node.id has a comma with nothing behind it",
    );
    one(
        "[a]\nchan.id = 1x2x3 4x5x6\nstrategy = ignore",
        "r:2: error: [a] chan.id has '1x2x3 4x5x6': is a comma missing?",
    );
}

#[test]
fn what_has_no_effect_is_named() {
    one("[a]\nstrategy = ignore\nfee_ppm = 5", "r:3: warning: [a] fee_ppm has no effect with the strategy 'ignore'");
    one(
        "[a]\nchan.max_htlcs_out = 0\nstrategy = ignore",
        "r:2: warning: [a] chan.max_htlcs_out has no effect without chan.activity_period",
    );
    one(
        "[default]\nchan.min_age = 5\nstrategy = ignore",
        "r:2: warning: [default] chan.min_age has no effect: [default] is for every channel that no other section decides",
    );
    one(
        "[a]\nstrategy = ignore\n[b]\nchan.private = no\nstrategy = ignore",
        "r:3: warning: [b] is never reached: [a] in line 1 takes every channel",
    );
    one(
        "[a]\nchan.private = no",
        "r:1: warning: [a] has neither a strategy nor defaults for the sections behind it: it has no effect",
    );
}

#[test]
fn bounds_that_contradict_each_other_are_errors() {
    let neither = |line: u32, (least, low, at): (&str, i64, u32), (most, high, there): (&str, i64, u32)| {
        format!(
            "r:{line}: error: [a] {least} is {low} in line {at}, and {most} is {high} in line {there}: nothing lies between them"
        )
    };
    for (least, most) in [
        ("min_fee_ppm", "max_fee_ppm"),
        ("min_inbound_fee_ppm", "max_inbound_fee_ppm"),
        ("min_htlc_msat", "max_htlc_msat"),
    ] {
        let text = format!("[a]\n{most} = 10\n{least} = 50\nstrategy = static\nfee_ppm = 20");
        assert_eq!(findings(&text), [neither(3, (least, 50, 3), (most, 10, 2))]);
        let text = format!("[all]\n{least} = 50\n[a]\nstrategy = dynamic\n{most} = 10");
        assert_eq!(findings(&text), [neither(5, (least, 50, 2), (most, 10, 5))]);
        let equal = format!("[a]\n{most} = 10\n{least} = 10\nstrategy = static\nfee_ppm = 20");
        assert_eq!(findings(&equal), Vec::<String>::new());
        let as_charge_lnd = "[a]\nstrategy = static\nmin_htlc_msat = 50\nmax_htlc_msat = 10";
        let (_, found) = RuleFile::parse(as_charge_lnd, "r", Reading::ChargeLnd, &nowhere);
        assert!(found.len() == 1 && !has_errors(&found), "{found:?}");
    }
    for fine in [
        // A slope may fall.
        "[a]\nstrategy = proportional\nmin_fee_ppm = 900\nmax_fee_ppm = 100",
        // Another section's slope binds no fixed fee.
        "[all]\nmin_fee_ppm = 900\n[a]\nstrategy = static\nfee_ppm = 5\nmax_fee_ppm = 100",
        // Perhaps the first section gives nothing to the channels that come to the second.
        "[some]\nchan.private = no\nmin_fee_ppm = 900\n[a]\nstrategy = dynamic\nmax_fee_ppm = 100",
        // What stands nearer masks it.
        "[all]\nmin_htlc_msat = 900\n[again]\nmin_htlc_msat = 5\n[a]\nstrategy = dynamic\nmax_htlc_msat = 100",
    ] {
        assert_eq!(findings(fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn criteria_that_contradict_each_other_are_errors() {
    let text = "[a]\nchan.min_ratio = 0.9\nchan.max_ratio = 0.1\nstrategy = ignore";
    one(text, "r:2: error: [a] chan.min_ratio is 0.9, and chan.max_ratio in line 3 is 0.1: the section never matches");
    let (_, found) = RuleFile::parse(text, "r", Reading::ChargeLnd, &nowhere);
    assert!(found.len() == 1 && !has_errors(&found), "{found:?}");
}

#[test]
fn a_comment_behind_a_value_is_told_and_left_out() {
    let text = "[a]\nstrategy = static\nfee_ppm = 7 # cheap";
    one(
        text,
        "r:3: warning: [a] fee_ppm has a comment behind its value: it is left out here, but charge-lnd takes it for a part of the value",
    );
    assert_eq!(wanted(text, &quiet()).ppm, Some(7));
}

#[test]
fn what_a_node_cannot_do_is_told_for_it_alone() {
    let text = "[a]\nchan.private = no\nstrategy = disable\n[b]\nstrategy = static\ninbound_fee_ppm = -5\ntime_lock_delta = 40";
    let rules = rules(text);
    assert_eq!(rules.unsupported(Capabilities::CORE_LIGHTNING).len(), 3);
    assert_eq!(rules.unsupported(Capabilities::LND), []);
}

#[test]
fn a_file_with_errors_is_not_loaded() {
    let findings = RuleFile::load("[a]\nstrategy = static\nfee_ppm = x", "r", &nowhere).unwrap_err();
    assert!(has_errors(&findings));
    assert!(RuleFile::load("[a]\n[a]", "r", &nowhere).is_err());
}

#[test]
fn every_word_has_an_example_that_is_taken() {
    for matcher in MATCHERS.iter().filter(|matcher| !["chan.id", "node.id"].contains(&matcher.key)) {
        let needed = if matcher.key.starts_with("chan.") { "chan.activity_period = 7d\n" } else { "" };
        let needed = if matcher.key == "chan.activity_period" { "" } else { needed };
        let text = format!("[a]\n{needed}{} = {}\nstrategy = ignore", matcher.key, matcher.example);
        assert_eq!(findings(&text), Vec::<String>::new(), "{}", matcher.key);
    }
    for parameter in PARAMETERS {
        let text = format!("[a]\n{} = {}", parameter.key, parameter.example);
        let errors =
            findings(&text).into_iter().filter(|what| what.contains("error") && parameter.key != "config_file");
        assert_eq!(errors.collect::<Vec<_>>(), Vec::<String>::new(), "{}", parameter.key);
    }
    for read in STRATEGIES.iter().flat_map(|strategy| strategy.reads) {
        assert!(PARAMETERS.iter().any(|parameter| parameter.key == *read), "{read}");
    }
}
