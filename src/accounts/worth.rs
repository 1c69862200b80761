//! What we have, and what it returns.

use super::percent;

/// Where our money lies, in msat. `None`: the node did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// Confirmed in the wallet.
    pub onchain: Option<u64>,
    /// In the wallet, and not confirmed yet.
    pub unconfirmed: Option<u64>,
    /// Our side of channels that route.
    pub local: u64,
    pub remote: u64,
    /// Our side of channels that are not open yet.
    pub pending: u64,
    /// Ours in channels that close, until it has come to the wallet.
    pub closing: u64,
    pub capacity: u64,
    pub channels: u64,
}

impl Worth {
    /// Everything together; `None` while the wallet is unknown: a part is not the whole.
    pub fn total(&self) -> Option<u64> {
        [self.onchain?, self.unconfirmed?, self.local, self.pending, self.closing]
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(*part))
    }
}

/// Return on the capacity of all channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roc {
    pub percent: f64,
    /// The same over a year, if it went on like this.
    pub annualised: f64,
    /// Days that it was computed over: a window cannot begin before the books do.
    pub days: f64,
}

/// `None`: no capacity, or less than an hour of books.
pub fn return_on_capital(net_msat: i64, capacity: u64, days: f64) -> Option<Roc> {
    if days < 1.0 / 24.0 {
        return None;
    }
    let percent = percent(net_msat, capacity)?;
    Some(Roc { percent, annualised: percent * 365.0 / days, days })
}
