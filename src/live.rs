//! The timers: wake, call a step, log what broke, stop when told. The only place that waits for time to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::domain::{ChannelState, Forward, Time};
use crate::node::{NodeError, NodeEvent, cln_wire};
use crate::ops::{Job, Ops};
use crate::options::Options;

/// Notifications that are kept until the ledger has taken them; what does not fit is read from the node's list later.
const INBOX: usize = 10_000;
/// Notifications that go into the ledger together.
const BATCH: usize = 256;
/// From the start to the first flow analysis; the first fee cycle follows it.
const FIRST_FLOW_SECS: u64 = 5;
/// To the first reading of the node's books: fees come first.
const FIRST_BOOKS_SECS: u64 = 10;
/// After a failed or an incomplete reading of the node's list.
const READ_AGAIN_SECS: u64 = 60;
/// Between two readings of the node's books; what happens to channels asks for one in between.
const BOOKS_SECS: u64 = 3600;
/// Least time between two fee cycles that channel events asked for, and how long the first one waits for more of them.
const BETWEEN_ASKED_SECS: u64 = 60;
const ASKED_SECS: u64 = 2;
/// Between two looks at whether the rule file has changed.
const RULES_LOOK_SECS: f64 = 15.0;
/// A policy that will end is looked at this often, should the clock be set meanwhile.
const LONGEST_WAIT_HOURS: f64 = 1.0;
/// Each wait is shorter or longer by up to this part of it, so that nodes do not act in step.
const JITTER: f64 = 0.2;

/// How fast time passes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    scale: f64,
}

impl Pace {
    pub fn new(scale: Option<f64>) -> Pace {
        if let Some(scale) = scale {
            tracing::warn!("time passes {scale} times as fast as usual, as the environment demands");
        }
        Pace { scale: scale.unwrap_or(1.0) }
    }

    fn secs(self, secs: f64) -> Duration {
        Duration::from_secs_f64((secs / self.scale).max(0.001))
    }
}

/// Pauses between tries, each twice as long as the one before.
#[derive(Debug)]
pub struct Backoff {
    pace: Pace,
    secs: f64,
}

impl Backoff {
    pub fn new(pace: Pace) -> Backoff {
        Backoff { pace, secs: 0.5 }
    }

    pub async fn wait(&mut self) {
        wait(self.pace.secs(self.secs)).await;
        self.secs = (self.secs * 2.0).min(30.0);
    }
}

/// What lightningd told us, in the order in which it did.
#[derive(Debug)]
pub enum Event {
    Forward(Forward),
    Channel(NodeEvent),
}

/// Takes notifications in without ever waiting.
#[derive(Clone, Debug)]
pub struct Inbox {
    events: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
}

pub fn inbox() -> (Inbox, mpsc::Receiver<Event>) {
    let (events, receiver) = mpsc::channel(INBOX);
    (Inbox { events, lost: Arc::default() }, receiver)
}

