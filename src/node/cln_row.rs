//! Reads one JSON object of an answer field by field, and says which field of which row was not understood.
//! It never makes up a value: what is absent is `None`, what is malformed is an error.

use serde_json::{Map, Value};

use super::NodeError;
use crate::domain::units::to_u64_rounded;
use crate::domain::{Msat, Time};

/// One object: a whole answer, a row of one of its lists, or a part of a row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    method: &'a str,
    /// The list that the row stands in, and its place there (from 0).
    place: Option<(&'a str, usize)>,
    /// The field of the row that holds this object.
    part: Option<&'a str>,
    fields: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    /// An answer, or the parameters of a notification.
    pub(super) fn whole(method: &'a str, answer: &'a Value) -> Result<Row<'a>, NodeError> {
        let fields = answer.as_object().ok_or_else(|| garbled(method, format!("{} is no object", shown(answer))))?;
        Ok(Row { method, place: None, part: None, fields })
    }

    /// The rows of one list of the answer. A missing list is an error: it must not look like an empty one.
    pub(super) fn list(method: &'a str, answer: &'a Value, list: &'a str) -> Result<Vec<Row<'a>>, NodeError> {
        let rows = answer
            .get(list)
            .and_then(Value::as_array)
            .ok_or_else(|| garbled(method, format!("no list '{list}' in {}", shown(answer))))?;
        let row = |(number, value): (usize, &'a Value)| match value.as_object() {
            Some(fields) => Ok(Row { method, place: Some((list, number)), part: None, fields }),
            None => Err(garbled(method, format!("{list}[{number}] is {}, not an object", shown(value)))),
        };
        rows.iter().enumerate().map(row).collect()
    }

    /// The object in a field; `None` if there is none.
    pub(super) fn part(&self, field: &'a str) -> Option<Row<'a>> {
        let fields = self.get(field)?.as_object()?;
        Some(Row { part: Some(field), fields, ..*self })
    }

    /// A field that we cannot do without.
    pub(super) fn need<T>(&self, field: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<T, NodeError> {
        self.want(field, read)?.ok_or_else(|| self.garbled(&format!("'{field}' is missing")))
    }

    /// A field that may be absent, but not malformed.
    pub(super) fn want<T>(
        &self,
        field: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, NodeError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match read(value) {
            Some(understood) => Ok(Some(understood)),
            None => Err(self.garbled(&format!("'{field}' is {}", shown(value)))),
        }
    }

    /// A field that we can do without: malformed counts as absent.
    pub(super) fn like<T>(&self, field: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        self.get(field).and_then(read)
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// The error that this row is not understood.
    pub(super) fn garbled(&self, why: &str) -> NodeError {
        let mut place = String::new();
        if let Some((list, number)) = self.place {
            place.push_str(&format!("{list}[{number}]"));
        }
        if let Some(name) = ["short_channel_id", "channel_id", "in_channel"].iter().find_map(|f| self.like(f, text)) {
            place.push_str(&format!(" ({name})"));
        }
        if let Some(part) = self.part {
            place.push_str(&format!(" in '{part}'"));
        }
        let place = place.trim_start();
        garbled(self.method, if place.is_empty() { why.to_owned() } else { format!("{place}: {why}") })
    }

    fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    value.as_bool()
}

pub(super) fn rows(value: &Value) -> Option<&Vec<Value>> {
    value.as_array()
}

pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_u64()
}

pub(super) fn small_count(value: &Value) -> Option<u32> {
    count(value).and_then(|n| u32::try_from(n).ok())
}

/// Ids, in the form in which operators type them.
pub(super) fn id<T: std::str::FromStr>(value: &Value) -> Option<T> {
    text(value)?.parse().ok()
}

/// A whole number, or, from nodes before v23.08, a text such as `123msat`.
pub(super) fn msat(value: &Value) -> Option<Msat> {
    let digits = |text: &str| text.strip_suffix("msat").unwrap_or(text).parse().ok();
    count(value).or_else(|| text(value).and_then(digits)).map(Msat)
}

/// Seconds since 1970 with decimals, to the nearest millisecond.
pub(super) fn seconds(value: &Value) -> Option<Time> {
    i64::try_from(scaled(value, 1e3)?).ok().map(Time)
}

/// Seconds since 1970 with decimals, in whole microseconds: as fine as JSON numbers of this size are read.
pub(super) fn micros(value: &Value) -> Option<u64> {
    scaled(value, 1e6)
}

fn scaled(value: &Value, factor: f64) -> Option<u64> {
    let seconds = value.as_f64().or_else(|| text(value)?.parse().ok())?;
    (seconds.is_finite() && seconds >= 0.0).then(|| to_u64_rounded(seconds * factor))
}

/// A date such as `2026-11-21T06:47:44.723Z`.
pub(super) fn date(value: &Value) -> Option<Time> {
    let date = chrono::DateTime::parse_from_rfc3339(text(value)?).ok()?;
    Some(Time(date.timestamp_millis()))
}

pub(super) fn garbled(method: &str, why: String) -> NodeError {
    NodeError::Garbled { method: method.to_owned(), why }
}

/// The beginning of a value, for error messages.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let whole = value.to_string();
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_come_as_numbers_and_as_texts() {
        for (value, expected) in [
            (json!(0), Some(0)),
            (json!(18_446_744_073_709_551_615_u64), Some(u64::MAX)),
            (json!("18446744073709551615msat"), Some(u64::MAX)),
            (json!("123msat"), Some(123)),
            (json!("123"), Some(123)),
            (json!("1sat"), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(""), None),
        ] {
            assert_eq!(msat(&value), expected.map(Msat), "{value}");
        }
    }

    #[test]
    fn times_are_read_to_the_nearest_millisecond() {
        let value: Value = serde_json::from_str("1795243847.701552003").unwrap();
        assert_eq!(seconds(&value), Some(Time(1_795_243_847_702)));
        assert_eq!(micros(&value), Some(1_795_243_847_701_552));
        assert_eq!(seconds(&json!("1795243847.5")), Some(Time(1_795_243_847_500)));
        assert_eq!(seconds(&json!(-1.0)), None);
        assert_eq!(seconds(&json!("NaN")), None);
        assert_eq!(date(&json!("2026-11-21T06:47:44.723Z")), Some(Time(1_795_243_664_723)));
    }

    #[test]
    fn an_error_names_row_and_field() {
        let answer = json!({"channels": [{"short_channel_id": "1x2x3", "updates": {"fee": "x"}}]});
        let row = Row::list("listpeerchannels", &answer, "channels").unwrap()[0];
        let missing = row.need("to_us_msat", msat).unwrap_err().to_string();
        assert_eq!(missing, "listpeerchannels: answer not understood: channels[0] (1x2x3): 'to_us_msat' is missing");
        let part = row.part("updates").unwrap().need("fee", count).unwrap_err().to_string();
        assert_eq!(part, "listpeerchannels: answer not understood: channels[0] in 'updates': 'fee' is \"x\"");
        assert!(Row::list("listpeerchannels", &json!({}), "channels").is_err());
    }
}
