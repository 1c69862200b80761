//! Numbers of the books as commands show them: whole satoshis rounded down, msat exact, shares to four digits.

use serde_json::{Value, json};

use super::rounded;
use crate::accounts::channel::{marginal_roi_percent, roi_percent};
use crate::accounts::{Costs, Sums, Worth, sat_floor};
use crate::domain::Side;
use crate::ops::{BooksReport, ChannelBooks, sats};

/// Costs by kind, as fields that begin with `prefix`.
pub(super) fn costs(answer: &mut Value, prefix: &str, costs: &Costs) {
    for kind in crate::accounts::CostKind::ALL {
        answer[format!("{prefix}{}_cost_sats", kind.name())] = json!(sats(costs.of(kind)));
    }
}

/// What an operator should know of the numbers.
pub(super) fn warn(answer: &mut Value, report: &BooksReport) {
    for (field, text) in report.warnings() {
        answer[field] = json!(text);
    }
}

/// What came in and what went, with the exact amounts.
pub(super) fn sums(sums: &Sums) -> Value {
    let mut answer = json!({
        "revenue_sats": sats(sums.earned),
        "revenue_msat": sums.earned,
        "contribution_msat": sums.contribution(),
        "costs_sats": sats(sums.costs.total()),
        "costs_msat": sums.costs.total(),
        "net_profit_sats": sat_floor(sums.net()),
        "net_profit_msat": sums.net(),
        "forward_count": sums.forwards(),
        "volume_out_sats": sats(sums.out_msat),
        "volume_in_sats": sats(sums.in_msat),
    });
    costs(&mut answer, "", &sums.costs);
    answer
}

/// Where the money lies; `null` where the node did not say.
pub(super) fn worth(worth: Option<&Worth>) -> Value {
    let of = |read: fn(&Worth) -> Option<u64>| worth.and_then(read).map(sats);
    json!({
        "onchain_sats": of(|w| w.onchain),
        "unconfirmed_sats": of(|w| w.unconfirmed),
        "local_balance_sats": of(|w| Some(w.local)),
        "remote_balance_sats": of(|w| Some(w.remote)),
        "pending_sats": of(|w| Some(w.pending)),
        "closing_sats": of(|w| Some(w.closing)),
        "capacity_sats": of(|w| Some(w.capacity)),
        "channel_count": worth.map(|w| w.channels),
        "net_worth_sats": of(Worth::total),
    })
}

/// Net of revenue, in percent; all of it is lost where there are costs only.
pub(super) fn margin(sums: &Sums) -> f64 {
    match crate::accounts::percent(sums.net(), sums.earned) {
        Some(percent) => rounded(percent),
        None if sums.costs.total() > 0 => -100.0,
        None => 0.0,
    }
}

pub(super) fn side(side: Option<Side>) -> Value {
    match side {
        Some(Side::Local) => json!("local"),
        Some(Side::Remote) => json!("remote"),
        None => Value::Null,
    }
}

/// One channel's whole statement.
pub(super) fn profitability(books: &ChannelBooks, report: &BooksReport) -> Value {
    let (life, all) = (&books.statement.life, &books.statement.lifetime);
    let ratio = match (all.in_count, all.out_count) {
        (0, 0) => Value::Null,
        (_, 0) => json!("infinite"),
        (inward, out) => json!(rounded(inward as f64 / out as f64)),
    };
    let mut answer = json!({
        "total_costs_sats": sats(all.costs.total()),
        "total_contribution_sats": sats(all.contribution()),
        "net_profit_sats": sat_floor(all.net()),
        "net_profit_msat": all.net(),
        "roi_percentage": rounded(roi_percent(all)),
        "marginal_roi_percentage": rounded(marginal_roi_percent(all)),
        "profitability_class": books.class.name(),
        "days_active": life.days_open(report.now).map(rounded),
        "days_idle": life.idle_days(report.now).map(rounded),
        "fee_multiplier": null,
        "outbound_flow": {
            "payment_count": all.out_count,
            "volume_sats": sats(all.out_msat),
            "revenue_earned_sats": sats(all.earned),
            "revenue_earned_msat": all.earned,
        },
        "inbound_flow": {
            "payment_count": all.in_count,
            "volume_sats": sats(all.in_msat),
            "contribution_to_other_channels_sats": sats(all.brought),
            "contribution_to_other_channels_msat": all.brought,
        },
        "flow_profile": books.profile.name(),
        "inbound_outbound_ratio": ratio,
        "total_revenue_sats": sats(all.earned),
        "volume_routed_sats": sats(all.out_msat),
        "forward_count": all.forwards(),
        "costs_are_estimated": life.estimated,
        "splice_in_count": life.spliced.map(|s| s.in_count),
        "splice_in_sats": life.spliced.map(|s| sats(s.in_msat)),
        "splice_out_count": life.spliced.map(|s| s.out_count),
        "splice_out_sats": life.spliced.map(|s| sats(s.out_msat)),
        "opener": side(life.opener),
        "closer": side(life.closer),
        "close_type": life.close_type.map(|how| how.name()),
        "close_cause": life.cause,
        "opened_at": life.opened_at.map(|at| at.secs()),
        "closed_at": life.closing_at.map(|at| at.secs()),
        "is_open": books.is_open(),
        "window": sums(&books.window),
    });
    costs(&mut answer, "", &all.costs);
    answer
}

/// One line of a list of channels.
pub(super) fn line(books: &ChannelBooks, report: &BooksReport) -> Value {
    let all = &books.statement.lifetime;
    json!({
        "channel_id": books.name(),
        "net_profit_sats": sat_floor(all.net()),
        "roi_percentage": rounded(roi_percent(all)),
        "marginal_roi_percentage": rounded(marginal_roi_percent(all)),
        "days_active": books.statement.life.days_open(report.now).map(rounded),
        "flow_profile": books.profile.name(),
        "peer_id": books.statement.life.peer,
        "profitability_class": books.class.name(),
        "our_fee_ppm": books.seen.as_ref().map(|seen| seen.ours.ppm),
        "capacity_sats": books.seen.as_ref().map(|seen| seen.capacity.sat_floor()),
        "revenue_sats": sats(all.earned),
        "contribution_sats": sats(all.contribution()),
        "costs_sats": sats(all.costs.total()),
        "forward_count": all.forwards(),
        "costs_are_estimated": books.statement.life.estimated,
    })
}
