//! JSON-RPC as lightningd speaks it: messages out of a stream of bytes, parameters by name or by place, errors with their codes.

use serde_json::{Map, Value, json};

/// What a command answers instead of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

pub(super) type Answer = Result<Value, RpcError>;

pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const UNKNOWN_METHOD: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    pub(super) fn params(message: impl Into<String>) -> RpcError {
        RpcError::new(INVALID_PARAMS, message)
    }

    pub(super) fn missing(name: &str) -> RpcError {
        RpcError::params(format!("missing required parameter: {name}"))
    }

    /// What lightningd says of a parameter that it cannot read.
    pub(super) fn token(name: &str, wrong: &str) -> RpcError {
        RpcError::params(format!("{name}: {wrong}: invalid token (see logs for details)"))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }

    /// Read from what a plugin answered.
    pub(super) fn from_json(error: &Value) -> RpcError {
        RpcError {
            code: error["code"].as_i64().unwrap_or(-4),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error.get("data").filter(|data| !data.is_null()).cloned(),
        }
    }
}

/// One message with the blank line that ends it.
pub(super) fn framed(message: &Value) -> Vec<u8> {
    let mut bytes = message.to_string().into_bytes();
    bytes.extend_from_slice(b"\n\n");
    bytes
}

/// Whole messages out of pieces; they may come split or glued.
#[derive(Debug, Default)]
pub(super) struct Splitter(Vec<u8>);

impl Splitter {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole message; the text that is no JSON, if it is not.
    pub(super) fn next(&mut self) -> Option<Result<Value, String>> {
        let mut messages = serde_json::Deserializer::from_slice(&self.0).into_iter::<Value>();
        let message = messages.next()?;
        let end = messages.byte_offset();
        match message {
            Ok(value) => {
                self.0.drain(..end);
                Some(Ok(value))
            }
            Err(error) if error.is_eof() => None,
            Err(_) => Some(Err(String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned())),
        }
    }
}

/// A request that is well formed.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub id: Value,
    pub method: String,
    pub params: Value,
    pub filter: Option<Value>,
}

impl Request {
    /// Or the id to answer to, and what is wrong.
    pub(super) fn read(message: &Value) -> Result<Request, (Value, RpcError)> {
        let wrong = |text: String| RpcError::new(INVALID_REQUEST, text);
        if message.get("jsonrpc").is_none() {
            let text = format!("JSON-RPC message does not contain \"jsonrpc\" field: '{message}'");
            return Err((Value::Null, wrong(text)));
        }
        let Some(id) = message.get("id").filter(|id| id.is_string() || id.is_number()) else {
            return Err((Value::Null, wrong("No id".to_owned())));
        };
        let Some(method) = message["method"].as_str() else { return Err((id.clone(), wrong("No method".to_owned()))) };
        let Some(params) = message.get("params") else { return Err((id.clone(), wrong("No params".to_owned()))) };
        let (method, params) = (method.to_owned(), params.clone());
        Ok(Request { id: id.clone(), method, params, filter: message.get("filter").cloned() })
    }
}

pub(super) fn reply(id: &Value, answer: &Answer) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error.to_json()}),
    }
}

/// Keeps what the caller's filter names.
pub(super) fn filtered(value: Value, filter: &Value) -> Value {
    match (value, filter) {
        (Value::Object(object), Value::Object(wanted)) => {
            let kept = object.into_iter().filter_map(|(key, value)| match wanted.get(&key) {
                Some(Value::Bool(true)) => Some((key, value)),
                Some(inner @ (Value::Object(_) | Value::Array(_))) => Some((key, filtered(value, inner))),
                _ => None,
            });
            Value::Object(kept.collect())
        }
        (Value::Array(items), Value::Array(wanted)) if wanted.len() == 1 => {
            items.into_iter().map(|item| filtered(item, &wanted[0])).collect()
        }
        (value, _) => value,
    }
}

