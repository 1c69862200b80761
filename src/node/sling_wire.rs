//! The shapes that sling (4.2) and the node's bookkeeper send, turned into the words of the house. Never talks to anybody, and never
//! leaves out a row that it does not understand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::NodeError;
use super::cln_row::{Row, count, garbled, id, msat, rows, seconds, text};
use crate::domain::{Booked, ChannelId, Job, MoveOrder, Msat, Paid, PeerId, Sat, Scid, Tally, Task, Time};

/// `sling-version`
pub fn version(answer: &Value) -> Result<String, NodeError> {
    Ok(Row::whole("sling-version", answer)?.need("version", text)?.to_owned())
}

/// `sling-stats` as a list, and `sling-jobsettings`: a move that was ordered once is in the first only.
pub fn jobs(stats: &Value, settings: &Value) -> Result<Vec<Job>, NodeError> {
    let settings = settings.as_object().ok_or_else(|| garbled("sling-jobsettings", "no object".to_owned()))?;
    let mut jobs: BTreeMap<Scid, Job> = BTreeMap::new();
    for name in settings.keys() {
        let channel = name.parse().map_err(|error| garbled("sling-jobsettings", format!("{error}")))?;
        jobs.insert(channel, Job { channel, tasks: vec![], standing: true });
    }
    let listed = json!({ "channels": stats });
    for row in Row::list("sling-stats", &listed, "channels")? {
        let channel = row.need("scid", id)?;
        let job = jobs.entry(channel).or_insert(Job { channel, tasks: vec![], standing: false });
        for status in row.need("status", rows)? {
            let status = text(status).ok_or_else(|| row.garbled(&format!("'status' is {status}")))?;
            job.tasks.push(task(status));
        }
    }
    Ok(jobs.into_values().collect())
}

/// A number, a colon and a word.
fn task(status: &str) -> Task {
    let word = status.split_once(':').map_or(status, |(_, word)| word);
    match word {
        "NotStarted" => Task::NotStarted,
        "Rebalancing" => Task::Rebalancing,
        "Balanced" => Task::Balanced,
        "NoCheapRoute" => Task::NoCheapRoute,
        "NoCandidates" => Task::NoCandidates,
        "NoRoutes" => Task::NoRoutes,
        "Stopping" => Task::Stopping,
        "Stopped" => Task::Stopped,
        other => Task::Other(other.to_owned()),
    }
}

/// `sling-stats` of one channel. Where nothing has come about there is no part for it.
pub fn tally(answer: &Value) -> Result<Tally, NodeError> {
    let all = Row::whole("sling-stats", answer)?;
    let known = answer.get("successes_in_time_window").is_some() && answer.get("failures_in_time_window").is_some();
    if !known {
        return Err(all.garbled("neither successes nor failures are told"));
    }
    let mut tally = Tally::default();
    if let Some(good) = all.part("successes_in_time_window") {
        tally.moved = Sat(good.need("total_amount_sats", sats)?);
        tally.spent = Sat(good.need("total_spent_sats", sats)?);
        tally.successes = good.need("total_rebalances", count)?;
    }
    if let Some(bad) = all.part("failures_in_time_window") {
        tally.failures = bad.need("total_rebalances_tried", count)?;
        let named = |reason: &Value| reason.get("failure_reason").and_then(text).map(str::to_owned);
        let reasons = bad.like("top_5_failure_reasons", rows).map(Vec::as_slice).unwrap_or_default();
        tally.reasons = reasons.iter().filter_map(named).collect();
    }
    Ok(tally)
}

/// No amount of bitcoin is larger.
fn sats(value: &Value) -> Option<u64> {
    count(value).filter(|sat| *sat <= Sat::ALL.0)
}

/// What `sling-once` is told. Candidates name the one channel that is drained; a filter by fee (`outppm`) would leave it out, so there
/// is none.
pub fn once(order: &MoveOrder) -> Value {
    json!({
        "scid": order.to.to_string(),
        "direction": "pull",
        "amount": order.part.0,
        "onceamount": order.amount.0,
        "maxppm": order.max.0,
        "candidates": [order.from.to_string()],
        "depleteuptoamount": order.keep.0,
        "paralleljobs": 1,
    })
}

/// `sling-once`
pub fn started(answer: &Value) -> Result<(), NodeError> {
    match Row::whole("sling-once", answer)?.need("result", text)? {
        "started" => Ok(()),
        other => Err(garbled("sling-once", format!("it says '{other}', not 'started'"))),
    }
}

