//! Moves of liquidity, told as stories: who orders them, what becomes of them, and what they may cost. The rebalancer is made of numbers;
//! it moves when it is told to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cl_revenue_ops::domain::{
    Booked, ChannelId, Job, MoveFailure, MoveOrder, Msat, Paid, Ppm, Sat, Scid, Tally, Task, Time,
};
use cl_revenue_ops::ledger::{MoveRow, MoveState};
use cl_revenue_ops::node::{BreakerReport, Node as _, NodeError, Rebalancer};
use cl_revenue_ops::ops::{Begun, HandOrder, Ops, OrderError, Presence, Settings};

use crate::HALF_HOUR;
use crate::stage::{Stage, layers};

#[derive(Default)]
pub(crate) struct Mover(Mutex<Work>);

#[derive(Default)]
pub(crate) struct Work {
    pub(crate) gone: bool,
    /// Takes orders, but its answers are lost.
    mute: bool,
    refuses: bool,
    pub(crate) no_books: bool,
    pub(crate) pending: bool,
    /// The payment under way comes to its end when somebody asks about it: the next who asks hears that nothing is.
    pub(crate) ends: bool,
    jobs: BTreeMap<Scid, Job>,
    tallies: HashMap<Scid, Tally>,
    pub(crate) booked: Booked,
    /// When all of it was booked and paid, by the clock of then; `None`: just now.
    at: Option<Time>,
    paid: Paid,
    pub(crate) no_list: bool,
    pub(crate) orders: Vec<MoveOrder>,
    stopped: Vec<Scid>,
}

impl Mover {
    pub(crate) fn work(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap()
    }

    fn asked(&self) -> Result<MutexGuard<'_, Work>, NodeError> {
        let work = self.work();
        match work.gone {
            true => Err(NodeError::Unsupported { method: "sling".into(), why: "Unknown command".into() }),
            false => Ok(work),
        }
    }

    /// So many parts of the last order come across, for so many msat each; then its task is as told.
    pub(crate) fn brings(&self, parts: u64, fee: u64, task: Task) {
        let mut work = self.work();
        let order = *work.orders.last().unwrap();
        let tally = work.tallies.entry(order.to).or_default();
        tally.moved.0 += parts * order.part.0;
        tally.spent.0 += parts * fee / 1000;
        tally.successes += parts;
        work.booked.moved.0 += parts * order.part.0 * 1000;
        work.booked.spent.0 += parts * fee;
        work.booked.parts += parts;
        (work.paid.moved, work.paid.spent) = (work.booked.moved, work.booked.spent);
        work.jobs.insert(order.to, Job { channel: order.to, tasks: vec![task], standing: false });
    }
}

#[async_trait]
impl Rebalancer for Mover {
    async fn version(&self) -> Result<Option<String>, NodeError> {
        Ok((!self.work().gone).then(|| "v4.2.1".to_owned()))
    }

    async fn jobs(&self) -> Result<Vec<Job>, NodeError> {
        Ok(self.asked()?.jobs.values().cloned().collect())
    }

    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError> {
        Ok(self.asked()?.tallies.get(&channel).cloned().unwrap_or_default())
    }

    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError> {
        let mut work = self.asked()?;
        if work.refuses {
            let message = "There is already a job for that scid!".to_owned();
            return Err(NodeError::Refused { method: "sling-once".into(), code: -32700, message });
        }
        work.orders.push(*order);
        work.jobs.insert(order.to, Job { channel: order.to, tasks: vec![Task::Rebalancing], standing: false });
        match work.mute {
            true => Err(NodeError::Unreachable { method: "sling-once".into(), why: "15 s passed".into() }),
            false => Ok(()),
        }
    }

    async fn stop(&self, channel: Scid) -> Result<(), NodeError> {
        let mut work = self.asked()?;
        work.stopped.push(channel);
        work.jobs.entry(channel).and_modify(|job| job.tasks = vec![Task::Stopped]);
        Ok(())
    }

    async fn booked(&self, _: ChannelId, _: ChannelId, since: Time) -> Result<Option<Booked>, NodeError> {
        let work = self.work();
        let recent = work.at.is_none_or(|at| at >= since);
        Ok((!work.no_books).then(|| if recent { work.booked } else { Booked::default() }))
    }

