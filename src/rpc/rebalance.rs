//! `revenue-rebalance`: one move of liquidity, or a whole step, by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::rebalance_debug::up;
use super::{Answer, Args, Command, RpcError, rounded};
use crate::accounts::sat_floor;
use crate::domain::units::to_i64_rounded;
use crate::domain::{Sat, Scid};
use crate::ops::{Begun, HandOrder, Ops, RebalanceReport};
use crate::rebalance::Move;

pub(super) const COMMAND: Command = Command {
    name: "revenue-rebalance",
    usage: "[from_channel] [to_channel] [amount_sats] [max_fee_sats] [force]",
    about: "Moves liquidity now: from one channel to another, or, with one channel only, to that channel from wherever it is best; without \
            any, it runs the rebalance step. The budget always holds.",
    parameters: &[
        ("from_channel", "The channel that is drained; the channel that is filled, if it is the only one."),
        ("to_channel", "The channel that is filled."),
        ("amount_sats", "How much, with both channels."),
        ("max_fee_sats", "What it may cost at most; as much as it is worth, if it is missing."),
        ("force", "With both channels: do it although nothing is to be earned by it. The budget is not overruled."),
    ],
    example: "revenue-rebalance 800000x12x1 800100x7x0 500000",
    answer: &[
        (
            "status",
            "`success`: what was to be ordered was ordered (or `dry_run` is true); `pending`: no answer came yet.",
        ),
        ("success", "true."),
        (
            "candidate",
            "The move: `from_channel`, `to_channel`, `from_peer_id`, `to_peer_id`, `amount_sats`, `amount_msat`, `max_fee_ppm`, \
             `max_budget_msat` and `max_budget_sats` (reserved, the latter rounded up), `spread_ppm` (what the last of it is worth more \
             there than here), `source_candidates` (always one: `from_channel`), `num_source_candidates`, `expected_value_msat`, \
             `expected_cost_msat`, `cost_basis`, `chance`, `expected_profit_sats` (rounded down).",
        ),
        ("rebalance_id", "Under which the ledger keeps it."),
        ("dry_run", "Nothing was ordered."),
        ("message", "The same in words."),
        ("moves[]", "Without channels: the moves of the step, each as `candidate` with its `message`."),
        ("refused", "Without channels: how many channels had no move; revenue-rebalance-debug says why."),
    ],
    refuses: &[
        "a channel that the node does not know, or that does not route",
        "two channels without an amount",
        "`max_fee_sats` or `force` without a channel, and `force` with one channel only",
        "a move that is not worth its cost, without `force`; the reason is told with its numbers",
        "a move that the budget has no room for",
        "any move while sling is not there",
    ],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let Some(order) = order(&args)? else { return Ok(step(&*ops.rebalance_cycle().await?)) };
    let (made, begun) = ops.rebalance_by_hand(&order).await?;
    shape(&made, &begun)
}

/// `None`: the whole step.
fn order(args: &Args) -> Result<Option<HandOrder>, RpcError> {
    let (max_fee, force) = (args.whole("max_fee_sats")?.map(Sat), args.flag("force")?);
    match (args.text("from_channel")?, args.text("to_channel")?, args.whole("amount_sats")?.map(Sat)) {
        (None, None, None) if max_fee.is_none() && !force => Ok(None),
        (None, None, None) => Err(RpcError::caller(
            "'max_fee_sats' and 'force' are for one move: name a channel; without any, the whole step runs within the budget",
        )),
        (Some(_), None, None) | (None, Some(_), None) if force => Err(RpcError::caller(
            "'force' insists on a move that is named: give 'from_channel', 'to_channel' and 'amount_sats'; one channel alone is \
             filled as is best, if that is worth its cost",
        )),
        (Some(to), None, None) | (None, Some(to), None) => Ok(Some(HandOrder { to, pair: None, max_fee, force })),
        (Some(from), Some(to), Some(amount)) if amount > Sat(0) => {
            Ok(Some(HandOrder { to, pair: Some((from, amount)), max_fee, force }))
        }
        (Some(_), Some(_), Some(_)) => Err(RpcError::caller("'amount_sats' is 0; give at least 1")),
        _ => Err(RpcError::caller(
            "give 'from_channel', 'to_channel' and 'amount_sats'; or one channel alone, which is filled as is best",
        )),
    }
}

