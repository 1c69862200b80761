//! A backtest: the operator's own forwards as a tape, with the payers that must have been there and did not come drawn from what
//! the learner would believe after the same record. Plays whatever the registry of rules knows; holds no copy of any rule.
//! `docs/backtest.md` has the method and its limits.

mod believed;
mod draw;
mod record;
mod recorded;
#[cfg(test)]
mod tests;
mod verdict;
mod watched;

use std::sync::Arc;

pub use believed::Believed;
pub use record::{Record, Unusable};
pub use recorded::Recorded;
pub use verdict::{Spread, Thin, Verdict};

use crate::sim::channel::Price;
use crate::sim::market::Market;
use crate::sim::oracle::Oracle;
use crate::sim::play::{Run, play_on};
use crate::sim::rules::Rule;
use crate::sim::score::Mark;
use crate::sim::tape::Tape;
use watched::Watched;

/// Tapes that are drawn from each set of parameters.
pub const TAPES: u32 = 2;

/// One set of parameters and one tape drawn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    pub set: u32,
    pub tape: u32,
}

/// What came of one lot: what was really asked, and one mark for each policy, as shares of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    pub lot: Lot,
    /// Msat that the tape earns at the prices that were really asked.
    pub as_recorded: u64,
    /// Share of the recorded forwards that were settled again at those prices.
    pub passed: f64,
    pub marks: Vec<Mark>,
    /// Share of the time, over all channels, in which a policy asked what nobody had tried.
    pub untried: Vec<f64>,
    /// The best fixed fee of each channel in hindsight, as a share of what was earned; if it was asked for.
    pub oracle: Option<f64>,
}

impl Lot {
    /// The lots of so many sets.
    pub fn all(sets: u32) -> Vec<Lot> {
        (0..sets).flat_map(|set| (0..TAPES).map(move |tape| Lot { set, tape })).collect()
    }

    fn seed(self) -> u64 {
        u64::from(self.set) * u64::from(TAPES) + u64::from(self.tape) + 1
    }
}

/// Draws the lot's tape and plays everybody on it.
pub fn play_lot(record: &Record, believed: &Believed, lot: Lot, rules: &mut [Box<dyn Rule>], oracle: bool) -> Played {
    let tape = Arc::new(draw::tape(record, &believed.draw(lot.set), lot.seed()));
    let play = |rule: &mut dyn Rule| play_on(beginning(record, &tape), record.days, rule, None);
    let asked = play(&mut Recorded::new(record));
    let mark = |run: &Run| Mark::of(lot.seed(), run, &asked, None);
    let (marks, untried) = rules
        .iter_mut()
        .map(|rule| {
            let mut watched = Watched::new(rule.as_mut(), believed);
            (mark(&play(&mut watched)), watched.untried())
        })
        .unzip();
    let oracle = oracle.then(|| mark(&Oracle::of(&tape, record.days).fixed_run).share).flatten();
    let passed = asked.tally.settled as f64 / record.settled().max(1) as f64;
    Played { lot, as_recorded: asked.total(), passed, marks, untried, oracle }
}

/// The market with the fees of the record's first moment, known to everybody.
fn beginning(record: &Record, tape: &Arc<Tape>) -> Market {
    let mut market = Market::new(tape.clone());
    for (channel, place) in market.channels.iter_mut().zip(&record.places) {
        let price = Price { base: place.holding.base.0, ppm: place.prices.at(record.start), ..channel.price };
        channel.begin_with(price);
    }
    market
}
