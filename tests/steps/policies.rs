//! Peers' own policies as stories: exact fees, peers that are left alone, bounds, ends, and words in the middle of a step.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cl_revenue_ops::domain::{Channel, ChannelState, Evidence, Msat, PeerId, Ppm, Side};
use cl_revenue_ops::ledger::{FeeOutcomeKind, TagState};
use cl_revenue_ops::node::neighbours::{HiveNews, Neighbours, Unmanaged};
use cl_revenue_ops::node::{NodeError, NodeEvent};
use cl_revenue_ops::ops::{OrderError, PolicyChangeKind, Wish};
use cl_revenue_ops::policy::peer::{Change, Strategy};

use crate::HALF_HOUR;
use crate::stage::Stage;

fn fixed(fee: u32) -> Change {
    Change { strategy: Some(Strategy::Static), fee: Some(Some(Ppm(fee))), ..Change::default() }
}

fn with(strategy: Strategy) -> Change {
    Change { strategy: Some(strategy), ..Change::default() }
}

impl Stage {
    async fn rule(&self, peer: PeerId, change: Change) {
        self.ops.change_policy(peer, Wish::Set(change)).await.unwrap();
        self.ops.apply_policies().await.unwrap();
    }

    fn fee_of(&self, channel: &Channel) -> Ppm {
        self.fees()[&channel.channel_id]
    }

    async fn changes_of(&self, channel: &Channel) -> usize {
        self.changes().await.iter().filter(|row| row.channel == channel.channel_id).count()
    }
}

#[tokio::test]
async fn a_static_fee_of_nothing_is_written_once_and_at_once() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.hours(20.0).await;
    let channel = stage.single().await;
    let before = stage.changes_of(&channel).await;
    let others = stage.fees();
    stage.rule(channel.peer, fixed(0)).await;
    assert_eq!(stage.fee_of(&channel), Ppm(0), "not only with the next cycle");
    let now = stage.fees();
    assert!(others.iter().all(|(id, fee)| *id == channel.channel_id || now[id] == *fee), "nobody else's");
    stage.hours(30.0).await;
    assert_eq!((stage.fee_of(&channel), stage.changes_of(&channel).await), (Ppm(0), before + 1));
    let error = stage.ops.set_fee(&channel.scid.unwrap().to_string(), Ppm(5), true).await.unwrap_err();
    assert!(matches!(&error, OrderError::Caller(text) if text.contains("revenue-policy set")), "{error}");
    // Told again, nothing happens.
    let again = stage.ops.change_policy(channel.peer, Wish::Set(fixed(0))).await.unwrap();
    assert!(again.unchanged && stage.ops.apply_policies().await.unwrap().is_empty());
    // And back to the controller: from where it is, within the limits, with what was learned.
    let learned = of_its_payers(stage.memory_of(channel.peer).await.learned);
    stage.ops.change_policy(channel.peer, Wish::Delete).await.unwrap();
    stage.ops.apply_policies().await.unwrap();
    assert!((10..60).contains(&stage.fee_of(&channel).0), "at the floor: {}", stage.fee_of(&channel));
    assert_eq!(of_its_payers(stage.memory_of(channel.peer).await.learned), learned);
    stage.hours(60.0).await;
    assert!(stage.changes_of(&channel).await > before + 3, "and it climbs on");
}

/// What was learned of one peer, without what all peers' payers have in common.
fn of_its_payers(learned: Option<String>) -> serde_json::Value {
    let mut learned: serde_json::Value = serde_json::from_str(&learned.unwrap()).unwrap();
    learned["belief"].as_object_mut().unwrap().remove("patience").unwrap();
    learned
}

#[tokio::test]
async fn the_fee_of_the_fleet_follows_its_option() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.cycle().await;
    let channel = stage.single().await;
    stage.rule(channel.peer, with(Strategy::Hive)).await;
    assert_eq!(stage.fee_of(&channel), Ppm(0));
    stage.ops.set_option("hive_fee_ppm", "3").await.unwrap();
    stage.wait(HALF_HOUR);
    stage.cycle().await;
    assert_eq!(stage.fee_of(&channel), Ppm(3));
}

#[tokio::test]
async fn a_passive_peer_is_not_touched() {
    let stage = Stage::new(3, 8, &[]).await;
    let channel = stage.single().await;
    stage.rule(channel.peer, with(Strategy::Passive)).await;
    let before = stage.fee_of(&channel);
    stage.tricks().jammed = Some(channel.channel_id);
    stage.hours(48.0).await;
    assert_eq!((stage.fee_of(&channel), stage.changes_of(&channel).await), (before, 0));
    // The operator still may.
    stage.ops.set_fee(&channel.peer.to_string(), Ppm(345), false).await.unwrap();
    stage.hours(30.0).await;
    assert_eq!(stage.fee_of(&channel), Ppm(345));
}

