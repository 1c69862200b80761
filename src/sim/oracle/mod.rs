//! What could have been earned, by those who know the whole tape: the best single fee (O0), the best fixed fee of each channel
//! (O1), and where channels do not touch each other the best fee of each channel and regime within the family of
//! [`Law`] (O2). A pure function of the tape; searches found better prices than any formula, but no proof that none is better.

mod insider;
mod stride;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::{Ppm, Time};
use crate::sim::law::{HIGHEST_PPM, LOWEST_PPM, Law};
use crate::sim::network::{Seat, Stream, stream};
use crate::sim::play::{Run, play_fixed, play_laws};
use crate::sim::tape::Tape;

pub use insider::Insider;

#[derive(Clone, Debug)]
pub struct Oracle {
    /// O0: the fee, and what it earns (msat).
    pub single: (Ppm, u64),
    /// O1.
    pub fixed: Vec<Ppm>,
    pub fixed_run: Run,
    /// O2; in a closed market O1 once more, unless it is asked for by [`Oracle::bent`]: a search takes as long as all others.
    pub laws: Vec<Law>,
    pub laws_run: Run,
}

/// Where the search begins: fees from 10 to 5,000 ppm, each a sixth above the one before.
const LADDER_STEPS: i32 = 42;
const LADDER: (f64, f64) = (10.0, 1.16);
/// Ever finer steps in the climb of the fixed fees.
const STEPS: [f64; 3] = [1.5, 1.17, 1.06];
/// Rounds over all channels at one step size.
const ROUNDS: usize = 6;
/// Strides of the best climb: about so many payments are played for them, within bounds; and those of each of the best climbs
/// before it is known which is the best. On training tapes they found 2 to 4 % beyond the climbs, and four times as many 1 %
/// more.
const STRIDE_PAYMENTS: u64 = 24_000_000;
const STRIDES: (u64, u64) = (300, 4_000);
const CONTENDERS: usize = 3;
/// Strides of all single channels at once, each for itself.
const SINGLE_STRIDES: u32 = 60;
/// Forms of scarcity that are tried: steepness and threshold.
const FORMS: [(f64, f64); 7] = [(0.5, 0.4), (1.0, 0.3), (1.0, 0.5), (1.0, 0.8), (2.0, 0.3), (2.0, 0.6), (3.0, 0.4)];
const STEEPEST: f64 = 6.0;
/// Beside each form the price level is tried that far off.
const LEVELS: [f64; 3] = [0.75, 0.9, 1.1];
/// Steps of the climb of each regime's price.
const REGIME_STEPS: [f64; 6] = [1.5, 1.0 / 1.5, 1.2, 1.0 / 1.2, 1.07, 1.0 / 1.07];

impl Oracle {
    /// Consults the oracle about so many days of a tape.
    pub fn of(tape: &Arc<Tape>, days: u32) -> Oracle {
        Oracle::over(Plays { tape, more: &[], days })
    }

    /// The prices that would have earned most on several tapes of one network together.
    fn over(plays: Plays) -> Oracle {
        let tape = plays.tape;
        let ladder: Vec<(f64, Run)> = (0..LADDER_STEPS)
            .map(|step| LADDER.0 * LADDER.1.powi(step))
            .map(|ppm| (ppm, plays.fixed(&vec![Ppm::rounded(ppm); tape.network().seats.len()])))
            .collect();
        let single = ladder.iter().max_by_key(|(_, run)| run.total());
        let single = single.map_or((Ppm(0), 0), |(ppm, run)| (Ppm::rounded(*ppm), run.total()));
        if tape.network().scenario.refill.is_some() {
            let (laws, fixed) = single_channels(plays, &ladder);
            let (fixed_run, laws_run) = (plays.fixed(&fixed), plays.laws(&laws));
            return Oracle { single, fixed, fixed_run, laws, laws_run };
        }
        let fixed = together(plays, &ladder, single.0);
        let fixed_run = plays.fixed(&fixed);
        let start = tape.start_of(0);
        let laws = fixed.iter().map(|ppm| Law::fixed(start, ppm.as_f64())).collect();
        Oracle { single, fixed, laws_run: fixed_run.clone(), fixed_run, laws }
    }

    /// Channels that touch each other: O2 by strides from O1, as many as were made for O1.
    #[must_use]
    pub fn bent(self, tape: &Arc<Tape>, days: u32) -> Oracle {
        let mut rng = stream(tape.network().scenario.seed, Stream::Oracle, 1);
        let (mut laws, mut laws_run) = (self.laws, self.laws_run);
        for _ in 0..strides(&laws_run) {
            let steps = stride::steps(laws.len(), &mut rng);
            let bent: Vec<Law> = laws.iter().zip(steps).map(|(law, step)| bent(law, step, &mut rng)).collect();
            let run = play_laws(tape, days, &bent);
            if run.total() > laws_run.total() {
                (laws, laws_run) = (bent, run);
            }
        }
        Oracle { laws, laws_run, ..self }
    }
}

