//! `revenue-snapshots`: day by day. A day on which nobody looked is a gap, not a zero.

use std::sync::Arc;

use serde_json::{Value, json};

use super::books_shape::{margin, sums, worth};
use super::{Answer, Args, Command, RpcError, rounded};
use crate::domain::Time;
use crate::ops::{DayReport, Ops};

/// Days that are shown without a beginning.
const USUAL_DAYS: i64 = 30;
const MOST_DAYS: i64 = 3_650;

pub(super) const COMMAND: Command = Command {
    name: "revenue-snapshots",
    usage: "[from] [to]",
    about: "Shows each day's balances, revenue, costs and return.",
    parameters: &[
        (
            "from",
            "The first day: a date (`2026-11-21`), seconds since 1970, or a negative number of days before today. Without it 30 days.",
        ),
        ("to", "The last day, in the same forms; without it today."),
    ],
    example: "revenue-snapshots 2026-11-01 2026-11-21",
    answer: &[
        (
            "snapshots[]",
            "One a day, oldest first: `date`, `timestamp` (when the balances were last seen on it; `null`: nobody looked, `gap` is true and so \
             are all balances), `onchain_sats`, `unconfirmed_sats`, `local_balance_sats`, `remote_balance_sats`, `pending_sats`, \
             `closing_sats`, `capacity_sats`, `channel_count`, `net_worth_sats`, the day's `revenue_sats`, `costs_sats`, \
             `opening_cost_sats`, `closure_cost_sats`, `splice_cost_sats`, `rebalance_cost_sats`, `net_profit_sats`, `forward_count`, \
             `margin_pct`, and `roc_pct`, `annualized_roc_pct` over the `roc_days` that end with it.",
        ),
        ("count, gaps", "How many days, and how many of them have no balances."),
        ("from, to", "The first and the last day."),
        ("warning_gaps", "If there are any."),
    ],
    refuses: &["a day that is none, an end before the beginning, and more than 3650 days"],
    run: |ops, args| Box::pin(run(ops, args)),
    early: None,
};

async fn run(ops: Arc<Ops>, args: Args) -> Answer {
    let today = ops.now().day();
    let to = day(&args, "to", today)?.unwrap_or(today);
    let from = match day(&args, "from", today)? {
        Some(from) => from,
        // Not before the books begin: those days are no gaps.
        None => ops.first_day().await?.unwrap_or(to).clamp(to - USUAL_DAYS + 1, to),
    };
    check_span(from, to).map_err(RpcError::caller)?;
    let days = ops.day_reports(from, to).await?;
    let gaps = days.iter().filter(|day| day.noted.is_none()).count();
    let mut answer = json!({
        "snapshots": days.iter().map(shape).collect::<Vec<_>>(),
        "count": days.len(),
        "gaps": gaps,
        "from": date(from),
        "to": date(to),
    });
    if gaps > 0 {
        answer["warning_gaps"] = json!(format!("on {gaps} days nobody looked where the money lay"));
    }
    Ok(answer)
}

fn check_span(from: i64, to: i64) -> Result<(), String> {
    match to.saturating_sub(from) {
        ..0 => Err(format!(
            "'from' ({}) is after 'to' ({}, today where it is not given); give the earlier day first",
            date(from),
            date(to)
        )),
        days @ MOST_DAYS.. => Err(format!(
            "{} days ('from' {} 'to' {}) are too many at once; give at most {MOST_DAYS}",
            days.saturating_add(1),
            date(from),
            date(to)
        )),
        _ => Ok(()),
    }
}

fn shape(day: &DayReport) -> Value {
    let mut answer = json!({
        "date": date(day.day),
        "timestamp": day.noted.map(|(at, _)| at.secs()),
        "gap": day.noted.is_none(),
        "margin_pct": margin(&day.sums),
        "roc_pct": day.roc.map(|roc| rounded(roc.percent)),
        "annualized_roc_pct": day.roc.map(|roc| rounded(roc.annualised)),
        "roc_days": day.roc.map(|roc| roc.days),
    });
    for part in [worth(day.noted.as_ref().map(|(_, worth)| worth)), sums(&day.sums)] {
        if let (Value::Object(answer), Value::Object(part)) = (&mut answer, part) {
            answer.extend(part);
        }
    }
    answer
}

pub(super) fn date(day: i64) -> String {
    Time::start_of_day(day).date()
}

/// A day that a caller names, counted from 1970.
pub(super) fn day(args: &Args, name: &str, today: i64) -> Result<Option<i64>, RpcError> {
    let Some(text) = args.text(name)? else { return Ok(None) };
    let refused = || {
        RpcError::caller(format!(
            "'{name}' must be a date (2026-11-21), seconds since 1970, or days before today (-7), not '{text}'"
        ))
    };
    let day = match text.parse::<i64>() {
        Ok(days) if (-MOST_DAYS..=0).contains(&days) => today + days,
        Ok(secs) if secs > 0 => Time::from_secs(secs.min(i64::MAX / 1000)).day(),
        Ok(_) => return Err(refused()),
        Err(_) => {
            let midnight = chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").map_err(|_| refused())?;
            midnight.signed_duration_since(chrono::NaiveDate::default()).num_days()
        }
    };
    Ok(Some(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_is_none_is_told_with_its_days() {
        assert_eq!(check_span(20_000, 20_000), Ok(()));
        assert_eq!(check_span(20_001 - MOST_DAYS, 20_000), Ok(()));
        let later =
            "'from' (2024-10-05) is after 'to' (2024-10-04, today where it is not given); give the earlier day first";
        assert_eq!(check_span(20_001, 20_000), Err(later.to_owned()));
        let many = "3651 days ('from' 2014-10-07 'to' 2024-10-04) are too many at once; give at most 3650";
        assert_eq!(check_span(20_000 - MOST_DAYS, 20_000), Err(many.to_owned()));
    }

    #[test]
    fn a_day_is_named_in_three_ways() {
        let read = |text: &str| {
            let args = Args::read("revenue-snapshots", COMMAND.usage, &json!([text])).unwrap();
            day(&args, "from", 20_000).ok().flatten().map(date)
        };
        assert_eq!(read("2026-11-21").as_deref(), Some("2026-11-21"));
        assert_eq!(read("1795250000").as_deref(), Some("2026-11-21"));
        assert_eq!(read("-1").as_deref(), Some("2024-10-03"));
        assert_eq!(read("0").as_deref(), Some("2024-10-04"));
        assert_eq!((read("yesterday"), read("-99999")), (None, None));
    }
}
