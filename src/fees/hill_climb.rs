//! Hill climbing: tries two neighbouring fees in turn, learns from the counts, and moves the middle toward what earns most
//! and what the balance bears. Never reads an earned amount: counts tell the same with a tenth of the noise.

mod heard;
mod learner;
mod middle;
mod outlook;
mod pair;
mod schedule;
mod surprise;
mod tries;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::belief::{Belief, Sample};
use super::blocks::{self, Block, Seen, short};
use super::purse::Purse;
use super::reason::Phase;
use super::tilt::Tilt;
use super::{Bid, FeeInputs, Memory, Reason, floor, tidy};
use crate::domain::Time;
use heard::Prices;
pub use heard::raise;
pub use learner::Learner;
pub(super) use outlook::{Outlook, counted, outlook};
use pair::Pair;
use schedule::Schedule;
use surprise::{Surprise, surprise};
use tries::{BLOCK_HOURS, DELTA_MAX, DELTA_MIN, DELTA_PLANNED};

/// What tries have told fades.
const INFO_HALF_LIFE_DAYS: f64 = 20.0;
/// Below this a centre is no fee.
const MIN_CENTRE: f64 = 0.01;
/// A day without demand lowers the fee by this, in ln.
const DRIFT: f64 = 0.25;
const DRIFT_HOURS: f64 = 24.0;
/// No demand means: none where this many events were to be expected, and not within a day.
const DRY_EVENTS: f64 = 3.0;
const DRY_HOURS: f64 = 13.0;
/// However seldom somebody paid before, this many hours without anybody are enough.
const DRY_HOURS_MOST: f64 = 96.0;
/// Waking a drifting channel again and again must not run it down.
const WAKE_HOURS: f64 = 1.0;
/// Samples kept for the level of demand: two weeks of half days.
const RECENT: usize = 30;

/// The learner's position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Climb {
    /// Middle of the pair: a proportional fee, which is the part that we set.
    centre: f64,
    /// What the base fee adds to it for the payer, ppm: beliefs are about the sum.
    base: f64,
    delta: f64,
    /// Events x delta^2 seen so far, old days fading.
    info: f64,
    step: Step,
    /// Pairs begun so far: gives the order of the next.
    pairs: u32,
    block: Block,
    /// Saved apart, with `recent`.
    #[serde(skip)]
    belief: Belief,
    #[serde(skip)]
    recent: Vec<Sample>,
    /// The last pairs, oldest first; only shown. Saved apart as well.
    #[serde(skip)]
    past: Vec<Pair>,
    dry: Dry,
    purse: Purse,
    /// What the last pair's end aimed at.
    aim: Aim,
    #[serde(default)]
    tilt: Tilt,
    #[serde(default)]
    prices: Prices,
    #[serde(default, skip_serializing_if = "Schedule::is_resting")]
    schedule: Schedule,
}

/// The larger part of a climb, which changes when a block ends, and when payers come with an old price.
#[derive(Serialize, Deserialize)]
pub(super) struct Learned<'a> {
    belief: Cow<'a, Belief>,
    recent: Cow<'a, [Sample]>,
    /// Memories of earlier versions have none.
    #[serde(default)]
    past: Cow<'a, [Pair]>,
    #[serde(default, skip_serializing_if = "<[f64]>::is_empty")]
    schedule: Cow<'a, [f64]>,
}

/// What the current block is for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Step {
    First,
    Second {
        /// `None`: nothing was to be learned from the first.
        first: Option<Sample>,
    },
    /// Nobody pays: one fee, lowered once a day.
    Drift,
    /// Somebody set the fee: it stays for a block.
    Hold,
}

/// How long nobody has paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Dry {
    exposure: f64,
    /// Events per exposure hour before.
    rate: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Aim {
    earns_most: Option<f64>,
    run_out: Option<f64>,
    /// `None`: the plan did not make the last step.
    #[serde(default)]
    bid: Option<f64>,
    /// Where the middle was before its last step. `None`: it has made none since somebody set it.
    #[serde(default)]
    from: Option<f64>,
}

