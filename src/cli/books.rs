//! `dashboard`, `report`, `history`, …: what the plugin answers, as tables and small charts, JSON, or CSV. Asks the plugin through the node's
//! `lightning-rpc`, and works nothing out by itself.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::draw::{sparkline, table};
use crate::node::cln::CoreLightning;

#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// The node's folder; `~/.lightning` without it.
    #[arg(long, value_name = "FOLDER")]
    lightning_dir: Option<PathBuf>,
    /// Whose folder in it has the socket.
    #[arg(long, default_value = "bitcoin")]
    network: String,
    /// The socket itself, wherever it is.
    #[arg(long, value_name = "SOCKET")]
    rpc_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// What is asked, and how it is to be shown.
#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// The command's parameters in their order, or as key=value.
    #[arg(value_name = "PARAMETER", allow_negative_numbers = true)]
    parameters: Vec<String>,
    #[command(flatten)]
    how: How,
}

pub(super) async fn run(method: &str, ask: Ask) -> anyhow::Result<()> {
    let socket = ask.how.socket()?;
    let node = CoreLightning::new(socket);
    let answer = node.call(method, json!(ask.parameters)).await.map_err(|error| anyhow!("{error}"))?;
    super::print(match ask.how.format {
        Format::Table => tables(&answer),
        Format::Json => serde_json::to_string_pretty(&answer)?,
        Format::Csv => csv(&answer),
    })
}

impl How {
    fn socket(&self) -> anyhow::Result<PathBuf> {
        if let Some(socket) = &self.rpc_file {
            return Ok(socket.clone());
        }
        let folder = match &self.lightning_dir {
            Some(folder) => folder.clone(),
            None => {
                std::env::home_dir().context("there is no home directory; give --lightning-dir")?.join(".lightning")
            }
        };
        Ok(folder.join(&self.network).join("lightning-rpc"))
    }
}

/// Single values first, then each list as a table of its own; warnings last, where they are seen.
fn tables(answer: &Value) -> String {
    let (mut plain, mut lists, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    sort(answer, "", &mut plain, &mut lists);
    plain.retain(|(name, value)| {
        let warning = name.starts_with("warning");
        if warning {
            warnings.push(format!("! {}", cell(value)));
        }
        !warning
    });
    let mut parts = Vec::new();
    if !plain.is_empty() {
        let mut values = table(["", ""], [1]);
        for (name, value) in plain {
            values.add_row([name, cell(&value)]);
        }
        parts.push(values.to_string());
    }
    for (name, rows) in lists {
        parts.push(format!("{name}\n{}{}", charts(&rows), list(&rows)));
    }
    parts.extend(warnings);
    parts.join("\n")
}

type Lists<'a> = Vec<(String, Vec<&'a Map<String, Value>>)>;

/// Every value under its path; lists of objects apart.
fn sort<'a>(value: &'a Value, path: &str, plain: &mut Vec<(String, Value)>, lists: &mut Lists<'a>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                sort(value, &path, plain, lists);
            }
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            lists.push((path.to_owned(), items.iter().filter_map(Value::as_object).collect()));
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => plain.extend(items.iter().map(|item| (path.to_owned(), item.clone()))),
        other => plain.push((path.to_owned(), other.clone())),
    }
}

/// The columns that a person looks for; what a list has besides is in `--format json` and `csv`.
const COLUMNS: [&str; 26] = [
    "date",
    "time",
    "scid",
    "channel_id",
    "peer_id",
    "advice",
    "profitability_class",
    "classification",
    "action",
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
    "why",
];

fn list(rows: &[&Map<String, Value>]) -> String {
    let has = |name: &&str| rows.iter().any(|row| row.get(*name).is_some_and(|value| !value.is_object()));
    let mut columns: Vec<String> = COLUMNS.iter().filter(|name| has(name)).map(|name| (*name).to_owned()).collect();
    if columns.is_empty() {
        columns = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    }
    let mut shown = table::<0>([], []);
    shown.set_header(columns.iter().map(|name| name.replace('_', " ")));
    for row in rows {
        shown.add_row(columns.iter().map(|name| row.get(name).map(short).unwrap_or_default()));
    }
    shown.to_string()
}

/// A line a series, where a list is one of days.
fn charts(rows: &[&Map<String, Value>]) -> String {
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
        format!("{:>16} {bars}\n", name.replace('_', " ").trim_end_matches(" sats"))
    };
    ["revenue_sats", "costs_sats", "net_worth_sats"].map(chart).concat()
}

/// A cell of a wide table: ids by their beginning.
fn short(value: &Value) -> String {
    let text = cell(value);
    match text.char_indices().nth(16) {
        Some((end, _)) if text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..end])
        }
        _ => text,
    }
}

/// As people read it: digits in groups, nothing for what is not known.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(positive), _) => super::draw::grouped(positive),
            (None, Some(negative)) => format!("-{}", super::draw::grouped(negative.unsigned_abs())),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The longest list of the answer, row by row; an answer without one as field and value.
fn csv(answer: &Value) -> String {
    let (mut plain, mut lists) = (Vec::new(), Vec::new());
    sort(answer, "", &mut plain, &mut lists);
    let Some((_, rows)) = lists.into_iter().max_by_key(|(_, rows)| rows.len()) else {
        let lines = plain.iter().map(|(name, value)| line([quoted(name), raw(value)]));
        return std::iter::once("field,value".to_owned()).chain(lines).collect::<Vec<_>>().join("\n");
    };
    let columns: Vec<&String> = rows
        .first()
        .map(|row| row.iter().filter(|(_, v)| !v.is_object() && !v.is_array()).map(|(name, _)| name).collect())
        .unwrap_or_default();
    let header = line(columns.iter().map(|name| quoted(name)));
    let lines = rows.iter().map(|row| line(columns.iter().map(|name| row.get(*name).map(raw).unwrap_or_default())));
    std::iter::once(header).chain(lines).collect::<Vec<_>>().join("\n")
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().collect::<Vec<_>>().join(",")
}

/// Exact, for programs.
fn raw(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_keeps_what_is_in_it() {
        let journal = json!({"count": 2, "entries": [
            {"time": "2026-11-21T00:00:00Z", "amount_msat": 1_234_567, "memo": "a \"fee\", paid"},
            {"time": "2026-11-22T00:00:00Z", "amount_msat": 5, "memo": null},
        ]});
        let text = csv(&journal);
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        assert!(header.split(',').count() == 3 && header.contains("amount_msat"), "{header}");
        assert!(text.contains("\"a \"\"fee\"\", paid\"") && text.contains("1234567"), "{text}");
        assert_eq!(csv(&json!({"a": {"b": 1}})), "field,value\na.b,1");
    }

    #[test]
    fn tables_show_gaps_and_warnings() {
        let day = |date: &str, worth: Value| json!({"date": date, "net_worth_sats": worth, "revenue_sats": 1_000, "costs_sats": 0});
        let answer = json!({
            "snapshots": [day("2026-11-20", json!(null)), day("2026-11-21", json!(2_000_000))],
            "warning_gaps": "on 1 days nobody looked",
        });
        let text = tables(&answer);
        assert!(text.contains("2,000,000") && text.contains("! on 1 days"), "{text}");
        assert!(text.lines().any(|line| line.trim_start().starts_with("net worth") && line.contains('█')), "{text}");
    }
}
