//! A node's state as a JSON text: what rules are tried on from a terminal, and what acceptance cases are written for. Two shapes: our own
//! facts as they are, or channels and forwards as an LND tells them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::Capabilities;
use crate::domain::{
    Activity, Costs, Estimate, Facts, FlowClass, Graph, Msat, NodeFacts, OurTerms, PeerId, Ppm, Sat, Scid, TheirTerms,
    Week,
};

const WEEK_SECS: i64 = 7 * 86_400;

/// The node and its channels as of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub node: NodeFacts,
    pub channels: Vec<Facts>,
}

/// Channels and forwards as an LND tells them.
#[derive(Debug, Deserialize)]
struct Told {
    block_height: u32,
    synced_to_chain: Option<bool>,
    estimate_sat_per_kw: Option<u32>,
    #[serde(default)]
    forwards: Vec<ToldForward>,
    channels: Vec<ToldChannel>,
}

#[derive(Debug, Deserialize)]
struct ToldForward {
    seconds_ago: i64,
    chan_in: String,
    chan_out: String,
    amt_in_sat: u64,
    amt_out_sat: u64,
}

#[derive(Debug, Deserialize)]
struct ToldChannel {
    /// What forwards call it, if not by its short channel id.
    name: Option<String>,
    scid: Scid,
    remote_pubkey: PeerId,
    capacity: u64,
    local_balance: u64,
    remote_balance: u64,
    #[serde(default)]
    commit_fee: u64,
    initiator: Option<bool>,
    #[serde(default)]
    private: bool,
    active: bool,
    #[serde(default)]
    pending_htlcs: Vec<ToldHtlc>,
    #[serde(default)]
    local_constraints: ToldConstraints,
    #[serde(default)]
    remote_constraints: ToldConstraints,
    /// `null`: the graph does not have the channel.
    our_policy: Option<ToldPolicy>,
    peer_policy: Option<ToldPolicy>,
    /// `null`: the graph does not have the peer.
    peer: Option<ToldPeer>,
    funding_tx_fee_in_wallet: Option<u64>,
    #[serde(default)]
    tags: Vec<String>,
    flow_class: Option<FlowClass>,
}

#[derive(Debug, Deserialize)]
struct ToldHtlc {
    incoming: bool,
    amount: u64,
    expiration_height: u32,
}

#[derive(Debug, Default, Deserialize)]
struct ToldConstraints {
    min_htlc_msat: Option<u64>,
    max_pending_amt_msat: Option<u64>,
    chan_reserve_sat: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct ToldPolicy {
    fee_base_msat: u64,
    fee_rate_ppm: u32,
    #[serde(default)]
    inbound_base_msat: i32,
    #[serde(default)]
    inbound_ppm: i32,
    min_htlc_msat: Option<u64>,
    max_htlc_msat: Option<u64>,
    time_lock_delta: Option<u32>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Debug, Deserialize)]
struct ToldPeer {
    num_channels: u32,
    total_capacity: u64,
    alias: Option<String>,
}

impl Snapshot {
    /// `periods`: the spans in seconds that the rules ask activity for.
    pub fn parse(text: &str, periods: &[i64]) -> Result<Snapshot, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        Snapshot::of(value, periods)
    }

    pub fn of(value: Value, periods: &[i64]) -> Result<Snapshot, String> {
        let no = |error: serde_json::Error| format!("is no snapshot of a node: {error}");
        let mut snapshot = if value.get("node").is_some() {
            serde_json::from_value(value).map_err(no)?
        } else {
            let told: Told = serde_json::from_value(value).map_err(no)?;
            told.snapshot(periods)?
        };
        let Snapshot { node, channels } = &mut snapshot;
        node.gather(channels);
        Ok(snapshot)
    }
}

impl Told {
    fn snapshot(&self, periods: &[i64]) -> Result<Snapshot, String> {
        let rate = |kw: u32| Estimate { blocks: 6, sat_per_vb: f64::from(kw) * 4.0 / 1000.0 };
        let node = NodeFacts {
            height: self.block_height,
            synced: self.synced_to_chain,
            feerates: self.estimate_sat_per_kw.map(rate).into_iter().collect(),
            ..NodeFacts::default()
        };
        let channels =
            self.channels.iter().map(|channel| self.facts(channel, periods)).collect::<Result<_, String>>()?;
        Ok(Snapshot { node, channels })
    }

