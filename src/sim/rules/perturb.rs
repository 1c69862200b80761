//! Naive perturb and observe, by the documentation of the earlier implementation of this plugin: every half hour each channel compares
//! the revenue of the last window with the one before, goes on in its direction or turns round; scarcity and floors by balance on
//! top, then guards against small changes. The knob is the maximum fee.
//!
//! Its bandit, elasticity, reputation and the price of block space changed little and are left out. Never compares pairs or counts.

use super::{Quote, Rule, quotes, share};
use crate::domain::{Ppm, Time};
use crate::sim::Market;
use crate::sim::channel::SimChannel;

pub const NAME: &str = "perturb";
pub const KNOBS: &[f64] =
    &[25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1_200.0, 1_800.0, 2_500.0, 5_000.0];
pub const TUNED: f64 = 600.0;

const EVERY_SECS: i64 = 1_800;
/// The shortest window that is judged.
const WINDOW_HOURS: f64 = 1.0;
const MIN_FEE: f64 = 10.0;
/// What opening and closing a usual channel costs over a year's usual volume.
const ECONOMIC_FLOOR: f64 = 21.0;
/// Weight of the newest window in the running mean of revenue.
const SMOOTHING: f64 = 0.3;
const FIRST_STEP: f64 = 50.0;
const SHORTEST_STEP: f64 = 10.0;
const LONGEST_STEP: f64 = 200.0;
/// Part of the fee that a step has at least.
const STEP_PART: f64 = 0.05;
/// So many steps in one direction, then they are half as long.
const RUN: u32 = 5;
/// Windows without change before the channel rests, and for how long.
const STABLE_WINDOWS: u32 = 3;
const REST_SECS: i64 = 2 * EVERY_SECS;
/// Below that share of ours a channel is scarce.
const SCARCE: f64 = 0.35;

#[derive(Clone, Debug)]
pub struct Perturb {
    ceiling: f64,
    channels: Vec<Climber>,
}

/// What is remembered of one channel.
#[derive(Clone, Debug)]
struct Climber {
    /// Since when the window runs, and what had been sent (msat) by then.
    since: Option<Time>,
    sent: u64,
    /// Smoothed revenue (sat an hour), now and at the last judgement.
    mean: f64,
    last: f64,
    judged: bool,
    direction: f64,
    step: f64,
    run: u32,
    stable: u32,
    rests_until: Option<Time>,
    /// The fee that was told to the network last.
    told: Option<u32>,
}

impl Default for Climber {
    fn default() -> Climber {
        Climber {
            since: None,
            sent: 0,
            mean: 0.0,
            last: 0.0,
            judged: false,
            direction: 1.0,
            step: FIRST_STEP,
            run: 0,
            stable: 0,
            rests_until: None,
            told: None,
        }
    }
}

impl Perturb {
    pub fn new(ceiling: f64) -> Perturb {
        Perturb { ceiling, channels: Vec::new() }
    }

    /// Floor and ceiling at that balance.
    fn bounds(&self, share: f64) -> (f64, f64) {
        let balance_floor = match share {
            r if r < 0.10 => Some(500.0),
            r if r < 0.25 => Some(200.0),
            _ => None,
        };
        let by_balance = match share {
            r if r < 0.10 => 3.0,
            r if r < 0.25 => 2.0,
            r if r < 0.40 => 1.25,
            r if r < 0.60 => 1.0,
            r if r < 0.75 => 0.85,
            r if r < 0.90 => 0.7,
            _ => 0.5,
        };
        let floor = (ECONOMIC_FLOOR.max(MIN_FEE).max(balance_floor.unwrap_or(0.0)) * by_balance).trunc();
        let ceiling = balance_floor.map_or(self.ceiling, |least| self.ceiling.max(least + 100.0));
        match balance_floor {
            _ if floor < ceiling => (floor, ceiling),
            Some(_) => (floor, floor + 10.0),
            None => ((ceiling - 10.0).max(1.0), ceiling),
        }
    }

    /// Linear in what is missing, from 1 to 3, on a fee that carries it already.
    fn scarcity(share: f64) -> f64 {
        (1.0 + 2.0 * (1.0 - share / SCARCE)).clamp(1.0, 3.0)
    }

    fn look_at(&self, climber: &mut Climber, channel: &SimChannel, now: Time) -> Option<Ppm> {
        let current = f64::from(channel.price.ppm).max(MIN_FEE);
        let hours = climber.since.map_or(WINDOW_HOURS, |since| now.hours_since(since));
        let sold_msat = (channel.outgoing.fulfilled_msat - climber.sent) as f64;
        let revenue = (sold_msat / 1_000.0 * current / 1e6).floor() / hours.max(0.1);
        if climber.rests(revenue, now) || hours < WINDOW_HOURS {
            return None;
        }
        let wanted = climber.climb(revenue, current, now)?;
        let share = share(channel);
        let (floor, ceiling) = self.bounds(share);
        let fee = (wanted * Perturb::scarcity(share)).trunc().clamp(floor, ceiling);
        let told = f64::from(climber.told.unwrap_or(channel.price.ppm));
        // A change that is kept back lets the window run on.
        if climber.since.is_some() && !is_worth_telling(fee, current, told) {
            return None;
        }
        let fee = Ppm::rounded(fee);
        (climber.since, climber.sent, climber.told) = (Some(now), channel.outgoing.fulfilled_msat, Some(fee.0));
        Some(fee)
    }
}

