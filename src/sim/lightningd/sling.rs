//! sling as far as others speak to it, and what the node itself tells of payments to ourselves. Not there until `sim-neighbours` brings it.

use serde_json::{Value, json};

use super::Lightningd;
use super::wire::{Answer, Params, Request, RpcError, as_text};
use crate::domain::{ChannelId, MoveOrder, Msat, Ppm, Sat, Scid, Tally, Task};
use crate::sim::mover::{Lie, Mover, Part};

/// Names and usages of sling's commands.
const SLING: &[(&str, &[&str])] = &[
    ("sling-version", &[]),
    ("sling-stats", &["scid", "json"]),
    ("sling-jobsettings", &["scid"]),
    ("sling-once", ONCE),
    ("sling-stop", &["scid"]),
];
const ONCE: &[&str] = &[
    "scid",
    "direction",
    "amount",
    "maxppm",
    "onceamount",
    "outppm",
    "maxhops",
    "candidates",
    "depleteuptopercent",
    "depleteuptoamount",
    "paralleljobs",
];
/// Of the node; nobody asks before there are payments to ourselves.
const SENDPAYS: &[(&str, &[&str])] = &[("listsendpays", &["bolt11", "payment_hash", "status"])];

/// All errors of sling are of this kind.
fn sling_error(message: impl Into<String>) -> RpcError {
    RpcError { data: Some(Value::Null), ..RpcError::new(-32_700, message) }
}

impl Lightningd {
    /// sling's answer, or the node's list of payments, if there ever was a sling here.
    pub(super) fn sling(&self, request: &Request) -> Option<Answer> {
        let known = |table: &'static [(&str, &[&str])]| table.iter().find(|(name, _)| *name == request.method);
        let is_here = self.node.mover().as_ref().map(Mover::is_present)?;
        let (name, names) = known(SLING).filter(|_| is_here).or_else(|| known(SENDPAYS))?;
        self.catch_up();
        Some(Params::read(&request.params, names).and_then(|params| match *name {
            "listsendpays" => Ok(self.sendpays(&params)),
            name => self.ask_sling(name, &params),
        }))
    }

    /// Brings sling, or takes it and its tasks away; and the ways, which cost so many percent of what they cost on the public network.
    pub(super) fn play_sling(&self, present: Option<bool>, (ways, percent): (Option<bool>, Option<u64>)) -> bool {
        if present == Some(true) {
            self.node.bring_mover();
        }
        let mut mover = self.node.mover();
        let Some(mover) = mover.as_mut() else { return false };
        present.into_iter().for_each(|present| mover.set_present(present));
        ways.into_iter().for_each(|ways| mover.set_ways(ways));
        percent.into_iter().for_each(|percent| mover.set_dearness(percent as f64 / 100.0));
        mover.is_present()
    }

    /// From now on sling lies like that; `none`: it does not.
    pub(super) fn play_lie(&self, name: &str) -> Result<(), RpcError> {
        let lie = Lie::ALL.into_iter().find(|lie| lie.name() == name);
        if lie.is_none() && name != "none" {
            return Err(RpcError::params(format!("Unknown lie: {name}")));
        }
        if let Some(mover) = self.node.mover().as_mut() {
            mover.set_lie(lie);
        }
        Ok(())
    }

    fn ask_sling(&self, name: &str, params: &Params) -> Answer {
        let scid = params.text("scid").map(|text| text.parse::<Scid>().map_err(|_| sling_error("invalid scid")));
        let scid = scid.transpose()?;
        let market = self.node.market();
        let mut mover = self.node.mover();
        let Some(mover) = mover.as_mut() else { return Err(sling_error("gone")) };
        match (name, scid) {
            ("sling-version", _) => Ok(json!({ "version": "v4.2.1" })),
            ("sling-jobsettings", _) => Ok(json!({})),
            ("sling-stats", Some(scid)) => Ok(stats_of(&mover.tally(scid))),
            ("sling-stats", None) => Ok(stats(mover)),
            ("sling-stop", Some(scid)) => Ok(json!({ "stopped_count": mover.stop(scid) })),
            ("sling-once", Some(scid)) => {
                mover.begin(&market, &order(scid, params)?).map_err(sling_error)?;
                Ok(json!({ "result": "started" }))
            }
            _ => Err(sling_error("Missing scid")),
        }
    }

    fn sendpays(&self, params: &Params) -> Value {
        let us = self.node.market().network().us;
        let mover = self.node.mover();
        let parts = |over: bool| mover.iter().flat_map(move |m| if over { m.parts() } else { m.flying() });
        let (wanted, asked) = (params.text("status"), params.text("payment_hash"));
        let rows = parts(true).map(|part| (part, if part.came { "complete" } else { "failed" }));
        let rows = rows.chain(parts(false).map(|part| (part, "pending")));
        let row = |(part, status): (&Part, &str)| {
            let amount = part.amount.0 * 1000;
            json!({
                "created_index": part.number, "id": part.number, "payment_hash": hash(part), "groupid": 1,
                "destination": us, "amount_msat": amount, "amount_sent_msat": amount + part.fee.0,
                "created_at": part.sent.secs(), "status": status,
            })
        };
        let rows = rows.filter(|(part, status)| {
            wanted.as_deref().is_none_or(|wanted| wanted == *status)
                && asked.as_ref().is_none_or(|asked| *asked == hash(part))
        });
        json!({ "payments": rows.map(row).collect::<Vec<_>>() })
    }

