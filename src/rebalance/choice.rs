//! Of all pairs the best ones, each peer in one move at a time, within budget and slots; and for every channel that goes without, the
//! nearest it came. Never judges a pair itself.

use std::collections::{BTreeMap, BTreeSet};

use super::offer::Pair;
use super::sides::{self, Side};
use super::{Candidate, Move, Reason, RebalanceInputs, Refusal, Role, Wanted, breaker};
use crate::domain::{Channel, ChannelId, Msat, PeerId, Sat, Scid};

/// Sources that are kept for a channel, so that another one may serve if the best is taken.
const SOURCES: usize = 5;

/// A pair that is worth its cost, if the budget has room for it.
pub(super) struct Offer<'s, 'a> {
    pair: Pair<'s, 'a>,
    profit: f64,
}

impl Offer<'_, '_> {
    fn to(&self) -> &Channel {
        self.pair.fill.candidate.channel
    }

    fn from(&self) -> &Channel {
        self.pair.drain.candidate.channel
    }
}

/// All pairs that are worth their cost, best first.
pub(super) fn offers<'s, 'a>(
    i: &RebalanceInputs<'a>,
    fills: &'s [Side<'a>],
    drains: &'s [Side<'a>],
    refused: &mut Vec<Refusal>,
) -> Vec<Offer<'s, 'a>> {
    let mut all = Vec::new();
    for fill in fills {
        let (mut good, nearest) = toward(i, fill, drains);
        if good.is_empty() {
            let (why, with) = nearest.unwrap_or((Reason::NoSource, None));
            refused.push(Refusal { with, ..Refusal::of(fill.candidate.channel, Role::Fill, why) });
        }
        good.sort_by(best_first);
        good.truncate(SOURCES);
        all.append(&mut good);
    }
    all.sort_by(best_first);
    all
}

/// What one channel could be filled from, and where nothing is worth it what came nearest.
fn toward<'s, 'a>(
    i: &RebalanceInputs<'a>,
    fill: &'s Side<'a>,
    drains: &'s [Side<'a>],
) -> (Vec<Offer<'s, 'a>>, Option<(Reason, Option<Scid>)>) {
    let (mut good, mut nearest): (Vec<_>, Option<(Reason, Option<Scid>)>) = (Vec::new(), None);
    for drain in drains {
        match judged(i, drain, fill) {
            Ok(offer) => good.push(offer),
            Err(Reason::SamePeer) => {}
            Err(why) => {
                let nearer = nearest.as_ref().is_none_or(|(other, _)| why.nearness() > other.nearness());
                nearest = if nearer { Some((why, drain.candidate.channel.scid)) } else { nearest };
            }
        }
    }
    (good, nearest)
}

fn judged<'s, 'a>(i: &RebalanceInputs<'a>, drain: &'s Side<'a>, fill: &'s Side<'a>) -> Result<Offer<'s, 'a>, Reason> {
    let pair = Pair::new(i, drain, fill)?;
    // As if there were no budget: what a move is worth does not depend on it.
    let profit = pair.sized(i, Msat(u64::MAX))?.numbers.profit;
    if pair.quote.basis.is_guess() && !i.guesses {
        return Err(Reason::Unsearched { profit });
    }
    let peers = (&drain.candidate.channel.peer, &fill.candidate.channel.peer);
    match breaker::back_off(i.past, peers, i.now) {
        Some(waits) => Err(waits),
        None => Ok(Offer { pair, profit }),
    }
}

fn best_first(a: &Offer, b: &Offer) -> std::cmp::Ordering {
    let name = |offer: &Offer| (offer.to().channel_id, offer.from().channel_id);
    b.profit.total_cmp(&a.profit).then_with(|| name(a).cmp(&name(b)))
}

