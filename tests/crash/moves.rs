//! `kill -9` while liquidity is moved: whatever the plugin was about, what the network has taken was reserved before, and in the end
//! the ledger says what was spent, to the msat. The rebalancer goes on meanwhile, or is gone too.

use std::path::{Path, PathBuf};
use std::thread::{scope, sleep};
use std::time::Duration;

use cl_revenue_ops::domain::{Clock as _, Identity, Msat, SystemClock, Time};
use cl_revenue_ops::ledger::{Ledger, MoveSums};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::books;
use super::node::{Sim, wait_for};

const NETWORKS: u64 = 10;
/// How much comes about between two kills is a matter of the machine's pace: so many networks are tried until it is enough.
const MOST_NETWORKS: u64 = 20;
const KILLS: u32 = 20;
/// Seconds of the market, and of the plugin, in one of ours: a payment is under way for some hundredths of a second.
const SPEED: u64 = 500;
/// Sat a day.
const BUDGET: u64 = 1_500;
/// Sat; a move has several parts, so that there is a middle.
const PART: u64 = 50_000;
/// Ways are cheap enough that many moves come across, and dear enough that some do not.
const COST_PERCENT: u32 = 20;

/// One network and the ledger of the plugin that dies there.
struct Scene {
    sim: Sim,
    ledger: PathBuf,
    owner: Identity,
}

/// What the kills came upon.
#[derive(Debug, Default)]
struct Seen {
    kills: u32,
    /// With a move that was not closed.
    open: u32,
    /// While payments were under way.
    flying: u32,
    /// After something had come across that no account was closed for.
    unbooked: u32,
    moves: usize,
    parts: usize,
}

#[tokio::test]
async fn two_hundred_kills_with_moves_under_way_cost_what_the_network_took() {
    let mut seen = Seen::default();
    for seed in 0..MOST_NETWORKS {
        if seed >= NETWORKS && seen.is_enough() {
            break;
        }
        let (scene, mut dice) = (Scene::new(seed), ChaCha8Rng::seed_from_u64(seed));
        for _ in 0..KILLS {
            scene.live_and_die(&mut dice);
            scene.examine(&mut seen).await;
        }
        scene.ends(&mut seen).await;
    }
    eprintln!("{seen:?}");
    assert!(seen.is_enough(), "too little happened: {seen:?}");
}

