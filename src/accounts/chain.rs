//! From the bookkeeper's account of a channel to what its transactions cost us. Fees come in several rows, some of which take others
//! back: only the net of all rows of one transaction is a cost. Never guesses: what nets to less than nothing is left out and told.

use std::collections::{BTreeMap, BTreeSet};

use super::CostKind;
use crate::domain::{Account, AccountLine, Msat, Time, TxId};

/// What one transaction of a channel cost us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainCost {
    pub txid: TxId,
    pub kind: CostKind,
    pub msat: u64,
    pub at: Time,
}

/// Costs by transaction, and transactions whose rows make no sense yet.
pub fn chain_costs(account: &Account) -> (Vec<ChainCost>, Vec<TxId>) {
    let (mut opened, mut spent) = (BTreeSet::new(), BTreeSet::new());
    let mut fees: BTreeMap<TxId, (i128, Time)> = BTreeMap::new();
    for line in &account.lines {
        match *line {
            AccountLine::Opened { txid, .. } => drop(opened.insert(txid)),
            AccountLine::Spent { txid, .. } => drop(spent.insert(txid)),
            AccountLine::Fee { txid, credit, debit, at } => {
                let (net, first) = fees.entry(txid).or_insert((0, at));
                *net += i128::from(credit.0) - i128::from(debit.0);
                *first = at.min(*first);
            }
            AccountLine::Rebalance(_) => {}
        }
    }
    let kind = |txid: &TxId| match (opened.contains(txid), spent.contains(txid)) {
        // The channel's money went by this transaction from one output into another.
        (true, true) => CostKind::Splice,
        (true, false) => CostKind::Opening,
        // The close itself, and whatever sweeps what it left.
        (false, _) => CostKind::Closure,
    };
    let (mut costs, mut odd) = (Vec::new(), Vec::new());
    for (txid, (net, at)) in fees {
        match u64::try_from(net) {
            Ok(msat) => costs.push(ChainCost { txid, kind: kind(&txid), msat, at }),
            Err(_) => odd.push(txid),
        }
    }
    (costs, odd)
}

/// One splice, by what it changed of our side of the channel: more by a splice in, less by one out, and nothing by the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    pub txid: TxId,
    pub change_msat: i64,
    pub at: Time,
}

/// The splices of a channel: transactions that both spend and make an output of it.
pub fn splices(account: &Account) -> Vec<Splice> {
    let mut opened: BTreeMap<TxId, (Msat, Time)> = BTreeMap::new();
    let mut spent: BTreeMap<TxId, Msat> = BTreeMap::new();
    for line in &account.lines {
        match *line {
            AccountLine::Opened { txid, credit, at } => drop(opened.insert(txid, (credit, at))),
            AccountLine::Spent { txid, debit, .. } => drop(spent.insert(txid, debit)),
            AccountLine::Fee { .. } | AccountLine::Rebalance(_) => {}
        }
    }
    let splice = |(txid, (after, at)): (TxId, (Msat, Time))| {
        let before = spent.get(&txid)?;
        Some(Splice { txid, change_msat: super::difference(after.0, before.0), at })
    };
    opened.into_iter().filter_map(splice).collect()
}

/// When the channel's first output was made.
pub fn opened_at(account: &Account) -> Option<Time> {
    account
        .lines
        .iter()
        .filter_map(|line| match line {
            AccountLine::Opened { at, .. } => Some(*at),
            _ => None,
        })
        .min()
}
