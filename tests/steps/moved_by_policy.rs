//! What policies let be moved, told as stories: each mode, peers that are left alone, rules that nobody could read, the hive, CLBoss.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cl_revenue_ops::domain::{Channel, Msat, PeerId, Ppm, RebalanceMode, Scid};
use cl_revenue_ops::node::neighbours::{HiveNews, Neighbours, Unmanaged};
use cl_revenue_ops::node::{Node as _, NodeError};
use cl_revenue_ops::ops::{Begun, Wish};
use cl_revenue_ops::policy::peer::{Change, Strategy};
use cl_revenue_ops::rebalance::{Basis, Reason, Refusal, Role};

use crate::moves::{QUIET, Story, story};
use crate::stage::Ways;

impl Story {
    async fn channel(&self, scid: Scid) -> Channel {
        let channels = self.stage.node.channels().await.unwrap();
        channels.into_iter().find(|channel| channel.scid == Some(scid)).unwrap()
    }

    async fn set(&self, scid: Scid, change: Change) {
        let peer = self.channel(scid).await.peer;
        self.stage.ops.change_policy(peer, Wish::Set(change)).await.unwrap();
    }

    async fn mode(&self, scid: Scid, mode: RebalanceMode) {
        self.set(scid, Change { rebalance: Some(mode), ..Change::default() }).await;
    }

    /// What an operator hears who insists; nothing if it is begun.
    async fn refusal(&self) -> Option<String> {
        let answer = self.stage.ops.rebalance_by_hand(&self.order(300)).await;
        answer.err().map(|error| error.to_string())
    }
}

#[tokio::test]
async fn modes_mean_what_they_say_also_for_those_who_insist() {
    use RebalanceMode::{Disabled, Enabled, SinkOnly, SourceOnly};
    let story = story(QUIET).await;
    for (from, to, refused) in [
        (Disabled, Enabled, "disabled"),
        (Enabled, Disabled, "disabled"),
        (SinkOnly, Enabled, "sink_only"),
        (Enabled, SourceOnly, "source_only"),
    ] {
        story.mode(story.from, from).await;
        story.mode(story.to, to).await;
        let said = story.refusal().await.unwrap();
        assert!(said.ends_with(&format!("its policy says {refused}")), "{from:?} -> {to:?}: {said}");
        story.stage.wait(0.1);
    }
    assert!(story.mover.work().orders.is_empty());
    story.mode(story.from, SourceOnly).await;
    story.mode(story.to, SinkOnly).await;
    assert_eq!(story.refusal().await, None, "just what the two modes are for");
    assert_eq!(story.mover.work().orders.len(), 1);
}

#[tokio::test]
async fn the_step_obeys_policies_and_says_so() {
    let story = story(&[("daily_budget_sats", "100000"), ("inbound_fee_estimate_ppm", "0")]).await;
    story.stage.node.inner.set_all(Ppm(4000));
    for channel in story.stage.node.channels().await.unwrap() {
        story.stage.ops.change_policy(channel.peer, Wish::Ignore("mine".to_owned())).await.unwrap();
    }
    let report = story.stage.ops.rebalance_cycle().await.unwrap();
    assert_eq!((report.plan.moves.len(), story.mover.work().orders.len()), (0, 0));
    let by_policy = |refusal: &cl_revenue_ops::rebalance::Refusal| {
        matches!(refusal.why, Reason::Policy { mode: RebalanceMode::Disabled })
    };
    assert!(!report.plan.refused.is_empty() && report.plan.refused.iter().all(by_policy), "{}", report.plan);
    for channel in story.stage.node.channels().await.unwrap() {
        story.stage.ops.unignore_peer(channel.peer).await.unwrap();
        let passive = Change { strategy: Some(Strategy::Passive), ..Change::default() };
        story.stage.ops.change_policy(channel.peer, Wish::Set(passive)).await.unwrap();
    }
    let report = story.stage.ops.rebalance_cycle().await.unwrap();
    assert!(!report.plan.moves.is_empty(), "a fee that nobody touches is no reason not to refill: {}", report.plan);
}

#[tokio::test]
async fn rules_that_nobody_could_read_move_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("rules.conf");
    std::fs::write(&path, "[all]\nstrategy = nonsense\n").unwrap();
    let option = path.display().to_string();
    let story = story(&[("policy_file", &option), QUIET[0], QUIET[1]]).await;
    let said = story.refusal().await.unwrap();
    assert!(said.contains("its policy says disabled"), "{said}");
    // A peer's own policy is stronger, also than rules that nobody could read.
    story.mode(story.from, RebalanceMode::Enabled).await;
    story.mode(story.to, RebalanceMode::Enabled).await;
    assert_eq!(story.refusal().await, None);
}

#[tokio::test]
async fn a_section_says_what_may_be_moved() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("rules.conf");
    std::fs::write(&path, "[none]\nchan.min_capacity = 1\nrebalance = disabled\n").unwrap();
    let option = path.display().to_string();
    let story = story(&[("policy_file", &option), QUIET[0], QUIET[1]]).await;
    let said = story.refusal().await.unwrap();
    assert!(said.contains("its policy says disabled"), "{said}");
}

#[tokio::test]
async fn toward_the_hive_a_small_loss_is_borne() {
    // More than any move earns.
    let dear = ("rebalance_min_profit", "1000000");
    let story = story(&[("hive_rebalance_tolerance", "400"), ("daily_budget_sats", "100000"), dear]).await;
    let to = story.to;
    let refused = story.stage.ops.rebalance_cycle().await.unwrap();
    assert!(!refused.plan.moves.iter().any(|made| made.order.to == to), "{}", refused.plan);
    story.set(to, Change { strategy: Some(Strategy::Hive), ..Change::default() }).await;
    story.stage.cycle().await;
    let report = story.stage.ops.rebalance_cycle().await.unwrap();
    let made = report.plan.moves.iter().find(|made| made.order.to == to);
    let made = made.unwrap_or_else(|| panic!("{}", report.plan));
    assert!(made.numbers.strategic && made.numbers.value - made.numbers.cost >= -400_000.0, "{made}");
}