#[tokio::test]
async fn parallel_channels_follow_the_peers_policy_together() {
    let stage = Stage::new(1, 16, &[]).await;
    stage.cycle().await;
    let channels = cl_revenue_ops::node::Node::channels(&*stage.node).await.unwrap();
    let count = |peer: PeerId| channels.iter().filter(|c| c.peer == peer).count();
    let peer = channels.iter().map(|c| c.peer).find(|peer| count(*peer) > 1).unwrap();
    stage.rule(peer, fixed(123)).await;
    assert!(channels.iter().filter(|c| c.peer == peer).all(|c| stage.fee_of(c) == Ppm(123)));
}

#[tokio::test]
async fn a_policy_ends_on_time_also_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    stage.cycle().await;
    let channel = stage.single().await;
    let until = stage.clock_now().plus_hours(2.0);
    stage.rule(channel.peer, Change { expires_in_hours: Some(2.0), ..fixed(7) }).await;
    assert_eq!(*stage.ops.next_expiry().borrow(), Some(until));
    stage.wait(1.9);
    assert!(stage.ops.end_policies().await.unwrap().is_empty());
    stage.restart(&[], &file).await;
    stage.ops.load_policies().await.unwrap();
    assert_eq!(*stage.ops.next_expiry().borrow(), Some(until), "the timer knows");
    stage.cycle().await;
    assert_eq!(stage.fee_of(&channel), Ppm(7));
    stage.wait(0.1);
    stage.ops.end_policies().await.unwrap();
    assert!(stage.fee_of(&channel).0 >= 10, "7 ppm is outside the controller's limits");
    assert_eq!(*stage.ops.next_expiry().borrow(), None);
    let changes = stage.ops.policy_changes(until).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [PolicyChangeKind::Expired]);
    assert!(stage.ops.peer_policies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cycle_ends_what_no_timer_has_ended() {
    let stage = Stage::new(3, 8, &[]).await;
    let channel = stage.single().await;
    stage.rule(channel.peer, Change { expires_in_hours: Some(1.0), ..fixed(7) }).await;
    stage.wait(1.0);
    stage.cycle().await;
    assert!(stage.fee_of(&channel).0 >= 10);
}

#[tokio::test]
async fn multipliers_bound_what_the_controller_asks() {
    let stage = Stage::new(3, 8, &[]).await;
    stage.market_fee(Ppm(200));
    let channel = stage.single().await;
    let bounds = Change { multiplier_min: Some(Some(0.9)), multiplier_max: Some(Some(1.1)), ..Change::default() };
    stage.rule(channel.peer, bounds).await;
    let mut free = 0;
    for round in 0..96 {
        stage.tricks().jammed = (round > 48).then_some(channel.channel_id);
        stage.hours(HALF_HOUR).await;
        assert!((180..=220).contains(&stage.fee_of(&channel).0), "{}", stage.fee_of(&channel));
        free += stage.fees().values().filter(|fee| !(180..=220).contains(&fee.0)).count();
    }
    assert!(free > 0, "others go further");
}

#[tokio::test]
async fn a_word_in_the_middle_of_a_step_counts_for_that_step() {
    let stage = Stage::new(3, 8, &[]).await;
    let channel = stage.single().await;
    let before = stage.fee_of(&channel);
    // All fees are decided and about to be told when the operator speaks.
    let gate = stage.hold_orders();
    let (outcomes, ()) = tokio::join!(stage.ops.fee_cycle(), async {
        gate.reached().await;
        let kept = stage.ops.change_policy(channel.peer, Wish::Set(with(Strategy::Passive))).await.unwrap();
        assert_eq!(kept.policy.unwrap().strategy, Some(Strategy::Passive), "kept while the step is under way");
        gate.open();
    });
    let outcomes = outcomes.unwrap();
    let mine = outcomes.iter().find(|outcome| outcome.channel == channel.channel_id).unwrap();
    let first = gate.first();
    if first != Some(channel.channel_id) {
        assert_eq!((mine.kind, stage.fee_of(&channel)), (FeeOutcomeKind::Kept, before), "{mine:?}");
    }
    assert!(outcomes.iter().filter(|outcome| outcome.kind == FeeOutcomeKind::Set).count() > 3, "{outcomes:?}");
    stage.ops.apply_policies().await.unwrap();
    stage.hours(3.0).await;
    assert!(stage.changes().await.iter().all(|row| row.outcome != FeeOutcomeKind::Ordered));
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_ten_changes_are_a_minute() {
    let stage = Stage::new(3, 8, &[]).await;
    let (one, two) = (PeerId([2; 33]), PeerId([3; 33]));
    let error = stage.ops.change_policies(vec![(one, fixed(1)), (two, with(Strategy::Static))]).await.unwrap_err();
    assert!(error.to_string().starts_with("entry 2: "), "{error}");
    assert!(stage.ops.peer_policies().await.unwrap().is_empty() && stage.ledger.policies().await.unwrap().is_empty());
    let many = (0..11).map(|fee| (one, fixed(fee))).collect();
    assert!(matches!(stage.ops.change_policies(many).await, Err(OrderError::TooOften(_))));
    assert!(stage.ledger.policies().await.unwrap().is_empty());
    let ten = (0..10).map(|fee| (one, fixed(fee))).collect();
    assert_eq!(stage.ops.change_policies(ten).await.unwrap().len(), 10);
    assert!(matches!(stage.ops.change_policy(one, Wish::Delete).await, Err(OrderError::TooOften(_))));
    assert!(stage.ops.change_policy(two, Wish::Set(fixed(5))).await.is_ok(), "each peer has its own minute");
    stage.wait(1.0 / 60.0);
    assert!(stage.ops.change_policy(one, Wish::Delete).await.is_ok());
}

#[tokio::test]
async fn a_dry_run_keeps_policies_and_touches_nothing() {
    let stage = Stage::new(3, 8, &[("dry_run", "true")]).await;
    let channel = stage.single().await;
    let fees = stage.fees();
    stage.rule(channel.peer, fixed(0)).await;
    stage.hours(5.0).await;
    assert_eq!(stage.fees(), fees);
    assert_eq!(stage.changes_of(&channel).await, 1, "told once");
    stage.ops.set_from_node("revenue-ops-dry-run", "false").await.unwrap();
    stage.cycle().await;
    assert_eq!(stage.fee_of(&channel), Ppm(0));
}

/// CLBoss and cl-hive, or their silence.
#[derive(Default)]
struct Beside {
    unmanaged: Mutex<Unmanaged>,
    told: Mutex<Vec<(PeerId, BTreeSet<String>)>>,
    asked: Mutex<u32>,
    heard: Mutex<Vec<HiveNews>>,
    broken: Mutex<bool>,
}

#[async_trait]
impl Neighbours for Beside {
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError> {
        *self.asked.lock().unwrap() += 1;
        Ok(Some(self.unmanaged.lock().unwrap().clone()))
    }

    async fn clboss_unmanage(&self, peer: PeerId, tags: &BTreeSet<String>) -> Result<(), NodeError> {
        if *self.broken.lock().unwrap() {
            let (method, message) = ("clboss-unmanage".to_owned(), "not now".to_owned());
            return Err(NodeError::Refused { method, code: -1, message });
        }
        self.unmanaged.lock().unwrap().insert(peer, tags.clone());
        self.told.lock().unwrap().push((peer, tags.clone()));
        Ok(())
    }

    async fn tell_hive(&self, news: &HiveNews) -> Result<bool, NodeError> {
        self.heard.lock().unwrap().push(news.clone());
        Ok(true)
    }
}

fn tags(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn clboss_is_told_once_and_the_users_tags_stay() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ledger.db");
    let mut stage = Stage::on_file(3, 8, &[], &file).await;
    let channel = stage.single().await;
    let beside = Arc::new(Beside::default());
    beside.unmanaged.lock().unwrap().insert(channel.peer, tags(&["open", "close"]));
    stage.beside(&beside);
    stage.cycle().await;
    let told = beside.told.lock().unwrap().clone();
    let peers: BTreeSet<PeerId> = told.iter().map(|(peer, _)| *peer).collect();
    assert_eq!(
        (told.len(), told.iter().find(|(p, _)| *p == channel.peer).unwrap().1.clone()),
        (peers.len(), tags(&["close", "lnfee", "open"]))
    );
    stage.hours(5.0).await;
    stage.restart(&[], &file).await;
    stage.beside(&beside);
    stage.hours(5.0).await;
    assert_eq!((beside.told.lock().unwrap().len(), *beside.asked.lock().unwrap()), (told.len(), 2), "once a life");
    let never_ours = stage.ops.remanage(channel.peer, Some("open")).await.unwrap_err().to_string();
    assert_eq!(never_ours, "'tag' must be 'lnfee' or 'balance', which is all that we take, not 'open'");
    assert_eq!(stage.ops.remanage(channel.peer, None).await.unwrap(), ["lnfee"]);
    assert_eq!(beside.unmanaged.lock().unwrap()[&channel.peer], tags(&["close", "open"]));
    stage.hours(2.0).await;
    assert_eq!(beside.unmanaged.lock().unwrap()[&channel.peer], tags(&["close", "open"]), "it stays given back");
    let rows = stage.ledger.clboss_tags().await.unwrap();
    let state: HashMap<PeerId, TagState> = rows.iter().map(|row| (row.peer, row.state)).collect();
    assert_eq!(state[&channel.peer], TagState::Returned);
}

#[tokio::test]
async fn a_clboss_that_refuses_is_a_warning_and_no_more() {
    let mut stage = Stage::new(3, 8, &[]).await;
    let beside = Arc::new(Beside::default());
    *beside.broken.lock().unwrap() = true;
    stage.beside(&beside);
    let set = stage.cycle().await.into_iter().filter(|outcome| outcome.kind == FeeOutcomeKind::Set).count();
    assert!(set > 4);
    let warned = |warnings: &[String]| warnings.iter().any(|text| text.contains("CLBoss could not be told"));
    assert!(warned(&stage.ops.status().await.unwrap().warnings));
    assert!(stage.ledger.clboss_tags().await.unwrap().is_empty(), "what was refused was not taken");
    *beside.broken.lock().unwrap() = false;
    stage.wait(HALF_HOUR);
    stage.cycle().await;
    assert!(!warned(&stage.ops.status().await.unwrap().warnings));
    assert!(!stage.ledger.clboss_tags().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_hive_hears_of_openings_and_closings_only() {
    let mut stage = Stage::new(3, 8, &[]).await;
    let beside = Arc::new(Beside::default());
    stage.beside(&beside);
    let opened_at = stage.clock_now();
    stage.hours(10.0).await;
    stage.ops.book_cycle().await.unwrap();
    let channel = stage.single().await;
    let event = |old: Option<ChannelState>, new: ChannelState, cause: &str| NodeEvent::ChannelStateChanged {
        peer: channel.peer,
        channel_id: channel.channel_id,
        scid: channel.scid,
        old,
        new,
        cause: Some(cause.to_owned()),
        at: Some(opened_at),
        ending: Evidence::NONE,
    };
    use ChannelState::{AwaitingSplice, Closing, Normal, Opening};
    stage.ops.channel_noticed(&event(None, Opening, "user")).await.unwrap();
    for (old, new, heard) in [
        (None, Opening, 0),
        (Some(Opening), Normal, 1),
        (Some(Normal), AwaitingSplice, 1),
        (Some(AwaitingSplice), Normal, 1),
        (Some(Normal), Closing, 2),
        (Some(Closing), Closing, 2),
    ] {
        stage.ops.tell_hive(&event(old.clone(), new.clone(), "remote")).await.unwrap();
        assert_eq!(beside.heard.lock().unwrap().len(), heard, "{old:?} -> {new:?}");
    }
    let heard = beside.heard.lock().unwrap().clone();
    assert!(
        matches!(&heard[0], HiveNews::Opened { opener: Some(Side::Local), capacity: Some(c), .. } if *c == channel.capacity)
    );
    let HiveNews::Closed { closer, past, .. } = &heard[1] else { panic!("{heard:?}") };
    assert_eq!((*closer, past.our_fee), (Some(Side::Remote), Some(stage.fee_of(&channel))));
    let (report, at) = stage.ops.channel_books(&channel.channel_id.to_string(), 30).await.unwrap();
    let books = &report.channels[at].statement;
    assert_eq!(past.net_msat, Some(books.lifetime.net()));
    assert_eq!((past.days, past.rebalance_cost), (Some(10.0 / 24.0), Some(Msat(0))));
    assert_eq!(past.annualised_roc.map(|roc| roc < 0.0), Some(books.lifetime.net() < 0), "{past:?}");
    stage.ops.set_option("hive_enabled", "false").await.unwrap();
    stage.ops.tell_hive(&event(Some(Opening), Normal, "user")).await.unwrap();
    assert_eq!(beside.heard.lock().unwrap().len(), 2);
}
