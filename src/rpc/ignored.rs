//! `revenue-list-ignored`: whom we leave alone, and why.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-list-ignored",
    usage: "",
    about: "Lists the peers that `revenue-ignore` has put aside.",
    parameters: &[],
    example: "revenue-list-ignored",
    answer: &[
        ("ignored_peers[]", "`peer_id`, `reason`, `ignored_at`."),
        ("count", "How many."),
        ("warning", "What stands in for this command."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let policies = ops.peer_policies().await?;
    let ignored = policies.iter().filter(|policy| policy.is_ignored());
    let rows: Vec<Value> = ignored
        .map(|p| json!({ "peer_id": p.peer, "reason": p.reason(), "ignored_at": p.updated_at.secs() }))
        .collect();
    let warning = "revenue-policy find ignored shows the same";
    Ok(json!({ "count": rows.len(), "ignored_peers": rows, "warning": warning }))
}
