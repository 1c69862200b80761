//! What fields of answers are called on a table, and how their values are written: dates instead of seconds, digits in groups, a unit
//! with every amount. Only for people: JSON and CSV keep names and values as they are.

use serde_json::Value;

use super::draw::grouped;
use crate::domain::Time;

/// Field, label, unit; in the order in which a person reads them.
const WORDS: [(&str, &str, &str); 93] = [
    ("date", "date", ""),
    ("time", "time (UTC)", ""),
    ("as_of", "as of", "UTC"),
    ("generated_at", "as of", "UTC"),
    ("timestamp", "as of", "UTC"),
    ("from", "from", "UTC"),
    ("to", "to", "UTC"),
    ("window_days", "window", "days"),
    ("scid", "channel", ""),
    ("channel_id", "channel", ""),
    ("peer_id", "peer", ""),
    ("advice", "advice", ""),
    ("profitability_class", "class", ""),
    ("classification", "class", ""),
    ("action", "action", ""),
    ("tlv_sats", "net worth (TLV)", "sat"),
    ("net_worth_sats", "net worth", "sat"),
    ("onchain_sats", "in the wallet", "sat"),
    ("unconfirmed_sats", "in the wallet, unconfirmed", "sat"),
    ("local_balance_sats", "our side of channels", "sat"),
    ("remote_balance_sats", "peers' side of channels", "sat"),
    ("pending_sats", "in channels that open", "sat"),
    ("closing_sats", "in channels that close", "sat"),
    ("capacity_sats", "capacity", "sat"),
    ("capacity", "capacity", "sat"),
    ("total_capacity", "capacity", "sat"),
    ("channel_count", "channels", ""),
    ("total_channels", "channels", ""),
    ("open", "open", ""),
    ("closed", "closed", ""),
    ("gross_revenue_sats", "revenue", "sat"),
    ("total_revenue_sats", "revenue", "sat"),
    ("total_revenue", "revenue", "sat"),
    ("lifetime_revenue_sats", "revenue", "sat"),
    ("revenue_sats", "revenue", "sat"),
    ("revenue_earned_sats", "fees earned", "sat"),
    ("contribution_to_other_channels_sats", "fees brought to other channels", "sat"),
    ("total_contribution_sats", "contribution", "sat"),
    ("contribution_sats", "contribution", "sat"),
    ("contribution_msat", "contribution", "msat"),
    ("opening_cost_sats", "opening costs", "sat"),
    ("lifetime_opening_costs_sats", "opening costs", "sat"),
    ("total_open_costs", "opening costs", "sat"),
    ("closure_cost_sats", "closing costs", "sat"),
    ("lifetime_closure_costs_sats", "closing costs", "sat"),
    ("total_closure_costs", "closing costs", "sat"),
    ("splice_cost_sats", "splice costs", "sat"),
    ("lifetime_splice_costs_sats", "splice costs", "sat"),
    ("total_splice_costs", "splice costs", "sat"),
    ("rebalance_cost_sats", "rebalance costs", "sat"),
    ("lifetime_rebalance_costs_sats", "rebalance costs", "sat"),
    ("total_rebalance_costs", "rebalance costs", "sat"),
    ("opex_sats", "all costs", "sat"),
    ("total_costs_sats", "all costs", "sat"),
    ("lifetime_total_costs_sats", "all costs", "sat"),
    ("costs_sats", "costs", "sat"),
    ("total_profit_sats", "net profit", "sat"),
    ("total_net_pnl", "net profit", "sat"),
    ("lifetime_net_profit_sats", "net profit", "sat"),
    ("net_profit_sats", "net profit", "sat"),
    ("spent_sats", "spent on rebalances", "sat"),
    ("earned_sats", "earned and brought", "sat"),
    ("net_sats", "net", "sat"),
    ("operating_margin_pct", "margin", "%"),
    ("margin_pct", "margin", "%"),
    ("roc_pct", "return on capacity", "%"),
    ("annualized_roc_pct", "return on capacity, a year", "%"),
    ("roc_days", "computed over", "days"),
    ("roi", "return on costs", "%"),
    ("roi_percentage", "return on costs", "%"),
    ("overall_roi_pct", "return on costs", "%"),
    ("lifetime_roi_percent", "return on costs", "%"),
    ("marginal_roi", "return on rebalances", "%"),
    ("marginal_roi_percentage", "return on rebalances", "%"),
    ("last_24h_sats", "last 24 hours", "sat"),
    ("last_7d_sats", "last 7 days", "sat"),
    ("last_30d_sats", "last 30 days", "sat"),
    ("total_sats", "all time", "sat"),
    ("total_forwards", "forwards", ""),
    ("lifetime_forward_count", "forwards", ""),
    ("forward_count", "forwards", ""),
    ("volume_sats", "volume", "sat"),
    ("payment_count", "payments", ""),
    ("is_open", "open", ""),
    ("inbound_outbound_ratio", "payments in for one out", ""),
    ("avg_days_open", "days open on average", "days"),
    ("days_active", "open for", "days"),
    ("days_idle", "without a forward for", "days"),
    ("sat_per_vbyte", "block space", "sat/vB"),
    ("peer_supports_splice", "peer takes splices", ""),
    ("estimated_closure_cost_sats", "closing costs today", "sat"),
    ("pays_for_itself_in_days", "pays for itself in", "days"),
    ("our_fee_ppm", "our fee", "ppm"),
];

