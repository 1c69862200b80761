//! Moments and the clock. The only file that reads the system clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

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

/// The machine's clock, running faster from the moment it was made: demonstrations and tests on a whole node.
#[derive(Debug)]
pub struct ScaledClock {
    start: Time,
    scale: f64,
}

impl ScaledClock {
    pub fn new(scale: f64) -> ScaledClock {
        ScaledClock { start: SystemClock.now(), scale }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Time {
        let hours = SystemClock.now().hours_since(self.start);
        self.start.plus_hours(hours * self.scale)
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
    fn a_time_reads_as_a_date() {
        assert_eq!(Time::from_secs(1_704_067_200).to_string(), "2024-01-01T00:00:00Z");
    }
}
