//! `revenue-dashboard`: is the node making money?

use std::sync::Arc;

use serde_json::{Value, json};

use super::books_shape::{costs, margin, warn, worth};
use super::{Answer, Args, Command, RpcError, rounded};
use crate::accounts::{Worth, sat_floor};
use crate::ops::{BooksReport, ChannelBooks, Ops, sats};

/// A window may not be longer than there are books of; ten years will do.
const MOST_DAYS: u64 = 3_650;
const USUAL_DAYS: u64 = 30;

pub(super) const COMMAND: Command = Command {
    name: "revenue-dashboard",
    usage: "[window_days]",
    about: "Shows what the node is worth, what it earned and what that cost.",
    parameters: &[("window_days", "Days to look back, to the hour: 1 to 3650, 30 without it.")],
    example: "revenue-dashboard 7",
    answer: &[
        (
            "financial_health",
            "`tlv_sats` (all that we have: wallet, our side of channels, what opens and what closes; `null`: not known), \
             `net_profit_sats` (of the window), `operating_margin_pct` (net of revenue; -100: costs without revenue), `roc_pct` (net of the \
             capacity) and `annualized_roc_pct` (a year's worth of it), computed over `roc_days`; `null`: no capacity or no books.",
        ),
        (
            "period",
            "`window_days`, `from`, `to`, `gross_revenue_sats`, `opex_sats`, `opening_cost_sats`, `closure_cost_sats`, `splice_cost_sats`, \
             `rebalance_cost_sats`, `net_profit_sats`, `total_forwards` (each once), `volume_sats`; `gross_revenue_msat`, `opex_msat` and \
             `net_profit_msat` are exact.",
        ),
        (
            "balances",
            "`as_of`, `onchain_sats`, `unconfirmed_sats`, `local_balance_sats`, `remote_balance_sats`, `pending_sats` (in channels that open), \
             `closing_sats` (in channels that close), `capacity_sats`, `channel_count`, `net_worth_sats`.",
        ),
        ("warnings[]", "A sentence for each channel whose refills cost more than it earned and brought in the window."),
        ("bleeder_count", "How many these are."),
        ("bleeders[]", "The same as numbers: `channel_id`, `peer_id`, `spent_sats`, `earned_sats`, `net_sats`."),
        ("warning_*", "What is missing from these numbers, and why."),
    ],
    refuses: &["a window of 0 or of more than 3650 days"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

/// The days of a window that a caller asks for.
pub(super) fn window_days(args: &Args) -> Result<u64, RpcError> {
    Ok(args.within("window_days", 1..=MOST_DAYS)?.unwrap_or(USUAL_DAYS))
}

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let report = ops.books(window_days(&args)?).await?;
    let bleeders: Vec<&ChannelBooks> = report.channels.iter().filter(|books| books.bleeds()).collect();
    let mut answer = json!({
        "financial_health": health(&report),
        "period": period(&report),
        "balances": balances(&report),
        "warnings": bleeders.iter().map(|books| sentence(books)).collect::<Vec<_>>(),
        "bleeder_count": bleeders.len(),
        "bleeders": bleeders.iter().map(|books| bleeder(books)).collect::<Vec<_>>(),
    });
    warn(&mut answer, &report);
    Ok(answer)
}

/// Where the money lay, and when somebody looked.
pub(super) fn balances(report: &BooksReport) -> Value {
    let mut balances = worth(report.worth.as_ref().map(|(_, worth)| worth));
    balances["as_of"] = json!(report.worth.as_ref().map(|(at, _)| at.secs()));
    balances
}

pub(super) fn health(report: &BooksReport) -> Value {
    let roc = report.roc();
    json!({
        "tlv_sats": report.worth.as_ref().and_then(|(_, worth)| Worth::total(worth)).map(sats),
        "net_profit_sats": sat_floor(report.window.net()),
        "operating_margin_pct": margin(&report.window),
        "roc_pct": roc.map(|roc| rounded(roc.percent)),
        "annualized_roc_pct": roc.map(|roc| rounded(roc.annualised)),
        "roc_days": roc.map(|roc| rounded(roc.days)),
    })
}

pub(super) fn period(report: &BooksReport) -> Value {
    let window = &report.window;
    let mut period = json!({
        "window_days": report.window_days,
        "from": report.from.secs(),
        "to": report.now.secs(),
        "gross_revenue_sats": sats(window.earned),
        "gross_revenue_msat": window.earned,
        "opex_sats": sats(window.costs.total()),
        "opex_msat": window.costs.total(),
        "net_profit_sats": sat_floor(window.net()),
        "net_profit_msat": window.net(),
        "total_forwards": window.out_count,
        "volume_sats": sats(window.out_msat),
    });
    costs(&mut period, "", &window.costs);
    period
}

fn bleeder(books: &ChannelBooks) -> Value {
    let window = &books.window;
    json!({
        "channel_id": books.name(),
        "peer_id": books.statement.life.peer,
        "spent_sats": sats(window.costs.rebalance),
        "earned_sats": sats(window.contribution()),
        "net_sats": sat_floor(crate::accounts::difference(window.contribution(), window.costs.rebalance)),
    })
}

fn sentence(books: &ChannelBooks) -> String {
    let (spent, earned) = (sats(books.window.costs.rebalance), sats(books.window.contribution()));
    format!("Channel {} is bleeding: Spent {spent} sats rebalancing, earned {earned} sats.", books.name())
}
