//! The network as payers see it without us: directions of channels as roads, what each kind of payer takes a road for, and the cheapest
//! way from or to a node. Amounts do not grow by the fees on the way; fees are small beside them. Knows nothing of balances but what
//! it is told is open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::gossmap::{Gossmap, PublicChannel, PublicPolicy};
use crate::domain::units::to_u64_rounded;

/// No way.
pub(super) const NEVER: u64 = u64::MAX;

/// One direction of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Road {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) capacity_msat: u64,
    pub(super) policy: PublicPolicy,
}

/// Whose way of weighing roads a payment goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payer {
    Lnd,
    Ldk,
    CoreLightning,
}

/// One of our channels: both directions, seen from us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    pub(super) peer: u32,
    pub(super) inward: Road,
    pub(super) outward: Road,
}

/// All roads but ours, by the node that they lead into and by the node that they leave.
#[derive(Clone, Debug)]
pub(super) struct Roads {
    pub(super) all: Vec<Road>,
    into: Groups,
    out_of: Groups,
}

#[derive(Clone, Debug)]
struct Groups {
    starts: Vec<usize>,
    places: Vec<u32>,
}

/// Which way a search goes along the roads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Forward,
    Backward,
}

/// Costs of one search; kept between searches so that nothing is allocated again.
#[derive(Clone, Debug)]
pub(super) struct Search {
    costs: Vec<u64>,
    touched: Vec<u32>,
    queue: BinaryHeap<Reverse<(u64, u32)>>,
}

/// All roads, except those from and to `us`.
pub(super) fn roads(map: &Gossmap, us: u32) -> Roads {
    let channels = map.channels.iter().filter(|channel| !channel.ends.contains(&us));
    let all: Vec<Road> = channels.flat_map(both).flatten().collect();
    let into = Groups::of(map.nodes, all.iter().map(|road| road.to));
    let out_of = Groups::of(map.nodes, all.iter().map(|road| road.from));
    Roads { all, into, out_of }
}

/// The channels of `us` that are open in both directions, the largest first.
pub(super) fn doors(map: &Gossmap, us: u32) -> Vec<Door> {
    let mut doors: Vec<Door> = map.channels.iter().filter_map(|channel| door(channel, us)).collect();
    doors.sort_by_key(|door| Reverse(door.outward.capacity_msat));
    doors
}

fn door(channel: &PublicChannel, us: u32) -> Option<Door> {
    let [Some(there), Some(back)] = both(channel) else { return None };
    let (outward, inward) = match us {
        us if there.from == us => (there, back),
        us if back.from == us => (back, there),
        _ => return None,
    };
    Some(Door { peer: outward.to, inward, outward })
}

fn both(channel: &PublicChannel) -> [Option<Road>; 2] {
    let [a, b] = channel.ends;
    let [there, back] = channel.directions;
    let road = |from, to, policy: Option<PublicPolicy>| {
        policy.map(|policy| Road { from, to, capacity_msat: channel.capacity_msat, policy })
    };
    [road(a, b, there), road(b, a, back)]
}

