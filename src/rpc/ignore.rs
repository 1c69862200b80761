//! `revenue-ignore`: a peer is left alone, by us and by CLBoss.

use std::sync::Arc;

use serde_json::json;

use super::policy::{applied, peer_of};
use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-ignore",
    usage: "peer_id [reason]",
    about: "Leaves a peer alone: its fees are not touched and nothing is rebalanced, and CLBoss is told to leave both alone as well.",
    parameters: &[
        ("peer_id", "Node id of the peer."),
        ("reason", "Why, in a few words; `manual` if nothing is given."),
    ],
    example: "revenue-ignore 02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \"negotiated by hand\"",
    answer: &[
        ("status, action", "`success`, `ignore`."),
        ("peer_id, reason", "As they were given."),
        ("message", "The same in words."),
        ("applied, fees[]", "As `revenue-policy set` answers."),
        ("warning", "What stands in for this command."),
        ("warning_clboss", "Only if CLBoss could not be told."),
    ],
    refuses: &["what is no node id, and a reason that is longer than 64 characters"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let peer = peer_of(&args)?;
    let reason = args.text("reason")?.filter(|text| !text.is_empty()).unwrap_or_else(|| "manual".to_owned());
    ops.ignore_peer(peer, &reason).await?;
    let answer = json!({
        "status": "success",
        "action": "ignore",
        "peer_id": peer,
        "reason": reason,
        "message": format!("{peer} is ignored: its fees are not touched and nothing is rebalanced ({reason})"),
        "warning": "this is the policy strategy=passive rebalance=disabled with the tags ignored and the reason; \
                    revenue-policy does the same",
    });
    Ok(applied(&ops, answer).await)
}
