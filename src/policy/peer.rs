//! A peer's own policy: what an operator, or cl-hive, said about all channels with it. Sets, tags, merges, validates and expires values;
//! keeps nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::{PeerId, Ppm, RebalanceMode, Time};

/// Highest rate that a policy asks for (ppm).
pub const MOST_PPM: u32 = 100_000;
/// Bounds of the multipliers.
pub const MULTIPLIERS: (f64, f64) = (0.1, 5.0);
/// Longest life of a policy that expires: 30 days.
pub const MOST_HOURS: f64 = 720.0;
/// Entries of a batch at most.
pub const MOST_IN_BATCH: usize = 100;
/// Changes of one peer's policy in a minute.
pub const CHANGES_A_MINUTE: u32 = 10;
const MINUTE_SECS: i64 = 60;
/// Tags of one peer, and characters of one tag.
const MOST_TAGS: usize = 32;
const LONGEST_TAG: usize = 64;
/// The tag of a peer that `revenue-ignore` has put aside; the next one is the reason.
pub const IGNORED: &str = "ignored";

/// Who finds the fee of the peer's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    Dynamic,
    Static,
    Passive,
    Hive,
}

/// What was said about one peer. `None`: nothing was said of that, so that weaker sources have the word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerPolicy {
    pub peer: PeerId,
    pub strategy: Option<Strategy>,
    pub rebalance: Option<RebalanceMode>,
    pub fee: Option<Ppm>,
    /// Each once, in the order in which they were given.
    pub tags: Vec<String>,
    pub multiplier_min: Option<f64>,
    pub multiplier_max: Option<f64>,
    pub updated_at: Time,
    /// `None`: never.
    pub expires_at: Option<Time>,
    /// What was said before the peer was ignored; it holds again when it no longer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Box<PeerPolicy>>,
}

/// What is to be changed. `None` leaves what is there; `Some(None)` takes it away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub strategy: Option<Strategy>,
    pub rebalance: Option<RebalanceMode>,
    pub fee: Option<Option<Ppm>>,
    pub tags: Option<Vec<String>>,
    pub multiplier_min: Option<Option<f64>>,
    pub multiplier_max: Option<Option<f64>>,
    /// From now on; 0 or less: never.
    pub expires_in_hours: Option<f64>,
}