    fn facts(&self, channel: &ToldChannel, periods: &[i64]) -> Result<Facts, String> {
        let pending = |incoming| {
            let these = channel.pending_htlcs.iter().filter(move |htlc| htlc.incoming == incoming);
            these.fold(0_u64, |sum, htlc| sum.saturating_add(htlc.amount))
        };
        let fee = |ours| if channel.initiator.unwrap_or_default() == ours { channel.commit_fee } else { 0 };
        let activity = periods.iter().map(|period| (*period, self.activity(channel, *period)));
        let week = self.activity(channel, WEEK_SECS);
        Ok(Facts {
            scid: channel.scid,
            peer: channel.remote_pubkey,
            alias: channel.peer.as_ref().and_then(|peer| peer.alias.clone()),
            capacity: Sat(channel.capacity),
            local: Sat(channel.local_balance.saturating_add(pending(false)).saturating_add(fee(true))),
            remote: Sat(channel.remote_balance.saturating_add(pending(true)).saturating_add(fee(false))),
            opened_by_us: channel.initiator,
            private: channel.private,
            active: channel.active,
            in_graph: channel.our_policy.is_some(),
            pending: u32::try_from(channel.pending_htlcs.len()).unwrap_or(u32::MAX),
            next_expiry: channel.pending_htlcs.iter().map(|htlc| htlc.expiration_height).min(),
            reserve: channel.remote_constraints.chan_reserve_sat.map(Sat),
            ours: channel.ours(),
            theirs: channel.peer_policy.as_ref().map(ToldPolicy::theirs),
            peer_in_graph: match &channel.peer {
                Some(peer) => Graph::Known { channels: peer.num_channels, capacity: Sat(peer.total_capacity) },
                None => Graph::Missing,
            },
            shared: Default::default(),
            activity: activity.collect::<BTreeMap<_, _>>(),
            week: Some(Week { in_sat: week.in_sat, out_sat: week.out_sat, earned_sat: self.earned(channel) }),
            flow: channel.flow_class,
            tags: channel.tags.iter().cloned().collect(),
            costs: Costs { opening: channel.funding_tx_fee_in_wallet.map(Sat), ..Costs::default() },
        })
    }

    fn activity(&self, channel: &ToldChannel, period: i64) -> Activity {
        let mut sum = Activity::default();
        for forward in self.forwards.iter().filter(|forward| forward.seconds_ago <= period) {
            if channel.is_called(&forward.chan_in) {
                sum.htlcs_in += 1;
                sum.in_sat = sum.in_sat.saturating_add(forward.amt_in_sat);
            }
            if channel.is_called(&forward.chan_out) {
                sum.htlcs_out += 1;
                sum.out_sat = sum.out_sat.saturating_add(forward.amt_out_sat);
            }
        }
        sum
    }

    fn earned(&self, channel: &ToldChannel) -> u64 {
        let week = self.forwards.iter().filter(|forward| forward.seconds_ago <= WEEK_SECS);
        let out = week.filter(|forward| channel.is_called(&forward.chan_out));
        out.map(|forward| forward.amt_in_sat.saturating_sub(forward.amt_out_sat)).fold(0, u64::saturating_add)
    }
}

impl ToldChannel {
    fn is_called(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name) || self.scid.to_string() == name
    }

    fn ours(&self) -> OurTerms {
        let limits = &self.local_constraints;
        let (least_htlc, most_pending) = (limits.min_htlc_msat.map(Msat), limits.max_pending_amt_msat.map(Msat));
        let terms = self.our_policy.as_ref().map(|policy| OurTerms {
            base: Msat(policy.fee_base_msat),
            ppm: Ppm(policy.fee_rate_ppm),
            inbound_base_msat: policy.inbound_base_msat,
            inbound_ppm: policy.inbound_ppm,
            htlc_min: policy.min_htlc_msat.map(Msat),
            htlc_max: policy.max_htlc_msat.map(Msat),
            time_lock_delta: policy.time_lock_delta,
            disabled: policy.disabled,
            ..OurTerms::default()
        });
        OurTerms { least_htlc, most_pending, ..terms.unwrap_or_default() }
    }
}

impl ToldPolicy {
    fn theirs(&self) -> TheirTerms {
        TheirTerms {
            base: Msat(self.fee_base_msat),
            ppm: Ppm(self.fee_rate_ppm),
            inbound_base_msat: self.inbound_base_msat,
            inbound_ppm: self.inbound_ppm,
            disabled: Some(self.disabled),
        }
    }
}

/// What an LND of that version lets us say; the version as it names itself, `0.18.5-beta`.
pub fn lnd_can(version: &str) -> Capabilities {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(|part| part.parse().unwrap_or(0_u32));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_at_least = |least: u32| (major, minor) >= (0, least);
    let inbound = if is_at_least(18) { Capabilities::LND.inbound } else { super::Inbound::Disregarded };
    Capabilities { inbound, disable: is_at_least(13), time_lock_delta: true }
}
