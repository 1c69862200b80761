//! Payers who come with an old price. For hours after a raise some have not heard of it: our node refuses them (`fee_insufficient`),
//! tells them the new price, and the same payer pays it a moment later or goes. That shows the share of payers that stays at the higher
//! fee without the level of demand, the hour or the balance in it: a payer tells several times as much as one who is counted in a block.
//!
//! Some go for other reasons than the price. What part of those who would pay comes back at all (the patience) is the same for all peers
//! of a node as far as anybody knows, and is found from all of them together.

use serde::{Deserialize, Serialize};

use super::{Belief, CELLS, PAIR_HALF_LIFE_DAYS, Sample, half_lives, normalised, odds};
use crate::domain::Time;
use crate::fees::tidy;

/// Raises that are remembered: two months of them where there is one on most days.
const KEPT: usize = 48;
/// What the patience may be.
const PATIENCES: [f64; 11] = [1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.35, 0.2];
/// Before anything is known: as if so many payers had been refused whom the price did not matter to, and all had come back. Software that
/// pays tries again by itself.
const USUAL_RETURNS: f64 = 10.0;
/// Nobody leaves for no reason at all, but one who does must not rule a curve out for ever.
const LEAST_LEAVING: f64 = 1e-3;
/// Nobody pays for being refused, so that anybody could have a say in our fee by sending what we refuse. Of one raise no more payers count
/// than usually come within these hours, and a few: most old news is gone by then.
const USUAL_LAG_HOURS: f64 = 6.0;
const FEW_PAYERS: f64 = 3.0;
/// Peers that are asked for the patience: it is one number, and more of them would cost time and tell nothing more.
const ASKED: usize = 100;

/// What refused payers did after one raise. Kept as a row without names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub(in crate::fees) struct Raise {
    /// Since when the higher fee was asked.
    at: Time,
    /// Effective fees, ppm: what they came with, and what they were told.
    from: f64,
    to: f64,
    /// Weights: one each, less after a surprise.
    stayed: f64,
    left: f64,
}

type Row = (Time, f64, f64, f64, f64);

impl From<Row> for Raise {
    fn from((at, from, to, stayed, left): Row) -> Raise {
        Raise { at, from, to, stayed, left }
    }
}

impl From<Raise> for Row {
    fn from(raise: Raise) -> Row {
        (raise.at, raise.from, raise.to, raise.stayed, raise.left)
    }
}

impl Raise {
    pub(in crate::fees) fn new(at: Time, from: f64, to: f64) -> Raise {
        Raise { at, from: tidy(from), to: tidy(to), stayed: 0.0, left: 0.0 }
    }

    /// The share of its payers that each curve keeps.
    fn keeps(&self) -> [f64; CELLS] {
        let (before, after) = (odds(self.from), odds(self.to));
        std::array::from_fn(|cell| (1.0 + before[cell]) / (1.0 + after[cell]))
    }

    /// How much one of its payers counts, where so many come in an hour.
    fn weight(&self, per_hour: f64, now: Time) -> f64 {
        let most = FEW_PAYERS + USUAL_LAG_HOURS * per_hour;
        half_lives(self.at, now, PAIR_HALF_LIFE_DAYS) * (most / (self.stayed + self.left).max(most))
    }

    /// What its payers tell of the elasticity of demand where that is about one, as it is where a fee earns most: with s the raise in ln
    /// and q the chance that one of them stays, patience x e^(-s), that is s^2 q / (1 - q) each.
    fn information(&self, per_hour: f64, patience: f64) -> f64 {
        let (step, stays) = ((self.to / self.from).ln(), patience * self.from / self.to);
        let payers = (self.stayed + self.left) * self.weight(per_hour, self.at);
        payers * step * step * stays / (1.0 - stays).max(LEAST_LEAVING)
    }

    fn log_likelihood(&self, keeps: f64, patience: f64) -> f64 {
        let stays = patience * keeps;
        let left = if self.left > 0.0 { self.left * (1.0 - stays).max(LEAST_LEAVING).ln() } else { 0.0 };
        self.stayed * stays.ln() + left
    }
}

/// The patience before anybody was refused.
pub(in crate::fees) fn usual_patience() -> f64 {
    mean_patience([0.0; PATIENCES.len()])
}

/// The part of refused payers who come back, of those who would pay the new price: as the beliefs of all peers together have it.
pub(in crate::fees) fn patience<'a>(beliefs: impl Iterator<Item = (&'a Belief, &'a [Sample])>, now: Time) -> f64 {
    let mut telling: Vec<_> = beliefs.filter(|(belief, _)| !belief.raises.is_empty()).collect();
    telling.sort_by(|(a, _), (b, _)| b.refused().0.total_cmp(&a.refused().0));
    let mut sums = [0.0; PATIENCES.len()];
    for (belief, recent) in telling.into_iter().take(ASKED) {
        let likelihoods = belief.patience_likelihoods(recent, now);
        sums.iter_mut().zip(likelihoods).for_each(|(sum, likelihood)| *sum += likelihood);
    }
    mean_patience(sums)
}

