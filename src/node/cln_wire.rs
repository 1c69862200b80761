//! The shapes that Core Lightning (v23.05 to v26.06) sends, turned into the words of the house: only the fields that we use,
//! the rest is ignored. Never talks to a node, and never leaves out a row that it does not understand.

use serde_json::Value;

use super::cln_row::{Row, count, date, flag, garbled, id, micros, msat, rows, seconds, small_count, text};
use super::{FeeInForce, NodeError, NodeEvent};
use crate::domain::{
    Bounds, Channel, ChannelId, ChannelName, ChannelState, Evidence, FeePolicy, Feerate, Forward, ForwardKey,
    ForwardStatus, Identity, Msat, Ppm, Scid, Side,
};

/// `getinfo`
pub fn identity(answer: &Value) -> Result<Identity, NodeError> {
    let info = Row::whole("getinfo", answer)?;
    Ok(Identity { node: info.need("id", id)?, network: info.need("network", text)?.to_owned() })
}

/// `listpeerchannels`
pub fn channels(answer: &Value) -> Result<Vec<Channel>, NodeError> {
    let rows = Row::list("listpeerchannels", answer, "channels")?;
    rows.iter().filter_map(|row| channel(row).transpose()).collect()
}

/// `listfunds`: confirmed outputs that nothing has reserved.
pub fn onchain(answer: &Value) -> Result<Msat, NodeError> {
    let mut sum = Msat::ZERO;
    for row in Row::list("listfunds", answer, "outputs")? {
        if row.need("status", text)? == "confirmed" && row.like("reserved", flag) != Some(true) {
            let more = sum.checked_add(row.need("amount_msat", msat)?);
            sum = more.ok_or_else(|| row.garbled("the outputs are beyond counting"))?;
        }
    }
    Ok(sum)
}

/// Does `listpeerchannels` of this node leave out what the peers ask for? (It has told since v24.02.)
pub fn hides_peer_fees(answer: &Value) -> bool {
    let rows = Row::list("listpeerchannels", answer, "channels").unwrap_or_default();
    rows.iter().any(|row| row.like("state", text) == Some("CHANNELD_NORMAL") && !row.has("updates"))
}

/// Which channels `listpeerchannels` or `listclosedchannels` names, with the short ids that lead to them.
pub fn names(method: &str, list: &str, answer: &Value) -> Result<Vec<(Vec<Scid>, ChannelName)>, NodeError> {
    let mut names = Vec::new();
    for row in Row::list(method, answer, list)? {
        let Some(channel_id) = row.want("channel_id", id)? else { continue };
        let alias = row.part("alias").and_then(|alias| alias.like("local", id));
        let scids = row.want("short_channel_id", id)?.into_iter().chain(alias).collect();
        names.push((scids, ChannelName { channel_id, peer: row.like("peer_id", id) }));
    }
    Ok(names)
}

/// One row of `listpeerchannels`; `None` for an opening that has not come so far as to have a channel id.
fn channel(row: &Row<'_>) -> Result<Option<Channel>, NodeError> {
    let state = state(row.need("state", text)?);
    let Some(channel_id) = row.want("channel_id", id)? else {
        let nameless = matches!(state, ChannelState::Opening);
        return if nameless { Ok(None) } else { Err(row.garbled("'channel_id' is missing")) };
    };
    // Balances and fees matter where money moves. A channel that opens or closes may do without some of them.
    let moves = matches!(state, ChannelState::Normal | ChannelState::AwaitingSplice);
    let amount = |field| if moves { row.need(field, msat) } else { Ok(row.want(field, msat)?.unwrap_or_default()) };
    let alias = row.part("alias");
    let updates = row.part("updates");
    Ok(Some(Channel {
        channel_id,
        scid: row.want("short_channel_id", id)?,
        alias: alias.and_then(|alias| alias.like("local", id)),
        peer: row.need("peer_id", id)?,
        opener: row.like("opener", side),
        private: row.like("private", flag).unwrap_or(false),
        // A channel has an owner, the daemon that speaks to the peer, only while the peer is connected.
        connected: row.like("peer_connected", flag).unwrap_or_else(|| row.has("owner")),
        capacity: amount("total_msat")?,
        local: amount("to_us_msat")?,
        spendable: amount("spendable_msat")?,
        receivable: row.like("receivable_msat", msat),
        htlcs_out: htlcs(row, "out"),
        htlcs_in: htlcs(row, "in"),
        max_htlcs: row.like("max_accepted_htlcs", small_count),
        ours: our_fees(row, updates.and_then(|updates| updates.part("local")), moves)?,
        theirs: updates.and_then(|updates| updates.part("remote")).map(|remote| told_fees(&remote)).transpose()?,
        sent: row.like("out_fulfilled_msat", msat),
        bounds: Bounds {
            reestablished: row.like("reestablished", flag),
            next_expiry: next_expiry(row),
            reserve: row.like("their_reserve_msat", msat),
            most_pending: row.like("their_max_htlc_value_in_flight_msat", msat),
        },
        state,
    }))
}

