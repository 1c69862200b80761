//! What is remembered of one peer from one decision to the next, and what an operator's orders do to it. Plain values that
//! survive JSON; the step that made them saves them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::congestion::Episode;
use super::gossip::Pending;
use super::hill_climb::Climb;
use super::{FeeInputs, Reason, tidy};
use crate::domain::{ChannelId, Ppm, Time};

/// What is remembered from one decision to the next; the step that made it saves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Up to when `Observed` has been taken in.
    pub seen_until: Time,
    /// What was asked for last. `None`: nothing yet.
    pub(super) asked: Option<Asked>,
    /// The channels that were priced last time: the fee of a new one is nobody's opinion.
    pub(super) channels: Vec<ChannelId>,
    /// Share of amounts that could be sent at `seen_until`.
    pub(super) sendable: f64,
    /// A target that waits for being worth gossip.
    pub(super) pending: Option<Pending>,
    pub(super) episode: Option<Episode>,
    /// An operator asked for action: small differences are worth gossip once.
    pub(super) woken: bool,
    /// `None`: the learner begins at whatever fee it finds.
    pub(super) climb: Option<Climb>,
}

/// A change that was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) at: Time,
    pub(super) fee: Ppm,
    /// What was published until then: still there, if the change was not made.
    pub(super) before: Ppm,
    /// The fee is one of congestion's.
    pub(super) congested: bool,
}

impl Memory {
    fn blank(now: Time) -> Memory {
        Memory {
            seen_until: now,
            asked: None,
            channels: vec![],
            sendable: 0.0,
            pending: None,
            episode: None,
            woken: false,
            climb: None,
        }
    }
}

/// The memory with which a decision begins: as it was, unless somebody else has changed the fee meanwhile.
pub(super) fn recall(i: &FeeInputs, why: &mut Vec<Reason>) -> Memory {
    let mut memory = match i.memory {
        None => {
            why.push(Reason::FirstSeen { fee: i.published() });
            Memory { sendable: tidy(super::blocks::sendable(i)), ..Memory::blank(i.observed.from) }
        }
        Some(memory) => memory.clone(),
    };
    if let Some((expected, found)) = changed_by_others(&memory, i) {
        why.push(Reason::TakenOver { expected, found });
        memory = taken_over(Some(&memory), found, i.now);
    }
    memory.channels = i.channels.iter().map(|c| c.channel_id).collect();
    memory
}

/// The fee that we expected and the one that somebody set instead. A change of ours that was never made (a refusal, a dry
/// run) leaves the fee before it, and that is nobody's opinion either.
fn changed_by_others(memory: &Memory, i: &FeeInputs) -> Option<(Ppm, Ppm)> {
    let asked = memory.asked?;
    let known = |c: &ChannelId| memory.channels.contains(c);
    let odd =
        i.channels.iter().filter(|c| known(&c.channel_id) && c.ours.ppm != asked.fee && c.ours.ppm != asked.before);
    odd.max_by_key(|c| c.capacity).map(|c| (asked.fee, c.ours.ppm))
}

/// An operator, or another program, has set `fee`: it holds for at least one block, and then the climb goes on from there.
pub fn taken_over(memory: Option<&Memory>, fee: Ppm, now: Time) -> Memory {
    let memory = memory.cloned().unwrap_or_else(|| Memory::blank(now));
    Memory {
        asked: Some(Asked { at: now, fee, before: fee, congested: false }),
        pending: None,
        episode: None,
        woken: false,
        climb: Some(Climb::held(memory.climb.as_ref(), fee.as_f64(), now)),
        ..memory
    }
}

/// Drops whatever makes the channel wait: a held fee, a target below the hysteresis, a day without demand.
pub fn woken(memory: &Memory, now: Time) -> Memory {
    let mut memory = memory.clone();
    memory.woken = true;
    if let Some(climb) = &mut memory.climb {
        climb.wake(now);
    }
    memory
}

/// What `revenue-fee-debug` shows of a peer.
pub fn debug(memory: &Memory) -> Value {
    json!({
        "seen_until": memory.seen_until.to_string(),
        "asked": memory.asked.map(|a| json!({
            "at": a.at.to_string(), "fee_ppm": a.fee, "before_ppm": a.before, "congested": a.congested,
        })),
        "sendable_share": memory.sendable,
        "pending": memory.pending,
        "congestion": memory.episode,
        "hill_climb": memory.climb.as_ref().map(|climb| climb.debug(memory.seen_until)),
    })
}
