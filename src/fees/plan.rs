//! The plan: what balances are worth across the whole node, made twice a day and handed to every decision. Pure; turns beliefs,
//! balances and past inflows into the program of [`super::bid_price`], and never sets a fee itself.

use serde::{Deserialize, Serialize};

use super::belief::{self, usual_patience};
use super::bid_price::{self, Inflow, Stock};
use super::hill_climb::{self, Outlook};
use super::rehearsal::{self, Part};
use super::{FeeInputs, Market, Memory, Observed, Tuning, Updates, limits, tidy};
use crate::domain::{Channel, Msat, PeerId, Policy, Pricing, Time};

/// Balances drift by the day, not by the hour; and every plan moves many fees at once.
const EVERY_HOURS: f64 = 12.0;
/// Days over which a balance may be used up, or filled, for free.
const HORIZON_DAYS: f64 = 40.0;
/// Shares of the capacity at both ends that are not planned with: large payments no longer fit.
const EDGE: f64 = 0.1;
/// However many doors were closed, at least this share of a peer's payers is taken to have found an open one.
const LEAST_SERVED: f64 = 0.1;
/// Usual payments that every peer is taken to have brought before anything is known of it.
const USUAL_PAYMENTS: f64 = 5.0;
/// Plans are rehearsed where at least this share of what left was brought by peers.
const LEAST_BROUGHT: f64 = 0.5;
/// Hours in which payers could be served, before anything is known of them.
const LEAST_WATCHED_HOURS: f64 = 5.0;

/// One peer as a plan sees it.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    pub peer: PeerId,
    /// Never empty.
    pub channels: Vec<&'a Channel>,
    pub memory: Option<&'a Memory>,
    pub policy: &'a Policy,
}

#[derive(Clone, Debug)]
pub struct PlanInputs<'a> {
    pub now: Time,
    pub peers: &'a [Planned<'a>],
    pub market: &'a Market,
    pub tuning: &'a Tuning,
    /// The plan that holds until now.
    pub last: Option<&'a Plan>,
}

impl PlanInputs<'_> {
    /// Is the plan that holds too old, or made for other peers?
    pub fn is_due(&self) -> bool {
        let Some(plan) = self.last else { return true };
        let fresh = (0.0..EVERY_HOURS).contains(&self.now.hours_since(plan.at));
        let unplanned = || self.peers.iter().any(|planned| plan.bid(&planned.peer).is_none());
        !fresh || plan.bids.len() != self.peers.len() || unplanned()
    }
}

/// What one peer's balance is worth, and the fee that follows. In ppm; the fee is the proportional one, without base fee.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bid {
    pub peer: PeerId,
    pub mu: f64,
    pub cost: f64,
    pub fee: f64,
    /// ln of what the rehearsal has made of the fee.
    #[serde(default)]
    pub rehearsed: f64,
    /// Whether the peer is priced by it.
    pub holds: bool,
}

/// The node-wide part of pricing; saved by the step that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub at: Time,
    /// Of refused payers who would pay the new price, the part that comes back.
    #[serde(default = "usual_patience")]
    patience: f64,
    /// By peer, ascending.
    bids: Vec<Bid>,
}

impl Plan {
    pub fn bid(&self, peer: &PeerId) -> Option<&Bid> {
        self.bids.binary_search_by_key(peer, |bid| bid.peer).ok().map(|place| &self.bids[place])
    }
}

/// Of refused payers who would pay the new price, the part that comes back: as the last plan has found it, if there is one.
pub fn patience_of(plan: Option<&Plan>) -> f64 {
    plan.map_or_else(usual_patience, |plan| plan.patience)
}

/// Prices the balances of all peers together.
pub fn plan(i: &PlanInputs) -> Plan {
    let mut outlooks: Vec<Outlook> = i.peers.iter().map(|planned| planned.outlook(i)).collect();
    let brought = Brought::of(i, &outlooks);
    brought.undo_closed_doors(&mut outlooks);
    let stocks: Vec<Stock> = i.peers.iter().zip(&outlooks).map(|(peer, outlook)| peer.stock(outlook)).collect();
    let inflow = brought.inflow();
    let prices = bid_price::solve(&stocks, &inflow);
    let rehearsed = rehearsed(i, (&outlooks, &prices), &inflow);
    let bid = |(((planned, outlook), price), rehearsed): (((&Planned, &Outlook), &bid_price::Price), &f64)| Bid {
        peer: planned.peer,
        mu: tidy(price.mu),
        cost: tidy(price.cost),
        fee: tidy((price.fee * rehearsed.exp() - outlook.base).max(1.0)),
        rehearsed: tidy(*rehearsed),
        holds: outlook.holds(),
    };
    let mut bids: Vec<Bid> = i.peers.iter().zip(&outlooks).zip(&prices).zip(&rehearsed).map(bid).collect();
    bids.sort_by_key(|bid| bid.peer);
    let learners = i.peers.iter().filter_map(|planned| hill_climb::counted(planned.memory?));
    Plan { at: i.now, patience: belief::patience(learners, i.now), bids }
}

