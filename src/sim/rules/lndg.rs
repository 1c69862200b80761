//! LNDg's autofee (AF), by its README: once a day a step up or down, by how much is ours and what flowed in the last seven days, summed
//! over the channels with a peer. It steps from whatever rate it finds, and in weeks it does not get far: the knob is that rate.
//!
//! One number is not in the market: the fees of forwards by the channel that they came in by (all that was earned is shared by
//! volume). Never touches inbound fees.

use super::{Quote, Rule, quotes};
use crate::domain::Ppm;
use crate::sim::Market;

pub const NAME: &str = "lndg";
pub const KNOBS: &[f64] = &[25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1_200.0];
pub const TUNED: f64 = 800.0;

/// `AF-MaxRate` and `AF-MinRate`.
const MAX: f64 = 2_500.0;
const MIN: f64 = 0.0;
/// `AF-Increment`: rates are multiples of it. `AF-Multiplier`: the length of the steps.
const INCREMENT: f64 = 5.0;
const MULTIPLIER: f64 = 5.0;
/// `AF-FailedHTLCs`, a day.
const FAILURES: u64 = 25;
/// `AF-LowLiqLimit` and `AF-ExcessLimit`.
const LOW: f64 = 0.15;
const EXCESS: f64 = 0.95;
/// Direct earnings count as nothing beside so many times as much assisted.
const ASSISTED: f64 = 10.0;
/// `AF-UpdateHours`, and the window in days.
const UPDATE_SECS: i64 = 24 * 3_600;
const WINDOW: usize = 7;

#[derive(Clone, Debug)]
pub struct Lndg {
    start: f64,
    /// Totals at the last looks, the newest last; by peer.
    past: Vec<Snapshot>,
}

#[derive(Clone, Debug, Default)]
struct Snapshot {
    peers: Vec<Sums>,
}

/// Of all channels with one peer, or of a span of time.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    capacity: f64,
    local: f64,
    /// Sent and received (msat).
    out: f64,
    inward: f64,
    earned: f64,
    /// Payments refused for lack of balance.
    starved: u64,
}

/// What decides about one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Facts {
    share: f64,
    /// Of the window.
    out: f64,
    inward: f64,
    capacity: f64,
    direct: f64,
    assisted: f64,
    /// Of the last day.
    failed_day: u64,
    inward_day: f64,
}

impl Lndg {
    /// The knob is the rate that everything begins with.
    pub fn new(start: f64) -> Lndg {
        Lndg { start, past: Vec::new() }
    }
}

fn next_rate(rate: f64, facts: &Facts) -> Ppm {
    let wanted = (rate + step(facts)).clamp(MIN, MAX);
    Ppm::rounded((wanted / INCREMENT).round() * INCREMENT)
}

fn step(facts: &Facts) -> f64 {
    let net = (facts.out - facts.inward) / facts.capacity.max(1.0);
    let still = facts.out == 0.0 && facts.inward == 0.0;
    if facts.share <= LOW {
        let wanted = facts.failed_day > FAILURES && facts.inward_day == 0.0;
        return if wanted { 5.0 * MULTIPLIER } else { 0.0 };
    }
    if facts.share > EXCESS {
        let entrance_only = net < 0.0 && facts.assisted > ASSISTED * facts.direct;
        return if still || entrance_only { -5.0 * MULTIPLIER } else { 0.0 };
    }
    match still {
        true => -3.0 * MULTIPLIER,
        false if net > 1.0 => 2.0 * MULTIPLIER * (1.0 + net),
        false => 0.0,
    }
}

impl Snapshot {
    fn of(market: &Market) -> Snapshot {
        let mut peers = vec![Sums::default(); market.peers.len()];
        for channel in market.channels.iter().filter(|channel| channel.routes()) {
            let sums = &mut peers[channel.seat.peer as usize];
            sums.capacity += channel.capacity as f64;
            sums.local += channel.to_us() as f64;
            sums.out += channel.outgoing.fulfilled_msat as f64;
            sums.inward += channel.incoming.fulfilled_msat as f64;
            sums.earned += channel.earned as f64;
            sums.starved += channel.starved;
        }
        Snapshot { peers }
    }