/// The parameters of one call, by name.
#[derive(Clone, Debug)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// `names` are in the order of positional calls; an absent parameter and `null` are the same.
    pub(super) fn read(params: &Value, names: &[&str]) -> Result<Params, RpcError> {
        let given: Map<String, Value> = match params {
            Value::Array(values) if values.len() > names.len() => {
                let (got, expected) = (values.len(), names.len());
                return Err(RpcError::params(format!("too many parameters: got {got}, expected {expected}")));
            }
            Value::Array(values) => names.iter().map(|n| (*n).to_owned()).zip(values.iter().cloned()).collect(),
            Value::Object(object) => object.clone(),
            _ => return Err(RpcError::params("Expected array or object for params")),
        };
        if let Some(unknown) = given.keys().find(|key| !names.contains(&key.as_str())) {
            return Err(RpcError::params(format!(
                "unknown parameter: {unknown}, this may be caused by a failure to autodetect key=value-style \
                 parameters. Please try using the -k flag and explicit key=value pairs of parameters."
            )));
        }
        Ok(Params(given.into_iter().filter(|(_, value)| !value.is_null()).collect()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn required(&self, name: &str) -> Result<&Value, RpcError> {
        self.get(name).ok_or_else(|| RpcError::missing(name))
    }

    /// As text, whatever the caller made of it.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(as_text)
    }

    pub(super) fn required_text(&self, name: &str) -> Result<String, RpcError> {
        self.required(name).map(as_text)
    }

    /// A whole number, or its text.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, RpcError> {
        let read = |value: &Value| as_text(value).parse().map_err(|_| RpcError::token(name, "should be an integer"));
        self.get(name).map(read).transpose()
    }

    pub(super) fn u32(&self, name: &str) -> Result<Option<u32>, RpcError> {
        let narrow = |n: u64| u32::try_from(n).map_err(|_| RpcError::token(name, "should be an integer"));
        self.number(name)?.map(narrow).transpose()
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, RpcError> {
        let read = |value: &Value| match as_text(value).as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(RpcError::token(name, "should be 'true' or 'false'")),
        };
        self.get(name).map(read).transpose()
    }

    /// A whole number is msat; text may say `msat`, `sat` or `btc`.
    pub(super) fn msat(&self, name: &str) -> Result<Option<u64>, RpcError> {
        let read =
            |v: &Value| msat(&as_text(v)).ok_or_else(|| RpcError::token(name, "should be a millisatoshi amount"));
        self.get(name).map(read).transpose()
    }
}

pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn msat(text: &str) -> Option<u64> {
    if let Some(sat) = text.strip_suffix("btc") {
        let (whole, part) = sat.split_once('.').unwrap_or((sat, ""));
        let digits = format!("{whole}{part:0<11}");
        return if part.len() <= 11 { digits.parse().ok() } else { None };
    }
    if let Some(msat) = text.strip_suffix("msat") {
        return msat.parse().ok();
    }
    match text.strip_suffix("sat") {
        Some(sat) => sat.parse::<u64>().ok()?.checked_mul(1000),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_split_and_glued() {
        let mut splitter = Splitter::default();
        splitter.push(b"{\"a\":1}{\"b\":\"\xc3");
        assert_eq!(splitter.next(), Some(Ok(json!({"a": 1}))));
        assert_eq!(splitter.next(), None);
        splitter.push(b"\xa4\"}\n\n\n\n");
        assert_eq!(splitter.next(), Some(Ok(json!({"b": "\u{e4}"}))));
        assert_eq!(splitter.next(), None);
        splitter.push(b"{nonsense}");
        assert!(matches!(splitter.next(), Some(Err(_))));
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(msat("1btc"), Some(100_000_000_000));
        assert_eq!(msat("0.01btc"), Some(1_000_000_000));
        assert_eq!((msat("5sat"), msat("7msat"), msat("9")), (Some(5_000), Some(7), Some(9)));
        assert_eq!((msat("-1"), msat("1.5"), msat("x")), (None, None, None));
    }
}
