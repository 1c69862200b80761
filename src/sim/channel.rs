//! One of our channels in the market: whose the money is, what we ask, and what the network has heard of it.

use super::network::Seat;
use crate::domain::{Bounds, Channel, ChannelState, FeePolicy, Msat, PeerId, Ppm, Scid, Side, Time};

/// After a raise the old price is still accepted for so long (Core Lightning's `enforcedelay`).
pub const GRACE_SECS: i64 = 600;
/// Payments in flight that a channel can carry in each direction.
pub const SLOTS: u32 = 483;
/// The older of our prices that payers may still go by.
const REMEMBERED: usize = 32;
/// What the funder sets aside for the commitment transaction (msat).
const COMMITMENT_FEE: u64 = 4_306_000;

/// What we ask for the way out by a channel, in msat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    pub base: u64,
    pub ppm: u32,
    pub htlc_min: u64,
    pub htlc_max: u64,
}

impl Price {
    pub fn fee(&self, amount: u64) -> u64 {
        self.base + Ppm(self.ppm).fee_floor(Msat(amount)).0
    }

    /// Does it ask more for some payment, or refuse one that the other carries?
    fn is_stricter_than(&self, other: &Price) -> bool {
        self.base > other.base
            || self.ppm > other.ppm
            || self.htlc_min > other.htlc_min
            || self.htlc_max < other.htlc_max
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Normal,
    AwaitingSplice,
    /// Closed cooperatively; the closing transaction is not confirmed yet.
    Closing,
    /// Forgotten by the node.
    Closed,
}

/// Sums since the channel was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub offered: u64,
    pub offered_msat: u64,
    pub fulfilled: u64,
    pub fulfilled_msat: u64,
}

#[derive(Clone, Debug)]
pub struct SimChannel {
    pub seat: Seat,
    pub peer_id: PeerId,
    pub scid: Scid,
    pub old_scids: Vec<Scid>,
    pub stage: Stage,
    pub capacity: u64,
    /// Ours, and free. With `flying_out` it is what the node calls ours.
    pub local: u64,
    /// The peer's, and free.
    pub remote: u64,
    pub flying_out: u64,
    pub flying_in: u64,
    pub htlcs_out: u32,
    pub htlcs_in: u32,
    /// Somebody holds all slots that payments out would need.
    pub jammed: bool,
    pub next_in: u64,
    pub next_out: u64,
    pub price: Price,
    /// Since when `price` is in force.
    pub since: Time,
    past: Vec<(Time, Price)>,
    /// What is still accepted, and until when.
    pub grace: Option<(Price, Time)>,
    pub ignore_fee_limits: bool,
    pub incoming: Totals,
    pub outgoing: Totals,
    /// Smallest and largest that our side ever was.
    pub range: (u64, u64),
    pub earned: u64,
    /// Payments that chose this channel and failed for lack of what it could carry. A payment never tries the same channel
    /// twice after that, so each counts once.
    pub starved: u64,
}

impl SimChannel {
    pub fn new(seat: &Seat, peer_id: PeerId, now: Time) -> SimChannel {
        let (capacity, local) = (seat.capacity.0, seat.local.0);
        let price = Price { base: 1_000, ppm: 10, htlc_min: 0, htlc_max: capacity / 100 * 99 };
        SimChannel {
            seat: seat.clone(),
            peer_id,
            scid: seat.scid,
            old_scids: Vec::new(),
            stage: Stage::Normal,
            capacity,
            local,
            remote: capacity - local,
            flying_out: 0,
            flying_in: 0,
            htlcs_out: 0,
            htlcs_in: 0,
            jammed: false,
            next_in: 0,
            next_out: 0,
            price,
            since: now,
            past: Vec::new(),
            grace: None,
            ignore_fee_limits: true,
            incoming: Totals::default(),
            outgoing: Totals::default(),
            range: (local, local),
            earned: 0,
            starved: 0,
        }
    }

    pub fn reserve(&self) -> u64 {
        self.capacity / 100
    }

    /// What we could send now.
    pub fn spendable(&self) -> u64 {
        let fee = if self.seat.opener == Side::Local { COMMITMENT_FEE } else { 0 };
        self.local.saturating_sub(self.reserve() + fee)
    }

    pub fn receivable(&self) -> u64 {
        let fee = if self.seat.opener == Side::Remote { COMMITMENT_FEE } else { 0 };
        self.remote.saturating_sub(self.reserve() + fee)
    }

    /// What the node reports as ours: payments in flight are ours until they are settled.
    pub fn to_us(&self) -> u64 {
        self.local + self.flying_out
    }