    /// What happened to a peer since then.
    fn since(&self, before: &Snapshot, peer: usize) -> Sums {
        let (new, old) = (self.peers[peer], before.peers.get(peer).copied().unwrap_or_default());
        Sums {
            out: (new.out - old.out).max(0.0),
            inward: (new.inward - old.inward).max(0.0),
            earned: (new.earned - old.earned).max(0.0),
            starved: new.starved.saturating_sub(old.starved),
            ..new
        }
    }

    /// What is to be known of every peer, from the totals now, a day and a window ago.
    fn facts(&self, yesterday: &Snapshot, oldest: &Snapshot) -> Vec<Facts> {
        let week: Vec<Sums> = (0..self.peers.len()).map(|peer| self.since(oldest, peer)).collect();
        let earned: f64 = week.iter().map(|sums| sums.earned).sum();
        let entered: f64 = week.iter().map(|sums| sums.inward).sum();
        let facts = week.iter().enumerate().map(|(peer, sums)| Facts {
            share: sums.local / sums.capacity.max(1.0),
            out: sums.out,
            inward: sums.inward,
            capacity: sums.capacity,
            direct: sums.earned,
            assisted: earned * sums.inward / entered.max(1.0),
            failed_day: self.since(yesterday, peer).starved,
            inward_day: self.since(yesterday, peer).inward,
        });
        facts.collect()
    }
}

impl Rule for Lndg {
    fn name(&self) -> &'static str {
        NAME
    }

    fn every_secs(&self) -> i64 {
        UPDATE_SECS
    }

    fn look(&mut self, market: &Market) -> Vec<Quote> {
        let now = Snapshot::of(market);
        let quotes = match (self.past.first(), self.past.last()) {
            (Some(oldest), Some(yesterday)) => {
                let facts = now.facts(yesterday, oldest);
                let rate = |channel: &crate::sim::channel::SimChannel| {
                    next_rate(f64::from(channel.price.ppm), &facts[channel.seat.peer as usize])
                };
                quotes(market, |_, channel| Some(rate(channel)))
            }
            // At the first look nothing is known of flows.
            _ => quotes(market, |_, _| Some(Ppm::rounded(self.start))),
        };
        if self.past.len() == WINDOW {
            self.past.remove(0);
        }
        self.past.push(now);
        quotes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::Msat;
    use crate::sim::{Network, Scenario, Tape};

    #[test]
    fn a_drained_channel_with_many_failures_is_raised_and_no_other() {
        let network = Network::draw(Scenario { parallel: 0.0, ..Scenario::default() });
        let mut market = Market::new(Arc::new(Tape::new(network)));
        market.set_all(Ppm(300));
        for channel in &mut market.channels {
            channel.remote = channel.capacity;
            channel.local = 0;
        }
        let mut rule = Lndg::new(300.0);
        assert_eq!(rule.look(&market), []);
        (market.channels[2].starved, market.channels[3].starved) = (26, 25);
        let raised = rule.look(&market);
        assert_eq!(raised, [Quote { channel: 2, base: Msat::ZERO, ppm: Ppm(325) }]);
    }

    #[test]
    fn steps_by_liquidity_and_flow() {
        let quiet = Facts { capacity: 1e6, ..Facts::default() };
        let flows = |share: f64, out: f64, inward: f64| Facts { share, out, inward, ..quiet };
        let wanted = Facts { failed_day: 26, ..flows(0.1, 1e5, 0.0) };
        let refilled = Facts { inward_day: 1.0, ..wanted };
        let assisting = Facts { assisted: 1_001.0, direct: 100.0, ..flows(0.96, 1e5, 2e5) };
        let earning = Facts { direct: 101.0, ..assisting };
        for (facts, rate) in [
            (flows(0.1, 0.0, 0.0), 500),
            (wanted, 525),
            (refilled, 500),
            (flows(0.5, 0.0, 0.0), 485),
            (flows(0.5, 1e5, 0.0), 500),
            (flows(0.5, 1.5e6, 0.0), 525),
            (flows(0.5, 3.5e6, 5e5), 540),
            (flows(0.9, 0.0, 0.0), 485),
            (flows(0.96, 0.0, 0.0), 475),
            (assisting, 475),
            (earning, 500),
        ] {
            assert_eq!(next_rate(500.0, &facts).0, rate, "{facts:?}");
        }
        assert_eq!(next_rate(5.0, &flows(0.5, 0.0, 0.0)).0, 0);
        assert_eq!(next_rate(2_495.0, &flows(0.5, 2e6, 0.0)).0, 2_500);
    }
}
