//! Congestion: when a channel's outgoing slots run out, its fee is driven up within hard bounds, and comes down when they
//! are free again. Knows slots and the fee in force; nothing of demand.

use serde::{Deserialize, Serialize};

use super::reason::Slots;
use super::{FeeInputs, Memory, Reason};
use crate::domain::{Ppm, Time};

/// One step doubles the fee or adds this, whichever is more: doubling 10 ppm impresses nobody.
const STEP_PPM: u32 = 250;
const STEP_FACTOR: u32 = 2;
/// However long it lasts: at most this multiple of the fee at its start. A jammer must not price us out of the market.
const EPISODE_FACTOR: u32 = 4;
/// Free slots, as a share, that must come back below the threshold before an episode ends.
const RELIEF: f64 = 0.1;
/// Steps closer together than this are one cycle's: the slots have had no time to answer.
const STEP_SECS: i64 = 300;

/// From crossing the threshold until relief.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    since: Time,
    stepped: Time,
    start: Ppm,
    fee: Ppm,
}

impl Episode {
    /// The clock was set back.
    pub(super) fn begin_again(&mut self, now: Time) {
        (self.since, self.stepped) = (self.since.min(now), self.stepped.min(now));
    }
}

/// The fee to ask while congestion lasts; `None`: there is none.
pub(super) fn stage(memory: &mut Memory, i: &FeeInputs, why: &mut Vec<Reason>) -> Option<f64> {
    let threshold = i.tuning.congestion_threshold;
    let Some(used) = slots_used(i) else {
        memory.episode = None;
        why.push(Reason::Congestion { used: None, threshold, slots: Slots::Unknown });
        return None;
    };
    let goes_on = memory.episode.is_some() && used >= threshold - RELIEF;
    if used <= threshold && !goes_on {
        let slots = if memory.episode.take().is_some() { Slots::Relieved } else { Slots::Free };
        why.push(Reason::Congestion { used: Some(used), threshold, slots });
        return None;
    }
    let episode = match memory.episode {
        Some(before) if used > threshold && i.now >= before.stepped.plus_secs(STEP_SECS) => raised(before, i.now),
        Some(before) => before,
        None => {
            let start = memory.standing(i);
            raised(Episode { since: i.now, stepped: i.now, start, fee: start }, i.now)
        }
    };
    memory.episode = Some(episode);
    let Episode { start, fee, .. } = episode;
    why.push(Reason::Congestion { used: Some(used), threshold, slots: Slots::Congested { start, fee } });
    Some(fee.as_f64())
}

/// Share of outgoing slots in use over all channels with the peer. A channel that does not tell its limit leaves the
/// stage without an answer: half an answer could drive a fee up for nothing.
fn slots_used(i: &FeeInputs) -> Option<f64> {
    let limits: Option<u64> = i.channels.iter().map(|c| c.max_htlcs.map(u64::from)).sum();
    let used: u64 = i.channels.iter().map(|c| u64::from(c.htlcs_out)).sum();
    limits.filter(|l| *l > 0).map(|l| used as f64 / l as f64)
}

fn raised(episode: Episode, now: Time) -> Episode {
    let Episode { start, fee, .. } = episode;
    let step = fee.0.saturating_mul(STEP_FACTOR).max(fee.0.saturating_add(STEP_PPM));
    // From a fee of nothing, four times nothing would be no answer at all.
    let most = start.0.max(1).saturating_mul(EPISODE_FACTOR);
    Episode { fee: Ppm(step.min(most)), stepped: now, ..episode }
}
