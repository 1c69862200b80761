//! What a node knows of its own forwards without reading a list of them: sums that a rule may look at while a tape is played.
//! Holds nothing of the tape, and nothing of what payers would have paid.

use std::collections::VecDeque;

use crate::domain::{Msat, Time};
use crate::fees::Refused;

/// The newest amounts that are kept.
const AMOUNTS: usize = 400;
/// Nodes with more channels than this do not keep sums of each pair.
const PAIRED: usize = 64;

#[derive(Clone, Debug)]
pub struct Sight {
    /// Of the newest settled forwards, oldest first.
    amounts: VecDeque<u64>,
    first_hour: i64,
    /// Settled forwards of each hour since the first.
    hours: Vec<u64>,
    width: usize,
    /// Settled msat by way in and way out, row by row; the last row is what came from elsewhere.
    pairs: Vec<u64>,
    /// Payers who came with an old price: by which way out, and whether they took the new one there.
    refused: Vec<(u32, Refused)>,
}

impl Sight {
    pub(super) fn new(start: Time, channels: usize) -> Sight {
        let width = if channels <= PAIRED { channels } else { 0 };
        Sight {
            amounts: VecDeque::with_capacity(AMOUNTS),
            first_hour: start.hour(),
            hours: Vec::new(),
            width,
            pairs: vec![0; width * (width + 1)],
            refused: Vec::new(),
        }
    }

    /// A forward was settled. `from` beyond the channels: from elsewhere.
    pub(super) fn note(&mut self, at: Time, (from, to): (u32, u32), msat: u64) {
        if self.amounts.len() == AMOUNTS {
            self.amounts.pop_front();
        }
        self.amounts.push_back(msat);
        let hour = usize::try_from(at.hour() - self.first_hour).unwrap_or_default();
        if hour >= self.hours.len() {
            self.hours.resize(hour + 1, 0);
        }
        self.hours[hour] += 1;
        if self.width > 0 {
            self.pairs[(from as usize).min(self.width) * self.width + to as usize] += msat;
        }
    }

    /// A payer who had been refused for an old price has made up its mind.
    pub(super) fn note_refused(&mut self, to: u32, at: Time, came_back: bool) {
        self.refused.push((to, Refused { at, came_back }));
    }

    /// Payers who came with an old price, from the `skip`th on.
    pub fn refused(&self, skip: usize) -> &[(u32, Refused)] {
        self.refused.get(skip..).unwrap_or_default()
    }

    /// Outgoing amounts of the newest 400 settled forwards, oldest first.
    pub fn amounts(&self) -> impl Iterator<Item = Msat> {
        self.amounts.iter().map(|msat| Msat(*msat))
    }

    /// Settled forwards of each hour, by hours since 1970, from that time on; hours without any are left out.
    pub fn hours(&self, from: Time) -> impl Iterator<Item = (i64, u64)> {
        let skipped = usize::try_from(from.hour() - self.first_hour).unwrap_or_default().min(self.hours.len());
        (self.first_hour..).zip(&self.hours).skip(skipped).filter(|(_, count)| **count > 0).map(|(h, n)| (h, *n))
    }

    /// What has left by `to` since the start, and had come in by `from` (`None`: from elsewhere). Zero on nodes with more than
    /// 64 channels, which keep no such sums.
    pub fn moved(&self, from: Option<usize>, to: usize) -> Msat {
        let row = from.unwrap_or(self.width).min(self.width);
        Msat(self.pairs.get(row * self.width + to).copied().unwrap_or(0))
    }
}
