//! Moments and the clock. The only file that reads the system clock.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

const DAY_MILLIS: i64 = 86_400_000;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    pub const fn from_secs(secs: i64) -> Time {
        Time(secs * 1000)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole hours since 1970: the key of the hourly rollups.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000)
    }

    /// Whole days since 1970, UTC.
    pub const fn day(self) -> i64 {
        self.hour().div_euclid(24)
    }

    /// The first moment of that day.
    pub const fn start_of_day(day: i64) -> Time {
        Time(day.saturating_mul(DAY_MILLIS))
    }

    /// `yyyy-mm-dd`, UTC.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }

    /// Hour of the week, 0 = Monday 00:00 UTC.
    pub const fn hour_of_week(self) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.hour() + 3 * 24).rem_euclid(7 * 24)
    }

    /// Hours from `earlier` to `self`; negative when `earlier` is later.
    pub fn hours_since(self, earlier: Time) -> f64 {
        (self.0 - earlier.0) as f64 / 3_600_000.0
    }

    pub const fn plus_secs(self, secs: i64) -> Time {
        Time(self.0 + secs * 1000)
    }

    /// The nearest millisecond.
    pub fn plus_hours(self, hours: f64) -> Time {
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates; no schedule reaches that far")]
        let millis = (hours * 3_600_000.0).round() as i64;
        Time(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_millis(self.0) {
            Some(date) => f.write_str(&date.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// Where "now" comes from. Steps ask it once, at their start.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everybody else asks")]
    fn now(&self) -> Time {
        Time(chrono::Utc::now().timestamp_millis())
    }
}

/// The environment variable that makes a plugin's time pass faster, on networks where nothing is at stake.
pub const TIME_SCALE: &str = "CL_REVENUE_OPS_TIME_SCALE";

/// How fast time passes: `FACTOR`, or `FACTOR@MACHINE:SHOWN` for a clock that showed one moment (in milliseconds since 1970) when the
/// machine's showed the other, so that two processes have the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale {
    pub factor: f64,
    pub origin: Option<(Time, Time)>,
}

const FASTEST: f64 = 1e6;

impl FromStr for TimeScale {
    type Err = ();

    fn from_str(text: &str) -> Result<TimeScale, ()> {
        let (factor, origin) = text.split_once('@').map_or((text, None), |(factor, origin)| (factor, Some(origin)));
        let factor = factor.parse().ok().filter(|factor| (1.0..=FASTEST).contains(factor)).ok_or(())?;
        let time = |text: &str| text.parse().map(Time).map_err(|_| ());
        let pair = |text: &str| {
            let (machine, shown) = text.split_once(':').ok_or(())?;
            Ok((time(machine)?, time(shown)?))
        };
        Ok(TimeScale { factor, origin: origin.map(pair).transpose()? })
    }
}

impl fmt::Display for TimeScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor)?;
        self.origin.map_or(Ok(()), |(machine, shown)| write!(f, "@{}:{}", machine.0, shown.0))
    }
}

/// The machine's clock, running faster: demonstrations and tests on a whole node. Before its origin it stands still.
#[derive(Debug)]
pub struct ScaledClock {
    /// On the machine's clock, and what this one showed then.
    origin: (Time, Time),
    scale: f64,
}

impl ScaledClock {
    /// Without an origin it starts now, at the machine's time.
    pub fn new(scale: f64, origin: Option<(Time, Time)>) -> ScaledClock {
        let now = SystemClock.now();
        ScaledClock { origin: origin.unwrap_or((now, now)), scale }
    }

    fn at(&self, machine: Time) -> Time {
        self.origin.1.plus_hours(machine.hours_since(self.origin.0).max(0.0) * self.scale)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Time {
        self.at(SystemClock.now())
    }
}

/// A clock that stands still until it is set: simulations and tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(time: Time) -> ManualClock {
        ManualClock(AtomicI64::new(time.0))
    }

    pub fn set(&self, time: Time) {
        self.0.store(time.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_start_on_monday() {
        // 2024-01-01 00:00 UTC was a Monday.
        assert_eq!(Time::from_secs(1_704_067_200).hour_of_week(), 0);
        assert_eq!(Time::from_secs(1_704_067_200 - 3600).hour_of_week(), 167);
    }

    #[test]
    fn a_time_scale_is_read_as_it_is_written() {
        for text in ["600", "1.5", "60000@1700000000123:1704067200000"] {
            assert_eq!(text.parse::<TimeScale>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_scaled_clock_runs_from_its_origin() {
        let clock = ScaledClock::new(600.0, Some((Time(1_000), Time::from_secs(50))));
        assert_eq!((clock.at(Time(0)), clock.at(Time(1_000))), (Time::from_secs(50), Time::from_secs(50)));
        assert_eq!(clock.at(Time(2_000)), Time::from_secs(650));
    }

    #[test]
    fn a_time_reads_as_a_date() {
        assert_eq!(Time::from_secs(1_704_067_200).to_string(), "2024-01-01T00:00:00Z");
    }
}
