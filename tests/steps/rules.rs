//! Rule files as stories: what a section says holds for its channels, what nobody can tell changes nothing, and a mistake in the file
//! costs nothing.

use std::path::PathBuf;

use cl_revenue_ops::domain::{Channel, Msat, PeerId, Ppm};
use cl_revenue_ops::ops::Wish;
use cl_revenue_ops::policy::Capabilities;
use cl_revenue_ops::policy::peer::{Change, Strategy};
use cl_revenue_ops::policy::report::Report;
use tempfile::TempDir;

use crate::stage::{Answer, Stage};

/// A rule file in a folder of its own.
struct File(TempDir);

impl File {
    fn with(text: &str) -> File {
        let file = File(tempfile::tempdir().unwrap());
        file.says(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("rules.conf")
    }

    /// Another length every time, so that no clock has to tell the texts apart.
    fn says(&self, text: &str) {
        let padding =
            "#".repeat(std::fs::metadata(self.path()).map_or(0, |file| usize::try_from(file.len() % 97).unwrap() + 1));
        std::fs::write(self.path(), format!("{text}\n{padding}\n")).unwrap();
    }

    fn option(&self) -> [(&'static str, String); 1] {
        [("policy_file", self.path().display().to_string())]
    }
}

async fn ruled(file: &File, channels: u32) -> Stage {
    let [(key, path)] = file.option();
    Stage::new(3, channels, &[(key, &path)]).await
}

/// What is told of the rules' word on a channel.
async fn told(stage: &Stage, channel: &Channel) -> String {
    let tested = stage.ops.test_channel(&channel.scid.unwrap().to_string()).await.unwrap();
    let (resolution, facts) = tested.rules.unwrap();
    Report { resolution: &resolution, facts: &facts, can: Capabilities::CORE_LIGHTNING }.to_string()
}

fn only(channel: &Channel, rest: &str) -> String {
    format!("[this]\nchan.id = {}\n{rest}\n", channel.scid.unwrap())
}

#[tokio::test]
async fn a_section_is_exact_for_its_channels_and_the_controller_has_the_others() {
    let file = File::with("");
    let stage = ruled(&file, 8).await;
    let channel = stage.single().await;
    file.says(&only(&channel, "strategy = static\nfee_ppm = 0\nbase_fee_msat = 7\nmax_htlc_msat = 50_000_000"));
    stage.hours(30.0).await;
    let place = stage.place(channel.channel_id);
    let now = stage.node.inner.market().channels[place].price;
    assert_eq!((now.ppm, now.base, now.htlc_max), (0, 7, 50_000_000));
    let changes = stage.changes().await;
    let of = |id| changes.iter().filter(|row| row.channel == id).count();
    assert_eq!(of(channel.channel_id), 1, "written once, not every cycle");
    assert!(
        stage.fees().iter().any(|(id, fee)| *id != channel.channel_id && *fee != Ppm(200)),
        "the others are priced"
    );
    let tested = stage.ops.test_channel(&channel.scid.unwrap().to_string()).await.unwrap();
    let sources: Vec<String> =
        tested.policy.trail.iter().map(|ruling| format!("{}: {}", ruling.member, ruling.source)).collect();
    assert!(sources.contains(&"fee_ppm: section [this], line 1".to_owned()), "{sources:?}");
    assert!(sources.contains(&"rebalance_mode: the default".to_owned()), "{sources:?}");
    let debug = stage.ops.fee_debug(&channel.scid.unwrap().to_string()).await.unwrap();
    assert_eq!(debug.policy, tested.policy);
}

#[tokio::test]
async fn two_channels_with_one_peer_may_have_fees_of_their_own_by_rules() {
    let file = File::with("[small]\nchan.max_capacity = 1\nstrategy = ignore\n");
    let stage = ruled(&file, 12).await;
    let channels = cl_revenue_ops::node::Node::channels(&*stage.node).await.unwrap();
    let twice = |c: &&Channel| channels.iter().filter(|other| other.peer == c.peer).count() == 2;
    let pair: Vec<&Channel> = {
        let first = channels.iter().find(twice).expect("some peers have two channels");
        channels.iter().filter(|c| c.peer == first.peer).collect()
    };
    file.says(&only(pair[0], "strategy = static\nfee_ppm = 777"));
    stage.hours(20.0).await;
    let fees = stage.fees();
    assert_eq!(fees[&pair[0].channel_id], Ppm(777));
    assert_ne!(fees[&pair[1].channel_id], Ppm(777), "the other one is the controller's");
}

#[tokio::test]
async fn a_mistake_in_the_file_keeps_the_last_rules_also_over_a_restart() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\n");
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.db");
    let [(key, path)] = file.option();
    let mut stage = Stage::on_file(3, 6, &[(key, &path)], &ledger).await;
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "{:?}", stage.fees());
    file.says("[all]\nstrategy = static\nfee_pmm = 5\n");
    assert!(stage.ops.rules_have_changed());
    stage.market_fee(Ppm(50));
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "the last rules stay in force");
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("fee_pmm") && warnings.contains("did you mean 'fee_ppm'?"), "{warnings}");
    assert!(warnings.contains("The last rules without errors stay in force"), "{warnings}");
    stage.restart(&[(key, &path)], &ledger).await;
    stage.market_fee(Ppm(50));
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "also after a restart");
    file.says("[all]\nstrategy = static\nfee_ppm = 5\n");
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(5)), "mended, the new rules hold");
}