    /// The payments to ourselves that came, in the order in which they did.
    pub(super) fn to_ourselves(&self) -> Vec<Part> {
        self.node.mover().iter().flat_map(|mover| mover.parts()).filter(|part| part.came).cloned().collect()
    }
}

/// Both ends of such a payment in the node's record of coins in channels.
pub(super) fn moves(number: usize, part: &Part) -> [Value; 2] {
    let line = |end: usize, account: ChannelId, (credit, debit): (u64, u64), fee: Msat| {
        json!({
            "created_index": 2 * number + end, "account_id": account, "credit_msat": credit, "debit_msat": debit,
            "timestamp": part.until.secs(), "primary_tag": "invoice", "payment_hash": hash(part), "part_id": 0,
            "fees_msat": fee,
        })
    };
    let amount = part.amount.0 * 1000;
    [line(1, part.from, (0, amount + part.fee.0), part.fee), line(2, part.to, (amount, 0), Msat::ZERO)]
}

/// The bookkeeper's lines of it in this account.
pub(super) fn events(account: ChannelId, part: &Part) -> Vec<Value> {
    let line = |out: bool| {
        let amount = part.amount.0 * 1000;
        let mut line = json!({
            "account": account, "type": "channel", "tag": "invoice", "currency": "bcrt", "payment_id": hash(part),
            "credit_msat": if out { 0 } else { amount }, "debit_msat": if out { amount + part.fee.0 } else { 0 },
            "part_id": 0, "timestamp": part.until.secs(), "is_rebalance": true,
        });
        if out && part.fee > Msat::ZERO {
            line["fees_msat"] = json!(part.fee);
        }
        line
    };
    let ends = [(part.from, true), (part.to, false)];
    ends.iter().filter(|(end, _)| *end == account).map(|(_, out)| line(*out)).collect()
}

/// What it cost, in the bookkeeper's statement of income.
pub(super) fn income(part: &Part) -> Option<Value> {
    (part.fee > Msat::ZERO).then(|| {
        json!({
            "account": part.from, "tag": "rebalance_fee", "credit_msat": 0, "debit_msat": part.fee, "currency": "bcrt",
            "timestamp": part.until.secs(), "payment_id": hash(part),
        })
    })
}

fn hash(part: &Part) -> String {
    format!("{:064x}", part.number)
}

fn order(to: Scid, params: &Params) -> Result<MoveOrder, RpcError> {
    let number = |name: &str| params.number(name)?.ok_or_else(|| sling_error(format!("Missing {name}")));
    let candidates = params.get("candidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let from = candidates.first().and_then(|scid| as_text(scid).parse().ok());
    let from = from.ok_or_else(|| sling_error("no candidates and no outppm"))?;
    let (amount, part) = (number("onceamount")?, number("amount")?);
    if part == 0 || amount % part != 0 {
        return Err(sling_error("onceamount must be a multiple of amount"));
    }
    let max = u32::try_from(number("maxppm")?).map_err(|_| sling_error("maxppm is too large"))?;
    let keep = Sat(params.number("depleteuptoamount")?.unwrap_or(0));
    Ok(MoveOrder { from, to, amount: Sat(amount), part: Sat(part), max: Ppm(max), keep })
}

fn stats(mover: &Mover) -> Value {
    let row = |job: crate::domain::Job| {
        let tally = mover.tally(job.channel);
        let tasks = job.tasks.iter().enumerate().map(|(n, task)| format!("{}:{}", n + 1, word(task)));
        json!({
            "alias": "", "scid": job.channel, "pubkey": "", "status": tasks.collect::<Vec<_>>(),
            "rebamount": tally.moved.0.to_string(), "w_feeppm": 0,
            "last_route_taken": "Never", "last_success_reb": "Never",
        })
    };
    Value::Array(mover.jobs().into_iter().map(row).collect())
}

fn word(task: &Task) -> String {
    match task {
        Task::NoRoutes => "NoRoutes".to_owned(),
        Task::Other(word) => word.clone(),
        task => format!("{task:?}"),
    }
}

/// Where nothing has come about there is no part for it.
fn stats_of(tally: &Tally) -> Value {
    let good = (tally.successes > 0).then(|| {
        json!({
            "total_amount_sats": tally.moved, "total_rebalances": tally.successes, "total_spent_sats": tally.spent,
            "time_window_days": "30",
        })
    });
    let bad = (tally.failures > 0).then(|| {
        json!({
            "total_rebalances_tried": tally.failures, "total_amount_tried_sats": 0, "time_window_days": "30",
            "top_5_failure_reasons": [{"failure_count": tally.failures, "failure_reason": "WIRE_TEMPORARY_CHANNEL_FAILURE"}],
        })
    });
    json!({ "successes_in_time_window": good, "failures_in_time_window": bad })
}
