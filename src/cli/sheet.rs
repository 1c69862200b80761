//! An answer as a person reads it: single values first, then what belongs together under its heading, then lists; warnings last, where they
//! are seen. Shows what is there, and works nothing out.

use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value};

use super::draw::{bare_table, sparkline};
use super::labels::{bare, label, rank, title, told};

/// What stands elsewhere on the sheet, or says nothing.
const HIDDEN: [&str; 6] = ["type", "count", "next", "bleeder_count", "channels_by_class", "fee_multiplier"];

/// What there is nothing to say of while a channel is open.
const CLOSING: [&str; 4] = ["closed_at", "close_type", "close_cause", "closer"];

/// The columns that a person looks for; what a list has besides is in `--format json` and `csv`.
const COLUMNS: [&str; 28] = [
    "date",
    "time",
    "scid",
    "channel_id",
    "peer_id",
    "advice",
    "strategy",
    "rebalance_mode",
    "profitability_class",
    "classification",
    "net_worth_sats",
    "capacity_sats",
    "capacity",
    "revenue_sats",
    "costs_sats",
    "net_profit_sats",
    "spent_sats",
    "earned_sats",
    "roi_percentage",
    "roi",
    "annualized_roc_pct",
    "days_active",
    "close_type",
    "from_account",
    "to_account",
    "amount_msat",
    "memo",
    "why",
];

/// So many objects with the same fields, side by side, are a table of their own.
const ROWS_OF_A_TABLE: usize = 3;

type Fields = Map<String, Value>;

/// The whole answer.
pub(super) fn sheet(answer: &Value) -> String {
    let Some(fields) = answer.as_object() else { return bare("", answer) };
    let mut fields = fields.clone();
    let warnings: Vec<String> =
        fields.iter().filter(|(name, _)| name.starts_with("warning_")).map(|(_, text)| bare("", text)).collect();
    fields.retain(|name, _| !name.starts_with("warning_"));
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let none: Vec<String> = fields.iter().filter(|(_, value)| is_empty(value)).map(|(name, _)| title(name)).collect();
    fields.retain(|_, value| !is_empty(value));
    let mut parts = Vec::new();
    if let Some(rows) = side_by_side(&fields) {
        parts.push(grid(&rows));
        fields.retain(|name, _| !rows.iter().any(|(row, _)| row == name));
    }
    section("", &fields, &mut parts);
    parts.extend(none.iter().map(|name| format!("{name}: none")));
    parts.extend(warnings.iter().map(|text| format!("! {text}")));
    parts.join("\n")
}

/// The single values of an object, and below them what it holds besides.
fn section(path: &str, fields: &Fields, parts: &mut Vec<String>) {
    let (mut lines, mut inner) = (Vec::new(), Vec::new());
    let is_open = fields.get("is_open") == Some(&Value::Bool(true));
    for (name, value) in in_order(fields) {
        if HIDDEN.contains(&name) || (is_open && CLOSING.contains(&name)) {
            continue;
        }
        match value {
            Value::Object(_) => inner.push((name, value)),
            Value::Array(items) if items.iter().any(Value::is_object) => inner.push((name, value)),
            // A sentence a line.
            Value::Array(items) if items.iter().any(|item| item.as_str().is_some_and(|text| text.contains(' '))) => {
                inner.push((name, value));
            }
            Value::Array(items) if items.is_empty() => lines.push((label(name).0, "none".to_owned())),
            _ if name.ends_with("_msat") && fields.contains_key(&name.replace("_msat", "_sats")) => {}
            _ => lines.push((label(name).0, told(name, value))),
        }
    }
    if !lines.is_empty() {
        parts.push(values(path, &lines));
    }
    for (name, value) in inner {
        let below = if path.is_empty() { title(name) } else { format!("{path}: {}", label(name).0) };
        match value {
            Value::Object(fields) => section(&below, fields, parts),
            Value::Array(items) => parts.push(list(&below, items)),
            _ => {}
        }
    }
}

