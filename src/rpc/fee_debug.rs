//! `revenue-fee-debug`: why each fee is what it is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::policy_shape::in_force;
use super::{Answer, Args, Command, date, rounded};
use crate::domain::{FlowClass, Time};
use crate::ops::{FeeDebugReport, FeeLine, FeeReport, Ops};
use crate::options::Options;

pub(super) const COMMAND: Command = Command {
    name: "revenue-fee-debug",
    usage: "[channel_id]",
    about: "Explains the last fee decision: one line for each channel, or every stage of one channel's.",
    parameters: &[(
        "channel_id",
        "Short channel id (an earlier one too, after a splice), alias or channel id. Without it every channel is shown.",
    )],
    example: "revenue-fee-debug 800000x12x1",
    answer: &[
        ("timestamp", "When this was answered."),
        (
            "config",
            "The options that pricing reads. `min_observation_hours`, `min_forwards_for_signal`, `max_observation_hours` and \
             `enable_dynamic_windows` are `null`: pricing compares blocks of time and has no such windows.",
        ),
        (
            "channels[]",
            "Without channel, newest first: `channel_id`, `peer_id`, `decided_at`, `fee_ppm` (before), `target_ppm`, \
             `outcome` (`kept`, `set`, `dry-run`, `failed`; `unknown`: the node was told and has not answered, the next look tells), \
             `urgent`, `manual`, `text` (the decision in one line), `learner` (what \
             the peer's learner believes and does, in one line); `status` (`waiting_time` while a change has to wait for a block, a day \
             or a larger difference, otherwise `ready`) and `skip_reason` (what it waits for, or `null`), `flow_state`, \
             `last_broadcast_fee_ppm` (the fee in force) and `hours_since_update` (since it was asked for, or found to be somebody else's; `null`: not known). \
             `is_sleeping`, `forwards_since_update` and `last_revenue_rate` are `null`: pricing knows no such thing.",
        ),
        (
            "summary",
            "Without channel: `total`, how many of each outcome, and how many are `ready` or `waiting_time`; `sleeping` and \
             `waiting_forwards` are `null`.",
        ),
        (
            "channel_id, peer_id, decided_at, fee_ppm, target_ppm, outcome, urgent, manual, text",
            "With channel: the same of that channel.",
        ),
        (
            "stages[]",
            "With channel, in order: `stage`, `text`, and the numbers that it looked at; moments are dates in UTC. A dry run that is \
             ahead of the node's fee says in the stage `gossip` what is `in_force`.",
        ),
        (
            "learner.belief",
            "With channel: `theta_ppm` (the fee at which half of the payers are gone) and `kappa` (how abruptly \
             they go), each `low`, `mean` and `high`; with the probability `interval` it lies between `low` and `high`.",
        ),
        (
            "learner.f_rev_ppm, learner.f_clear_ppm",
            "The fee that earns most, and the one that a channel's balance asks by what it is worth (`null`: the plan \
             prices it, or too little is known); as of the last pair's end.",
        ),
        (
            "learner.centre_ppm, learner.delta",
            "The middle of the pair that is being tried, and how far (in ln) its two fees are \
             above and below it.",
        ),
        (
            "learner.direction, learner.came_from_ppm, learner.moved_by, learner.probability_of_right_direction",
            "Where the last step of the middle \
             went and where it began, who made it (`learner` or `plan`), and how probable it is, by what is believed now, that the \
             right fee lies on that side (`null`: the plan made it); `null` while there was no step, or somebody holds the fee.",
        ),
        (
            "learner.step, learner.block_ends_at",
            "What the present block is for, and when it ends: the first decision after that \
             changes the fee.",
        ),
        (
            "learner.old_price",
            "Payers who came with an older, lower price of late, were refused by the node and told the new one: how many were `refused`, \
             how many of them `came_back` and paid it (halves after a surprise), and `patience`, the part of those who would pay that comes back at all, \
             found from all peers of the node.",
        ),
        (
            "learner.pairs[]",
            "The last six pairs of blocks, newest first: `ended_at`; `first` and `second` with `events`, \
             `exposure_hours` and `fee_ppm` (`null`: nothing could be seen); `dearer_earned_over_cheaper`, revenue per hour of \
             exposure; `moved_percent`, the step that followed; `verdict`: `learned`, `market_changed` (its size, not the price), \
             `too_cheap`, `too_dear` (the split contradicted the belief), `unseen`.",
        ),
        ("learner.text", "The same in one line."),
        ("memory", "With channel: what pricing remembers of the peer."),
        (
            "policy",
            "With channel: what may be done with it, with the `trail[]` of who said so; as `in_force` of `revenue-policy get`.",
        ),
    ],
    refuses: &["a channel that the node does not know, or that no fee was decided for yet"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let (now, options) = (ops.now().secs(), ops.settings().now());
    let frame = json!({ "timestamp": now, "config": config(&options) });
    match args.text("channel_id")? {
        None => Ok(merged(frame, all(&ops.fee_lines().await?, ops.now()))),
        Some(name) => Ok(merged(frame, one(&ops.fee_debug(&name).await?))),
    }
}

fn config(options: &Options) -> Value {
    json!({
        "fee_interval_seconds": options.fee_interval,
        "fee_range_ppm": [options.min_fee_ppm, options.max_fee_ppm],
        "max_fee_updates_per_day": options.max_fee_updates_per_day,
        "gossip_hysteresis": options.gossip_hysteresis,
        "htlc_congestion_threshold": options.htlc_congestion_threshold,
        "vegas_reflex": options.vegas_reflex,
        "vegas_decay": options.vegas_decay,
        "enable_reputation": options.enable_reputation,
        "base_fee_msat": options.base_fee_msat.map_or_else(|| json!("keep"), |base| json!(base)),
        "scarcity_pricing": options.scarcity_pricing,
        "scarcity_threshold": options.scarcity_threshold,
        "dry_run": options.dry_run,
        "min_observation_hours": null,
        "min_forwards_for_signal": null,
        "max_observation_hours": null,
        "enable_dynamic_windows": null,
    })
}

fn all(lines: &[FeeLine], now: Time) -> Value {
    let count = |outcome: &str| lines.iter().filter(|line| line.last.outcome() == outcome).count();
    let waiting = lines.iter().filter(|line| line.waits.is_some()).count();
    json!({
        "channels": lines.iter().map(|line| in_short(line, now)).collect::<Vec<_>>(),
        "summary": {
            "total": lines.len(),
            "kept": count("kept"),
            "set": count("set"),
            "dry_run": count("dry-run"),
            "failed": count("failed"),
            "unknown": count("unknown"),
            "ready": lines.len() - waiting,
            "waiting_time": waiting,
            "sleeping": null,
            "waiting_forwards": null,
        },
    })
}

/// What other versions showed and this one does not know or have is `null`.
fn in_short(line: &FeeLine, now: Time) -> Value {
    let more = json!({
        "learner": line.learner,
        "status": if line.waits.is_some() { "waiting_time" } else { "ready" },
        "skip_reason": line.waits,
        "flow_state": line.flow.map(FlowClass::name),
        "last_broadcast_fee_ppm": line.in_force,
        "hours_since_update": line.since.map(|since| rounded(now.hours_since(since))),
        "is_sleeping": null,
        "forwards_since_update": null,
        "last_revenue_rate": null,
    });
    merged(self::line(&line.last), more)
}

fn one(report: &FeeDebugReport) -> Value {
    merged(
        line(&report.last),
        json!({ "stages": report.why, "learner": report.learner, "memory": report.memory,
        "policy": in_force(&report.policy) }),
    )
}

fn line(report: &FeeReport) -> Value {
    let row = &report.row;
    json!({
        "channel_id": report.name(),
        "peer_id": row.peer,
        "decided_at": date(Some(row.at)),
        "fee_ppm": row.old,
        "target_ppm": row.new,
        "outcome": report.outcome(),
        "urgent": row.urgent,
        "manual": row.manual,
        "text": row.summary,
    })
}

/// The fields of both.
fn merged(mut first: Value, second: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (first.as_object_mut(), second) {
        fields.extend(more);
    }
    first
}
