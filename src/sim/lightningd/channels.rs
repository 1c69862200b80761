//! What lightningd says of channels and peers. The fields that a market has no use for are made up from the channel's id.

use serde_json::{Map, Value, json};

use super::wire::{Answer, Params, RpcError};
use crate::domain::{PeerId, Scid, Side, Time};
use crate::sim::channel::{Price, SimChannel, Stage};
use crate::sim::market::{Flight, Market};

pub(super) const FEATURES: &str = "800898880a8a59a1";

/// The least that is not dust on the chain, so that it takes a slot.
const HELD_MSAT: u64 = 546_000;

/// The name of a stage in Core Lightning's words.
pub(super) fn state_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Normal => "CHANNELD_NORMAL",
        Stage::AwaitingSplice => "CHANNELD_AWAITING_SPLICE",
        Stage::Closing => "CLOSINGD_COMPLETE",
        Stage::Closed => "ONCHAIN",
    }
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Local => "local",
        Side::Remote => "remote",
    }
}

/// By scid (old ones too), alias or channel id.
pub(super) fn find(market: &Market, name: &str) -> Option<usize> {
    let scid: Option<Scid> = name.parse().ok();
    market.channels.iter().position(|c| {
        let by_scid = scid.is_some_and(|s| c.scid == s || c.old_scids.contains(&s) || c.seat.alias == s);
        c.stage != Stage::Closed && (by_scid || c.seat.channel_id.to_string() == name)
    })
}

pub(super) fn peer_id(params: &Params, name: &str) -> Result<Option<PeerId>, RpcError> {
    let read = |text: String| text.parse().map_err(|_| RpcError::token(name, "should be a node id"));
    params.text(name).map(read).transpose()
}

pub(super) fn listpeerchannels(market: &Market, params: &Params) -> Answer {
    let peer = peer_id(params, "id")?;
    let scid: Option<Scid> = match params.text("short_channel_id") {
        Some(text) => Some(
            text.parse()
                .map_err(|_| RpcError::token("short_channel_id", "should be a short_channel_id of form NxNxN"))?,
        ),
        None => None,
    };
    let wanted = |c: &&SimChannel| {
        c.stage != Stage::Closed
            && peer.is_none_or(|p| p == c.peer_id)
            && scid.is_none_or(|s| c.scid == s || c.old_scids.contains(&s))
    };
    let channels: Vec<Value> = market.channels.iter().filter(wanted).map(|c| peer_channel(market, c)).collect();
    Ok(json!({ "channels": channels }))
}

fn peer_channel(market: &Market, channel: &SimChannel) -> Value {
    let online = market.is_online(channel);
    let mut answer = Map::new();
    let mut add = |part: Value| {
        if let Value::Object(fields) = part {
            answer.extend(fields);
        }
    };
    add(json!({"peer_id": channel.peer_id, "peer_connected": online}));
    if online {
        add(json!({"reestablished": true}));
    }
    if online && channel.stage != Stage::Closing {
        add(json!({"owner": "channeld"}));
    }
    if channel.ignore_fee_limits {
        add(json!({"ignore_fee_limits": true}));
    }
    if channel.stage == Stage::Closing {
        add(json!({"closer": "local"}));
    }
    if channel.stage == Stage::AwaitingSplice {
        add(splicing(channel));
    }
    add(identity(market, channel));
    add(money(channel));
    add(history(channel));
    answer.insert("htlcs".to_owned(), htlcs(market, channel));
    Value::Object(answer)
}

