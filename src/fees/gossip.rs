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
        remember(memory, i.now, published, target);
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
    let congested = memory.episode.is_some();
    let urgent = congested || memory.asked.is_some_and(|a| a.congested && a.fee == i.published());
    let held = memory.climb.as_ref().is_some_and(super::hill_climb::Climb::is_held);
    let waited = memory.pending.is_some_and(|p| i.now.hours_since(p.since) >= PATIENCE_HOURS);
    let wish = match () {
        () if difference == 0.0 && !apart => return Verdict::Same,
        () if held && !congested => return Verdict::Held,
        () if urgent && i.updates.urgent < i.tuning.updates_per_day => return Verdict::Urgent,
        () if difference.abs() >= i.tuning.hysteresis => Verdict::Publish,
        () if waited => Verdict::PublishSmall,
        () if apart => Verdict::Align,
        () if memory.woken => Verdict::Woken,
        () => return Verdict::TooSmall { since: memory.pending.map(|p| p.since) },
    };
    if i.updates.ordinary < i.tuning.updates_per_day { wish } else { Verdict::OverBudget }
}

/// What was asked, so that the next decision can tell our change from somebody else's.
fn remember(memory: &mut Memory, now: Time, published: Ppm, target: Ppm) {
    memory.pending = None;
    memory.asked = Some(Asked { at: now, fee: target, before: published, congested: memory.episode.is_some() });
    if let Some(climb) = &mut memory.climb {
        climb.wash_out(now);
    }
}
