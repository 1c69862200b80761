//! What the learner believes of a peer's payers and is about to do, for people: as JSON and as one line.

use std::fmt;

use serde_json::{Value, json};

use super::pair::Pair;
use super::{Climb, Step};
use crate::domain::Time;

/// Between the ends of each interval lies this share of the belief.
const INTERVAL: f64 = 0.8;
/// Middles closer than this (in ln) are the same.
const SAME: f64 = 0.005;

/// One peer's learner as of its last decision.
pub struct Learner {
    /// 10 %, mean and 90 %.
    theta: [f64; 3],
    kappa: [f64; 3],
    earns_most: Option<f64>,
    run_out: Option<f64>,
    centre: f64,
    delta: f64,
    heading: Option<Heading>,
    step: &'static str,
    pairs: Vec<Pair>,
    block_until: Time,
}

/// Where the last step went.
struct Heading {
    up: bool,
    from: f64,
    /// The chance that it was the right way.
    right: f64,
}

impl Climb {
    pub(crate) fn learner(&self, now: Time) -> Learner {
        let posterior = self.belief.posterior(&self.recent, now);
        Learner {
            theta: posterior.theta(),
            kappa: posterior.kappa(),
            earns_most: self.aim.earns_most,
            run_out: self.aim.run_out,
            centre: self.centre,
            delta: self.delta,
            heading: self.heading(now),
            step: match self.step {
                Step::First => "first block of a pair",
                Step::Second { .. } => "second block of a pair",
                Step::Drift => "nobody pays, drifting down",
                Step::Hold => "held by hand",
            },
            pairs: self.past.clone(),
            block_until: self.block.until,
        }
    }

    /// The curves on which the best fee lies on that side of where the last step began, by their weight. Where the balance
    /// made the step, a curve that empties the channel at the old fee speaks for a higher one as well.
    fn heading(&self, now: Time) -> Option<Heading> {
        let from = self.aim.from.filter(|_| !self.is_held())?;
        if (self.centre / from).ln().abs() < SAME {
            return None;
        }
        let posterior = self.belief.posterior(&self.recent, now);
        let scarce = self.aim.run_out.filter(|run_out| self.aim.earns_most.is_none_or(|best| best < *run_out));
        let limit = scarce.map(|run_out| posterior.demand(run_out + self.base));
        let above = posterior.chance_above(from + self.base, limit);
        let up = self.centre > from;
        Some(Heading { up, from, right: if up { above } else { 1.0 - above } })
    }
}

impl Learner {
    pub fn json(&self) -> Value {
        let of = |[low, mean, high]: [f64; 3]| json!({ "low": short(low), "mean": short(mean), "high": short(high) });
        json!({
            "belief": { "interval": INTERVAL, "theta_ppm": of(self.theta), "kappa": of(self.kappa) },
            "f_rev_ppm": self.earns_most.map(short),
            "f_clear_ppm": self.run_out.map(short),
            "centre_ppm": short(self.centre),
            "delta": self.delta,
            "direction": self.heading.as_ref().map(|heading| if heading.up { "up" } else { "down" }),
            "came_from_ppm": self.heading.as_ref().map(|heading| short(heading.from)),
            "probability_of_right_direction": self.heading.as_ref().map(|heading| short(heading.right)),
            "step": self.step,
            "block_ends_at": self.block_until.to_string(),
            "pairs": self.pairs.iter().rev().map(Pair::told).collect::<Vec<_>>(),
            "text": self.to_string(),
        })
    }
}

impl fmt::Display for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([t10, t, t90], [k10, k, k90]) = (self.theta, self.kappa);
        write!(f, "half pay {t:.0} ppm ({t10:.0} to {t90:.0}), kappa {k:.1} ({k10:.1} to {k90:.1})")?;
        if let Some(best) = self.earns_most {
            write!(f, "; earns most at {best:.0}")?;
        }
        if let Some(price) = self.run_out {
            write!(f, ", runs out below {price:.0}")?;
        }
        write!(f, "; centre {:.0}, delta {:.2}", self.centre, self.delta)?;
        if let Some(Heading { up, from, right }) = &self.heading {
            let way = if *up { "up" } else { "down" };
            write!(f, ", {way} from {from:.0} (right with {:.0} %)", right * 100.0)?;
        }
        write!(f, "; {} until {}", self.step, self.block_until)
    }
}