fn identity(market: &Market, channel: &SimChannel) -> Value {
    let txid = funding_txid(channel);
    json!({
        "channel_type": channel_type(),
        "updates": {"local": update(&channel.price), "remote": {
            "htlc_minimum_msat": 0,
            "htlc_maximum_msat": channel.capacity / 100 * 99,
            "cltv_expiry_delta": 6,
            "fee_base_msat": 0,
            "fee_proportional_millionths": channel.seat.their_ppm,
        }},
        "last_stable_connection": market.peers[channel.seat.peer as usize].since.secs(),
        "state": state_name(channel.stage),
        "scratch_txid": made_up(channel, 0xa5),
        "last_tx_fee_msat": 1_410_000,
        "lost_state": false,
        "feerate": {"perkw": 1250, "perkb": 5000},
        "short_channel_id": channel.scid,
        "direction": i32::from(market.network().us > channel.peer_id),
        "channel_id": channel.seat.channel_id,
        "funding_txid": txid,
        "funding_outnum": 0,
        "private": false,
        "opener": side(channel.seat.opener),
        "alias": {"local": channel.seat.alias, "remote": Scid(channel.seat.alias.0 ^ 0xffff)},
        "features": ["option_static_remotekey", "option_anchors"],
    })
}

fn money(channel: &SimChannel) -> Value {
    let local = channel.seat.opener == Side::Local;
    json!({
        "funding": {
            "local_funds_msat": if local { channel.capacity } else { 0 },
            "remote_funds_msat": if local { 0 } else { channel.capacity },
            "pushed_msat": 0,
            "withheld": false,
        },
        "to_us_msat": channel.to_us(),
        "min_to_us_msat": channel.range.0.min(channel.to_us()),
        "max_to_us_msat": channel.range.1.max(channel.to_us()),
        "total_msat": channel.capacity,
        "fee_base_msat": channel.price.base,
        "fee_proportional_millionths": channel.price.ppm,
        "dust_limit_msat": 546_000,
        "their_max_htlc_value_in_flight_msat": u64::MAX,
        "our_max_htlc_value_in_flight_msat": u64::MAX,
        "their_reserve_msat": channel.reserve(),
        "our_reserve_msat": channel.reserve(),
        "spendable_msat": channel.spendable(),
        "receivable_msat": channel.receivable(),
        "minimum_htlc_in_msat": 0,
        "minimum_htlc_out_msat": channel.price.htlc_min,
        "maximum_htlc_out_msat": channel.price.htlc_max,
        "their_to_self_delay": 6,
        "our_to_self_delay": 6,
        "max_accepted_htlcs": crate::sim::channel::SLOTS,
    })
}

fn history(channel: &SimChannel) -> Value {
    let cause = if channel.seat.opener == Side::Local { "user" } else { "remote" };
    json!({
        "state_changes": [{
            "timestamp": timestamp(crate::sim::network::MONDAY),
            "old_state": "CHANNELD_AWAITING_LOCKIN",
            "new_state": "CHANNELD_NORMAL",
            "cause": cause,
            "message": "Lockin complete",
        }],
        "status": ["CHANNELD_NORMAL:Channel ready for use."],
        "in_payments_offered": channel.incoming.offered,
        "in_offered_msat": channel.incoming.offered_msat,
        "in_payments_fulfilled": channel.incoming.fulfilled,
        "in_fulfilled_msat": channel.incoming.fulfilled_msat,
        "out_payments_offered": channel.outgoing.offered,
        "out_offered_msat": channel.outgoing.offered_msat,
        "out_payments_fulfilled": channel.outgoing.fulfilled,
        "out_fulfilled_msat": channel.outgoing.fulfilled_msat,
    })
}

fn splicing(channel: &SimChannel) -> Value {
    json!({
        "initial_feerate": "253perkw",
        "last_feerate": "253perkw",
        "next_feerate": "263perkw",
        "inflight": [{
            "funding_txid": made_up(channel, 0x3c),
            "funding_outnum": 1,
            "feerate": "253perkw",
            "total_funding_msat": channel.capacity,
            "our_funding_msat": channel.to_us(),
            "splice_amount": 0,
            "scratch_txid": made_up(channel, 0xc3),
        }],
    })
}

