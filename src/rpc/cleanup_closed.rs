//! `revenue-cleanup-closed`: channels that the node has forgotten go into the archive now, not with the next reading of the books.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-cleanup-closed",
    usage: "",
    about: "Archives channels that the node has closed and forgotten; their books stay.",
    parameters: &[],
    example: "revenue-cleanup-closed",
    answer: &[
        ("archived", "How many were archived now."),
        ("cleaned", "The same: nothing of the books is ever deleted."),
        ("channels[]", "Their short channel ids."),
        ("errors[]", "What went wrong; empty: nothing."),
        ("message", "The same in words."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let (channels, errors) = ops.archive_closed().await?;
    let message = match (channels.len(), errors.is_empty()) {
        (_, false) => "the node's list of closed channels could not be read".to_owned(),
        (0, true) => "every channel that the node has forgotten was archived already".to_owned(),
        (many, true) => format!("{many} closed channels archived"),
    };
    Ok(json!({
        "archived": channels.len(),
        "cleaned": channels.len(),
        "channels": channels,
        "errors": errors,
        "message": message,
    }))
}
