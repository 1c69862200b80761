//! One of our channels as the node reports it now.

use super::{ChannelId, Msat, PeerId, Ppm, Scid, Share};

/// What a channel says of itself at the moment of the look. `Option` means that the node did not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub channel_id: ChannelId,
    /// Absent until the funding is confirmed.
    pub scid: Option<Scid>,
    /// Our alias for the channel; forwards of private channels may carry it.
    pub alias: Option<Scid>,
    pub peer: PeerId,
    pub state: ChannelState,
    pub opener: Option<Side>,
    pub private: bool,
    pub connected: bool,
    pub capacity: Msat,
    /// Our side of the channel, reserve included.
    pub local: Msat,
    /// What we could send now: reserve, fees and pending payments taken off.
    pub spendable: Msat,
    pub receivable: Option<Msat>,
    /// Payments in flight from us to the peer.
    pub htlcs_out: u32,
    pub htlcs_in: u32,
    /// Our own limit of payments in flight; the peer's limit is not to be had.
    pub max_htlcs: Option<u32>,
    /// What we ask for forwards out by this channel.
    pub ours: FeePolicy,
    /// What the peer asks for forwards toward us.
    pub theirs: Option<FeePolicy>,
    /// All that ever went out by this channel, own payments included.
    pub sent: Option<Msat>,
    pub bounds: Bounds,
}

/// What binds payments by a channel, besides fees; only rules ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Have both sides taken the channel up again since they are connected?
    pub reestablished: Option<bool>,
    /// The lowest height at which a payment in flight expires.
    pub next_expiry: Option<u32>,
    /// What the peer has to keep, and so can never send us.
    pub reserve: Option<Msat>,
    /// The peer takes no more in flight.
    pub most_pending: Option<Msat>,
}

/// Which channel a short channel id means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelName {
    pub channel_id: ChannelId,
    pub peer: Option<PeerId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    pub base: Msat,
    pub ppm: Ppm,
    pub htlc_min: Option<Msat>,
    pub htlc_max: Option<Msat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Local,
    Remote,
}

/// The states that mean something to us; whatever else a node may report is kept by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelState {
    Normal,
    /// Routes payments, while a splice waits for its confirmations.
    AwaitingSplice,
    Opening,
    Closing,
    Other(String),
}

impl Channel {
    /// Can a fee be set and earned here?
    pub fn routes(&self) -> bool {
        self.scid.is_some() && matches!(self.state, ChannelState::Normal | ChannelState::AwaitingSplice)
    }

    /// Connected, and both sides ready to forward.
    pub fn is_active(&self) -> bool {
        self.connected && self.bounds.reestablished != Some(false) && self.state == ChannelState::Normal
    }

    /// What can still come in, as far as it is known: the node tells, or it is all that is not ours.
    pub fn room(&self) -> Msat {
        self.receivable.unwrap_or_else(|| self.capacity.saturating_sub(self.local))
    }

    /// Share of the capacity that is ours.
    pub fn local_share(&self) -> Share {
        Share::of(self.local, self.capacity).unwrap_or_default()
    }
}