    async fn paid(&self, _: Sat, since: Time) -> Result<Paid, NodeError> {
        let work = self.work();
        match work.no_list {
            true => Err(NodeError::Unreachable { method: "listsendpays".into(), why: "15 s passed".into() }),
            false if work.at.is_some_and(|at| at < since) => Ok(Paid::default()),
            false => Ok(work.paid),
        }
    }

    async fn pending(&self, _: ChannelId, _: ChannelId) -> Result<bool, NodeError> {
        let mut work = self.work();
        let pending = work.pending;
        if std::mem::take(&mut work.ends) {
            work.pending = false;
        }
        Ok(pending)
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        vec![]
    }
}

pub(crate) struct Story {
    pub(crate) stage: Stage,
    pub(crate) mover: Arc<Mover>,
    pub(crate) from: Scid,
    pub(crate) to: Scid,
}

/// A node that has been watched for a day, with somebody who moves; the fullest channel and the emptiest.
pub(crate) async fn story(options: &[(&'static str, &str)]) -> Story {
    let mut stage = Stage::new(3, 8, options).await;
    let mover = Arc::new(Mover::default());
    stage.ops = ops(&stage, &mover, options);
    stage.hours(24.0).await;
    let mut channels = stage.node.channels().await.unwrap();
    channels.retain(|channel| channel.routes() && channel.connected);
    channels.sort_by_key(|channel| channel.spendable);
    let (to, from) = (channels.first().unwrap().scid.unwrap(), channels.last().unwrap().scid.unwrap());
    Story { stage, mover, from, to }
}

fn ops(stage: &Stage, mover: &Arc<Mover>, options: &[(&'static str, &str)]) -> Ops {
    let settings = Settings::new(layers(options)).unwrap();
    let owner = stage.node.inner.owner().clone();
    Ops::new(owner, stage.node.clone(), stage.ledger.clone(), stage.clock.clone(), settings)
        .with_rebalancer(mover.clone())
}

impl Story {
    pub(crate) fn order(&self, max_fee: u64) -> HandOrder {
        let pair = Some((self.from.to_string(), Sat(150_000)));
        HandOrder { to: self.to.to_string(), pair, max_fee: Some(Sat(max_fee)), force: true }
    }

    /// 150,000 sat in three parts, for 300 sat at most.
    pub(crate) async fn begun(&self) -> Begun {
        let begun = self.stage.ops.rebalance_by_hand(&self.order(300)).await.unwrap().1;
        self.stage.wait(HALF_HOUR);
        begun
    }

    pub(crate) async fn last(&self) -> MoveRow {
        self.stage.ledger.recent_moves(1).await.unwrap().remove(0)
    }

    pub(crate) async fn books(&self) -> (Msat, Msat) {
        let sums = self.stage.ledger.move_sums(Time(0)).await.unwrap();
        let check = self.stage.ledger.check(self.stage.clock_now()).await.unwrap();
        assert_eq!((check.problems, check.sum_of_accounts_msat), (vec![], 0));
        (sums.spent, sums.reserved)
    }

    /// A step, and whatever it began of its own is not part of the story.
    pub(crate) async fn step(&self) {
        self.stage.ops.rebalance_cycle().await.unwrap();
    }
}

/// Small parts; and the plan itself finds nothing to be worth it.
pub(crate) const QUIET: &[(&str, &str)] = &[("sling_chunk_size_sats", "50000"), ("rebalance_min_profit", "100000000")];

#[tokio::test]
async fn a_move_is_reserved_begun_and_settled_to_the_msat() {
    let story = story(QUIET).await;
    let Begun::Started(id) = story.begun().await else { panic!() };
    let row = story.last().await;
    assert_eq!((row.id, row.state, row.new.manual), (id, MoveState::Begun, true));
    let order = story.mover.work().orders[0];
    assert_eq!(
        (order.from, order.to, order.amount, order.part, order.max),
        (story.from, story.to, Sat(150_000), Sat(50_000), Ppm(2000))
    );
    let reserved = row.new.reserved;
    assert!((Msat(300_000)..Msat(301_000)).contains(&reserved), "{reserved}");
    assert_eq!(story.books().await, (Msat(0), reserved));
    story.step().await;
    assert_eq!(story.last().await.state, MoveState::Begun, "it is still at work");

    story.mover.brings(3, 1_004, Task::Balanced);
    story.mover.work().pending = true;
    story.step().await;
    assert_eq!(story.books().await, (Msat(0), reserved), "a payment under way may still cost something");
    story.mover.work().pending = false;
    story.step().await;
    let end = story.last().await.ended.unwrap();
    assert_eq!((end.moved, end.spent, end.failure), (Msat(150_000_000), Msat(3_012), None));
    assert_eq!(story.books().await, (Msat(3_012), Msat(0)));
    story.step().await;
    assert_eq!(story.books().await, (Msat(3_012), Msat(0)), "once is enough");
    assert_eq!(story.mover.work().orders.len(), 1);
}

#[tokio::test]
async fn what_leads_nowhere_is_stopped_and_pays_for_what_came() {
    let story = story(QUIET).await;
    story.begun().await;
    story.mover.brings(1, 2_500, Task::NoCheapRoute);
    story.step().await;
    assert_eq!((story.last().await.state, story.mover.work().stopped.clone()), (MoveState::Closed, vec![story.to]));
    let end = story.last().await.ended.unwrap();
    assert_eq!((end.moved, end.spent, end.failure), (Msat(50_000_000), Msat(2_500), Some(MoveFailure::TooDear)));
    assert_eq!(story.books().await, (Msat(2_500), Msat(0)));
    // And then one of the other parts came through after all.
    story.mover.brings(1, 2_500, Task::Stopped);
    story.step().await;
    story.step().await;
    assert_eq!(story.books().await, (Msat(5_000), Msat(0)));
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_again() {
    let mut story = story(QUIET).await;
    story.mover.work().mute = true;
    assert!(matches!(story.begun().await, Begun::Unheard(_)));
    assert_eq!(story.last().await.state, MoveState::Reserved);
    let again = story.stage.ops.rebalance_by_hand(&story.order(300)).await;
    assert!(matches!(again, Err(OrderError::Caller(_))), "it is not ordered a second time");
    // Another life: the ledger is all that is left of the first.
    story.stage.ops = ops(&story.stage, &story.mover, QUIET);
    story.mover.brings(3, 1_000, Task::Balanced);
    story.step().await;
    assert_eq!(story.books().await, (Msat(3_000), Msat(0)));
}

#[tokio::test]
async fn a_refused_order_costs_nothing() {
    let story = story(QUIET).await;
    story.mover.work().refuses = true;
    let Begun::Refused(why) = story.begun().await else { panic!() };
    assert!(why.contains("already a job"), "{why}");
    assert_eq!(story.last().await.ended.unwrap().failure, Some(MoveFailure::Refused));
    assert_eq!(story.books().await, (Msat(0), Msat(0)));
}

#[tokio::test]
async fn a_job_of_somebody_else_is_never_touched() {
    let story = story(QUIET).await;
    let theirs = Job { channel: story.to, tasks: vec![Task::NoRoutes], standing: true };
    story.mover.work().jobs.insert(story.to, theirs.clone());
    let refused = story.stage.ops.rebalance_by_hand(&story.order(300)).await.unwrap_err().to_string();
    assert!(refused.contains("not ours"), "{refused}");
    for _ in 0..4 {
        story.stage.wait(6.0);
        story.step().await;
    }
    let cleared = story.stage.ops.clear_reservations().await.unwrap();
    let work = story.mover.work();
    assert_eq!((cleared.moves, work.stopped.len(), work.orders.len()), (0, 0, 0));
    assert_eq!(work.jobs[&story.to], theirs);
}

/// Nobody heard whether it was begun, nothing was seen of it, and then it was.
#[tokio::test]
async fn a_move_that_was_given_up_and_goes_on_is_stopped_and_paid_for() {
    let story = story(QUIET).await;
    story.mover.work().mute = true;
    assert!(matches!(story.begun().await, Begun::Unheard(_)));
    story.mover.work().jobs.clear();
    story.step().await;
    assert_eq!(story.last().await.ended.unwrap().failure, Some(MoveFailure::Lost));
    story.mover.brings(1, 2_500, Task::Rebalancing);
    story.step().await;
    assert_eq!(story.mover.work().stopped, [story.to]);
    story.step().await;
    assert_eq!(story.books().await, (Msat(2_500), Msat(0)));
    // What somebody else ordered once, on a channel where nothing of ours was lost, goes on.
    let theirs = Job { channel: story.from, tasks: vec![Task::NoRoutes], standing: false };
    story.mover.work().jobs.insert(story.from, theirs);
    story.step().await;
    assert_eq!(story.mover.work().stopped, [story.to]);
}

/// With sling its tasks are gone. What is at work afterwards is not ours, also where the last that was heard of a move of ours was nothing.
#[tokio::test]
async fn what_somebody_orders_where_a_move_of_ours_was_dropped_goes_on() {
    let story = story(QUIET).await;
    story.begun().await;
    (story.mover.work().gone, story.mover.work().jobs) = (true, BTreeMap::new());
    story.step().await;
    assert_eq!(story.last().await.ended.unwrap().failure, Some(MoveFailure::Dropped));
    story.mover.work().gone = false;
    let theirs = Job { channel: story.to, tasks: vec![Task::Rebalancing], standing: false };
    story.mover.work().jobs.insert(story.to, theirs);
    for _ in 0..4 {
        story.stage.wait(1.0);
        story.step().await;
    }
    assert!(story.mover.work().stopped.is_empty());
}

/// The order was given at noon, and then it was eleven o'clock once more.
#[tokio::test]
async fn a_clock_that_is_set_back_hides_no_cost() {
    let story = story(QUIET).await;
    story.begun().await;
    let ordered = story.last().await.new.at;
    story.stage.clock.set(ordered.plus_hours(-1.0));
    story.mover.brings(2, 39_301, Task::Balanced);
    story.mover.work().at = Some(story.stage.clock_now());
    for _ in 0..6 {
        story.stage.wait(HALF_HOUR);
        story.step().await;
    }
    let end = story.last().await.ended.unwrap();
    assert_eq!((end.moved, end.spent), (Msat(100_000_000), Msat(78_602)));
    assert_eq!(story.books().await, (Msat(78_602), Msat(0)));
}

#[tokio::test]
async fn a_channel_where_all_was_over_before_it_was_stopped_is_filled_again() {
    let story = story(QUIET).await;
    let over = |tasks: Vec<Task>| Job { channel: story.to, tasks, standing: false };
    let pending = over(vec![Task::Stopping, Task::Rebalancing]);
    story.mover.work().jobs.insert(story.to, pending);
    assert!(story.stage.ops.rebalance_by_hand(&story.order(300)).await.is_err(), "somebody is at work there");
    story.mover.work().jobs.insert(story.to, over(vec![Task::Stopping]));
    assert!(matches!(story.begun().await, Begun::Started(_)));
}

#[tokio::test]
async fn force_is_not_a_budget() {
    let story = story(&[("daily_budget_sats", "200"), ("proportional_budget", "false"), QUIET[0], QUIET[1]]).await;
    let refused = story.stage.ops.rebalance_by_hand(&story.order(300)).await.unwrap_err().to_string();
    assert!(refused.contains("of the budget is left"), "{refused}");
    let begun = story.stage.ops.rebalance_by_hand(&story.order(120)).await.unwrap().1;
    assert!(matches!(begun, Begun::Started(_)));
    assert_eq!(story.mover.work().orders.len(), 1);
}

#[tokio::test]
async fn without_sling_there_is_a_plan_and_a_sentence() {
    let story = story(QUIET).await;
    story.begun().await;
    story.mover.work().gone = true;
    let report = story.stage.ops.rebalance_cycle().await.unwrap();
    assert_eq!(report.rebalancer, Presence::Missing);
    assert!(!report.plan.refused.is_empty() && report.begun.is_empty());
    let warnings = story.stage.ops.status().await.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("sling is not loaded")), "{warnings:?}");
    // The books of the node told what became of the move that was under way.
    assert_eq!(story.last().await.ended.unwrap().failure, Some(MoveFailure::Dropped));
    let by_hand = story.stage.ops.rebalance_by_hand(&story.order(300)).await.unwrap_err().to_string();
    assert!(by_hand.contains("sling is not loaded") || by_hand.contains("has failed"), "{by_hand}");
    story.mover.work().gone = false;
    story.step().await;
    let warnings = story.stage.ops.status().await.unwrap().warnings;
    assert!(!warnings.iter().any(|warning| warning.contains("sling")), "{warnings:?}");
}

#[tokio::test]
async fn where_the_node_keeps_no_books_its_list_of_payments_tells() {
    let story = story(QUIET).await;
    story.begun().await;
    story.mover.brings(1, 2_500, Task::Rebalancing);
    (story.mover.work().gone, story.mover.work().no_books) = (true, true);
    story.step().await;
    let end = story.last().await.ended.unwrap();
    assert_eq!((end.moved, end.spent, end.failure), (Msat(50_000_000), Msat(2_500), Some(MoveFailure::Dropped)));
    assert_eq!(story.books().await, (Msat(2_500), Msat(0)));
}

#[tokio::test]
async fn what_sling_and_the_node_do_not_agree_on_is_shown_with_both_numbers() {
    let story = story(QUIET).await;
    story.begun().await;
    story.mover.brings(3, 1_004, Task::Balanced);
    // A fourth that never was, and ten times the fees.
    *story.mover.work().tallies.get_mut(&story.to).unwrap() =
        Tally { moved: Sat(200_000), spent: Sat(40), successes: 4, ..Tally::default() };
    story.step().await;
    assert_eq!(story.books().await, (Msat(3_012), Msat(0)));
    let found = story.stage.ops.move_differences();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].told, found[0].settled), ((Sat(200_000), Sat(40)), (Msat(150_000_000), Msat(3_012))));
    let said = "sling counts 200000 sat for 40 sat; settled by the node's books: 150000000 msat for 3012 msat";
    assert_eq!(found[0].to_string(), said);
}

