//! What was found on the graph, in numbers: how many payments have a reason to come through us, how much they would pay and what is
//! wanted of each channel.

use super::roads::Door;
use super::{Ground, Place, Plan};
use crate::domain::units::to_u32_rounded;
use crate::sim::tape::Payment;

/// Shares of the payments below the reported levels.
const QUANTILES: [f64; 5] = [0.10, 0.25, 0.50, 0.75, 0.90];

#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Payments on the network.
    pub drawn: u32,
    /// Of them: no way at all, with us or without.
    pub cut_off: u32,
    /// Of them: some way through us is worth something.
    pub wanted: u32,
    /// Of the best way through us (ppm): p10, p25, p50, p75, p90 of the payments.
    pub by_count: [f64; 5],
    /// The same, each payment as heavy as its amount.
    pub by_volume: [f64; 5],
    /// Share of the wanted payments that could leave by another of our channels too.
    pub with_choice: f64,
}

impl Survey {
    pub(super) fn of(payments: &[Payment], (drawn, cut_off): (u32, u32)) -> Survey {
        let best = |payment: &Payment| f64::from(payment.exits[0].reservation) / 1_000.0;
        let mut levels: Vec<(f64, f64)> = payments.iter().map(|p| (best(p), p.amount as f64)).collect();
        levels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let choice = payments.iter().filter(|payment| payment.choices > 1).count();
        Survey {
            drawn,
            cut_off,
            wanted: u32::try_from(payments.len()).unwrap_or(u32::MAX),
            by_count: QUANTILES.map(|share| quantile(&levels, share, |_| 1.0)),
            by_volume: QUANTILES.map(|share| quantile(&levels, share, |amount| amount)),
            with_choice: choice as f64 / payments.len().max(1) as f64,
        }
    }
}

/// The level below which that share of the weight lies; 0 where there is nothing.
fn quantile(levels: &[(f64, f64)], share: f64, weight: impl Fn(f64) -> f64) -> f64 {
    let total: f64 = levels.iter().map(|(_, amount)| weight(*amount)).sum();
    let mut sum = 0.0;
    let found = levels.iter().find(|(_, amount)| {
        sum += weight(*amount);
        sum >= share * total
    });
    found.map_or(0.0, |(level, _)| *level)
}

/// Our channels with what these payments want of them.
pub(super) fn ground(doors: &[Door], payments: &[Payment], plan: &Plan) -> Ground {
    let mut peers: Vec<u32> = Vec::new();
    let mut number = |peer: u32| {
        let known = peers.iter().position(|other| *other == peer).unwrap_or_else(|| {
            peers.push(peer);
            peers.len() - 1
        });
        u32::try_from(known).expect("peers are no more than channels")
    };
    let mut levels: Vec<Vec<u32>> = vec![Vec::new(); doors.len()];
    let mut amounts: Vec<Vec<u64>> = vec![Vec::new(); doors.len()];
    let mut inward = vec![0; doors.len()];
    for payment in payments {
        let best = payment.exits[0];
        levels[best.channel as usize].push(best.reservation);
        amounts[best.channel as usize].push(payment.amount);
        inward[payment.from as usize] += 1;
    }
    let channels = doors.iter().zip(levels).zip(amounts).zip(inward).map(|(((door, levels), amounts), inward)| Place {
        peer: number(door.peer),
        capacity_msat: door.outward.capacity_msat,
        their_ppm: to_u32_rounded(door.inward.policy.ppm as f64),
        outward: u32::try_from(levels.len()).unwrap_or(u32::MAX),
        inward,
        level: median(levels),
        median_msat: median(amounts),
    });
    Ground { seed: plan.seed, days: plan.days.max(1), channels: channels.collect() }
}

fn median<T: Copy + Default + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