    pub fn routes(&self) -> bool {
        matches!(self.stage, Stage::Normal | Stage::AwaitingSplice)
    }

    /// The price that somebody knows whose news is from that time.
    #[inline]
    pub fn price_at(&self, heard: Time) -> &Price {
        if heard >= self.since {
            return &self.price;
        }
        let known = self.past.iter().rev().find(|(since, _)| *since <= heard).or(self.past.first());
        known.map_or(&self.price, |(_, price)| price)
    }

    /// A stricter price leaves the old one acceptable for the grace; only one old price is ever remembered.
    pub fn set_price(&mut self, price: Price, now: Time, grace_secs: i64) {
        if price == self.price {
            return;
        }
        if price.is_stricter_than(&self.price) {
            self.grace = Some((self.price, now.plus_secs(grace_secs)));
        }
        if self.past.len() == REMEMBERED {
            self.past.remove(0);
        }
        self.past.push((self.since, self.price));
        self.price = price;
        self.since = now;
    }

    /// A price that everybody knows.
    pub fn begin_with(&mut self, price: Price) {
        self.past.clear();
        self.grace = None;
        self.price = price;
    }

    /// Is that fee enough, now?
    pub fn accepts(&self, amount: u64, fee: u64, now: Time) -> bool {
        let enough = |price: &Price| fee >= price.fee(amount);
        enough(&self.price) || self.grace.is_some_and(|(price, until)| now < until && enough(&price))
    }

    /// Has it a slot for one more payment out?
    pub(super) fn has_slot(&self) -> bool {
        !self.jammed && self.htlcs_out < SLOTS
    }

    /// Slots for payments out that somebody holds to keep them from others.
    pub fn slots_held(&self) -> u32 {
        if self.jammed { SLOTS.saturating_sub(self.htlcs_out) } else { 0 }
    }

    /// A payment comes in, whatever becomes of it; answers its id.
    pub(super) fn note_incoming(&mut self, msat: u64) -> u64 {
        self.incoming.offered += 1;
        self.incoming.offered_msat += msat;
        self.next_in += 1;
        self.next_in - 1
    }

    /// A payment goes out, whatever becomes of it; answers its id.
    pub(super) fn note_outgoing(&mut self, msat: u64) -> u64 {
        self.outgoing.offered += 1;
        self.outgoing.offered_msat += msat;
        self.next_out += 1;
        self.next_out - 1
    }

    /// An outgoing payment has become the peer's.
    pub(super) fn pay_out(&mut self, msat: u64) {
        self.remote += msat;
        self.outgoing.fulfilled += 1;
        self.outgoing.fulfilled_msat += msat;
        self.range.0 = self.range.0.min(self.to_us());
    }

    /// An incoming payment has become ours.
    pub(super) fn take_in(&mut self, msat: u64) {
        self.local += msat;
        self.incoming.fulfilled += 1;
        self.incoming.fulfilled_msat += msat;
        self.range.1 = self.range.1.max(self.to_us());
    }

    /// The channel as the node's listing tells it.
    pub fn view(&self, connected: bool) -> Channel {
        Channel {
            channel_id: self.seat.channel_id,
            scid: Some(self.scid),
            alias: Some(self.seat.alias),
            peer: self.peer_id,
            state: match self.stage {
                Stage::Normal => ChannelState::Normal,
                Stage::AwaitingSplice => ChannelState::AwaitingSplice,
                Stage::Closing | Stage::Closed => ChannelState::Closing,
            },
            opener: Some(self.seat.opener),
            private: false,
            connected,
            capacity: Msat(self.capacity),
            local: Msat(self.to_us()),
            spendable: Msat(self.spendable()),
            receivable: Some(Msat(self.receivable())),
            htlcs_out: self.htlcs_out + self.slots_held(),
            htlcs_in: self.htlcs_in,
            max_htlcs: Some(SLOTS),
            ours: self.price.policy(),
            theirs: Some(FeePolicy {
                base: Msat(0),
                ppm: Ppm(self.seat.their_ppm),
                htlc_min: Some(Msat(0)),
                htlc_max: Some(Msat(self.capacity / 100 * 99)),
            }),
            sent: Some(Msat(self.outgoing.fulfilled_msat)),
            bounds: Bounds { reestablished: Some(connected), ..Bounds::default() },
        }
    }
}

impl Price {
    pub fn policy(&self) -> FeePolicy {
        FeePolicy {
            base: Msat(self.base),
            ppm: Ppm(self.ppm),
            htlc_min: Some(Msat(self.htlc_min)),
            htlc_max: Some(Msat(self.htlc_max)),
        }
    }
}
