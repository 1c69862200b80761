//! Which channels may be filled, which may be drained, and what the next satoshi is worth in each. Never pairs them.

use super::demand::{Need, Sizes};
use super::worth::{Ramp, Worth};
use super::{Busy, Candidate, PeerFacts, Reason, RebalanceInputs, Refusal, Role, breaker};
use crate::domain::{Channel, RebalanceMode};

/// Share of the capacity that stays with whoever has it: the channel reserve, fees, and room for payments in flight.
const KEPT: f64 = 0.05;
/// Msat.
const LEFT_BY_SLING: f64 = 10_100_000.0;
/// What a newcomer is taken to be worth, of what other channels of the node are asked for.
const NEWCOMER: f64 = 0.5;
/// Of all channels those are filled first whose payers are overrated most: so much of what is known of them counts.
const OVERRATED: f64 = 0.6;
/// Share of the capacity that a hive peer's channel is filled up to when it is not for profit.
const HIVE_TARGET: f64 = 0.5;

/// One channel on one side of a move.
#[derive(Clone, Debug)]
pub(super) struct Side<'a> {
    pub(super) candidate: &'a Candidate<'a>,
    pub(super) ramp: Ramp,
    /// Msat on our side now.
    pub(super) local: f64,
    /// Msat that the hive's interest asks for; 0 where it is not a hive peer's channel.
    pub(super) strategic: f64,
}

pub(super) fn fills<'a>(i: &RebalanceInputs<'a>, refused: &mut Vec<Refusal>) -> Vec<Side<'a>> {
    collected(i, refused, (Role::Fill, fill))
}

pub(super) fn drains<'a>(i: &RebalanceInputs<'a>, refused: &mut Vec<Refusal>) -> Vec<Side<'a>> {
    collected(i, refused, (Role::Drain, drain))
}

type Judge = for<'a> fn(&RebalanceInputs<'a>, &'a Candidate<'a>, f64) -> Result<Side<'a>, Reason>;

fn collected<'a>(i: &RebalanceInputs<'a>, refused: &mut Vec<Refusal>, (role, judge): (Role, Judge)) -> Vec<Side<'a>> {
    let usual = usual_demand(i);
    let mut sides = Vec::new();
    for candidate in i.channels {
        match judge(i, candidate, usual) {
            Ok(side) => sides.push(side),
            Err(why) => refused.push(Refusal::of(candidate.channel, role, why)),
        }
    }
    sides
}

pub(super) fn fill<'a>(i: &RebalanceInputs<'a>, candidate: &'a Candidate<'a>, usual: f64) -> Result<Side<'a>, Reason> {
    if matches!(candidate.mode, RebalanceMode::Disabled | RebalanceMode::SourceOnly) {
        return Err(Reason::Policy { mode: candidate.mode });
    }
    let channel = candidate.channel;
    able(i, candidate)?;
    if let Some(futile) = breaker::futile(i.past, &channel.peer, i.now) {
        return Err(futile);
    }
    let (capacity, local) = (channel.capacity.as_f64(), channel.local.as_f64());
    let strategic = if candidate.hive { (HIVE_TARGET * capacity - local).max(0.0) } else { 0.0 };
    side(i, candidate, usual, (most_in(channel), 1.0)).map(|side| Side { strategic, ..side }).and_then(|side| {
        let nothing = side.ramp.price(0.0) <= 0.0 && strategic <= 0.0;
        if nothing { Err(Reason::NoDemand) } else { Ok(side) }
    })
}

pub(super) fn drain<'a>(i: &RebalanceInputs<'a>, candidate: &'a Candidate<'a>, usual: f64) -> Result<Side<'a>, Reason> {
    if matches!(candidate.mode, RebalanceMode::Disabled | RebalanceMode::SinkOnly) {
        return Err(Reason::Policy { mode: candidate.mode });
    }
    able(i, candidate)?;
    side(i, candidate, usual, (most_out(candidate.channel), -1.0))
}

/// Msat that the channel can take.
fn most_in(channel: &Channel) -> f64 {
    let room = channel.receivable.map_or(f64::INFINITY, |room| room.as_f64());
    room.min(channel.capacity.as_f64() * (1.0 - KEPT) - channel.local.as_f64())
}

/// Msat that the channel can give.
fn most_out(channel: &Channel) -> f64 {
    // sling takes no part from a channel that would have less than this left.
    let kept = (KEPT * channel.capacity.as_f64()).max(LEFT_BY_SLING);
    channel.spendable.as_f64().min(channel.local.as_f64() - kept)
}

/// Whoever insists need not know what a channel is worth, nor be told that others have failed.
pub(super) fn forced<'a>(candidate: &'a Candidate<'a>, role: Role) -> Side<'a> {
    let channel = candidate.channel;
    let most = if role == Role::Fill { most_in(channel) } else { most_out(channel) };
    Side { candidate, ramp: Ramp::new(most, |_| 0.0), local: channel.local.as_f64(), strategic: 0.0 }
}

