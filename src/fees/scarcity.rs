//! Scarcity: what a channel has little of left costs more. Stateless: a factor on its input, never on its own result.

use super::{FeeInputs, Memory, Reason};
use crate::domain::{Msat, Side};

/// The factor at an empty channel.
const STRONGEST: f64 = 3.0;

/// `fee` times 3^(1 - r/t) while the local share r is below the threshold t.
pub(super) fn stage(memory: &Memory, i: &FeeInputs, fee: f64, why: &mut Vec<Reason>) -> f64 {
    let (local, threshold) = (i.local_share(), i.tuning.scarcity_threshold);
    let virgin = is_virgin(i);
    let factor = if memory.is_held() { 1.0 } else { now(i) };
    why.push(Reason::Scarcity {
        enabled: i.tuning.scarcity,
        virgin,
        local,
        threshold,
        factor,
        before: fee,
        after: fee * factor,
    });
    fee * factor
}

/// The factor for the balance of this moment.
pub(super) fn now(i: &FeeInputs) -> f64 {
    let applies = i.tuning.scarcity && !is_virgin(i);
    if applies { factor(i.local_share(), i.tuning.scarcity_threshold) } else { 1.0 }
}

fn factor(local: f64, threshold: f64) -> f64 {
    STRONGEST.powf(shortage(local, threshold))
}

/// 0 down to the threshold, 1 at an empty channel.
fn shortage(local: f64, threshold: f64) -> f64 {
    if local < threshold { 1.0 - local / threshold } else { 0.0 }
}

/// ln of the factor, and by how much that changes with the local share.
pub(super) fn steepness(local: f64, threshold: f64) -> (f64, f64) {
    let (short, most) = (shortage(local, threshold), STRONGEST.ln());
    (most * short, if short > 0.0 { -most / threshold } else { 0.0 })
}

/// Virgin channel amnesty: a channel that the peer opened and that has sent nothing yet is empty on our side by birth, and
/// a high price would keep it so.
pub(super) fn is_virgin(i: &FeeInputs) -> bool {
    i.channels.iter().all(|c| c.opener == Some(Side::Remote) && c.sent == Some(Msat::ZERO))
}
