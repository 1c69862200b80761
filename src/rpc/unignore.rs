//! `revenue-unignore`: what `revenue-ignore` did is undone, and nothing else.

use std::sync::Arc;

use serde_json::json;

use super::policy::{applied, peer_of};
use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-unignore",
    usage: "peer_id",
    about: "Undoes `revenue-ignore`; a policy that was made in another way stays as it is.",
    parameters: &[("peer_id", "Node id of the peer.")],
    example: "revenue-unignore 02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    answer: &[
        ("status, action", "`success`, or `noop` if the peer was not ignored; `unignore`."),
        ("peer_id", "As it was given."),
        ("message", "The same in words."),
        ("applied, fees[]", "As `revenue-policy set` answers."),
    ],
    refuses: &["what is no node id"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let peer = peer_of(&args)?;
    if !ops.unignore_peer(peer).await? {
        let message = format!("{peer} is not ignored; revenue-list-ignored shows who is");
        return Ok(json!({ "status": "noop", "action": "unignore", "peer_id": peer, "message": message }));
    }
    let message = format!("{peer} is no longer ignored; its channels follow the default");
    let answer = json!({ "status": "success", "action": "unignore", "peer_id": peer, "message": message });
    Ok(applied(&ops, answer).await)
}
