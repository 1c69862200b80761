//! Gossip hysteresis: is the change worth telling the network? Targets that wait are never lost: the next decision starts
//! from the learner's position, not from what was published.

use serde::{Deserialize, Serialize};

use super::memory::Asked;
use super::{Action, FeeInputs, Memory, Reason, Updates, Verdict, floor};
use crate::domain::{Channel, Ppm, Time};

/// A small difference is worth telling if it lasts:
const SMALL: f64 = 0.02;
const PATIENCE_HOURS: f64 = 24.0;
/// From a day's third change on each must differ by this part of the hysteresis more than the one before it had to. That leaves out one
/// change in fifteen, and earns as much.
const DEARER_EACH: f64 = 0.5;
pub(super) const USUAL_A_DAY: u32 = 2;
/// Urgent changes a day: two steps take congestion to its bound, and it may come back more than once.
const URGENT_A_DAY: u32 = 6;

/// A target that has differed in one direction since some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) since: Time,
    pub(super) up: bool,
    pub(super) target: Ppm,
}

/// The fee to ask, and whether to tell it now.
pub(super) fn stage(memory: &mut Memory, i: &FeeInputs, target: Ppm, why: &mut Vec<Reason>) -> (Ppm, Action) {
    let follows = to_follow(memory, i);
    let (target, aligns) = (follows.unwrap_or(target), follows.is_some() || has_newcomer(memory, i));
    let difference = relative(memory.standing(i), target);
    memory.pending = pending(memory.pending, i.now, target, difference);
    let verdict = if aligns { Verdict::Align } else { verdict(memory, i, difference) };
    let reason = reason(memory, i, target, verdict);
    let action = match verdict {
        Verdict::Publish | Verdict::PublishSmall | Verdict::Align | Verdict::Woken => Action::Set { urgent: false },
        Verdict::Urgent => Action::Set { urgent: true },
        Verdict::Same | Verdict::TooSmall { .. } | Verdict::OverBudget | Verdict::Held => Action::Keep,
    };
    if action != Action::Keep {
        remember(memory, i.now, target);
    }
    memory.woken &= action == Action::Keep && verdict == Verdict::OverBudget;
    why.push(reason);
    (target, action)
}

fn reason(memory: &Memory, i: &FeeInputs, target: Ppm, verdict: Verdict) -> Reason {
    let (published, Updates { ordinary, urgent }) = (memory.standing(i), i.updates);
    let (difference, per_day) = (relative(published, target), i.tuning.updates_per_day);
    let in_force = memory.dry().map(|_| i.published());
    Reason::Gossip { published, in_force, target, difference, ordinary, urgent, per_day, verdict }
}

/// The fee that somebody has set and that not all channels with the peer have yet. It needs no budget: it is not our change, and
/// until then payments go by the cheaper channel.
fn to_follow(memory: &Memory, i: &FeeInputs) -> Option<Ppm> {
    memory.held_fee(i).filter(|held| memory.is_apart(i, *held))
}

/// The fee that all channels with the peer get because one has just joined those that have a price: theirs, as far as it is
/// within bounds. The changes of today were theirs, and beside a dear channel a new one at the node's default would be drained
/// first.
pub(super) fn joined(memory: &Memory, i: &FeeInputs, why: &mut Vec<Reason>) -> Option<f64> {
    let fee = memory.standing(i);
    has_newcomer(memory, i).then(|| {
        why.push(Reason::Joined { fee });
        fee.as_f64()
    })
}

fn has_newcomer(memory: &Memory, i: &FeeInputs) -> bool {
    let new = |c: &Channel| i.memory.is_some_and(|m| !m.knows(&c.channel_id));
    memory.episode.is_none()
        && memory.held_fee(i).is_none()
        && i.channels.iter().any(|c| !new(c))
        && i.channels.iter().any(|c| new(c) && c.ours.ppm != memory.standing(i))
}

fn relative(published: Ppm, target: Ppm) -> f64 {
    (target.as_f64() - published.as_f64()) / published.as_f64().max(1.0)
}

fn pending(before: Option<Pending>, now: Time, target: Ppm, difference: f64) -> Option<Pending> {
    if difference.abs() < SMALL {
        return None;
    }
    let up = difference > 0.0;
    let since = before.filter(|p| p.up == up).map_or(now, |p| p.since);
    Some(Pending { since, up, target })
}

fn verdict(memory: &Memory, i: &FeeInputs, difference: f64) -> Verdict {
    let apart = memory.is_apart(i, memory.standing(i));
    let urgent = urgent(memory, i, difference);
    let waited = memory.pending.is_some_and(|p| i.now.hours_since(p.since) >= PATIENCE_HOURS);
    let wish = match () {
        () if difference == 0.0 && !apart => return Verdict::Same,
        () if urgent.is_some_and(|most| i.updates.urgent < most) => return Verdict::Urgent,
        () if urgent.is_none() && memory.is_held() => return Verdict::Held,
        () if difference.abs() >= worth_telling(i) => Verdict::Publish,
        () if waited => Verdict::PublishSmall,
        () if apart => Verdict::Align,
        () if memory.woken => Verdict::Woken,
        () => return Verdict::TooSmall { since: memory.pending.map(|p| p.since) },
    };
    if i.updates.ordinary < i.tuning.updates_per_day { wish } else { Verdict::OverBudget }
}

/// The relative change from which on a fee is told at once.
fn worth_telling(i: &FeeInputs) -> f64 {
    let beyond = (i.updates.ordinary + 1).saturating_sub(USUAL_A_DAY);
    i.tuning.hysteresis * (1.0 + DEARER_EACH * f64::from(beyond))
}

/// How many urgent changes a day are allowed now, if this is an urgent matter: congestion and the way back from it, a floor
/// that the Vegas reflex has raised above the fee, and a fee outside the operator's limits. Ways back are bounded by the ways
/// there, so that a jammer can neither keep the price where it was nor leave us standing at four times of it.
fn urgent(memory: &Memory, i: &FeeInputs, difference: f64) -> Option<u32> {
    let most = i.tuning.updates_per_day.max(URGENT_A_DAY);
    let standing = memory.standing(i);
    let back = memory.asked.is_some_and(|a| a.congested && a.fee == standing);
    match () {
        () if memory.episode.is_some() => Some(most),
        () if back => Some(u32::MAX),
        () if memory.is_held() => None,
        () if i.is_outside_limits(standing) => Some(most),
        () if floor::is_raised_above(i, standing) && difference >= i.tuning.hysteresis => Some(most),
        () => None,
    }
}

/// What was asked, so that the next decision can tell our change from somebody else's. Asking again for what was not done is
/// no new change.
fn remember(memory: &mut Memory, now: Time, target: Ppm) {
    memory.pending = None;
    let asked = Asked { at: now, fee: target, congested: memory.episode.is_some(), dry: false, forced: false };
    // A fee of congestion that a new channel gets as well is congestion's still.
    if memory.asked.is_some_and(|a| a.fee == asked.fee && (a.congested || !asked.congested)) {
        return;
    }
    memory.asked = Some(asked);
    if let Some(climb) = &mut memory.climb {
        climb.wash_out(now);
    }
}
