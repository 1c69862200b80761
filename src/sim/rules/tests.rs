//! What holds for all rules, and a look at what they earn.

use std::sync::Arc;

use super::*;
use crate::sim::channel::Price;
use crate::sim::{Network, Scenario, Tape};

/// A quiet channel of 10 M sat.
pub(super) fn channel(share: f64) -> SimChannel {
    let network = Network::draw(Scenario::default());
    let mut channel = SimChannel::new(&network.seats[0], network.peers[0], network.scenario.start);
    channel.capacity = 10_000_000_000;
    channel.local = crate::domain::units::to_u64_rounded(channel.capacity as f64 * share);
    channel.remote = channel.capacity - channel.local;
    channel
}

fn tape(seed: u64, days: u32) -> Arc<Tape> {
    Arc::new(Tape::new(Network::draw(Scenario { seed, ..Scenario::default() })).frozen(days))
}

/// Plays whole days from 210 ppm; answers the market and how many prices were set.
fn played(rule: &mut dyn Rule, tape: &Arc<Tape>, days: u32) -> (Market, usize) {
    let mut market = Market::new(tape.clone());
    market.set_all(Ppm(210));
    let (mut set, end) = (0, tape.start_of(days).plus_secs(-1));
    while market.now() < end {
        for quote in rule.look(&market) {
            let price = market.channels[quote.channel].price;
            market.set_price(quote.channel, Price { base: quote.base.0, ppm: quote.ppm.0, ..price }, None);
            set += 1;
        }
        market.advance(market.now().plus_secs(rule.every_secs()).min(end));
    }
    (market, set)
}

#[test]
fn every_name_is_a_rule_and_its_knob_is_on_the_ladder() {
    for Named { name, knobs, .. } in RULES {
        assert_eq!(by_name(name, 1).unwrap().name(), *name);
        assert!(knobs.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        assert!(knobs.iter().all(|knob| by_name(&format!("{name}:{knob}"), 1).is_some()));
    }
    assert!(by_name("none", 1).is_none() && by_name("static:much", 1).is_none());
}

#[test]
fn the_same_seed_quotes_the_same() {
    let tape = tape(3, 12);
    for Named { name, .. } in RULES {
        let runs = [5, 5].map(|seed| {
            let (market, set) = played(by_name(name, seed).unwrap().as_mut(), &tape, 12);
            (market.channels.iter().map(|c| (c.price, c.earned)).collect::<Vec<_>>(), set)
        });
        assert_eq!(runs[0], runs[1], "{name}");
        assert!(runs[0].1 > 0, "{name}");
    }
}

#[test]
fn a_rule_says_nothing_of_what_is_in_force() {
    let tape = tape(4, 1);
    for name in RULES.iter().map(|rule| rule.name).filter(|name| ![thompson::NAME, "ours"].contains(name)) {
        let mut rule = by_name(name, 5).unwrap();
        let (market, _) = played(rule.as_mut(), &tape, 1);
        let quoted = rule.look(&market);
        let in_force = |quote: &&Quote| {
            let price = market.channels[quote.channel].price;
            (price.base, price.ppm) == (quote.base.0, quote.ppm.0)
        };
        assert_eq!(quoted.iter().filter(in_force).count(), 0, "{name}");
    }
}

/// For a look at the ladders: `cargo test --release --lib -- --ignored ladders --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn ladders() {
    let days = 45;
    let tapes: Vec<_> = (101..109).map(|seed| tape(seed, days)).collect();
    for Named { name, knobs, make, .. } in RULES {
        for knob in *knobs {
            let mut sums = (0, 0);
            for tape in &tapes {
                let (market, set) = played(make(Some(*knob), 1).as_mut(), tape, days);
                sums.0 += market.channels.iter().map(|c| c.earned).sum::<u64>() / 1_000;
                sums.1 += set;
            }
            let updates = sums.1 as f64 / f64::from(days) / (8 * tapes.len()) as f64;
            eprintln!("{name:>15} {knob:>7.0}  {:>9} sat  {updates:.1} updates a day and channel", sums.0);
        }
    }
}
