//! What the plan of the whole node is told of one peer: a summary of the learner, nothing that decides.

use super::{Climb, bounded};
use crate::fees::belief::{Belief, Sample};
use crate::fees::{FeeInputs, Memory};

/// What the plan of the whole node needs to know of one peer.
pub(crate) struct Outlook {
    /// Fees (ppm, base fee included) and msat a day that would be wanted at them.
    pub(crate) ladder: Vec<(f64, f64)>,
    /// Msat a day that come in by other ways than forwards; negative: that leave.
    pub(crate) inflow: f64,
    /// The same, with what was seen since the last count, and the days that it rests on.
    pub(crate) inflow_by_now: (f64, f64),
    /// Msat that forwards have brought and taken lately, and their share of all that came.
    pub(crate) brought: f64,
    pub(crate) left: f64,
    pub(crate) forwarded: f64,
    /// The part of what wanted to come in lately that found room.
    pub(crate) open: f64,
    /// Plainly not running out, whatever the sums say.
    pub(crate) ample: bool,
    /// What the base fee adds for the payer, ppm.
    pub(crate) base: f64,
    /// Hours of late in which demand could be watched.
    pub(crate) watched: f64,
}

/// Where forwards bring less than this share of what comes in, the balance is not the plan's business: whatever else refills the
/// channel does not follow our prices, and the learner prices the channel alone.
const LEAST_FORWARDED: f64 = 0.5;

impl Outlook {
    /// Is the peer priced by a plan?
    pub(crate) fn holds(&self) -> bool {
        self.forwarded >= LEAST_FORWARDED
    }
}

/// What was learned of a peer's payers, and counted of late.
pub(crate) fn counted(memory: &Memory) -> Option<(&Belief, &[Sample])> {
    memory.climb.as_ref().map(|climb| (&climb.belief, climb.recent.as_slice()))
}

/// What is believed of the peer's demand and known of its balance. A peer without a memory has its prior.
pub(crate) fn outlook(i: &FeeInputs) -> Outlook {
    let fresh;
    let climb = match i.memory.and_then(|memory| memory.climb.as_ref()) {
        Some(climb) => climb,
        None => {
            fresh = Climb::new(i);
            &fresh
        }
    };
    let (low, high) = (bounded(0.0, i) + climb.base, bounded(f64::INFINITY, i) + climb.base);
    let msat_per_event = 24.0 * climb.purse.payment(&i.market.amounts);
    let posterior = climb.belief.posterior(&climb.recent, i.now);
    let mut ladder = posterior.ladder(low, high);
    ladder.iter_mut().for_each(|rung| rung.1 *= msat_per_event);
    let (purse, (brought, left)) = (&climb.purse, climb.purse.forwards());
    Outlook {
        ladder,
        inflow: purse.other_inflow(i.capacity()),
        inflow_by_now: purse.other_inflow_by_now(i.capacity()),
        brought: brought * i.capacity(),
        left: left * i.capacity(),
        forwarded: purse.forwarded(i.local_share()),
        open: purse.open(),
        ample: purse.ample,
        base: climb.base,
        watched: climb.recent.iter().map(|sample| sample.e).sum(),
    }
}