impl Seen {
    fn is_enough(&self) -> bool {
        self.open >= 50 && self.flying >= 20 && self.unbooked >= 10 && self.moves >= 100 && self.parts >= 150
    }
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let set = [("speed", SPEED), ("channels", 20), ("seed", seed + 1)];
        let sim = Sim::start(&set.map(|(name, value)| format!("--{name}={value}")));
        let (ledger, owner) = (sim.dir().join("moves.db"), sim.identity());
        sim.must("sim-neighbours", &json!({ "sling": true, "cost": COST_PERCENT }));
        Scene { sim, ledger, owner }
    }

    fn options(&self) -> Value {
        json!({
            "revenue-ops-db-path": self.ledger,
            "revenue-ops-daily-budget-sats": BUDGET.to_string(),
            "revenue-ops-proportional-budget": "false",
            "revenue-ops-min-wallet-reserve": "0",
            // What is ordered is looked at often, and nothing else is.
            "revenue-ops-rebalance-interval": "60",
            "revenue-ops-rebalance-min-profit": "100000000",
        })
    }

    /// Orders come, and in the middle of one of them it is over.
    fn live_and_die(&self, dice: &mut ChaCha8Rng) {
        self.sim.must("sim-neighbours", &json!({ "sling": dice.random_bool(0.9) }));
        let plugin = self.sim.start_plugin_with(&self.options());
        if dice.random_bool(0.9) {
            plugin.until("the ledger", |status| status["status"] == "running");
            let words = json!({ "action": "set", "key": "sling_chunk_size_sats", "value": PART });
            self.sim.must("revenue-config", &words);
        }
        for _ in 0..dice.random_range(0..3) {
            // What comes of it is seen later.
            let _ = self.sim.call("revenue-rebalance", &self.wish(dice));
            pause(dice);
        }
        let last = self.wish(dice);
        scope(|threads| {
            threads.spawn(|| self.sim.call("revenue-rebalance", &last));
            pause(dice);
            plugin.kill();
        });
        pause(dice);
    }

    /// A channel that is rich, one that is poor, and a fee for which a way may be found or not.
    fn wish(&self, dice: &mut ChaCha8Rng) -> Value {
        let answer = self.sim.must("listpeerchannels", &json!({}));
        let mut channels: Vec<&Value> = answer["channels"].as_array().unwrap().iter().collect();
        channels.retain(|channel| channel["state"] == "CHANNELD_NORMAL" && channel["peer_connected"] == true);
        channels.sort_by_key(|channel| channel["spendable_msat"].as_u64());
        let half = channels.len() / 2;
        let to = &channels[dice.random_range(0..half)]["short_channel_id"];
        let from = &channels[dice.random_range(half..channels.len())]["short_channel_id"];
        json!([from, to, PART * dice.random_range(1..5), dice.random_range(50..600), true])
    }

    /// What a kill left: nothing that the network has taken is without a reservation or an account.
    async fn examine(&self, seen: &mut Seen) {
        seen.kills += 1;
        if !self.ledger.exists() {
            return;
        }
        // First: a payment is over soon. What the network has taken is asked after the ledger was copied, which knows no more by then.
        seen.flying += u32::from(self.taken("pending").1 > 0);
        let (_folder, copy) = books::copy_of(&self.ledger);
        books::examine(&copy, &self.owner).await;
        let Moves { sums, in_a_day, .. } = moves(&copy, &self.owner).await;
        let (taken, _) = self.taken("complete");
        let covered = Msat(sums.spent.0 + sums.reserved.0);
        assert!(taken <= covered, "{taken} are gone, of {covered} that were reserved or booked");
        let of_day = Msat(in_a_day.spent.0 + in_a_day.reserved.0);
        assert!(of_day.0 <= BUDGET * 1000, "{of_day} of a budget of {BUDGET} sat a day");
        seen.open += u32::from(sums.open > 0);
        seen.unbooked += u32::from(taken > sums.spent);
    }

    /// What payments to ourselves have cost, and how many they were.
    fn taken(&self, status: &str) -> (Msat, usize) {
        let answer = self.sim.must("listsendpays", &json!({ "status": status }));
        let fee =
            |payment: &Value| payment["amount_sent_msat"].as_u64().unwrap() - payment["amount_msat"].as_u64().unwrap();
        let payments = answer["payments"].as_array().unwrap();
        (Msat(payments.iter().map(fee).sum()), payments.len())
    }

    /// Nobody dies any more, and the rebalancer is there: everything comes to its end.
    async fn ends(&self, seen: &mut Seen) {
        self.sim.must("sim-neighbours", &json!({ "sling": true }));
        let plugin = self.sim.start_plugin_with(&self.options());
        plugin.until("the ledger", |status| status["status"] == "running");
        wait_for("the end of the last move", || {
            self.sim.must("revenue-rebalance", &json!([]));
            let debug = self.sim.must("revenue-rebalance-debug", &json!([]));
            (debug["capital_controls"]["daily_reserved_msat"] == 0).then_some(())
        });
        plugin.stop();
        let (taken, parts) = self.taken("complete");
        let Moves { sums, count, .. } = moves(&self.ledger, &self.owner).await;
        assert_eq!((sums.spent, sums.reserved, sums.open), (taken, Msat::ZERO, 0));
        seen.moves += count;
        seen.parts += parts;
    }
}

fn pause(dice: &mut ChaCha8Rng) {
    sleep(Duration::from_micros(dice.random_range(0..100_000)));
}

/// What a ledger says of them.
struct Moves {
    count: usize,
    sums: MoveSums,
    /// In the last 24 hours of which it knows.
    in_a_day: MoveSums,
}

async fn moves(path: &Path, owner: &Identity) -> Moves {
    let ledger = Ledger::open(path, owner, SystemClock.now()).await.unwrap();
    let rows = ledger.recent_moves(1_000).await.unwrap();
    let last = rows.iter().map(|row| row.ended.map_or(row.new.at, |end| end.at)).max().unwrap_or(Time(0));
    let sums = ledger.move_sums(Time(0)).await.unwrap();
    let in_a_day = ledger.move_sums(last.plus_hours(-24.0)).await.unwrap();
    ledger.close().await;
    Moves { count: rows.len(), sums, in_a_day }
}
