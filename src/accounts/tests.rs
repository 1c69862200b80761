//! Statements by example.

use super::channel::{marginal_roi_percent, roi_percent};
use super::*;
use crate::domain::{Account, AccountLine, ChannelId, Msat, Share, Time, TxId};

const NOW: Time = Time::from_secs(1_704_110_400);

fn tx(n: u8) -> TxId {
    TxId([n; 32])
}

fn fee(n: u8, credit: u64, debit: u64) -> AccountLine {
    AccountLine::Fee { txid: tx(n), credit: Msat(credit), debit: Msat(debit), at: NOW }
}

fn life() -> Life {
    Life {
        channel: ChannelId([1; 32]),
        scid: None,
        peer: None,
        capacity: Some(Msat(1_000_000_000)),
        opener: None,
        closer: None,
        cause: None,
        opened_at: Some(NOW.plus_hours(-24.0 * 100.0)),
        closing_at: None,
        archived_at: None,
        close_type: None,
        spent: false,
        last_forward: Some(NOW),
        balance_msat: None,
        estimated: false,
        spliced: None,
    }
}

fn statement(earned: u64, opening: u64) -> Statement {
    let costs = Costs { opening, ..Costs::default() };
    Statement { life: life(), lifetime: Sums { earned, costs, ..Sums::default() } }
}

fn inputs(statement: Statement) -> AdviceInputs {
    AdviceInputs {
        window: statement.lifetime,
        statement,
        window_days: 30.0,
        local_share: Share::clamped(0.1),
        flow_ratio: Some(0.9),
        turnover: Some(0.01),
        peer_splices: None,
        sat_per_kvb: Some(1_001),
        now: NOW,
    }
}

#[test]
fn what_a_splice_looks_like_a_close_is_still_a_splice_and_costs_the_net_of_its_rows() {
    let (open, splice) = (
        AccountLine::Opened { txid: tx(1), credit: Msat(4_000_000_000), at: NOW },
        [
            AccountLine::Spent { txid: tx(2), debit: Msat(3_854_438_796), at: NOW },
            AccountLine::Opened { txid: tx(2), credit: Msat(4_354_438_796), at: NOW },
        ],
    );
    let mut account = Account { lines: vec![fee(2, 4_354_696_796, 0), open, fee(1, 166_000, 0)], balance_msat: 0 };
    account.lines.extend(splice);
    account.lines.push(fee(2, 0, 4_354_438_796));
    let (costs, odd) = chain_costs(&account);
    assert_eq!(
        costs.iter().map(|cost| (cost.kind, cost.msat)).collect::<Vec<_>>(),
        [(CostKind::Opening, 166_000), (CostKind::Splice, 258_000)]
    );
    assert_eq!(odd, []);
    assert_eq!(splices(&account), [Splice { txid: tx(2), change_msat: 500_000_000, at: NOW }]);
}

#[test]
fn a_close_and_its_sweeps_are_closure_and_a_net_below_nothing_is_no_cost() {
    let account = Account {
        lines: vec![
            AccountLine::Opened { txid: tx(1), credit: Msat(9), at: NOW },
            AccountLine::Spent { txid: tx(3), debit: Msat(9), at: NOW },
            fee(3, 2_070_000, 0),
            fee(4, 134_000, 0),
            fee(5, 0, 7),
        ],
        balance_msat: 0,
    };
    let (costs, odd) = chain_costs(&account);
    assert_eq!(
        costs.iter().map(|cost| (cost.kind, cost.msat)).collect::<Vec<_>>(),
        [(CostKind::Closure, 2_070_000), (CostKind::Closure, 134_000)]
    );
    assert_eq!((odd, splices(&account)), (vec![tx(5)], vec![]));
}

#[test]
fn classes_follow_the_return_and_the_idle_days() {
    let class = |earned, opening, idle: f64| {
        let mut statement = statement(earned, opening);
        statement.life.last_forward = Some(NOW.plus_hours(-24.0 * idle));
        classify(&statement, NOW).name()
    };
    assert_eq!(class(2_000, 1_000, 0.0), "profitable");
    assert_eq!(class(1_000, 1_000, 0.0), "break_even");
    assert_eq!(class(500, 1_000, 0.0), "underwater");
    assert_eq!(class(500, 1_000, 7.0), "stagnant_candidate");
    assert_eq!(class(500, 1_000, 30.0), "zombie");
    assert_eq!(class(0, 0, 30.0), "break_even");
}

#[test]
fn returns_without_costs_are_all_or_nothing() {
    let sums = |earned, rebalance| Sums { earned, costs: Costs { rebalance, ..Costs::default() }, ..Sums::default() };
    assert_eq!(roi_percent(&sums(5, 0)), 100.0);
    assert_eq!(roi_percent(&sums(0, 0)), 0.0);
    assert_eq!(marginal_roi_percent(&sums(300, 100)), 200.0);
}

#[test]
fn advice_has_its_numbers() {
    let winner = AdviceInputs { turnover: Some(0.6), ..inputs(statement(3_000_000, 1_000)) };
    assert_eq!(advise(&winner), Advice::Splice { cost_sat: Some(401), pays_in_days: Some(4.01) });
    let known = |takes| advise(&AdviceInputs { peer_splices: Some(takes), ..winner.clone() }).name();
    assert_eq!((known(true), known(false)), ("splice", "open"), "no splice with a peer that cannot");
    let mut zombie = inputs(statement(0, 5_000_000));
    zombie.statement.life.last_forward = None;
    assert_eq!(advise(&zombie), Advice::Close { cost_sat: Some(181), why: "no forward for a month, at a loss" });
    zombie.sat_per_kvb = None;
    assert!(matches!(advise(&zombie), Advice::Close { cost_sat: None, .. }));
    zombie.statement.life.opened_at = Some(NOW.plus_hours(-24.0 * 40.0));
    assert_eq!(advise(&zombie), Advice::Keep { why: "too young to judge" });
    assert_eq!(advise(&inputs(statement(9, 1))), Advice::Keep { why: "it pays" });
}

#[test]
fn worth_is_unknown_while_the_wallet_is() {
    let worth = Worth { onchain: Some(1), unconfirmed: Some(2), local: 3, pending: 4, closing: 5, ..Worth::default() };
    assert_eq!(worth.total(), Some(15));
    assert_eq!(Worth { onchain: None, ..worth }.total(), None);
}

#[test]
fn returns_are_told_with_the_days_that_they_are_computed_over() {
    let roc = return_on_capital(1_000_000, 100_000_000, 36.5).unwrap();
    assert!((roc.percent - 1.0).abs() < 1e-9 && (roc.annualised - 10.0).abs() < 1e-9, "{roc:?}");
    assert_eq!(return_on_capital(1, 0, 30.0), None);
    assert_eq!(return_on_capital(1, 1, 0.0), None);
    assert_eq!(sat_floor(-1), -1);
}
