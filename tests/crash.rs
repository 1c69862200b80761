//! `kill -9` at any moment costs nothing but time: a plugin that is killed again and again, while it opens its ledger, reads the
//! node's past, analyses and prices, ends up with the ledger of one that was left in peace. (What a power failure leaves on a
//! disk is SQLite's business, and is not played here.)
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "crash/books.rs"]
mod books;
#[path = "crash/moves.rs"]
mod moves;
#[path = "crash/node.rs"]
mod node;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use books::{Change, State};
use node::{Fees, Listed, Plugin, Sim};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const KILLS: u32 = 50;
/// From this kill on the whole past has been read: the second half goes to the cycles.
const HALF: u32 = KILLS / 2;
const SEED: u64 = 7;
/// Time of the market between two kills: there is always something new.
const STEP_SECS: u64 = 900;
const HISTORY_DAYS: u32 = 120;
/// The fee that the undisturbed lives demand.
const FEE_PPM: u32 = 100;
/// So many kills go to the making of the ledger.
const FIRST: u32 = 6;

/// Before which kill what happens to which channel. Not both to one: a node that has closed a channel no longer knows the scids
/// that it had before a splice, so that only a witness can tell whose they were.
const ORDERS: [(u32, &str, usize); 4] =
    [(12, "sim-splice", 0), (18, "sim-close", 1), (33, "sim-splice", 2), (38, "sim-close", 3)];

/// What the plugin was about when it was killed, by what it had written in that life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// There is no ledger yet, or an empty one.
    Making,
    /// Nothing written: starting, opening the ledger, or before the first news.
    Opening,
    /// Some pages of the past, but not all.
    Backfill,
    /// The list is read: naming old channels, or in the flow cycle.
    FlowCycle,
    /// Analysed, not yet priced: in the first fee cycle.
    FirstFeeCycle,
    /// Priced: in or between later cycles.
    LaterCycles,
}

/// What the kills did.
#[derive(Debug, Default)]
struct Tally {
    phases: BTreeMap<Phase, u32>,
    /// Kills between an order and its outcome.
    unheard: u32,
    changes: usize,
}

#[tokio::test]
async fn fifty_kills_leave_the_ledger_of_an_undisturbed_run() {
    let sim = Sim::start(&market());
    let past = sim.listed();
    let owner = sim.identity();
    let channels: Vec<String> = sim.fees().into_keys().collect();
    let ledger = sim.dir().join("disturbed.db");
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let mut tally = Tally::default();
    let mut before = State::default();
    for kill in 0..KILLS {
        let fees = sim.fees();
        live_and_die(&sim, &channels, kill, &mut dice);
        let after = books::state_of(&ledger, &owner).await;
        tally.count(&before, &after, past, (&fees, &sim.fees()));
        before = after;
    }
    eprintln!("{past:?} were there at the start, {:?} at the end; {tally:#?}", sim.listed());

    let peaceful = sim.dir().join("undisturbed.db");
    for path in [&ledger, &peaceful] {
        let plugin = sim.start_plugin(path, FEE_PPM);
        plugin.until("the last cycles", |status| cycles(status) >= 2);
        plugin.stop();
        books::examine(path, &owner).await;
    }
    let differences = books::differences(&books::dump(&ledger).await, &books::dump(&peaceful).await);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(books::forwards(&ledger).await, listed_forwards(&sim), "the ledger has what the node lists");
    assert!(before.has_read(past), "the past was never read to its end");
    tally.must_have_hit_everything();
}

/// The market begins in the past and ends about now: the plugin's clock is the machine's.
fn market() -> Vec<String> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let start = now - STEP_SECS * (u64::from(KILLS) + 4);
    let set = [("speed", 0), ("start", start), ("history-days", HISTORY_DAYS.into()), ("channels", 24), ("seed", SEED)];
    set.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