/// What is in force at our side; the last channel update where the row itself does not say.
fn our_fees(row: &Row<'_>, told: Option<Row<'_>>, needed: bool) -> Result<FeePolicy, NodeError> {
    let told = told.map(|told| told_fees(&told)).transpose()?;
    let base = row.want("fee_base_msat", msat)?.or(told.map(|t| t.base));
    let ppm = row.want("fee_proportional_millionths", small_count)?.map(Ppm).or(told.map(|t| t.ppm));
    if needed && base.is_none() {
        return Err(row.garbled("'fee_base_msat' is missing"));
    }
    if needed && ppm.is_none() {
        return Err(row.garbled("'fee_proportional_millionths' is missing"));
    }
    Ok(FeePolicy {
        base: base.unwrap_or_default(),
        ppm: ppm.unwrap_or_default(),
        htlc_min: row.like("minimum_htlc_out_msat", msat).or(told.and_then(|t| t.htlc_min)),
        htlc_max: row.like("maximum_htlc_out_msat", msat).or(told.and_then(|t| t.htlc_max)),
    })
}

/// One side of `updates`.
fn told_fees(update: &Row<'_>) -> Result<FeePolicy, NodeError> {
    Ok(FeePolicy {
        base: update.need("fee_base_msat", msat)?,
        ppm: Ppm(update.need("fee_proportional_millionths", small_count)?),
        htlc_min: update.like("htlc_minimum_msat", msat),
        htlc_max: update.like("htlc_maximum_msat", msat),
    })
}

fn htlcs(row: &Row<'_>, direction: &str) -> u32 {
    let all = row.like("htlcs", rows).map(Vec::as_slice).unwrap_or_default();
    let there = all.iter().filter(|htlc| htlc.get("direction").and_then(Value::as_str) == Some(direction)).count();
    u32::try_from(there).unwrap_or(u32::MAX)
}

fn next_expiry(row: &Row<'_>) -> Option<u32> {
    row.like("htlcs", rows)?.iter().filter_map(|htlc| small_count(htlc.get("expiry")?)).min()
}

pub(super) fn side(value: &Value) -> Option<Side> {
    match text(value)? {
        "local" => Some(Side::Local),
        "remote" => Some(Side::Remote),
        _ => None,
    }
}

fn state(name: &str) -> ChannelState {
    match name {
        "CHANNELD_NORMAL" => ChannelState::Normal,
        "CHANNELD_AWAITING_SPLICE" => ChannelState::AwaitingSplice,
        "OPENINGD" | "CHANNELD_AWAITING_LOCKIN" => ChannelState::Opening,
        _ if name.starts_with("DUALOPEND_") => ChannelState::Opening,
        "CHANNELD_SHUTTING_DOWN"
        | "CLOSINGD_SIGEXCHANGE"
        | "CLOSINGD_COMPLETE"
        | "AWAITING_UNILATERAL"
        | "FUNDING_SPEND_SEEN"
        | "ONCHAIN"
        | "CLOSED" => ChannelState::Closing,
        _ => ChannelState::Other(name.to_owned()),
    }
}

/// `listforwards`
pub fn forwards(answer: &Value) -> Result<Vec<Forward>, NodeError> {
    Row::list("listforwards", answer, "forwards")?.iter().map(forward).collect()
}

/// Does the node speak of an outcome that we do not know?
pub fn has_new_status(answer: &Value) -> bool {
    let known = ["offered", "settled", "failed", "local_failed"];
    let rows = Row::list("listforwards", answer, "forwards").unwrap_or_default();
    rows.iter().filter_map(|row| row.like("status", text)).any(|status| !known.contains(&status))
}

fn forward(row: &Row<'_>) -> Result<Forward, NodeError> {
    let in_channel = row.need("in_channel", id)?;
    let in_htlc_id = row.want("in_htlc_id", count)?;
    let status = match row.need("status", text)? {
        "offered" => ForwardStatus::Offered,
        "settled" => ForwardStatus::Settled,
        "failed" => ForwardStatus::Failed,
        "local_failed" => ForwardStatus::LocalFailed,
        // A status that is new to us is no outcome that we could count: it is asked for again, and the rest is read.
        _ => ForwardStatus::Offered,
    };
    Ok(Forward {
        key: ForwardKey { in_channel, in_htlc_id: in_htlc_id.map_or_else(|| made_up_htlc_id(row), storable_htlc_id) },
        out_channel: row.want("out_channel", id)?,
        in_msat: row.need("in_msat", msat)?,
        out_msat: row.want("out_msat", msat)?,
        fee: row.want("fee_msat", msat)?,
        status,
        failcode: row.like("failcode", small_count),
        // Forwards from before v0.7 have no time; newer nodes say 0 of them, older ones nothing.
        received: row.want("received_time", seconds)?.unwrap_or_default(),
        resolved: row.want("resolved_time", seconds)?,
        created_index: row.want("created_index", count)?,
        updated_index: row.want("updated_index", count)?,
    })
}

