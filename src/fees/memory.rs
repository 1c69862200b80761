//! What is remembered of one peer from one decision to the next, and what an operator's orders do to it. Plain values that
//! survive JSON; the step that made them saves them.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::congestion::Episode;
use super::gossip::Pending;
use super::hill_climb::Climb;
use super::{FeeInputs, Learner, Reason, reason, scarcity, tidy};
use crate::domain::{Channel, ChannelId, Ppm, Pricing, Time};

/// What is remembered from one decision to the next; the step that made it saves it, by [`saved`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Up to when `Observed` has been taken in.
    pub seen_until: Time,
    /// What was asked for last. `None`: nothing yet.
    pub(super) asked: Option<Asked>,
    /// The channels and their fees at the last decision. A channel that is not among them is new, and its fee nobody's opinion.
    pub(super) channels: Vec<Known>,
    /// Share of amounts that could be sent at `seen_until`.
    pub(super) sendable: f64,
    /// A target that waits for being worth gossip.
    pub(super) pending: Option<Pending>,
    pub(super) episode: Option<Episode>,
    /// An operator asked for action: small differences are worth gossip once.
    pub(super) woken: bool,
    /// `None`: the learner begins at whatever fee it finds.
    pub(super) climb: Option<Climb>,
    /// The last word was a policy's, not the controller's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ruled: bool,
    /// The fee that a policy's multiples are of: that which was there when they began to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) anchor: Option<Ppm>,
}

/// A change that was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) at: Time,
    pub(super) fee: Ppm,
    /// The fee is one of congestion's.
    pub(super) congested: bool,
    /// Nobody was asked: it was a dry run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) dry: bool,
    /// An operator wanted it although it is outside the limits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) forced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    id: ChannelId,
    fee: Ppm,
}

impl Memory {
    pub(super) fn knows(&self, channel: &ChannelId) -> bool {
        self.channels.iter().any(|k| k.id == *channel)
    }

    /// Has somebody set the fee lately?
    pub(super) fn is_held(&self) -> bool {
        self.climb.as_ref().is_some_and(Climb::is_held)
    }

    /// What is published; in a dry run what would be.
    pub(super) fn standing(&self, i: &FeeInputs) -> Ppm {
        self.dry().unwrap_or_else(|| i.published())
    }

    /// What all channels with the peer would have, were this not a dry run.
    pub(super) fn dry(&self) -> Option<Ppm> {
        self.asked.filter(|a| a.dry).map(|a| a.fee)
    }

    /// Do channels with the peer have other fees than this?
    pub(super) fn is_apart(&self, i: &FeeInputs, fee: Ppm) -> bool {
        match self.dry() {
            Some(dry) => dry != fee,
            None => i.channels.iter().any(|c| c.ours.ppm != fee),
        }
    }

    /// The fee that somebody else set last, while it is held. Limits that an operator draws more narrowly hold for it, too.
    pub(super) fn held_fee(&self, i: &FeeInputs) -> Option<Ppm> {
        let within = |a: Asked| if a.forced { a.fee } else { a.fee.clamp(i.tuning.bottom(), i.tuning.top()) };
        self.asked.filter(|_| self.is_held() && !self.is_congested()).map(within)
    }

    /// Is the published fee, or the one to be published, congestion's?
    pub(super) fn is_congested(&self) -> bool {
        self.episode.is_some() || self.asked.is_some_and(|a| a.congested)
    }

    /// The clock was wrong before and is set back: what would end or begin in that future does so now.
    fn begin_again(&mut self, now: Time) {
        self.seen_until = now;
        if let Some(pending) = &mut self.pending {
            pending.since = pending.since.min(now);
        }
        if let Some(episode) = &mut self.episode {
            episode.begin_again(now);
        }
        if let Some(climb) = &mut self.climb {
            climb.begin_again(now);
        }
    }

