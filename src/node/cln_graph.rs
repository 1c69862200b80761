//! What Core Lightning tells of the chain, of the public graph, and of what channels cost, in the words of the house. Asked for by
//! rules only. Never talks to a node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::NodeError;
use super::cln_row::{Row, flag, id, msat, rows, small_count, text};
use crate::domain::{Chain, Estimate, Graph, GraphPeer, Msat, PeerId, Sat, Scid};

/// `option_splice`, demanded and offered (BOLT 9).
const SPLICE_BITS: [usize; 2] = [62, 63];

/// `getinfo` and `feerates perkb`
pub fn chain(info: &Value, feerates: &Value) -> Result<Chain, NodeError> {
    let info = Row::whole("getinfo", info)?;
    let synced = !info.has("warning_bitcoind_sync") && !info.has("warning_lightningd_sync");
    let perkb = Row::whole("feerates", feerates)?.part("perkb");
    let told = perkb.and_then(|perkb| perkb.like("estimates", rows)).map(Vec::as_slice).unwrap_or_default();
    let estimate = |told: &Value| {
        let blocks = small_count(told.get("blockcount")?)?;
        Some(Estimate { blocks, sat_per_vb: told.get("feerate")?.as_f64()? / 1000.0 })
    };
    let mut feerates: Vec<Estimate> = told.iter().filter_map(estimate).collect();
    feerates.sort_by_key(|estimate| estimate.blocks);
    Ok(Chain { height: info.need("blockheight", small_count)?, synced, feerates })
}

/// `listnodes` of a peer, and `listchannels` with it as source and as destination.
pub fn peer(nodes: &Value, from: &Value, to: &Value) -> Result<GraphPeer, NodeError> {
    let nodes = Row::list("listnodes", nodes, "nodes")?;
    let alias = nodes.first().and_then(|node| node.like("alias", text)).map(str::to_owned);
    let (mut channels, mut disabled) = (BTreeMap::new(), BTreeSet::new());
    for row in Row::list("listchannels", from, "channels")? {
        let scid: Scid = row.need("short_channel_id", id)?;
        channels.insert(scid, row.need("amount_msat", msat)?);
        disabled.extend((row.like("active", flag) == Some(false)).then_some(scid));
    }
    for row in Row::list("listchannels", to, "channels")? {
        channels.insert(row.need("short_channel_id", id)?, row.need("amount_msat", msat)?);
    }
    let graph = match (nodes.is_empty(), u32::try_from(channels.len())) {
        (true, Ok(0)) => Graph::Missing,
        (_, many) => {
            let capacity = channels.values().map(|amount: &Msat| amount.sat_floor().0).sum();
            Graph::Known { channels: many.unwrap_or(u32::MAX), capacity: Sat(capacity) }
        }
    };
    Ok(GraphPeer { alias, graph, disabled })
}

/// `listpeers`: by the features that each peer has told us since it connected.
pub fn splicers(answer: &Value) -> Result<HashMap<PeerId, bool>, NodeError> {
    let mut splicers = HashMap::new();
    for row in Row::list("listpeers", answer, "peers")? {
        if let Some(features) = row.like("features", text).filter(|features| !features.is_empty()) {
            splicers.insert(row.need("id", id)?, SPLICE_BITS.iter().any(|bit| has_bit(features, *bit)));
        }
    }
    Ok(splicers)
}

/// In a number written in hexadecimal digits, the highest first.
fn has_bit(digits: &str, bit: usize) -> bool {
    let digit = digits.chars().rev().nth(bit / 4).and_then(|digit| digit.to_digit(16));
    digit.is_some_and(|digit| digit >> (bit % 4) & 1 == 1)
}

/// `bkpr-listaccountevents` of a channel: the on-chain fees of its first transaction, what was put back taken off. A splice, and the
/// close, come later.
pub fn opening_cost(answer: &Value) -> Result<Option<Msat>, NodeError> {
    let mut fees: BTreeMap<&str, i128> = BTreeMap::new();
    let mut opened = None;
    for row in Row::list("bkpr-listaccountevents", answer, "events")? {
        let outpoint = row.like("outpoint", text).and_then(|outpoint| outpoint.split(':').next());
        if row.like("tag", text) == Some("channel_open") && opened.is_none() {
            opened = outpoint;
        }
        if row.like("type", text) != Some("onchain_fee") {
            continue;
        }
        let (credit, debit) = (row.need("credit_msat", msat)?, row.need("debit_msat", msat)?);
        *fees.entry(row.need("txid", text)?).or_default() += i128::from(credit.0) - i128::from(debit.0);
    }
    let paid = opened.and_then(|txid| fees.get(txid)).map(|net| net.unsigned_abs());
    Ok(paid.and_then(|net| u64::try_from(net).ok()).map(Msat))
}
