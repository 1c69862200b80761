//! The budget holds, whatever is interrupted, repeated, half done or late: a small model of a rebalancer, with our books and our rules
//! beside it, and every order of events.

use proptest::prelude::*;

use super::*;
use crate::domain::{Booked, Job, Paid, Sat, Tally, Task};
use crate::ledger::accounts::{BUDGET, RESERVED, SPENT};
use crate::rebalance::life::{self, Next, Open, Outcome, Seen};
use crate::rebalance::{Funds, Limits, budget, reservation};

const LIMIT: Sat = Sat(1_000);
const DAY_SECS: i64 = 86_400;
/// Channels that are filled.
const TARGETS: u32 = 3;

/// What may happen next. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A plan wants a move; it is interrupted before the rebalancer hears of it, or before we write that it has.
    Plan {
        to: u32,
        rate: u32,
        interrupted: u8,
    },
    /// The rebalancer sends a part, and later it comes through or not.
    Send {
        to: u32,
    },
    Land {
        to: u32,
        comes: bool,
        rate_share: u32,
    },
    /// The rebalancer forgets its jobs; payments under way go on.
    Restart,
    /// We look at every open move; or stop, and are interrupted on the way.
    Watch {
        interrupted: bool,
    },
    /// We close a move once more.
    Again,
    Wait {
        hours: u8,
    },
    /// The clock is set back.
    SetBack {
        hours: u8,
    },
    /// The rebalancer's statistics go wrong: forgotten, one more, one less, or all for nothing. Where the node keeps no books it does not lie:
    /// then it is all there is.
    Lie {
        to: u32,
        kind: u8,
    },
}

/// One channel's work at the rebalancer.
#[derive(Clone, Debug, Default)]
struct Work {
    tasks: Vec<Task>,
    left: u64,
    pending: bool,
    rate: u32,
    tally: Tally,
    /// Of all parts, the rate in whole ppm times the amount in msat.
    rates: u64,
    spent_msat: u64,
    moved_msat: u64,
    parts: u64,
}

struct World {
    ledger: Ledger,
    /// What our clock says, and what it should say.
    now: Time,
    real: Time,
    work: Vec<Work>,
    /// What left our pocket, and when.
    spent: Vec<(Time, u64)>,
    /// What the node's books had said of a channel when its move began.
    booked_before: Vec<(u64, u64, u64)>,
    exact: bool,
}

const PART: Sat = Sat(50_000);

impl Work {
    /// What sling says was spent: the mean rate in whole ppm of all that came, times that, in whole satoshis.
    fn told(&self) -> u64 {
        self.rates.checked_div(self.moved_msat).unwrap_or(0) * self.moved_msat / 1_000_000 / 1000
    }
}

