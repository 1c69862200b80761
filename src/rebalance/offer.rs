//! One pair of channels: how much to move from the one to the other, what to pay for it at most, and what that earns. Never knows of
//! other pairs.

use super::cost::Quote;
use super::sides::Side;
use super::{Basis, Move, Numbers, PastMove, Reason, RebalanceInputs, Route, budget, cost};
use crate::domain::units::{to_u32_rounded, to_u64_rounded};
use crate::domain::{MoveFailure, MoveOrder, Msat, PeerId, Ppm, Sat};

/// Amounts that are compared.
const STEPS: u32 = 40;
/// Where the budget is short, a rate this much above the expected one still lets most routes pass.
const MARGIN: f64 = 1.25;
/// Tries that a new pair is taken to have behind it, half of them successful; and how much its peer's record counts.
const PRIOR_TRIES: f64 = 2.0;
const PEER_TRIES: f64 = 4.0;
/// Share of the capacity that a channel is never drained below.
const KEPT: f64 = 0.05;

/// One pair, with what is known of the way between its channels.
#[derive(Clone, Debug)]
pub(super) struct Pair<'s, 'a> {
    pub(super) fill: &'s Side<'a>,
    pub(super) drain: &'s Side<'a>,
    pub(super) quote: Quote,
    pub(super) chance: f64,
}

/// An amount of a pair.
#[derive(Clone, Copy, Debug)]
struct Size {
    msat: f64,
    /// The rate that no part may exceed, ppm.
    max: f64,
    strategic: bool,
}

impl<'s, 'a> Pair<'s, 'a> {
    pub(super) fn new(i: &RebalanceInputs, drain: &'s Side<'a>, fill: &'s Side<'a>) -> Result<Pair<'s, 'a>, Reason> {
        let (from, to) = (drain.candidate.channel, fill.candidate.channel);
        if from.peer == to.peer {
            return Err(Reason::SamePeer);
        }
        Pair::along(i, (drain, fill), i.routes.get(&(from.channel_id, to.channel_id)))
    }

    /// Whoever insists may try where no route was found.
    pub(super) fn insisting(
        i: &RebalanceInputs,
        drain: &'s Side<'a>,
        fill: &'s Side<'a>,
    ) -> Result<Pair<'s, 'a>, Reason> {
        match Pair::new(i, drain, fill) {
            Err(Reason::NoRoute) => Pair::along(i, (drain, fill), None),
            judged => judged,
        }
    }

    fn along(
        i: &RebalanceInputs,
        (drain, fill): (&'s Side<'a>, &'s Side<'a>),
        route: Option<&Route>,
    ) -> Result<Pair<'s, 'a>, Reason> {
        let (from, to) = (drain.candidate.channel, fill.candidate.channel);
        let quote = cost::quote(i.past, (from, to), route, i.tuning.fee_buffer)?;
        let reputation = i.peers.get(&to.peer).and_then(|peer| peer.reputation).map_or(1.0, |share| share.get());
        let chance = chance(i.past, &from.peer, &to.peer) * reputation;
        Ok(Pair { fill, drain, quote, chance })
    }

    /// What the move is worth, msat.
    fn value(&self, msat: f64) -> f64 {
        self.fill.ramp.sum(msat) - self.drain.ramp.sum(msat)
    }

    fn net(&self, msat: f64) -> f64 {
        self.value(msat) - self.quote.cost(msat)
    }

    /// What the last of it is worth, ppm.
    fn difference(&self, msat: f64) -> f64 {
        self.fill.ramp.price(msat) - self.drain.ramp.price(msat)
    }

    /// The move as it is best, within what may still be reserved.
    pub(super) fn sized(&self, i: &RebalanceInputs, room: Msat) -> Result<Move, Reason> {
        let size = self.fitting(i, self.kelly(i, self.best(i)?)?, room);
        let made = self.made(i, size, i.tuning.min_amount)?;
        self.check_profit(i, &made)?;
        Ok(made)
    }

