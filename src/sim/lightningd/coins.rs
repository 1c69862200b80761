//! The records of coins and the bookkeeper of the node that we play: what openings, splices and closes cost, and payments to ourselves.
//! Each transaction costs the same, because nothing here depends on how much.

use serde_json::{Value, json};

use super::wire::{Answer, INVALID_PARAMS, Params, RpcError};
use super::{Lightningd, sling};
use crate::domain::{Side, Time};
use crate::sim::channel::SimChannel;
use crate::sim::market::Market;

const OPENING_FEE: u64 = 166_000;
const SPLICE_FEE: u64 = 258_000;
const CLOSING_FEE: u64 = 195_000;
/// What the bookkeeper says that is ours in a new channel: only what splices change of it means something here.
const OURS_AT_FIRST: u64 = 1 << 40;

/// A splice or a close that is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub channel: usize,
    /// So much more is ours in the channel from now on (msat).
    pub splice: Option<i64>,
    pub at: Time,
}

/// One transaction of a channel: what it spends, what it makes, and what it costs us.
struct Step {
    index: u64,
    channel: usize,
    txid: String,
    /// The transaction whose output it spends; none for an opening.
    spends: Option<String>,
    opens: bool,
    splice: bool,
    /// What is ours in the output that it spends, and in the one that it makes.
    ours: (u64, u64),
    fee: u64,
    at: Time,
}

impl Lightningd {
    pub(super) fn coins(&self, name: &str, params: &Params) -> Answer {
        let coins = self.tricks().coins.clone();
        let paid = self.to_ourselves();
        let market = self.node.market();
        let steps = steps(&market, &coins);
        match name {
            "listchainmoves" => {
                let moves = steps.iter().flat_map(|step| moves(&market, step));
                Ok(json!({ "chainmoves": page(params, moves)? }))
            }
            // Forwards are in their own list, and we pay nobody but ourselves here.
            "listchannelmoves" => {
                let moves = paid.iter().enumerate().flat_map(|(number, part)| sling::moves(number, part));
                Ok(json!({ "channelmoves": page(params, moves)? }))
            }
            "bkpr-listincome" => {
                let (from, to) = (params.number("start_time")?, params.number("end_time")?);
                let inside = |at: Time| {
                    let at = u64::try_from(at.secs()).unwrap_or(0);
                    from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
                };
                let mut lines = income(&market, &steps, inside);
                lines.extend(paid.iter().filter(|part| inside(part.until)).filter_map(sling::income));
                Ok(json!({ "income_events": lines }))
            }
            _ => {
                let account = params.required_text("account")?;
                let found = market.channels.iter().position(|c| c.seat.channel_id.to_string() == account);
                let Some(place) = found else {
                    return Err(RpcError::new(INVALID_PARAMS, format!("Account '{account}' not found")));
                };
                let (id, mine) = (market.channels[place].seat.channel_id, |step: &&Step| step.channel == place);
                let coins = steps.iter().filter(mine).flat_map(|step| events(&market, step));
                let mut lines: Vec<Value> = coins.chain(paid.iter().flat_map(|part| sling::events(id, part))).collect();
                lines.sort_by_key(|line| line["timestamp"].as_i64());
                Ok(json!({ "events": lines }))
            }
        }
    }
}