    pub(super) fn blank(now: Time) -> Memory {
        Memory {
            seen_until: now,
            asked: None,
            channels: vec![],
            sendable: 0.0,
            pending: None,
            episode: None,
            woken: false,
            climb: None,
            ruled: false,
            anchor: None,
        }
    }

    /// The channels as they are found now.
    pub(super) fn known(i: &FeeInputs) -> Vec<Known> {
        i.channels.iter().map(|c| Known { id: c.channel_id, fee: c.ours.ppm }).collect()
    }
}

/// A memory as JSON, in two parts: what changes with every decision, and what was learned, which changes a few times a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub memory: String,
    /// `None`: as before, or nothing yet.
    pub learned: Option<String>,
}

/// What is to be kept of a memory if `before` is kept already.
pub fn saved(memory: &Memory, before: Option<&Memory>) -> serde_json::Result<Saved> {
    let known = before.and_then(|before| before.climb.as_ref());
    let news = memory.climb.as_ref().filter(|climb| known.is_none_or(|known| climb.has_learned_since(known)));
    let learned = news.map(|climb| serde_json::to_string(&climb.learned())).transpose()?;
    Ok(Saved { memory: serde_json::to_string(memory)?, learned })
}

/// The memory that was saved. A learner whose knowledge is missing is an error: it would begin anew without a word.
pub fn recalled(memory: &str, learned: Option<&str>) -> serde_json::Result<Memory> {
    let mut memory: Memory = serde_json::from_str(memory)?;
    if let Some(climb) = &mut memory.climb {
        let learned = learned.ok_or_else(|| serde_json::Error::custom("what was learned is missing"))?;
        climb.recall(serde_json::from_str(learned)?);
    }
    Ok(memory)
}

/// The memory with which a decision begins: as it was, unless somebody else has changed the fee meanwhile.
pub(super) fn recall(i: &FeeInputs, why: &mut Vec<Reason>) -> Memory {
    let mut memory = match i.memory {
        None => {
            why.push(Reason::FirstSeen { fee: i.published() });
            begun(Memory { sendable: tidy(super::blocks::sendable(i)), ..Memory::blank(i.observed.from) }, i)
        }
        Some(memory) if memory.ruled => released(memory, i, why),
        Some(memory) => memory.clone(),
    };
    if memory.seen_until > i.now {
        memory.begin_again(i.now);
    }
    // After a release the fees are as they were found: nobody has changed them since.
    if let Some((before, found)) = changed_by_others(&memory, i) {
        let holds = found.clamp(i.tuning.bottom(), i.tuning.top());
        why.push(Reason::TakenOver { before, found, holds: Some(holds) });
        memory = taken_over(Some(&memory), holds, i.now);
    }
    memory.channels = Memory::known(i);
    memory
}

/// The controller has the word again: what was learned before holds, the place is the fee that a policy has left behind, and the
/// first try from there is due at once.
fn released(memory: &Memory, i: &FeeInputs, why: &mut Vec<Reason>) -> Memory {
    let fee = i.published().clamp(i.tuning.bottom(), i.tuning.top());
    why.push(Reason::Released { found: i.published(), fee });
    let memory = Memory { ruled: false, asked: None, channels: Memory::known(i), ..memory.clone() };
    match memory.climb {
        None => begun(memory, i),
        Some(_) => eager(beneath_scarcity(taken_over(Some(&memory), fee, i.now), i), i.now),
    }
}

/// The fee that was found has whatever the balance asks for in it, and the stage after the learner will ask for it again.
fn beneath_scarcity(mut memory: Memory, i: &FeeInputs) -> Memory {
    if let Some(climb) = &mut memory.climb {
        climb.divide(scarcity::now(i));
    }
    memory
}

/// A memory without a learner: a policy may say where the climb begins.
fn begun(memory: Memory, i: &FeeInputs) -> Memory {
    match i.policy.pricing {
        Pricing::ControllerFrom(fee) => {
            let fee = fee.clamp(i.tuning.bottom(), i.tuning.top());
            eager(taken_over(Some(&memory), fee, i.now), i.now)
        }
        _ => memory,
    }
}

