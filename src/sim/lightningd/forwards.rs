//! The list of forwards, and waiting for it to grow.

use serde_json::{Map, Value, json};

use super::channels::payment_hash;
use super::wire::{Answer, Params, RpcError};
use crate::domain::{ForwardIndex, ForwardStatus, Scid, Time};
use crate::sim::book::{Book, Entry};

pub(super) fn listforwards(book: &Book, params: &Params) -> Answer {
    let status = params.text("status").map(|text| read_status(&text)).transpose()?;
    let in_channel = scid(params, "in_channel")?;
    let out_channel = scid(params, "out_channel")?;
    let index = params.text("index").map(|text| read_index(&text)).transpose()?;
    let (start, limit) = (params.number("start")?, params.u32("limit")?);
    if index.is_none() && start.is_some() {
        return Err(RpcError::params("Can only specify {start} with {index}"));
    }
    if index.is_none() && limit.is_some() {
        return Err(RpcError::params("Can only specify {limit} with {index}"));
    }
    let wanted = |entry: &&Entry| {
        status.is_none_or(|s| s == entry.status)
            && in_channel.is_none_or(|c| c == entry.in_channel)
            && out_channel.is_none_or(|c| c == entry.out_channel)
    };
    let all = book.from_index(index.unwrap_or(ForwardIndex::Created), start.unwrap_or(1));
    let page = all.filter(wanted).take(limit.map_or(usize::MAX, |limit| limit as usize));
    Ok(json!({"forwards": page.map(line).collect::<Vec<_>>()}))
}

fn read_status(text: &str) -> Result<ForwardStatus, RpcError> {
    use ForwardStatus::{Failed, LocalFailed, Offered, Settled};
    let known = [Offered, Settled, Failed, LocalFailed].into_iter().find(|s| status_name(*s) == text);
    known.ok_or_else(|| RpcError::token("status", "Unrecognized status"))
}

fn read_index(text: &str) -> Result<ForwardIndex, RpcError> {
    match text {
        "created" => Ok(ForwardIndex::Created),
        "updated" => Ok(ForwardIndex::Updated),
        _ => Err(RpcError::token("index", "unknown index")),
    }
}

fn scid(params: &Params, name: &str) -> Result<Option<Scid>, RpcError> {
    let read =
        |text: String| text.parse().map_err(|_| RpcError::token(name, "should be a short_channel_id of form NxNxN"));
    params.text(name).map(read).transpose()
}

fn status_name(status: ForwardStatus) -> &'static str {
    match status {
        ForwardStatus::Offered => "offered",
        ForwardStatus::Settled => "settled",
        ForwardStatus::Failed => "failed",
        ForwardStatus::LocalFailed => "local_failed",
    }
}

/// One forward as `listforwards` gives it.
fn line(entry: &Entry) -> Value {
    let mut line = common(entry);
    line.insert("created_index".to_owned(), json!(entry.created));
    if entry.updated > 0 {
        line.insert("updated_index".to_owned(), json!(entry.updated));
    }
    if let Some(out) = entry.out {
        line.insert("out_htlc_id".to_owned(), json!(out.htlc));
    }
    Value::Object(line)
}

/// The notification of what became of a forward: the index that changed, a hash, and never the outgoing id.
pub(super) fn event(entry: &Entry) -> Value {
    let mut event = common(entry);
    let (name, index) =
        if entry.updated > 0 { ("updated_index", entry.updated) } else { ("created_index", entry.created) };
    event.insert(name.to_owned(), json!(index));
    event.insert("payment_hash".to_owned(), json!(payment_hash(entry.in_channel, entry.in_htlc)));
    if entry.status == ForwardStatus::Settled {
        event.insert("preimage".to_owned(), json!(payment_hash(entry.in_channel, !entry.in_htlc)));
    }
    Value::Object(event)
}

fn common(entry: &Entry) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("in_channel", json!(entry.in_channel));
    add("in_htlc_id", json!(entry.in_htlc));
    add("out_channel", json!(entry.out_channel));
    add("in_msat", json!(entry.in_msat));
    if let (Some(out), Some(fee)) = (entry.out, entry.fee()) {
        add("out_msat", json!(out.msat));
        add("fee_msat", json!(fee));
    }
    add("status", json!(status_name(entry.status)));
    if entry.failcode > 0 {
        add("failcode", json!(entry.failcode));
        add("failreason", json!(failreason(entry.failcode)));
    }
    add("style", json!("tlv"));
    add("received_time", json!(seconds(entry.received)));
    if let Some(resolved) = entry.resolved {
        add("resolved_time", json!(seconds(resolved)));
    }
    fields
}

fn failreason(failcode: u32) -> &'static str {
    match failcode {
        crate::domain::forward::FEE_INSUFFICIENT => "WIRE_FEE_INSUFFICIENT",
        _ => "WIRE_TEMPORARY_CHANNEL_FAILURE",
    }
}

/// A number with decimals, also on the full second.
fn seconds(at: Time) -> f64 {
    at.0 as f64 / 1000.0
}

/// One of the three counters of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Created,
    Updated,
    Deleted,
}

impl Counter {
    pub(super) fn read(text: &str) -> Result<Counter, RpcError> {
        match text {
            "created" => Ok(Counter::Created),
            "updated" => Ok(Counter::Updated),
            "deleted" => Ok(Counter::Deleted),
            _ => Err(RpcError::token("indexname", "unknown index")),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Counter::Created => "created",
            Counter::Updated => "updated",
            Counter::Deleted => "deleted",
        }
    }

    pub(super) fn value(self, book: &Book) -> u64 {
        match self {
            Counter::Created => book.created(),
            Counter::Updated => book.updated(),
            Counter::Deleted => book.deleted(),
        }
    }

    fn entry(self, book: &Book, value: u64) -> Option<&Entry> {
        match self {
            Counter::Created => book.get(value),
            Counter::Updated => book.by_updated(value),
            Counter::Deleted => None,
        }
    }
}

/// What `wait` answers once the counter has reached `next`; nothing before. Who had to wait is told of the forward too.
pub(super) fn reached(book: &Book, counter: Counter, next: u64, waited: bool) -> Option<Value> {
    let value = counter.value(book);
    if value < next {
        return None;
    }
    let told = if waited { next } else { value };
    let mut answer = json!({"subsystem": "forwards", counter.name(): told});
    if let Some(entry) = counter.entry(book, next).filter(|_| waited) {
        let status =
            if counter == Counter::Created && entry.out.is_some() { ForwardStatus::Offered } else { entry.status };
        let details = json!({
            "status": status_name(status),
            "in_channel": entry.in_channel,
            "in_htlc_id": entry.in_htlc,
            "in_msat": entry.in_msat,
            "out_channel": entry.out_channel,
        });
        answer["details"] = details.clone();
        answer["forwards"] = details;
    }
    Some(answer)
}
