//! `revenue-analyze`: the flow analysis, of the whole node or of one channel.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Answer, Args, Command, date, rounded};
use crate::domain::units::to_u64_rounded;
use crate::domain::{ChannelId, Flow, FlowClass};
use crate::flow::daily_decay;
use crate::ops::{AnalysisReport, Ops};

pub(super) const COMMAND: Command = Command {
    name: "revenue-analyze",
    usage: "[channel_id]",
    about: "Runs the flow analysis now: of every channel, recorded; or of one channel, only shown.",
    parameters: &[(
        "channel_id",
        "Short channel id (an earlier one too, after a splice), alias or channel id. Without it the whole node is analysed.",
    )],
    example: "revenue-analyze 800000x12x1",
    answer: &[
        ("status", "Without channel: `success`."),
        ("message", "Without channel: the outcome in words."),
        ("counts", "Without channel: channels of each class."),
        (
            "channels[]",
            "Without channel: `channel_id` (short channel id), `state`, `flow_ratio`, `daily_volume`, `turnover`, \
             `confidence`, `forward_count`.",
        ),
        ("channel", "With channel: the channel as it was asked for."),
        (
            "analysis",
            "With channel: `channel_id` (short channel id), `full_channel_id`, `peer_id`, `state` and `class`, `flow_ratio` and \
             `net` (the same number: (out - in) / (out + in), recent days weighted more), `sats_in` and `sats_out` (within the window, unweighted), `daily_volume` (sats, recent days \
             weighted more), `turnover` (share of the capacity a day), `below_target`, `velocity`, `flow_multiplier` (`null`: no fee is multiplied by a flow), `ema_decay` (what is left of \
             a day's weight on the day after), `confidence`, \
             `forward_count`, `last_forward`, `analysis_window_days`, `capacity`, `our_balance`, `active_htlcs` (outgoing), \
             `max_htlcs`, `is_congested`, `htlc_min`, `htlc_max` (msat).",
        ),
    ],
    refuses: &["a channel that the node does not know"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    match args.text("channel_id")? {
        None => Ok(all(&ops, &ops.flow_cycle().await?)),
        Some(name) => Ok(one(&name, &ops.analysis(&name).await?)),
    }
}

fn all(ops: &Ops, flows: &[(ChannelId, Flow)]) -> Value {
    let of = |class: FlowClass| flows.iter().filter(|(_, flow)| flow.class == class).count();
    let counts: Map<_, _> =
        FlowClass::ALL.into_iter().map(|class| (class.name().to_owned(), of(class).into())).collect();
    let view = ops.last_view();
    let name = |id: &ChannelId| {
        let known = view.as_ref().and_then(|view| view.channels.iter().find(|channel| channel.channel_id == *id));
        known.and_then(|channel| channel.scid).map_or_else(|| id.to_string(), |scid| scid.to_string())
    };
    let channel = |(id, flow): &(ChannelId, Flow)| {
        json!({
            "channel_id": name(id),
            "state": flow.class.name(),
            "flow_ratio": rounded(flow.net),
            "daily_volume": daily_volume(flow),
            "turnover": rounded(flow.turnover),
            "confidence": rounded(flow.confidence),
            "forward_count": flow.forwards,
        })
    };
    json!({
        "status": "success",
        "message": format!("{} channels analysed", flows.len()),
        "counts": counts,
        "channels": flows.iter().map(channel).collect::<Vec<_>>(),
    })
}

fn one(name: &str, report: &AnalysisReport) -> Value {
    let (channel, flow) = (&report.channel, &report.flow);
    json!({
        "channel": name,
        "analysis": {
            "channel_id": channel.scid,
            "full_channel_id": channel.channel_id,
            "peer_id": channel.peer,
            "state": flow.class.name(),
            "class": flow.class.name(),
            "flow_ratio": rounded(flow.net),
            "net": rounded(flow.net),
            "sats_in": flow.in_msat.sat_floor(),
            "sats_out": flow.out_msat.sat_floor(),
            "daily_volume": daily_volume(flow),
            "turnover": rounded(flow.turnover),
            "below_target": report.below_target,
            "velocity": rounded(flow.velocity),
            "flow_multiplier": null,
            "ema_decay": rounded(daily_decay(report.window_days)),
            "confidence": rounded(flow.confidence),
            "forward_count": flow.forwards,
            "last_forward": date(flow.last_forward),
            "analysis_window_days": report.window_days,
            "capacity": channel.capacity.sat_floor(),
            "our_balance": channel.spendable.sat_floor(),
            "active_htlcs": channel.htlcs_out,
            "max_htlcs": channel.max_htlcs,
            "is_congested": report.congested,
            "htlc_min": channel.ours.htlc_min,
            "htlc_max": channel.ours.htlc_max,
        },
    })
}

/// Sats a day, in and out.
fn daily_volume(flow: &Flow) -> u64 {
    to_u64_rounded((flow.in_per_day + flow.out_per_day) / 1000.0)
}
