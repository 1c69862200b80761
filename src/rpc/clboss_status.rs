//! `revenue-clboss-status`: what CLBoss leaves alone, and what of that because of us.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Args, Command};
use crate::domain::PeerId;
use crate::ops::{ClbossReport, Ops, TagRow};

pub(super) const COMMAND: Command = Command {
    name: "revenue-clboss-status",
    usage: "",
    about: "Shows what CLBoss leaves alone, and what of that because of us.",
    parameters: &[],
    example: "revenue-clboss-status",
    answer: &[
        ("clboss_enabled", "The option `revenue-ops-clboss-enabled`."),
        ("clboss_available", "CLBoss answers."),
        ("unmanaged_peers[]", "What we took out of its hands: `peer_id`, `tags[]`, `since`."),
        ("returned_peers[]", "What was given back by `revenue-remanage`: the same."),
        (
            "clboss_status",
            "By CLBoss's own account: node ids with their tags, also those that the user has set; or null.",
        ),
        ("message", "What to know, if anything."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    Ok(shape(&ops.clboss_report().await?))
}

fn shape(report: &ClbossReport) -> Value {
    let mut answer = json!({
        "clboss_enabled": report.enabled,
        "clboss_available": report.unmanaged.is_some(),
        "unmanaged_peers": peers(&report.taken),
        "returned_peers": peers(&report.returned),
        "clboss_status": report.unmanaged.as_ref().map(|unmanaged| json!({ "unmanaged": unmanaged })),
    });
    let message = match (&report.problem, &report.unmanaged) {
        (Some(problem), _) => Some(problem.clone()),
        (None, None) => Some("there is no CLBoss on this node".to_owned()),
        (None, Some(_)) if !report.enabled => {
            Some("revenue-ops-clboss-enabled is false: CLBoss is told nothing".to_owned())
        }
        _ => None,
    };
    if let Some(message) = message {
        answer["message"] = json!(message);
    }
    answer
}

fn peers(rows: &[TagRow]) -> Vec<Value> {
    let mut by_peer: BTreeMap<PeerId, Vec<&TagRow>> = BTreeMap::new();
    for row in rows {
        by_peer.entry(row.peer).or_default().push(row);
    }
    let shown = |(peer, rows): (PeerId, Vec<&TagRow>)| {
        let tags: Vec<&str> = rows.iter().map(|row| row.tag.as_str()).collect();
        json!({ "peer_id": peer, "tags": tags, "since": rows.iter().map(|row| row.at.secs()).min() })
    };
    by_peer.into_iter().map(shown).collect()
}