/// ln of what to make of each price, peer by peer. Where most of what left was brought by none of them, they cannot be played among
/// themselves; and before anything was forwarded nobody knows who brings what.
fn rehearsed(i: &PlanInputs, (outlooks, prices): (&[Outlook], &[bid_price::Price]), inflow: &Inflow) -> Vec<f64> {
    let sum = |of: fn(&Outlook) -> f64| outlooks.iter().map(of).sum::<f64>();
    if sum(|outlook| outlook.brought) <= LEAST_BROUGHT * sum(|outlook| outlook.left) {
        return vec![0.0; outlooks.len()];
    }
    let amounts: Vec<f64> = i.market.amounts.iter().map(|amount| amount.as_f64()).collect();
    let part = |(place, planned): (usize, &Planned)| {
        let (outlook, price) = (&outlooks[place], &prices[place]);
        let (local, capacity) = planned.balance();
        let before = i.last.and_then(|plan| plan.bid(&planned.peer)).map_or(0.0, |bid| bid.rehearsed);
        Part {
            ladder: &outlook.ladder,
            share: inflow.shares[place],
            inflow: outlook.inflow,
            local,
            capacity,
            fee: price.fee.max(1.0),
            mu: price.mu,
            scarce_below: i.tuning.scarcity.then_some(i.tuning.scarcity_threshold),
            before,
            holds: outlook.holds(),
        }
    };
    let parts: Vec<Part> = i.peers.iter().enumerate().map(part).collect();
    rehearsal::rehearse(&parts, &amounts, inflow.forwarded, i.now.0.unsigned_abs())
}

/// What is wanted of one peer's channels, in msat a day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// `None`: its payers could hardly be watched, so that nothing has been learned of them.
    pub demand: Option<Demand>,
    /// Comes in by other ways than forwards and our own moves; negative: leaves.
    pub other: f64,
    /// Days for which that was watched, older ones counting less.
    pub other_days: f64,
    /// Days over which a plan makes a balance last.
    pub lasts: f64,
}

/// What payers want who found an open door: more balance here opens none elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Would leave at the fee in force, if there were balance for all of it.
    pub out: f64,
    /// What may leave (rising), and what the next of it earns (ppm, falling) if the fee always follows.
    pub worth: Vec<(f64, f64)>,
}

/// What is wanted of each peer.
pub fn wanted(i: &PlanInputs) -> Vec<(PeerId, Wanted)> {
    let of = |planned: &Planned| {
        let outlook = planned.outlook(i);
        let demand = (outlook.watched >= LEAST_WATCHED_HOURS).then(|| planned.demand(&outlook)).flatten();
        let (other, other_days) = outlook.inflow_by_now;
        (planned.peer, Wanted { demand, other, other_days, lasts: HORIZON_DAYS })
    };
    i.peers.iter().map(of).collect()
}

/// What forwards have brought in by each peer, msat. Which way brings to which is not told apart: shares of single ways would take
/// months to be known, and weigh on prices before they are.
struct Brought {
    seen: Vec<f64>,
    /// As if there had always been room.
    wanted: Vec<f64>,
    /// The share of what leaves that came in by forwards.
    forwarded: f64,
}

impl Brought {
    fn of(i: &PlanInputs, outlooks: &[Outlook]) -> Brought {
        let few = USUAL_PAYMENTS * super::blocks::mean_amount(&i.market.amounts);
        let seen: Vec<f64> = outlooks.iter().map(|outlook| few + outlook.brought).collect();
        let left: f64 = outlooks.iter().map(|outlook| few + outlook.left).sum();
        let forwarded = if i.peers.len() > 1 { (seen.iter().sum::<f64>() / left.max(1.0)).min(1.0) } else { 0.0 };
        let wanted = outlooks.iter().map(|outlook| few + outlook.brought / outlook.open).collect();
        Brought { seen, wanted, forwarded }
    }

    /// The program shuts doors by itself; what it is told of demand must not have passed through closed ones before. A peer's payers
    /// come in by the others.
    fn undo_closed_doors(&self, outlooks: &mut [Outlook]) {
        let (seen, wanted): (f64, f64) = (self.seen.iter().sum(), self.wanted.iter().sum());
        for (place, outlook) in outlooks.iter_mut().enumerate() {
            let others = wanted - self.wanted[place];
            let served = if others > 0.0 { (seen - self.seen[place]) / others } else { 1.0 };
            outlook.ladder.iter_mut().for_each(|rung| rung.1 /= served.clamp(LEAST_SERVED, 1.0));
        }
    }

