//! Killed at every point of a move's life, and begun again: what the ledger says was spent is what the network took, to the msat, and no
//! day has cost more than the budget. A kill falls before or after any word to the rebalancer, which is between any two writes. Whatever the
//! rebalancer's own statistics say changes nothing of that while the node keeps books.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use cl_revenue_ops::domain::{Booked, ChannelId, Clock as _, Job, MoveOrder, Msat, Paid, Ppm, Sat, Scid, Tally, Time};
use cl_revenue_ops::ledger::{Ledger, MoveRow};
use cl_revenue_ops::node::{BreakerReport, Node as _, NodeError, Rebalancer};
use cl_revenue_ops::ops::{HandOrder, Ops, Settings};
use cl_revenue_ops::sim::mover::Lie;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use crate::stage::{Stage, layers};

const SEEDS: u64 = 200;
const LYING_SEEDS: u64 = 60;
const LIVES: u32 = 6;
const STEPS: u32 = 6;
const LIMIT: Msat = Msat(400_000);

/// The way to the rebalancer, until its user dies.
struct Mortal {
    stage: Arc<Stage>,
    breaths: AtomicI64,
    /// The last word is still heard, and its answer is not.
    heard: bool,
    dead: Notify,
    books: bool,
}

impl Mortal {
    /// Answers whether the word is heard; after the last one nobody is there any more.
    async fn breathes(&self) -> bool {
        let left = self.breaths.fetch_sub(1, Ordering::SeqCst);
        if left <= 0 && !self.heard {
            self.die().await;
        }
        left > 0
    }

    async fn die(&self) {
        self.dead.notify_one();
        std::future::pending::<()>().await;
    }

    async fn says<T>(&self, word: impl Future<Output = T>) -> T {
        let goes_on = self.breathes().await;
        let answer = word.await;
        if !goes_on {
            self.die().await;
        }
        answer
    }
}

#[async_trait]
impl Rebalancer for Mortal {
    async fn version(&self) -> Result<Option<String>, NodeError> {
        self.says(self.stage.node.inner.version()).await
    }

    async fn jobs(&self) -> Result<Vec<Job>, NodeError> {
        self.says(self.stage.node.inner.jobs()).await
    }

    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError> {
        self.says(self.stage.node.inner.tally(channel)).await
    }

    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError> {
        self.says(self.stage.node.inner.begin(order)).await
    }

    async fn stop(&self, channel: Scid) -> Result<(), NodeError> {
        self.says(self.stage.node.inner.stop(channel)).await
    }

    async fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Result<Option<Booked>, NodeError> {
        let booked = self.says(self.stage.node.inner.booked(from, to, since)).await?;
        Ok(booked.filter(|_| self.books))
    }

    async fn paid(&self, most: Sat, since: Time) -> Result<Paid, NodeError> {
        self.says(self.stage.node.inner.paid(most, since)).await
    }

    async fn pending(&self, from: ChannelId, to: ChannelId) -> Result<bool, NodeError> {
        self.says(self.stage.node.inner.pending(from, to)).await
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        vec![]
    }
}

const OPTIONS: &[(&str, &str)] = &[
    ("daily_budget_sats", "400"),
    ("proportional_budget", "false"),
    ("min_wallet_reserve", "0"),
    ("sling_chunk_size_sats", "30000"),
    ("rebalance_min_profit", "100000000"),
];

/// What the kills came upon.
#[derive(Debug, Default)]
struct Seen {
    kills: u32,
    /// With a move that was not closed.
    open: u32,
    moves: u32,
    spent: u64,
    parts: usize,
}

impl Stage {
    fn life(self: &Arc<Stage>, breaths: i64, (heard, books): (bool, bool)) -> (Ops, Arc<Mortal>) {
        let (stage, breaths, dead) = (self.clone(), AtomicI64::new(breaths), Notify::new());
        let mortal = Arc::new(Mortal { stage, breaths, heard, dead, books });
        let settings = Settings::new(layers(OPTIONS)).unwrap();
        let owner = self.node.inner.owner().clone();
        let ops = Ops::new(owner, self.node.clone(), self.ledger.clone(), self.clock.clone(), settings);
        (ops.with_rebalancer(mortal.clone()), mortal)
    }

    /// A channel that is rich, one that is poor, and a fee for which a way may be found or not.
    async fn wish(&self, dice: &mut ChaCha8Rng) -> HandOrder {
        let mut channels = self.node.channels().await.unwrap();
        channels.retain(|channel| channel.routes() && channel.connected);
        channels.sort_by_key(|channel| channel.spendable);
        let half = channels.len() / 2;
        let to = channels[dice.random_range(0..half)].scid.unwrap().to_string();
        let from = channels[dice.random_range(half..channels.len())].scid.unwrap().to_string();
        let amount = Sat(30_000 * dice.random_range(1..5));
        HandOrder { to, pair: Some((from, amount)), max_fee: Some(Sat(dice.random_range(20..200))), force: true }
    }

    async fn lives(self: &Arc<Stage>, books: bool, dice: &mut ChaCha8Rng, seen: &mut Seen) {
        let (ops, mortal) = self.life(dice.random_range(1..60), (dice.random_bool(0.5), books));
        for _ in 0..STEPS {
            self.wait(dice.random_range(0.001..0.4));
            if dice.random_bool(0.1) {
                // sling is unloaded, or loaded again: its tasks are gone, its payments are not.
                let mut mover = self.node.inner.mover();
                let mover = mover.as_mut().unwrap();
                mover.set_present(!mover.is_present());
            }
            let wish = self.wish(dice).await;
            let by_hand = dice.random_bool(0.7);
            let step = async {
                if by_hand { drop(ops.rebalance_by_hand(&wish).await) } else { drop(ops.rebalance_cycle().await) }
            };
            tokio::select! {
                () = mortal.dead.notified() => {
                    seen.kills += 1;
                    seen.open += u32::from(!self.ledger.open_moves().await.unwrap().is_empty());
                    return;
                }
                () = step => {}
            }
        }
    }