impl Inbox {
    pub fn take(&self, topic: &str, params: &Value) {
        let event = match parse(topic, params) {
            Ok(event) => event,
            Err(error) => return tracing::warn!("a notification is left out: {error}"),
        };
        match self.events.try_send(event) {
            Ok(()) => {
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!("{lost} notifications did not fit; the next step reads them from the node's list");
                }
            }
            Err(_) => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

fn parse(topic: &str, params: &Value) -> Result<Event, NodeError> {
    match topic {
        "forward_event" => cln_wire::forward_event(params).map(Event::Forward),
        _ => cln_wire::channel_event(topic, params).map(Event::Channel),
    }
}

/// Runs until it is dropped, or nobody can send events any more.
pub async fn run(ops: Arc<Ops>, pace: Pace, events: mpsc::Receiver<Event>) {
    let wake = Wake::default();
    tokio::select! {
        () = notices(&ops, events, &wake) => {}
        () = timers(&ops, pace, &wake) => {}
        () = watch_rules(&ops, pace, &wake.fees) => {}
    }
}

/// What events ask for.
#[derive(Debug, Default)]
struct Wake {
    fees: Notify,
    books: Notify,
}

/// Lets the last lines of the log reach lightningd.
pub async fn last_words() {
    wait(Duration::from_millis(50)).await;
}

/// The one task that takes events to the ledger, many at a time.
async fn notices(ops: &Arc<Ops>, mut events: mpsc::Receiver<Event>, wake: &Wake) {
    let mut batch = Vec::with_capacity(BATCH);
    while events.recv_many(&mut batch, BATCH).await > 0 {
        let mut forwards = Vec::with_capacity(batch.len());
        for event in batch.drain(..) {
            match event {
                Event::Forward(forward) => forwards.push(forward),
                Event::Channel(event) => {
                    if asks_for_fees(&event) {
                        wake.fees.notify_one();
                    }
                    match ops.channel_noticed(&event).await {
                        Ok(true) => wake.books.notify_one(),
                        Ok(false) => {}
                        Err(error) => tracing::warn!("a channel's life is known from the node's list only: {error:#}"),
                    }
                    tell_hive(ops, event);
                }
            }
        }
        if forwards.is_empty() {
            continue;
        }
        if let Err(error) = ops.forwards_noticed(&forwards).await {
            tracing::warn!("{} forwards wait for the node's list to be read again: {error:#}", forwards.len());
        }
    }
}

/// Nobody waits for cl-hive.
fn tell_hive(ops: &Arc<Ops>, event: NodeEvent) {
    let own = ops.clone();
    tokio::spawn(async move {
        if let Err(error) = own.tell_hive(&event).await {
            tracing::warn!("cl-hive does not know of what happened to a channel: {error:#}");
        }
    });
}

/// A rule file that has changed is obeyed soon, not at the next cycle.
async fn watch_rules(ops: &Ops, pace: Pace, wake: &Notify) {
    loop {
        wait(pace.secs(RULES_LOOK_SECS)).await;
        if ops.rules_have_changed() {
            wake.notify_one();
        }
    }
}

/// A channel that has just begun to route has no fee of ours yet.
fn asks_for_fees(event: &NodeEvent) -> bool {
    match event {
        NodeEvent::ChannelOpened { .. } => true,
        NodeEvent::ChannelStateChanged { old, new, .. } => {
            *new == ChannelState::Normal && *old != Some(ChannelState::Normal)
        }
        NodeEvent::Connected { .. } | NodeEvent::Disconnected { .. } => false,
    }
}

/// When a job's turn comes: an interval after its last run, or when somebody asked for it.
#[derive(Debug)]
struct Timer {
    job: Job,
    last: Option<Instant>,
    asked: Option<Instant>,
    /// What the interval is multiplied with this time.
    jitter: f64,
}

impl Timer {
    fn new(job: Job, asked: Option<Instant>) -> Timer {
        Timer { job, last: None, asked, jitter: 1.0 }
    }

    fn due(&self, options: &Options, pace: Pace) -> Option<Instant> {
        let interval = match self.job {
            Job::Flow => options.flow_interval,
            Job::Fees => options.fee_interval,
            Job::Rebalance => options.rebalance_interval,
            Job::Books => BOOKS_SECS,
            // The other jobs read the list as well, so this one only makes up for what went wrong; policies end at a moment of their own.
            Job::Sync | Job::Policies => return self.asked,
        };
        let regular = self.last.map(|last| last + pace.secs(interval as f64 * self.jitter));
        self.asked.into_iter().chain(regular).min()
    }

    fn ran(&mut self, at: Instant, dice: &mut ChaCha8Rng) {
        self.last = Some(at);
        self.asked = None;
        self.jitter = dice.random_range(1.0 - JITTER..=1.0 + JITTER);
    }

    /// A moment on the machine's clock. What is over is due now, but not again and again if it cannot be done.
    fn until(&self, at: Time, now: Time, pace: Pace) -> Instant {
        let wait = pace.secs(at.hours_since(now).clamp(0.0, LONGEST_WAIT_HOURS) * 3600.0);
        match self.last.filter(|_| at <= now) {
            Some(last) => Instant::now().max(last + pace.secs(BETWEEN_ASKED_SECS as f64)),
            None => Instant::now() + wait,
        }
    }

    /// Asked by events: soon, and not more than once in a while.
    fn ask(&mut self, now: Instant, pace: Pace) {
        let soon = now + pace.secs(ASKED_SECS as f64);
        let allowed = self.last.map_or(soon, |last| last + pace.secs(BETWEEN_ASKED_SECS as f64));
        self.asked = Some(self.asked.map_or(soon.max(allowed), |asked| asked.min(soon.max(allowed))));
    }
}

/// Every job in its turn, one at a time. A change of the intervals counts from the last run on.
async fn timers(ops: &Arc<Ops>, pace: Pace, wake: &Wake) {
    let mut options = ops.options();
    let mut dice = ChaCha8Rng::seed_from_u64(ops.settings().now().seed);
    let start = Instant::now();
    let first = |job| match job {
        Job::Sync => Some(start),
        Job::Flow => Some(start + pace.secs(FIRST_FLOW_SECS as f64)),
        Job::Books => Some(start + pace.secs(FIRST_BOOKS_SECS as f64)),
        Job::Fees | Job::Policies | Job::Rebalance => None,
    };
    let mut timers = Job::ALL.map(|job| Timer::new(job, first(job)));
    let mut expiry = ops.next_expiry();
    loop {
        let now_in_force = options.borrow_and_update().clone();
        let ends = *expiry.borrow_and_update();
        let policies = &mut timers[place(Job::Policies)];
        policies.asked = ends.map(|at| policies.until(at, ops.now(), pace));
        if ops.has_unapplied() {
            // A step that failed has left them waiting, or one is under way that will decide them.
            let soon = Instant::now() + pace.secs(READ_AGAIN_SECS as f64);
            policies.asked = Some(policies.asked.map_or(soon, |at| at.min(soon)));
        }
        schedule(ops, &timers, &now_in_force, pace);
        let due = |timer: &Timer| timer.due(&now_in_force, pace);
        let next = (0..timers.len()).filter_map(|at| due(&timers[at]).map(|when| (when, at))).min();
        let Some((when, at)) = next else { return };
        tokio::select! {
            biased;
            () = wait_until(when) => {
                // Intervals count from one beginning to the next: a slow step does not make the next one late.
                let began = Instant::now();
                let ok = step(ops, timers[at].job).await;
                timers[at].ran(began, &mut dice);
                let ran = timers[at].job;
                follow(&mut timers, ran, ok, pace);
            }
            () = wake.books.notified() => timers[place(Job::Books)].ask(Instant::now(), pace),
            () = wake.fees.notified() => timers[place(Job::Fees)].ask(Instant::now(), pace),
            _ = options.changed() => {}
            Ok(()) = expiry.changed() => {}
        }
    }
}

/// Where the timer of a job is among those of all jobs.
fn place(job: Job) -> usize {
    Job::ALL.iter().take_while(|other| **other != job).count()
}

/// What one run brings about: a failed reading is tried again, the first fee cycle follows the first analysis, and the first rebalance
/// step the first fee cycle.
fn follow(timers: &mut [Timer], ran: Job, ok: bool, pace: Pace) {
    let now = Instant::now();
    let next = match ran {
        Job::Sync if !ok => return timers[place(Job::Sync)].asked = Some(now + pace.secs(READ_AGAIN_SECS as f64)),
        Job::Flow => &mut timers[place(Job::Fees)],
        Job::Fees => &mut timers[place(Job::Rebalance)],
        Job::Sync | Job::Policies | Job::Rebalance | Job::Books => return,
    };
    if next.last.is_none() {
        next.asked = Some(now);
    }
}

/// Tells `revenue-status` when each job runs next.
fn schedule(ops: &Ops, timers: &[Timer], options: &Options, pace: Pace) {
    for timer in timers {
        if let Some(due) = timer.due(options, pace) {
            let secs = due.saturating_duration_since(Instant::now()).as_secs_f64() * pace.scale;
            ops.jobs().scheduled(timer.job, ops.now().plus_hours(secs / 3600.0));
        }
    }
}

/// One step as a task of its own: if it breaks, even by a panic, the next one still comes.
async fn step(ops: &Arc<Ops>, job: Job) -> bool {
    let own = ops.clone();
    let run = tokio::spawn(async move {
        match job {
            Job::Sync => own.sync().await.map(drop),
            Job::Flow => own.flow_cycle().await.map(drop),
            Job::Fees => own.fee_cycle().await.map(drop),
            Job::Rebalance => own.rebalance_cycle().await.map(drop),
            Job::Policies => own.end_policies().await.map(drop),
            Job::Books => own.book_cycle().await,
        }
    });
    let result = run.await.unwrap_or_else(|broken| Err(anyhow::anyhow!("the step broke off: {broken}")));
    let error = result.err().map(|error| format!("{error:#}"));
    if let Some(error) = &error {
        tracing::warn!("the {} step failed, the next one comes: {error}", job.name());
    }
    let ok = error.is_none();
    ops.jobs().ran(job, ops.now(), error);
    ok
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn wait_until(when: Instant) {
    wait(when.saturating_duration_since(Instant::now())).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PeerId;

    const PACE: Pace = Pace { scale: 1.0 };

    #[test]
    fn a_job_is_due_an_interval_after_its_last_run() {
        let (now, options) = (Instant::now(), Options::default());
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut timer = Timer::new(Job::Fees, None);
        assert_eq!(timer.due(&options, PACE), None);
        for _ in 0..1000 {
            timer.ran(now, &mut dice);
            let secs = (timer.due(&options, PACE).unwrap() - now).as_secs_f64();
            assert!((1440.0..=2160.0).contains(&secs), "{secs}");
            let fast = (timer.due(&options, Pace { scale: 100.0 }).unwrap() - now).as_secs_f64();
            assert!((fast * 100.0 - secs).abs() < 0.01, "{fast}");
        }
        let shorter = Options { fee_interval: 60, ..options };
        assert!((timer.due(&shorter, PACE).unwrap() - now).as_secs() <= 72);
    }

    #[test]
    fn events_ask_for_one_fee_cycle_a_minute() {
        let now = Instant::now();
        let secs = |secs| now + Duration::from_secs(secs);
        let mut timer = Timer::new(Job::Fees, None);
        timer.ask(now, PACE);
        timer.ask(secs(1), PACE);
        assert_eq!(timer.asked, Some(secs(2)));
        timer.ran(secs(3), &mut ChaCha8Rng::seed_from_u64(1));
        timer.ask(secs(4), PACE);
        timer.ask(secs(50), PACE);
        assert_eq!(timer.asked, Some(secs(63)));
    }

    #[test]
    fn a_failed_reading_is_tried_again_and_fees_follow_the_first_analysis() {
        let mut timers = Job::ALL.map(|job| Timer::new(job, None));
        assert!(Job::ALL.iter().all(|job| timers[place(*job)].job == *job), "each job wakes its own timer");
        follow(&mut timers, Job::Sync, true, PACE);
        assert_eq!((timers[place(Job::Sync)].asked, timers[place(Job::Fees)].asked), (None, None));
        follow(&mut timers, Job::Sync, false, PACE);
        assert!(timers[place(Job::Sync)].asked.is_some());
        follow(&mut timers, Job::Flow, false, PACE);
        assert!(timers[place(Job::Fees)].asked.is_some() && timers[place(Job::Rebalance)].asked.is_none());
        follow(&mut timers, Job::Fees, true, PACE);
        assert!(timers[place(Job::Rebalance)].asked.is_some());
    }

    #[test]
    fn only_channels_that_begin_to_route_ask_for_fees() {
        let peer = PeerId([2; 33]);
        assert!(asks_for_fees(&NodeEvent::ChannelOpened { peer, capacity: None }));
        assert!(!asks_for_fees(&NodeEvent::Connected { peer }));
        assert!(!asks_for_fees(&NodeEvent::Disconnected { peer }));
    }

    #[test]
    fn a_full_inbox_never_makes_anybody_wait() {
        let (inbox, _events) = inbox();
        let params = serde_json::json!({ "connect": { "id": PeerId([2; 33]).to_string(), "direction": "out" } });
        for _ in 0..INBOX + 3 {
            inbox.take("connect", &params);
        }
        assert_eq!(inbox.lost.load(Ordering::Relaxed), 3);
        inbox.take("connect", &serde_json::json!({ "connect": {} }));
    }
}
