//! A node of quiet defaults: one channel that is wanted and empty, one that is full and idle, and a cheap way between them.

mod costs;
mod gates;
mod lives;
mod money;
mod properties;

use super::*;
use crate::domain::{Bounds, ChannelState, FeePolicy, FlowClass, Side};

const NOW: Time = Time::from_secs(1_704_067_200);
const CAPACITY: u64 = 5_000_000_000;

fn peer(number: u8) -> PeerId {
    let mut id = [number; 33];
    id[0] = 2;
    PeerId(id)
}

fn scid(number: u8) -> Scid {
    Scid::new(800_000, u32::from(number), 0).unwrap()
}

fn channel(number: u8, local: f64, ppm: u32) -> Channel {
    let local = Msat(crate::domain::units::to_u64_rounded(local * 5e9));
    Channel {
        channel_id: ChannelId([number; 32]),
        scid: Some(scid(number)),
        alias: None,
        peer: peer(number),
        state: ChannelState::Normal,
        opener: Some(Side::Remote),
        private: false,
        connected: true,
        capacity: Msat(CAPACITY),
        local,
        spendable: local.saturating_sub(Msat(CAPACITY / 100)),
        receivable: Some(Msat(CAPACITY).saturating_sub(local).saturating_sub(Msat(CAPACITY / 100))),
        htlcs_out: 0,
        htlcs_in: 0,
        max_htlcs: Some(483),
        ours: FeePolicy { base: Msat(0), ppm: Ppm(ppm), htlc_min: None, htlc_max: None },
        theirs: Some(FeePolicy { base: Msat(0), ppm: Ppm(50), htlc_min: None, htlc_max: None }),
        sent: None,
        bounds: Bounds::default(),
    }
}

/// Sat a day.
fn flow(out: f64, into: f64) -> Flow {
    Flow {
        class: FlowClass::Balanced,
        out_per_day: out * 1000.0,
        in_per_day: into * 1000.0,
        net: 0.0,
        turnover: 0.0,
        velocity: 0.0,
        confidence: 1.0,
        out_msat: Msat(0),
        in_msat: Msat(0),
        forwards: 0,
        last_forward: None,
    }
}

/// Everything that a plan looks at, owned.
#[derive(Clone, Debug)]
struct Scene {
    channels: Vec<Channel>,
    flows: Vec<Option<Flow>>,
    modes: Vec<RebalanceMode>,
    hive: Vec<bool>,
    newcomers: Vec<bool>,
    busy: Vec<Option<Busy>>,
    peers: BTreeMap<PeerId, PeerFacts>,
    past: Vec<PastMove>,
    routes: BTreeMap<(ChannelId, ChannelId), Route>,
    guesses: bool,
    budget: Budget,
    tuning: Tuning,
}

fn rich() -> Budget {
    let room = Msat(5_000_000);
    Budget { limit: room, spent: Msat(0), reserved: Msat(0), room, slots: 5, stop: None }
}

fn scene_of(channels: Vec<Channel>, flows: Vec<Option<Flow>>) -> Scene {
    let n = channels.len();
    Scene {
        channels,
        flows,
        modes: vec![RebalanceMode::Enabled; n],
        hive: vec![false; n],
        newcomers: vec![false; n],
        busy: vec![None; n],
        peers: BTreeMap::new(),
        past: vec![],
        routes: BTreeMap::new(),
        guesses: true,
        budget: rich(),
        tuning: Tuning {
            min_profit: Msat(10_000),
            min_profit_ppm: None,
            min_amount: Sat(50_000),
            max_amount: Sat(5_000_000),
            max_part: Sat(500_000),
            sold: Share::clamped(1.0),
            fee_buffer: Ppm(100),
            kelly: None,
            hive_tolerance: Msat(50_000),
        },
    }
}

/// Channel 1 is empty and wanted at 800 ppm, channel 2 is full and idle; the way costs 150 ppm.
fn scene() -> Scene {
    scene_of(vec![channel(1, 0.05, 800), channel(2, 0.95, 100)], vec![Some(flow(400_000.0, 0.0)), Some(flow(0.0, 0.0))])
}

