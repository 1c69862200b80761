//! The plugins beside us that we talk to through the node: CLBoss, whose hands we take fees out of, and cl-hive, which wants to hear of
//! channels. Neither need be there.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::NodeError;
use crate::domain::{ChannelId, CloseType, Msat, PeerId, Ppm, Scid, Side};

/// What CLBoss leaves alone: tags by peer.
pub type Unmanaged = HashMap<PeerId, BTreeSet<String>>;

#[async_trait]
pub trait Neighbours: Send + Sync {
    /// `None`: there is no CLBoss here.
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError>;

    /// CLBoss leaves these tags of the peer alone from now on, and no others.
    async fn clboss_unmanage(&self, peer: PeerId, tags: &BTreeSet<String>) -> Result<(), NodeError>;

    /// No if there is no cl-hive here.
    async fn tell_hive(&self, news: &HiveNews) -> Result<bool, NodeError>;
}

/// What cl-hive wants to hear of. `None`: we do not know it, and it is left out.
#[derive(Clone, Debug, PartialEq)]
pub enum HiveNews {
    Opened { peer: PeerId, channel: ChannelId, scid: Option<Scid>, opener: Option<Side>, capacity: Option<Msat> },
    Closed { peer: PeerId, channel: ChannelId, scid: Option<Scid>, closer: Option<Side>, past: HivePast },
}

/// What a channel has been to us.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HivePast {
    pub capacity: Option<Msat>,
    pub close_type: Option<CloseType>,
    pub days: Option<f64>,
    pub revenue: Option<Msat>,
    pub rebalance_cost: Option<Msat>,
    /// Revenue less all costs.
    pub net_msat: Option<i64>,
    /// Return on the capacity in percent a year.
    pub annualised_roc: Option<f64>,
    pub forwards: Option<u64>,
    pub volume: Option<Msat>,
    pub our_fee: Option<Ppm>,
    pub their_fee: Option<Ppm>,
}

/// A node without neighbours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl Neighbours for Alone {
    async fn clboss_unmanaged(&self) -> Result<Option<Unmanaged>, NodeError> {
        Ok(None)
    }

    async fn clboss_unmanage(&self, _peer: PeerId, _tags: &BTreeSet<String>) -> Result<(), NodeError> {
        Err(NodeError::unsupported("clboss-unmanage", "there is no CLBoss"))
    }

    async fn tell_hive(&self, _news: &HiveNews) -> Result<bool, NodeError> {
        Ok(false)
    }
}
