//! What may be said after all lots: percent differences with intervals, or that the record is too thin. Reads marks only.

use serde::Serialize;

use super::believed::Believed;
use super::record::Record;
use super::{Played, TAPES};

/// Below these a record tells nothing: days, and payers who came.
const LEAST_DAYS: u32 = 14;
const LEAST_PAYERS: usize = 200;
/// Elasticity known to a half: one over the root of this.
const INFORMATION: f64 = 4.0;
/// Share of the revenue for which that must hold.
const KNOWN: f64 = 0.5;
/// Between the ends of an interval lies this share of the lots.
const INTERVAL: f64 = 0.8;
/// What the model leaves out, as the scale of a logistic law (standard deviation 0.14, a seventh of what is earned): without it
/// the intervals held the truth two times of three on markets with known demand, instead of four of five.
const MODEL_ERROR: f64 = 0.077;
/// Logarithms need an end: a thousandth of what was earned, and a thousand times as much.
const LEAST_SHARE: f64 = 1e-3;
const MOST_PERCENT: f64 = 1e5;

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thin(pub Vec<String>);

/// Percent by which a policy earns more than what was really asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    /// Share of the lots in which it earns more.
    pub better: f64,
    /// How much of the variance lies between sets of parameters: what more history would narrow. The rest is the chance of single
    /// payers.
    pub from_parameters: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    More,
    Less,
    /// The interval holds both.
    Undecided,
}

impl Thin {
    pub fn of(record: &Record, believed: &Believed) -> Option<Thin> {
        let mut why = Vec::new();
        if record.days < LEAST_DAYS {
            why.push(format!("{} days of prices are known; at least {LEAST_DAYS} are needed", record.days));
        }
        if record.payers.len() < LEAST_PAYERS {
            why.push(format!("{} payers came; at least {LEAST_PAYERS} are needed", record.payers.len()));
        }
        let known = believed.share_known(INFORMATION);
        if known < KNOWN {
            why.push(format!(
                "for {:.0} % of the revenue it is known how payers answer to the price; for the rest the price hardly changed, or \
                 too few came while it did; at least {:.0} % is needed",
                known * 100.0,
                KNOWN * 100.0
            ));
        }
        (!why.is_empty()).then_some(Thin(why))
    }
}

impl Spread {
    /// Of one policy over all lots; `None` if nothing was earned.
    pub fn of(played: &[Played], policy: usize) -> Option<Spread> {
        let percent = |played: &Played| played.marks.get(policy)?.share.map(|share| (share - 1.0) * 100.0);
        Spread::over(&played.iter().filter_map(|p| Some((p.lot.set, percent(p)?))).collect::<Vec<_>>())
    }

    fn over(values: &[(u32, f64)]) -> Option<Spread> {
        let law = Law::around(values.iter().map(|(_, value)| *value))?;
        let edge = (1.0 - INTERVAL) / 2.0;
        Some(Spread {
            low: law.quantile(edge),
            middle: law.quantile(0.5),
            high: law.quantile(1.0 - edge),
            better: 1.0 - law.below(0.0),
            from_parameters: between(values),
        })
    }

    pub fn verdict(&self) -> Verdict {
        match (self.low > 0.0, self.high < 0.0) {
            (true, _) => Verdict::More,
            (_, true) => Verdict::Less,
            _ => Verdict::Undecided,
        }
    }
}

/// How likely which difference is: the lots, each with the model's own error around it, in logarithms of the share.
struct Law(Vec<f64>);

impl Law {
    /// Around differences in percent; `None`: there are none.
    fn around(percents: impl Iterator<Item = f64>) -> Option<Law> {
        let logs: Vec<f64> = percents.map(log_share).collect();
        (!logs.is_empty()).then_some(Law(logs))
    }

    /// How likely the difference is less than so many percent.
    fn below(&self, percent: f64) -> f64 {
        let at = log_share(percent);
        self.0.iter().map(|middle| 1.0 / (1.0 + ((middle - at) / MODEL_ERROR).exp())).sum::<f64>() / self.0.len() as f64
    }

    /// By halving: the law rises everywhere.
    fn quantile(&self, q: f64) -> f64 {
        let (mut low, mut high) = (log_share(-100.0), 2.0 * log_share(MOST_PERCENT));
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let is_below = self.below((middle.exp() - 1.0) * 100.0) < q;
            (low, high) = if is_below { (middle, high) } else { (low, middle) };
        }
        (low.exp() - 1.0) * 100.0
    }
}

fn log_share(percent: f64) -> f64 {
    (1.0 + percent.min(MOST_PERCENT) / 100.0).max(LEAST_SHARE).ln()
}

/// One-way analysis of variance: the part between sets, without what chance within sets adds to it.
fn between(values: &[(u32, f64)]) -> f64 {
    let mut sets: Vec<Vec<f64>> = Vec::new();
    for (set, value) in values {
        let at = *set as usize;
        sets.resize(sets.len().max(at + 1), Vec::new());
        sets[at].push(*value);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let square = |values: &[f64]| {
        let middle = mean(values);
        values.iter().map(|value| (value - middle).powi(2)).sum::<f64>()
    };
    let means: Vec<f64> = sets.iter().filter(|set| !set.is_empty()).map(|set| mean(set)).collect();
    let freedom = values.len().saturating_sub(means.len()).max(1) as f64;
    let within = sets.iter().map(|set| square(set)).sum::<f64>() / freedom;
    let across = square(&means) / means.len().saturating_sub(1).max(1) as f64;
    let parameters = (across - within / f64::from(TAPES)).max(0.0);
    if parameters + within > 0.0 { parameters / (parameters + within) } else { 0.0 }
}