impl Scene {
    fn with<T>(&self, ask: impl FnOnce(&RebalanceInputs) -> T) -> T {
        let candidate = |n: usize| Candidate {
            channel: &self.channels[n],
            flow: self.flows[n].as_ref(),
            mode: self.modes[n],
            hive: self.hive[n],
            newcomer: self.newcomers[n],
            busy: self.busy[n],
        };
        let channels: Vec<Candidate> = (0..self.channels.len()).map(candidate).collect();
        ask(&RebalanceInputs {
            now: NOW,
            channels: &channels,
            peers: &self.peers,
            amounts: &[Msat(50_000_000)],
            past: &self.past,
            routes: &self.routes,
            guesses: self.guesses,
            budget: &self.budget,
            tuning: &self.tuning,
        })
    }

    fn plan(&self) -> Plan {
        self.with(plan)
    }

    fn only(&self) -> Move {
        let plan = self.plan();
        assert_eq!(plan.moves.len(), 1, "{plan}");
        plan.moves[0].clone()
    }

    /// Why that channel is not filled.
    fn why(&self, number: u8) -> Reason {
        let plan = self.plan();
        let found = plan.refused.iter().find(|r| r.scid == Some(scid(number)) && r.role == Role::Fill);
        found.unwrap_or_else(|| panic!("{number} is not refused in\n{plan}")).why
    }

    fn route(self, from: u8, to: u8, ppm: u32) -> Scene {
        let amount = Msat(500_000_000);
        let costs = Route::Costs { amount, fee: Ppm(ppm).fee_floor(amount) };
        self.searched(from, to, costs)
    }

    fn searched(mut self, from: u8, to: u8, found: Route) -> Scene {
        self.routes.insert((ChannelId([from; 32]), ChannelId([to; 32])), found);
        self
    }

    /// So many moves from 2 to 1, an hour apart, the last one an hour ago.
    fn past(mut self, moves: usize, ppm: Option<u32>, kind: MoveFailure) -> Scene {
        let amount = Msat(500_000_000);
        for n in (1..=moves).rev() {
            let ended = NOW.plus_hours(-(n as f64));
            let (from, to) = (peer(2), peer(1));
            self.past.push(match ppm {
                Some(ppm) => {
                    PastMove { ended, from, to, moved: amount, spent: Ppm(ppm).fee_floor(amount), failure: None }
                }
                None => PastMove { ended, from, to, moved: Msat(0), spent: Msat(0), failure: Some(kind) },
            });
        }
        self
    }
}

#[test]
fn what_is_wanted_is_filled_from_what_is_idle() {
    let made = scene().only();
    assert_eq!((made.from, made.to), (ChannelId([2; 32]), ChannelId([1; 32])));
    assert_eq!(made.order.amount.0 % made.order.part.0, 0, "whole parts");
    assert!(made.order.part <= Sat(500_000));
    assert!((1_000_000..3_500_000).contains(&made.order.amount.0), "about what a week may want: {made}");
    assert!(made.numbers.profit > 0.0 && made.reserved <= Msat(5_000_000));
    let text = made.to_string();
    assert!(
        text.starts_with("800000x2x0 -> 800000x1x0: ") && text.contains("by the peer's fee and a buffer"),
        "{text}"
    );
}

#[test]
fn the_last_part_is_worth_what_it_may_cost() {
    let mut scene = scene();
    scene.budget.room = Msat(u64::MAX);
    let made = scene.only();
    let difference = made.numbers.difference;
    assert!((made.order.max.as_f64() - difference).abs() <= 2.0, "{made} {difference}");
    // 150 ppm, a little more for a large amount, and the derivative of that.
    assert!((150.0..320.0).contains(&difference), "{difference}");
}

/// What a plan looks like: cargo test --lib rebalance::tests::sentences -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn sentences() {
    println!("{}", scene().plan());
    println!("{}", scene().route(2, 1, 900).plan());
    println!("{}", scene().past(3, None, MoveFailure::TooDear).plan());
}

/// How long a plan of a large node takes: cargo test --release --lib rebalance::tests::speed -- --ignored --nocapture
#[test]
#[ignore = "prints, proves nothing"]
fn speed() {
    let channels: Vec<Channel> = (0..240).map(|n| channel(n, f64::from(n) / 240.0, 300)).collect();
    let flows = (0..240).map(|n| Some(flow(f64::from(n % 7) * 1e5, f64::from(n % 5) * 1e5))).collect();
    let scene = scene_of(channels, flows);
    let start = std::time::Instant::now();
    let plan = scene.plan();
    println!("{} moves of 240 channels in {:?}", plan.moves.len(), start.elapsed());
}