#[tokio::test]
async fn in_a_dry_run_nothing_is_ordered() {
    let story = story(&[("dry_run", "true"), QUIET[0]]).await;
    let (made, begun) = story.stage.ops.rebalance_by_hand(&story.order(300)).await.unwrap();
    assert_eq!((begun, made.order.amount), (Begun::Dry, Sat(150_000)));
    story.step().await;
    assert!(story.mover.work().orders.is_empty());
    assert_eq!(story.books().await, (Msat(0), Msat(0)));
}

/// What the options switch on reaches the plan.
#[tokio::test]
async fn the_kelly_criterion_stakes_less_where_it_is_enabled() {
    let planned = async |more: &[(&'static str, &'static str)]| {
        let options = [("inbound_fee_estimate_ppm", "0"), ("daily_budget_sats", "1000000"), ("dry_run", "true")];
        let story = story(&[&options, more].concat()).await;
        story.stage.node.inner.set_all(Ppm(4000));
        let plan = story.stage.ops.rebalance_cycle().await.unwrap().plan.clone();
        plan.moves.into_iter().map(|made| (made.to, made.order.amount)).collect::<BTreeMap<_, _>>()
    };
    let plain = planned(&[]).await;
    let staked = planned(&[("enable_kelly", "true"), ("kelly_fraction", "0.3")]).await;
    assert!(!plain.is_empty() && plain.keys().eq(staked.keys()), "{plain:?} {staked:?}");
    assert!(plain.values().zip(staked.values()).all(|(all, less)| less < all), "{plain:?} {staked:?}");
}

#[tokio::test]
async fn the_plan_begins_what_is_worth_its_cost_and_waits_for_it() {
    let story = story(&[("inbound_fee_estimate_ppm", "0"), ("daily_budget_sats", "100000")]).await;
    // What is wanted is dear, so that nearly every way to it pays.
    story.stage.node.inner.set_all(Ppm(4000));
    let report = story.stage.ops.rebalance_cycle().await.unwrap();
    assert!(!report.plan.moves.is_empty(), "{}", report.plan);
    assert_eq!(report.begun.len(), report.plan.moves.len());
    assert!(report.begun.iter().all(|begun| matches!(begun, Begun::Started(_))), "{:?}", report.begun);
    let reserved: Msat = report.plan.moves.iter().map(|made| made.reserved).sum();
    assert_eq!(story.books().await, (Msat(0), reserved));
    let orders = story.mover.work().orders.clone();
    let again = story.stage.ops.rebalance_cycle().await.unwrap();
    for made in &again.plan.moves {
        assert!(orders.iter().all(|order| order.to != made.order.to && order.from != made.order.from));
    }
    assert_eq!(again.budget.reserved, reserved);
    assert_eq!(story.stage.ops.last_rebalance().unwrap().at, again.at);
}