/// In the order in which people read; an object before those that only hold more of the same.
fn in_order(fields: &Fields) -> Vec<(&str, &Value)> {
    const FIRST: [&str; 4] = ["financial_health", "period", "summary", "profitability"];
    let mut fields: Vec<(&str, &Value)> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    fields.sort_by_key(|(name, value)| (value.is_array(), place(name), rank(name)));
    fields
}

fn values(heading: &str, lines: &[(String, String)]) -> String {
    let mut shown = bare_table();
    for (name, text) in lines {
        shown.add_row([name, text]);
    }
    let numeric = |text: &String| text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if lines.iter().filter(|(_, text)| numeric(text)).count() * 2 > lines.len() {
        align_right(&mut shown, 1);
    }
    under(heading, &shown.to_string())
}

fn align_right(shown: &mut Table, column: usize) {
    if let Some(column) = shown.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn under(heading: &str, text: &str) -> String {
    if heading.is_empty() { text.to_owned() } else { format!("{heading}\n{text}") }
}

fn list(heading: &str, items: &[Value]) -> String {
    let rows: Vec<&Fields> = items.iter().filter_map(Value::as_object).collect();
    if rows.is_empty() {
        let lines: Vec<String> = items.iter().map(|item| format!("  {}", bare("", item))).collect();
        return under(heading, &lines.join("\n"));
    }
    // What a row holds one floor below belongs to it as well.
    let flat: Vec<Fields> = rows.iter().map(|row| flattened(row)).collect();
    let has = |name: &&str| flat.iter().any(|row| row.get(*name).is_some_and(|value| !value.is_object()));
    let mut columns: Vec<&str> = COLUMNS.iter().copied().filter(has).collect();
    if columns.is_empty() {
        columns = flat.first().map(|row| row.keys().map(String::as_str).collect()).unwrap_or_default();
    }
    let rows = flat.iter().map(|row| columns.iter().map(|name| row.get(*name)).collect());
    let shown = rows_under(&columns, rows);
    under(heading, &format!("{}{shown}", charts(&flat)))
}

fn flattened(row: &Fields) -> Fields {
    let mut flat = row.clone();
    for inner in row.values().filter_map(Value::as_object) {
        for (name, value) in inner {
            flat.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    flat
}

/// Rows under headings that name the unit; numbers to the right.
fn rows_under<'a>(columns: &[&str], rows: impl Iterator<Item = Vec<Option<&'a Value>>>) -> Table {
    let rows: Vec<Vec<Option<&Value>>> = rows.collect();
    let mut shown = bare_table();
    shown.set_header(columns.iter().map(|name| match label(name) {
        (label, unit) if unit.is_empty() || label.contains(unit) => label,
        (label, unit) => format!("{label} ({unit})"),
    }));
    for row in &rows {
        let cell = |(name, value): (&&str, &Option<&Value>)| value.map(|v| short(name, v)).unwrap_or_default();
        shown.add_row(columns.iter().zip(row).map(cell));
    }
    for place in 0..columns.len() {
        if rows.iter().any(|row| row.get(place).copied().flatten().is_some_and(Value::is_number)) {
            align_right(&mut shown, place);
        }
    }
    shown
}

/// Three objects and more with the same single values, as of one kind of cost each.
fn side_by_side(fields: &Fields) -> Option<Vec<(String, Fields)>> {
    let plain = |value: &Value| {
        let mut fields = value.as_object()?.clone();
        fields.retain(|_, value| value.is_number() || value.is_null());
        (!fields.is_empty()).then_some(fields)
    };
    let objects: Vec<(String, Fields)> =
        fields.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect();
    let alike = |one: &Fields| objects.iter().filter(|(_, other)| other.keys().eq(one.keys())).cloned().collect();
    let most: Vec<(String, Fields)> =
        objects.iter().map(|(_, one)| alike(one)).max_by_key(|rows: &Vec<_>| rows.len())?;
    (most.len() >= ROWS_OF_A_TABLE).then_some(most)
}

fn grid(rows: &[(String, Fields)]) -> String {
    let mut columns: Vec<&str> =
        rows.first().map(|(_, row)| row.keys().map(String::as_str).collect()).unwrap_or_default();
    columns.sort_by_key(|name| rank(name));
    let names: Vec<Value> = rows.iter().map(|(name, _)| Value::from(title(name))).collect();
    let lines = rows.iter().zip(&names).map(|((_, row), name)| {
        std::iter::once(Some(name)).chain(columns.iter().map(|column| row.get(*column))).collect()
    });
    let header: Vec<&str> = std::iter::once("").chain(columns.iter().copied()).collect();
    rows_under(&header, lines).to_string()
}

/// A line a series, where a list is one of days.
fn charts(rows: &[Fields]) -> String {
    if rows.len() < 2 || !rows.iter().all(|row| row.contains_key("date")) {
        return String::new();
    }
    let chart = |name: &str| {
        let values: Vec<Option<f64>> = rows.iter().map(|row| row.get(name).and_then(Value::as_f64)).collect();
        let top = values.iter().flatten().fold(0.0_f64, |top, value| top.max(*value));
        // A gap is a gap.
        let bars: String = values
            .iter()
            .map(|value| value.map_or_else(|| " ".to_owned(), |value| sparkline(&[value.max(0.0)], top)))
            .collect();
        format!("{:>16} {bars}\n", label(name).0)
    };
    ["revenue_sats", "costs_sats", "net_worth_sats"].map(chart).concat()
}

/// A cell of a wide table: long ids by their beginning, also as a part of a name.
fn short(name: &str, value: &Value) -> String {
    let text = bare(name, value);
    let begin = text.rfind('/').map_or(0, |at| at + 1);
    let id = &text[begin..];
    if id.len() >= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return format!("{}{}…", &text[..begin], &id[..16]);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn has(text: &str, wanted: &[&str]) {
        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for wanted in wanted {
            assert!(squeezed.contains(wanted), "'{wanted}' is missing:\n{text}");
        }
    }

    #[test]
    fn gaps_and_warnings_are_seen() {
        let day = |date: &str, worth: Value| json!({"date": date, "net_worth_sats": worth, "revenue_sats": 1_000, "costs_sats": 0});
        let answer = json!({
            "snapshots": [day("2026-11-20", json!(null)), day("2026-11-21", json!(2_000_000))],
            "warning_gaps": "on 1 days nobody looked",
        });
        let text = sheet(&answer);
        assert!(text.contains("2,000,000") && text.contains("! on 1 days"), "{text}");
        assert!(text.lines().any(|line| line.trim_start().starts_with("net worth") && line.contains('█')), "{text}");
    }

    #[test]
    fn what_belongs_together_stands_under_its_heading() {
        let answer = json!({
            "balances": {"as_of": 1_795_324_390, "net_worth_sats": 36_711_249, "onchain_sats": null},
            "financial_health": {"tlv_sats": 36_711_249, "roc_pct": 1.20841},
            "period": {"from": 1_792_731_600, "net_profit_sats": -3, "net_profit_msat": -2_001},
            "bleeders": [], "warnings": [], "bleeder_count": 0,
        });
        let text = sheet(&answer);
        let place = |heading: &str| text.find(heading).unwrap();
        assert!(place("Financial health") < place("Period") && place("Period") < place("Balances"), "{text}");
        has(&text, &["2026-11-22 05:13 UTC", "net worth (TLV)", "1.21 %", "-3 sat", "Bleeders: none"]);
        assert!(!text.contains("2,001") && !text.contains("1,795,324,390") && !text.contains('_'), "{text}");
    }

    #[test]
    fn kinds_of_costs_stand_side_by_side() {
        let of = |sat: u64| json!({"last_24h_sats": 0, "last_7d_sats": 0, "last_30d_sats": sat, "total_sats": sat});
        let mut answer = json!({"opening_costs": of(1_162), "closure_costs": of(0), "splice_costs": of(0)});
        answer["splice_costs"]["summary"] = json!({"splice_count": 0});
        let text = sheet(&answer);
        has(&text, &["last 24 hours (sat) last 7 days (sat) last 30 days (sat) all time (sat)"]);
        has(&text, &["Opening costs 0 0 1,162 1,162"]);
    }
}