    fn inflow(&self) -> Inflow {
        let whole: f64 = self.wanted.iter().sum();
        Inflow { shares: self.wanted.iter().map(|msat| msat / whole.max(1.0)).collect(), forwarded: self.forwarded }
    }
}

impl Planned<'_> {
    fn demand(&self, outlook: &Outlook) -> Option<Demand> {
        let fee = self.channels.iter().max_by_key(|c| c.capacity)?.ours.ppm.as_f64() + outlook.base;
        let at = |rung: &&(f64, f64)| rung.0 >= fee;
        let out = outlook.ladder.iter().find(at).or(outlook.ladder.last())?.1;
        Some(Demand { out, worth: bid_price::marginal_revenue(&outlook.ladder) })
    }

    fn outlook(&self, i: &PlanInputs) -> Outlook {
        let nothing = Observed { from: i.now, to: i.now, ..Observed::default() };
        let inputs = FeeInputs {
            now: i.now,
            peer: self.peer,
            channels: &self.channels,
            out_per_day: None,
            observed: &nothing,
            market: i.market,
            updates: Updates::default(),
            memory: self.memory,
            bid: None,
            tuning: i.tuning,
            policy: self.policy,
        };
        match self.leeway(&inputs) {
            None => hill_climb::outlook(&inputs),
            Some(tuning) => hill_climb::outlook(&FeeInputs { tuning: &tuning, ..inputs }),
        }
    }

    /// Where a policy has a say, what it leaves to a plan: the fee that it names, or the one that nobody touches, and no other.
    fn leeway(&self, i: &FeeInputs) -> Option<Tuning> {
        let fee = match self.policy.pricing {
            Pricing::Controller | Pricing::ControllerFrom(_) => return limits::of(i).map(|(tuning, _)| tuning),
            Pricing::Exact | Pricing::Untouched => self.policy.exact().unwrap_or(i.published()),
        };
        Some(Tuning { min: fee, max: fee, ..i.tuning.clone() })
    }

    /// Ours, and the whole.
    fn balance(&self) -> (f64, f64) {
        let sum = |of: fn(&Channel) -> Msat| self.channels.iter().map(|c| of(c).as_f64()).sum();
        (sum(|c| c.local), sum(|c| c.capacity))
    }

    fn stock<'a>(&self, outlook: &'a Outlook) -> Stock<'a> {
        let (local, capacity) = self.balance();
        let spare = (local - EDGE * capacity) / HORIZON_DAYS;
        let room = ((1.0 - EDGE) * capacity - local) / HORIZON_DAYS;
        // Whatever refills it will go on doing so.
        let endless = outlook.ladder.first().map_or(0.0, |cheapest| cheapest.1);
        Stock {
            ladder: &outlook.ladder,
            inflow: outlook.inflow,
            spare: if outlook.ample { spare.max(endless) } else { spare },
            // What comes by other ways earns nothing and follows what leaves: nobody sells cheaply to make room for it.
            room: if room < 0.0 { room * outlook.forwarded } else { room } + outlook.inflow.max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(brought: f64, open: f64) -> Outlook {
        Outlook {
            ladder: vec![(100.0, 1e9), (200.0, 5e8)],
            inflow: 0.0,
            inflow_by_now: (0.0, 0.0),
            brought,
            left: brought,
            forwarded: 1.0,
            open,
            ample: false,
            base: 0.0,
            watched: 100.0,
        }
    }

    #[test]
    fn a_closed_door_hides_what_it_would_bring_and_what_others_would_sell() {
        let mut outlooks = vec![outlook(1e10, 0.5), outlook(1e10, 1.0)];
        let brought = Brought { seen: vec![1e10; 2], wanted: vec![2e10, 1e10], forwarded: 1.0 };
        let inflow = brought.inflow();
        assert!((inflow.shares[0] - 2.0 / 3.0).abs() < 1e-9 && (inflow.shares[1] - 1.0 / 3.0).abs() < 1e-9);
        brought.undo_closed_doors(&mut outlooks);
        assert_eq!(outlooks[0].ladder, [(100.0, 1e9), (200.0, 5e8)], "its payers come by the other, which was open");
        assert_eq!(outlooks[1].ladder, [(100.0, 2e9), (200.0, 1e9)], "half of its payers found a closed door");
    }

    #[test]
    fn who_has_no_neighbours_has_no_doors() {
        let mut alone = vec![outlook(1e10, 0.1)];
        let brought = Brought { seen: vec![1e10], wanted: vec![1e11], forwarded: 0.0 };
        brought.undo_closed_doors(&mut alone);
        assert_eq!(alone[0].ladder, outlook(0.0, 1.0).ladder);
    }
}
