//! The walk: who matches, who decides, what masks what.

use super::*;
use crate::domain::{Pricing, Source};
use crate::policy::StepVerdict;

/// Does a section with this one criterion match?
fn matches(criterion: &str, facts: &Facts) -> bool {
    let text = format!("[a]\n{criterion}\nstrategy = static\nfee_ppm = 5");
    resolve(&text, facts).section.is_some()
}

#[test]
fn our_own_criteria_say_what_their_names_say() {
    let yes = [
        "chan.max_age_days = 30",
        "chan.min_age_days = 6.9",
        "activity.level = high, low",
        "flow.7d.min = 5000\nflow.7d.max = 5000",
        "flow.class = source, idle",
        "network.min_alternatives = 50",
        "peer.fee_ratio.min = 1\npeer.fee_ratio.max = 1",
        "node.alias = acin?, hub*",
        "revenue.7d.min = 2\nrevenue.7d.max = 2",
        "peer.tag = exchange, friend",
    ];
    for criterion in yes {
        assert!(matches(criterion, &quiet()), "{criterion}");
    }
    let no = [
        "chan.min_age_days = 7",
        "activity.level = medium",
        "flow.7d.max = 4999",
        "flow.class = sink",
        "network.min_alternatives = 51",
        "peer.fee_ratio.min = 1.01",
        "node.alias = acin",
        "revenue.7d.min = 3",
        "peer.tag = exchange",
    ];
    for criterion in no {
        assert!(!matches(criterion, &quiet()), "{criterion}");
    }
}

#[test]
fn what_nobody_knows_matches_no_rule() {
    let blind = Facts { week: None, theirs: None, flow: None, alias: None, peer_in_graph: Graph::Unread, ..quiet() };
    let asked = [
        "activity.level = inactive, low, medium, high",
        "flow.7d.max = 1000000",
        "flow.class = source, sink, balanced, idle",
        "network.min_alternatives = 0",
        "peer.fee_ratio.max = 1000",
        "node.alias = *",
        "revenue.7d.max = 1000",
        "chan.max_fee_ppm = 100000",
        "chan.disabled = no",
    ];
    for criterion in asked {
        assert!(!matches(criterion, &blind), "{criterion}");
    }
}

#[test]
fn a_disabled_peer_is_told_by_its_flag() {
    let theirs = quiet().theirs.map(|theirs| TheirTerms { disabled: Some(true), ..theirs });
    let shut = Facts { theirs, ..quiet() };
    assert!(matches("chan.disabled = yes", &shut) && !matches("chan.disabled = no", &shut));
    assert!(matches("chan.disabled = no", &quiet()) && !matches("chan.disabled = yes", &quiet()));
}

#[test]
fn what_a_channel_moved_in_a_week_has_four_levels() {
    for (moved, level) in [(0, "inactive"), (1, "low"), (10_001, "medium"), (100_001, "high")] {
        let facts = Facts { week: Some(Week { in_sat: moved, ..Week::default() }), ..quiet() };
        assert!(matches(&format!("activity.level = {level}"), &facts), "{moved}");
    }
}

#[test]
fn sections_are_walked_by_priority_and_the_default_comes_last() {
    let text = "[default]\nstrategy=static\nfee_ppm=1\n[a]\nstrategy=static\nfee_ppm=2\npriority=200\n[b]\nstrategy=static\n\
                fee_ppm=3\npriority=50\nenabled=no\n[c]\nstrategy=static\nfee_ppm=4";
    assert_eq!(resolve(text, &quiet()).section.as_deref(), Some("c"));
    assert_eq!(resolve(&text.replace("enabled=no", "enabled=yes"), &quiet()).section.as_deref(), Some("b"));
}