fn htlcs(market: &Market, channel: &SimChannel) -> Value {
    let place = market.channels.iter().position(|c| std::ptr::eq(c, channel));
    let here = |number: u32| Some(number as usize) == place;
    let line = |flight: &Flight| {
        let out = here(flight.exit);
        let state = if out { "SENT_ADD_ACK_REVOCATION" } else { "RCVD_ADD_ACK_REVOCATION" };
        json!({
            "direction": if out { "out" } else { "in" },
            "id": if out { flight.out_htlc } else { flight.in_htlc },
            "amount_msat": if out { flight.out_msat } else { flight.in_msat },
            "expiry": market.height() + if out { 34 } else { 40 },
            "payment_hash": payment_hash(market.scid_of(flight.entrance), flight.in_htlc),
            "state": state,
        })
    };
    let flying = market.flights().filter(|flight| here(flight.exit) || here(flight.entrance)).map(line);
    flying.chain((0..channel.slots_held()).map(|number| held(market, channel, number.into()))).collect()
}

/// A payment of somebody who wants the slot and not the payment: as small as one may be, and going nowhere.
fn held(market: &Market, channel: &SimChannel, number: u64) -> Value {
    let id = channel.next_out + number;
    json!({
        "direction": "out",
        "id": id,
        "amount_msat": HELD_MSAT,
        "expiry": market.height() + 2_016,
        "payment_hash": payment_hash(channel.scid, id),
        "state": "SENT_ADD_ACK_REVOCATION",
    })
}

fn update(price: &Price) -> Value {
    json!({
        "htlc_minimum_msat": price.htlc_min,
        "htlc_maximum_msat": price.htlc_max,
        "cltv_expiry_delta": 6,
        "fee_base_msat": price.base,
        "fee_proportional_millionths": price.ppm,
    })
}

fn channel_type() -> Value {
    json!({"bits": [12, 22], "names": ["static_remotekey/even", "anchors/even"]})
}

pub(super) fn listclosedchannels(market: &Market, params: &Params) -> Answer {
    let peer = peer_id(params, "id")?;
    let closed = |c: &&SimChannel| c.stage == Stage::Closed && peer.is_none_or(|p| p == c.peer_id);
    let line = |c: &SimChannel| {
        json!({
            "peer_id": c.peer_id,
            "channel_id": c.seat.channel_id,
            "short_channel_id": c.scid,
            "alias": {"local": c.seat.alias, "remote": Scid(c.seat.alias.0 ^ 0xffff)},
            "opener": side(c.seat.opener),
            "closer": "local",
            "private": false,
            "channel_type": channel_type(),
            "total_local_commitments": c.outgoing.offered * 2,
            "total_remote_commitments": c.outgoing.offered * 2,
            "total_htlcs_sent": c.outgoing.offered,
            "funding_txid": funding_txid(c),
            "funding_outnum": 0,
            "leased": false,
            "funding_withheld": false,
            "total_msat": c.capacity,
            "final_to_us_msat": c.to_us(),
            "min_to_us_msat": c.range.0.min(c.to_us()),
            "max_to_us_msat": c.range.1.max(c.to_us()),
            "last_commitment_txid": made_up(c, 0xa5),
            "last_commitment_fee_msat": 195_000,
            "close_cause": "user",
            "last_stable_connection": market.peers[c.seat.peer as usize].since.secs(),
        })
    };
    let channels: Vec<Value> = market.channels.iter().filter(closed).map(line).collect();
    Ok(json!({ "closedchannels": channels }))
}

pub(super) fn listpeers(market: &Market, params: &Params) -> Answer {
    let wanted = peer_id(params, "id")?;
    let line = |peer: &crate::sim::market::Peer| {
        let count = market.channels.iter().filter(|c| c.peer_id == peer.id && c.stage != Stage::Closed).count();
        let mut line = json!({"id": peer.id, "connected": peer.online, "num_channels": count, "features": FEATURES});
        if peer.online {
            line["netaddr"] = json!(["127.0.0.1:19735"]);
        }
        line
    };
    let peers = market.peers.iter().filter(|peer| wanted.is_none_or(|id| id == peer.id));
    Ok(json!({"peers": peers.map(line).collect::<Vec<_>>()}))
}

