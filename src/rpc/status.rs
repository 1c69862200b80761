//! `revenue-status`: what the plugin is, does and worries about. Answers at once, whatever step is running.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Absent, Answer, Args, Command, date, rounded};
use crate::accounts::sat_floor;
use crate::domain::Msat;
use crate::flow::daily_decay;
use crate::ops::{
    BooksSight, ChannelReport, FeeReport, Job, JobReport, LedgerCheck, MoveRow, MoveState, Ops, Reconciliation,
    Settings, StatusReport, below_target,
};
use crate::options::Options;

pub(super) const COMMAND: Command = Command {
    name: "revenue-status",
    usage: "",
    about: "Shows whether the plugin runs, what it last saw and did, and what an operator should look at.",
    parameters: &[],
    example: "revenue-status",
    answer: &[
        (
            "status",
            "`starting` until the node's forwards have been read for the first time since the start, then `running`; `disabled` if \
             the ledger is not one that the plugin may use: then nothing is done, and `warnings` has the reason.",
        ),
        ("version", "Version of the plugin."),
        ("node", "`id` and `network`; empty until the node has answered."),
        ("config", "`target_flow_sats`, `fee_range_ppm` [lowest, highest], `rebalance_min_profit_sats`, `dry_run`."),
        (
            "channel_states[]",
            "Channels that route, by class: `channel_id` (short channel id), `peer_id`, `state` (`source`, `sink`, \
             `balanced`, `idle`; `unknown` before the first analysis), `flow_ratio` (-1 to 1: (out - in) / (out + in) of the amounts of each day, \
             recent days weighted more as by `ema_decay`, so it is not the ratio of `sats_in` and `sats_out`), \
             `sats_in` and `sats_out` (within the flow window; like all numbers of the flow `null` before the channel's first analysis), `fees_earned_msat` (by forwards out, since the channel is known), `capacity`, `local_sats`, `fee_ppm`, `updated_at`, \
             `confidence` (0 to 1), `velocity` (change of `flow_ratio` a day), `flow_multiplier` (`null`: no fee is \
             multiplied by a flow), `ema_decay` (what is left of a day's weight on the day after), `turnover` (share of the capacity that moves \
             in a day), `forward_count` (within the window), `below_target`.",
        ),
        (
            "recent_fee_changes[]",
            "The last 10, newest first: `id`, `channel_id`, `peer_id`, `old_fee_ppm`, `new_fee_ppm`, `reason`, `manual`, \
             `outcome` (`set`, `dry-run`, `failed`; `unknown`: the node has not answered; `kept`: the peer's policy changed before the \
             node was told), `timestamp`.",
        ),
        (
            "recent_rebalances[]",
            "The last 10, newest first: `id`, `from_channel`, `to_channel`, `amount_sats`, `moved_sats`, `max_fee_sats` (reserved), \
             `actual_fee_sats` and, exact, `actual_fee_msat` (`null` while it runs), `expected_profit_sats`, `actual_profit_sats` (`null`: what \
             was moved is sold together with what was there), `status` (`reserved`, `running`, `stopping`, `success`, \
             `partial`, `failed`), `rebalance_type` (`normal`, `manual`), `error_message`, `reason`, `timestamp`.",
        ),
        ("warnings[]", "Sentences about what is not as it should be; empty: all is well."),
        ("jobs", "By name: `runs`, `failures`, `last_run`, `next_run`, `last_error`."),
        (
            "ledger",
            "`forwards`, `settled`, `fees_msat`, `sum_of_accounts_msat` (must be 0) and `problems[]` as of `last_check`; \
             `created_index` and `updated_index`: how far the node's list of forwards has been read.",
        ),
        (
            "books",
            "`sum_of_accounts_msat` (must be 0), `read_at` (when the node's own books were last read), `records_coins` and `bookkeeper` \
             (whether the node has them; `null`: not asked yet), `accounts_waiting` (that the bookkeeper is to be asked about), `last_reconciliation` \
             (when and for which `day` our books and the bookkeeper's were compared, and how many amounts), `differences[]` of that day \
             (`channel`, `what`, `ours_msat`, `theirs_msat`, `reason`), `unclear[]` (transactions whose fees make no sense yet) and `errors[]`.",
        ),
        ("backfill", "Only while starting: how far the first reading has come, and what the plugin waits for."),
        ("breakers[]", "Groups of calls to the node: `group`, `state`, `last_error`, `retry_in_seconds`."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: Some(early),
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let report = ops.status().await?;
    let status = if report.caught_up { "running" } else { "starting" };
    let mut answer = frame(status, &report.options);
    let identity = &report.identity;
    answer.insert("node".to_owned(), json!({ "id": identity.node, "network": identity.network }));
    let channels = report.channels.iter().map(|channel| channel_state(channel, &report.options)).collect::<Vec<_>>();
    answer.insert("channel_states".to_owned(), channels.into());
    let changes = report.changes.iter().map(|(id, change)| fee_change(*id, change)).collect::<Vec<_>>();
    answer.insert("recent_fee_changes".to_owned(), changes.into());
    let moves = report.moves.iter().map(rebalance).collect::<Vec<_>>();
    answer.insert("recent_rebalances".to_owned(), moves.into());
    answer.insert("warnings".to_owned(), json!(report.warnings));
    answer.insert("jobs".to_owned(), jobs(&report.jobs));
    let (created, updated) = (report.positions.created, report.positions.updated);
    answer.insert("ledger".to_owned(), ledger(report.check.as_deref(), created, updated));
    answer.insert("breakers".to_owned(), breakers(&report));
    let (sight, compared, waiting) = ops.books_status().await?;
    answer.insert("books".to_owned(), books(report.check.as_deref(), (&sight, compared.as_ref()), waiting));
    if !report.caught_up {
        let doing = "reading the node's list of forwards";
        answer.insert("backfill".to_owned(), backfill(created, updated, doing));
    }
    Ok(Value::Object(answer))
}

/// Without a ledger: the same shape, with nothing in it.
fn early(settings: &Settings, absent: Absent) -> Value {
    let (status, why) = match absent {
        Absent::Yet(doing) => ("starting", doing),
        Absent::Ever(reason) => ("disabled", reason),
    };
    let mut answer = frame(status, &settings.now());
    answer.insert("warnings".to_owned(), json!([why]));
    if let Absent::Yet(doing) = absent {
        answer.insert("backfill".to_owned(), backfill(0, 0, doing));
    }
    Value::Object(answer)
}

fn frame(status: &str, options: &Options) -> Map<String, Value> {
    let frame = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "node": {},
        "config": {
            "target_flow_sats": options.target_flow,
            "fee_range_ppm": [options.min_fee_ppm, options.max_fee_ppm],
            "rebalance_min_profit_sats": options.rebalance_min_profit,
            "dry_run": options.dry_run,
        },
        "channel_states": [],
        "recent_fee_changes": [],
        "recent_rebalances": [],
        "warnings": [],
        "jobs": jobs(&BTreeMap::new()),
        "ledger": ledger(None, 0, 0),
        "breakers": [],
        "books": books(None, (&BooksSight::default(), None), 0),
    });
    match frame {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn channel_state(report: &ChannelReport, options: &Options) -> Value {
    let (channel, flow) = (&report.channel, report.flow.as_ref().map(|(_, flow)| flow));
    json!({
        "channel_id": channel.scid,
        "peer_id": channel.peer,
        "state": flow.map_or("unknown", |flow| flow.class.name()),
        "flow_ratio": flow.map(|flow| rounded(flow.net)),
        "sats_in": flow.map(|flow| flow.in_msat.sat_floor()),
        "sats_out": flow.map(|flow| flow.out_msat.sat_floor()),
        "fees_earned_msat": report.totals.fees_earned_msat,
        "capacity": channel.capacity.sat_floor(),
        "local_sats": channel.local.sat_floor(),
        "fee_ppm": channel.ours.ppm,
        "updated_at": report.flow.as_ref().map(|(at, _)| at.secs()),
        "confidence": flow.map(|flow| rounded(flow.confidence)),
        "velocity": flow.map(|flow| rounded(flow.velocity)),
        "flow_multiplier": null,
        "ema_decay": rounded(daily_decay(options.flow_window_days)),
        "turnover": flow.map(|flow| rounded(flow.turnover)),
        "forward_count": flow.map(|flow| flow.forwards),
        "below_target": flow.map(|flow| below_target(flow, options)),
    })
}

fn fee_change(id: i64, change: &FeeReport) -> Value {
    let row = &change.row;
    json!({
        "id": id,
        "channel_id": change.name(),
        "peer_id": row.peer,
        "old_fee_ppm": row.old,
        "new_fee_ppm": row.new,
        "reason": row.summary,
        "manual": row.manual,
        "outcome": change.outcome(),
        "timestamp": row.at.secs(),
    })
}

fn rebalance(row: &MoveRow) -> Value {
    let (new, ended) = (&row.new, row.ended);
    let failure = ended.and_then(|end| end.failure);
    let moved = ended.map(|end| end.moved).filter(|moved| *moved > Msat::ZERO);
    let status = match (row.state, failure, moved) {
        (MoveState::Reserved, ..) => "reserved",
        (MoveState::Begun, ..) => "running",
        (MoveState::Stopping, ..) => "stopping",
        (MoveState::Closed, None, _) => "success",
        (MoveState::Closed, Some(_), Some(_)) => "partial",
        (MoveState::Closed, Some(_), None) => "failed",
    };
    json!({
        "id": row.id,
        "from_channel": new.order.from,
        "to_channel": new.order.to,
        "amount_sats": new.order.amount,
        "moved_sats": ended.map(|end| end.moved.sat_floor()),
        "max_fee_sats": new.reserved.sat_floor(),
        "actual_fee_sats": ended.map(|end| end.spent.sat_floor()),
        "actual_fee_msat": ended.map(|end| end.spent),
        "expected_profit_sats": sat_floor(new.profit_msat),
        "actual_profit_sats": null,
        "status": status,
        "rebalance_type": if new.manual { "manual" } else { "normal" },
        "error_message": failure.map(|failure| failure.name()),
        "reason": new.summary,
        "timestamp": new.at.secs(),
    })
}

/// Every job, also one that has not run yet.
fn jobs(reports: &BTreeMap<Job, JobReport>) -> Value {
    let shape = |report: &JobReport| {
        json!({
            "runs": report.runs,
            "failures": report.failures,
            "last_run": date(report.last_run),
            // A job that runs on demand only has no next run after its last.
            "next_run": date(report.next_run.filter(|next| report.last_run.is_none_or(|last| *next > last))),
            "last_error": report.last_error,
        })
    };
    let never = JobReport::default();
    let of = |job: Job| (job.name().to_owned(), shape(reports.get(&job).unwrap_or(&never)));
    Job::ALL.map(of).into_iter().collect::<Map<_, _>>().into()
}

fn ledger(check: Option<&LedgerCheck>, created: u64, updated: u64) -> Value {
    json!({
        "sum_of_accounts_msat": check.map(|check| check.sum_of_accounts_msat),
        "forwards": check.map(|check| check.forwards),
        "settled": check.map(|check| check.settled),
        "fees_msat": check.map(|check| check.fees_msat),
        "last_check": date(check.map(|check| check.at)),
        "problems": check.map(|check| check.problems.clone()).unwrap_or_default(),
        "created_index": created,
        "updated_index": updated,
    })
}

fn books(
    check: Option<&LedgerCheck>,
    (sight, compared): (&BooksSight, Option<&Reconciliation>),
    waiting: u64,
) -> Value {
    let reconciliation = compared.map(|compared| {
        let day = super::snapshots::date(compared.day);
        json!({ "at": date(Some(compared.at)), "day": day, "compared": compared.compared })
    });
    json!({
        "sum_of_accounts_msat": check.map(|check| check.sum_of_accounts_msat),
        "read_at": date(sight.read_at),
        "records_coins": sight.records,
        "bookkeeper": sight.bookkeeper,
        "accounts_waiting": waiting,
        "last_reconciliation": reconciliation,
        "differences": compared.map(|compared| json!(compared.differences)).unwrap_or_else(|| json!([])),
        "unclear": sight.odd,
        "errors": sight.errors,
    })
}

fn breakers(report: &StatusReport) -> Value {
    let breaker = |breaker: &_| {
        let crate::ops::Breaker { group, state, last_error, retry_in_secs } = breaker;
        json!({ "group": group, "state": state, "last_error": last_error, "retry_in_seconds": retry_in_secs })
    };
    report.breakers.iter().map(breaker).collect::<Vec<_>>().into()
}

fn backfill(created: u64, updated: u64, doing: &str) -> Value {
    json!({ "created_index": created, "updated_index": updated, "doing": doing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChannelId, MoveOrder, PeerId, Ppm, Sat, Scid, Tally, Time};
    use crate::ops::{MoveEnd, NewMove};
    use crate::options::Layers;

    #[test]
    fn the_early_answer_has_every_field_of_the_later_one() {
        let answer = early(&Settings::new(Layers::default()).unwrap(), Absent::Yet("opening the ledger"));
        for (field, _) in COMMAND.answer {
            let field = field.trim_end_matches("[]");
            assert!(answer.get(field).is_some(), "{field}");
        }
        assert_eq!(answer["backfill"]["doing"], "opening the ledger");
    }

    #[test]
    fn a_move_is_told_with_what_it_has_cost_and_no_loss_smaller_than_it_is() {
        let (from, to) = (ChannelId([1; 32]), ChannelId([2; 32]));
        let (one, two) = (Scid::new(1, 1, 0).unwrap(), Scid::new(2, 1, 0).unwrap());
        let (amount, part, max, keep) = (Sat(50_000), Sat(50_000), Ppm(100), Sat(0));
        let new = NewMove {
            at: Time(0),
            from,
            to,
            from_peer: PeerId([2; 33]),
            to_peer: PeerId([3; 33]),
            order: MoveOrder { from: one, to: two, amount, part, max, keep },
            reserved: Msat(5_000),
            profit_msat: -1,
            manual: true,
            summary: String::new(),
            before: Tally::default(),
            booked: None,
        };
        let end = MoveEnd { at: Time(9), moved: Msat(50_000_000), spent: Msat(1_004), failure: None };
        let row = MoveRow { id: 1, new, state: MoveState::Closed, stopping: None, ended: Some(end) };
        let told = rebalance(&row);
        assert_eq!((&told["actual_fee_sats"], &told["actual_fee_msat"]), (&json!(1), &json!(1_004)));
        assert_eq!((&told["expected_profit_sats"], &told["actual_profit_sats"]), (&json!(-1), &Value::Null));
        let running = rebalance(&MoveRow { state: MoveState::Begun, ended: None, ..row });
        assert_eq!(running["actual_fee_sats"], Value::Null);
        let shown = |field: &str| COMMAND.answer.iter().any(|(_, text)| text.contains(&format!("`{field}`")));
        for field in told.as_object().unwrap().keys() {
            assert!(shown(field), "{field} is not in the manual");
        }
    }
}
