//! The learner's belief about a record of prices and payers, for those who look back: the same curves, prior and half-lives as
//! while it runs, but what came after a moment tells as much of it as what came before.

use super::belief::{self, Belief, LEVEL_PRIOR_EVENTS, LEVEL_PRIOR_HOURS, Posterior, Raise, Sample};
pub use super::blocks::washed_hours;
pub use super::hill_climb::raise;
use crate::domain::Time;

/// Hours at one fee, and how many payers came: part of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Period {
    pub at: Time,
    pub events: f64,
    /// Hours in which payers could be served, weighed by the usual traffic of the hour.
    pub exposure: f64,
    /// What payers were asked, ppm, base fee included.
    pub ppm: f64,
}

/// A payer who came with an old price, was refused and told the new one. Fees in ppm, base fee included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal {
    /// Since when the new price was asked.
    pub since: Time,
    pub from: f64,
    pub to: f64,
    pub came_back: bool,
}

/// What a record tells of one peer's payers. Periods are in the order of time; none is without exposure or fee.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    pub periods: &'a [Period],
    pub refusals: &'a [Refusal],
}

/// What one moment of a record teaches of one peer.
pub struct Learned {
    belief: Belief,
    samples: Vec<Sample>,
}

/// What is believed of one moment of a record.
pub struct Fitted {
    posterior: Posterior,
}

/// One way that demand may be: the share of payers who bear a fee is 1 / (1 + (fee / theta)^kappa).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    pub theta: f64,
    pub kappa: f64,
}

/// Neighbouring periods whose fees differ by less (in ln) tell nothing of each other.
const SAME_FEE: f64 = 0.01;
/// The level of demand moves by about a third from period to period, so that many payers tell little more of a pair's split than
/// these.
const PAIR_EVENTS: f64 = 40.0;

/// Neighbours at different fees, each period once; counts are cut to what they are worth.
fn pairs(periods: &[Period]) -> Vec<(Period, Period)> {
    let (mut pairs, mut at) = (Vec::new(), 1);
    while at < periods.len() {
        let (first, second) = (periods[at - 1], periods[at]);
        if (first.ppm / second.ppm).ln().abs() < SAME_FEE {
            at += 1;
            continue;
        }
        let worth = 1.0 / (1.0 + (first.events + second.events) / PAIR_EVENTS);
        let cut = |period: Period| Period { events: period.events * worth, ..period };
        pairs.push((cut(first), cut(second)));
        at += 2;
    }
    pairs
}

/// What the record says of `around`, before it is known what part of refused payers would have gone in any case.
pub fn learned(evidence: Evidence<'_>, around: Time) -> Learned {
    let Evidence { periods, refusals } = evidence;
    // As far away as it is, before or after: the learner's clock ends at the moment that is asked about.
    let away = |at: Time| Time(-(at.0 - around.0).abs());
    let sample = |p: &Period| Sample { at: away(p.at), n: p.events, e: p.exposure, f: p.ppm, h: p.exposure };
    let mut pairs = pairs(periods);
    pairs.sort_by_key(|(first, _)| away(first.at));
    let earliest = pairs.first().map_or(Time(0), |(first, _)| away(first.at));
    let mut belief = Belief::new(periods.first().map_or(1.0, |first| first.ppm), earliest);
    for (first, second) in &pairs {
        belief.learn(&sample(first), &sample(second), away(first.at));
    }
    let mut refusals: Vec<&Refusal> = refusals.iter().collect();
    refusals.sort_by_key(|refusal| away(refusal.since));
    for refusal in refusals {
        belief.refuse(&Raise::new(away(refusal.since), refusal.from, refusal.to), refusal.came_back);
    }
    Learned { belief, samples: periods.iter().map(sample).collect() }
}

/// Of refused payers who would pay the new price, the part that comes back: by the records of all peers, around the same moment.
pub fn patience<'a>(all: impl Iterator<Item = &'a Learned>) -> f64 {
    belief::patience(all.map(|learned| (&learned.belief, learned.samples.as_slice())), Time(0))
}

impl Learned {
    pub fn fitted(mut self, patience: f64) -> Fitted {
        self.belief.expect_patience(patience);
        Fitted { posterior: self.belief.posterior(&self.samples, Time(0)) }
    }

    /// One over its root is how well elasticity is known: from pairs, the sum of events x delta^2, and from refused payers.
    pub fn information(&self, periods: &[Period], patience: f64) -> f64 {
        let delta = |(first, second): &(Period, Period)| (first.ppm / second.ppm).ln() / 2.0;
        let of = |pair: &(Period, Period)| (pair.0.events + pair.1.events) * delta(pair).powi(2);
        pairs(periods).iter().map(of).sum::<f64>() + self.belief.raises_tell(&self.samples, patience)
    }
}

impl Fitted {
    /// The curve below which that share of the belief lies: a random share draws a curve from the belief.
    pub fn curve(&self, mark: f64) -> Curve {
        let (theta, kappa) = self.posterior.cell(mark);
        Curve { theta, kappa }
    }

    /// 10 %, mean and 90 %.
    pub fn theta(&self) -> [f64; 3] {
        self.posterior.theta()
    }
}

impl Curve {
    /// The odds that a payer does not bear that fee.
    pub fn odds(&self, fee: f64) -> f64 {
        (fee / self.theta).powf(self.kappa)
    }

    /// Share of the payers who bear that fee.
    pub fn share(&self, fee: f64) -> f64 {
        1.0 / (1.0 + self.odds(fee))
    }

