//! CLBOSS, by its documentation of fees: what others charge toward the peer, times a curve of the balance, times price theory (five
//! cards around a centre, each played for two days; the one that earned most becomes the centre). What others charge and how large
//! they are is not in the market, so that factor is the knob. Treats every channel for itself, as it does where a peer has one; never
//! rebalances here.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Quote, Rule, quotes, share};
use crate::domain::Ppm;
use crate::domain::units::to_u32_rounded;
use crate::sim::Market;
use crate::sim::channel::SimChannel;

pub const NAME: &str = "clboss";
pub const KNOBS: &[f64] = &[25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 900.0, 1_200.0, 1_600.0];
pub const TUNED: f64 = 800.0;

/// A card is played for so many looks at which the peer is connected.
const PLAYED: u32 = 288;
/// A bin of the balance curve, in msat.
const BIN: f64 = 200e6;

#[derive(Clone, Debug)]
pub struct Clboss {
    base_ppm: f64,
    channels: Vec<Game>,
    rng: ChaCha8Rng,
}

/// The cards of one channel.
#[derive(Clone, Debug, Default)]
struct Game {
    centre: i32,
    /// Cards still to be played, the current one last.
    deck: Vec<i32>,
    played: u32,
    /// What the channel had earned when the current card was laid.
    earned: u64,
    /// The best of this round: what it earned, and the card.
    best: Option<(u64, i32)>,
    bin: Option<u32>,
}

impl Clboss {
    /// The knob is the rate of a balanced channel at the middle card.
    pub fn new(base_ppm: f64, seed: u64) -> Clboss {
        Clboss { base_ppm, channels: Vec::new(), rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn rate(&self, card: i32, share: f64) -> Ppm {
        Ppm::rounded((self.base_ppm * multiplier(card) * 50_f64.powf(0.5 - share)).max(1.0))
    }
}

fn multiplier(card: i32) -> f64 {
    if card >= 0 { 1.2_f64.powi(card) } else { 0.8_f64.powi(-card) }
}

fn bins(capacity: u64) -> f64 {
    (capacity as f64 / BIN).round().clamp(4.0, 50.0)
}

impl Game {
    /// The card for the next ten minutes.
    fn card(&mut self, channel: &SimChannel, connected: bool, rng: &mut ChaCha8Rng) -> i32 {
        if self.deck.is_empty() {
            self.deal(rng);
            self.earned = channel.earned;
        }
        if self.played >= PLAYED {
            self.turn(channel.earned, rng);
        }
        self.played += u32::from(connected);
        self.deck.last().copied().unwrap_or(self.centre)
    }

    fn deal(&mut self, rng: &mut ChaCha8Rng) {
        self.deck = (self.centre - 2..=self.centre + 2).collect();
        self.deck.shuffle(rng);
        self.best = None;
    }

    fn turn(&mut self, earned: u64, rng: &mut ChaCha8Rng) {
        let gained = earned.saturating_sub(self.earned);
        let card = self.deck.pop().unwrap_or(self.centre);
        if gained > 0 && self.best.is_none_or(|(most, _)| gained > most) {
            self.best = Some((gained, card));
        }
        (self.played, self.earned) = (0, earned);
        if self.deck.is_empty() {
            self.centre = self.best.map_or(self.centre, |(_, card)| card);
            self.deal(rng);
        }
    }

    /// The middle of the balance's bin. A bin is left when the balance is beyond its edge by a random part of its width.
    fn balance(&mut self, share: f64, capacity: u64, rng: &mut ChaCha8Rng) -> f64 {
        let bins = bins(capacity);
        let place = share * bins;
        let middle = |bin: u32| f64::from(bin) + 0.5;
        let stays = |bin: u32, beyond: f64| (place - middle(bin)).abs() <= 0.5 + beyond;
        let beyond = rng.random_range(0.0..0.5);
        let bin = match self.bin {
            Some(bin) if stays(bin, beyond) => bin,
            _ => to_u32_rounded(place.floor().min(bins - 1.0)),
        };
        self.bin = Some(bin);
        middle(bin) / bins
    }
}

impl Rule for Clboss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        600
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        self.channels.resize_with(market.channels.len(), Game::default);
        quotes(market, |place, channel| {
            let game = &mut self.channels[place];
            let card = game.card(channel, market.is_online(channel), &mut self.rng);
            let balance = game.balance(share(channel), channel.capacity, &mut self.rng);
            Some(self.rate(card, balance))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rules::tests::channel;

    #[test]
    fn cards_and_balance_multiply() {
        let rates = |card| [0.1, 0.5, 0.9].map(|share| Clboss::new(200.0, 1).rate(card, share).0);
        assert_eq!(rates(0), [956, 200, 42]);
        assert_eq!(rates(2), [1_377, 288, 60]);
        assert_eq!(rates(-2), [612, 128, 27]);
        assert_eq!(Clboss::new(1.0, 1).rate(-5, 1.0).0, 1);
    }

    #[test]
    fn bins_follow_the_size() {
        assert_eq!([100, 1_000, 3_300, 16_000].map(|ksat| bins(ksat * 1_000_000)), [4.0, 5.0, 17.0, 50.0]);
    }

    #[test]
    fn the_best_card_becomes_the_centre() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut game, mut channel) = (Game::default(), channel(0.5));
        let mut seen = Vec::new();
        for _ in 0..5 * PLAYED {
            let card = game.card(&channel, true, &mut rng);
            channel.earned += if card == 1 { 30 } else { 7 };
            seen.push(card);
        }
        let mut cards: Vec<i32> = seen.chunks(288).map(|two_days| two_days[0]).collect();
        assert!(seen.chunks(288).all(|two_days| two_days.iter().all(|card| *card == two_days[0])));
        cards.sort_unstable();
        assert_eq!(cards, [-2, -1, 0, 1, 2]);
        game.card(&channel, true, &mut rng);
        assert_eq!(game.centre, 1);
    }

    #[test]
    fn nothing_earned_leaves_the_centre_and_an_absent_peer_the_card() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (mut game, channel) = (Game { centre: 3, ..Game::default() }, channel(0.5));
        for _ in 0..5 * PLAYED + 1 {
            game.card(&channel, true, &mut rng);
        }
        assert_eq!((game.centre, game.played), (3, 1));
        for _ in 0..5 * PLAYED {
            game.card(&channel, false, &mut rng);
        }
        assert_eq!(game.played, 1);
    }

    #[test]
    fn a_bin_is_kept_just_beyond_its_edge() {
        let (mut game, mut rng) = (Game::default(), ChaCha8Rng::seed_from_u64(5));
        let capacity = 1_000_000_000;
        let mut at = |share| game.balance(share, capacity, &mut rng);
        assert_eq!([at(0.5), at(0.59), at(0.6)], [0.5, 0.5, 0.5]);
        assert_eq!([at(0.71), at(1.0), at(0.0)].map(|middle| (middle * 10.0_f64).round()), [7.0, 9.0, 1.0]);
    }
}
