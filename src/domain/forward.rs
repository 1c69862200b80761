//! One payment that came in by one of our channels and went, or should have gone, out by another.

use super::{Msat, Scid, Time};

#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    pub key: ForwardKey,
    /// The channel that was asked for, or that was used; a failed forward may name none, or one that never existed.
    pub out_channel: Option<Scid>,
    pub in_msat: Msat,
    pub out_msat: Option<Msat>,
    pub fee: Option<Msat>,
    pub status: ForwardStatus,
    /// BOLT 4 failure code, where we were the one who failed it.
    pub failcode: Option<u32>,
    pub received: Time,
    pub resolved: Option<Time>,
    pub created_index: Option<u64>,
    pub updated_index: Option<u64>,
}

/// What makes a forward that forward, once and for ever. Ids count per channel and are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardKey {
    pub in_channel: Scid,
    pub in_htlc_id: u64,
}

/// In the order of a forward's life: a later status replaces an earlier one, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardStatus {
    Offered,
    Settled,
    /// Failed further down the route.
    Failed,
    /// Failed by us.
    LocalFailed,
}

/// The counter by which forwards are paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardIndex {
    /// Counts forwards as they are made: new ones.
    Created,
    /// Counts forwards as they are resolved: settled and failed ones. Never shows local failures.
    Updated,
}

/// `temporary_channel_failure`: what our node answers when the outgoing channel lacks the liquidity.
pub const TEMPORARY_CHANNEL_FAILURE: u32 = 0x1007;

/// `fee_insufficient`: what our node answers to a payer who goes by an old price.
pub const FEE_INSUFFICIENT: u32 = 0x100c;

/// Tries of one payment are at most so far apart in time, and in amount by one in so many.
pub const RETRY_SECS: i64 = 60;
const RETRY_SHARE: u64 = 100;

/// The last tries by one way, each with what is to be known of it: another one soon after, of nearly the same amount, is the same
/// payment once more.
#[derive(Clone, Debug)]
pub struct Tries<T>(Vec<(Time, Msat, T)>);

impl<T> Default for Tries<T> {
    fn default() -> Tries<T> {
        Tries(Vec::new())
    }
}

impl<T> Tries<T> {
    /// The try that this one repeats. Times never go back.
    pub fn repeated(&mut self, at: Time, amount: Msat) -> Option<&T> {
        self.0.retain(|(before, ..)| before.plus_secs(RETRY_SECS) >= at);
        let same = |before: &Msat| before.0.abs_diff(amount.0) <= before.0 / RETRY_SHARE;
        self.0.iter().find(|(_, before, _)| same(before)).map(|(_, _, known)| known)
    }

    pub fn note(&mut self, at: Time, amount: Msat, known: T) {
        self.0.push((at, amount, known));
    }
}

impl ForwardStatus {
    pub fn is_final(self) -> bool {
        self != ForwardStatus::Offered
    }
}

impl Forward {
    /// Did the payer choose us and our price, and only our balance was missing?
    pub fn starved(&self) -> bool {
        self.status == ForwardStatus::LocalFailed && self.failcode == Some(TEMPORARY_CHANNEL_FAILURE)
    }
}
