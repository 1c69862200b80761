//! Gossip hysteresis: is the change worth telling the network? Targets that wait are never lost: the next decision starts
//! from the learner's position, not from what was published.

use serde::{Deserialize, Serialize};

use super::memory::Asked;
use super::{Action, FeeInputs, Memory, Reason, Updates, Verdict};
use crate::domain::{Ppm, Time};

/// A small difference is worth telling if it lasts:
const SMALL: f64 = 0.02;
const PATIENCE_HOURS: f64 = 12.0;

/// A target that has differed in one direction since some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) since: Time,
    pub(super) up: bool,
    pub(super) target: Ppm,
}

pub(super) fn stage(memory: &mut Memory, i: &FeeInputs, target: Ppm, why: &mut Vec<Reason>) -> Action {
    let published = i.published();
    let difference = relative(published, target);
    memory.pending = pending(memory.pending, i.now, target, difference);
    let verdict = verdict(memory, i, difference);
    let action = match verdict {
        Verdict::Publish | Verdict::PublishSmall | Verdict::Align | Verdict::Woken => Action::Set { urgent: false },
        Verdict::Urgent => Action::Set { urgent: true },
        Verdict::Same | Verdict::TooSmall { .. } | Verdict::OverBudget | Verdict::Held => Action::Keep,
    };
    if action != Action::Keep {
        remember(memory, i.now, target);
    }
    memory.woken &= action == Action::Keep && verdict == Verdict::OverBudget;
    let Updates { ordinary, urgent } = i.updates;
    why.push(Reason::Gossip {
        published,
        target,
        difference,
        ordinary,
        urgent,
        per_day: i.tuning.updates_per_day,
        verdict,
    });
    action
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
    let apart = i.channels.iter().any(|c| c.ours.ppm != i.published());
    let urgent = urgent(memory, i);
    let waited = memory.pending.is_some_and(|p| i.now.hours_since(p.since) >= PATIENCE_HOURS);
    let wish = match () {
        () if difference == 0.0 && !apart => return Verdict::Same,
        () if urgent.is_some_and(|most| i.updates.urgent < most) => return Verdict::Urgent,
        () if urgent.is_none() && memory.is_held() => return Verdict::Held,
        () if difference.abs() >= i.tuning.hysteresis => Verdict::Publish,
        () if waited => Verdict::PublishSmall,
        () if apart => Verdict::Align,
        () if memory.woken => Verdict::Woken,
        () => return Verdict::TooSmall { since: memory.pending.map(|p| p.since) },
    };
    if i.updates.ordinary < i.tuning.updates_per_day { wish } else { Verdict::OverBudget }
}

/// How many urgent changes a day are allowed now, if this is an urgent matter: congestion, and the way back from it. The last
/// one is kept for the way back, so that a jammer cannot leave us standing at four times the price.
fn urgent(memory: &Memory, i: &FeeInputs) -> Option<u32> {
    let per_day = i.tuning.updates_per_day;
    if memory.episode.is_some() {
        return Some(per_day.saturating_sub(1).max(1));
    }
    memory.asked.is_some_and(|a| a.congested && a.fee == i.published()).then_some(per_day)
}

/// What was asked, so that the next decision can tell our change from somebody else's. Asking again for what was not done is
/// no new change.
fn remember(memory: &mut Memory, now: Time, target: Ppm) {
    memory.pending = None;
    let asked = Asked { at: now, fee: target, congested: memory.episode.is_some() };
    if memory.asked.is_some_and(|a| (a.fee, a.congested) == (asked.fee, asked.congested)) {
        return;
    }
    memory.asked = Some(asked);
    if let Some(climb) = &mut memory.climb {
        climb.wash_out(now);
    }
}