/// One life. The first ones and every fifth one end while they begin; the others end some time after they are open, or, in the second half, after
/// they have read the node's list: at any moment, or within 4 ms from the end of a transaction.
fn live_and_die(sim: &Sim, channels: &[String], kill: u32, dice: &mut ChaCha8Rng) {
    let (early, delay) = (dice.random_bool(0.2) || kill < FIRST, dice.random_range(0..200));
    let fee_ppm = dice.random_range(100..3000);
    let awake = dice.random_bool(0.5);
    let at_write = dice.random_bool(0.6).then(|| dice.random_range(0..4_000));
    let ledger = sim.dir().join("disturbed.db");
    let advance = || drop(sim.must("sim-advance", &json!([STEP_SECS])));
    if let Some((_, order, channel)) = ORDERS.iter().find(|(when, ..)| *when == kill) {
        sim.must(order, &json!([channels[*channel]]));
    }
    if !awake {
        advance();
    }
    let plugin: Plugin<'_> = sim.start_plugin(&ledger, fee_ppm);
    if awake {
        // Half of the news come as notifications as well, all at once.
        advance();
    }
    if early {
        sleep(Duration::from_millis(if kill < FIRST { u64::from(kill) * 2 } else { delay / 5 }));
        return plugin.kill();
    }
    let late = kill >= HALF;
    let is_open = |status: &Value| status["node"]["id"].is_string();
    plugin.until("the ledger", |status| if late { status["status"] == "running" } else { is_open(status) });
    if late && awake {
        // More fee cycles than the timers would give.
        sim.must("revenue-wake-all", &json!([]));
    }
    // The first cycles follow at once; an order to wake was the first fee cycle.
    sleep(Duration::from_millis(if late && !awake { delay / 3 } else { delay }));
    if let Some(micros) = at_write {
        plugin.until_written(&ledger);
        sleep(Duration::from_micros(micros));
    }
    plugin.kill();
}

/// How often both cycles have run, if nothing failed.
fn cycles(status: &Value) -> u64 {
    let jobs = &status["jobs"];
    for job in ["sync", "flow", "fees"] {
        assert!(jobs[job]["failures"].as_u64().unwrap_or(0) == 0, "{jobs}");
    }
    let runs = |job: &str| jobs[job]["runs"].as_u64().unwrap_or(0);
    runs("flow").min(runs("fees"))
}

/// All forwards, the settled ones, and their fees, as the node lists them.
fn listed_forwards(sim: &Sim) -> (i64, i64, i64) {
    let answer = sim.must("listforwards", &json!({}));
    let all = answer["forwards"].as_array().unwrap();
    let settled = || all.iter().filter(|forward| forward["status"] == "settled");
    let fees = settled().map(|forward| forward["fee_msat"].as_i64().unwrap()).sum();
    (i64::try_from(all.len()).unwrap(), i64::try_from(settled().count()).unwrap(), fees)
}

impl Tally {
    fn count(&mut self, before: &State, after: &State, past: Listed, fees: (&Fees, &Fees)) {
        let phase = if !after.made {
            Phase::Making
        } else if before.made && before == after {
            Phase::Opening
        } else if !after.has_read(past) {
            Phase::Backfill
        } else if before.analysed_at == after.analysed_at {
            Phase::FlowCycle
        } else if before.decided_at == after.decided_at {
            Phase::FirstFeeCycle
        } else {
            Phase::LaterCycles
        };
        *self.phases.entry(phase).or_default() += 1;
        assert!(
            after.created >= before.created && after.updated >= before.updated,
            "{before:?} went back to {after:?}"
        );
        let known = before.changes.len();
        assert!(after.changes.len() >= known, "orders were lost");
        for (was, is) in before.changes.iter().zip(&after.changes) {
            let heard = Change { made: was.made.or(is.made), ..was.clone() };
            assert_eq!(is, &heard, "an order was changed after the fact");
        }
        let news = &after.changes[known..];
        self.changes += news.len();
        fees.1.iter().for_each(|(channel, fee)| must_be_on_record(channel, *fee, news, fees.0));
        self.unheard += u32::from(news.iter().any(|change| change.made.is_none()));
    }

    fn must_have_hit_everything(&self) {
        let hits = |phase: Phase| self.phases.get(&phase).copied().unwrap_or(0);
        let cycles = hits(Phase::FlowCycle) + hits(Phase::FirstFeeCycle) + hits(Phase::LaterCycles);
        assert!(hits(Phase::Making) + hits(Phase::Opening) >= 1, "no kill hit the opening");
        assert!(hits(Phase::Backfill) >= 3, "too few kills hit the backfill");
        assert!(cycles >= 5, "too few kills hit the cycles");
        assert!(self.changes >= 100, "the fees hardly moved");
    }
}

/// Every fee that the node has was ordered, and is on record; and what is on record as made, the node did.
fn must_be_on_record(channel: &str, fee: u32, news: &[Change], before: &Fees) {
    let mut possible = vec![before.get(channel).copied()];
    for change in news.iter().filter(|change| change.channel == channel) {
        assert!(
            possible.contains(&Some(change.old)),
            "{channel}: the node did not have the fee that {change:?} starts from"
        );
        possible = match change.made {
            Some(true) => vec![Some(change.new)],
            Some(false) => vec![Some(change.old)],
            None => vec![Some(change.old), Some(change.new)],
        };
    }
    assert!(possible.contains(&Some(fee)), "{channel}: nobody recorded {fee} ppm; the ledger knows of {possible:?}");
}
