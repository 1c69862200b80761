//! `revenue-wake-all`: no channel waits any longer; all are decided now.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-wake-all",
    usage: "",
    about: "Makes every channel act at once on what it has been waiting with, and runs a fee cycle.",
    parameters: &[],
    example: "revenue-wake-all",
    answer: &[
        ("status", "`ok`."),
        ("channels_woken", "How many channels were decided."),
        ("message", "The same in words."),
        ("warning_dry_run", "Only with dry-run: nothing was sent to the node."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let woken = ops.wake_all().await?;
    let message = format!("{woken} channels were decided; revenue-fee-debug says how");
    let mut answer = json!({ "status": "ok", "channels_woken": woken, "message": message });
    if ops.settings().now().dry_run {
        answer["warning_dry_run"] = json!("dry-run is on: nothing was sent to the node");
    }
    Ok(answer)
}