    /// The amount that an operator wants.
    pub(super) fn by_hand(
        &self,
        i: &RebalanceInputs,
        amount: Sat,
        max_fee: Option<Sat>,
        force: bool,
    ) -> Result<Move, Reason> {
        let msat = amount.as_f64() * 1000.0;
        let most = self.fill.ramp.most.min(self.drain.ramp.most);
        if msat > most {
            return Err(Reason::NoRoom { msat: most, least: amount });
        }
        // The hive's need is the plan's exception, whoever speaks of it.
        let strategic = msat <= self.fill.strategic;
        let bearable = if strategic { (self.value(msat) + i.tuning.hive_tolerance.as_f64()) / msat * 1e6 } else { 0.0 };
        let own = self.difference(msat).max(bearable);
        let expected = MARGIN * self.quote.rate(msat);
        let max = match max_fee {
            Some(fee) => fee.as_f64() * 1000.0 / msat.max(1.0) * 1e6,
            None => {
                let most = if force { own.max(expected) } else { own };
                self.rate_within(i, (msat, most), i.budget.room).unwrap_or(most)
            }
        };
        // Who names an amount knows why it is no larger.
        let made = self.made(i, Size { msat, max, strategic }, Sat(1))?;
        if !force {
            self.check_profit(i, &made)?;
        }
        Ok(made)
    }

    /// Where the difference of the prices comes down to the marginal cost: there the sum of what is won is largest.
    fn best(&self, i: &RebalanceInputs) -> Result<Size, Reason> {
        let limit = Msat::from_sat(i.tuning.max_amount).map_or(f64::INFINITY, |most| most.as_f64());
        // Beyond that not even a source that gives up nothing would make it worth the way.
        let worthwhile = self.fill.ramp.until(self.quote.rate(0.0)).max(self.fill.strategic);
        let most = self.fill.ramp.most.min(self.drain.ramp.most).min(limit).min(worthwhile);
        let amounts = || (1..=STEPS).map(|k| most * f64::from(k) / f64::from(STEPS));
        let best = amounts().fold((0.0, 0.0), |best, msat| {
            let net = self.net(msat);
            if net > best.1 { (msat, net) } else { best }
        });
        let tolerance = i.tuning.hive_tolerance.as_f64();
        let bearable = |msat: &f64| *msat <= self.fill.strategic && self.net(*msat) >= -tolerance;
        let strategic = if self.fill.strategic > 0.0 { amounts().rev().find(bearable).unwrap_or(0.0) } else { 0.0 };
        if strategic > best.0 {
            let max = (self.value(strategic) + tolerance) / strategic * 1e6;
            return Ok(Size { msat: strategic, max, strategic: true });
        }
        if best.0 <= 0.0 {
            let least = (i.tuning.min_amount.as_f64() * 1000.0).min(most);
            let (difference, cost) = (self.difference(0.0), self.quote.rate(least));
            return Err(Reason::TooDear { difference, cost, basis: self.quote.basis });
        }
        Ok(Size { msat: best.0, max: self.difference(best.0), strategic: false })
    }

    /// Less is staked where the odds are poor.
    fn kelly(&self, i: &RebalanceInputs, size: Size) -> Result<Size, Reason> {
        let Some(fraction) = i.tuning.kelly.filter(|_| !size.strategic) else { return Ok(size) };
        let (value, cost) = (self.value(size.msat), self.quote.cost(size.msat));
        let against = if value > 0.0 { (1.0 - self.chance) * cost / value } else { 1.0 };
        let share = ((self.chance - against) * fraction.get()).min(1.0);
        if share <= 0.0 {
            return Err(Reason::Kelly { chance: self.chance, odds: value / cost.max(1.0) });
        }
        let msat = size.msat * share;
        Ok(Size { msat, max: self.difference(msat), ..size })
    }

    /// Of rates up to `most` the highest that the room allows; `None`: it would keep most routes out.
    fn rate_within(&self, i: &RebalanceInputs, (msat, most): (f64, f64), room: Msat) -> Option<f64> {
        let affordable = affordable(i, msat, room);
        (self.lowest_rate(msat, most) <= affordable).then(|| most.min(affordable))
    }

    /// The rate that still lets most routes pass.
    fn lowest_rate(&self, msat: f64, most: f64) -> f64 {
        (MARGIN * self.quote.rate(msat)).min(most)
    }

    /// Within the room of the budget: first at a lower rate, then for less.
    fn fitting(&self, i: &RebalanceInputs, size: Size, room: Msat) -> Size {
        if let Some(max) = self.rate_within(i, (size.msat, size.max), room) {
            return Size { max, ..size };
        }
        let lowest = self.lowest_rate(size.msat, size.max);
        Size { msat: free(i, size.msat, room) * 1e6 / (lowest + 1.0), max: lowest, ..size }
    }

