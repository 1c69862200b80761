//! An answer as comma-separated values, for programs: exact, with the fields' own names. One list of it row by row, or, of an answer
//! that is not about a list, field and value.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::labels::rank;

/// All fields of all rows; what names a row comes first.
pub(super) fn columns(rows: &Value) -> Vec<String> {
    let names: BTreeSet<String> = each(rows).flat_map(|row| flat(row).into_iter().map(|(name, _)| name)).collect();
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| rank(name));
    names
}

pub(super) fn header(columns: &[String]) -> String {
    line(columns.iter().map(|name| quoted(name)))
}

pub(super) fn lines<'a>(rows: &'a Value, columns: &'a [String]) -> impl Iterator<Item = String> + 'a {
    each(rows).map(|row| {
        let fields: Map<String, Value> = flat(row).into_iter().collect();
        line(columns.iter().map(|name| fields.get(name).map(raw).unwrap_or_default()))
    })
}

/// An answer without a list: what it says, field by field.
pub(super) fn pairs(answer: &Value) -> String {
    let lines = flat(answer).into_iter().map(|(name, value)| line([quoted(&name), raw(&value)]));
    std::iter::once("field,value".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

fn each(rows: &Value) -> impl Iterator<Item = &Value> {
    rows.as_array().into_iter().flatten()
}

/// Every value under its path; a list of single values as one.
fn flat(value: &Value) -> Vec<(String, Value)> {
    let mut fields = Vec::new();
    walk(value, "", &mut fields);
    fields
}

fn walk(value: &Value, path: &str, fields: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(value, &path, fields);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {}
        Value::Array(items) => {
            let texts: Vec<String> =
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect();
            fields.push((path.to_owned(), Value::from(texts.join("; "))));
        }
        other => fields.push((path.to_owned(), other.clone())),
    }
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().collect::<Vec<_>>().join(",")
}

/// Exact.
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
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_it_stays_as_it_is() {
        let entries = json!([
            {"time": "2026-11-21T00:00:00Z", "amount_msat": 1_234_567, "memo": "a \"fee\", paid"},
            {"time": "2026-11-22T00:00:00Z", "amount_msat": 5, "memo": null},
        ]);
        let columns = columns(&entries);
        assert_eq!(header(&columns), "time,amount_msat,memo");
        let lines: Vec<String> = lines(&entries, &columns).collect();
        assert_eq!(lines, ["2026-11-21T00:00:00Z,1234567,\"a \"\"fee\"\", paid\"", "2026-11-22T00:00:00Z,5,"]);
        assert_eq!(pairs(&json!({"a": {"b": 1}, "c": [{"d": 2}], "e": ["x", "y"]})), "field,value\na.b,1\ne,x; y");
    }

    #[test]
    fn rows_may_hold_more_than_single_values() {
        let rows = json!([{"a": {"b": 1}}, {"a": {"b": 2, "c": [3, 4]}}]);
        let columns = columns(&rows);
        assert_eq!(
            (header(&columns).as_str(), lines(&rows, &columns).collect::<Vec<_>>()),
            ("a.b,a.c", vec!["1,".to_owned(), "2,3; 4".to_owned()])
        );
    }
}