/// The best offers that slots and so much of the budget allow.
pub(super) fn accepted(
    i: &RebalanceInputs,
    mut room: Msat,
    offers: Vec<Offer>,
    refused: &mut Vec<Refusal>,
) -> Vec<Move> {
    let mut slots = i.budget.slots;
    let mut taken: BTreeSet<PeerId> = BTreeSet::new();
    let mut moves: Vec<Move> = Vec::new();
    let mut without: BTreeMap<ChannelId, Refusal> = BTreeMap::new();
    for offer in &offers {
        let peers = [offer.from().peer, offer.to().peer];
        let verdict = match i.budget.stop {
            Some(stop) => Err(Reason::Budget { stop, profit: offer.profit }),
            None if slots == 0 => Err(Reason::NoSlot { profit: offer.profit }),
            None if peers.iter().any(|peer| taken.contains(peer)) => Err(Reason::Taken { profit: offer.profit }),
            None => offer.pair.sized(i, room).and_then(|made| match room.checked_sub(made.reserved) {
                Some(left) => Ok((made, left)),
                None => Err(Reason::NoMoney { needed: made.reserved, room }),
            }),
        };
        match verdict {
            Ok((made, left)) => {
                (room, slots) = (left, slots - 1);
                taken.extend(peers);
                moves.push(made);
            }
            Err(why) => {
                let refusal = Refusal { with: offer.from().scid, ..Refusal::of(offer.to(), Role::Fill, why) };
                without.entry(offer.to().channel_id).or_insert(refusal);
            }
        }
    }
    let served: BTreeSet<ChannelId> = moves.iter().map(|made| made.to).collect();
    refused.extend(without.into_iter().filter(|(to, _)| !served.contains(to)).map(|(_, refusal)| refusal));
    moves.sort_by(|a, b| b.numbers.profit.total_cmp(&a.numbers.profit));
    moves
}

/// The best move toward one channel, for so much at most.
pub(super) fn best_for(i: &RebalanceInputs, to: Scid, max_fee: Option<Sat>) -> Result<Move, Refusal> {
    let named = |candidate: &&Candidate| candidate.channel.scid == Some(to);
    let unknown = || Refusal::unknown(to, Role::Fill);
    let candidate = i.channels.iter().find(named).ok_or_else(unknown)?;
    let fill = sides::fill(i, candidate, sides::usual_demand(i));
    let fill = fill.map_err(|why| Refusal::of(candidate.channel, Role::Fill, why))?;
    let drains = sides::drains(i, &mut Vec::new());
    let mut refused = Vec::new();
    let offers = offers(i, std::slice::from_ref(&fill), &drains, &mut refused);
    let most = max_fee.and_then(Msat::from_sat).unwrap_or(i.budget.room);
    accepted(i, most.min(i.budget.room), offers, &mut refused)
        .pop()
        .ok_or_else(|| refused.pop().unwrap_or_else(unknown))
}

/// One move that an operator wants.
pub(super) fn by_hand(i: &RebalanceInputs, wanted: &Wanted) -> Result<Move, Refusal> {
    let of = |scid: Scid, role: Role| {
        let named = |candidate: &&Candidate| candidate.channel.scid == Some(scid);
        i.channels.iter().find(named).ok_or_else(|| Refusal::unknown(scid, role))
    };
    let (from, to) = (of(wanted.from, Role::Drain)?, of(wanted.to, Role::Fill)?);
    let usual = sides::usual_demand(i);
    let drain = forced(from, (Role::Drain, wanted.force), sides::drain(i, from, usual));
    let drain = drain.map_err(|why| Refusal::of(from.channel, Role::Drain, why))?;
    let refusal = |why: Reason| Refusal { with: from.channel.scid, ..Refusal::of(to.channel, Role::Fill, why) };
    let fill = forced(to, (Role::Fill, wanted.force), sides::fill(i, to, usual)).map_err(refusal)?;
    let pair = if wanted.force { Pair::insisting } else { Pair::new };
    let made = pair(i, &drain, &fill)
        .and_then(|pair| pair.by_hand(i, wanted.amount, wanted.max_fee, wanted.force))
        .map_err(refusal)?;
    match i.budget.stop {
        Some(stop) => Err(refusal(Reason::Budget { stop, profit: made.numbers.profit })),
        None if made.reserved > i.budget.room => {
            Err(refusal(Reason::NoMoney { needed: made.reserved, room: i.budget.room }))
        }
        None => Ok(made),
    }
}

/// Whoever insists may do without some of the answers.
fn forced<'a>(
    candidate: &'a Candidate<'a>,
    (role, force): (Role, bool),
    judged: Result<Side<'a>, Reason>,
) -> Result<Side<'a>, Reason> {
    match judged {
        Err(Reason::DemandUnknown | Reason::NoDemand | Reason::Futile { .. }) if force => {
            Ok(sides::forced(candidate, role))
        }
        judged => judged,
    }
}