#[tokio::test]
async fn a_file_that_was_never_right_leaves_every_channel_alone() {
    let file = File::with("[all]\nstrategy = statik\nfee_ppm = 321\n");
    let stage = ruled(&file, 6).await;
    stage.hours(30.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(200)), "{:?}", stage.fees());
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("No channel is touched until they are mended"), "{warnings}");
    // A peer's own policy is stronger than any file.
    let channel = stage.single().await;
    set(&stage, channel.peer, 90).await;
    assert_eq!(stage.fees()[&channel.channel_id], Ppm(90));
    // No file is a file with errors, too.
    std::fs::remove_file(file.path()).unwrap();
    stage.hours(2.0).await;
    assert_eq!(stage.fees().values().filter(|fee| **fee == Ppm(200)).count(), 5);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_does_not_become_the_rule_file() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\n");
    let stage = ruled(&file, 4).await;
    stage.hours(1.0).await;
    let folder = file.0.path().display().to_string();
    for (path, why) in [("/typo.conf", "No such file"), (folder.as_str(), "it is no file"), ("5", "No such file")] {
        let error = stage.ops.set_option("policy_file", path).await.unwrap_err().to_string();
        let holds = format!("{} stays the rule file", file.path().display());
        assert!(error.contains(why) && error.contains(&holds) && error.contains("'none'"), "{error}");
    }
    assert_eq!(stage.ops.rule_warnings().await.unwrap(), Vec::<String>::new());
    let wrong = File::with("[all]\nstrategy = statik\n");
    stage.ops.set_option("policy_file", &wrong.path().display().to_string()).await.unwrap();
    let warnings = stage.ops.rule_warnings().await.unwrap().join("\n");
    assert!(warnings.contains("did you mean 'static'? No channel is touched until they are mended"), "{warnings}");
    stage.ops.set_option("policy_file", "none").await.unwrap();
    assert_eq!(stage.ops.rule_warnings().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn sizes_that_the_node_refuses_are_told_with_the_section_that_wants_them() {
    let file = File::with("[sizes]\nmin_htlc_msat = 5_000\n[all]\nstrategy = static\nfee_ppm = 321\n");
    let stage = ruled(&file, 3).await;
    stage.tricks().answer = Answer::Refuses;
    stage.hours(1.0).await;
    let channel = stage.single().await;
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    let told = format!(
        "{}: the node refuses min_htlc_msat 5000 by section [sizes], line 1, and the fee of the same order with it, which stays at 200 ppm",
        channel.scid.unwrap()
    );
    assert!(warnings.contains(&told) && warnings.contains("not now"), "{warnings}");
    stage.tricks().answer = Answer::Obeys;
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "{:?}", stage.fees());
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(!warnings.contains("the node refuses"), "{warnings}");
}

#[tokio::test]
async fn the_peers_own_policy_is_stronger_than_the_file_and_keeps_what_it_does_not_speak_of() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\nbase_fee_msat = 3\n");
    let stage = ruled(&file, 6).await;
    let channel = stage.single().await;
    set(&stage, channel.peer, 90).await;
    stage.hours(1.0).await;
    let place = stage.place(channel.channel_id);
    let now = stage.node.inner.market().channels[place].price;
    assert_eq!((Ppm(now.ppm), Msat(now.base)), (Ppm(90), Msat(3)));
    assert_eq!(stage.fees().values().filter(|fee| **fee == Ppm(321)).count(), 5);
    let error = stage.ops.set_fee(&other(&stage, &channel), Ppm(400), false).await.unwrap_err().to_string();
    assert!(error.contains("section [all], line 1"), "{error}");
}

