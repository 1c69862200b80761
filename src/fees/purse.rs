//! The purse: what comes into a channel and leaves it. Watches the balance from pair to pair; what came in by any way at all (forwards,
//! rebalances) shows in the balance.

use serde::{Deserialize, Serialize};

use super::{FeeInputs, blocks, tidy};
use crate::domain::{Msat, Time};

/// Inflow is slow to change and noisy to watch.
const INFLOW_HALF_LIFE_DAYS: f64 = 14.0;
/// Payments of a peer before their own size counts as much as that of the node's.
const USUAL_PAYMENTS: f64 = 30.0;
/// Share of the capacity that is taken to have come by forwards before anything was seen: on a routing node nearly all does, and
/// payments under way while a balance is counted are no other way in.
const USUAL_FORWARDS: f64 = 0.02;
/// Hours in which a peer is taken to have had room before it was watched.
const USUAL_OPEN_HOURS: f64 = 24.0;
/// The least share of the hours that counts as open: what a month of closed doors hides is a guess.
const LEAST_OPEN: f64 = 0.1;
/// One look tells of no more hours than that: while the plugin was away there may have been room.
const MOST_HOURS_SEEN: f64 = 2.0;
/// With at least this share left, and no less than at the pair's start, a channel is not running out, whatever the sums say.
const AMPLE: f64 = 0.5;
const STEADY: f64 = 0.02;
/// A balance is pinned if it has moved by no more than this part of what has left, and that was at least this share of the capacity.
const PINNED: f64 = 0.02;
const MUCH: f64 = 0.05;

/// The balance when it was last counted, and the inflow since the beginning, old days fading. Balances are kept as shares
/// of the capacity, which also tells a splice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Purse {
    counted: Option<Counted>,
    /// The balance at the last look.
    #[serde(default)]
    seen: Option<Counted>,
    /// Share of the capacity that left since, by forwards.
    out: f64,
    /// Shares and hours, discounted alike.
    inflow: f64,
    inflow_hours: f64,
    /// Share of the capacity that came since, by forwards.
    #[serde(default)]
    came: f64,
    /// Share of the capacity that our own moves have brought since, net: no inflow that could be counted on.
    #[serde(default)]
    moved: f64,
    /// Shares that came and left by forwards, discounted like `inflow`.
    #[serde(default)]
    brought: f64,
    #[serde(default)]
    left: f64,
    /// What came by other ways, net: other people's rebalances, payments to us and by us. Discounted like `inflow`.
    #[serde(default)]
    other: f64,
    /// Hours, and those of them in which payments could have come in, discounted like `inflow`.
    #[serde(default)]
    watched: f64,
    #[serde(default)]
    open: f64,
    /// The last count: plainly not running out.
    #[serde(default)]
    pub(super) ample: bool,
    /// Payments that left and their msat, old days fading.
    #[serde(default)]
    payments: f64,
    #[serde(default)]
    msat: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Counted {
    at: Time,
    share: f64,
    capacity: f64,
}

impl Counted {
    fn of(i: &FeeInputs) -> Counted {
        Counted { at: i.now, share: tidy(i.local_share()), capacity: i.capacity() }
    }
}

fn per_day(capacity: f64, share: f64, hours: f64) -> f64 {
    if hours > 0.0 { 24.0 * capacity * share / hours } else { 0.0 }
}

impl Purse {
    pub(super) fn observe(&mut self, i: &FeeInputs) {
        let capacity = i.capacity();
        if capacity > 0.0 {
            self.out = tidy(self.out + i.observed.out_msat.max(0.0) / capacity);
            self.came = tidy(self.came + i.observed.in_msat.max(0.0) / capacity);
            self.moved = tidy(self.moved + i.observed.moved_msat / capacity);
        }
        self.seen = Some(Counted::of(i));
        let hours = i.observed.to.hours_since(i.observed.from).clamp(0.0, MOST_HOURS_SEEN);
        self.watched = tidy(self.watched + hours);
        self.open = tidy(self.open + hours * blocks::receivable(i));
        self.payments = tidy(self.payments + i.observed.settled.max(0.0));
        self.msat = (self.msat + i.observed.out_msat.max(0.0)).round();
    }