/// Takes in what was observed and says which fee it would ask now. It moves the proportional fee only, so that a base fee
/// beside small payments makes it careful, not wild; what it believes of payers is about both together.
pub(super) fn stage(memory: &mut Memory, i: &FeeInputs, why: &mut Vec<Reason>) -> f64 {
    let seen = Seen::of(memory);
    // A target that the network was never told of has not been tried.
    let told = memory.pending.is_none() && memory.asked.is_none_or(|a| a.fee == i.published());
    let mut climb = memory.climb.take().map_or_else(|| Climb::new(i), Climb::within_reason);
    climb.block.marked |= memory.is_congested();
    climb.base = base_rate(i);
    climb.purse.observe(i);
    climb.schedule.follow(i.local_share());
    climb.tilt.follow(i.bid().map(|_| i.local_share()), i.now);
    // While the peer is away, nothing is tried and nothing learned.
    if i.channels.iter().any(|c| c.connected) {
        climb.block.observe(&seen, i);
        climb.hear(&seen, i);
        if i.now >= climb.block.until && climb.block.is_known(i) {
            climb.settle();
            let before = climb.centre;
            // A place that somebody else has left is tried first, before a plan is followed away from it.
            let is_tried = !climb.is_held() || climb.block.sample(i.now).is_some();
            climb.turn(i, told);
            if is_tried {
                climb.follow_plan(before, i);
            }
            climb.note_step(before, i.now);
        }
    }
    let fee = climb.fee();
    why.push(climb.reason(fee));
    why.extend(i.bid.filter(|bid| bid.holds).map(|bid| climb.bid_reason(bid, i)));
    memory.climb = Some(climb);
    memory.seen_until = memory.seen_until.max(i.observed.to);
    memory.sendable = tidy(blocks::sendable(i));
    fee
}

/// What the base fee adds on the largest channel.
fn base_rate(i: &FeeInputs) -> f64 {
    tidy(i.channels.iter().max_by_key(|c| c.capacity).map_or(0.0, |c| blocks::base_rate(c.ours.base, i)))
}

impl Climb {
    fn new(i: &FeeInputs) -> Climb {
        let (centre, base) = (tidy(blocks::asked(i)), base_rate(i));
        let pairs = u32::from(i.peer.0[32]); // Peers begin at different places: not all fees rise on the first day.
        let purse = {
            let mut purse = Purse::default();
            purse.count(i);
            purse
        };
        // Their first blocks have different lengths, so that neither we nor the network turn all fees in the same half hour.
        let share = f64::from(i.peer.0[31]) / f64::from(u8::MAX);
        let block = Block::new(i.now, BLOCK_HOURS * f64::midpoint(1.0, share));
        Climb { pairs, purse, ..Climb::starting(centre, base, block, Step::First) }
    }

    fn starting(centre: f64, base: f64, block: Block, step: Step) -> Climb {
        Climb {
            centre,
            base,
            delta: DELTA_MAX,
            info: 0.0,
            step,
            pairs: 0,
            belief: Belief::new(centre + base, block.start),
            block,
            recent: vec![],
            past: vec![],
            dry: Dry::default(),
            purse: Purse::default(),
            aim: Aim::default(),
            tilt: Tilt::default(),
            prices: Prices::default(),
            schedule: Schedule::default(),
        }
    }

    /// The climb after somebody else has set `fee`: what was learned stays, the place is theirs.
    pub(super) fn held(before: Option<&Climb>, fee: f64, now: Time) -> Climb {
        let mut block = Block::new(now, BLOCK_HOURS);
        block.wash_out(now);
        match before {
            None => Climb::starting(fee.max(1.0), 0.0, block, Step::Hold),
            Some(climb) => {
                let aim = Aim { from: None, ..climb.aim };
                let mut held = Climb { centre: fee.max(1.0), step: Step::Hold, block, aim, ..climb.clone() };
                held.schedule.rest();
                held
            }
        }
    }

    /// The same place for a fee that is multiplied by that afterwards.
    pub(super) fn divide(&mut self, factor: f64) {
        self.centre = tidy(self.centre / factor).max(MIN_CENTRE);
    }

