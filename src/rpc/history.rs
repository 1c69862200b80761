//! `revenue-history`: everything since the books begin, closed channels included.

use std::sync::Arc;

use serde_json::{Value, json};

use super::books_shape::warn;
use super::{Answer, Args, Command, rounded};
use crate::accounts::{Sums, percent, sat_floor};
use crate::ops::{BooksReport, Ops, sats};

pub(super) const COMMAND: Command = Command {
    name: "revenue-history",
    usage: "",
    about: "Shows what the node has earned and paid since its books begin, closed channels included.",
    parameters: &[],
    example: "revenue-history",
    answer: &[
        (
            "lifetime_*",
            "`lifetime_revenue_sats`, `lifetime_opening_costs_sats`, `lifetime_closure_costs_sats`, `lifetime_splice_costs_sats`, \
             `lifetime_rebalance_costs_sats`, `lifetime_total_costs_sats`, `lifetime_net_profit_sats` (revenue less all four), \
             `lifetime_roi_percent` (net of costs; `null`: nothing was paid), `lifetime_forward_count`; `lifetime_revenue_msat`, \
             `lifetime_total_costs_msat` and `lifetime_net_profit_msat` are exact.",
        ),
        (
            "closed_channels_summary",
            "`channel_count`, `total_capacity`, `total_open_costs`, `total_closure_costs`, `total_splice_costs`, `total_revenue`, \
             `total_rebalance_costs`, `total_forwards`, `total_net_pnl`, `avg_days_open` (`null`: no opening is known), in sat.",
        ),
        (
            "closed_channels[]",
            "`channel_id`, `peer_id`, `close_type`, `closer`, `opened_at`, `closed_at`, `revenue_sats`, `costs_sats`, `net_profit_sats`, \
             `costs_are_estimated`.",
        ),
        ("warning_*", "What is missing from these numbers, and why."),
    ],
    refuses: &[],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, _args: Args) -> Answer {
    let report = ops.books(1).await?;
    let all = &report.lifetime;
    let mut answer = json!({
        "lifetime_revenue_sats": sats(all.earned),
        "lifetime_revenue_msat": all.earned,
        "lifetime_opening_costs_sats": sats(all.costs.opening),
        "lifetime_closure_costs_sats": sats(all.costs.closure),
        "lifetime_splice_costs_sats": sats(all.costs.splice),
        "lifetime_rebalance_costs_sats": sats(all.costs.rebalance),
        "lifetime_total_costs_sats": sats(all.costs.total()),
        "lifetime_total_costs_msat": all.costs.total(),
        "lifetime_net_profit_sats": sat_floor(all.net()),
        "lifetime_net_profit_msat": all.net(),
        "lifetime_roi_percent": percent(all.net(), all.costs.total()).map(rounded),
        "lifetime_forward_count": all.out_count,
        "closed_channels_summary": closed(&report),
        "closed_channels": closed_channels(&report),
    });
    warn(&mut answer, &report);
    if let Value::Object(fields) = &mut answer {
        // There is no window here.
        fields.remove("warning_window");
    }
    Ok(answer)
}

fn closed(report: &BooksReport) -> Value {
    let gone: Vec<_> = report.channels.iter().filter(|books| books.statement.life.is_closed()).collect();
    let mut sums = Sums::default();
    gone.iter().for_each(|books| sums.join(&books.statement.lifetime));
    let capacity =
        gone.iter().filter_map(|books| books.statement.life.capacity).map(|c| c.0).fold(0, u64::saturating_add);
    let days: Vec<f64> = gone.iter().filter_map(|books| books.statement.life.days_open(report.now)).collect();
    let average = (!days.is_empty()).then(|| rounded(days.iter().sum::<f64>() / days.len() as f64));
    json!({
        "channel_count": gone.len(),
        "total_capacity": sats(capacity),
        "total_open_costs": sats(sums.costs.opening),
        "total_closure_costs": sats(sums.costs.closure),
        "total_splice_costs": sats(sums.costs.splice),
        "total_revenue": sats(sums.earned),
        "total_rebalance_costs": sats(sums.costs.rebalance),
        "total_forwards": sums.forwards(),
        "total_net_pnl": sat_floor(sums.net()),
        "avg_days_open": average,
    })
}

fn closed_channels(report: &BooksReport) -> Value {
    let gone = report.channels.iter().filter(|books| books.statement.life.is_closed());
    let line = |books: &crate::ops::ChannelBooks| {
        let (life, sums) = (&books.statement.life, &books.statement.lifetime);
        json!({
            "channel_id": books.name(),
            "peer_id": life.peer,
            "close_type": life.close_type.map(|how| how.name()),
            "closer": super::books_shape::side(life.closer),
            "opened_at": life.opened_at.map(|at| at.secs()),
            "closed_at": life.closing_at.map(|at| at.secs()),
            "revenue_sats": sats(sums.earned),
            "costs_sats": sats(sums.costs.total()),
            "net_profit_sats": sat_floor(sums.net()),
            "costs_are_estimated": life.estimated,
        })
    };
    gone.map(line).collect::<Vec<_>>().into()
}
