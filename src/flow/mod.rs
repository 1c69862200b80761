//! Forwards -> flow: where the money of a channel goes. Pure; never asks how full the channel is, because a channel without
//! flow is idle whatever its balance.

pub mod traffic;

use crate::domain::{Flow, FlowClass, Msat, Time};

/// What the ledger sums up for one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowInputs {
    pub now: Time,
    pub window_days: u64,
    pub capacity: Msat,
    /// One row per day of the window in which something moved.
    pub days: Vec<DaySum>,
    /// May lie before the window.
    pub last_forward: Option<Time>,
    /// The class of the analysis before, for hysteresis.
    pub previous: Option<FlowClass>,
}

/// Sums of settled forwards over 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySum {
    /// 0: the last 24 hours, 1: the 24 hours before, ...
    pub age_days: u32,
    pub in_msat: u64,
    pub out_msat: u64,
    pub in_count: u64,
    pub out_count: u64,
}

/// Fewer forwards in the window than this say nothing about direction.
const IDLE_FORWARDS: u64 = 4;
/// Share of the capacity that must move in a day, or the channel idles.
const IDLE_TURNOVER: f64 = 0.001;
/// A class begins where twice as much goes one way as the other.
const ENTER_NET: f64 = 1.0 / 3.0;
/// It is left a little later, so that a channel at the border keeps one name.
const LEAVE_NET: f64 = 0.25;
/// Forwards at which the count alone is worth half of full confidence.
const HALF_CONFIDENCE_FORWARDS: f64 = 20.0;
/// Days of silence that halve the confidence.
const CONFIDENCE_HALF_LIFE_DAYS: f64 = 3.0;

/// The flow of one channel.
pub fn analyse(inputs: &FlowInputs) -> Flow {
    let (out_per_day, in_per_day) = daily_rates(inputs);
    let net = net(out_per_day, in_per_day);
    let turnover = ratio(out_per_day + in_per_day, inputs.capacity.as_f64());
    let sum = |of: fn(&DaySum) -> u64| Msat(days(inputs).map(of).fold(0, u64::saturating_add));
    let forwards = days(inputs).map(|d| d.in_count.saturating_add(d.out_count)).fold(0, u64::saturating_add);
    Flow {
        class: classify(forwards, turnover, net, inputs.previous),
        out_per_day,
        in_per_day,
        net,
        turnover,
        velocity: velocity(inputs),
        confidence: confidence(forwards, inputs.now, inputs.last_forward),
        out_msat: sum(|d| d.out_msat),
        in_msat: sum(|d| d.in_msat),
        forwards,
        last_forward: inputs.last_forward,
    }
}

/// The rows of the window; a row beyond it would be weighed without being counted as a day.
fn days(inputs: &FlowInputs) -> impl Iterator<Item = &DaySum> {
    inputs.days.iter().filter(|d| u64::from(d.age_days) < inputs.window_days)
}

/// What is left of a day's weight on the day after.
pub fn daily_decay(window_days: u64) -> f64 {
    weight(window_days, 1.0)
}

fn weight(window_days: u64, age: f64) -> f64 {
    let half_life = window_days as f64 / 2.0;
    0.5_f64.powf(age / half_life)
}

/// Out and in, msat a day, with a weight that halves every half window. Divided by the weights of all days of the window:
/// a day without rows is a day without traffic. A channel younger than the window is therefore rated low until it is as
/// old as the window; the other choice, to begin at its first row, would call one lucky forward a busy channel.
fn daily_rates(inputs: &FlowInputs) -> (f64, f64) {
    let weight = |age: f64| weight(inputs.window_days, age);
    let whole: f64 = (0..inputs.window_days).map(|age| weight(age as f64)).sum();
    let (out, into) = days(inputs).fold((0.0, 0.0), |(out, into), day| {
        let w = weight(f64::from(day.age_days));
        (out + w * day.out_msat as f64, into + w * day.in_msat as f64)
    });
    (ratio(out, whole), ratio(into, whole))
}

