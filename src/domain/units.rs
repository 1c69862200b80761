//! Money and rates as types. Arithmetic is checked; nothing here rounds without saying how in its name.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// Thousandths of a satoshi. What Core Lightning speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Msat(pub u64);

/// Whole satoshis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sat(pub u64);

/// Parts per million of the forwarded amount: an outbound fee rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ppm(pub u32);

/// A share of a whole, 0.0 to 1.0. Made by the constructors only, so it is always finite and in range.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(f64);

impl Msat {
    pub const ZERO: Msat = Msat(0);

    pub fn from_sat(sat: Sat) -> Option<Msat> {
        sat.0.checked_mul(1000).map(Msat)
    }

    /// Whole satoshis, the remainder dropped.
    pub fn sat_floor(self) -> Sat {
        Sat(self.0 / 1000)
    }

    pub fn checked_add(self, other: Msat) -> Option<Msat> {
        self.0.checked_add(other.0).map(Msat)
    }

    pub fn checked_sub(self, other: Msat) -> Option<Msat> {
        self.0.checked_sub(other.0).map(Msat)
    }

    pub fn saturating_sub(self, other: Msat) -> Msat {
        Msat(self.0.saturating_sub(other.0))
    }

    /// For estimators only: money never comes back from a float.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Sat {
    /// All the bitcoin that there will ever be.
    pub const ALL: Sat = Sat(2_100_000_000_000_000);

    /// For estimators only: money never comes back from a float.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Ppm {
    /// The proportional part of the fee on `amount`, rounded down as BOLT 7 does.
    pub fn fee_floor(self, amount: Msat) -> Msat {
        let fee = u128::from(amount.0) * u128::from(self.0) / 1_000_000;
        Msat(u64::try_from(fee).unwrap_or(u64::MAX))
    }

    pub fn as_f64(self) -> f64 {
        f64::from(self.0)
    }

    /// The nearest whole rate; negative, infinite and absent rates become the nearest that exists.
    pub fn rounded(rate: f64) -> Ppm {
        Ppm(to_u32_rounded(rate))
    }
}

impl Share {
    pub const ZERO: Share = Share(0.0);
    pub const ONE: Share = Share(1.0);

    /// `None` outside 0..=1 and for NaN.
    pub fn new(value: f64) -> Option<Share> {
        (0.0..=1.0).contains(&value).then_some(Share(value))
    }

    /// Clamped to 0..=1; NaN becomes 0.
    pub fn clamped(value: f64) -> Share {
        if value.is_nan() { Share(0.0) } else { Share(value.clamp(0.0, 1.0)) }
    }

    /// `part` of `whole`; `None` when there is no whole.
    pub fn of(part: Msat, whole: Msat) -> Option<Share> {
        (whole.0 > 0).then(|| Share::clamped(part.as_f64() / whole.as_f64()))
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

/// Nearest u32; what lies outside becomes the nearest end, NaN becomes 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32 first")]
pub fn to_u32_rounded(value: f64) -> u32 {
    if value.is_nan() { 0 } else { value.round().clamp(0.0, f64::from(u32::MAX)) as u32 }
}

/// An estimate that may be negative, to the nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
pub fn to_i64_rounded(value: f64) -> i64 {
    value.round() as i64
}

/// Nearest u64; what lies outside becomes the nearest end, NaN becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates and negative was cut"
)]
pub fn to_u64_rounded(value: f64) -> u64 {
    if value.is_nan() { 0 } else { value.round().max(0.0) as u64 }
}

impl Sum for Msat {
    fn sum<I: Iterator<Item = Msat>>(iter: I) -> Msat {
        iter.fold(Msat::ZERO, |a, b| Msat(a.0 + b.0))
    }
}

impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} msat", self.0)
    }
}

impl fmt::Display for Sat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sat", self.0)
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ppm", self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_rounded_down_and_never_overflows() {
        assert_eq!(Ppm(10).fee_floor(Msat(1_234_567)), Msat(12));
        assert_eq!(Ppm(u32::MAX).fee_floor(Msat(u64::MAX)), Msat(u64::MAX));
    }

    #[test]
    fn a_share_is_always_in_range() {
        assert_eq!(Share::of(Msat(1), Msat(0)), None);
        assert_eq!(Share::clamped(f64::NAN).get(), 0.0);
        assert_eq!(Share::new(1.5), None);
        assert_eq!(Share::of(Msat(250), Msat(1000)).map(Share::get), Some(0.25));
    }

    #[test]
    fn rates_round_to_the_nearest_that_exists() {
        assert_eq!(Ppm::rounded(-3.0), Ppm(0));
        assert_eq!(Ppm::rounded(f64::INFINITY), Ppm(u32::MAX));
        assert_eq!(Ppm::rounded(99.5), Ppm(100));
    }
}
