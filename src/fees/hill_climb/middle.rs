//! Where the middle of the next pair goes: toward what earns most, what the balance asks, or the price of the plan.

use super::schedule::Schedule;
use super::{Aim, Climb, DELTA_MIN, Step, Surprise, blocks, bounded};
use crate::fees::{FeeInputs, scarcity, tidy};

/// Most that the middle moves at a pair's end, in ln: this much, and more while little is known and the tries are wide.
const MOVE: f64 = 0.25;
/// Upward where the balance asks for it.
const MOVE_SCARCE: f64 = 0.40;
/// Toward the price that the plan of the whole node asks, at the end of each block: it follows the balances, which do not wait.
const MOVE_BID: f64 = 1.5;

impl Climb {
    /// Moves the middle toward the better of what earns most and what the balance asks; after a surprise about the price
    /// one whole step in the direction that it points to. A pair in which nothing could be seen (the channel was empty) is no
    /// reason to go anywhere but up.
    pub(super) fn climb(&mut self, i: &FeeInputs, surprise: Option<Surprise>, blind: bool) {
        self.purse.count(i);
        let posterior = self.belief.posterior(&self.recent, i.now);
        let (low, high) = (bounded(0.0, i) + self.base, bounded(f64::INFINITY, i) + self.base);
        let earns_most = (posterior.best_fee(0.0, low, high) - self.base).max(1.0);
        let bid = i.bid();
        // The plan knows better what becomes of the balance.
        let alone = bid.is_none() && !self.purse.is_pinned(i.local_share());
        self.schedule = if alone { Schedule::new(&self.purse, &posterior, i, self.base) } else { Schedule::default() };
        let run_out = self.schedule.fee(i.local_share());
        let from = Some(self.centre);
        self.aim = Aim { earns_most: Some(tidy(earns_most)), run_out: run_out.map(tidy), bid: None, from };
        let wanted = earns_most.max(run_out.unwrap_or(0.0));
        let most = MOVE + (self.delta - DELTA_MIN).max(0.0);
        let up = if run_out.is_some_and(|r| r > earns_most) { most.max(MOVE_SCARCE) } else { most };
        let moved = match surprise {
            Some(Surprise::Price { up: true }) => MOVE,
            Some(Surprise::Price { up: false }) => -MOVE,
            _ if blind => (bid.or(run_out).unwrap_or(0.0) / self.centre).ln().clamp(0.0, up),
            _ => (wanted / self.centre).ln().clamp(-most, up),
        };
        self.centre = bounded(self.centre * moved.exp(), i);
    }

    /// Where there is a plan, the middle is its price; what was learned speaks through it.
    pub(super) fn follow_plan(&mut self, before: f64, i: &FeeInputs) {
        let Some(bid) = i.bid().filter(|_| matches!(self.step, Step::First | Step::Second { .. })) else { return };
        self.aim = Aim { bid: Some(bid), from: Some(before), ..self.aim };
        self.schedule.rest();
        // Nor does a channel say anything by its emptiness that the peer has opened and that has sent nothing yet.
        let up = if self.is_unpaid(i) || scarcity::is_virgin(i) { 0.0 } else { MOVE_BID };
        let moved = (bid / before).ln().clamp(-MOVE_BID, up);
        self.centre = bounded(before * moved.exp(), i);
    }

    /// Was the fee asked where payers could be served, and has nobody ever paid it? As long as nobody was counted the plan expects most
    /// of the few curves on which a dear fee would earn a fortune, and each step that it took up would have to be drifted back. Before the
    /// first block is over, as after a policy, it could be asked if it can be now.
    fn is_unpaid(&self, i: &FeeInputs) -> bool {
        let was_asked = !self.recent.is_empty() || blocks::sendable(i) > 0.0;
        was_asked && self.dry.rate == 0.0
    }
}
