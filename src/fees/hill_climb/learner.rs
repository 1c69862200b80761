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
    /// Payers who came with an old price of late, and those of them who paid the new one.
    refused: (f64, f64),
    patience: f64,
    block_until: Time,
}

/// Where the last step went.
struct Heading {
    up: bool,
    from: f64,
    /// The chance that it was the right way. `None`: the plan made the step, by what balances are worth, of which the learner
    /// knows nothing.
    right: Option<f64>,
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
            refused: self.belief.refused(),
            patience: self.belief.patience(),
            block_until: self.block.until,
        }
    }

    /// What `revenue-fee-debug` shows of it: all numbers.
    pub(crate) fn debug(&self, now: Time) -> Value {
        let posterior = self.belief.posterior(&self.recent, now);
        let of = |[low, mean, high]: [f64; 3]| json!({ "p10": low, "mean": mean, "p90": high });
        json!({
            "centre_ppm": self.centre,
            "delta": self.delta,
            "fee_ppm": self.fee(),
            "base_fee_adds_ppm": self.base,
            "earns_most_ppm": self.aim.earns_most,
            "run_out_ppm": self.aim.run_out,
            "bid_ppm": self.aim.bid,
            "tilt": self.tilt.x,
            "lean": self.schedule.lean,
            "fees_by_balance_ppm": self.schedule.fees,
            "theta_ppm": of(posterior.theta()),
            "kappa": of(posterior.kappa()),
            "demand_per_hour": posterior.demand(self.fee() + self.base),
            "events_behind": posterior.events,
            "prices": self.prices.told(),
            "information": self.info,
            "step": self.step,
            "block": {
                "start": self.block.start.to_string(), "until": self.block.until.to_string(),
                "washed": self.block.washed.to_string(), "events": self.block.events,
                "exposure_hours": self.block.exposure, "marked": self.block.marked,
            },
            "without_demand_exposure_hours": self.dry.exposure,
            "recent": self.recent,
        })
    }

    /// The curves on which the best fee lies on that side of where the last step began, by their weight. Where the balance
    /// made the step, a curve that empties the channel at the old fee speaks for a higher one as well.
    fn heading(&self, now: Time) -> Option<Heading> {
        let from = self.aim.from.filter(|_| !self.is_held())?;
        if (self.centre / from).ln().abs() < SAME {
            return None;
        }
        let up = self.centre > from;
        if self.aim.bid.is_some() {
            return Some(Heading { up, from, right: None });
        }
        let posterior = self.belief.posterior(&self.recent, now);
        let scarce = self.aim.run_out.filter(|run_out| self.aim.earns_most.is_none_or(|best| best < *run_out));
        let limit = scarce.map(|run_out| posterior.demand(run_out + self.base));
        let above = posterior.chance_above(from + self.base, limit);
        Some(Heading { up, from, right: Some(if up { above } else { 1.0 - above }) })
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
            "moved_by": self.heading.as_ref().map(|heading| if heading.right.is_some() { "learner" } else { "plan" }),
            "probability_of_right_direction": self.heading.as_ref().and_then(|heading| heading.right).map(short),
            "step": self.step,
            "block_ends_at": self.block_until.to_string(),
            "old_price": { "refused": self.refused.0, "came_back": self.refused.1, "patience": self.patience },
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
            write!(f, ", its balance asks {price:.0}")?;
        }
        write!(f, "; centre {:.0}, delta {:.2}", self.centre, self.delta)?;
        if let Some(Heading { up, from, right }) = &self.heading {
            let way = if *up { "up" } else { "down" };
            write!(f, ", {way} from {from:.0} ")?;
            match right {
                Some(right) => write!(f, "(right with {:.0} %)", right * 100.0)?,
                None => write!(f, "by the plan")?,
            }
        }
        if self.refused.0 > 0.0 {
            let (refused, stayed) = self.refused;
            write!(f, "; of {refused:.0} who came with an older price {stayed:.0} paid the new one")?;
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
    use crate::fees::{self, Bid, Memory};

    /// The memory after so many days of half-hourly decisions; `payers` an hour at a fee.
    fn after(start: u32, days: u32, payers: impl Fn(f64) -> f64) -> Memory {
        let mut now: Scene = scene(start);
        for _ in 0..days * 48 {
            now.observed.events = payers(now.channels[0].ours.ppm.as_f64()) / 2.0;
            // Somebody puts back what they take.
            now.observed.out_msat = 50e6 * now.observed.events;
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

    /// What a plan asks after so many hours; 0: none holds.
    type Asked = fn(f64) -> f64;

    /// Under a plan that asks that after so many hours: each decision's hour, the middle before, and what is told.
    fn under_a_plan(asked: Asked, payers: impl Fn(f64) -> f64, days: u32) -> Vec<(f64, f64, Value)> {
        let (mut now, mut middle, mut seen) = (scene(200), 200.0, vec![]);
        for _ in 0..days * 48 {
            let hours = now.now.hours_since(START);
            let (peer, fee) = (now.channels[0].peer, asked(hours));
            now.bid = Some(Bid { peer, mu: 0.0, cost: 0.0, rehearsed: 0.0, fee, holds: fee > 0.0 });
            now.observed.events = payers(now.channels[0].ours.ppm.as_f64()) / 2.0;
            let decision = now.decide();
            let told = told(&decision.memory);
            let before = std::mem::replace(&mut middle, told["centre_ppm"].as_f64().unwrap());
            seen.push((hours, before, told));
            now = Scene { updates: now.updates, ..now.next(&decision) };
        }
        seen
    }

    #[test]
    fn the_step_of_a_pair_is_the_one_that_was_taken() {
        let many = |fee: f64| payers(600.0, 10.0)(fee);
        let none = |_: f64| 0.0;
        // Learner alone, plans that agree with it, contradict it, change or end, and channels that nobody uses.
        let cases: [(Asked, &dyn Fn(f64) -> f64); 7] = [
            (|_| 0.0, &many),
            (|_| 500.0, &many),
            (|_| 60.0, &many),
            (|hours| 100.0 + 10.0 * hours, &many),
            (|hours| if hours < 60.0 { 90.0 } else { 0.0 }, &many),
            (|_| 0.0, &none),
            (|_| 400.0, &none),
        ];
        for (case, (asked, payers)) in cases.into_iter().enumerate() {
            let seen = under_a_plan(asked, payers, 6);
            let ends =
                seen.windows(2).filter(|two| two[0].2["pairs"][0]["ended_at"] != two[1].2["pairs"][0]["ended_at"]);
            let mut pairs = 0;
            for (hours, before, told) in ends.map(|two| &two[1]) {
                let moved = (told["centre_ppm"].as_f64().unwrap() / before - 1.0) * 100.0;
                let said = told["pairs"][0]["moved_percent"].as_f64().unwrap();
                assert!((moved - said).abs() < 0.3, "case {case} after {hours} h: {said} % and not {moved} %");
                pairs += 1;
            }
            assert!(pairs > 0, "case {case}");
        }
    }

    #[test]
    fn who_made_the_step_is_told() {
        let many = payers(600.0, 10.0);
        // What the plan asks by the hour, hours: who moved the middle, where it went and where it began.
        let cases: [(Asked, f64, [Value; 3]); 7] = [
            (|_| 400.0, 12.0, [json!("plan"), json!("up"), json!(200.0)]),
            (|_| 120.0, 12.0, [json!("plan"), json!("down"), json!(200.0)]),
            (|_| 5000.0, 12.0, [json!("plan"), json!("up"), json!(200.0)]),
            // There already: no step, no direction.
            (|_| 400.0, 24.0, [Value::Null, Value::Null, Value::Null]),
            (|hours| if hours < 20.0 { 400.0 } else { 300.0 }, 24.0, [json!("plan"), json!("down"), json!(400.0)]),
            // The plan has let go since; the last step was its own, until the learner makes one.
            (|hours| if hours < 20.0 { 400.0 } else { 0.0 }, 20.0, [json!("plan"), json!("up"), json!(200.0)]),
            (|hours| if hours < 20.0 { 400.0 } else { 0.0 }, 24.0, [json!("learner"), json!("up"), json!(400.0)]),
        ];
        for (case, (asked, hours, [by, direction, from])) in cases.into_iter().enumerate() {
            let seen = under_a_plan(asked, &many, 2);
            let (.., told) = seen.iter().find(|(at, ..)| *at >= hours).unwrap();
            let said = (&told["moved_by"], &told["direction"], &told["came_from_ppm"]);
            assert_eq!(said, (&by, &direction, &from), "case {case}: {told:#}");
            assert_eq!(told["probability_of_right_direction"].is_number(), by == "learner", "case {case}: {told:#}");
            let text = told["text"].as_str().unwrap();
            assert_eq!(text.contains("by the plan"), by == "plan", "case {case}: {text}");
            assert_eq!(text.contains("right with"), by == "learner", "case {case}: {text}");
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