/// CLBoss, perhaps one that does not listen.
#[derive(Default)]
struct Boss {
    unmanaged: Mutex<Unmanaged>,
    deaf: Mutex<bool>,
}

#[async_trait]
impl Neighbours for Boss {
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError> {
        Ok(Some(self.unmanaged.lock().unwrap().clone()))
    }

    async fn clboss_unmanage(&self, peer: PeerId, tags: &BTreeSet<String>) -> Result<(), NodeError> {
        if *self.deaf.lock().unwrap() {
            let (method, message) = ("clboss-unmanage".to_owned(), "not now".to_owned());
            return Err(NodeError::Refused { method, code: -1, message });
        }
        self.unmanaged.lock().unwrap().insert(peer, tags.clone());
        Ok(())
    }

    async fn tell_hive(&self, _: &HiveNews) -> Result<bool, NodeError> {
        Ok(false)
    }
}

#[tokio::test]
async fn clboss_keeps_its_hands_off_what_we_move() {
    let story = story(&[("inbound_fee_estimate_ppm", "0"), ("daily_budget_sats", "100000")]).await;
    let boss = Arc::new(Boss::default());
    let Story { mut stage, mover, .. } = story;
    stage.ops = stage.ops.beside(boss.clone());
    stage.node.inner.set_all(Ppm(4000));
    *boss.deaf.lock().unwrap() = true;
    let report = stage.ops.rebalance_cycle().await.unwrap();
    let refused = |begun: &Begun| matches!(begun, Begun::Refused(why) if why.contains("CLBoss"));
    assert!(!report.begun.is_empty() && report.begun.iter().all(refused), "{:?}", report.begun);
    assert!(mover.work().orders.is_empty(), "two who move the same balance both pay");
    *boss.deaf.lock().unwrap() = false;
    let report = stage.ops.rebalance_cycle().await.unwrap();
    assert!(matches!(report.begun[0], Begun::Started(_)), "{:?}", report.begun);
    let unmanaged = boss.unmanaged.lock().unwrap();
    for made in &report.plan.moves {
        for peer in [made.from_peer, made.to_peer] {
            assert!(unmanaged[&peer].contains("balance"), "{peer}");
        }
    }
}

/// Where nobody has moved anything yet, the node's own search tells what a way costs.
#[tokio::test]
async fn ways_are_looked_for_where_nothing_was_moved_yet() {
    let story = story(&[("daily_budget_sats", "100000")]).await;
    // Dear enough that balances stay where they are until the second look.
    story.stage.node.inner.set_all(Ppm(800));
    let before = story.stage.ops.rebalance_cycle().await.unwrap();
    let dear = before.plan.refused.iter().filter(|refusal| {
        refusal.role == Role::Fill && matches!(refusal.why, Reason::TooDear { basis: Basis::PeerFee, .. })
    });
    assert!(dear.count() > 0, "{}", before.plan);
    story.stage.tricks().ways = Ways::Each(Msat(1_000));
    story.stage.wait(6.0);
    let after = story.stage.ops.rebalance_cycle().await.unwrap();
    // By the fee that the peer asks all of these were too dear.
    let known = |made: &&cl_revenue_ops::rebalance::Move| made.numbers.basis == Basis::Route;
    assert!(after.plan.moves.iter().any(|made| known(&made)), "{}", after.plan);
}

/// Nothing is spent on a guess where the node could say what a way costs: what it has found no way for is not moved, and what it has not
/// looked for waits.
#[tokio::test]
async fn what_was_not_looked_for_is_not_moved() {
    let story = story(&[("inbound_fee_estimate_ppm", "0"), ("daily_budget_sats", "100000")]).await;
    story.stage.node.inner.set_all(Ppm(4000));
    story.stage.tricks().ways = Ways::Unheard;
    let unheard = story.stage.ops.rebalance_cycle().await.unwrap().plan.clone();
    let waits = |refusal: &&Refusal| matches!(refusal.why, Reason::Unsearched { .. });
    assert!(unheard.moves.is_empty() && unheard.refused.iter().any(|refusal| waits(&refusal)), "{unheard}");
    assert_eq!(story.stage.tricks().sought.len(), 1, "a node that does not answer is not asked again");
    story.stage.tricks().ways = Ways::None;
    let mut none = unheard;
    for _ in 0..5 {
        none = story.stage.ops.rebalance_cycle().await.unwrap().plan.clone();
        assert!(none.moves.is_empty(), "{none}");
    }
    assert!(!none.refused.iter().any(|refusal| waits(&refusal)), "all of it was looked for by now:\n{none}");
    story.stage.wait(6.0);
    story.stage.tricks().sought.clear();
    story.stage.tricks().ways = Ways::Each(Msat(1_000));
    let some = story.stage.ops.rebalance_cycle().await.unwrap().plan.clone();
    let sought = std::mem::take(&mut story.stage.tricks().sought);
    assert!(!some.moves.is_empty() && sought.len() <= 12, "{some}");
    for made in &some.moves {
        assert!(sought.contains(&(made.from_peer, made.to_peer)) && made.numbers.basis == Basis::Route, "{made}");
    }
    story.stage.ops.rebalance_cycle().await.unwrap();
    let again = &story.stage.tricks().sought;
    assert!(again.iter().all(|pair| !sought.contains(pair)), "what was found serves for a while: {again:?}");
}
