//! Peers whose fee is not the controller's to find: a rule names it, or nobody is to touch it. What was learned of them waits; nothing is
//! learned meanwhile, because one price that nobody varies says nothing of another.

use super::memory::Asked;
use super::{Action, FeeDecision, FeeInputs, Memory, Reason, blocks, tidy};
use crate::domain::{Ppm, ROLLBACK};

/// The rate as it stands in the rule, also outside the limits, written once.
pub(super) fn exact(i: &FeeInputs, fee: Ppm) -> FeeDecision {
    let mut memory = waiting(i);
    let action = if memory.is_apart(i, fee) { Action::Set { urgent: false } } else { Action::Keep };
    if memory.asked.is_none_or(|asked| asked.fee != fee) {
        memory.asked = Some(Asked { at: i.now, fee, congested: false, dry: false, forced: true });
    }
    let why = vec![Reason::Exact { fee, strategy: strategy(i), by: i.policy.by("strategy") }];
    FeeDecision { peer: i.peer, target: fee, action, why, memory }
}

/// Whatever the fee is, it stays.
pub(super) fn untouched(i: &FeeInputs) -> FeeDecision {
    let memory = Memory { asked: None, ..waiting(i) };
    let why = vec![Reason::Untouched { by: i.policy.by("strategy") }];
    FeeDecision { peer: i.peer, target: i.published(), action: Action::Keep, why, memory }
}

/// The memory as it will be found when the controller has the word again.
fn waiting(i: &FeeInputs) -> Memory {
    let memory = i.memory.cloned().unwrap_or_else(|| Memory::blank(i.observed.from));
    let sendable = tidy(blocks::sendable(i));
    let seen_until = memory.seen_until.max(i.observed.to).min(i.now);
    let idle = Memory { seen_until, sendable, pending: None, episode: None, woken: false, ..memory };
    Memory { channels: Memory::known(i), ruled: true, anchor: None, ..idle }
}

/// As users call it.
fn strategy(i: &FeeInputs) -> String {
    let said = |member: &str| i.policy.trail.iter().rev().find(|ruling| ruling.member == member);
    let name = said("strategy").map_or("static", |ruling| &ruling.value);
    match said(ROLLBACK) {
        None => name.to_owned(),
        Some(why) => format!("{name}; {}", why.value),
    }
}