#[tokio::test]
async fn rules_that_ask_the_graph_leave_alone_whom_nobody_could_tell_of() {
    let file = File::with(
        "[hubs]\nnode.min_channels = 1\nstrategy = static\nfee_ppm = 321\n[default]\nstrategy = static\nfee_ppm = 9\n",
    );
    let stage = ruled(&file, 6).await;
    stage.tricks().no_graph = true;
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(200)), "not even [default]: {:?}", stage.fees());
    let told = told(&stage, &stage.single().await).await;
    assert!(
        told.contains("the channel is left as it is: the rules ask for the peer's place in the public graph"),
        "{told}"
    );
    assert!(told.contains("[hubs] line 1: no") && !told.contains("decides"), "{told}");
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(
        warnings.contains("6 channels are left as they are by the rule file, which asks for the peer's place"),
        "{warnings}"
    );
    stage.tricks().no_graph = false;
    stage.hours(1.0).await;
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(!warnings.contains("left as they are"), "{warnings}");
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "{:?}", stage.fees());
    stage.tricks().no_graph = true;
    stage.market_fee(Ppm(50));
    stage.hours(8.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "what was known before serves");
}

async fn set(stage: &Stage, peer: PeerId, fee: u32) {
    let change = Change { strategy: Some(Strategy::Static), fee: Some(Some(Ppm(fee))), ..Change::default() };
    stage.ops.change_policy(peer, Wish::Set(change)).await.unwrap();
    stage.ops.apply_policies().await.unwrap();
}

/// The name of a channel with somebody else.
fn other(stage: &Stage, channel: &Channel) -> String {
    let market = stage.node.inner.market();
    market.channels.iter().find(|c| c.peer_id != channel.peer).unwrap().scid.to_string()
}

#[tokio::test]
async fn an_ignored_peer_is_told_nothing_whatever_the_rules_say_besides_the_rate() {
    let file = File::with("[all]\nchan.min_capacity = 1\nstrategy = static\nfee_ppm = 321\n");
    let stage = ruled(&file, 6).await;
    let channel = stage.single().await;
    stage.ops.ignore_peer(channel.peer, "mine").await.unwrap();
    file.says("[all]\nstrategy = static\nfee_ppm = 321\nbase_fee_msat = 77\nmax_htlc_msat = 40_000_000\n");
    stage.hours(2.0).await;
    let place = stage.place(channel.channel_id);
    let now = stage.node.inner.market().channels[place].price;
    assert_eq!((now.ppm, now.base), (200, 0), "nobody touches it");
    assert_eq!(stage.fees().values().filter(|fee| **fee == Ppm(321)).count(), 5);
}

#[tokio::test]
async fn a_rules_base_fee_is_stronger_than_the_option_also_when_the_rate_changes() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\nbase_fee_msat = 77\n");
    let stage = Stage::new(3, 4, &[("policy_file", &file.path().display().to_string()), ("base_fee_msat", "5")]).await;
    stage.hours(1.0).await;
    let bases =
        |stage: &Stage| -> Vec<u64> { stage.node.inner.market().channels.iter().map(|c| c.price.base).collect() };
    assert_eq!(bases(&stage), [77; 4]);
    file.says("[all]\nstrategy = static\nfee_ppm = 322\nbase_fee_msat = 77\n");
    stage.hours(0.5).await;
    assert_eq!(bases(&stage), [77; 4]);
    assert!(stage.fees().values().all(|fee| *fee == Ppm(322)));
}

#[tokio::test]
async fn a_fee_by_hand_leaves_a_sibling_alone_that_a_rule_prices() {
    let file = File::with("[none]\nchan.max_capacity = 1\nstrategy = ignore\n");
    let stage = ruled(&file, 12).await;
    let pair = pair(&stage).await;
    file.says(&only(&pair[0], "strategy = ignore"));
    stage.hours(1.0).await;
    let name = |channel: &Channel| channel.scid.unwrap().to_string();
    let before = stage.fees()[&pair[0].channel_id];
    let set = stage.ops.set_fee(&name(&pair[1]), Ppm(432), false).await.unwrap();
    assert!(set.together_with.is_empty(), "{set:?}");
    let fees = stage.fees();
    assert_eq!((fees[&pair[0].channel_id], fees[&pair[1].channel_id]), (before, Ppm(432)));
}

