//! Core Lightning over its RPC socket. One connection a call: a call that was given up takes its connection with it, so a late
//! answer is never taken for another's, and a slow call holds up no other. Never retries, never keeps time limits
//! ([`super::guard`] does), never touches more of a channel than the fee that was ordered.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cln_rpc::{ClnRpc, RpcError};
use serde_json::{Value, json};

use super::askrene;
use super::cln_graph as graph;
use super::cln_row::garbled;
use super::{
    BreakerReport, ChannelName, FeeInForce, FeeOrder, ForwardIndex, ForwardPage, Node, NodeError, cln_wire as wire,
};
use crate::domain::{
    Chain, Channel, ChannelId, Clock, Feerate, Forward, GraphPeer, Identity, Msat, PeerId, Scid, SystemClock, Time,
};

/// How long a whole listing of forwards serves, at a node that cannot list them by pages. Such a listing may be of tens of
/// megabytes, and new forwards are heard of by notification anyway.
const WHOLE_LISTING_SERVES_SECS: i64 = 900;

pub struct CoreLightning {
    rpc_path: PathBuf,
    clock: Arc<dyn Clock>,
    lacks: Mutex<BTreeSet<Lack>>,
    /// Only filled at a node that cannot list forwards by pages.
    whole: Mutex<Option<Arc<Listing>>>,
}

/// What an older node cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lack {
    ForwardPages,
    OldScids,
    PeerFees,
    /// It is we who lack something.
    Outcomes,
}

/// All forwards of a node that cannot list them by pages.
struct Listing {
    at: Time,
    forwards: Vec<Forward>,
}

impl CoreLightning {
    /// `rpc_path`: the socket `lightning-rpc`. Nothing is opened before the first call.
    pub fn new(rpc_path: impl Into<PathBuf>) -> CoreLightning {
        CoreLightning::with_clock(rpc_path, Arc::new(SystemClock))
    }

    pub fn with_clock(rpc_path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> CoreLightning {
        CoreLightning { rpc_path: rpc_path.into(), clock, lacks: Mutex::default(), whole: Mutex::default() }
    }

    /// One command of the node or of a plugin on it, and its answer as it came.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        call(&self.rpc_path, method, params).await
    }

    async fn forward_page(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        let index = match page.index {
            ForwardIndex::Created => "created",
            ForwardIndex::Updated => "updated",
        };
        let limit = page.limit.min(u64::from(u32::MAX));
        let params = json!({"index": index, "start": page.start, "limit": limit});
        let forwards = self.listed(&self.call("listforwards", params).await?)?;
        // Without the index the next page could not be asked for.
        match forwards.iter().find(|forward| index_of(forward, page.index).is_none()) {
            Some(forward) => {
                let name = format!("{} #{}", forward.key.in_channel, forward.key.in_htlc_id);
                Err(garbled("listforwards", format!("the forward {name} lacks '{index}_index'")))
            }
            None => Ok(forwards),
        }
    }

    fn listed(&self, answer: &Value) -> Result<Vec<Forward>, NodeError> {
        if wire::has_new_status(answer) {
            self.note(Lack::Outcomes, true);
        }
        wire::forwards(answer)
    }

    async fn whole_listing(&self) -> Result<Arc<Listing>, NodeError> {
        let now = self.clock.now();
        let fresh = |listing: &&Arc<Listing>| (0..WHOLE_LISTING_SERVES_SECS * 1000).contains(&(now.0 - listing.at.0));
        if let Some(listing) = held(&self.whole).as_ref().filter(fresh) {
            return Ok(Arc::clone(listing));
        }
        let forwards = self.listed(&self.call("listforwards", json!({})).await?)?;
        let listing = Arc::new(Listing { at: now, forwards: numbered(forwards) });
        *held(&self.whole) = Some(Arc::clone(&listing));
        Ok(listing)
    }