fn mean_patience(log_likelihoods: [f64; PATIENCES.len()]) -> f64 {
    let logs: [f64; PATIENCES.len()] = std::array::from_fn(|k| USUAL_RETURNS * PATIENCES[k].ln() + log_likelihoods[k]);
    let mean: f64 = normalised(&logs).iter().zip(PATIENCES).map(|(weight, patience)| weight * patience).sum();
    // It moves slowly: hundredths are enough, and change little that is saved.
    (mean * 100.0).round() / 100.0
}

impl Belief {
    /// A payer came with the lower fee after that raise, was refused, and came back for the new one or did not.
    pub(in crate::fees) fn refuse(&mut self, raise: &Raise, came_back: bool) {
        let known = self.raises.iter().rposition(|known| (known.at, known.from) == (raise.at, raise.from));
        let place = known.unwrap_or_else(|| {
            self.raises.push(raise.clone());
            let surplus = self.raises.len().saturating_sub(KEPT);
            self.raises.drain(..surplus);
            self.raises.len() - 1
        });
        let raise = &mut self.raises[place];
        if came_back { raise.stayed += 1.0 } else { raise.left += 1.0 }
    }

    /// Payers who were refused of late, and those of them who came back.
    pub(in crate::fees) fn refused(&self) -> (f64, f64) {
        let stayed: f64 = self.raises.iter().map(|raise| raise.stayed).sum();
        (stayed + self.raises.iter().map(|raise| raise.left).sum::<f64>(), stayed)
    }

    /// One over its root is how well refused payers tell the elasticity of demand.
    pub(in crate::fees) fn raises_tell(&self, recent: &[Sample], patience: f64) -> f64 {
        let per_hour = per_hour(recent);
        self.raises.iter().map(|raise| raise.information(per_hour, patience)).sum()
    }

    pub(super) fn doubt_raises(&mut self) {
        for raise in &mut self.raises {
            (raise.stayed, raise.left) = (tidy(raise.stayed / 2.0), tidy(raise.left / 2.0));
        }
    }

    /// What refused payers tell of each curve.
    pub(super) fn raised(&self, recent: &[Sample], now: Time) -> [f64; CELLS] {
        let (mut logs, per_hour) = ([0.0; CELLS], per_hour(recent));
        for raise in &self.raises {
            let kept = raise.weight(per_hour, now);
            for (log, keeps) in logs.iter_mut().zip(raise.keeps()) {
                *log += kept * raise.log_likelihood(keeps, self.patience);
            }
        }
        logs
    }

    /// How likely what refused payers did would be with each patience, by all else that is believed.
    fn patience_likelihoods(&self, recent: &[Sample], now: Time) -> [f64; PATIENCES.len()] {
        let believed = self.level(recent, now).logs;
        let (mut logs, per_hour) = ([believed; PATIENCES.len()], per_hour(recent));
        for raise in &self.raises {
            let (kept, keeps) = (raise.weight(per_hour, now), raise.keeps());
            for (logs, patience) in logs.iter_mut().zip(PATIENCES) {
                logs.iter_mut()
                    .zip(keeps)
                    .for_each(|(log, keeps)| *log += kept * raise.log_likelihood(keeps, patience));
            }
        }
        let whole = sum_of_exponents(&believed);
        logs.map(|logs| sum_of_exponents(&logs) - whole)
    }
}

/// Payers an hour who came lately, however dear it was.
fn per_hour(recent: &[Sample]) -> f64 {
    recent.iter().filter(|sample| sample.h > 0.0).map(|sample| sample.n / sample.h).fold(0.0, f64::max)
}