    /// Nobody dies any more, and sling is there: everything comes to its end.
    async fn ends(self: &Arc<Stage>, books: bool) {
        self.node.inner.mover().as_mut().unwrap().set_present(true);
        let (ops, _) = self.life(i64::MAX, (true, books));
        for _ in 0..20 {
            self.wait(0.7);
            ops.rebalance_cycle().await.unwrap();
        }
        assert!(self.ledger.open_moves().await.unwrap().is_empty());
        assert!(self.node.inner.mover().as_ref().unwrap().flying().is_empty());
    }

    /// All that the network took.
    fn taken(&self) -> Msat {
        self.node.inner.mover().as_ref().unwrap().spent()
    }

    /// The most that the network took in any 24 hours.
    fn dearest_day(&self) -> Msat {
        let mover = self.node.inner.mover();
        let came: Vec<_> = mover.as_ref().unwrap().parts().iter().filter(|part| part.came).cloned().collect();
        let day = |last: Time| {
            came.iter().filter(|p| p.until <= last && last.hours_since(p.until) < 24.0).map(|p| p.fee).sum::<Msat>()
        };
        came.iter().map(|part| day(part.until)).max().unwrap_or_default()
    }
}

/// A few lives, each cut short, and one that is not.
async fn play(seed: u64, (books, lie): (bool, Option<Lie>), seen: &mut Seen) -> Arc<Stage> {
    let stage = Stage::new(seed % 7 + 1, 8, OPTIONS).await;
    stage.node.inner.bring_mover();
    stage.node.inner.mover().as_mut().unwrap().set_lie(lie);
    stage.node.inner.set_all(Ppm(1_000));
    stage.wait(24.0);
    stage.ops.flow_cycle().await.unwrap();
    let stage = Arc::new(stage);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..LIVES {
        stage.lives(books, &mut dice, seen).await;
    }
    stage.ends(books).await;
    let check = stage.ledger.check(stage.clock.now()).await.unwrap();
    assert_eq!((check.problems, check.sum_of_accounts_msat), (vec![], 0), "seed {seed}");
    let dearest = stage.dearest_day();
    assert!(dearest <= LIMIT, "seed {seed}, {lie:?}: {dearest} in a day");
    count(&stage.ledger, seen).await;
    seen.spent += stage.taken().0;
    seen.parts += stage.node.inner.mover().as_ref().unwrap().parts().len();
    stage
}

#[tokio::test]
async fn two_hundred_lives_cut_short_spend_what_the_books_say() {
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        let stage = play(seed, (true, None), &mut seen).await;
        let sums = stage.ledger.move_sums(Time(0)).await.unwrap();
        assert_eq!((sums.spent, sums.reserved), (stage.taken(), Msat(0)), "seed {seed}");
    }
    eprintln!("{seen:?}");
    assert!(
        seen.kills > 300 && seen.open > 50 && seen.moves > 300 && seen.parts > 300,
        "too little happened: {seen:?}"
    );
}

#[tokio::test]
async fn lies_change_nothing_of_what_the_books_say() {
    let mut seen = Seen::default();
    for (seed, lie) in (0..LYING_SEEDS).zip(Lie::ALL.into_iter().cycle()) {
        let stage = play(seed, (true, Some(lie)), &mut seen).await;
        let sums = stage.ledger.move_sums(Time(0)).await.unwrap();
        assert_eq!((sums.spent, sums.reserved), (stage.taken(), Msat(0)), "seed {seed}, {lie:?}");
    }
    eprintln!("{seen:?}");
    assert!(seen.open > 15 && seen.moves > 100 && seen.parts > 100, "too little happened: {seen:?}");
}

/// The node's list of payments does not say whose they were, where several moves are under way: then the statistics are all there is.
#[tokio::test]
async fn without_books_no_lie_frees_more_than_was_reserved() {
    let mut seen = Seen::default();
    let lies = Lie::ALL.into_iter().map(Some).chain([None]).cycle();
    for (seed, lie) in (0..LYING_SEEDS).zip(lies) {
        let stage = play(seed, (false, lie), &mut seen).await;
        let sums = stage.ledger.move_sums(Time(0)).await.unwrap();
        let moves = stage.ledger.recent_moves(1_000).await.unwrap();
        let reserved: Msat = moves.iter().map(|row| row.new.reserved).sum();
        assert!(sums.reserved == Msat(0) && sums.spent <= reserved, "seed {seed}, {lie:?}: {sums:?}");
        let spent = |row: &MoveRow| row.ended.is_some_and(|end| end.spent <= row.new.reserved);
        assert!(moves.iter().all(spent), "seed {seed}, {lie:?}");
        if !matches!(lie, Some(Lie::LeavesOut | Lie::Understates)) {
            assert!(sums.spent >= stage.taken(), "seed {seed}, {lie:?}: {} of {}", sums.spent, stage.taken());
        }
    }
    eprintln!("{seen:?}");
}

async fn count(ledger: &Ledger, seen: &mut Seen) {
    seen.moves += u32::try_from(ledger.recent_moves(1_000).await.unwrap().len()).unwrap();
}