/// What is played to find out what prices earn.
#[derive(Clone, Copy)]
struct Plays<'a> {
    tape: &'a Arc<Tape>,
    /// Other tapes of the same network.
    more: &'a [Arc<Tape>],
    days: u32,
}

impl Plays<'_> {
    fn fixed(&self, fees: &[Ppm]) -> Run {
        self.sum(|tape| play_fixed(tape, self.days, fees))
    }

    fn laws(&self, laws: &[Law]) -> Run {
        self.sum(|tape| play_laws(tape, self.days, laws))
    }

    fn sum(&self, play: impl Fn(&Arc<Tape>) -> Run) -> Run {
        self.more.iter().fold(play(self.tape), |sum, tape| sum.plus(&play(tape)))
    }
}

/// How many strides are affordable where a play is as long as this one.
fn strides(run: &Run) -> u64 {
    (STRIDE_PAYMENTS / run.tally.wanted.max(1)).clamp(STRIDES.0, STRIDES.1)
}

/// The law with another price, form or both, that many steps of chance away.
fn bent(law: &Law, step: f64, rng: &mut ChaCha8Rng) -> Law {
    if step == 0.0 {
        return law.clone();
    }
    let (priced, formed) = [(true, false), (false, true), (true, true)][rng.random_range(0..3)];
    let mut law = if priced { law.scaled(step.exp()) } else { law.clone() };
    if formed {
        law.steepness = (law.steepness + 2.0 * step.abs() * stride::normal(rng)).clamp(0.0, STEEPEST);
        law.threshold = (law.threshold + 0.5 * step.abs() * stride::normal(rng)).clamp(0.02, 1.0);
    }
    law
}

/// The channel's best of the ladder, if every channel asked the same.
fn best_of(ladder: &[(f64, Run)], channel: usize) -> f64 {
    let best = ladder.iter().max_by_key(|(_, run)| run.of_channel(channel));
    best.map_or(LOWEST_PPM, |(ppm, _)| *ppm)
}

/// Channels that touch each other: coordinate ascent on the whole node's revenue from several places.
fn together(plays: Plays, ladder: &[(f64, Run)], single: Ppm) -> Vec<Ppm> {
    let network = plays.tape.network();
    let seats = &network.seats;
    let mut starts =
        vec![vec![single.as_f64(); seats.len()], (0..seats.len()).map(|channel| best_of(ladder, channel)).collect()];
    for factor in [0.5, 1.0, 2.0] {
        starts.push(seats.iter().map(|seat| seat.level_ppm * factor).collect());
    }
    let mut climbs: Vec<Ascent> = starts.into_iter().map(|start| Ascent::new(plays, start).climb()).collect();
    let most = ladder.first().map_or(0, |(_, run)| strides(run));
    let mut rng = stream(network.scenario.seed, Stream::Oracle, 0);
    climbs.sort_by_key(|climb| Reverse(climb.earned));
    climbs.truncate(CONTENDERS);
    climbs.iter_mut().for_each(|climb| climb.stride(most / 6, &mut rng));
    let best = climbs.into_iter().max_by_key(|climb| climb.earned).map(|mut climb| {
        climb.stride(most / 2, &mut rng);
        rounded(&climb.fees)
    });
    best.unwrap_or_default()
}

fn rounded(fees: &[f64]) -> Vec<Ppm> {
    fees.iter().map(|ppm| Ppm::rounded(*ppm)).collect()
}

struct Ascent<'a> {
    plays: Plays<'a>,
    fees: Vec<f64>,
    earned: u64,
}

impl<'a> Ascent<'a> {
    fn new(plays: Plays<'a>, fees: Vec<f64>) -> Ascent<'a> {
        let mut ascent = Ascent { plays, fees: Vec::new(), earned: 0 };
        ascent.try_out(fees);
        ascent
    }

    /// Takes these fees if they earn more.
    fn try_out(&mut self, fees: Vec<f64>) -> bool {
        let fees: Vec<f64> = fees.into_iter().map(|ppm| ppm.clamp(LOWEST_PPM, HIGHEST_PPM)).collect();
        let earned = self.plays.fixed(&rounded(&fees)).total();
        let better = earned > self.earned || self.fees.is_empty();
        if better {
            (self.fees, self.earned) = (fees, earned);
        }
        better
    }

    fn climb(mut self) -> Self {
        for step in STEPS {
            for _ in 0..ROUNDS {
                let before = (self.fees.clone(), self.earned);
                self.round(step);
                // What one round has done together is often worth doing again: cheap channels feed dear ones, and no single
                // step shows it.
                let pull: Vec<f64> = self.fees.iter().zip(&before.0).map(|(now, then)| now / then).collect();
                while self.try_out(self.fees.iter().zip(&pull).map(|(fee, by)| fee * by).collect()) {}
                if self.earned <= before.1 {
                    break;
                }
            }
        }
        self
    }

    fn stride(&mut self, times: u64, rng: &mut ChaCha8Rng) {
        for _ in 0..times {
            let steps = stride::steps(self.fees.len(), rng);
            self.try_out(self.fees.iter().zip(steps).map(|(fee, step)| fee * step.exp()).collect());
        }
    }

    fn round(&mut self, step: f64) {
        for channel in 0..self.fees.len() {
            for factor in [step, 1.0 / step] {
                let mut fees = self.fees.clone();
                fees[channel] *= factor;
                if self.try_out(fees) {
                    break;
                }
            }
        }
        for factor in [step, 1.0 / step] {
            self.try_out(self.fees.iter().map(|fee| fee * factor).collect());
        }
    }
}

/// Channels that do not touch each other are searched all at once: each keeps the best law that it was played by.
struct Search<'a> {
    plays: Plays<'a>,
    best: Vec<(Law, u64)>,
}

