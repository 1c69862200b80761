//! What a caller gave, by parameter name: by position, by keyword, or as `key=value` in a position.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Value;

use super::error::RpcError;

/// Arguments under the names of the command's usage; `null` is the same as nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Args(BTreeMap<&'static str, Value>);

/// Words that a command's first parameter may be, and what each of them takes beside it.
pub(super) type Words = &'static [(&'static str, &'static [&'static str])];

impl Args {
    /// `usage` is the positional order; brackets mean that a parameter may be missing.
    pub fn read(command: &str, usage: &'static str, params: &Value) -> Result<Args, RpcError> {
        let mut reader = Reader { command, usage, given: BTreeMap::new() };
        match params {
            Value::Null => {}
            Value::Array(values) => values.iter().try_for_each(|value| reader.take(value))?,
            Value::Object(values) => values.iter().try_for_each(|(name, value)| reader.keyword(name, value.clone()))?,
            _ => return Err(RpcError::caller(format!("parameters are an array or an object; {}", reader.hint()))),
        }
        reader.finish()
    }

    /// The parameter as text; numbers and booleans as they are written.
    pub fn text(&self, name: &str) -> Result<Option<String>, RpcError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(value) => Err(RpcError::caller(format!("'{name}' must be a text or a number, not {value}"))),
        }
    }

    /// A whole number, as a number or as text.
    pub fn whole<T: FromStr + Bounds>(&self, name: &str) -> Result<Option<T>, RpcError> {
        let parse = |text: String| {
            text.parse().map_err(|_| {
                RpcError::caller(format!("'{name}' must be a whole number from 0 to {}, not '{text}'", T::MAX))
            })
        };
        self.text(name)?.map(parse).transpose()
    }

    /// The same where other limits hold than those of the type.
    pub fn within<T>(&self, name: &str, limits: RangeInclusive<T>) -> Result<Option<T>, RpcError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let parse = |text: String| {
            text.parse().ok().filter(|number| limits.contains(number)).ok_or_else(|| {
                let (low, high) = (limits.start(), limits.end());
                RpcError::caller(format!("'{name}' must be a whole number from {low} to {high}, not '{text}'"))
            })
        };
        self.text(name)?.map(parse).transpose()
    }

    /// A number, as a number or as text.
    pub fn number(&self, name: &str) -> Result<Option<f64>, RpcError> {
        let parse = |text: String| {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| RpcError::caller(format!("'{name}' must be a number, not '{text}'")))
        };
        self.text(name)?.map(parse).transpose()
    }

    /// The same for a parameter that `none` takes away: `Some(None)`.
    pub fn unless_none<T>(
        &self,
        name: &str,
        read: impl Fn(&Args, &str) -> Result<Option<T>, RpcError>,
    ) -> Result<Option<Option<T>>, RpcError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("none") => Ok(Some(None)),
            Some(_) => Ok(read(self, name)?.map(Some)),
        }
    }

    /// A list: as JSON, as the text of a JSON list, or of texts with commas between them.
    pub fn list(&self, name: &str) -> Result<Option<Vec<Value>>, RpcError> {
        let wrong = |given: &Value| RpcError::caller(format!("'{name}' must be a list, not {given}"));
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items.clone())),
            Some(given @ Value::String(text)) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).map(Some).map_err(|_| wrong(given))
            }
            Some(Value::String(text)) => Ok(Some(text.split(',').map(|part| part.trim().into()).collect())),
            Some(number @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(vec![number.to_string().into()])),
            Some(given) => Err(wrong(given)),
        }
    }

    /// What was given in one place belongs to another, if that one is empty.
    pub fn move_to(&mut self, from: &'static str, to: &'static str) {
        if !self.0.contains_key(to)
            && let Some(value) = self.0.remove(from)
        {
            self.0.insert(to, value);
        }
    }

    /// Refuses a word that is none of `all`, and parameters that do not belong to it. `place` is the parameter that the word was given as.
    pub(super) fn only(&self, (place, kind): (&str, &str), word: &str, all: Words) -> Result<(), RpcError> {
        let Some((_, takes)) = all.iter().find(|(name, _)| *name == word) else {
            let known: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            return Err(RpcError::caller(format!("unknown {kind} '{word}'; give {}", known.join(", "))));
        };
        match self.0.keys().find(|name| **name != place && !takes.contains(*name)) {
            None => Ok(()),
            Some(name) if takes.is_empty() => {
                Err(RpcError::caller(format!("'{word}' takes no parameters, and not '{name}'")))
            }
            Some(name) => {
                let takes = takes.join(", ");
                Err(RpcError::caller(format!("'{name}' does not belong to '{word}', which takes {takes}")))
            }
        }
    }

    /// Arguments made of an object, as an entry of a list is one.
    pub fn of(usage: &'static str, entry: &Value) -> Result<Args, RpcError> {
        match entry {
            Value::Object(_) => Args::read("an entry", usage, entry),
            other => Err(RpcError::caller(format!("an entry is an object with {usage}, not {other}"))),
        }
    }

    /// Yes or no; no when it is missing.
    pub fn flag(&self, name: &str) -> Result<bool, RpcError> {
        match self.text(name)?.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off") => Ok(false),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some(other) => Err(RpcError::caller(format!("'{name}' must be true or false, not '{other}'"))),
        }
    }
}

