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
        let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // Between two lots in a straight line.
        let quantile = |q: f64| {
            let place = q * last as f64;
            let at = usize::try_from(crate::domain::units::to_u64_rounded(place.floor())).unwrap_or(last).min(last);
            sorted[at] + (sorted[(at + 1).min(last)] - sorted[at]) * (place - place.floor())
        };
        let edge = (1.0 - INTERVAL) / 2.0;
        Some(Spread {
            low: quantile(edge),
            middle: quantile(0.5),
            high: quantile(1.0 - edge),
            better: sorted.iter().filter(|value| **value > 0.0).count() as f64 / sorted.len() as f64,
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
