//! Function calls: what the model asks for, and how each ended.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{CallId, ItemId};

/// A call that the model asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionCall {
    /// The call's id, which its output must repeat.
    pub call_id: CallId,
    /// The item that holds it.
    pub item_id: Option<ItemId>,
    /// The function.
    pub name: String,
    /// The arguments: a JSON object as text, checked.
    pub arguments: String,
    /// The idempotency key: the same call made again after a lost connection has the same one.
    pub key: String,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FunctionEnd {
    /// The application's output was sent.
    Answered,
    /// Its arguments are no JSON object; the model was told.
    BadArguments,
    /// Its response did not complete; the model was told.
    ResponseNotCompleted,
    /// The session ended first.
    Closed,
    /// The connection ended first, and another follows. Whoever works on the call may go on: the output, given by
    /// [`Command::AnswerFunction`](crate::call::Command::AnswerFunction) under this id, answers the same call if the
    /// model makes it again.
    Detached,
}

/// How a function call ended. Every JSON value is a valid result, `null` and empty ones too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FunctionOutput {
    /// The function returned this.
    Result(Value),
    /// The function failed; the model reads the text.
    Error(String),
    /// The call was given up, by an interruption or by the application.
    Cancelled,
    /// The function took too long.
    TimedOut,
    /// There is no such function.
    Unknown,
}

impl FunctionOutput {
    /// What the model reads: the result's JSON, or an object with `error` or `status`.
    pub fn to_wire(&self) -> String {
        match self {
            Self::Result(value) => serde_json::to_string(value),
            Self::Error(message) => serde_json::to_string(&serde_json::json!({ "error": message })),
            Self::Cancelled => Ok(r#"{"status":"cancelled"}"#.into()),
            Self::TimedOut => Ok(r#"{"error":"the function took too long"}"#.into()),
            Self::Unknown => Ok(r#"{"error":"there is no such function"}"#.into()),
        }
        .unwrap_or_else(|_| r#"{"error":"the result is no JSON"}"#.into())
    }
}
