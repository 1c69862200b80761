//! What a node's own records say of coins: on the chain, in channels, and by its bookkeeper. Facts, not yet costs.

use std::fmt;
use std::str::FromStr;

use super::ids::{unhex, write_hex};
use super::{ChannelId, Msat, PeerId, Scid, Side, Time};

/// A transaction on the chain, as block explorers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub [u8; 32]);

/// The hash by which a payment is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentHash(pub [u8; 32]);

/// One line of the node's record of coins on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainMove {
    /// The node's own counter; lines come in its order.
    pub index: u64,
    pub account: CoinAccount,
    /// The channel whose closing brought a coin to another account.
    pub origin: Option<ChannelId>,
    pub tag: ChainTag,
    pub peer: Option<PeerId>,
    /// The channel goes on in another output.
    pub splice: bool,
    pub at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoinAccount {
    Channel(ChannelId),
    Wallet,
    /// Not ours.
    External,
}

/// The tags that tell something of a channel's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainTag {
    Open,
    Close,
    /// Ours, after we closed one-sidedly.
    DelayedToUs,
    Anchor,
    /// Came to the wallet.
    Deposit,
    Penalty,
    Other,
}

/// One payment of our own through a channel: forwards are counted elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPayment {
    pub payment: PaymentHash,
    pub part: u64,
    pub channel: ChannelId,
    pub direction: Direction,
    pub amount: Msat,
    /// What others got of it.
    pub fee: Msat,
    pub at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Out,
    In,
}

/// A page of the node's record of coins in channels: how far it goes, and the payments in it that are not forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelMoves {
    pub rows: u64,
    /// `None`: nothing came.
    pub last: Option<u64>,
    pub payments: Vec<OwnPayment>,
}

/// One line of the bookkeeper's account of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountLine {
    /// The channel's money lies in an output of this transaction from now on.
    Opened { txid: TxId, credit: Msat, at: Time },
    /// The output was spent by this transaction; by a splice as well.
    Spent { txid: TxId, debit: Msat, at: Time },
    /// A part of what a transaction cost us: credits are fees paid, debits take them back.
    Fee { txid: TxId, credit: Msat, debit: Msat, at: Time },
    /// A payment to ourselves.
    Rebalance(OwnPayment),
}

/// The bookkeeper's whole account of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub lines: Vec<AccountLine>,
    /// What it says that is ours there, fees apart.
    pub balance_msat: i64,
}

/// What the node remembers of a channel that it has forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedChannel {
    pub channel: ChannelId,
    pub peer: Option<PeerId>,
    pub scid: Option<Scid>,
    pub alias: Option<Scid>,
    pub capacity: Msat,
    pub opener: Option<Side>,
    pub closer: Option<Side>,
    pub cause: Option<String>,
    /// Fee of the last transaction that both sides had signed.
    pub last_fee: Option<Msat>,
}

/// Coins of the wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalletCoins {
    pub confirmed: Msat,
    pub unconfirmed: Msat,
}

/// One line of the bookkeeper's statement of income.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomeLine {
    /// `None`: the wallet.
    pub channel: Option<ChannelId>,
    pub tag: String,
    pub credit: Msat,
    pub debit: Msat,
}

/// How a channel ended, told by what was seen of it. Seeing a thing again, or in another order, changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence(pub u8);

impl Evidence {
    pub const NONE: Evidence = Evidence(0);
    /// Both sides agreed on the last transaction.
    pub const AGREED: Evidence = Evidence(1);
    /// We gave up waiting for the peer, or it told us that it closes.
    pub const ONE_SIDED: Evidence = Evidence(2);
    /// Our part of the last transaction had to wait: it was our own version of it.
    pub const DELAYED_TO_US: Evidence = Evidence(4);
    /// Our part came to the wallet without a wait, or an anchor was there: it was a commitment.
    pub const TO_WALLET: Evidence = Evidence(8);
    pub const ANCHOR: Evidence = Evidence(16);
    pub const PENALTY: Evidence = Evidence(32);
    /// The node's record of the chain says that the funding was spent, and by no splice.
    pub const SPENT: Evidence = Evidence(64);
    /// The node has forgotten the channel: nothing more will come.
    pub const RESOLVED: Evidence = Evidence(128);

    pub fn has(self, other: Evidence) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub fn with(self, other: Evidence) -> Evidence {
        Evidence(self.0 | other.0)
    }

    /// `None`: nothing says how yet.
    pub fn close_type(self) -> Option<CloseType> {
        if self.has(Evidence::PENALTY) {
            Some(CloseType::Penalty)
        } else if self.has(Evidence::DELAYED_TO_US) {
            Some(CloseType::LocalUnilateral)
        } else if self.has(Evidence::TO_WALLET) {
            Some(CloseType::RemoteUnilateral)
        } else if self.has(Evidence::AGREED) {
            Some(CloseType::Mutual)
        } else if self.has(Evidence::ANCHOR) || self.has(Evidence::ONE_SIDED) {
            Some(CloseType::Unilateral)
        } else if self.has(Evidence::SPENT) && self.has(Evidence::RESOLVED) {
            // A commitment would have left its marks on the chain.
            Some(CloseType::Mutual)
        } else {
            None
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseType {
    Mutual,
    LocalUnilateral,
    RemoteUnilateral,
    /// One of the two sides, and it is not known which.
    Unilateral,
    /// A revoked commitment was punished.
    Penalty,
}

impl CloseType {
    /// Whose doing it was, where that follows.
    pub fn closer(self) -> Option<Side> {
        match self {
            CloseType::LocalUnilateral => Some(Side::Local),
            CloseType::RemoteUnilateral | CloseType::Penalty => Some(Side::Remote),
            CloseType::Mutual | CloseType::Unilateral => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            CloseType::Mutual => "mutual",
            CloseType::LocalUnilateral => "local_unilateral",
            CloseType::RemoteUnilateral => "remote_unilateral",
            CloseType::Unilateral => "unilateral",
            CloseType::Penalty => "penalty",
        }
    }
}

impl FromStr for TxId {
    type Err = String;

    fn from_str(text: &str) -> Result<TxId, String> {
        unhex(text).map(TxId).ok_or_else(|| format!("'{text}' is not a transaction id (64 hexadecimal digits)"))
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for PaymentHash {
    type Err = String;

    fn from_str(text: &str) -> Result<PaymentHash, String> {
        unhex(text).map(PaymentHash).ok_or_else(|| format!("'{text}' is not a payment hash (64 hexadecimal digits)"))
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_channel_ended_follows_from_what_is_seen_in_whatever_order() {
        let all = [Evidence::SPENT, Evidence::ONE_SIDED, Evidence::ANCHOR, Evidence::DELAYED_TO_US];
        let seen = |order: &[usize]| order.iter().fold(Evidence::NONE, |sum, at| sum.with(all[*at])).close_type();
        assert_eq!(seen(&[0, 1, 2, 3]), Some(CloseType::LocalUnilateral));
        assert_eq!(seen(&[3, 1, 1, 0, 2, 0]), Some(CloseType::LocalUnilateral));
        assert_eq!(seen(&[0, 1]), Some(CloseType::Unilateral));
        // That the funding is spent, as every closing ends, makes no mutual close a unilateral one.
        assert_eq!(Evidence::AGREED.with(Evidence::SPENT).close_type(), Some(CloseType::Mutual));
        assert_eq!(Evidence::SPENT.close_type(), None);
        assert_eq!(Evidence::SPENT.with(Evidence::RESOLVED).close_type(), Some(CloseType::Mutual));
    }
}
