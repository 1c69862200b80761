//! Who knows all payers, what they accept and how often they come, in every regime, but not which payment comes when: as much as
//! anybody could ever learn, known from the first moment on. What the oracle earns beyond this is hindsight.

use std::sync::Arc;

use super::{Oracle, Plays};
use crate::domain::Ppm;
use crate::sim::law::Law;
use crate::sim::play::{Run, play_fixed, play_laws};
use crate::sim::tape::Tape;

/// The prices are searched for on so many payments, of as many other tapes as have them, within bounds: on few the search follows
/// their chance, and its prices earn less than those of who merely learns.
const PAYMENTS: usize = 300_000;
const DRAWS: (u16, u16) = (8, 64);

/// The prices that earned most on other tapes of the same payers.
#[derive(Clone, Debug, PartialEq)]
pub enum Insider {
    /// In a closed market, as O1.
    Fixed(Vec<Ppm>),
    /// Where channels do not touch each other, as O2.
    Laws(Vec<Law>),
}

impl Insider {
    /// Looks at no payment of the tape itself. `None`: its payments were not drawn, so that there are no others.
    pub fn of(tape: &Tape, days: u32) -> Option<Insider> {
        let draw = |draw| tape.redrawn(draw).map(|other| Arc::new(other.frozen(days)));
        let mut others = vec![draw(1)?];
        let payments: usize = (0..days).map(|day| others[0].day(day).payments.len()).sum();
        let draws = u16::try_from(PAYMENTS / payments.max(1)).map_or(DRAWS.1, |draws| draws.clamp(DRAWS.0, DRAWS.1));
        others.extend((2..=draws).filter_map(draw));
        let (first, more) = others.split_first()?;
        let best = Oracle::over(Plays { tape: first, more, days });
        let closed = tape.network().scenario.refill.is_none();
        Some(if closed { Insider::Fixed(best.fixed) } else { Insider::Laws(best.laws) })
    }

    /// What these prices earn, known to every payer at every moment as those of the oracle are.
    pub fn play(&self, tape: &Arc<Tape>, days: u32) -> Run {
        match self {
            Insider::Fixed(fees) => play_fixed(tape, days, fees),
            Insider::Laws(laws) => play_laws(tape, days, laws),
        }
    }
}