/// What was set is no opinion that would have to hold for a block.
fn eager(mut memory: Memory, now: Time) -> Memory {
    if let Some(climb) = &mut memory.climb {
        climb.wake(now);
    }
    memory
}

/// The fee that was there at the last decision, and the one that somebody has set since: of several channels whoever changed
/// one has set the peer's fee, and the largest speaks where two were changed. A change that we asked for and that
/// was never made (a refusal, a dry run) leaves the fee as it was, and that is nobody's opinion.
fn changed_by_others(memory: &Memory, i: &FeeInputs) -> Option<(Ppm, Ppm)> {
    let asked = memory.asked.filter(|a| !a.dry).map(|a| a.fee);
    let before = |id: &ChannelId| memory.channels.iter().find(|k| k.id == *id).map(|k| k.fee);
    i.channels
        .iter()
        .filter(|c| asked != Some(c.ours.ppm))
        .filter_map(|c| before(&c.channel_id).filter(|fee| *fee != c.ours.ppm).map(|fee| (c.capacity, fee, c.ours.ppm)))
        .max_by_key(|(capacity, ..)| *capacity)
        .map(|(_, before, found)| (before, found))
}

/// An operator has set `fee` on `channels`, which are all that route to the peer; `forced`: although it is outside the limits.
pub fn set_by_hand(memory: Option<&Memory>, channels: &[&Channel], fee: Ppm, forced: bool, now: Time) -> Memory {
    let memory = taken_over(memory, fee, now);
    let channels = channels.iter().map(|c| Known { id: c.channel_id, fee }).collect();
    Memory { channels, asked: memory.asked.map(|a| Asked { forced, ..a }), ..memory }
}

/// An operator, or another program, has set `fee`: it holds for at least one block, and then the climb goes on from there.
pub fn taken_over(memory: Option<&Memory>, fee: Ppm, now: Time) -> Memory {
    let memory = memory.cloned().unwrap_or_else(|| Memory::blank(now));
    Memory {
        asked: Some(Asked { at: now, fee, congested: false, dry: false, forced: false }),
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

/// In a dry run nobody is told what was decided: the next decisions go on as if it had been.
pub fn untold(memory: Memory) -> Memory {
    Memory { asked: memory.asked.map(|a| Asked { dry: true, ..a }), ..memory }
}

/// The dry run is over: what was only recorded was never asked for.
pub fn in_earnest(memory: &Memory) -> Cow<'_, Memory> {
    match memory.dry() {
        Some(_) => Cow::Owned(Memory { asked: None, ..memory.clone() }),
        None => Cow::Borrowed(memory),
    }
}

/// What the learner believes and is about to do; `None` before the first decision.
pub fn learner(memory: &Memory) -> Option<Learner> {
    memory.climb.as_ref().map(|climb| climb.learner(memory.seen_until))
}

/// When this fee was asked for, or found to be somebody else's; `None`: neither, or not known any more.
pub fn asked_at(memory: &Memory, fee: Ppm) -> Option<Time> {
    memory.asked.filter(|a| a.fee == fee && !a.dry).map(|a| a.at)
}

/// What `revenue-fee-debug` shows of a peer.
pub fn debug(memory: &Memory) -> Value {
    let mut shown = json!({
        "seen_until": memory.seen_until.to_string(),
        "asked": memory.asked.map(|a| json!({
            "at": a.at.to_string(), "fee_ppm": a.fee, "congested": a.congested, "dry_run": a.dry,
        })),
        "sendable_share": memory.sendable,
        "pending": memory.pending,
        "congestion": memory.episode,
        "hill_climb": memory.climb.as_ref().map(|climb| climb.debug(memory.seen_until)),
    });
    reason::dated(&mut shown);
    shown
}