/// Why a policy is not taken; each names the key and says what would be right.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("strategy 'static' needs a fee: add fee_ppm=N, for example fee_ppm=100")]
    NoFee,
    #[error("'strategy' must be 'dynamic', 'static', 'passive' or 'hive', not '{0}'")]
    Strategy(String),
    #[error("'rebalance' must be 'enabled', 'disabled', 'source_only' or 'sink_only', not '{0}'")]
    Rebalance(String),
    #[error("'fee_ppm' must be a whole number from 0 to {MOST_PPM}, not {0}")]
    Fee(u32),
    #[error("'{key}' must be a number from {} to {}, or 'none', not {given}", MULTIPLIERS.0, MULTIPLIERS.1)]
    Multiplier { key: &'static str, given: f64 },
    #[error("'fee_multiplier_min' ({min}) must not be above 'fee_multiplier_max' ({max})")]
    Order { min: f64, max: f64 },
    #[error("'expires_in_hours' must be a number up to {MOST_HOURS} (30 days), or 0 for never, not {0}")]
    Expiry(f64),
    #[error("'{key}' must be a text of 1 to {LONGEST_TAG} characters without line breaks, not '{given}'")]
    Tag { key: &'static str, given: String },
    #[error("'tags' must be at most {MOST_TAGS}, and these are {0}")]
    Tags(usize),
}

/// The peer's policy after a change, merged with what it was.
pub fn changed(before: Option<&PeerPolicy>, peer: PeerId, change: &Change, now: Time) -> Result<PeerPolicy, Refusal> {
    let before = live(before, now).cloned().unwrap_or_else(|| PeerPolicy::blank(peer, now));
    let after = PeerPolicy {
        strategy: change.strategy.or(before.strategy),
        rebalance: change.rebalance.or(before.rebalance),
        fee: change.fee.unwrap_or(before.fee),
        tags: match &change.tags {
            Some(tags) => tags_of(tags)?,
            None => before.tags.clone(),
        },
        multiplier_min: change.multiplier_min.map_or(before.multiplier_min, short),
        multiplier_max: change.multiplier_max.map_or(before.multiplier_max, short),
        expires_at: match change.expires_in_hours {
            Some(hours) => expiry(hours, now)?,
            None => before.expires_at,
        },
        ..before.clone()
    };
    after.check()?;
    if after.is_ignored() {
        return Ok(after.dated(&before, now));
    }
    // Who is not ignored any more has nothing that waits for it, and no reason for it either.
    let mut tags = after.tags.clone();
    if before.is_ignored() && change.tags.is_none() {
        let reason = before.reason();
        tags.retain(|tag| tag != IGNORED && Some(tag.as_str()) != reason);
    }
    Ok(PeerPolicy { aside: None, tags, ..after }.dated(&before, now))
}

/// The policy with one tag more; the same if it has it.
pub fn tagged(before: Option<&PeerPolicy>, peer: PeerId, tag: &str, now: Time) -> Result<PeerPolicy, Refusal> {
    let mut tags = live(before, now).map(|policy| policy.tags.clone()).unwrap_or_default();
    tags.push(tag.to_owned());
    let tags = tags_of(&tags).map_err(|refusal| match refusal {
        Refusal::Tag { given, .. } => Refusal::Tag { key: "tag", given },
        other => other,
    })?;
    changed(before, peer, &Change { tags: Some(tags), ..Change::default() }, now)
}

/// The policy without a tag. `None`: nothing is left that it says. Without the tag of an ignored peer, it is not ignored any more.
pub fn untagged(before: &PeerPolicy, tag: &str, now: Time) -> Option<PeerPolicy> {
    if tag.trim() == IGNORED && before.is_ignored() {
        return unignored(before, now);
    }
    let tags = before.tags.iter().filter(|own| *own != tag.trim()).cloned().collect();
    let after = PeerPolicy { tags, ..before.clone() }.dated(before, now);
    (!after.is_empty()).then_some(after)
}

/// The peer is left alone, for good; what was said of it waits.
pub fn ignored(before: Option<&PeerPolicy>, peer: PeerId, reason: &str, now: Time) -> Result<PeerPolicy, Refusal> {
    let tags = tags_of(&[IGNORED.to_owned(), reason.to_owned()]).map_err(|refusal| match refusal {
        Refusal::Tag { given, .. } => Refusal::Tag { key: "reason", given },
        other => other,
    })?;
    let before = live(before, now);
    let aside = match before {
        Some(before) if before.is_ignored() => before.aside.clone(),
        _ => before.cloned().map(Box::new),
    };
    let (strategy, rebalance) = (Some(Strategy::Passive), Some(RebalanceMode::Disabled));
    let after = PeerPolicy { strategy, rebalance, tags, aside, ..PeerPolicy::blank(peer, now) };
    let same = |before: &&PeerPolicy| **before == PeerPolicy { updated_at: before.updated_at, ..after.clone() };
    Ok(before.filter(same).cloned().unwrap_or(after))
}

/// What holds when the peer is no longer ignored; one that is not stays as it is.
pub fn unignored(policy: &PeerPolicy, now: Time) -> Option<PeerPolicy> {
    if !policy.is_ignored() {
        return Some(policy.clone());
    }
    let aside = live(policy.aside.as_deref(), now)?;
    Some(PeerPolicy { updated_at: now, ..aside.clone() })
}

/// A policy that has not expired.
pub fn live(policy: Option<&PeerPolicy>, now: Time) -> Option<&PeerPolicy> {
    policy.filter(|policy| !policy.is_expired(now))
}

/// May the policy be changed once more, after so many changes at these times? If not: in how many seconds. What a clock that was wrong
/// dated in the future does not count.
pub fn may_change(changes: &[Time], now: Time) -> Result<(), u32> {
    let recent = |at: &&Time| **at > now.plus_secs(-MINUTE_SECS) && **at <= now;
    let mut recent: Vec<Time> = changes.iter().filter(recent).copied().collect();
    recent.sort_unstable();
    let most = usize::try_from(CHANGES_A_MINUTE).unwrap_or(usize::MAX);
    match recent.len().checked_sub(most) {
        None => Ok(()),
        Some(over) => {
            let wait = recent[over].plus_secs(MINUTE_SECS).0 - now.0;
            Err(u32::try_from(wait.max(0) / 1000 + 1).unwrap_or(u32::MAX))
        }
    }
}

impl PeerPolicy {
    fn blank(peer: PeerId, now: Time) -> PeerPolicy {
        PeerPolicy {
            peer,
            strategy: None,
            rebalance: None,
            fee: None,
            tags: vec![],
            multiplier_min: None,
            multiplier_max: None,
            updated_at: now,
            expires_at: None,
            aside: None,
        }
    }

    pub fn is_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Does `revenue-ignore` keep the peer aside?
    pub fn is_ignored(&self) -> bool {
        self.strategy == Some(Strategy::Passive)
            && self.rebalance == Some(RebalanceMode::Disabled)
            && self.tags.iter().any(|tag| tag == IGNORED)
    }

    /// Why the peer is ignored: the tag after [`IGNORED`].
    pub fn reason(&self) -> Option<&str> {
        let place = self.tags.iter().position(|tag| tag == IGNORED)?;
        self.tags.get(place + 1).map(String::as_str)
    }

    fn is_empty(&self) -> bool {
        *self == PeerPolicy { expires_at: self.expires_at, ..PeerPolicy::blank(self.peer, self.updated_at) }
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.strategy == Some(Strategy::Static) && self.fee.is_none() {
            return Err(Refusal::NoFee);
        }
        if let Some(fee) = self.fee.filter(|fee| fee.0 > MOST_PPM) {
            return Err(Refusal::Fee(fee.0));
        }
        for (key, value) in [("fee_multiplier_min", self.multiplier_min), ("fee_multiplier_max", self.multiplier_max)] {
            let (low, high) = MULTIPLIERS;
            if let Some(given) = value.filter(|value| !(low..=high).contains(value)) {
                return Err(Refusal::Multiplier { key, given });
            }
        }
        match (self.multiplier_min, self.multiplier_max) {
            (Some(min), Some(max)) if min > max => Err(Refusal::Order { min, max }),
            _ => Ok(()),
        }
    }

    /// Changed now, if it was changed at all.
    fn dated(self, before: &PeerPolicy, now: Time) -> PeerPolicy {
        if self == *before { self } else { PeerPolicy { updated_at: now, ..self } }
    }
}

/// Four decimals are enough for a multiplier, and are read back as what was written.
fn short(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 1e4).round() / 1e4)
}