/// Two channels with one peer.
async fn pair(stage: &Stage) -> [Channel; 2] {
    let channels = cl_revenue_ops::node::Node::channels(&*stage.node).await.unwrap();
    let of = |peer| channels.iter().filter(move |c: &&Channel| c.peer == peer).cloned().collect::<Vec<_>>();
    let pair = channels.iter().map(|c| of(c.peer)).find(|with| with.len() == 2);
    pair.expect("some peers have two channels").try_into().unwrap()
}

#[tokio::test]
async fn one_fee_for_parallel_channels_lies_within_the_limits_of_each() {
    let file = File::with("[none]\nchan.max_capacity = 1\nstrategy = ignore\n");
    let stage = ruled(&file, 12).await;
    let pair = pair(&stage).await;
    let limits = |least: [u32; 2]| {
        let sections = [0, 1].map(|at| {
            let scid = pair[at].scid.unwrap();
            format!("[n{at}]\nchan.id = {scid}\nstrategy = dynamic\nmin_fee_ppm = {}\nmax_fee_ppm = 900\n", least[at])
        });
        sections.join("\n")
    };
    for least in [[700, 40], [40, 700]] {
        file.says(&limits(least));
        stage.hours(26.0).await;
        let fees = stage.fees();
        let both = [0, 1].map(|at| fees[&pair[at].channel_id].0);
        assert!(both[0] == both[1] && (700..=900).contains(&both[0]), "{least:?}: {both:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_being_written_is_not_taken() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\n");
    let stage = ruled(&file, 4).await;
    stage.hours(1.0).await;
    file.says("");
    stage.hours(1.0).await;
    assert!(stage.fees().values().all(|fee| *fee == Ppm(321)), "an empty file is no word");
    let warnings = stage.ops.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("has no section yet"), "{warnings}");
}

#[tokio::test]
async fn who_looks_at_the_rules_does_not_hide_that_they_changed() {
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 321\n");
    let stage = ruled(&file, 4).await;
    stage.hours(1.0).await;
    assert!(!stage.ops.rules_have_changed());
    file.says("[all]\nstrategy = static\nfee_ppm = 322\n");
    let channel = stage.single().await;
    stage.ops.test_channel(&channel.scid.unwrap().to_string()).await.unwrap();
    assert!(stage.ops.rules_have_changed(), "nothing was decided by it yet");
    stage.hours(0.5).await;
    assert!(!stage.ops.rules_have_changed());
}

/// How many channels go back to 200 ppm, day by day, after a section has asked for a rate that gives balance away; and why one of them does.
async fn back_after_a_mistake(rollback: &str) -> (Vec<usize>, Option<String>) {
    let place = tempfile::tempdir().unwrap();
    let ledger = place.path().join("ledger.db");
    let file = File::with("[all]\nstrategy = static\nfee_ppm = 200\n");
    let [(key, path)] = file.option();
    let mut stage = Stage::on_file(3, 6, &[(key, &path)], &ledger).await;
    stage.hours(6.0 * 24.0).await;
    file.says(&format!("[all]\nstrategy = static\nfee_ppm = 20\n{rollback}\n"));
    let mut back = Vec::new();
    for day in 0..8 {
        stage.hours(24.0).await;
        let fees = stage.fees();
        assert!(fees.values().all(|fee| [200, 20].contains(&fee.0)), "{fees:?}");
        back.push(fees.values().filter(|fee| fee.0 == 200).count());
        if day == 5 {
            stage.restart(&[(key, &path)], &ledger).await;
        }
    }
    let fees = stage.fees();
    let Some((id, _)) = fees.iter().find(|(_, fee)| fee.0 == 200) else { return (back, None) };
    let tested = stage.ops.test_channel(&id.to_string()).await.unwrap();
    let told = told(&stage, &tested.channel).await;
    assert!(told.contains("200 instead of 20: 20 ppm instead of 200 ppm was taken back on"), "{told}");
    assert!(told.contains("nothing changes") && !told.contains("to be changed"), "{told}");
    (back, tested.policy.trail.into_iter().find(|ruling| ruling.member == "rollback").map(|ruling| ruling.value))
}

#[tokio::test]
async fn a_change_that_costs_revenue_is_taken_back_where_the_section_wants_it() {
    let (back, why) = back_after_a_mistake("enable_auto_rollback = true").await;
    assert!(back[0] == 0 && back[7] >= 3 && back.is_sorted(), "{back:?}");
    let why = why.unwrap();
    assert!(why.starts_with("20 ppm instead of 200 ppm was taken back on"), "{why}");
    let (back, why) = back_after_a_mistake("").await;
    assert_eq!((back, why), (vec![0; 8], None), "what is written is wanted");
}