fn net(out: f64, into: f64) -> f64 {
    ratio(out - into, out + into)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn classify(forwards: u64, turnover: f64, net: f64, previous: Option<FlowClass>) -> FlowClass {
    if forwards < IDLE_FORWARDS || turnover < IDLE_TURNOVER {
        return FlowClass::Idle;
    }
    let border = |class| if previous == Some(class) { LEAVE_NET } else { ENTER_NET };
    if net > border(FlowClass::Source) {
        FlowClass::Source
    } else if net < -border(FlowClass::Sink) {
        FlowClass::Sink
    } else {
        FlowClass::Balanced
    }
}

/// Change of net per day from the older to the younger half; the middles of the halves lie half a window apart.
fn velocity(inputs: &FlowInputs) -> f64 {
    let half = inputs.window_days as f64 / 2.0;
    let net_of = |young: bool| {
        let (out, into) = days(inputs)
            .filter(|d| (f64::from(d.age_days) < half) == young)
            .fold((0.0, 0.0), |(out, into), d| (out + d.out_msat as f64, into + d.in_msat as f64));
        (out + into > 0.0).then(|| net(out, into))
    };
    match (net_of(true), net_of(false)) {
        (Some(now), Some(before)) => (now - before) / half,
        _ => 0.0, // One half alone shows no change.
    }
}

fn confidence(forwards: u64, now: Time, last: Option<Time>) -> f64 {
    let Some(last) = last else { return 0.0 };
    let silent_days = (now.hours_since(last) / 24.0).max(0.0);
    let n = forwards as f64;
    n / (n + HALF_CONFIDENCE_FORWARDS) * 0.5_f64.powf(silent_days / CONFIDENCE_HALF_LIFE_DAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_700_000_000);

    fn quiet() -> FlowInputs {
        FlowInputs {
            now: NOW,
            window_days: 7,
            capacity: Msat(1_000_000_000),
            days: vec![],
            last_forward: Some(NOW),
            previous: None,
        }
    }

    fn day(age_days: u32, out_msat: u64, in_msat: u64) -> DaySum {
        DaySum { age_days, in_msat, out_msat, in_count: 5, out_count: 5 }
    }

    fn every_day(out_msat: u64, in_msat: u64) -> Vec<DaySum> {
        (0..7).map(|age| day(age, out_msat, in_msat)).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * (1.0 + b.abs())
    }

    #[test]
    fn the_class_follows_the_net_flow() {
        let cases = [
            ("nothing moved", vec![], FlowClass::Idle),
            ("out only", every_day(10_000_000, 0), FlowClass::Source),
            ("in only", every_day(0, 10_000_000), FlowClass::Sink),
            ("as much in as out", every_day(10_000_000, 10_000_000), FlowClass::Balanced),
            ("a little more out", every_day(12_000_000, 10_000_000), FlowClass::Balanced),
            ("twice as much out is the border", every_day(20_000_000, 10_000_000), FlowClass::Balanced),
            ("more than twice as much out", every_day(20_100_000, 10_000_000), FlowClass::Source),
            ("below 0.1 % of the capacity a day", every_day(500_000, 0), FlowClass::Idle),
        ];
        for (name, days, class) in cases {
            assert_eq!(analyse(&FlowInputs { days, ..quiet() }).class, class, "{name}");
        }
    }

    #[test]
    fn a_class_is_left_later_than_it_is_entered() {
        // 9 out to 5 in: net 0.29, between 0.25 and 1/3.
        let days = every_day(9_000_000, 5_000_000);
        for (previous, class) in [
            (None, FlowClass::Balanced),
            (Some(FlowClass::Balanced), FlowClass::Balanced),
            (Some(FlowClass::Source), FlowClass::Source),
            (Some(FlowClass::Sink), FlowClass::Balanced),
            (Some(FlowClass::Idle), FlowClass::Balanced),
        ] {
            assert_eq!(analyse(&FlowInputs { days: days.clone(), previous, ..quiet() }).class, class, "{previous:?}");
        }
        let past = FlowInputs { days: every_day(8_000_000, 5_000_000), previous: Some(FlowClass::Source), ..quiet() };
        assert_eq!(analyse(&past).class, FlowClass::Balanced, "net 0.23 is past the way out");
    }

    #[test]
    fn three_forwards_say_nothing_and_four_do() {
        for (out_count, class) in [(3, FlowClass::Idle), (4, FlowClass::Source)] {
            let days = vec![DaySum { age_days: 0, out_msat: 100_000_000, out_count, ..DaySum::default() }];
            assert_eq!(analyse(&FlowInputs { days, ..quiet() }).class, class);
        }
    }

    #[test]
    fn rates_are_per_day_of_the_whole_window() {
        let flow = analyse(&FlowInputs { days: every_day(10_000_000, 5_000_000), ..quiet() });
        assert!(close(flow.out_per_day, 10_000_000.0) && close(flow.in_per_day, 5_000_000.0), "{flow:?}");
        assert!(close(flow.net, 1.0 / 3.0) && close(flow.turnover, 0.015), "{flow:?}");
        assert_eq!(flow.forwards, 70);

        // One day of seven: its weight over the weights of all seven.
        let weights: f64 = (0..7).map(|age| 0.5_f64.powf(f64::from(age) / 3.5)).sum();
        let flow = analyse(&FlowInputs { days: vec![day(0, 10_000_000, 0)], ..quiet() });
        assert!(close(flow.out_per_day, 10_000_000.0 / weights), "{flow:?}");
        let older = analyse(&FlowInputs { days: vec![day(6, 10_000_000, 0)], ..quiet() });
        assert!(older.out_per_day < flow.out_per_day, "what is older counts less");
    }

    #[test]
    fn velocity_compares_the_halves() {
        let mut days = every_day(0, 10_000_000);
        for d in days.iter_mut().take(4) {
            (d.out_msat, d.in_msat) = (10_000_000, 0);
        }
        let flow = analyse(&FlowInputs { days: days.clone(), ..quiet() });
        assert!(close(flow.velocity, 2.0 / 3.5), "from -1 to 1 within half a window: {flow:?}");
        days.truncate(4);
        assert_eq!(analyse(&FlowInputs { days, ..quiet() }).velocity, 0.0, "one half alone shows no change");
    }

    #[test]
    fn confidence_grows_with_forwards_and_fades_with_silence() {
        let days = vec![DaySum { age_days: 0, out_msat: 1, out_count: 20, ..DaySum::default() }];
        for (silent_hours, expected) in [(0.0, 0.5), (72.0, 0.25), (144.0, 0.125)] {
            let last_forward = Some(NOW.plus_hours(-silent_hours));
            let flow = analyse(&FlowInputs { days: days.clone(), last_forward, ..quiet() });
            assert!(close(flow.confidence, expected), "{silent_hours} h: {flow:?}");
        }
        assert_eq!(analyse(&FlowInputs { last_forward: None, ..quiet() }).confidence, 0.0);
    }

    #[test]
    fn odd_inputs_stay_finite() {
        for window_days in [0, 1, 2, 90] {
            let days = vec![day(0, u64::MAX, u64::MAX), day(1, 1, 0), day(400, 1, 1)];
            let flow = analyse(&FlowInputs { window_days, capacity: Msat(0), days, ..quiet() });
            for number in [flow.out_per_day, flow.in_per_day, flow.net, flow.turnover, flow.velocity, flow.confidence] {
                assert!(number.is_finite(), "{window_days}: {flow:?}");
            }
        }
    }
}