    /// Mean size of a payment that leaves, msat: the peer's own as far as it is known. Here the largest count in full, because
    /// they move the balance.
    pub(super) fn payment(&self, amounts: &[Msat]) -> f64 {
        (self.msat + USUAL_PAYMENTS * blocks::mean_amount(amounts)) / (self.payments + USUAL_PAYMENTS)
    }

    /// The part of what wanted to come in lately that found room.
    pub(super) fn open(&self) -> f64 {
        // When nobody looked nothing is known to have been turned away.
        let unseen = USUAL_OPEN_HOURS + (self.inflow_hours - self.watched).max(0.0);
        ((self.open + unseen) / (self.watched + unseen)).clamp(LEAST_OPEN, 1.0)
    }

    /// Does the balance stay where it is, half of the capacity or more, though a good part of that has left lately? Then something refills
    /// the channel by what it sells, and to count on no more inflow than there was would hold the fee up for ever.
    pub(super) fn is_pinned(&self, local_share: f64) -> bool {
        let moved = (self.inflow - self.left).abs();
        local_share >= AMPLE && self.left >= MUCH && moved <= PINNED * self.left
    }

    /// Shares of the capacity a day that want to come in by any way, as of the last count: what came, by the part of the time in which
    /// there was room.
    pub(super) fn inflow_per_day(&self) -> f64 {
        per_day(1.0, self.inflow, self.inflow_hours) / self.open()
    }

    /// Msat a day that come in by other ways than forwards, as of the last count.
    pub(super) fn other_inflow(&self, capacity: f64) -> f64 {
        per_day(capacity, self.other, self.inflow_hours)
    }

    /// The same as of the last look, and the days that it was watched for. The first count comes after most of a day, and until then
    /// what comes in would seem to be nothing.
    pub(super) fn other_inflow_by_now(&self, capacity: f64) -> (f64, f64) {
        let both = self.counted.zip(self.seen).filter(|(c, seen)| c.capacity == seen.capacity && c.at < seen.at);
        let (came, hours) = both.map_or((0.0, 0.0), |(counted, seen)| {
            (self.gained(&counted, seen.share) - self.came - self.moved, seen.at.hours_since(counted.at))
        });
        let hours = self.inflow_hours + hours;
        (per_day(capacity, self.other + came, hours), hours / 24.0)
    }

    /// Shares of the capacity that forwards have brought and taken lately.
    pub(super) fn forwards(&self) -> (f64, f64) {
        (self.brought + self.came, self.left + self.out)
    }

    /// The share of what comes in that forwards bring, up to now; all of it as long as little came.
    pub(super) fn forwarded(&self, local_share: f64) -> f64 {
        let came = self.counted.map_or(0.0, |counted| self.gained(&counted, local_share) - self.moved);
        let (inflow, other) = (self.inflow + came.max(0.0), self.other + came - self.came);
        1.0 - (other / (inflow.max(0.0) + USUAL_FORWARDS)).clamp(0.0, 1.0)
    }

    /// Share of the capacity that has come in since then by any way: what there is more, and what has left by forwards.
    fn gained(&self, since: &Counted, share: f64) -> f64 {
        share - since.share + self.out
    }

    /// Counts the balance at the end of a pair.
    pub(super) fn count(&mut self, i: &FeeInputs) {
        let now = Counted::of(i);
        let before = self.counted.replace(now);
        let gained = before.map_or(0.0, |before| self.gained(&before, now.share));
        let (out, by_forwards) = (std::mem::take(&mut self.out), std::mem::take(&mut self.came));
        let moved = std::mem::take(&mut self.moved);
        self.ample = false;
        let Some(before) = before.filter(|b| b.capacity == now.capacity && b.at < now.at) else { return };
        let hours = now.at.hours_since(before.at);
        let kept = 0.5_f64.powf(hours / 24.0 / INFLOW_HALF_LIFE_DAYS);
        let came = (gained - moved).max(0.0);
        self.inflow = tidy(kept * self.inflow + came);
        self.brought = tidy(kept * self.brought + by_forwards);
        self.left = tidy(kept * self.left + out);
        self.other = tidy(kept * self.other + gained - by_forwards - moved);
        self.inflow_hours = tidy(kept * self.inflow_hours + hours);
        (self.watched, self.open) = (tidy(kept * self.watched), tidy(kept * self.open));
        (self.payments, self.msat) = (tidy(kept * self.payments), (kept * self.msat).round());
        self.ample = now.share >= AMPLE && now.share >= before.share - STEADY;
    }
}