fn expiry(hours: f64, now: Time) -> Result<Option<Time>, Refusal> {
    match hours {
        _ if hours.is_nan() || hours > MOST_HOURS => Err(Refusal::Expiry(hours)),
        _ if hours <= 0.0 => Ok(None),
        _ => Ok(Some(now.plus_hours(hours))),
    }
}

fn tags_of(given: &[String]) -> Result<Vec<String>, Refusal> {
    let mut tags: Vec<String> = Vec::with_capacity(given.len());
    for tag in given {
        let text = tag.trim();
        if text.is_empty() || text.chars().count() > LONGEST_TAG || text.contains(char::is_control) {
            return Err(Refusal::Tag { key: "tags", given: tag.clone() });
        }
        if !tags.iter().any(|known| known == text) {
            tags.push(text.to_owned());
        }
    }
    if tags.len() > MOST_TAGS { Err(Refusal::Tags(tags.len())) } else { Ok(tags) }
}

impl Strategy {
    pub const ALL: [Strategy; 4] = [Strategy::Dynamic, Strategy::Static, Strategy::Passive, Strategy::Hive];

    pub fn name(self) -> &'static str {
        match self {
            Strategy::Dynamic => "dynamic",
            Strategy::Static => "static",
            Strategy::Passive => "passive",
            Strategy::Hive => "hive",
        }
    }
}

impl FromStr for Strategy {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Strategy, Refusal> {
        let found = Strategy::ALL.into_iter().find(|strategy| strategy.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| Refusal::Strategy(text.to_owned()))
    }
}

/// A rebalance mode as users write it.
pub fn rebalance_mode(text: &str) -> Result<RebalanceMode, Refusal> {
    let found = RebalanceMode::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Refusal::Rebalance(text.to_owned()))
}

/// In one line for a log: what it says, without whom.
impl fmt::Display for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strategy.map_or("no strategy", Strategy::name))?;
        if let (Some(Strategy::Static), Some(fee)) = (self.strategy, self.fee) {
            write!(f, " at {fee}")?;
        }
        if let Some(mode) = self.rebalance {
            write!(f, ", rebalance {}", mode.name())?;
        }
        if let Some(least) = self.multiplier_min {
            write!(f, ", at least {least} times")?;
        }
        if let Some(most) = self.multiplier_max {
            write!(f, ", at most {most} times")?;
        }
        if !self.tags.is_empty() {
            write!(f, ", tags {}", self.tags.join(", "))?;
        }
        self.expires_at.map_or(Ok(()), |at| write!(f, ", until {at}"))
    }
}

#[cfg(test)]
mod tests;
