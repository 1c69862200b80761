//! sling, a plugin beside us, over the node's RPC socket: ordered once, bounded, and judged by its own records. It may come and go at
//! any time. Never touches a job that is not ours: it lists them all, and stops only what it is told to.

use std::path::PathBuf;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::cln::call;
use super::{BreakerReport, NodeError, Rebalancer, cln_wire, sling_wire as wire};
use crate::domain::{Booked, ChannelId, Job, MoveOrder, Paid, PeerId, Sat, Scid, Tally, Time};

pub struct Sling {
    rpc_path: PathBuf,
}

impl Sling {
    /// `rpc_path`: the socket `lightning-rpc`. Nothing is opened before the first call.
    pub fn new(rpc_path: impl Into<PathBuf>) -> Sling {
        Sling { rpc_path: rpc_path.into() }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        call(&self.rpc_path, method, params).await
    }

    async fn us(&self) -> Result<PeerId, NodeError> {
        Ok(cln_wire::identity(&self.call("getinfo", json!({})).await?)?.node)
    }

    async fn events(&self, channel: ChannelId) -> Result<Value, NodeError> {
        self.call("bkpr-listaccountevents", json!({"account": channel.to_string()})).await
    }
}

#[async_trait]
impl Rebalancer for Sling {
    async fn version(&self) -> Result<Option<String>, NodeError> {
        match self.call("sling-version", json!({})).await {
            Ok(answer) => wire::version(&answer).map(Some),
            Err(NodeError::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn jobs(&self) -> Result<Vec<Job>, NodeError> {
        let stats = self.call("sling-stats", json!({"json": true})).await?;
        let settings = self.call("sling-jobsettings", json!({})).await?;
        wire::jobs(&stats, &settings)
    }

    async fn tally(&self, channel: Scid) -> Result<Tally, NodeError> {
        let params = json!({"scid": channel.to_string(), "json": true});
        wire::tally(&self.call("sling-stats", params).await?)
    }

    async fn begin(&self, order: &MoveOrder) -> Result<(), NodeError> {
        wire::started(&self.call("sling-once", wire::once(order)).await?)
    }

    async fn stop(&self, channel: Scid) -> Result<(), NodeError> {
        let params = json!({"scid": channel.to_string()});
        wire::stopped(&self.call("sling-stop", params).await?).map(drop)
    }

    async fn booked(&self, from: ChannelId, to: ChannelId, since: Time) -> Result<Option<Booked>, NodeError> {
        let both = async { Ok((self.events(from).await?, self.events(to).await?)) };
        match both.await {
            Ok((from, to)) => wire::booked(&from, &to, since).map(Some),
            // A node may run without its bookkeeper, or with one that does not know the channel.
            Err(NodeError::Unsupported { .. } | NodeError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn paid(&self, most: Sat, since: Time) -> Result<Paid, NodeError> {
        let us = self.us().await?;
        wire::paid(&self.call("listsendpays", json!({"status": "complete"})).await?, us, (most, since))
    }

    /// Other people's jobs pay ourselves as well.
    async fn pending(&self, from: ChannelId, to: ChannelId) -> Result<bool, NodeError> {
        let us = self.us().await?;
        let sent = wire::to_ourselves(&self.call("listsendpays", json!({"status": "pending"})).await?, us)?;
        let channels = self.call("listpeerchannels", json!({})).await?;
        let links = wire::links(&channels, from, to)?;
        if !sent.is_subset(&links.elsewhere) {
            return Ok(true);
        }
        // A payment is over with its preimage; it is in the books when both links have forgotten its HTLCs.
        for hash in links.between.difference(&links.elsewhere) {
            let sent = self.call("listsendpays", json!({"payment_hash": hash})).await?;
            if !wire::to_ourselves(&sent, us)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}
