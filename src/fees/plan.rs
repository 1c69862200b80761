//! The plan: what balances are worth across the whole node, made twice a day and handed to every decision. Pure; turns beliefs,
//! balances and the ways of past payments into the program of [`super::bid_price`], and never sets a fee itself.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::bid_price::{self, Stock};
use super::{FeeInputs, Market, Memory, Observed, Tuning, Updates, hill_climb, tidy};
use crate::domain::{Channel, PeerId, Time};

/// Balances drift by the day, not by the hour; and every plan moves many fees at once.
const EVERY_HOURS: f64 = 12.0;
/// Days over which a balance may be used up, or filled, for free.
const HORIZON_DAYS: f64 = 7.0;
/// Shares of the capacity at both ends that are not planned with: large payments no longer fit.
const EDGE: f64 = 0.1;
/// Msat that must have left by a channel before its own origins count as much as the node's: so many usual payments.
const USUAL_PAYMENTS: f64 = 20.0;

/// Msat that came in by one peer and left by another, old days counting less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub from: PeerId,
    pub to: PeerId,
    pub msat: f64,
}

/// One peer as a plan sees it.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    pub peer: PeerId,
    /// Never empty.
    pub channels: Vec<&'a Channel>,
    pub memory: Option<&'a Memory>,
}

#[derive(Clone, Debug)]
pub struct PlanInputs<'a> {
    pub now: Time,
    pub peers: &'a [Planned<'a>],
    pub pairs: &'a [Pair],
    pub market: &'a Market,
    pub tuning: &'a Tuning,
}

/// What one peer's balance is worth, and the fee that follows. In ppm; the fee is the proportional one, without base fee.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bid {
    pub peer: PeerId,
    pub mu: f64,
    pub cost: f64,
    pub fee: f64,
}

/// The node-wide part of pricing; saved by the step that made it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub at: Time,
    /// By peer, ascending.
    bids: Vec<Bid>,
}

impl Plan {
    pub fn bid(&self, peer: &PeerId) -> Option<&Bid> {
        self.bids.binary_search_by_key(peer, |bid| bid.peer).ok().map(|place| &self.bids[place])
    }

    /// Is it too old, or made for other peers?
    pub fn is_due(plan: Option<&Plan>, i: &PlanInputs) -> bool {
        let Some(plan) = plan else { return true };
        let fresh = (0.0..EVERY_HOURS).contains(&i.now.hours_since(plan.at));
        !fresh || plan.bids.len() != i.peers.len() || i.peers.iter().any(|planned| plan.bid(&planned.peer).is_none())
    }
}

/// Prices the balances of all peers together.
pub fn plan(i: &PlanInputs) -> Plan {
    let (usual, origins) = origins(i);
    let stocks: Vec<Stock> = i.peers.iter().zip(origins).map(|(peer, ways)| peer.stock(i, ways)).collect();
    let prices = bid_price::solve(&stocks, &usual);
    let bid = |(planned, price): (&Planned, &bid_price::Price)| Bid {
        peer: planned.peer,
        mu: tidy(price.mu),
        cost: tidy(price.cost),
        fee: tidy((price.fee - planned.base(i)).max(1.0)),
    };
    let mut bids: Vec<Bid> = i.peers.iter().zip(&prices).map(bid).collect();
    bids.sort_by_key(|bid| bid.peer);
    Plan { at: i.now, bids }
}

/// Where what left by a peer had come in: single ways, and the share of which nothing is known.
struct Ways {
    known: Vec<(usize, f64)>,
    unknown: f64,
}

/// Each peer's share of the node's inflow, and each peer's ways.
fn origins(i: &PlanInputs) -> (Vec<f64>, Vec<Ways>) {
    let place: HashMap<PeerId, usize> = i.peers.iter().enumerate().map(|(place, p)| (p.peer, place)).collect();
    let few = USUAL_PAYMENTS * super::blocks::mean_amount(&i.market.amounts);
    // Where nothing has been forwarded yet, everybody brings the same.
    let mut brought = vec![few; i.peers.len()];
    let mut left: Vec<Vec<(usize, f64)>> = vec![vec![]; i.peers.len()];
    for pair in i.pairs.iter().filter(|pair| pair.msat > 0.0 && pair.from != pair.to) {
        if let (Some(from), Some(to)) = (place.get(&pair.from), place.get(&pair.to)) {
            brought[*from] += pair.msat;
            left[*to].push((*from, pair.msat));
        }
    }
    let whole: f64 = brought.iter().sum();
    let ways = left.into_iter().map(|mut ways| {
        let sum = few + ways.iter().map(|(_, msat)| msat).sum::<f64>();
        ways.iter_mut().for_each(|(_, msat)| *msat /= sum);
        Ways { known: ways, unknown: few / sum }
    });
    (brought.iter().map(|msat| msat / whole).collect(), ways.collect())
}

impl Planned<'_> {
    fn stock(&self, i: &PlanInputs, ways: Ways) -> Stock {
        let nothing = Observed { from: i.now, to: i.now, ..Observed::default() };
        let inputs = self.inputs(i, &nothing);
        let (capacity, local) = (inputs.capacity(), inputs.local());
        let outlook = hill_climb::outlook(&inputs);
        let spare = (local - EDGE * capacity) / HORIZON_DAYS;
        // Whatever refills it will go on doing so.
        let endless = outlook.ladder.first().map_or(0.0, |cheapest| cheapest.1);
        Stock {
            ladder: outlook.ladder,
            inflow: outlook.inflow,
            spare: if outlook.ample { spare.max(endless) } else { spare },
            // What comes by other ways earns nothing and follows what leaves: nobody sells cheaply to make room for it.
            room: ((1.0 - EDGE) * capacity - local) / HORIZON_DAYS + outlook.inflow.max(0.0),
            origins: ways.known,
            unknown: ways.unknown,
        }
    }

    fn base(&self, i: &PlanInputs) -> f64 {
        let nothing = Observed::default();
        hill_climb::base_rate(&self.inputs(i, &nothing))
    }

    fn inputs<'a>(&'a self, i: &'a PlanInputs, observed: &'a Observed) -> FeeInputs<'a> {
        FeeInputs {
            now: i.now,
            peer: self.peer,
            channels: &self.channels,
            out_per_day: None,
            observed,
            market: i.market,
            updates: Updates::default(),
            memory: self.memory,
            bid: None,
            tuning: i.tuning,
        }
    }
}