/// Forwards from before v22.11 may come without `in_htlc_id`. The moment of their arrival stands in for it: it stays what it is
/// when the node is updated and begins to count forwards (`created_index`), so that none is taken in twice. Bit 62 keeps it
/// apart from real ids, and within what a database stores.
fn made_up_htlc_id(row: &Row<'_>) -> u64 {
    1 << 62 | row.like("received_time", micros).unwrap_or_default()
}

/// Others from that time come with an id that the node made up itself by counting down from 2^64, which is more than a database
/// stores. Without its highest bit it does, and no real id comes near.
fn storable_htlc_id(id: u64) -> u64 {
    id & !(1 << 63)
}

/// `feerates`; `None` when the node has no estimate now.
pub fn feerate(answer: &Value) -> Result<Option<Feerate>, NodeError> {
    let answer = Row::whole("feerates", answer)?;
    let rates = answer.part("perkb").ok_or_else(|| answer.garbled("'perkb' is missing"))?;
    let rate = match rates.want("opening", count)? {
        Some(rate) => Some(rate),
        // The estimate for a mutual close looks further ahead: the nearest to it that a node may have.
        None => rates.want("mutual_close", count)?,
    };
    Ok(rate.map(|sat_per_kvb| Feerate { sat_per_kvb }))
}

/// `setchannel`: what is now in force for `channel`.
pub fn fee_in_force(answer: &Value, channel: ChannelId) -> Result<FeeInForce, NodeError> {
    for row in Row::list("setchannel", answer, "channels")? {
        if row.need::<ChannelId>("channel_id", id)? == channel {
            let ppm = Ppm(row.need("fee_proportional_millionths", small_count)?);
            return Ok(FeeInForce {
                ppm,
                base: row.need("fee_base_msat", msat)?,
                htlc_min: row.like("minimum_htlc_out_msat", msat),
                htlc_max: row.like("maximum_htlc_out_msat", msat),
            });
        }
    }
    Err(garbled("setchannel", format!("it does not speak of the channel {channel}")))
}

/// The notification `forward_event`. Settled and failed ones tell `updated_index` and no `created_index`.
pub fn forward_event(params: &Value) -> Result<Forward, NodeError> {
    forward(&notice("forward_event", params)?)
}

/// The notifications `channel_state_changed`, `channel_opened`, `connect` and `disconnect`.
pub fn channel_event(topic: &str, params: &Value) -> Result<NodeEvent, NodeError> {
    let note = notice(topic, params)?;
    match topic {
        "channel_state_changed" => state_changed(&note),
        "channel_opened" => {
            Ok(NodeEvent::ChannelOpened { peer: note.need("id", id)?, capacity: note.like("funding_msat", msat) })
        }
        "connect" => Ok(NodeEvent::Connected { peer: note.need("id", id)? }),
        "disconnect" => Ok(NodeEvent::Disconnected { peer: note.need("id", id)? }),
        _ => Err(garbled(topic, "we know no notification of this name".to_owned())),
    }
}

fn state_changed(note: &Row<'_>) -> Result<NodeEvent, NodeError> {
    // A new channel comes from no state; older nodes write that as "unknown".
    let old = note.like("old_state", text).filter(|name| *name != "unknown");
    Ok(NodeEvent::ChannelStateChanged {
        peer: note.need("peer_id", id)?,
        channel_id: note.need("channel_id", id)?,
        scid: note.want("short_channel_id", id)?,
        old: old.map(state),
        new: state(note.need("new_state", text)?),
        cause: note.like("cause", text).map(str::to_owned),
        ending: ["old_state", "new_state"]
            .iter()
            .filter_map(|field| note.like(field, text))
            .fold(Evidence::NONE, |sum, state| sum.with(ending(state))),
        at: note.like("timestamp", date),
    })
}

/// What a state says of how the channel ends. Every closing ends on the chain, so those states say nothing.
fn ending(state: &str) -> Evidence {
    match state {
        "CLOSINGD_COMPLETE" => Evidence::AGREED,
        "AWAITING_UNILATERAL" => Evidence::ONE_SIDED,
        "CLOSED" => Evidence::RESOLVED,
        _ => Evidence::NONE,
    }
}

/// Some notifications, and at newer nodes all, are wrapped once more in an object of their name.
fn notice<'a>(topic: &'a str, params: &'a Value) -> Result<Row<'a>, NodeError> {
    Row::whole(topic, params.get(topic).unwrap_or(params))
}
