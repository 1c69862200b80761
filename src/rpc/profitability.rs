//! `revenue-profitability`: which channels pay.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::books_shape::{line, profitability, warn};
use super::{Answer, Args, Command, rounded};
use crate::accounts::{Class, Profile, Sums, percent, sat_floor};
use crate::ops::{BooksReport, ChannelBooks, Ops, sats};

const WINDOW_DAYS: u64 = 30;

pub(super) const COMMAND: Command = Command {
    name: "revenue-profitability",
    usage: "[channel_id]",
    about: "Ranks the open channels by what they have brought, or shows one channel's whole statement.",
    parameters: &[(
        "channel_id",
        "Short channel id (an earlier one too, after a splice), alias or channel id; a closed channel's as well. Without it all open \
         channels are ranked.",
    )],
    example: "revenue-profitability 800000x12x1",
    answer: &[
        ("channel_id", "With a channel: its name."),
        (
            "profitability",
            "With a channel, since its books begin: `total_revenue_sats` (fees of forwards out), `total_costs_sats`, `opening_cost_sats`, \
             `closure_cost_sats`, `splice_cost_sats`, `rebalance_cost_sats`, `net_profit_sats` (revenue less costs; `net_profit_msat` exact), \
             `total_contribution_sats` (fees of forwards out and in), `roi_percentage` (contribution less costs, of costs) and \
             `marginal_roi_percentage` (the same for rebalances alone), `profitability_class`, `days_active`, `days_idle`, `outbound_flow`, \
             `inbound_flow`, `flow_profile`, `inbound_outbound_ratio` (`infinite`: nothing ever left), `volume_routed_sats`, `forward_count`, \
             `costs_are_estimated`, `splice_in_count`, `splice_in_sats`, `splice_out_count`, `splice_out_sats` (of our side; `null`: no \
             bookkeeper has told), `opener`, `closer`, `close_type`, `close_cause`, `opened_at`, `closed_at`, `is_open`, `window` (the last \
             30 days); `fee_multiplier` is `null`: no fee is multiplied by a class.",
        ),
        (
            "summary",
            "Of all open channels: `total_channels`, `profitable_count`, `break_even_count`, `underwater_count`, \
             `stagnant_candidate_count`, `zombie_count`, `total_profit_sats`, `total_revenue_sats`, `total_contribution_sats` (each fee \
             once, so the same as revenue), `total_costs_sats`, `overall_roi_pct` (`null`: nothing was paid), `flow_profiles`.",
        ),
        (
            "channels[]",
            "The best first: `channel_id`, `peer_id`, `our_fee_ppm`, `profitability_class`, `net_profit_sats`, `roi_percentage`, \
             `marginal_roi_percentage`, `days_active`, `flow_profile`, `capacity_sats`, `revenue_sats`, `contribution_sats`, `costs_sats`, \
             `forward_count`, `costs_are_estimated`.",
        ),
        (
            "channels_by_class",
            "The same by class: `profitable` (more than 10 % back), `break_even`, `underwater` (less than -10 %), `stagnant_candidate` (the \
             same, and no forward for 7 days), `zombie` (for 30 days).",
        ),
        ("warning_*", "What is missing from these numbers, and why."),
    ],
    refuses: &["a channel that there are no books of"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    if let Some(name) = args.text("channel_id")? {
        let (report, at) = ops.channel_books(&name, WINDOW_DAYS).await?;
        let books = &report.channels[at];
        let mut answer = json!({ "channel_id": books.name(), "profitability": profitability(books, &report) });
        warn(&mut answer, &report);
        return Ok(answer);
    }
    let report = ops.books(WINDOW_DAYS).await?;
    let open: Vec<&ChannelBooks> = report.channels.iter().filter(|books| books.is_open()).collect();
    let lines = |class: Option<Class>| -> Vec<Value> {
        let chosen = open.iter().filter(|books| class.is_none_or(|class| books.class == class));
        chosen.map(|books| line(books, &report)).collect()
    };
    let by_class: Map<String, Value> =
        Class::ALL.iter().map(|class| (class.name().to_owned(), lines(Some(*class)).into())).collect();
    let mut answer = json!({
        "summary": summary(&open),
        "channels": lines(None),
        "channels_by_class": by_class,
    });
    warn(&mut answer, &report);
    Ok(answer)
}

fn summary(open: &[&ChannelBooks]) -> Value {
    let mut sums = Sums::default();
    open.iter().for_each(|books| sums.join(&books.statement.lifetime));
    let profiles = |which: &[Profile]| open.iter().filter(|books| which.contains(&books.profile)).count();
    let mut summary = json!({
        "total_channels": open.len(),
        "total_profit_sats": sat_floor(sums.net()),
        "total_revenue_sats": sats(sums.earned),
        "total_contribution_sats": sats(sums.earned),
        "total_costs_sats": sats(sums.costs.total()),
        "overall_roi_pct": percent(sums.net(), sums.costs.total()).map(rounded),
        "flow_profiles": {
            "inbound_dominant_count": profiles(&[Profile::InboundDominant, Profile::InboundOnly]),
            "outbound_dominant_count": profiles(&[Profile::OutboundDominant, Profile::OutboundOnly]),
            "balanced_count": profiles(&[Profile::Balanced]),
            "inactive_count": profiles(&[Profile::Inactive]),
        },
    });
    for class in Class::ALL {
        let count = open.iter().filter(|books| books.class == class).count();
        summary[format!("{}_count", class.name())] = json!(count);
    }
    summary
}

/// For those who show one channel among other things.
pub(super) fn of_peer(report: &BooksReport, peer: crate::domain::PeerId) -> Vec<&ChannelBooks> {
    report.channels.iter().filter(|books| books.statement.life.peer == Some(peer)).collect()
}
