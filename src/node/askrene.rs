//! Core Lightning's own search for routes. Never pays, and never takes a search that failed for a way that costs nothing.

use serde_json::{Value, json};

use super::NodeError;
use super::cln::CoreLightning;
use super::cln_row::{Row, msat, rows, text};
use super::cln_wire;
use crate::domain::{Msat, PeerId};

/// Our word to the search: leave us out. It lives as long as the node runs, and every search names it.
const LAYER: &str = "cl-revenue-ops";
/// Ways that take more than this part of the amount are of no use to anybody.
const DEAREST: u64 = 20;
/// Codes of `getroutes`: there is no way, or none that is cheap enough.
const NO_WAY: [i64; 2] = [205, 206];

/// What the cheapest way takes; `None`: there is none.
pub(super) async fn way(
    node: &CoreLightning,
    from: PeerId,
    to: PeerId,
    arrives: Msat,
) -> Result<Option<Msat>, NodeError> {
    let ask = json!({
        "source": from.to_string(),
        "destination": to.to_string(),
        "amount_msat": arrives.0,
        "layers": [LAYER],
        "maxfee_msat": arrives.0 / DEAREST,
        "final_cltv": 18,
        "maxparts": 1,
    });
    let answer = match node.call("getroutes", ask.clone()).await {
        // Nobody has said yet that we are to be left out, in this life of the node. Where there is no way, the reason may name the
        // layer as well.
        Err(NodeError::Refused { code, message, .. }) if !NO_WAY.contains(&code) && message.contains("layer") => {
            leave_us_out(node).await?;
            node.call("getroutes", ask).await
        }
        answer => answer,
    };
    match answer {
        Ok(answer) => fee(&answer, arrives).map(Some),
        Err(NodeError::Refused { code, .. }) if NO_WAY.contains(&code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A layer that leads through us would be worse than none, so it goes again if that cannot be said.
async fn leave_us_out(node: &CoreLightning) -> Result<(), NodeError> {
    let us = cln_wire::identity(&node.call("getinfo", json!({})).await?)?.node;
    node.call("askrene-create-layer", json!({"layer": LAYER})).await?;
    match node.call("askrene-disable-node", json!({"layer": LAYER, "node": us.to_string()})).await {
        Ok(_) => Ok(()),
        Err(error) => {
            node.call("askrene-remove-layer", json!({"layer": LAYER})).await?;
            Err(error)
        }
    }
}

/// `getroutes`: what is sent beyond what arrives.
pub fn fee(answer: &Value, arrives: Msat) -> Result<Msat, NodeError> {
    const METHOD: &str = "getroutes";
    let mut sent = Msat::ZERO;
    let mut got = Msat::ZERO;
    for route in Row::list(METHOD, answer, "routes")? {
        let path = json!({ "path": route.need("path", rows)? });
        let hops = Row::list(METHOD, &path, "path")?;
        let first = hops.first().ok_or_else(|| route.garbled("a path without a hop"))?;
        first.need("short_channel_id_dir", text)?;
        // Older nodes have one name for it only.
        let leaves = first.want("amount_in_msat", msat)?.map_or_else(|| first.need("amount_msat", msat), Ok)?;
        sent = sent.checked_add(leaves).ok_or_else(|| route.garbled("amounts beyond counting"))?;
        got = got
            .checked_add(route.need("amount_msat", msat)?)
            .ok_or_else(|| route.garbled("amounts beyond counting"))?;
    }
    let whole = Row::whole(METHOD, answer)?;
    if got < arrives {
        return Err(whole.garbled(&format!("{got} arrive of {arrives}")));
    }
    sent.checked_sub(got).ok_or_else(|| whole.garbled("more arrives than is sent"))
}
