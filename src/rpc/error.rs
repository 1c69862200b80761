//! Failures as JSON-RPC errors: a code for programs, a sentence for people.

use std::fmt;

use serde_json::json;

use crate::ops::OrderError;

/// What every command answers: an object, or an error.
pub type Answer = Result<serde_json::Value, RpcError>;

/// The caller erred; the text says what to give instead.
pub(super) const CALLER: i32 = -32602;
/// Something broke underneath: the node did not answer, the ledger could not be written.
pub(super) const BROKEN: i32 = 4000;
/// The plugin is still starting; ask again.
pub(super) const STARTING: i32 = 4001;

/// The plugin runs and does nothing, for a reason that only the operator can remove.
pub(super) const DISABLED: i32 = 4002;

/// Asked for too often: nothing was changed.
pub(super) const TOO_OFTEN: i32 = 4003;

/// Every code, for the manual.
pub(super) const CODES: [(i32, &str); 5] = [
    (CALLER, "A parameter is missing, unknown or not allowed. The text says what to give instead."),
    (BROKEN, "Something broke underneath: the node did not answer, or the ledger could not be read or written."),
    (STARTING, "The plugin is still starting: it waits for the node or opens its ledger. Ask again a little later."),
    (
        DISABLED,
        "The plugin does nothing, because its ledger is not one that it may use. The text says why and what to do.",
    ),
    (
        TOO_OFTEN,
        "A peer's policy was changed too often within a minute. Nothing was changed; the text says when to try again.",
    ),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i32,
    pub message: String,
}

impl RpcError {
    pub fn caller(message: impl Into<String>) -> RpcError {
        RpcError { code: CALLER, message: message.into() }
    }

    pub fn starting(doing: &str) -> RpcError {
        RpcError { code: STARTING, message: format!("still starting: {doing}") }
    }

    pub fn disabled(reason: &str) -> RpcError {
        RpcError { code: DISABLED, message: format!("disabled: {reason}") }
    }
}

/// cln-plugin keeps the code of an error only if the error's text is this very JSON; any other becomes -32700.
impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", json!({ "code": self.code, "message": self.message }))
    }
}

impl std::error::Error for RpcError {}

impl From<OrderError> for RpcError {
    fn from(error: OrderError) -> RpcError {
        match error {
            OrderError::Caller(text) => RpcError::caller(text),
            OrderError::TooOften(text) => RpcError { code: TOO_OFTEN, message: text },
            OrderError::Broken(error) => error.into(),
        }
    }
}

impl From<anyhow::Error> for RpcError {
    fn from(error: anyhow::Error) -> RpcError {
        RpcError { code: BROKEN, message: format!("{error:#}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_the_json_that_keeps_its_code() {
        let error = anyhow::Error::from(RpcError::caller("say \"please\""));
        let read: serde_json::Value = serde_json::from_str(&error.to_string()).unwrap();
        assert_eq!(read, json!({ "code": -32602, "message": "say \"please\"" }));
    }

    #[test]
    fn who_erred_decides_the_code() {
        let broken = anyhow::anyhow!("disk full").context("recording the fees");
        let cases = [
            (RpcError::from(OrderError::Caller("no".to_owned())), CALLER, "no"),
            (RpcError::from(OrderError::Broken(broken)), BROKEN, "recording the fees: disk full"),
            (RpcError::from(OrderError::TooOften("later".to_owned())), TOO_OFTEN, "later"),
            (RpcError::starting("opening the ledger"), STARTING, "still starting: opening the ledger"),
            (RpcError::disabled("not our file"), DISABLED, "disabled: not our file"),
        ];
        for (error, code, message) in cases {
            assert_eq!((error.code, error.message.as_str()), (code, message));
        }
    }
}
