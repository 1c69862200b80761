//! `revenue-rebalance-debug`: what the last rebalance step saw, planned and refused. Answers at once, and runs nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Args, Command, date};
use crate::domain::Msat;
use crate::ops::{Begun, MoveDifference, Ops, Presence, RebalanceReport};
use crate::rebalance::Refusal;

pub(super) const COMMAND: Command = Command {
    name: "revenue-rebalance-debug",
    usage: "",
    about: "Shows the last rebalance step: the budget, each move with its numbers, and for every other channel why it has none.",
    parameters: &[],
    example: "revenue-rebalance-debug",
    answer: &[
        ("planned_at", "When the step was; `null`: there was none yet, and all the rest is missing."),
        ("sling_available", "Whether sling answered."),
        ("dry_run", "Whether moves are planned only."),
        (
            "capital_controls",
            "`daily_budget_msat` (of 24 hours), `daily_spent_msat`, `daily_reserved_msat`, `budget_remaining_msat`, \
             the same as `daily_budget_sats`, `daily_spent_sats`, `daily_reserved_sats`, `budget_remaining_sats` (what is spent and \
             reserved rounded up, the rest down), `free_slots`, `budget_ok`, and `stopped_by` in words.",
        ),
        ("moves[]", "`move` in words, and `outcome`."),
        (
            "refused[]",
            "`channel_id`, `role` (`fill`, `drain`), `with` (the other channel that came nearest), `reason` with its numbers, `text`.",
        ),
        ("rejection_reasons[]", "The same in words."),
        (
            "differences[]",
            "Moves of which sling and the node did not say the same, newest first, since the plugin has started: `rebalance_id`, `at`, \
             `sling_moved_sats`, `sling_spent_sats`, `settled_moved_msat`, `settled_spent_msat`, `settled_by`, `text`.",
        ),
        ("warnings[]", "What keeps moves from being made."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let Some(report) = ops.last_rebalance() else { return Ok(json!({ "planned_at": null })) };
    let mut answer = shape(&report);
    answer["differences"] = ops.move_differences().iter().map(difference).collect();
    Ok(answer)
}

fn shape(report: &RebalanceReport) -> Value {
    let budget = &report.budget;
    let outcome = |n: usize| match report.begun.get(n) {
        None => "not ordered".to_owned(),
        Some(Begun::Started(id)) => format!("rebalance {id} has begun"),
        Some(Begun::Unheard(id)) => format!("rebalance {id} was ordered, and no answer came"),
        Some(Begun::Refused(why)) => format!("refused: {why}"),
        Some(Begun::Dry) => "not ordered (dry run)".to_owned(),
    };
    let moves = report.plan.moves.iter().enumerate();
    json!({
        "planned_at": date(Some(report.at)),
        "sling_available": matches!(report.rebalancer, Presence::There(_)),
        "dry_run": report.dry_run,
        "capital_controls": {
            "daily_budget_msat": budget.limit,
            "daily_spent_msat": budget.spent,
            "daily_reserved_msat": budget.reserved,
            "budget_remaining_msat": budget.room,
            "daily_budget_sats": budget.limit.sat_floor(),
            "daily_spent_sats": up(budget.spent),
            "daily_reserved_sats": up(budget.reserved),
            "budget_remaining_sats": budget.room.sat_floor(),
            "free_slots": budget.slots,
            "budget_ok": budget.stop.is_none(),
            "stopped_by": budget.stop.map(|stop| stop.to_string()),
        },
        "moves": moves.map(|(n, made)| json!({ "move": made.to_string(), "outcome": outcome(n) })).collect::<Vec<_>>(),
        "refused": report.plan.refused.iter().map(refusal).collect::<Vec<_>>(),
        "rejection_reasons": report.plan.refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": report.rebalancer.in_words().into_iter().collect::<Vec<_>>(),
    })
}

/// A cost is never shown smaller than it is.
pub(super) fn up(msat: Msat) -> u64 {
    msat.0.div_ceil(1000)
}

fn difference(found: &MoveDifference) -> Value {
    json!({
        "rebalance_id": found.id,
        "at": date(Some(found.at)),
        "sling_moved_sats": found.told.0,
        "sling_spent_sats": found.told.1,
        "settled_moved_msat": found.settled.0,
        "settled_spent_msat": found.settled.1,
        "settled_by": found.by.name(),
        "text": found.to_string(),
    })
}

fn refusal(refusal: &Refusal) -> Value {
    json!({
        "channel_id": refusal.scid,
        "role": refusal.role,
        "with": refusal.with,
        "reason": refusal.why,
        "text": refusal.to_string(),
    })
}