impl World {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Plan { to, rate, interrupted } => self.plan(to, rate, interrupted).await,
            Step::Send { to } => {
                let work = &mut self.work[to as usize];
                let works = work.tasks.contains(&Task::Rebalancing) && work.left > 0 && !work.pending;
                work.pending |= works;
            }
            Step::Land { to, comes, rate_share } => self.land(to, comes, rate_share),
            Step::Restart => self.work.iter_mut().for_each(|work| work.tasks.clear()),
            Step::Watch { interrupted } => self.watch(interrupted).await,
            Step::Again => self.again().await,
            Step::Lie { to, kind } if self.exact => self.lie(to, kind),
            Step::Lie { .. } => {}
            Step::Wait { hours } => {
                self.now = self.now.plus_secs(i64::from(hours) * 3600);
                self.real = self.real.plus_secs(i64::from(hours) * 3600);
            }
            Step::SetBack { hours } => self.now = self.now.plus_secs(-i64::from(hours) * 3600),
        }
    }

    async fn plan(&mut self, to: u32, rate: u32, interrupted: u8) {
        let since = self.now.plus_secs(1 - DAY_SECS);
        let sums = self.ledger.move_sums(since).await.unwrap();
        let busy = self.ledger.open_moves().await.unwrap().iter().any(|row| row.new.to == cid(to + 1));
        let funds = Funds {
            spent: sums.spent,
            reserved: sums.reserved,
            revenue: Msat(0),
            onchain: Some(Msat(0)),
            outbound: Msat(u64::MAX),
            running: sums.open,
        };
        let now = budget(&funds, &Limits { daily: LIMIT, share: None, wallet_reserve: Sat(0), jobs: 3 });
        let mut new = super::moves::new(self.now, to + 1, 0);
        new.order.max = Ppm(rate);
        new.reserved = reservation(new.order.amount, PART, Ppm(rate)).unwrap();
        if busy || now.stop.is_some() || new.reserved > now.room {
            return;
        }
        let work = &mut self.work[to as usize];
        new.before = work.tally.clone();
        self.booked_before[to as usize] = (work.moved_msat, work.spent_msat, work.parts);
        let id = self.ledger.reserve_move(&new, now.limit, since).await.unwrap().expect("the room was asked for");
        if interrupted == 0 {
            return;
        }
        (work.tasks, work.left, work.rate) = (vec![Task::Rebalancing], 3, rate);
        if interrupted > 1 {
            self.ledger.move_begun(id).await.unwrap();
        }
    }

    fn land(&mut self, to: u32, comes: bool, rate_share: u32) {
        let now = self.real;
        let work = &mut self.work[to as usize];
        if !std::mem::take(&mut work.pending) {
            return;
        }
        if !comes {
            work.tally.failures += 1;
            return;
        }
        let fee = PART.0 * 1000 * u64::from(work.rate) * u64::from(rate_share) / 100 / 1_000_000;
        work.left -= 1;
        let told = work.told();
        work.rates += (fee * 1_000_000).div_ceil(PART.0 * 1000) * PART.0 * 1000;
        work.spent_msat += fee;
        work.moved_msat += PART.0 * 1000;
        work.parts += 1;
        work.tally.moved.0 += PART.0;
        work.tally.spent.0 = (work.tally.spent.0 + work.told()).saturating_sub(told);
        work.tally.successes += 1;
        if work.left == 0 && !work.tasks.is_empty() {
            work.tasks = vec![Task::Balanced];
        }
        self.spent.push((now, fee));
    }

    fn lie(&mut self, to: u32, kind: u8) {
        let tally = &mut self.work[to as usize].tally;
        match kind {
            0 => *tally = Tally::default(),
            1 => (tally.moved.0, tally.successes) = (tally.moved.0 + PART.0, tally.successes + 1),
            2 => {
                let less = (tally.moved.0.saturating_sub(PART.0), tally.successes.saturating_sub(1));
                (tally.moved.0, tally.successes) = less;
            }
            3 => tally.spent = Sat(0),
            // More the door does not let in.
            _ => tally.spent = Sat::ALL,
        }
    }

    async fn watch(&mut self, interrupted: bool) {
        for row in self.ledger.open_moves().await.unwrap() {
            let to = (1..=TARGETS).position(|n| row.new.to == cid(n)).unwrap();
            let open = Open {
                begun: true,
                began: row.new.at,
                amount: row.new.order.amount,
                reserved: row.new.reserved,
                before: row.new.before.clone(),
                stopping: row.stopping,
            };
            match life::next(&open, &self.seen(to, self.job(to).as_ref())) {
                Next::Wait => {}
                Next::Stop(why) => {
                    self.ledger.move_stopping(row.id, why).await.unwrap();
                    self.stop(to, interrupted);
                }
                Next::Close(outcome) => {
                    assert!(outcome.spent <= row.new.reserved, "{outcome:?} of {row:?}");
                    self.ledger.close_move(row.id, &ended(self.now, outcome)).await.unwrap();
                }
            }
        }
    }

    fn stop(&mut self, to: usize, interrupted: bool) {
        let work = &mut self.work[to];
        if !interrupted {
            work.tasks = vec![if work.pending { Task::Stopping } else { Task::Stopped }];
        }
    }

    fn job(&self, to: usize) -> Option<Job> {
        let tasks = self.work[to].tasks.clone();
        (!tasks.is_empty()).then(|| Job { channel: scid(u32::try_from(to).unwrap() + 1), tasks, standing: false })
    }

    fn seen<'a>(&self, to: usize, job: Option<&'a Job>) -> Seen<'a> {
        let (work, before) = (&self.work[to], self.booked_before[to]);
        let booked = Booked {
            moved: Msat(work.moved_msat - before.0),
            spent: Msat(work.spent_msat - before.1),
            parts: work.parts - before.2,
        };
        Seen {
            now: self.now,
            job,
            tally: work.tally.clone(),
            booked: self.exact.then_some(booked),
            paid: self.exact.then_some(Paid { moved: booked.moved, spent: booked.spent }),
            pending: Some(self.work.iter().any(|work| work.pending)),
            timeout_secs: 7200,
        }
    }

    async fn again(&mut self) {
        for row in self.ledger.closed_moves(Time(0)).await.unwrap() {
            let end = row.ended.unwrap();
            let done = self.ledger.close_move(row.id, &MoveEnd { spent: Msat(end.spent.0 + 7), ..end }).await.unwrap();
            let late = self.ledger.late_cost(row.id, self.now, end.moved, end.spent).await.unwrap();
            assert!(!done && late == Msat(0));
        }
    }

    /// What the budget has lent is reserved or spent, and what is reserved belongs to a move.
    async fn keeps_every_msat(&self) {
        let balance = async |account| self.ledger.balance_of(account).await.unwrap();
        let (lent, reserved, spent) = (balance(BUDGET).await, balance(RESERVED).await, balance(SPENT).await);
        assert!(lent + reserved + spent == 0 && reserved >= 0 && spent >= 0, "{lent} {reserved} {spent}");
        let sums = self.ledger.move_sums(Time(0)).await.unwrap();
        assert_eq!((u64::try_from(reserved), u64::try_from(spent)), (Ok(sums.reserved.0), Ok(sums.spent.0)));
    }

    /// What left our pocket in the last 24 hours.
    fn spent_of_the_day(&self) -> u64 {
        let since = self.real.plus_secs(-DAY_SECS);
        self.spent.iter().filter(|(at, _)| *at > since).map(|(_, msat)| msat).sum()
    }
}