    /// Events per exposure hour if the fee were nothing, after these periods: shape and rate of a gamma law.
    pub fn level(&self, periods: &[Period]) -> (f64, f64) {
        let events: f64 = periods.iter().map(|p| p.events).sum();
        let hours: f64 = periods.iter().map(|p| p.exposure * self.share(p.ppm)).sum();
        (LEVEL_PRIOR_EVENTS + events, LEVEL_PRIOR_HOURS + hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(periods: &[Period], around: Time) -> Fitted {
        learned(Evidence { periods, refusals: &[] }, around).fitted(1.0)
    }

    fn information(periods: &[Period]) -> f64 {
        learned(Evidence { periods, refusals: &[] }, Time(0)).information(periods, 1.0)
    }

    /// So many days of half days at two fees around each of three middles.
    fn record(curve: Curve, rate: f64, days: i32) -> Vec<Period> {
        let half = |k: i32| {
            let (middle, way) = (curve.theta * f64::from(1 + k / 2 % 3) / 2.0, if k % 2 == 0 { 0.2 } else { -0.2_f64 });
            let ppm = middle * way.exp();
            Period {
                at: Time(0).plus_hours(12.0 * f64::from(k)),
                events: 12.0 * rate * curve.share(ppm),
                exposure: 12.0,
                ppm,
            }
        };
        (0..2 * days).map(half).collect()
    }

    #[test]
    fn a_record_with_many_prices_finds_the_curve() {
        for (theta, kappa) in [(60.0, 1.6), (300.0, 2.2), (1500.0, 3.5)] {
            let periods = record(Curve { theta, kappa }, 20.0, 30);
            let fitted = fitted(&periods, periods[30].at);
            let [low, mean, high] = fitted.theta();
            assert!(low <= theta * 1.2 && high >= theta / 1.2, "{theta}: {low} {mean} {high}");
            assert!(information(&periods) > 4.0, "{}", information(&periods));
            let draws: Vec<f64> = (0..100).map(|k| fitted.curve(f64::from(k) / 100.0).theta).collect();
            assert!(draws[10..90].iter().all(|drawn| (drawn / theta).ln().abs() < 1.2), "{theta}");
        }
    }

    #[test]
    fn what_is_near_in_time_counts_more() {
        let mut periods = record(Curve { theta: 100.0, kappa: 3.5 }, 20.0, 60);
        let later = record(Curve { theta: 600.0, kappa: 3.5 }, 20.0, 60);
        let end = periods[119].at.plus_hours(12.0);
        periods.extend(later.into_iter().map(|p| Period { at: Time(p.at.0 + end.0), ..p }));
        let middle = |at: usize| fitted(&periods, periods[at].at).theta()[1];
        assert!(middle(10) < 180.0 && middle(230) > 330.0, "{} {}", middle(10), middle(230));
    }

    #[test]
    fn one_price_tells_nothing_of_the_curve() {
        let periods = record(Curve { theta: 200.0, kappa: 2.0 }, 9.0, 30).into_iter().map(|p| Period {
            ppm: 200.0,
            events: 40.0,
            ..p
        });
        let periods: Vec<Period> = periods.collect();
        let [low, _, high] = fitted(&periods, periods[30].at).theta();
        assert!(information(&periods) == 0.0 && high / low > 5.0, "{low} {high}");
    }

    #[test]
    fn refused_payers_tell_the_curve_where_prices_hardly_changed() {
        let curve = Curve { theta: 300.0, kappa: 2.2 };
        // Two fees, a tenth apart.
        let half = |k: u32| (Time(0).plus_hours(12.0 * f64::from(k)), if k.is_multiple_of(2) { 200.0 } else { 220.0 });
        let period = |(at, ppm)| Period { at, events: 24.0 * curve.share(ppm), exposure: 12.0, ppm };
        let periods: Vec<Period> = (0..120).map(half).map(period).collect();
        let around = periods[60].at;
        // Every other day a raise that ten payers had not heard of; so many of a hundred come back.
        let raises = |from: f64, to: f64, patience: f64| -> Vec<Refusal> {
            let back = 100.0 * patience * curve.share(to) / curve.share(from);
            let refusal = |n: u32| {
                let (since, _) = half(4 * (n / 10));
                Refusal { since, from, to, came_back: f64::from(n * 37 % 100) < back }
            };
            (0..300).map(refusal).collect()
        };
        for patience in [1.0, 0.7] {
            let of = |refusals: &[Refusal]| learned(Evidence { periods: &periods, refusals }, around);
            let told = raises(220.0, 440.0, patience);
            // Payers whom the price does not matter to show who leaves in any case.
            let found = super::patience([of(&told), of(&raises(2.0, 2.2, patience))].iter());
            assert!((found - patience).abs() < 0.1, "{found} for {patience}");
            let ([low, mean, high], without) = (of(&told).fitted(found).theta(), of(&[]).fitted(found).theta());
            println!("patience {found}: theta {low:.0}, {mean:.0}, {high:.0}; without {without:.0?}");
            assert!(low <= curve.theta * 1.1 && high >= curve.theta / 1.1, "{low} {high}");
            assert!((high / low).ln() < 0.7 * (without[2] / without[0]).ln(), "{low} {high} {without:?}");
            let information = [&[], told.as_slice()].map(|refusals| of(refusals).information(&periods, found));
            assert!(information[0] < 4.0 && information[1] > 10.0, "{information:?}");
        }
    }

    #[test]
    fn a_level_answers_to_the_curve() {
        let curve = Curve { theta: 200.0, kappa: 2.0 };
        let (shape, hours) = curve.level(&[Period { at: Time(0), events: 50.0, exposure: 100.0, ppm: 200.0 }]);
        assert!((shape / hours - 1.0).abs() < 0.02, "half of one an hour came in 100 hours");
    }
}