#[test]
fn a_section_that_is_not_final_leaves_its_strategy_behind() {
    let soft = "[a]\nstrategy=static\nfee_ppm=2\nfinal=no\n[b]\nchan.min_ratio=0.9\nfee_ppm=3\n";
    assert_eq!(wanted(soft, &ours(0.95)).ppm, Some(3));
    assert_eq!(wanted(soft, &quiet()).ppm, Some(2));
    assert_eq!(resolve(soft, &quiet()).section.as_deref(), Some("a"));
    let harder = format!("{soft}[c]\nstrategy=dynamic\n");
    assert!(matches!(resolve(&harder, &quiet()).outcome, Outcome::Controller { prior: Some(Ppm(2)), .. }));
    let ended = format!("{soft}[c]\nfinal=yes\nfee_ppm=7\n[d]\nstrategy=ignore");
    assert_eq!(wanted(&ended, &quiet()).ppm, Some(7));
}

#[test]
fn the_trail_names_each_section_with_its_reason() {
    let text = "[base]\nbase_fee_msat = 0\nfee_ppm = 50\n[rich]\nchan.min_ratio = 0.9\nstrategy = static\n\
                [all]\nfee_ppm = 75\nstrategy = static";
    let rules = rules(text);
    let told = rules.explain(&quiet(), &node());
    let verdicts: Vec<_> = told.trail.iter().map(|step| (step.section.as_str(), &step.verdict)).collect();
    let failed = StepVerdict::Failed {
        key: "chan.min_ratio".to_owned(),
        line: 5,
        wanted: "0.9".to_owned(),
        found: "0.5".to_owned(),
    };
    assert_eq!(verdicts, [("base", &StepVerdict::Defaults), ("rich", &failed), ("all", &StepVerdict::Decides)]);
    let masked: Vec<_> =
        told.trail[2].masks.iter().map(|m| (m.key.as_str(), m.old.as_deref(), m.new.as_str())).collect();
    assert_eq!(masked, [("fee_ppm", Some("50"), "75"), ("strategy", None, "static")]);
    let short = rules.resolve(&quiet(), &node());
    assert_eq!((short.outcome, short.trail.len()), (told.outcome, 2));
}

#[test]
fn a_policy_knows_which_section_gave_each_member() {
    let text = "[base]\nbase_fee_msat = 0\nfee_ppm = 50\n[all]\nfee_ppm = 75\nstrategy = static";
    let policy = resolve(text, &quiet()).policy().unwrap();
    assert_eq!((policy.pricing, policy.terms.ppm, policy.terms.base), (Pricing::Exact, Some(Ppm(75)), Some(Msat(0))));
    let told: Vec<_> = policy.trail.iter().map(|r| (r.source.clone(), r.member.as_str(), r.value.as_str())).collect();
    let section = |name: &str, line| Source::Section { name: name.to_owned(), line };
    assert_eq!(
        told,
        [
            (section("base", 1), "base_fee_msat", "0"),
            (section("all", 4), "fee_ppm", "75"),
            (section("all", 4), "strategy", "static")
        ]
    );
}

#[test]
fn activity_is_asked_for_by_its_periods() {
    let text = "[a]\nchan.activity_period = 2h\nchan.min_htlcs_out = 1\nstrategy = ignore\n[b]\nchan.activity_period = 7d\n\
                chan.max_sats_in = 5\nstrategy = ignore";
    assert_eq!(rules(text).periods(), [7200, 604_800]);
}

#[test]
fn files_that_name_each_other_end_in_an_error() {
    let round = |_: &str| Ok("[default]\nstrategy = use_config\nconfig_file = again.conf".to_owned());
    let text = "[default]\nstrategy = use_config\nconfig_file = again.conf";
    let findings = RuleFile::load(text, "rules.conf", &round).unwrap_err();
    assert!(said(&findings).iter().any(|what| what.contains("files that name each other")), "{:?}", said(&findings));
}

#[test]
fn a_change_of_any_file_changes_the_fingerprint() {
    let text = "[a]\nnode.id = file://peers.txt\nstrategy = ignore";
    let of = |text: &str, peers: &str| {
        let read = |_: &str| Ok(peers.to_owned());
        RuleFile::parse(text, "rules.conf", Reading::Ours, &read).0.unwrap().fingerprint()
    };
    assert_eq!(of(text, "x"), of(text, "x"));
    assert_ne!(of(text, "x"), of(text, "y"));
    assert_ne!(of(text, "x"), of(&text.replace("ignore", "passive"), "x"));
}
