//! Years of a node's life, read as the days go by with the plugin off now and then: in the end our statements are the independent sum of
//! what the node earned and paid, by channel, peer, day and window, and no day was found to differ from the bookkeeper's own statement.
#![expect(clippy::unwrap_used, reason = "a story whose scene cannot be set is broken")]

#[path = "years/played.rs"]
mod played;
#[path = "years/world.rs"]
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cl_revenue_ops::accounts::{CostKind, Spliced, Sums};
use cl_revenue_ops::domain::{ChannelId, Clock as _, ForwardStatus, Identity, ManualClock, PeerId, Time};
use cl_revenue_ops::ledger::{Ledger, Window};
use cl_revenue_ops::ops::{Ops, Settings};
use cl_revenue_ops::options::Layers;
use played::Played;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use world::{DAY, Stage, World};

const START: Time = Time::from_secs(19_000 * DAY);
const DAYS: i64 = 3 * 365;

/// A forward that was settled, by places of channels.
pub(crate) struct Routed {
    pub from: usize,
    pub to: usize,
    pub in_msat: u64,
    pub out_msat: u64,
    pub fee: u64,
    pub at: Time,
}

impl World {
    pub(crate) fn routed(&self) -> impl Iterator<Item = Routed> {
        let seats: HashMap<_, _> =
            self.seats.iter().enumerate().flat_map(|(n, seat)| seat.scids.iter().map(move |scid| (*scid, n))).collect();
        let settled = self.forwards.iter().filter(|forward| forward.status == ForwardStatus::Settled);
        settled.map(move |forward| Routed {
            from: seats[&forward.key.in_channel],
            to: seats[&forward.out_channel.unwrap()],
            in_msat: forward.in_msat.0,
            out_msat: forward.out_msat.unwrap().0,
            fee: forward.fee.unwrap().0,
            at: forward.resolved.unwrap(),
        })
    }

    /// Everything between two moments, added up here and by nobody else.
    fn sums(&self, from: Time, to: Time) -> HashMap<ChannelId, Sums> {
        let mut sums: HashMap<ChannelId, Sums> = HashMap::new();
        let inside = |at: Time| from <= at && at < to;
        for one in self.routed().filter(|one| inside(one.at)) {
            let out = sums.entry(self.seats[one.to].id).or_default();
            (out.out_msat, out.out_count, out.earned) =
                (out.out_msat + one.out_msat, out.out_count + 1, out.earned + one.fee);
            let in_ = sums.entry(self.seats[one.from].id).or_default();
            (in_.in_msat, in_.in_count, in_.brought) =
                (in_.in_msat + one.in_msat, in_.in_count + 1, in_.brought + one.fee);
        }
        for fee in self.fees.iter().filter(|fee| inside(fee.at)) {
            sums.entry(self.seats[fee.seat].id).or_default().costs.add(fee.kind, fee.msat);
        }
        for (seat, fee, _) in self.refills.iter().filter(|(.., at)| inside(*at)) {
            sums.entry(self.seats[*seat].id).or_default().costs.add(CostKind::Rebalance, *fee);
        }
        sums
    }
}

/// The node's own line: what went in and came out once each.
fn together(sums: &HashMap<ChannelId, Sums>) -> Sums {
    let mut node = Sums::default();
    sums.values().for_each(|one| node.join(one));
    node
}

fn without_nothing(window: &Window) -> HashMap<ChannelId, Sums> {
    window.channels.iter().filter(|(_, sums)| **sums != Sums::default()).map(|(id, sums)| (*id, *sums)).collect()
}

struct Story {
    node: Arc<Played>,
    ledger: Ledger,
    clock: Arc<ManualClock>,
    ops: Ops,
    dice: ChaCha8Rng,
    compared: u64,
    days_off: i64,
}

fn ops(node: &Arc<Played>, ledger: &Ledger, clock: &Arc<ManualClock>) -> Ops {
    let settings = Settings::new(Layers::default()).unwrap();
    let owner = Identity { node: PeerId([2; 33]), network: "regtest".to_owned() };
    Ops::new(owner, node.clone(), ledger.clone(), clock.clone(), settings).with_books(node.clone())
}

impl Story {
    async fn begin(seed: u64) -> Story {
        let clock = Arc::new(ManualClock::at(START));
        let node = Arc::new(Played::new(World::new(seed, START), clock.clone()));
        let owner = Identity { node: PeerId([2; 33]), network: "regtest".to_owned() };
        let ledger = Ledger::in_memory(&owner, START).await.unwrap();
        let ops = ops(&node, &ledger, &clock);
        Story { node, ledger, clock, ops, dice: ChaCha8Rng::seed_from_u64(seed), compared: 0, days_off: 0 }
    }

    fn wait(&self, secs: i64) {
        self.clock.set(self.clock.now().plus_secs(secs));
    }

    async fn read(&mut self) {
        self.ops.sync().await.unwrap();
        self.ops.book_cycle().await.unwrap();
        let sight = self.ops.books_sight();
        assert_eq!((sight.errors, sight.odd), (vec![], vec![]));
        if let Some(last) = self.ops.reconciliation().await.unwrap() {
            assert_eq!(last.differences, [], "the day {} was compared at {}", last.day, last.at);
            self.compared += u64::from(last.at == self.clock.now());
        }
    }