fn single_channels(plays: Plays, ladder: &[(f64, Run)]) -> (Vec<Law>, Vec<Ppm>) {
    let tape = plays.tape;
    let start = tape.start_of(0);
    let laws = (0..tape.network().seats.len()).map(|channel| (Law::fixed(start, best_of(ladder, channel)), 0));
    let mut search = Search { plays, best: laws.collect() };
    search.propose(|_, law| law.clone());
    for step in STEPS {
        for factor in [step, 1.0 / step, step, 1.0 / step] {
            search.propose(|_, law| law.scaled(factor));
        }
    }
    let fixed: Vec<f64> = search.best.iter().map(|(law, _)| law.level(start)).collect();
    search.scarcity();
    search.regimes();
    search.scarcity();
    search.stride();
    (search.best.into_iter().map(|(law, _)| law).collect(), rounded(&fixed))
}

impl Search<'_> {
    /// Plays every channel by another law, and each takes its own if it earned more by it.
    fn propose(&mut self, other: impl Fn(usize, &Law) -> Law) {
        let laws: Vec<Law> = self.best.iter().enumerate().map(|(channel, (law, _))| other(channel, law)).collect();
        let run = self.plays.laws(&laws);
        for (channel, (best, law)) in self.best.iter_mut().zip(laws).enumerate() {
            let earned = run.of_channel(channel);
            if earned > best.1 {
                *best = (law, earned);
            }
        }
    }

    fn scarcity(&mut self) {
        let levels: Vec<Law> = self.best.iter().map(|(law, _)| law.clone()).collect();
        for (steepness, threshold) in FORMS {
            for level in LEVELS {
                self.propose(|channel, _| Law { steepness, threshold, ..levels[channel].scaled(level) });
            }
        }
        for factor in [1.1, 1.0 / 1.1, 1.05, 1.0 / 1.05] {
            self.propose(|_, law| law.scaled(factor));
        }
    }

    /// Every channel strides for itself: one play is a trial of each.
    fn stride(&mut self) {
        let rng = RefCell::new(stream(self.plays.tape.network().scenario.seed, Stream::Oracle, 2));
        for _ in 0..SINGLE_STRIDES {
            self.propose(|_, law| {
                let mut rng = rng.borrow_mut();
                let step = stride::reach(&mut rng) * stride::normal(&mut rng);
                let regime = rng.random_range(0..law.ppm.len());
                match rng.random_range(0..3) {
                    0 if law.ppm.len() > 1 => in_regime(law, regime, step.exp()),
                    _ => bent(law, step, &mut rng),
                }
            });
        }
    }

    /// A price for each regime, first as far off as payers are, then climbed one by one.
    fn regimes(&mut self) {
        let seats = &self.plays.tape.network().seats;
        let most = seats.iter().map(|seat| seat.phases.len()).max().unwrap_or(0);
        if most == 0 {
            return;
        }
        let start = self.plays.tape.start_of(0);
        for (seat, (law, _)) in seats.iter().zip(&mut self.best) {
            let level = law.level(start);
            law.ppm = regimes_of(start, seat, |_| level);
        }
        for common in [0.7, 1.0, 1.4] {
            self.propose(|channel, law| {
                let level = law.level(start) * common;
                Law { ppm: regimes_of(start, &seats[channel], |factor| level * factor), ..law.clone() }
            });
        }
        for _ in 0..2 {
            for (regime, step) in (0..=most).flat_map(|regime| REGIME_STEPS.map(|step| (regime, step))) {
                self.propose(|_, law| in_regime(law, regime, step));
            }
        }
    }
}

/// The law with the price of one regime changed.
fn in_regime(law: &Law, regime: usize, factor: f64) -> Law {
    let mut law = law.clone();
    if let Some((_, ppm)) = law.ppm.get_mut(regime) {
        *ppm = (*ppm * factor).clamp(LOWEST_PPM, HIGHEST_PPM);
    }
    law
}

fn regimes_of(start: Time, seat: &Seat, ppm: impl Fn(f64) -> f64) -> Vec<(Time, f64)> {
    let phases = seat.phases.iter().map(|phase| (phase.from, ppm(phase.level)));
    std::iter::once((start, ppm(1.0))).chain(phases).collect()
}