/// `sling-stop`: how many were stopped.
pub fn stopped(answer: &Value) -> Result<u64, NodeError> {
    Row::whole("sling-stop", answer)?.need("stopped_count", count)
}

/// `bkpr-listaccountevents` of both channels: payments to ourselves that left by the one and came back by the other.
pub fn booked(from: &Value, to: &Value, since: Time) -> Result<Booked, NodeError> {
    const METHOD: &str = "bkpr-listaccountevents";
    let mut came: BTreeMap<&str, u64> = BTreeMap::new();
    for row in invoices(Row::list(METHOD, to, "events")?) {
        let amount = row.need("credit_msat", msat)?;
        if amount > Msat::ZERO {
            *came.entry(row.need("payment_id", text)?).or_default() += amount.0;
        }
    }
    let (mut booked, mut payments) = (Booked::default(), BTreeSet::new());
    for row in invoices(Row::list(METHOD, from, "events")?) {
        let payment = row.need("payment_id", text)?;
        let recent = row.need("timestamp", seconds)?.secs() >= since.secs();
        let left = row.need("debit_msat", msat)? > Msat::ZERO;
        if !(recent && left && came.contains_key(payment)) {
            continue;
        }
        let fee = row.want("fees_msat", msat)?.unwrap_or_default();
        booked.spent = booked.spent.checked_add(fee).ok_or_else(|| row.garbled("the fees are beyond counting"))?;
        payments.insert(payment);
    }
    booked.moved = payments.iter().filter_map(|payment| came.get(payment)).copied().map(Msat).sum();
    booked.parts = payments.len() as u64;
    Ok(booked)
}

/// Payments that began or ended here. The bookkeeper's own mark (`is_rebalance`) is not relied on: it is missing where a payment was seen
/// to leave before it was seen to come back.
fn invoices<'a>(rows: Vec<Row<'a>>) -> impl Iterator<Item = Row<'a>> {
    rows.into_iter().filter(|row| row.like("tag", text) == Some("invoice"))
}

/// `listsendpays`: the hashes of payments to ourselves.
pub fn to_ourselves(answer: &Value, us: PeerId) -> Result<BTreeSet<String>, NodeError> {
    let rows = Row::list("listsendpays", answer, "payments")?;
    let ours = rows.into_iter().filter(|row| row.like("destination", id) == Some(us));
    ours.map(|row| row.need("payment_hash", text).map(str::to_owned)).collect()
}

/// `listsendpays`: payments to ourselves that came through, of so much at most, since then.
pub fn paid(answer: &Value, us: PeerId, (most, since): (Sat, Time)) -> Result<Paid, NodeError> {
    let mut paid = Paid::default();
    for row in Row::list("listsendpays", answer, "payments")? {
        let ours = row.like("destination", id) == Some(us) && row.need("status", text)? == "complete";
        if !ours || row.need("created_at", seconds)?.secs() < since.secs() {
            continue;
        }
        let (moved, sent) = (row.need("amount_msat", msat)?, row.need("amount_sent_msat", msat)?);
        if moved.sat_floor() > most {
            continue;
        }
        let beyond = || row.garbled("amounts beyond counting");
        let fee = sent.checked_sub(moved).ok_or_else(|| row.garbled("more arrives than is sent"))?;
        paid.moved = paid.moved.checked_add(moved).ok_or_else(beyond)?;
        paid.spent = paid.spent.checked_add(fee).ok_or_else(beyond)?;
    }
    Ok(paid)
}

/// Hashes of HTLCs, by where they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Out of the one channel, or into the other.
    pub between: BTreeSet<String>,
    /// Out of any other channel.
    pub elsewhere: BTreeSet<String>,
}

/// `listpeerchannels`
pub fn links(answer: &Value, from: ChannelId, to: ChannelId) -> Result<Links, NodeError> {
    let mut links = Links::default();
    for row in Row::list("listpeerchannels", answer, "channels")? {
        let channel = row.like("channel_id", id::<ChannelId>);
        for htlc in row.want("htlcs", rows)?.map(Vec::as_slice).unwrap_or_default() {
            let Some(hash) = htlc.get("payment_hash").and_then(text) else { continue };
            let out = htlc.get("direction").and_then(text) == Some("out");
            if out && channel != Some(from) {
                links.elsewhere.insert(hash.to_owned());
            } else if out || channel == Some(to) {
                links.between.insert(hash.to_owned());
            }
        }
    }
    Ok(links)
}
