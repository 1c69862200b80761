//! The node's search for routes, as far as it concerns ways between our peers. It finds the way through us as well, unless it is told to
//! leave us out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Lightningd;
use super::channels::peer_id;
use super::wire::{Answer, Params, RpcError};
use crate::domain::{Msat, PeerId};
use crate::node::Node as _;

const NO_WAY: i64 = 205;
const TOO_DEAR: i64 = 206;
/// Blocks for each hop, as most nodes ask.
const DELAY: u64 = 6;

impl Lightningd {
    pub(super) async fn search(&self, method: &str, params: &Params) -> Answer {
        match method {
            "getroutes" => self.getroutes(params).await,
            "askrene-create-layer" => {
                let layer = params.required_text("layer")?;
                if self.tricks().layers.insert(layer.clone(), BTreeSet::new()).is_some() {
                    return Err(RpcError::params("Layer already exists"));
                }
                let made = json!({
                    "layer": layer, "persistent": false, "disabled_nodes": [], "created_channels": [],
                    "channel_updates": [], "constraints": [], "biases": [], "node_biases": [],
                });
                Ok(json!({ "layers": [made] }))
            }
            "askrene-remove-layer" => {
                let layer = params.required_text("layer")?;
                let removed = self.tricks().layers.remove(&layer);
                removed.map(|_| json!({})).ok_or_else(|| RpcError::token("layer", "Unknown layer"))
            }
            _ => {
                let (layer, node) = (params.required_text("layer")?, params.required_text("node")?);
                let mut tricks = self.tricks();
                let layer = tricks.layers.get_mut(&layer).ok_or_else(|| RpcError::token("layer", "Unknown layer"))?;
                layer.insert(node);
                Ok(json!({}))
            }
        }
    }

    async fn getroutes(&self, params: &Params) -> Answer {
        let missing = |name| move || RpcError::missing(name);
        let from = peer_id(params, "source")?.ok_or_else(missing("source"))?;
        let to = peer_id(params, "destination")?.ok_or_else(missing("destination"))?;
        let arrives = params.msat("amount_msat")?.ok_or_else(missing("amount_msat"))?;
        let most = params.msat("maxfee_msat")?.unwrap_or(u64::MAX);
        let way = self.node.way(from, to, Msat(arrives)).await;
        let way = way.map_err(|error| RpcError::new(-1, error.to_string()))?.map(|fee| fee.0);
        let without_us = self.without_us(params)?;
        let through_us = self.through_us(to, arrives);
        match (way.into_iter().chain(through_us.filter(|_| without_us.is_none())).min(), without_us) {
            (Some(fee), _) if fee > most => Err(RpcError::new(TOO_DEAR, "Could not find route without excessive cost")),
            (Some(fee), _) => Ok(route((from, to), arrives, fee)),
            (None, Some(layer)) if through_us.is_some() => {
                let why = format!("The shortest path leads to node disabled by layer {layer}.");
                Err(RpcError::new(NO_WAY, format!("We could not find a usable set of paths.  {why}")))
            }
            (None, _) => Err(RpcError::new(NO_WAY, "We could not find a usable set of paths.")),
        }
    }

    /// Which of the layers that are named disables us?
    fn without_us(&self, params: &Params) -> Result<Option<String>, RpcError> {
        let us = self.node.market().network().us.to_string();
        let named = params.required("layers")?.as_array().cloned().unwrap_or_default();
        let tricks = self.tricks();
        let mut without = None;
        for name in named.iter().filter_map(Value::as_str) {
            let layer = tricks.layers.get(name).ok_or_else(|| RpcError::token("layers", "unknown layer"))?;
            without = without.or_else(|| layer.contains(&us).then(|| name.to_owned()));
        }
        Ok(without)
    }

    /// What we ask for a forward to the peer.
    fn through_us(&self, to: PeerId, arrives: u64) -> Option<u64> {
        let market = self.node.market();
        let channel = market.channels.iter().find(|channel| channel.peer_id == to && channel.routes())?;
        Some(channel.price.fee(arrives))
    }
}

/// One hop, whatever lies between.
fn route((from, to): (PeerId, PeerId), arrives: u64, fee: u64) -> Value {
    let hop = json!({
        "short_channel_id_dir": "1x1x1/0", "node_id_in": from, "node_id_out": to, "next_node_id": to,
        "amount_in_msat": arrives + fee, "amount_out_msat": arrives, "amount_msat": arrives + fee,
        "cltv_in": 9 + DELAY, "cltv_out": 9, "delay": 9 + DELAY,
    });
    let route = json!({ "probability_ppm": 900_000, "amount_msat": arrives, "final_cltv": 9, "path": [hop] });
    json!({ "probability_ppm": 900_000, "routes": [route] })
}