fn ended(at: Time, outcome: Outcome) -> MoveEnd {
    MoveEnd { at, moved: outcome.moved, spent: outcome.spent, failure: outcome.failure }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (0..TARGETS, 0_u32..6000, 0_u8..4).prop_map(|(to, rate, interrupted)| Step::Plan { to, rate, interrupted }),
        (0..TARGETS).prop_map(|to| Step::Send { to }),
        (0..TARGETS, any::<bool>(), 0_u32..=100).prop_map(|(to, comes, rate_share)| Step::Land {
            to,
            comes,
            rate_share
        }),
        any::<bool>().prop_map(|interrupted| Step::Watch { interrupted }),
        (0_u8..9).prop_map(|hours| Step::Wait { hours }),
        (0_u8..3).prop_map(|hours| Step::SetBack { hours }),
        (0..TARGETS, 0_u8..5).prop_map(|(to, kind)| Step::Lie { to, kind }),
        Just(Step::Restart),
        Just(Step::Again),
    ];
    proptest::collection::vec(one, 1..120)
}

async fn play(steps: Vec<Step>, exact: bool) {
    let ledger = ledger().await;
    let channels: Vec<Channel> = (0..=TARGETS).map(channel).collect();
    ledger.note_channels(NOON, &channels).await.unwrap();
    let n = TARGETS as usize;
    let (work, booked_before) = (vec![Work::default(); n], vec![(0, 0, 0); n]);
    let mut world = World { ledger, now: NOON, real: NOON, work, spent: vec![], booked_before, exact };
    for step in steps {
        world.step(step).await;
        assert!(world.spent_of_the_day() <= LIMIT.0 * 1000, "after {step:?}");
        world.keeps_every_msat().await;
    }
    assert_eq!(problems(&world.ledger).await, [""; 0]);
    // In the end everything comes to rest, and nothing stays reserved.
    for work in &mut world.work {
        (work.pending, work.tasks) = (false, vec![]);
    }
    // A clock that was set back waits a while longer.
    world.now = world.now.max(world.real).plus_secs(3600);
    world.step(Step::Watch { interrupted: false }).await;
    let sums = world.ledger.move_sums(Time(0)).await.unwrap();
    assert_eq!((sums.open, sums.reserved), (0, Msat(0)));
    let real: u64 = world.spent.iter().map(|(_, msat)| msat).sum();
    if exact {
        assert_eq!(sums.spent, Msat(real));
    } else {
        assert!(sums.spent.0 >= real, "{} is less than {real}", sums.spent);
    }
    assert_eq!(problems(&world.ledger).await, [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_is_never_exceeded(steps in steps(), exact in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps, exact));
    }
}

#[tokio::test]
async fn a_move_that_goes_well_costs_what_it_costs() {
    let part = [Step::Send { to: 0 }, Step::Land { to: 0, comes: true, rate_share: 50 }];
    let mut steps = vec![Step::Plan { to: 0, rate: 2000, interrupted: 2 }];
    steps.extend([part, part, part].concat());
    steps.extend([Step::Watch { interrupted: false }, Step::Again, Step::Watch { interrupted: false }]);
    play(steps, true).await;
}