    /// In whole parts of whole satoshis. What is reserved is never more than the rate allows.
    fn made(&self, i: &RebalanceInputs, size: Size, least: Sat) -> Result<Move, Reason> {
        let sat = Sat(to_u64_rounded((size.msat / 1000.0).floor()));
        if sat < least {
            return Err(Reason::TooSmall { sat, least });
        }
        let parts = sat.0.div_ceil(i.tuning.max_part.0.max(1));
        let part = Sat(sat.0 / parts.max(1));
        let amount = Sat(part.0 * parts);
        let max = Ppm(to_u32_rounded(size.max.floor()));
        let reserved = budget::reservation(amount, part, max).ok_or(Reason::TooSmall { sat, least })?;
        let (from, to) = (self.drain.candidate.channel, self.fill.candidate.channel);
        let (Some(from_scid), Some(to_scid)) = (from.scid, to.scid) else { return Err(Reason::NotRouting) };
        let keep = Sat(to_u64_rounded(KEPT * from.capacity.as_f64() / 1000.0));
        let order = MoveOrder { from: from_scid, to: to_scid, amount, part, max, keep };
        let msat = amount.as_f64() * 1000.0;
        let (value, cost) = (self.value(msat), self.quote.cost(msat));
        let numbers = Numbers {
            chance: self.chance,
            value,
            cost,
            basis: self.quote.basis,
            profit: self.chance * (value - cost),
            difference: self.difference(msat),
            target: self.fill.local + self.fill.ramp.until(self.quote.rate(msat)),
            strategic: size.strategic,
        };
        Ok(Move {
            from: from.channel_id,
            to: to.channel_id,
            from_peer: from.peer,
            to_peer: to.peer,
            order,
            reserved,
            numbers,
        })
    }

    fn check_profit(&self, i: &RebalanceInputs, made: &Move) -> Result<(), Reason> {
        let amount = made.order.amount.as_f64() * 1000.0;
        let least = match i.tuning.min_profit_ppm {
            Some(ppm) => ppm.as_f64() * amount / 1e6,
            None => i.tuning.min_profit.as_f64(),
        };
        let Numbers { profit, value, cost, strategic, .. } = made.numbers;
        let enough =
            if strategic { value - cost >= -i.tuning.hive_tolerance.as_f64() } else { profit > 0.0 && profit >= least };
        if enough { Ok(()) } else { Err(Reason::Profit { profit, least, basis: self.quote.basis }) }
    }
}

/// The highest rate at which so much of the budget reserves an amount: a reservation is one ppm and a msat for each part more than the rate
/// asks.
fn affordable(i: &RebalanceInputs, msat: f64, room: Msat) -> f64 {
    free(i, msat, room) * 1e6 / msat - 1.0
}

/// What is left for rates.
fn free(i: &RebalanceInputs, msat: f64, room: Msat) -> f64 {
    let parts = (msat / 1000.0 / i.tuning.max_part.as_f64().max(1.0)).ceil();
    (room.as_f64() - parts).max(0.0)
}

/// How often such a move has come about, as far as that can be told from few.
fn chance(past: &[PastMove], from: &PeerId, to: &PeerId) -> f64 {
    let tried = |past: &&PastMove| past.to == *to && past.failure != Some(MoveFailure::Refused);
    let share = |moves: &mut dyn Iterator<Item = &PastMove>, prior: f64, tries: f64| {
        let (mut all, mut good) = (tries, prior * tries);
        for past in moves {
            all += 1.0;
            good += if past.moved.0 > 0 { 1.0 } else { 0.0 };
        }
        good / all
    };
    let peer = share(&mut past.iter().filter(tried), 0.5, PRIOR_TRIES);
    share(&mut past.iter().filter(tried).filter(|past| past.from == *from), peer, PEER_TRIES)
}

impl Basis {
    /// Own moves that it rests on.
    pub fn moves(self) -> usize {
        match self {
            Basis::Pair { moves, .. } | Basis::Peer { moves, .. } => moves,
            Basis::Route | Basis::PeerFee => 0,
        }
    }

    /// What the last peer asks has a part in it, because nobody has looked for a route.
    pub fn is_guess(self) -> bool {
        match self {
            Basis::Pair { guessed, .. } | Basis::Peer { guessed, .. } => guessed,
            Basis::Route => false,
            Basis::PeerFee => true,
        }
    }
}