fn candidate(made: &Move) -> Value {
    let (order, numbers) = (&made.order, &made.numbers);
    json!({
        "from_channel": order.from,
        "to_channel": order.to,
        "from_peer_id": made.from_peer,
        "to_peer_id": made.to_peer,
        "amount_sats": order.amount,
        "amount_msat": order.amount.0.saturating_mul(1000),
        "max_fee_ppm": order.max,
        "max_budget_msat": made.reserved,
        "max_budget_sats": up(made.reserved),
        "spread_ppm": to_i64_rounded(numbers.difference),
        "source_candidates": [order.from],
        "num_source_candidates": 1,
        "expected_value_msat": to_i64_rounded(numbers.value),
        "expected_cost_msat": to_i64_rounded(numbers.cost),
        "cost_basis": numbers.basis.to_string(),
        "chance": rounded(numbers.chance),
        "expected_profit_sats": sat_floor(to_i64_rounded(numbers.profit)),
    })
}

fn shape(made: &Move, begun: &Begun) -> Answer {
    let (status, id) = match begun {
        Begun::Started(id) => ("success", Some(*id)),
        Begun::Unheard(id) => ("pending", Some(*id)),
        Begun::Dry => ("success", None),
        Begun::Refused(why) => return Err(RpcError::caller(format!("{made}: not begun: {why}"))),
    };
    let mut answer = json!({
        "status": status,
        "success": true,
        "candidate": candidate(made),
        "rebalance_id": id,
        "dry_run": *begun == Begun::Dry,
        "message": made.to_string(),
    });
    if *begun == Begun::Dry {
        answer["warning_dry_run"] = json!("dry-run is on: nothing was ordered");
    }
    Ok(answer)
}

fn step(report: &RebalanceReport) -> Value {
    let moves: Vec<Value> = report
        .plan
        .moves
        .iter()
        .map(|made| {
            let mut told = candidate(made);
            told["message"] = json!(made.to_string());
            told
        })
        .collect();
    // A channel may have been refused both ways: to be filled, and to be drained.
    let served: BTreeSet<Option<Scid>> =
        report.plan.moves.iter().flat_map(|m| [Some(m.order.from), Some(m.order.to)]).collect();
    let refused: BTreeSet<Option<Scid>> = report.plan.refused.iter().map(|refusal| refusal.scid).collect();
    let refused = refused.difference(&served).count();
    let mut answer = json!({
        "status": "success",
        "success": true,
        "moves": moves,
        "refused": refused,
        "dry_run": report.dry_run,
        "message": format!("{} moves are worth their cost, {} channels have none", moves.len(), refused),
    });
    if let Some(warning) = report.rebalancer.in_words() {
        answer["warning_rebalancer"] = json!(warning);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: Value) -> Result<Option<HandOrder>, RpcError> {
        order(&Args::read(COMMAND.name, COMMAND.usage, &params)?)
    }

    #[test]
    fn one_channel_is_filled_two_are_a_pair_none_is_the_step() {
        assert_eq!(read(json!([])).unwrap(), None);
        let one = HandOrder { to: "1x2x3".into(), pair: None, max_fee: None, force: false };
        assert_eq!(read(json!(["1x2x3"])).unwrap(), Some(one));
        let two = HandOrder {
            to: "4x5x6".into(),
            pair: Some(("1x2x3".into(), Sat(70_000))),
            max_fee: Some(Sat(20)),
            force: true,
        };
        assert_eq!(read(json!(["1x2x3", "4x5x6", 70_000, 20, "true"])).unwrap(), Some(two));
        let capped = HandOrder { to: "1x2x3".into(), pair: None, max_fee: Some(Sat(9)), force: false };
        assert_eq!(read(json!({"to_channel": "1x2x3", "max_fee_sats": 9})).unwrap(), Some(capped));
        for bad in [
            json!(["1x2x3", "4x5x6"]),
            json!(["1x2x3", "4x5x6", 0]),
            json!({"amount_sats": 5}),
            json!({"max_fee_sats": 5}),
            json!({"force": true}),
            json!({"to_channel": "1x2x3", "force": true}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
