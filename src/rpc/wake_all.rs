//! `revenue-wake-all`: no channel waits any longer; all are decided now.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Args, Command};
use crate::ops::{Ops, WakeAnswer};

pub(super) const COMMAND: Command = Command {
    name: "revenue-wake-all",
    usage: "",
    about: "Ends every channel's waiting for a block or for a difference that is worth gossip, and runs a fee cycle; the budget of \
            changes a day holds all the same.",
    parameters: &[],
    example: "revenue-wake-all",
    answer: &[
        ("status", "`ok`."),
        ("channels_woken", "How many channels were decided."),
        ("channels_moved", "How many of them got another fee (in a dry run: would have)."),
        ("channels_waiting_for_budget", "How many of them wait for `max_fee_updates_per_day`."),
        ("channels_failed", "How many of them the node refused, or did not answer for."),
        ("message", "The same in words."),
        ("warning_dry_run", "Only with dry-run: nothing was sent to the node."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let mut answer = shape(ops.wake_all().await?);
    if ops.settings().now().dry_run {
        answer["warning_dry_run"] = json!("dry-run is on: nothing was sent to the node");
    }
    Ok(answer)
}

fn shape(answer: WakeAnswer) -> Value {
    let WakeAnswer { woken, moved, waiting, failed } = answer;
    let message = format!(
        "{woken} channels were decided: {moved} moved, {waiting} wait for the budget of a day; revenue-fee-debug says why"
    );
    json!({
        "status": "ok",
        "channels_woken": woken,
        "channels_moved": moved,
        "channels_waiting_for_budget": waiting,
        "channels_failed": failed,
        "message": message,
    })
}