    /// What is read back may have been written by another version: numbers that would turn a step round are put right.
    fn within_reason(self) -> Climb {
        let (centre, delta) = (self.centre.max(MIN_CENTRE), self.delta.clamp(DELTA_PLANNED, DELTA_MAX));
        Climb { centre, delta, info: self.info.max(0.0), ..self }
    }

    pub(super) fn is_held(&self) -> bool {
        self.step == Step::Hold
    }

    pub(super) fn learned(&self) -> Learned<'_> {
        let (recent, past) = (Cow::Borrowed(self.recent.as_slice()), Cow::Borrowed(self.past.as_slice()));
        let schedule = Cow::Borrowed(self.schedule.fees.as_slice());
        Learned { belief: Cow::Borrowed(&self.belief), recent, past, schedule }
    }

    pub(super) fn has_learned_since(&self, before: &Climb) -> bool {
        let fees = self.schedule.fees != before.schedule.fees;
        fees || self.belief != before.belief || self.recent != before.recent || self.past != before.past
    }

    pub(super) fn recall(&mut self, learned: Learned<'_>) {
        self.belief = learned.belief.into_owned();
        self.recent = learned.recent.into_owned();
        self.past = learned.past.into_owned();
        self.schedule.fees = learned.schedule.into_owned();
    }

    pub(super) fn wake(&mut self, now: Time) {
        let young = now.hours_since(self.block.start) < WAKE_HOURS;
        if self.step == Step::Hold || self.step == Step::Drift && !young {
            self.block.until = self.block.until.min(now);
        }
    }

    pub(super) fn wash_out(&mut self, now: Time) {
        self.block.wash_out(now);
    }

    /// The clock was set back: the block starts anew, with its length.
    pub(super) fn begin_again(&mut self, now: Time) {
        self.block = Block::new(now, self.block.until.hours_since(self.block.start));
    }

    fn fee(&self) -> f64 {
        let side = self.side();
        if side == 0 {
            self.centre
        } else {
            self.centre * (f64::from(side) * self.delta + self.tilt.x + self.schedule.lean).exp()
        }
    }

    /// The middle goes where the balance has taken the fee.
    fn settle(&mut self) {
        let lean = self.schedule.settle();
        if self.side() != 0 {
            self.centre = tidy(self.centre * lean.exp());
        }
    }

    /// Above (1) or below (-1) the middle. Pairs are turned round in the order of the Thue-Morse sequence, which favours no
    /// hour of the day and no day of the week.
    fn side(&self) -> i8 {
        let turned = self.pairs.count_ones() % 2 == 1;
        match self.step {
            Step::First => {
                if turned {
                    -1
                } else {
                    1
                }
            }
            Step::Second { .. } => {
                if turned {
                    1
                } else {
                    -1
                }
            }
            Step::Drift | Step::Hold => 0,
        }
    }

    /// The block is over.
    fn turn(&mut self, i: &FeeInputs, told: bool) {
        let sample = self.block.sample(i.now);
        self.remember(sample);
        match self.step {
            Step::Hold => self.begin_pair(i),
            Step::Drift if sample.is_some_and(|s| s.n > 0.0) => {
                self.belief.settle(self.centre + self.base);
                self.begin_pair(i);
                self.begin_below();
            }
            Step::Drift if !told => self.block = Block::new(i.now, DRIFT_HOURS),
            Step::Drift => self.drift(i),
            Step::First if self.is_dry() => self.drift(i),
            Step::First => {
                self.step = Step::Second { first: sample };
                self.block = Block::new(i.now, self.block.until.hours_since(self.block.start));
            }
            Step::Second { first } => {
                let surprised = match (first, sample) {
                    (Some(first), Some(second)) => self.learn(&first, &second, i.now),
                    _ => None,
                };
                let blind = first.is_none() && sample.is_none();
                self.keep(Pair::new(i.now, first, sample, surprised.as_ref()));
                self.climb(i, surprised, blind);
                if self.is_dry() { self.drift(i) } else { self.begin_pair(i) }
            }
        }
    }

    fn remember(&mut self, sample: Option<Sample>) {
        let Some(sample) = sample else { return };
        self.recent.push(sample);
        if self.recent.len() > RECENT {
            self.recent.remove(0);
        }
        if sample.n > 0.0 {
            let (n, e) = self.lately(|sample| sample.e);
            self.dry = Dry { exposure: 0.0, rate: tidy(n / e) };
        } else {
            self.dry.exposure = tidy(self.dry.exposure + sample.e);
        }
    }

    /// Notes for people what a pair brought.
    fn keep(&mut self, pair: Pair) {
        self.past.push(pair);
        if self.past.len() > pair::KEPT {
            self.past.remove(0);
        }
    }

    /// The step that followed a pair is known when everybody has had a say: the climb, the plan, a day without demand.
    fn note_step(&mut self, before: f64, now: Time) {
        if let Some(pair) = self.past.last_mut().filter(|pair| pair.at == now) {
            pair.moved = short((self.centre / before).ln());
        }
    }

    /// Has nobody paid for so long that the price is to blame? Only hours count in which payers could be served.
    fn is_dry(&self) -> bool {
        let Dry { exposure, rate } = self.dry;
        let enough = if rate > 0.0 { (DRY_EVENTS / rate).clamp(DRY_HOURS, DRY_HOURS_MOST) } else { DRY_HOURS };
        exposure >= enough
    }

    /// A little down from where the fee is now, and never up again before somebody pays.
    fn drift(&mut self, i: &FeeInputs) {
        let now_at = self.fee().min(blocks::asked(i));
        self.aim = Aim { from: Some(tidy(now_at)), bid: None, ..self.aim };
        self.centre = bounded(now_at * (-DRIFT).exp(), i).min(now_at);
        self.step = Step::Drift;
        self.schedule.rest();
        self.block = Block::new(i.now, DRIFT_HOURS);
    }

    fn begin_pair(&mut self, i: &FeeInputs) {
        self.pairs = self.pairs.wrapping_add(1);
        self.step = Step::First;
        self.delta = self.next_delta(i.bid().is_some());
        self.block = Block::new(i.now, self.block_hours(i.tuning.updates_per_day));
    }

    /// Where payers have just come back, the first try is the lower one.
    fn begin_below(&mut self) {
        while self.side() > 0 {
            self.pairs = self.pairs.wrapping_add(1);
        }
    }

    /// Takes in a pair; a surprise is looked into first, by what was believed before.
    fn learn(&mut self, first: &Sample, second: &Sample, now: Time) -> Option<Surprise> {
        let before = self.recent.len().saturating_sub(2);
        let surprise = surprise(&self.belief.posterior(&self.recent[..before], now), first, second);
        if surprise.is_some() {
            self.recent.drain(..before);
        }
        if let Some(Surprise::Price { .. }) = surprise {
            self.belief.temper();
            self.info = 0.0;
        }
        let delta = (first.f / second.f).ln() / 2.0;
        let days = self.belief.days_since(now);
        self.info = tidy(0.5_f64.powf(days / INFO_HALF_LIFE_DAYS) * self.info + (first.n + second.n) * delta * delta);
        self.belief.learn(first, second, now);
        surprise
    }

    fn reason(&self, fee: f64) -> Reason {
        let phase = match self.step {
            Step::First | Step::Second { .. } => Phase::Trying,
            Step::Drift => Phase::Drifting,
            Step::Hold => Phase::Held,
        };
        Reason::HillClimb {
            phase,
            centre: self.centre,
            delta: f64::from(self.side()) * self.delta,
            earns_most: self.aim.earns_most,
            run_out: self.aim.run_out,
            lean: self.schedule.lean,
            events: self.block.events,
            exposure: self.block.exposure,
            until: self.block.until,
            fee,
        }
    }

    fn bid_reason(&self, bid: &Bid, i: &FeeInputs) -> Reason {
        let (local, tilt) = (i.local_share(), self.tilt.x);
        Reason::Bid { mu: bid.mu, cost: bid.cost, bid: bid.fee, rehearsed: bid.rehearsed, local, tilt }
    }
}

/// Between floor and ceiling; the Vegas reflex does not move the learner.
fn bounded(fee: f64, i: &FeeInputs) -> f64 {
    tidy(fee.min(i.tuning.top().as_f64()).max(floor::calm_floor(i).max(1.0)))
}
