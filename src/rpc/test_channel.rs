//! `revenue-test-channel`: how the sources of policies come to their word on one channel. Changes nothing.

use std::sync::Arc;

use serde_json::json;

use super::args::required;
use super::{Answer, Args, Command, policy_shape};
use crate::ops::Ops;
use crate::policy::Capabilities;
use crate::policy::report::Report;

pub(super) const COMMAND: Command = Command {
    name: "revenue-test-channel",
    usage: "channel_id",
    about: "Shows section by section how the rule file comes to its word on a channel, and the policy that follows from all sources.",
    parameters: &[("channel_id", "Short channel id (an earlier one too, after a splice), alias or channel id.")],
    example: "revenue-test-channel 800000x12x1",
    answer: &[
        ("channel_id, peer_id", "The channel."),
        (
            "rules",
            "null without a rule file; otherwise `section`, `line`, `strategy`, `outcome`, `held_back` and `trail[]`: each section, whether it matched, or the key that did not with the value `wanted` and the one `found`, and what it masked (`old`, `new`); `in_force` and `update`: what is to be sent; `unsupported`: keys that Core Lightning cannot honour.",
        ),
        ("lines[]", "The same as text."),
        (
            "policy",
            "What follows from the peer's own policy, the rule file and the default, with the `trail` of who decided each member.",
        ),
        ("warning_rules", "Only if the configured rule file could not be used."),
    ],
    refuses: &["a channel that the node does not know, or that does not route"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let name = required("channel_id", args.text("channel_id")?)?;
    let tested = ops.test_channel(&name).await?;
    let report = tested.rules.as_ref().map(|(resolution, facts)| Report {
        resolution,
        facts,
        can: Capabilities::CORE_LIGHTNING,
    });
    let text = report.as_ref().map(Report::to_string).unwrap_or_default();
    let mut answer = json!({
        "channel_id": tested.channel.scid,
        "peer_id": tested.channel.peer,
        "rules": report.as_ref().map(Report::json),
        "lines": text.lines().collect::<Vec<_>>(),
        "policy": policy_shape::in_force(&tested.policy),
    });
    if !tested.warnings.is_empty() {
        answer["warning_rules"] = json!(tested.warnings.join("; "));
    }
    Ok(answer)
}
