//! A function that the model called: its arguments, its output, how it ended and how long it took.

use std::time::Duration;

use realtime_protocol::call::{FunctionCall, FunctionEnd, FunctionOutput};
use realtime_protocol::id::CallId;
use realtime_protocol::item::FunctionCallItem;
use realtime_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::log::words::State;
use crate::message::Message;

/// What a tool's message says while the function runs.
const IN_PROGRESS: &str = r#"{"status":"in_progress"}"#;
/// What a tool's message says if the session ended first.
const LOST: &str = r#"{"error":"the session ended before the function did"}"#;

/// A function that the model called, and what became of it.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct Function {
    /// The call's id.
    pub call_id: CallId,
    /// Its ids in earlier conversations, in which the model had made it before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<CallId>,
    /// The function. Empty if only the output is known.
    pub name: String,
    /// The arguments: JSON as text. Empty while they are not complete.
    pub arguments: String,
    /// What the model was told, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How it ended. `None`: it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Ending>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<UnixTime>,
    /// The time between the call and its end. `None`: it runs, or the times are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
}

/// How a function ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// An output is known, and not how it came about: the server told it.
    Answered,
    /// It returned a result.
    Result,
    /// It failed.
    Error,
    /// It was cancelled.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// There is no such function.
    Unknown,
    /// The arguments were not readable, so it did not run.
    BadArguments,
    /// Its response did not complete, so it did not run.
    NotCompleted,
    /// The connection ended first. It may run on, and the model may call it again.
    Detached,
    /// The session ended first.
    Closed,
}

impl Ending {
    /// Returns whether the model was told.
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::Detached | Self::Closed)
    }
}

impl Function {
    pub(crate) const fn state(&self) -> State {
        match (self.end, &self.output) {
            (Some(Ending::Detached | Ending::Closed), None) => State::Failed,
            (Some(_), _) | (None, Some(_)) => State::Final,
            (None, None) => State::Pending,
        }
    }

    /// The session ends. Returns whether it ran until then.
    pub(crate) fn close(&mut self) -> bool {
        let runs = self.state() == State::Pending;
        if runs {
            self.end = Some(Ending::Closed);
        }
        runs
    }

    /// Returns whether nobody was told how it ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.state() == State::Failed
    }

    /// What a tool's message says.
    pub(crate) fn output_text(&self) -> &str {
        match &self.output {
            Some(output) => output,
            None if self.is_lost() => LOST,
            None => IN_PROGRESS,
        }
    }

    /// The assistant's message and the tool's. Only the tool's if the call is not known.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let call_id = self.call_id.as_str();
        let output = Message::tool(call_id, self.output_text());
        if self.name.is_empty() && self.arguments.is_empty() {
            return vec![output];
        }
        vec![Message::tool_call(call_id, self.name.clone(), self.arguments.clone()), output]
    }

    /// Returns whether this is the call with that id, here or in an earlier conversation.
    pub(crate) fn is_call(&self, call_id: &CallId) -> bool {
        self.call_id == *call_id || self.earlier.contains(call_id)
    }

    /// Returns whether it is the same call: the same function, and arguments that are equal as JSON.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        let value = |function: &Self| serde_json::from_str::<serde_json::Value>(&function.arguments).ok();
        self.name == other.name
            && (self.arguments == other.arguments || value(self).is_some_and(|own| Some(own) == value(other)))
    }

    /// Takes over the members of the item. Its arguments are empty until they are complete.
    pub(crate) fn merge(&mut self, item: &FunctionCallItem) {
        if let Some(call_id) = item.call_id.value() {
            self.call_id = call_id.clone();
        }
        for (from, to) in [(&item.name, &mut self.name), (&item.arguments, &mut self.arguments)] {
            if let Some(text) = from.value().filter(|text| !text.is_empty()) {
                to.clone_from(text);
            }
        }
    }

    /// Takes over what the model asked for.
    pub(crate) fn called(&mut self, call: &FunctionCall) {
        if !self.earlier.contains(&call.call_id) {
            self.call_id = call.call_id.clone();
        }
        self.name.clone_from(&call.name);
        self.arguments.clone_from(&call.arguments);
    }

    /// Its output is known.
    pub(crate) fn answered(&mut self, text: String) {
        self.output = Some(text);
        if self.end.is_none_or(|end| !end.is_answered()) {
            self.end = Some(Ending::Answered);
        }
    }

    /// It has ended, as this side knows. `began`: when it was called.
    pub(crate) fn ended(&mut self, end: &FunctionEnd, began: Option<UnixTime>, wall: Option<UnixTime>) {
        let (ending, told) = match end {
            FunctionEnd::Result(value) => {
                (Ending::Result, Some(FunctionOutput::Result(value.clone()).to_wire()))
            }
            FunctionEnd::Error(text) => (Ending::Error, Some(FunctionOutput::Error(text.clone()).to_wire())),
            FunctionEnd::Cancelled => (Ending::Cancelled, Some(FunctionOutput::Cancelled.to_wire())),
            FunctionEnd::TimedOut => (Ending::TimedOut, Some(FunctionOutput::TimedOut.to_wire())),
            FunctionEnd::Unknown => (Ending::Unknown, Some(FunctionOutput::Unknown.to_wire())),
            FunctionEnd::BadArguments(text) => {
                (Ending::BadArguments, Some(FunctionOutput::Error(text.clone()).to_wire()))
            }
            FunctionEnd::NotCompleted => (Ending::NotCompleted, None),
            FunctionEnd::Detached => (Ending::Detached, None),
            FunctionEnd::Closed => (Ending::Closed, None),
            _ => (Ending::Answered, None),
        };
        if !ending.is_answered() && self.output.is_some() {
            return; // the model knows how it ended
        }
        self.end = Some(ending);
        // The item that was sent says it exactly.
        self.output = self.output.take().or(told);
        self.ended_at = wall;
        self.duration = began
            .zip(wall)
            .map(|(began, wall)| Duration::from_micros(wall.as_micros().saturating_sub(began.as_micros())));
    }
}

/// Shows no content.
impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("call_id", &self.call_id)
            .field("name", &self.name)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
