//! `revenue-clear-reservations`: gives the budget back what nobody works with any more.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Args, Command};
use crate::ops::{Cleared, Ops};

pub(super) const COMMAND: Command = Command {
    name: "revenue-clear-reservations",
    usage: "",
    about: "Closes the accounts of rebalances on which nobody works any more, and releases what they did not spend. One that runs, or has a \
            payment under way, is left alone; where nobody can tell what one has cost, all of its reservation counts as spent.",
    parameters: &[],
    example: "revenue-clear-reservations",
    answer: &[
        ("status", "`success`."),
        ("cleared_count", "How many reservations there are less than before."),
        ("released_sats", "What they amounted to."),
        ("budget_available", "What may be reserved now, in sats."),
        ("message", "The same in words."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let Cleared { moves, released, budget } = ops.clear_reservations().await?;
    let (released, available) = (released.sat_floor(), budget.room.sat_floor());
    Ok(json!({
        "status": "success",
        "cleared_count": moves,
        "released_sats": released,
        "budget_available": available,
        "message": format!("{moves} reservations of {released} were cleared; {available} of the budget are free"),
    }))
}