/// The largest value of a type, for the error that names it.
pub trait Bounds {
    const MAX: u64;
}

impl Bounds for u32 {
    const MAX: u64 = u32::MAX as u64;
}

impl Bounds for u64 {
    const MAX: u64 = u64::MAX;
}

/// A parameter that the usage does not bracket has been given, or [`Args::read`] would have refused.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, RpcError> {
    value.ok_or_else(|| RpcError::caller(format!("'{name}' is missing")))
}

/// The names in a usage line, and whether each must be given.
pub(super) fn parameters(usage: &'static str) -> impl Iterator<Item = (&'static str, bool)> {
    spellings(usage).map(|(names, must)| (names.split('|').next().unwrap_or(names), must))
}

/// The same with every spelling of a name, `|` between them; the first is the one that counts.
fn spellings(usage: &'static str) -> impl Iterator<Item = (&'static str, bool)> {
    usage.split_whitespace().map(|word| match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        Some(names) => (names, false),
        None => (word, true),
    })
}

struct Reader<'a> {
    command: &'a str,
    usage: &'static str,
    given: BTreeMap<&'static str, Value>,
}

impl Reader<'_> {
    /// One element of an array: `key=value`, or the value of the next parameter that has none.
    fn take(&mut self, value: &Value) -> Result<(), RpcError> {
        if let Some((name, text)) = value.as_str().and_then(|text| text.split_once('=')).filter(|(n, _)| is_name(n)) {
            return self.keyword(name, Value::String(text.to_owned()));
        }
        let free = parameters(self.usage).map(|(name, _)| name).find(|name| !self.given.contains_key(name));
        let name = free.ok_or_else(|| RpcError::caller(format!("too many parameters: {value}; {}", self.hint())))?;
        self.given.insert(name, value.clone());
        Ok(())
    }

    fn keyword(&mut self, given: &str, value: Value) -> Result<(), RpcError> {
        let wanted = given.replace('-', "_");
        let known = spellings(self.usage).find(|(names, _)| names.split('|').any(|name| name == wanted));
        let name = known
            .and_then(|(names, _)| names.split('|').next())
            .ok_or_else(|| RpcError::caller(format!("unknown parameter '{given}'; {}", self.hint())))?;
        match self.given.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(RpcError::caller(format!("'{name}' is given twice; {}", self.hint()))),
        }
    }

    fn finish(self) -> Result<Args, RpcError> {
        let missing = |name: &&str| self.given.get(name).is_none_or(Value::is_null);
        if let Some(name) = parameters(self.usage).filter(|(_, must)| *must).map(|(name, _)| name).find(missing) {
            return Err(RpcError::caller(format!("'{name}' is missing; {}", self.hint())));
        }
        Ok(Args(self.given.into_iter().filter(|(_, value)| !value.is_null()).collect()))
    }

    fn hint(&self) -> String {
        match self.usage {
            "" => format!("'{}' takes no parameters", self.command),
            usage => format!("usage: {} {usage}", self.command),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const USAGE: &str = "channel_id fee_ppm [force]";

    fn read(params: Value) -> Result<(String, u32, bool), String> {
        let args = Args::read("revenue-set-fee", USAGE, &params).map_err(|e| e.message)?;
        let fields = || Ok((args.text("channel_id")?, args.whole("fee_ppm")?, args.flag("force")?));
        let (channel, fee, force) = fields().map_err(|e: RpcError| e.message)?;
        Ok((channel.unwrap(), fee.unwrap(), force))
    }

    #[test]
    fn every_way_to_give_parameters_means_the_same() {
        for params in [
            json!(["1x2x3", 100, true]),
            json!(["1x2x3", "100", "yes"]),
            json!(["1x2x3", "fee_ppm=100", "force=on"]),
            json!(["force=1", "1x2x3", 100]),
            json!(["fee-ppm=100", "channel_id=1x2x3", "true"]),
            json!({ "channel_id": "1x2x3", "fee_ppm": 100, "force": true }),
            json!({ "channel_id": " 1x2x3 ", "fee-ppm": "100", "force": "TRUE" }),
        ] {
            assert_eq!(read(params.clone()), Ok(("1x2x3".to_owned(), 100, true)), "{params}");
        }
        for params in [json!(["1x2x3", 7]), json!(["1x2x3", 7, null]), json!(["1x2x3", 7, "off"])] {
            assert_eq!(read(params.clone()), Ok(("1x2x3".to_owned(), 7, false)), "{params}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_type_instead() {
        let usage = "usage: revenue-set-fee channel_id fee_ppm [force]";
        for (params, expected) in [
            (json!([]), format!("'channel_id' is missing; {usage}")),
            (json!(["1x2x3"]), format!("'fee_ppm' is missing; {usage}")),
            (json!({ "channel_id": "1x2x3", "fee_ppm": null }), format!("'fee_ppm' is missing; {usage}")),
            (json!(["1x2x3", 1, true, 4]), format!("too many parameters: 4; {usage}")),
            (json!(["1x2x3", "fee=1"]), format!("unknown parameter 'fee'; {usage}")),
            (json!({ "channel_id": "1x2x3", "ppm": 1 }), format!("unknown parameter 'ppm'; {usage}")),
            (json!(["1x2x3", 1, "fee_ppm=2"]), format!("'fee_ppm' is given twice; {usage}")),
            (json!(7), format!("parameters are an array or an object; {usage}")),
            (json!(["1x2x3", -1]), "'fee_ppm' must be a whole number from 0 to 4294967295, not '-1'".to_owned()),
            (json!(["1x2x3", 1.5]), "'fee_ppm' must be a whole number from 0 to 4294967295, not '1.5'".to_owned()),
            (json!(["1x2x3", 1, "maybe"]), "'force' must be true or false, not 'maybe'".to_owned()),
            (json!([["1x2x3"], 1]), "'channel_id' must be a text or a number, not [\"1x2x3\"]".to_owned()),
        ] {
            assert_eq!(read(params.clone()), Err(expected), "{params}");
        }
    }

    #[test]
    fn limits_are_those_that_hold() {
        let days = |text: &str| {
            let args = Args::read("revenue-dashboard", "[window_days]", &json!([text])).unwrap();
            args.within::<u64>("window_days", 1..=3650).map_err(|error| error.message)
        };
        assert_eq!((days("1"), days("3650")), (Ok(Some(1)), Ok(Some(3650))));
        for wrong in ["-1", "0", "3651", "week"] {
            let text = format!("'window_days' must be a whole number from 1 to 3650, not '{wrong}'");
            assert_eq!(days(wrong), Err(text));
        }
    }

    #[test]
    fn what_does_not_belong_to_the_word_is_refused() {
        const REPORTS: Words = &[("costs", &[]), ("journal", &["from", "to"])];
        let read = |params: Value| {
            let args = Args::read("revenue-report", "[kind] [peer_id] [from] [to]", &params).unwrap();
            let kind = args.text("kind").unwrap().unwrap();
            args.only(("kind", "report"), &kind, REPORTS).map_err(|error| error.message)
        };
        assert_eq!(read(json!(["journal", "to=0"])), Ok(()));
        let wrong = |params: Value| read(params).unwrap_err();
        assert_eq!(wrong(json!(["journal", "x"])), "'peer_id' does not belong to 'journal', which takes from, to");
        assert_eq!(wrong(json!(["costs", "x"])), "'costs' takes no parameters, and not 'peer_id'");
        assert_eq!(wrong(json!(["weather"])), "unknown report 'weather'; give costs, journal");
    }

    #[test]
    fn a_command_without_parameters_says_so() {
        let error = Args::read("revenue-wake-all", "", &json!(["now"])).unwrap_err();
        assert_eq!(error.message, "too many parameters: \"now\"; 'revenue-wake-all' takes no parameters");
        assert!(Args::read("revenue-wake-all", "", &json!({})).is_ok());
    }
}