/// Three decimals are more than anybody can tell apart.
fn short(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Ppm;
    use crate::fees::tests::{START, Scene, scene};
    use crate::fees::{self, Memory};

    /// The memory after so many days of half-hourly decisions; `payers` an hour at a fee.
    fn after(start: u32, days: u32, payers: impl Fn(f64) -> f64) -> Memory {
        let mut now: Scene = scene(start);
        for _ in 0..days * 48 {
            now.observed.events = payers(now.channels[0].ours.ppm.as_f64()) / 2.0;
            let updates = now.updates;
            now = Scene { updates, ..now.next(&now.decide()) };
        }
        now.memory.unwrap()
    }

    fn told(memory: &Memory) -> Value {
        fees::learner(memory).unwrap().json()
    }

    /// Demand halves at that fee.
    fn payers(theta: f64, rate: f64) -> impl Fn(f64) -> f64 {
        move |fee| rate / (1.0 + (fee / theta).powi(3))
    }

    #[test]
    fn the_learner_tells_where_it_goes_and_how_sure_it_is() {
        // Fee at the start, where demand halves, payers an hour at no fee, days: direction, and least chance that it is right.
        let cases = [
            (100, 1200.0, 10.0, 4, "up", 0.9),
            (100, 600.0, 10.0, 3, "up", 0.8),
            (1500, 150.0, 200.0, 4, "down", 0.9),
            (900, 200.0, 60.0, 4, "down", 0.8),
        ];
        for (start, theta, rate, days, direction, least) in cases {
            let told = told(&after(start, days, payers(theta, rate)));
            assert_eq!(told["direction"], direction, "{start} {theta}: {told:#}");
            assert!(told["probability_of_right_direction"].as_f64().unwrap() >= least, "{start} {theta}: {told:#}");
            let theta = &told["belief"]["theta_ppm"];
            assert!(
                theta["low"].as_f64() <= theta["mean"].as_f64() && theta["mean"].as_f64() <= theta["high"].as_f64()
            );
        }
    }

    #[test]
    fn without_a_step_there_is_no_direction() {
        let fresh = scene(200).decide().memory;
        let held = fees::taken_over(Some(&after(100, 3, payers(600.0, 10.0))), Ppm(300), START);
        for (memory, pairs) in [(fresh, false), (held, true)] {
            let told = told(&memory);
            assert!(told["direction"].is_null() && told["probability_of_right_direction"].is_null(), "{told:#}");
            assert_eq!(!told["pairs"].as_array().unwrap().is_empty(), pairs);
            assert!(told["belief"]["kappa"]["low"].is_number() && told["block_ends_at"].is_string());
        }
    }

    #[test]
    fn the_last_pairs_are_remembered_and_stay_small() {
        let memory = after(100, 20, payers(400.0, 10.0));
        let pairs = &told(&memory)["pairs"];
        assert_eq!(pairs.as_array().unwrap().len(), super::super::pair::KEPT);
        assert!(pairs[0]["ended_at"].as_str() > pairs[1]["ended_at"].as_str(), "newest first: {pairs:#}");
        assert!(pairs[0]["first"]["events"].as_f64().unwrap() > 0.0, "{pairs:#}");
        let saved = fees::saved(&memory, None).unwrap();
        let learned: Value = serde_json::from_str(saved.learned.as_ref().unwrap()).unwrap();
        assert!(learned["past"].to_string().len() < 700, "{}", learned["past"]);
        assert_eq!(fees::recalled(&saved.memory, saved.learned.as_deref()).unwrap(), memory);
    }

    #[test]
    fn memories_from_before_pairs_were_kept_are_read() {
        let memory = after(100, 5, payers(400.0, 10.0));
        let saved = fees::saved(&memory, None).unwrap();
        let without = |text: &str, pointer: &str, field: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            value.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
            value.to_string()
        };
        let old = without(&saved.memory, "/climb/aim", "from");
        let learned = without(saved.learned.as_ref().unwrap(), "", "past");
        let told = told(&fees::recalled(&old, Some(&learned)).unwrap());
        assert_eq!((&told["pairs"], &told["direction"]), (&json!([]), &Value::Null));
        assert!(told["f_rev_ppm"].is_number() && told["text"].as_str().unwrap().contains("earns most at"), "{told:#}");
    }
}