fn able(i: &RebalanceInputs, candidate: &Candidate) -> Result<(), Reason> {
    let channel = candidate.channel;
    if channel.scid.is_none() || !channel.routes() {
        return Err(Reason::NotRouting);
    }
    if !channel.connected {
        return Err(Reason::Offline);
    }
    if candidate.busy == Some(Busy::Others) {
        return Err(Reason::ForeignJob);
    }
    // What is under way toward any channel with the peer is not in its balance yet.
    match i.with_peer(channel.peer).any(|other| other.busy == Some(Busy::Us)) {
        true => Err(Reason::UnderWay),
        false => Ok(()),
    }
}

/// The price of a channel's balance along `most` msat.
fn side<'a>(
    i: &RebalanceInputs<'a>,
    candidate: &'a Candidate<'a>,
    usual: f64,
    (most, toward): (f64, f64),
) -> Result<Side<'a>, Reason> {
    let least = i.tuning.min_amount;
    if most < least.as_f64() * 1000.0 {
        return Err(Reason::NoRoom { msat: most.max(0.0), least });
    }
    let ramp = match known(i, candidate) {
        Some((worth, into)) => {
            let balance = i.spendable(candidate.channel.peer);
            match toward > 0.0 {
                true => {
                    let into = into + doubt(i, candidate);
                    Ramp::new(most, |moved| OVERRATED * worth.of_more(balance + moved, into))
                }
                false => Ramp::new(most, |moved| worth.of_last(balance - moved, into)),
            }
        }
        None => guessed(i, candidate, usual, (most, toward))?,
    };
    Ok(Side { candidate, ramp, local: candidate.channel.local.as_f64(), strategic: 0.0 })
}

/// What has been learned of the payers of a channel that is not new, and msat a day that come in.
fn known<'a>(i: &RebalanceInputs<'a>, candidate: &Candidate) -> Option<(&'a Worth, f64)> {
    let worth = i.peers.get(&candidate.channel.peer)?.worth.as_ref()?;
    (!candidate.newcomer).then(|| (worth, into(i, candidate)))
}

/// The same where nobody knows the payers: by the fee in force, and the chance that the balance is needed.
fn guessed(i: &RebalanceInputs, candidate: &Candidate, usual: f64, (most, toward): (f64, f64)) -> Result<Ramp, Reason> {
    let channel = candidate.channel;
    let sizes = Sizes::new(i.amounts, channel.capacity.as_f64());
    let out = wanted(i, candidate, usual).ok_or(Reason::DemandUnknown)?;
    let need = Need::new(&sizes, out, into(i, candidate));
    if need.is_nothing() && toward > 0.0 && !candidate.hive {
        return Err(Reason::NoDemand);
    }
    let fee = channel.ours.ppm.as_f64() + channel.ours.base.as_f64() * 1e6 / sizes.mean();
    // What is taken from where it would have been sold anyway loses the whole price.
    let earned = if toward > 0.0 { fee * i.tuning.sold.get() } else { fee };
    let balance = i.spendable(channel.peer);
    Ok(Ramp::new(most, |moved| earned * need.chance_above((balance + toward * moved).max(0.0))))
}

/// Msat a day that come in by the channels with the peer.
fn into(i: &RebalanceInputs, candidate: &Candidate) -> f64 {
    let peer = candidate.channel.peer;
    let others = i.peers.get(&peer).map_or(0.0, |facts| facts.other_per_day.max(0.0));
    i.with_peer(peer).filter_map(|other| other.flow).map(|flow| flow.in_per_day).sum::<f64>() + others
}

/// How much more than was counted may come in by other ways (msat a day): one standard deviation of what comes in payments of all sizes. A
/// channel that fills itself looks empty now and then, and what is moved then was never missed.
fn doubt(i: &RebalanceInputs, candidate: &Candidate) -> f64 {
    let counted = |facts: &&PeerFacts| facts.other_per_day > 0.0 && facts.other_days > 0.0;
    let Some(facts) = i.peers.get(&candidate.channel.peer).filter(counted) else { return 0.0 };
    let sizes = Sizes::new(i.amounts, candidate.channel.capacity.as_f64());
    (facts.other_per_day * sizes.lump() / facts.other_days).sqrt()
}

/// Msat a day that are wanted out by the channels with the peer; `None`: nobody knows.
fn wanted(i: &RebalanceInputs, candidate: &Candidate, usual: f64) -> Option<f64> {
    let peer = candidate.channel.peer;
    let learned = i.peers.get(&peer).and_then(|facts| facts.wanted_per_day);
    if candidate.newcomer {
        return Some(learned.unwrap_or(0.0).max(NEWCOMER * usual));
    }
    let flows = || i.with_peer(peer).filter_map(|other| other.flow);
    let seen = flows().next().map(|_| flows().map(|flow| flow.out_per_day).sum());
    learned.or(seen)
}

/// The median of what leaves by the node's channels that are asked for at all, msat a day.
pub(super) fn usual_demand(i: &RebalanceInputs) -> f64 {
    let mut rates: Vec<f64> =
        i.channels.iter().filter_map(|candidate| candidate.flow).map(|flow| flow.out_per_day).collect();
    rates.retain(|rate| *rate > 0.0);
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