/// Fields that hold seconds since 1970 wherever they hold a number.
const TIMES: [&str; 12] = [
    "as_of",
    "generated_at",
    "timestamp",
    "from",
    "to",
    "opened_at",
    "closed_at",
    "updated_at",
    "expires_at",
    "since",
    "last_forward",
    "last_change_timestamp",
];

/// Endings of names that are units.
const ENDINGS: [(&str, &str); 8] = [
    ("_sats", "sat"),
    ("_msat", "msat"),
    ("_ppm", "ppm"),
    ("_percentage", "%"),
    ("_percent", "%"),
    ("_pct", "%"),
    ("_days", "days"),
    ("_count", ""),
];

/// Where a field stands among others; those without a word come last.
pub(super) fn rank(name: &str) -> usize {
    WORDS.iter().position(|(field, ..)| *field == name).unwrap_or(WORDS.len())
}

/// What a field is called, and the unit of its values.
pub(super) fn label(name: &str) -> (String, &'static str) {
    if let Some((_, label, unit)) = WORDS.iter().find(|(field, ..)| *field == name) {
        return ((*label).to_owned(), unit);
    }
    let unit = if TIMES.contains(&name) { "UTC" } else { "" };
    let ending = ENDINGS.iter().find_map(|(ending, unit)| Some((name.strip_suffix(ending)?, *unit)));
    let (name, unit) = ending.unwrap_or((name, unit));
    (name.replace('_', " "), unit)
}

/// As a heading: "closed_channels_summary" -> "Closed channels".
pub(super) fn title(name: &str) -> String {
    let text = label(name.trim_end_matches("_summary")).0;
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A value beside its label.
pub(super) fn told(name: &str, value: &Value) -> String {
    let (_, unit) = label(name);
    match bare(name, value) {
        text if !value.is_number() || unit.is_empty() => text,
        text => format!("{text} {unit}"),
    }
}

/// A value without its unit, as under a heading that names it.
pub(super) fn bare(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(_) if TIMES.contains(&name) => {
            value.as_i64().map_or_else(|| value.to_string(), |secs| minute(&Time::from_secs(secs).to_string()))
        }
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(positive), ..) => grouped(positive),
            (None, Some(negative), _) => format!("-{}", grouped(negative.unsigned_abs())),
            (None, None, Some(share)) => decimal(share),
            _ => number.to_string(),
        },
        Value::String(text) if name == "time" => minute(text),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(|item| bare(name, item)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// "2026-11-21T13:45:10Z" -> "2026-11-21 13:45".
fn minute(text: &str) -> String {
    text.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// 12345.678 -> "12,345.68"
fn decimal(number: f64) -> String {
    let text = format!("{:.2}", number.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, "00"));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let sign = if number < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) { "-" } else { "" };
    format!("{sign}{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_for_people() {
        for (name, value, text) in [
            ("as_of", json!(1_795_324_390), "2026-11-22 05:13 UTC"),
            ("from", json!("2026-11-17"), "2026-11-17"),
            ("opened_at", json!(null), "-"),
            ("tlv_sats", json!(36_711_249), "36,711,249 sat"),
            ("net_sats", json!(-1_234), "-1,234 sat"),
            ("roc_pct", json!(26_355.456), "26,355.46 %"),
            ("roc_pct", json!(-0.001), "0.00 %"),
            ("window_days", json!(30), "30 days"),
            ("is_open", json!(true), "yes"),
            ("tags", json!(["big", "slow"]), "big, slow"),
            ("break_even_count", json!(1_000), "1,000"),
        ] {
            assert_eq!(told(name, &value), text, "{name}");
        }
    }

    #[test]
    fn every_word_stands_once() {
        for (at, (field, ..)) in WORDS.iter().enumerate() {
            assert_eq!(rank(field), at, "{field}");
        }
        assert_eq!(title("closed_channels_summary"), "Closed channels");
        assert_eq!(label("break_even_count"), ("break even".to_owned(), ""));
    }
}
