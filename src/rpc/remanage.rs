//! `revenue-remanage`: CLBoss gets back what we took out of its hands.

use std::sync::Arc;

use serde_json::json;

use super::policy::peer_of;
use super::{Answer, Args, Command};
use crate::ops::Ops;

pub(super) const COMMAND: Command = Command {
    name: "revenue-remanage",
    usage: "peer_id [tag]",
    about: "Gives back to CLBoss what we took out of its hands for a peer; tags that the user has set there himself stay as they are. \
            It is not taken again before the peer's policy is set anew.",
    parameters: &[("peer_id", "Node id of the peer."), ("tag", "`lnfee` or `balance`; both, if nothing is given.")],
    example: "revenue-remanage 02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa lnfee",
    answer: &[
        ("status", "`success`; `noop` if nothing was taken."),
        ("action, success", "`remanage`; whether CLBoss was told."),
        ("peer_id, tag", "As they were given."),
        ("tags[]", "What was given back."),
        ("message", "The same in words."),
        ("warning_priced", "Only if we go on setting the peer's fees."),
    ],
    refuses: &["an unknown tag", "a node without CLBoss"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let (peer, tag) = (peer_of(&args)?, args.text("tag")?);
    let tags = ops.remanage(peer, tag.as_deref()).await?;
    let (status, message) = match tags.is_empty() {
        true => ("noop", format!("nothing of {peer} was taken out of CLBoss's hands")),
        false => ("success", format!("CLBoss manages {} of {peer} again", tags.join(" and "))),
    };
    let mut answer = json!({
        "status": status,
        "action": "remanage",
        "success": !tags.is_empty(),
        "peer_id": peer,
        "tag": tag,
        "tags": tags,
        "message": message,
    });
    let (_, policy) = ops.policy_of(peer).await?;
    if policy.is_priced() && tags.iter().any(|tag| tag == "lnfee") {
        answer["warning_priced"] = json!(format!(
            "its fees are set here as well, unless revenue-policy set {peer} strategy=passive leaves them to CLBoss"
        ));
    }
    Ok(answer)
}