impl Groups {
    fn of(groups: u32, keys: impl Iterator<Item = u32> + Clone) -> Groups {
        let mut starts = vec![0; groups as usize + 1];
        keys.clone().for_each(|key| starts[key as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![0; starts.last().copied().unwrap_or(0)];
        for (place, key) in (0..).zip(keys) {
            places[next[key as usize]] = place;
            next[key as usize] += 1;
        }
        Groups { starts, places }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        &self.places[self.starts[node as usize]..self.starts[node as usize + 1]]
    }
}

impl Road {
    /// Does the policy let such a payment pass?
    pub(super) fn carries(&self, amount: u64) -> bool {
        amount >= self.policy.htlc_min_msat && amount <= self.policy.htlc_max_msat && amount <= self.capacity_msat
    }

    pub(super) fn fee(&self, amount: u64) -> f64 {
        self.policy.base_msat as f64 + amount as f64 * self.policy.ppm as f64 / 1e6
    }

    /// What a payer takes the road for: the fee, and what makes it avoid roads that cost no fee.
    pub(super) fn cost(&self, amount: u64, payer: Payer) -> u64 {
        let (added, factor) = self.penalty(amount, payer);
        to_u64_rounded((self.fee(amount) + added) * factor)
    }

    /// The fee at which a payer takes the road for that cost.
    pub(super) fn fee_at(&self, cost: f64, amount: u64, payer: Payer) -> f64 {
        let (added, factor) = self.penalty(amount, payer);
        cost / factor - added
    }

    /// What is added to the fee, and by what the sum is multiplied.
    fn penalty(&self, amount: u64, payer: Payer) -> (f64, f64) {
        let (msat, delta) = (amount as f64, self.policy.cltv_delta as f64);
        let capacity = self.capacity_msat.max(amount) as f64 + 1.0;
        let free = (capacity - msat).max(1.0) / capacity;
        match payer {
            // Time by `RiskFactorBillionths`; a failed attempt by `attemptcost` and `attemptcostppm`.
            Payer::Lnd => {
                let attempt = LND_ATTEMPT_MSAT + msat * LND_ATTEMPT_PPM / 1e6;
                (msat * delta * LND_RISK + attempt * (1.0 / LND_SUCCESS - 1.0), 1.0)
            }
            // The base penalties, and the historical one of a channel of which nothing is known.
            Payer::Ldk => {
                let base = LDK_BASE_MSAT + msat * LDK_BASE_MULTIPLIER / f64::from(1 << 30);
                let unlikely = LDK_LIQUIDITY_MSAT + msat * LDK_LIQUIDITY_MULTIPLIER / f64::from(1 << 20);
                (base - free.log10() * unlikely, 1.0)
            }
            // `riskfactor` percent a year, and a bias against roads that the amount nearly fills.
            Payer::CoreLightning => (1.0 + msat * delta * CLN_RISK / BLOCKS_A_YEAR, 1.0 - free.ln()),
        }
    }
}

/// Per block and unit of the amount.
const LND_RISK: f64 = 15e-9;
const LND_ATTEMPT_MSAT: f64 = 100_000.0;
const LND_ATTEMPT_PPM: f64 = 1_000.0;
/// Between 0.6, which it expects of roads never tried, and 0.95 of roads that have worked. It divides the cost of an attempt by the
/// product over the way; the sum over the roads is near that, and can be searched.
const LND_SUCCESS: f64 = 0.85;
const LDK_BASE_MSAT: f64 = 1_024.0;
const LDK_BASE_MULTIPLIER: f64 = 131_072.0;
const LDK_LIQUIDITY_MSAT: f64 = 10_000.0;
const LDK_LIQUIDITY_MULTIPLIER: f64 = 1_250.0;
const CLN_RISK: f64 = 0.10;
const BLOCKS_A_YEAR: f64 = 52_596.0;

impl Search {
    pub(super) fn new(nodes: u32) -> Search {
        Search { costs: vec![NEVER; nodes as usize], touched: Vec::new(), queue: BinaryHeap::new() }
    }

    /// The cost of a node by the last search. Final for nodes before the search stopped, an upper bound for others.
    pub(super) fn cost(&self, node: u32) -> u64 {
        self.costs[node as usize]
    }

    /// Cheapest ways between `start` and all nodes, until `stops` says so of the next node and its cost. Roads that cost nothing
    /// known are closed.
    pub(super) fn run(
        &mut self,
        roads: &Roads,
        (start, course): (u32, Course),
        cost: impl Fn(u32, &Road) -> Option<u64>,
        stops: impl Fn(u32, u64) -> bool,
    ) {
        self.touched.drain(..).for_each(|node| self.costs[node as usize] = NEVER);
        self.queue.clear();
        self.reach(start, 0);
        let groups = if course == Course::Forward { &roads.out_of } else { &roads.into };
        while let Some(Reverse((sum, node))) = self.queue.pop() {
            if sum > self.costs[node as usize] {
                continue;
            }
            if stops(node, sum) {
                return;
            }
            for place in groups.of_node(node) {
                let road = &roads.all[*place as usize];
                let other = if course == Course::Forward { road.to } else { road.from };
                // A node that is reached more cheaply already need not be priced.
                if self.costs[other as usize] <= sum {
                    continue;
                }
                if let Some(cost) = cost(*place, road) {
                    self.reach(other, sum.saturating_add(cost));
                }
            }
        }
    }

    fn reach(&mut self, node: u32, cost: u64) {
        let known = &mut self.costs[node as usize];
        if cost < *known {
            if *known == NEVER {
                self.touched.push(node);
            }
            *known = cost;
            self.queue.push(Reverse((cost, node)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn road(ppm: u64, cltv_delta: u64) -> Road {
        let policy =
            PublicPolicy { base_msat: 1_000, ppm, cltv_delta, htlc_min_msat: 1_000, htlc_max_msat: 900_000_000 };
        Road { from: 0, to: 1, capacity_msat: 1_000_000_000, policy }
    }

    #[test]
    fn payers_fear_different_things() {
        let costs = |ppm, delta, amount| {
            [Payer::Lnd, Payer::Ldk, Payer::CoreLightning].map(|payer| road(ppm, delta).cost(amount, payer))
        };
        // 50,000 sat at 100 ppm: 6,000 msat of fee.
        assert_eq!(costs(100, 40, 50_000_000), [32_501, 14_678, 10_306]);
        assert_eq!(costs(100, 0, 50_000_000), [32_471, 14_678, 6_309]);
        // Half of the channel.
        assert_eq!(costs(100, 40, 500_000_000), [157_182, 295_497, 150_735]);
    }

    #[test]
    fn the_fee_at_a_cost_is_the_fee_that_costs_so_much() {
        for payer in [Payer::Lnd, Payer::Ldk, Payer::CoreLightning] {
            for amount in [10_000, 3_000_000, 400_000_000] {
                let (road, cost) = (road(731, 144), road(731, 144).cost(amount, payer));
                assert!((road.fee_at(cost as f64, amount, payer) - road.fee(amount)).abs() < 1.0, "{payer:?} {amount}");
            }
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(
            [999, 1_000, 900_000_000, 900_000_001].map(|amount| road(1, 1).carries(amount)),
            [false, true, true, false]
        );
    }
}
