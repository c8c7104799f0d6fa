//! Function calls: what the model asks for, and how each ended.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::shown::shown_without_content;
use crate::id::{CallId, ItemId};

/// A function call: what the model asks for.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub struct FunctionCall {
    /// The call's id, which its output must repeat.
    pub call_id: CallId,
    /// The item that holds it.
    pub item_id: Option<ItemId>,
    /// The function.
    pub name: String,
    /// The arguments: the text of a JSON object, checked. In a [`FunctionEnd::BadArguments`], the text as it
    /// came.
    pub arguments: String,
    /// The idempotency key. The same call, made again after a lost connection, has the same key.
    pub key: String,
}

/// How a function call ended.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FunctionEnd {
    /// The function returned this, and the model was told.
    Result(Value),
    /// The function failed, and the model was told this.
    Error(String),
    /// The call was cancelled, by an interruption or by the application. The model was told.
    Cancelled,
    /// The function took too long. The model was told.
    TimedOut,
    /// There is no such function. The model was told.
    Unknown,
    /// The call was not approved, so the function did not run. The model was told this text.
    Refused(String),
    /// The arguments are not a JSON object, so the function did not run. The model was told this text.
    BadArguments(String),
    /// The response that made the call did not complete, so the function did not run. The model was told.
    NotCompleted,
    /// The connection ended first, and another follows. The function may keep running. Its output, given by
    /// [`Command::AnswerFunction`](crate::call::Command::AnswerFunction) with this id, answers the same call
    /// if the model makes it again.
    Detached,
    /// The call ended first.
    Closed,
}

impl FunctionEnd {
    /// Returns whether an output was sent: the model knows how the function ended.
    pub const fn is_answered(&self) -> bool {
        !matches!(self, Self::Detached | Self::Closed)
    }
}

impl From<FunctionOutput> for FunctionEnd {
    /// The end of a call whose output is sent.
    fn from(output: FunctionOutput) -> Self {
        match output {
            FunctionOutput::Result(value) => Self::Result(value),
            FunctionOutput::Error(message) => Self::Error(message),
            FunctionOutput::Cancelled => Self::Cancelled,
            FunctionOutput::TimedOut => Self::TimedOut,
            FunctionOutput::Unknown => Self::Unknown,
            FunctionOutput::Refused(reason) => Self::Refused(reason),
        }
    }
}

/// What answers a function call. Every JSON value is a valid result, `null` and empty ones too.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FunctionOutput {
    /// The function returned this.
    Result(Value),
    /// The function failed; the model reads the text.
    Error(String),
    /// The call was cancelled, by an interruption or by the application.
    Cancelled,
    /// The function took too long.
    TimedOut,
    /// There is no such function.
    Unknown,
    /// The call was not approved: the function did not run. The model reads why.
    Refused(String),
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
            Self::Refused(reason) => {
                serde_json::to_string(&serde_json::json!({ "error": alloc::format!("refused: {reason}") }))
            }
        }
        .unwrap_or_else(|_| r#"{"error":"the result is no JSON"}"#.into())
    }
}

shown_without_content!(FunctionCall, FunctionEnd, FunctionOutput);
