//! One tape against one rule: asks the rule when it wants to be asked, tells the network what it says, and counts what came of
//! it. Decides nothing.

use std::sync::Arc;

use super::channel::Price;
use super::law::Law;
use super::market::{Market, Tally};
use super::rules::Rule;
use super::tape::Tape;
use crate::domain::{Ppm, Time};

/// What came of one rule on one tape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub days: u32,
    pub channels: usize,
    /// Msat by day and channel, day after day.
    pub earned: Vec<u64>,
    /// Msat by day that moves of liquidity have cost; empty where nobody moves any.
    pub spent: Vec<u64>,
    /// Changes told to the network, by channel.
    pub updates: Vec<u32>,
    pub tally: Tally,
}

/// One channel as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub at: Time,
    pub ppm: u32,
    pub local_share: f64,
    /// Msat since the start.
    pub earned: u64,
}

/// A price that was asked from a moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    pub at: Time,
    /// Its place in the network.
    pub channel: usize,
    pub price: Price,
}

/// The film of one channel, a frame an hour.
#[derive(Clone, Debug, Default)]
pub struct Film {
    pub channel: usize,
    pub frames: Vec<Frame>,
}

/// Nobody is asked at the very first moment.
const FIRST_LOOK_SECS: i64 = 40;

/// Plays so many days from the start of the tape.
pub fn play(tape: &Arc<Tape>, days: u32, rule: &mut dyn Rule) -> Run {
    filmed(tape, days, rule, None)
}

/// The same, and keeps a film of one channel.
pub fn filmed(tape: &Arc<Tape>, days: u32, rule: &mut dyn Rule, film: Option<&mut Film>) -> Run {
    let mut market = Market::new(tape.clone());
    market.set_all(Ppm(tape.network().scenario.start_ppm));
    play_on(market, days, rule, film)
}

/// The same on a market that stands at the start of its tape, at whatever prices.
pub fn play_on(mut market: Market, days: u32, rule: &mut dyn Rule, mut film: Option<&mut Film>) -> Run {
    let tape = market.tape().clone();
    let mut updates = vec![0; market.channels.len()];
    let end = Time(tape.start_of(days).0 - 1);
    let mut look = market.now().plus_secs(FIRST_LOOK_SECS);
    while look < end {
        if let Some(film) = &mut film {
            film.roll(&mut market, look);
        }
        market.advance(look);
        for quote in rule.look(&market) {
            let old = market.channels[quote.channel].price;
            let price = Price { base: quote.base.0, ppm: quote.ppm.0, ..old };
            updates[quote.channel] += u32::from(price != old);
            market.set_price(quote.channel, price, None);
        }
        look = look.plus_secs(rule.every_secs().max(1));
    }
    if let Some(film) = &mut film {
        film.roll(&mut market, end);
    }
    market.advance(end);
    Run::of(&market, days, updates)
}

/// Plays with prices that somebody asked before on the same tape, at the same moments.
pub fn play_asked(tape: &Arc<Tape>, days: u32, asked: &[Asked]) -> Run {
    let mut market = Market::new(tape.clone());
    market.set_all(Ppm(tape.network().scenario.start_ppm));
    let end = Time(tape.start_of(days).0 - 1);
    let mut updates = vec![0; market.channels.len()];
    for one in asked.iter().take_while(|one| one.at < end) {
        market.advance(one.at);
        updates[one.channel] += u32::from(one.price != market.channels[one.channel].price);
        market.set_price(one.channel, one.price, None);
    }
    market.advance(end);
    Run::of(&market, days, updates)
}

/// Plays with one fee a channel that never changes and that everybody knows.
pub fn play_fixed(tape: &Arc<Tape>, days: u32, fees: &[Ppm]) -> Run {
    let mut market = Market::new(tape.clone());
    for (channel, ppm) in market.channels.iter_mut().zip(fees) {
        channel.begin_with(Price { base: 0, ppm: ppm.0, ..channel.price });
    }
    market.advance(Time(tape.start_of(days).0 - 1));
    Run::of(&market, days, vec![0; fees.len()])
}

/// Plays by laws that everybody knows at any moment, one for each channel.
pub fn play_laws(tape: &Arc<Tape>, days: u32, laws: &[Law]) -> Run {
    let mut market = Market::new(tape.clone());
    market.obey(laws.to_vec());
    market.advance(Time(tape.start_of(days).0 - 1));
    Run::of(&market, days, vec![0; laws.len()])
}

impl Film {
    /// Plays up to that time, hour by hour.
    fn roll(&mut self, market: &mut Market, to: Time) {
        while market.now() < to {
            let hour = Time((market.now().0 / 3_600_000 + 1) * 3_600_000);
            market.advance(hour.min(to));
            if hour <= to {
                self.frames.push(Frame::of(market, self.channel));
            }
        }
    }
}

impl Frame {
    pub(super) fn of(market: &Market, channel: usize) -> Frame {
        let it = &market.channels[channel];
        let local_share = it.to_us() as f64 / it.capacity.max(1) as f64;
        Frame { at: market.now(), ppm: it.price.ppm, local_share, earned: it.earned }
    }
}

impl Run {
    pub fn of(market: &Market, days: u32, updates: Vec<u32>) -> Run {
        let earned = (0..days).flat_map(|day| market.earned_on(day)).map(|msat| msat.0).collect();
        Run { days, channels: market.channels.len(), earned, spent: Vec::new(), updates, tally: market.tally }
    }

    /// Both together, as if one node had had both: the same days and channels.
    #[must_use]
    pub(super) fn plus(mut self, other: &Run) -> Run {
        self.spent.resize(self.spent.len().max(other.spent.len()), 0);
        self.earned.iter_mut().zip(&other.earned).for_each(|(sum, msat)| *sum += msat);
        self.spent.iter_mut().zip(&other.spent).for_each(|(sum, msat)| *sum += msat);
        self.updates.iter_mut().zip(&other.updates).for_each(|(sum, count)| *sum += count);
        self.tally = self.tally.plus(&other.tally);
        self
    }

    /// Msat on that day, all channels together.
    pub fn on_day(&self, day: u32) -> u64 {
        let start = day as usize * self.channels;
        self.earned[start..start + self.channels].iter().sum()
    }

    /// Msat on that day, what moves have cost taken off.
    pub fn net_on_day(&self, day: u32) -> f64 {
        let spent = self.spent.get(day as usize).copied().unwrap_or(0);
        self.on_day(day) as f64 - spent as f64
    }

    /// Msat of one channel over all days.
    pub fn of_channel(&self, channel: usize) -> u64 {
        self.earned.iter().skip(channel).step_by(self.channels).sum()
    }

    pub fn total(&self) -> u64 {
        self.earned.iter().sum()
    }

    pub fn updates_per_channel_day(&self) -> f64 {
        let updates: u32 = self.updates.iter().sum();
        f64::from(updates) / f64::from(self.days.max(1)) / self.channels.max(1) as f64
    }

    /// Share of those who chose our price and were refused for what we could not carry.
    pub fn refused_share(&self) -> f64 {
        let Tally { settled, failed, starved, .. } = self.tally;
        starved as f64 / (settled + failed + starved).max(1) as f64
    }
}