/// ln of the sum of e to each of these.
fn sum_of_exponents(logs: &[f64]) -> f64 {
    let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    best + logs.iter().map(|log| (log - best).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_704_067_200);

    fn stays(fee: f64, theta: f64, kappa: f64) -> f64 {
        1.0 / (1.0 + (fee / theta).powf(kappa))
    }

    /// A belief that began at `fee`, after small and large raises from that fee on, each seen by a hundred payers.
    fn after_raises(fee: f64, (theta, kappa): (f64, f64), patience: f64, raises: u32) -> Belief {
        let mut belief = Belief::new(fee, START);
        for k in 0..raises {
            let from = fee * 1.1_f64.powf(f64::from(k % 6));
            let step = [1.05, 1.2, 1.5][k as usize % 3];
            let raise = Raise::new(START.plus_hours(f64::from(k)), from, from * step);
            let back = (100.0 * patience * stays(raise.to, theta, kappa) / stays(raise.from, theta, kappa)).round();
            (0..100).for_each(|payer| belief.refuse(&raise, f64::from(payer) < back));
        }
        belief
    }

    /// A block in which so many came that a hundred with old news are no wonder. Of elasticity one block tells next to nothing.
    fn busy(fee: f64) -> [Sample; 1] {
        [Sample { at: START, n: 300.0, e: 12.0, f: fee, h: 12.0 }]
    }

    #[test]
    fn refused_payers_alone_tell_the_elasticity() {
        for (theta, kappa) in [(60.0, 1.6), (300.0, 2.2), (900.0, 3.5)] {
            let mut belief = after_raises(theta, (theta, kappa), 1.0, 12);
            belief.expect_patience(1.0);
            let posterior = belief.posterior(&busy(theta), START.plus_hours(24.0));
            // Elasticity at the fee at which half is gone is half of kappa.
            let slope = (posterior.demand(theta * 1.1) / posterior.demand(theta / 1.1)).ln() / 1.21_f64.ln();
            println!("{theta} {kappa}: {slope} {:?} {:?}", posterior.theta(), posterior.kappa());
            assert!((slope / (-kappa / 2.0)).ln().abs() < 0.15, "theta {theta}, kappa {kappa}: {slope}");
        }
    }

    #[test]
    fn the_patience_is_found_from_many_peers_together() {
        assert!((0.9..0.97).contains(&usual_patience()), "{}", usual_patience());
        for (truth, low, high) in [(1.0, 0.94, 1.0), (0.8, 0.74, 0.86), (0.5, 0.44, 0.56)] {
            let peers = [(80.0, 1.7), (150.0, 2.0), (250.0, 1.9), (400.0, 1.8), (900.0, 2.2)]
                .map(|(theta, kappa)| (after_raises(theta, (theta, kappa), truth, 12), busy(theta)));
            let found = patience(peers.iter().map(|(belief, recent)| (belief, &recent[..])), START.plus_hours(24.0));
            assert!((low..=high).contains(&found), "{truth}: {found}");
        }
    }

    /// Who takes payers for patient that are not takes those who leave for the price's: the belief must know.
    #[test]
    fn whoever_leaves_for_other_reasons_is_not_the_prices() {
        let slope = |told: f64| {
            let mut belief = after_raises(300.0, (300.0, 1.9), 0.6, 12);
            belief.expect_patience(told);
            let posterior = belief.posterior(&busy(300.0), START.plus_hours(24.0));
            (posterior.demand(330.0) / posterior.demand(300.0)).ln() / 1.1_f64.ln()
        };
        assert!(slope(1.0) < -1.4, "{}", slope(1.0));
        assert!((slope(0.6) - -0.95).abs() < 0.15, "{}", slope(0.6));
    }

    #[test]
    fn raises_are_few_small_and_read_back() {
        let belief = after_raises(100.0, (100.0, 2.0), 1.0, 100);
        assert_eq!(belief.raises.len(), KEPT);
        let text = serde_json::to_string(&belief).unwrap();
        assert!(text.len() < 3_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Belief>(&text).unwrap(), belief);
        // What was written before there were any.
        let old = r#"{"prior":5.3,"weights":[],"learned":1704067200000}"#;
        let read: Belief = serde_json::from_str(old).unwrap();
        assert_eq!((read.refused(), read.patience), ((0.0, 0.0), usual_patience()));
    }

    /// Sending what is refused costs nothing.
    #[test]
    fn more_refused_payers_than_usually_come_have_no_more_weight() {
        // Payers in the block of 12 hours; refused ones, all of whom leave; how many of them count.
        for (came, refused, counted) in
            [(0.0, 2, 2.0), (0.0, 1000, 3.0), (24.0, 10, 10.0), (24.0, 15, 15.0), (24.0, 100_000, 15.0)]
        {
            let [block] = busy(100.0);
            let recent = [Sample { n: came, ..block }];
            let mut belief = Belief::new(100.0, START);
            let raise = Raise::new(START, 100.0, 120.0);
            (0..refused).for_each(|_| belief.refuse(&raise, false));
            let one = Raise { left: 1.0, ..raise.clone() }.log_likelihood(raise.keeps()[7], belief.patience);
            let told = belief.raised(&recent, START)[7];
            assert!((told / one - counted).abs() < 1e-6, "{came} {refused}: {}", told / one);
        }
    }

    #[test]
    fn a_surprise_halves_what_raises_have_told() {
        let mut belief = after_raises(100.0, (100.0, 2.0), 1.0, 2);
        let (refused, stayed) = belief.refused();
        belief.temper();
        assert_eq!(belief.refused(), (refused / 2.0, stayed / 2.0));
        assert_eq!(refused, 200.0);
    }
}