    /// The plugin reads several times a day, soon after one another when something happens; at times it is off, for a night or for weeks.
    async fn live(&mut self) {
        let end = START.plus_secs(DAYS * DAY);
        while self.clock.now() < end {
            let pause = match self.dice.random_range(0..100) {
                0 => {
                    let days = self.dice.random_range(1..25);
                    self.days_off += days;
                    self.ops = ops(&self.node, &self.ledger, &self.clock);
                    days * DAY
                }
                1..10 => self.dice.random_range(30..1_800),
                // News of a channel wakes the books at any time.
                _ if self.clock.now().hour() % 24 >= 23 => self.dice.random_range(60..1_200),
                _ => self.dice.random_range(4..10) * 3_600,
            };
            self.wait(pause);
            self.read().await;
        }
        // What is late comes, and nothing more happens.
        self.wait(2 * 3_600);
        self.read().await;
    }

    async fn by_channel_day_and_window(&self) {
        let now = self.clock.now();
        let ever = self.ledger.window(None).await.unwrap();
        let truth = self.node.world().sums(Time(0), now.plus_secs(1));
        assert_eq!(without_nothing(&ever), truth);
        assert_eq!(ever.node, together(&truth));
        for day in START.hour() / 24..=now.hour() / 24 {
            let window = self.ledger.day_window(day).await.unwrap();
            let begin = Time::from_secs(day * DAY);
            let truth = self.node.world().sums(begin, begin.plus_secs(DAY));
            assert_eq!(without_nothing(&window), truth, "day {day}");
            assert_eq!(window.node, together(&truth), "day {day}");
        }
        for days in [1, 2, 7, 30, 90, 365, 1_000, 3_650] {
            let report = self.ops.books(days).await.unwrap();
            let truth = self.node.world().sums(report.from, now.plus_secs(1));
            let told = report.channels.iter().map(|books| (books.id(), books.window));
            let told: HashMap<_, _> = told.filter(|(_, sums)| *sums != Sums::default()).collect();
            assert_eq!(told, truth, "{days} days");
            assert_eq!(report.window, together(&truth), "{days} days");
        }
    }

    async fn by_peer_and_life(&self) {
        let report = self.ops.books(30).await.unwrap();
        let world = self.node.world();
        let truth = world.sums(Time(0), Time(i64::MAX));
        let (mut ours, mut theirs): (BTreeMap<PeerId, Sums>, BTreeMap<PeerId, Sums>) = Default::default();
        for seat in &world.seats {
            theirs.entry(seat.peer).or_default().join(&truth.get(&seat.id).copied().unwrap_or_default());
        }
        for books in &report.channels {
            ours.entry(books.statement.life.peer.unwrap()).or_default().join(&books.statement.lifetime);
        }
        assert_eq!(ours, theirs);
        for seat in &world.seats {
            let life = &report.channels.iter().find(|books| books.id() == seat.id).unwrap().statement.life;
            assert_eq!((life.opener, life.opened_at), (Some(seat.opener), Some(Time::from_secs(seat.opened.secs()))));
            assert_eq!(life.is_closed(), seat.stage != Stage::Open, "{}", seat.id);
            assert!(!life.estimated && life.spliced.is_some());
            // How it ended is known once nothing more can come.
            if seat.stage == Stage::Forgotten {
                assert_eq!(life.close_type, seat.end, "{}", seat.id);
            }
        }
        let names = report.channels.iter().filter_map(|books| books.statement.life.spliced).fold(
            Spliced::default(),
            |mut sum, one| {
                sum.join(&one);
                sum
            },
        );
        let paid = world.fees.iter().filter(|fee| fee.kind == CostKind::Splice).count() as u64;
        assert_eq!(names.in_count + names.out_count, paid);
    }

    async fn by_journal(&self) {
        let truth = together(&self.node.world().sums(Time(0), Time(i64::MAX)));
        let lines = self.ledger.journal((Time(0), self.clock.now()), "", u32::MAX).await.unwrap();
        let sum = |account: &str| -> u64 {
            lines.iter().filter(|line| line.from == account || line.to == account).map(|line| line.amount.0).sum()
        };
        assert_eq!(sum("income/routing"), truth.earned);
        for kind in CostKind::ALL {
            assert_eq!(sum(&format!("cost/{}", kind.name())), truth.costs.of(kind), "{}", kind.name());
        }
    }
}

#[tokio::test]
async fn our_statements_are_the_sum_of_years() {
    for seed in 1..=3 {
        let mut story = Story::begin(seed).await;
        story.live().await;
        let check = story.ledger.check(story.clock.now()).await.unwrap();
        assert_eq!((check.problems, check.sum_of_accounts_msat), (vec![], 0), "seed {seed}");
        story.by_channel_day_and_window().await;
        story.by_peer_and_life().await;
        story.by_journal().await;
        let world = story.node.world();
        let ended = world.seats.iter().filter(|seat| seat.end.is_some()).count();
        let (seats, forwards, fees) = (world.seats.len(), world.forwards.len(), world.fees.len());
        eprintln!(
            "seed {seed}: {seats} channels, {ended} ended, {forwards} forwards, {fees} transactions, {} refills, {} days \
             compared, {} days off",
            world.refills.len(),
            story.compared,
            story.days_off
        );
        assert!(ended > 15 && story.compared > 500 && story.days_off > 30, "too little happened");
    }
}

/// The bookkeeper has its last word on a transaction within the hour, which may be on the next day.
#[tokio::test]
async fn a_day_is_compared_when_its_last_transactions_are_known() {
    let mut story = Story::begin(4).await;
    for evening in 1..150 {
        let midnight = START.plus_secs(evening * DAY);
        story.node.world().end_at(midnight.plus_secs(-600));
        for minutes in [-9, 5, 15, 70, 180] {
            story.clock.set(midnight.plus_secs(minutes * 60));
            story.read().await;
        }
    }
    let ended = story.node.world().seats.iter().filter(|seat| seat.end.is_some()).count();
    assert!(ended > 5 && story.compared > 140, "{ended} ended, {} days compared", story.compared);
}