pub(super) fn listnodes(market: &Market, params: &Params) -> Answer {
    let wanted = peer_id(params, "id")?;
    let us = market.network().us;
    let all = std::iter::once(us).chain(market.peers.iter().map(|peer| peer.id));
    let nodes = all.filter(|id| wanted.is_none_or(|w| w == *id)).map(|id| {
        let text = id.to_string();
        json!({
            "nodeid": text,
            "alias": alias(&id),
            "color": &text[..6],
            "last_timestamp": market.network().scenario.start.secs(),
            "features": "808898880a8a59a1",
            "addresses": [],
        })
    });
    Ok(json!({"nodes": nodes.collect::<Vec<_>>()}))
}

pub(super) fn alias(id: &PeerId) -> String {
    format!("SIM-{}", &id.to_string()[2..8])
}

pub(super) fn listchannels(market: &Market, params: &Params) -> Answer {
    let (source, destination) = (peer_id(params, "source")?, peer_id(params, "destination")?);
    let scid = params.text("short_channel_id");
    let us = market.network().us;
    let mut lines = Vec::new();
    for channel in market.channels.iter().filter(|c| c.stage != Stage::Closed) {
        if scid.as_ref().is_some_and(|s| *s != channel.scid.to_string()) {
            continue;
        }
        for (from, to, ours) in [(us, channel.peer_id, true), (channel.peer_id, us, false)] {
            if source.is_none_or(|s| s == from) && destination.is_none_or(|d| d == to) {
                lines.push(gossip(market, channel, (from, to), ours));
            }
        }
    }
    Ok(json!({ "channels": lines }))
}

fn gossip(market: &Market, channel: &SimChannel, (from, to): (PeerId, PeerId), ours: bool) -> Value {
    let direction = i32::from(from > to);
    let start = market.network().scenario.start;
    json!({
        "source": from,
        "destination": to,
        "short_channel_id": channel.scid,
        "direction": direction,
        "public": true,
        "amount_msat": channel.capacity,
        "message_flags": 1,
        "channel_flags": direction,
        "active": market.is_online(channel),
        "last_update": if ours { channel.since.secs() } else { start.secs() },
        "base_fee_millisatoshi": if ours { channel.price.base } else { 0 },
        "fee_per_millionth": if ours { channel.price.ppm } else { channel.seat.their_ppm },
        "delay": 6,
        "htlc_minimum_msat": 0,
        "htlc_maximum_msat": if ours { channel.price.htlc_max } else { channel.capacity / 100 * 99 },
        "features": "",
    })
}

pub(super) fn listfunds(market: &Market) -> Value {
    let open = market.channels.iter().filter(|c| c.stage != Stage::Closed);
    let channels = open.map(|c| {
        json!({
            "peer_id": c.peer_id,
            "connected": market.is_online(c),
            "state": state_name(c.stage),
            "channel_id": c.seat.channel_id,
            "short_channel_id": c.scid,
            "our_amount_msat": c.to_us(),
            "amount_msat": c.capacity,
            "funding_txid": funding_txid(c),
            "funding_output": 0,
        })
    });
    json!({"outputs": [], "channels": channels.collect::<Vec<_>>()})
}

/// As lightningd writes moments in notifications.
pub(super) fn timestamp(at: Time) -> String {
    let date = chrono::DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    date.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn funding_txid(channel: &SimChannel) -> String {
    made_up(channel, u8::try_from(channel.old_scids.len() % 128).unwrap_or(0))
}

/// 32 bytes that look like a hash, another one for each salt.
fn made_up(channel: &SimChannel, salt: u8) -> String {
    let mut id = channel.seat.channel_id;
    id.0.iter_mut().for_each(|byte| *byte = byte.rotate_left(3) ^ salt);
    id.to_string()
}

/// No payment of the market has a preimage; its hash only tells it from others.
pub(super) fn payment_hash(in_channel: Scid, in_htlc: u64) -> String {
    let mix = |salt: u64| (in_channel.0 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ in_htlc.rotate_left(17);
    (1..=4).map(|salt| format!("{:016x}", mix(salt).wrapping_mul(0xbf58_476d_1ce4_e5b9))).collect()
}
