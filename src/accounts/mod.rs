//! The books as statements: what came in, what it cost, what is there, and what that advises. Pure: sums and facts in, statements
//! out. It never reads a ledger, and never counts a fee twice.

pub mod advice;
pub mod chain;
pub mod channel;
pub mod worth;

#[cfg(test)]
mod tests;

pub use advice::{Advice, AdviceInputs, advise};
pub use chain::{ChainCost, Splice, chain_costs, splices};
pub use channel::{Class, Life, Profile, Spliced, Statement, classify};
pub use worth::{Roc, Worth, return_on_capital};

/// What a channel or the node pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostKind {
    Opening,
    Closure,
    Splice,
    Rebalance,
}

impl CostKind {
    pub const ALL: [CostKind; 4] = [CostKind::Opening, CostKind::Closure, CostKind::Splice, CostKind::Rebalance];

    pub fn name(self) -> &'static str {
        match self {
            CostKind::Opening => "opening",
            CostKind::Closure => "closure",
            CostKind::Splice => "splice",
            CostKind::Rebalance => "rebalance",
        }
    }
}

/// Costs by kind, in msat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    pub opening: u64,
    pub closure: u64,
    pub splice: u64,
    pub rebalance: u64,
}

/// What moved and what it brought and cost, over one span of time, in msat. Each fee is in one channel's `earned` and in one channel's
/// `brought`; whoever adds channels up takes `earned`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub in_msat: u64,
    pub out_msat: u64,
    pub in_count: u64,
    pub out_count: u64,
    pub earned: u64,
    pub brought: u64,
    pub costs: Costs,
}

impl Costs {
    pub fn of(&self, kind: CostKind) -> u64 {
        match kind {
            CostKind::Opening => self.opening,
            CostKind::Closure => self.closure,
            CostKind::Splice => self.splice,
            CostKind::Rebalance => self.rebalance,
        }
    }

    pub fn add(&mut self, kind: CostKind, msat: u64) {
        let sum = match kind {
            CostKind::Opening => &mut self.opening,
            CostKind::Closure => &mut self.closure,
            CostKind::Splice => &mut self.splice,
            CostKind::Rebalance => &mut self.rebalance,
        };
        *sum = sum.saturating_add(msat);
    }

    pub fn total(&self) -> u64 {
        CostKind::ALL.iter().fold(0, |sum, kind| sum.saturating_add(self.of(*kind)))
    }
}

impl Sums {
    /// Revenue - (opening + closure + splice + rebalance).
    pub fn net(&self) -> i64 {
        difference(self.earned, self.costs.total())
    }

    /// What would not have been earned without the channel, on whichever side of a payment it was.
    pub fn contribution(&self) -> u64 {
        self.earned.saturating_add(self.brought)
    }

    pub fn forwards(&self) -> u64 {
        self.in_count.saturating_add(self.out_count)
    }

    pub fn join(&mut self, other: &Sums) {
        for (mine, theirs) in [
            (&mut self.in_msat, other.in_msat),
            (&mut self.out_msat, other.out_msat),
            (&mut self.in_count, other.in_count),
            (&mut self.out_count, other.out_count),
            (&mut self.earned, other.earned),
            (&mut self.brought, other.brought),
            (&mut self.costs.opening, other.costs.opening),
            (&mut self.costs.closure, other.costs.closure),
            (&mut self.costs.splice, other.costs.splice),
            (&mut self.costs.rebalance, other.costs.rebalance),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// `a - b`; the ledger holds no amount that would not fit.
pub fn difference(a: u64, b: u64) -> i64 {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    signed(a).saturating_sub(signed(b))
}

/// Whole satoshis of a sum that may be negative, rounded down: a loss is never told smaller than it is.
pub fn sat_floor(msat: i64) -> i64 {
    msat.div_euclid(1000)
}

/// `part` of `whole` in percent; `None` when there is no whole.
pub fn percent(part: i64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}