fn is_worth_telling(fee: f64, current: f64, told: f64) -> bool {
    let least = if current < 100.0 { 1.0 } else { (0.03 * current).max(5.0) };
    (fee - current).abs() >= least && ((fee - told).abs() > 0.05 * told || told <= 1.0 || fee <= 1.0)
}

impl Climber {
    fn rests(&mut self, revenue: f64, now: Time) -> bool {
        let moved = (revenue - self.last).abs() / self.last.max(1.0) > 0.20;
        self.rests_until = self.rests_until.filter(|until| now < *until && !moved);
        self.rests_until.is_some()
    }

    /// The fee that the last window argues for; nothing where the channel comes to rest.
    fn climb(&mut self, revenue: f64, current: f64, now: Time) -> Option<f64> {
        self.mean = if self.mean == 0.0 { revenue } else { SMOOTHING * revenue + (1.0 - SMOOTHING) * self.mean };
        let change =
            if self.judged && self.last > 0.0 { (self.mean - self.last).abs() / self.last.max(1.0) } else { 0.0 };
        if change > 0.50 {
            (self.step, self.stable) = (FIRST_STEP, 0);
        } else if change < 0.01 {
            self.stable += 1;
            if self.stable >= STABLE_WINDOWS {
                (self.stable, self.rests_until) = (0, Some(now.plus_secs(REST_SECS)));
                return None;
            }
        } else {
            self.stable = 0;
        }
        self.turn(change);
        (self.last, self.judged) = (self.mean, true);
        self.step = self.step.max((STEP_PART * current).trunc().max(SHORTEST_STEP)).min(LONGEST_STEP);
        let step = if self.run > RUN { self.step / 2.0 } else { self.step };
        Some(current + self.direction * step)
    }

    fn turn(&mut self, change: f64) {
        if !self.judged {
            return;
        }
        if self.mean > self.last {
            self.run += 1;
            self.step *= if change > 0.20 { 2.0 } else { 1.0 };
        } else {
            self.direction = -self.direction;
            (self.run, self.step) = (0, (self.step / 2.0).max(SHORTEST_STEP));
        }
    }
}

impl Rule for Perturb {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        EVERY_SECS
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let mut channels = std::mem::take(&mut self.channels);
        channels.resize_with(market.channels.len(), Climber::default);
        let now = market.now();
        let quotes = quotes(market, |place, channel| self.look_at(&mut channels[place], channel, now));
        self.channels = channels;
        quotes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rules::tests::channel;

    #[test]
    fn floors_rise_as_a_channel_drains() {
        let rule = Perturb::new(5_000.0);
        let floors = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.95].map(|share| rule.bounds(share).0);
        assert_eq!(floors, [1_500.0, 400.0, 400.0, 26.0, 21.0, 17.0, 14.0, 10.0]);
        let tight = Perturb::new(300.0);
        assert_eq!(
            [0.05, 0.2, 0.5].map(|share| tight.bounds(share)),
            [(1_500.0, 1_510.0), (400.0, 410.0), (21.0, 300.0)]
        );
    }

    #[test]
    fn scarcity_is_a_straight_line() {
        let factors = [0.0, 0.07, 0.175, 0.35, 0.9].map(|share| (Perturb::scarcity(share) * 100.0).round());
        assert_eq!(factors, [300.0, 260.0, 200.0, 100.0, 100.0]);
    }

    #[test]
    fn it_goes_on_while_revenue_rises_and_turns_when_it_falls() {
        let mut climber = Climber::default();
        // Revenue an hour in each window, and the fee asked for from 200.
        for (revenue, fee) in [(100.0, 250.0), (140.0, 250.0), (240.0, 300.0), (80.0, 150.0), (80.0, 225.0)] {
            assert_eq!(climber.climb(revenue, 200.0, Time(0)), Some(fee), "{revenue} {climber:?}");
        }
    }

    #[test]
    fn a_channel_without_change_comes_to_rest_and_revenue_wakes_it() {
        let mut climber = Climber::default();
        let fees: Vec<_> = (0..3).map(|_| climber.climb(0.0, 200.0, Time(0))).collect();
        assert_eq!(fees, [Some(250.0), Some(175.0), None]);
        assert!(climber.rests(0.0, Time::from_secs(REST_SECS - 1)));
        assert!(!climber.clone().rests(5.0, Time::from_secs(1)));
        assert!(!climber.rests(0.0, Time::from_secs(REST_SECS)));
    }

    #[test]
    fn small_changes_are_kept_back() {
        let cases = [(99.0, 98.0), (200.0, 206.0), (200.0, 210.0), (200.0, 211.0), (5_000.0, 4_700.0)];
        let told = cases.map(|(current, fee)| is_worth_telling(fee, current, current));
        assert_eq!(told, [false, false, false, true, true]);
        // A change within the last hour is not judged yet.
        let (rule, mut climber) = (Perturb::new(5_000.0), Climber::default());
        let mut channel = channel(0.5);
        let first = rule.look_at(&mut climber, &channel, Time(0));
        channel.price.ppm = first.map_or(0, |ppm| ppm.0);
        assert_eq!((first, rule.look_at(&mut climber, &channel, Time::from_secs(1_800))), (Some(Ppm(60)), None));
    }
}
