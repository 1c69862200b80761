//! `setchannel`: what it accepts, what it cuts, what it refuses and in which words.

use serde_json::{Value, json};

use super::channels::{find, state_name};
use super::wire::{Answer, Params, RpcError};
use crate::domain::{PeerId, Scid};
use crate::sim::channel::Price;
use crate::sim::market::Market;

struct Order {
    base: Option<u64>,
    ppm: Option<u32>,
    htlc_min: Option<u64>,
    htlc_max: Option<u64>,
    grace_secs: Option<i64>,
    ignore_fee_limits: Option<bool>,
}

pub(super) fn setchannel(market: &mut Market, params: &Params) -> Answer {
    let places = channels(market, &params.required_text("id")?)?;
    let order = Order {
        base: params.msat("feebase")?,
        ppm: params.u32("feeppm")?,
        htlc_min: params.msat("htlcmin")?,
        htlc_max: params.msat("htlcmax")?,
        grace_secs: params.u32("enforcedelay")?.map(i64::from),
        ignore_fee_limits: params.boolean("ignorefeelimits")?,
    };
    if order.base.is_some_and(|base| base > u64::from(u32::MAX)) {
        return Err(RpcError::token("feebase", "exceeds u32 max"));
    }
    if let (Some(min), Some(max)) = (order.htlc_min, order.htlc_max)
        && max < min
    {
        return Err(RpcError::new(-1, "htlcmax cannot be less than htlcmin"));
    }
    let lines: Vec<Value> = places.into_iter().map(|place| apply(market, place, &order)).collect();
    Ok(json!({ "channels": lines }))
}

fn apply(market: &mut Market, place: usize, order: &Order) -> Value {
    let channel = &mut market.channels[place];
    let old = channel.price;
    let most = channel.capacity / 100 * 99;
    let wanted = order.htlc_max.unwrap_or(old.htlc_max);
    let price = Price {
        base: order.base.unwrap_or(old.base),
        ppm: order.ppm.unwrap_or(old.ppm),
        htlc_min: order.htlc_min.unwrap_or(old.htlc_min),
        htlc_max: wanted.min(most),
    };
    channel.ignore_fee_limits = order.ignore_fee_limits.unwrap_or(channel.ignore_fee_limits);
    let mut line = json!({
        "peer_id": channel.peer_id,
        "channel_id": channel.seat.channel_id,
        "short_channel_id": channel.scid,
        "fee_base_msat": price.base,
        "fee_proportional_millionths": price.ppm,
        "minimum_htlc_out_msat": price.htlc_min,
        "maximum_htlc_out_msat": price.htlc_max,
        "ignore_fee_limits": channel.ignore_fee_limits,
    });
    if wanted > most {
        line["warning_htlcmax_too_high"] = json!("Set maximum_htlc_out_msat to maximum possible in channel");
    }
    market.set_price(place, price, order.grace_secs);
    line
}

/// The channels that are meant. `all` and a peer's id leave out silently what cannot be set.
fn channels(market: &Market, id: &str) -> Result<Vec<usize>, RpcError> {
    let peer: Option<PeerId> = id.parse().ok();
    let of_peer = |place: &usize| peer.is_none_or(|p| p == market.channels[*place].peer_id);
    let settable = |place: &usize| market.channels[*place].routes();
    if id == "all" || peer.is_some() {
        let all: Vec<usize> = (0..market.channels.len()).filter(of_peer).filter(settable).collect();
        let unknown = peer.is_some() && all.is_empty();
        let nonsense = RpcError::token("id", "should be a channel ID or short channel ID");
        return if unknown { Err(nonsense) } else { Ok(all) };
    }
    let Some(place) = find(market, id) else {
        let is_channel_id = id.parse::<crate::domain::ChannelId>().is_ok();
        let wrong = match (id.parse::<Scid>(), is_channel_id) {
            (Ok(_), _) => "Short channel id not found",
            (_, true) => "Channel id not found",
            _ => "should be a channel ID or short channel ID",
        };
        return Err(RpcError::token("id", wrong));
    };
    if !settable(&place) {
        return Err(RpcError::token("id", &format!("Channel in state {}", state_name(market.channels[place].stage))));
    }
    Ok(vec![place])
}