/// The lines from `start` on, `limit` of them.
fn page(params: &Params, lines: impl Iterator<Item = Value>) -> Result<Vec<Value>, RpcError> {
    let start = params.number("start")?.unwrap_or(1);
    let limit = usize::try_from(params.number("limit")?.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    Ok(lines.filter(|line| line["created_index"].as_u64() >= Some(start)).take(limit).collect())
}

/// Openings first, in the order of the channels; then what was confirmed since, in its order.
fn steps(market: &Market, coins: &[Coin]) -> Vec<Step> {
    let start = market.network().scenario.start;
    let paid = |channel: &SimChannel, fee: u64| if channel.seat.opener == Side::Local { fee } else { 0 };
    let mut newest: Vec<(String, u64)> = Vec::new();
    let mut steps = Vec::new();
    for (place, channel) in market.channels.iter().enumerate() {
        let txid = made_up(channel, 0);
        newest.push((txid.clone(), OURS_AT_FIRST));
        let (index, fee) = (2 * steps.len() as u64 + 1, paid(channel, OPENING_FEE));
        let ours = (0, OURS_AT_FIRST);
        steps.push(Step {
            index,
            channel: place,
            txid,
            spends: None,
            opens: true,
            splice: false,
            ours,
            fee,
            at: start,
        });
    }
    for (n, coin) in coins.iter().enumerate() {
        let channel = &market.channels[coin.channel];
        let txid = made_up(channel, u8::try_from(n % 120).unwrap_or(0) + 1);
        let after = coin.splice.map_or(0, |msat| newest[coin.channel].1.saturating_add_signed(msat));
        let (spent, before) = std::mem::replace(&mut newest[coin.channel], (txid.clone(), after));
        let fee = if coin.splice.is_some() { SPLICE_FEE } else { paid(channel, CLOSING_FEE) };
        let index = 2 * steps.len() as u64 + 1;
        steps.push(Step {
            index,
            channel: coin.channel,
            txid,
            spends: Some(spent),
            opens: coin.splice.is_some(),
            splice: coin.splice.is_some(),
            ours: (before, after),
            fee,
            at: coin.at,
        });
    }
    steps
}

fn moves(market: &Market, step: &Step) -> Vec<Value> {
    let channel = &market.channels[step.channel];
    let line = |index: u64, tag: &str, utxo: &str| {
        json!({
            "created_index": index,
            "account_id": channel.seat.channel_id,
            "credit_msat": 0,
            "debit_msat": 0,
            "timestamp": step.at.secs(),
            "primary_tag": tag,
            "extra_tags": [],
            "utxo": format!("{utxo}:0"),
            "output_msat": channel.capacity,
            "blockheight": market.height(),
        })
    };
    let mut lines = Vec::new();
    if let Some(spent) = &step.spends {
        let mut close = line(step.index, "channel_close", spent);
        close["spending_txid"] = json!(step.txid);
        close["output_count"] = json!(2);
        if step.splice {
            close["extra_tags"] = json!(["splice"]);
        }
        lines.push(close);
    }
    if step.opens {
        let mut open = line(step.index + 1, "channel_open", &step.txid);
        open["peer_id"] = json!(channel.peer_id);
        lines.push(open);
    }
    lines
}

fn events(market: &Market, step: &Step) -> Vec<Value> {
    let line = |kind: &str, tag: &str, credit: u64, debit: u64| {
        json!({
            "account": market.channels[step.channel].seat.channel_id,
            "type": kind,
            "tag": tag,
            "credit_msat": credit,
            "debit_msat": debit,
            "currency": "bcrt",
            "timestamp": step.at.secs(),
        })
    };
    let mut lines = Vec::new();
    let mut chain = |tag: &str, outpoint: &str, spending: bool| {
        let (credit, debit) = if spending { (0, step.ours.0) } else { (step.ours.1, 0) };
        let mut line = line("chain", tag, credit, debit);
        line["outpoint"] = json!(format!("{outpoint}:0"));
        line["blockheight"] = json!(market.height());
        if spending {
            line["txid"] = json!(step.txid);
        }
        lines.push(line);
    };
    if let Some(spent) = &step.spends {
        chain("channel_close", spent, true);
    }
    if step.opens {
        chain("channel_open", &step.txid, false);
    }
    // As the bookkeeper does it: a splice has two rows, of which only the difference was paid.
    const BOTH: u64 = 4_000_000_000;
    let rows = match (step.fee, step.splice) {
        (0, _) => vec![],
        (fee, true) => vec![(BOTH + fee, 0), (0, BOTH)],
        (fee, false) => vec![(fee, 0)],
    };
    for (credit, debit) in rows {
        let mut fee = line("onchain_fee", "onchain_fee", credit, debit);
        fee["txid"] = json!(step.txid);
        lines.push(fee);
    }
    lines
}

fn income(market: &Market, steps: &[Step], inside: impl Fn(Time) -> bool) -> Vec<Value> {
    let line = |account: String, tag: &str, amounts: (u64, u64), at: Time| {
        json!({
            "account": account,
            "tag": tag,
            "credit_msat": amounts.0,
            "debit_msat": amounts.1,
            "currency": "bcrt",
            "timestamp": at.secs(),
        })
    };
    let paid = steps.iter().filter(|step| step.fee > 0 && inside(step.at)).map(|step| {
        let account = market.channels[step.channel].seat.channel_id.to_string();
        let mut line = line(account, "onchain_fee", (0, step.fee), step.at);
        line["txid"] = json!(step.txid);
        line
    });
    let forwards = market.book().into_iter().flat_map(|book| book.iter());
    let routed = forwards.filter_map(|entry| {
        let at = entry.resolved.filter(|at| inside(*at))?;
        let fee = entry.fee().filter(|fee| *fee > 0 && entry.status == crate::domain::ForwardStatus::Settled)?;
        let has = |c: &&SimChannel| c.scid == entry.out_channel || c.old_scids.contains(&entry.out_channel);
        let channel = market.channels.iter().find(has)?;
        let mut line = line(channel.seat.channel_id.to_string(), "routed", (fee, 0), at);
        line["payment_id"] = json!(super::channels::payment_hash(entry.in_channel, entry.in_htlc));
        Some(line)
    });
    paid.chain(routed).collect()
}

/// 32 bytes that look like a hash, another one for each salt.
fn made_up(channel: &SimChannel, salt: u8) -> String {
    let mut id = channel.seat.channel_id;
    id.0.iter_mut().for_each(|byte| *byte = byte.rotate_left(5) ^ salt);
    id.to_string()
}