    /// By an id that may be from before a splice. `None`: this node does not look up single channels.
    async fn open_channel_of(&self, scid: Scid) -> Result<Option<Vec<ChannelName>>, NodeError> {
        let params = json!({"short_channel_id": scid.to_string()});
        let names = match self.call("listpeerchannels", params).await {
            Ok(answer) => wire::names("listpeerchannels", "channels", &answer)?,
            Err(NodeError::Unsupported { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(names.into_iter().map(|(_, name)| name).collect()))
    }

    async fn listed_channel_of(&self, scid: Scid, method: &str, list: &str) -> Result<Option<ChannelName>, NodeError> {
        let names = wire::names(method, list, &self.call(method, json!({})).await?)?;
        Ok(names.into_iter().find(|(scids, _)| scids.contains(&scid)).map(|(_, name)| name))
    }

    fn lacks(&self, what: Lack) -> bool {
        held(&self.lacks).contains(&what)
    }

    fn note(&self, what: Lack, lacking: bool) {
        let mut lacks = held(&self.lacks);
        if lacking {
            lacks.insert(what)
        } else {
            lacks.remove(&what)
        };
    }
}

#[async_trait]
impl Node for CoreLightning {
    async fn identity(&self) -> Result<Identity, NodeError> {
        wire::identity(&self.call("getinfo", json!({})).await?)
    }

    async fn channels(&self) -> Result<Vec<Channel>, NodeError> {
        let answer = self.call("listpeerchannels", json!({})).await?;
        let channels = wire::channels(&answer)?;
        self.note(Lack::PeerFees, wire::hides_peer_fees(&answer));
        Ok(channels)
    }

    async fn forwards(&self, page: ForwardPage) -> Result<Vec<Forward>, NodeError> {
        if !self.lacks(Lack::ForwardPages) {
            match self.forward_page(page).await {
                Err(NodeError::Unsupported { .. }) => {}
                answer => return answer,
            }
        }
        let listing = self.whole_listing().await?;
        self.note(Lack::ForwardPages, true);
        Ok(listing.page(page))
    }

    async fn channel_of(&self, scid: Scid) -> Result<Option<ChannelName>, NodeError> {
        let open = match self.open_channel_of(scid).await? {
            Some(found) => found.into_iter().next(),
            None => {
                self.note(Lack::OldScids, true);
                self.listed_channel_of(scid, "listpeerchannels", "channels").await?
            }
        };
        match open {
            Some(name) => Ok(Some(name)),
            None => self.listed_channel_of(scid, "listclosedchannels", "closedchannels").await,
        }
    }

    async fn feerate(&self) -> Result<Option<Feerate>, NodeError> {
        wire::feerate(&self.call("feerates", json!({"style": "perkb"})).await?)
    }

    async fn onchain(&self) -> Result<Option<Msat>, NodeError> {
        wire::onchain(&self.call("listfunds", json!({})).await?).map(Some)
    }

    async fn way(&self, from: PeerId, to: PeerId, arrives: Msat) -> Result<Option<Msat>, NodeError> {
        askrene::way(self, from, to, arrives).await
    }

    async fn chain(&self) -> Result<Chain, NodeError> {
        let info = self.call("getinfo", json!({})).await?;
        graph::chain(&info, &self.call("feerates", json!({"style": "perkb"})).await?)
    }

    /// Three questions: its name, the channels that it tells of, and those that others tell of.
    async fn peer_in_graph(&self, peer: PeerId) -> Result<GraphPeer, NodeError> {
        let id = peer.to_string();
        let nodes = self.call("listnodes", json!({"id": id})).await?;
        let from = self.call("listchannels", json!({"source": id})).await?;
        let to = self.call("listchannels", json!({"destination": id})).await?;
        graph::peer(&nodes, &from, &to)
    }

    async fn splicers(&self) -> Result<HashMap<PeerId, bool>, NodeError> {
        graph::splicers(&self.call("listpeers", json!({})).await?)
    }

    async fn opening_cost(&self, channel: ChannelId) -> Result<Option<Msat>, NodeError> {
        let account = json!({"account": channel.to_string()});
        match self.call("bkpr-listaccountevents", account).await {
            Ok(answer) => graph::opening_cost(&answer),
            // Without a bookkeeper, or for a channel that it has not heard of.
            Err(NodeError::Unsupported { .. } | NodeError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is not named stays as it is, and the node keeps accepting the old fee for ten minutes after a raise: payments
    /// that are under way at the old price still pass.
    async fn set_fee(&self, order: FeeOrder) -> Result<FeeInForce, NodeError> {
        let mut params = json!({"id": order.channel.to_string(), "feeppm": order.ppm.0});
        let more = [("feebase", order.base), ("htlcmin", order.htlc_min), ("htlcmax", order.htlc_max)];
        for (name, amount) in more {
            if let Some(amount) = amount {
                params[name] = json!(amount.0);
            }
        }
        wire::fee_in_force(&self.call("setchannel", params).await?, order.channel)
    }

    fn warnings(&self) -> Vec<String> {
        held(&self.lacks).iter().map(|lack| lack.sentence().to_owned()).collect()
    }

    fn breakers(&self) -> Vec<BreakerReport> {
        Vec::new()
    }
}

impl Listing {
    fn page(&self, page: ForwardPage) -> Vec<Forward> {
        let skipped = usize::try_from(page.start.saturating_sub(1)).unwrap_or(usize::MAX);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        match page.index {
            ForwardIndex::Created => self.forwards.iter().skip(skipped).take(limit).cloned().collect(),
            // A forward is listed once it is final, so nothing changes afterwards.
            ForwardIndex::Updated => Vec::new(),
        }
    }
}

impl Lack {
    fn sentence(self) -> &'static str {
        match self {
            Lack::ForwardPages => {
                "This node cannot list forwards by pages (Core Lightning can since v23.11): all of them are read, every 15 \
                 minutes at most. After forwards were deleted there (autoclean, delforward), those that were missed while \
                 this plugin was not running may stay missing."
            }
            Lack::OldScids => {
                "This node does not tell which channel had a short channel id before a splice (Core Lightning does since \
                 v25.05): forwards under such an id are counted to no channel."
            }
            Lack::PeerFees => {
                "This node does not tell what the peers ask for (Core Lightning does since v24.02): nothing is decided by \
                 the peers' fees."
            }
            Lack::Outcomes => {
                "This node tells of forwards with a status that this version does not know: they are not counted. Update \
                 cl-revenue-ops."
            }
        }
    }
}

/// Final forwards, in the order in which they became final, counted from 1. New ones then only ever come last; and as there
/// are never more of them than the node has made, reading goes on from this count when the node learns to page.
fn numbered(mut forwards: Vec<Forward>) -> Vec<Forward> {
    forwards.retain(|forward| forward.status.is_final());
    forwards.sort_by_key(|forward| (forward.resolved.unwrap_or(forward.received), forward.key));
    for (forward, number) in forwards.iter_mut().zip(1..) {
        forward.created_index = Some(number);
        forward.updated_index = None;
    }
    forwards
}

fn index_of(forward: &Forward, index: ForwardIndex) -> Option<u64> {
    match index {
        ForwardIndex::Created => forward.created_index,
        ForwardIndex::Updated => forward.updated_index,
    }
}

/// One call on a connection of its own.
pub(super) async fn call(rpc_path: &Path, method: &str, params: Value) -> Result<Value, NodeError> {
    let mut rpc = ClnRpc::new(rpc_path).await.map_err(|error| NodeError::Unreachable {
        method: method.to_owned(),
        why: format!("cannot connect to '{}': {error:#}", rpc_path.display()),
    })?;
    rpc.call_raw(method, &params).await.map_err(|error| refusal(method, error))
}

fn refusal(method: &str, error: RpcError) -> NodeError {
    const UNKNOWN_METHOD: i32 = -32601;
    const BAD_PARAMETERS: i32 = -32602;
    let method = method.to_owned();
    let message = error.message;
    match error.code {
        Some(UNKNOWN_METHOD) => NodeError::unsupported(method, message),
        Some(BAD_PARAMETERS) if message.starts_with("unknown parameter") => NodeError::unsupported(method, message),
        Some(code) => NodeError::Refused { method, code: i64::from(code), message },
        // Without a code it is the library that speaks: the answer was no JSON-RPC, or there was none.
        None if message.starts_with("Invalid response") => NodeError::Garbled { method, why: message },
        None => NodeError::Unreachable { method, why: message },
    }
}

/// What these locks hold is valid at every moment, also after a panic elsewhere.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
