//! Plugins that are only played: CLBoss, cl-hive and sling, as far as others speak to them. Not there until `sim-neighbours` says so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Lightningd;
use super::wire::{Answer, Params, Request, RpcError};

/// Names and usages of the commands that they bring.
const CLBOSS: &[(&str, &[&str])] = &[("clboss-status", &[]), ("clboss-unmanage", &["nodeid", "tags"])];
const HIVE: &[&str] = &["hive-channel-opened", "hive-channel-closed"];
/// What CLBoss can be told to leave alone.
const TAGS: [&str; 4] = ["lnfee", "open", "close", "balance"];

#[derive(Debug, Default)]
pub(super) struct Neighbours {
    clboss: bool,
    hive: bool,
    /// Node ids with their tags; it outlives a restart of CLBoss.
    unmanaged: BTreeMap<String, String>,
    /// What was said to them, in order.
    heard: Vec<Value>,
}

impl Lightningd {
    /// The answer of a neighbour, if one knows the command.
    pub(super) fn neighbour(&self, request: &Request) -> Option<Answer> {
        if let Some(answer) = self.sling(request) {
            return Some(answer);
        }
        let mut tricks = self.tricks();
        let neighbours = &mut tricks.neighbours;
        let method = request.method.as_str();
        let clboss = CLBOSS.iter().find(|(name, _)| neighbours.clboss && *name == method);
        if clboss.is_none() && !(neighbours.hive && HIVE.contains(&method)) {
            return None;
        }
        neighbours.heard.push(json!({ "method": method, "params": request.params }));
        Some(match clboss {
            None => Ok(json!({ "action": "notified_hive" })),
            Some((_, names)) => {
                Params::read(&request.params, names).and_then(|params| neighbours.clboss(method, &params))
            }
        })
    }

    /// `sim-neighbours [clboss] [hive] [sling] [route] [lie] [cost]`: brings them and takes them away, and the ways that sling could take
    /// (`cost`: percent of what they cost on the public network), and lets sling lie (`none`: no more); answers what they have heard.
    pub(super) fn play_neighbours(&self, params: &Params) -> Answer {
        let sling = self.play_sling(params.boolean("sling")?, (params.boolean("route")?, params.number("cost")?));
        if let Some(lie) = params.text("lie") {
            self.play_lie(&lie)?;
        }
        let mut tricks = self.tricks();
        let neighbours = &mut tricks.neighbours;
        neighbours.clboss = params.boolean("clboss")?.unwrap_or(neighbours.clboss);
        neighbours.hive = params.boolean("hive")?.unwrap_or(neighbours.hive);
        let Neighbours { clboss, hive, heard, .. } = &*neighbours;
        Ok(json!({ "clboss": clboss, "hive": hive, "sling": sling, "heard": heard }))
    }
}

impl Neighbours {
    fn clboss(&mut self, method: &str, params: &Params) -> Answer {
        if method == "clboss-status" {
            return Ok(json!({ "info": { "version": "played" }, "unmanaged": self.unmanaged }));
        }
        let (id, tags) = (params.required_text("nodeid")?, params.text("tags").unwrap_or_default());
        let tags: Vec<&str> = tags.split([',', ' ']).filter(|tag| !tag.is_empty()).collect();
        if let Some(unknown) = tags.iter().find(|tag| !TAGS.contains(*tag)) {
            return Err(RpcError::params(format!("Unknown tag: {unknown}")));
        }
        // The list takes the place of the one before.
        match tags.is_empty() {
            true => drop(self.unmanaged.remove(&id)),
            false => drop(self.unmanaged.insert(id, tags.join(", "))),
        }
        Ok(json!({}))
    }
}
