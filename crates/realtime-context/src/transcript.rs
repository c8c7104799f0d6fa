//! The conversation as a person reads it: who said what, what was heard of it, and what is still open.

use std::fmt;

use realtime_protocol::id::ItemId;
use realtime_protocol::time::UnixTime;
use serde::Serialize;

use crate::log::{Body, Entry, EntryId, INAUDIBLE, Log, State};
use crate::message::Role;
use crate::mirror::Mirror;

/// The conversation, line by line. As JSON it is a list of lines; printed, one line of text each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Transcript {
    /// The lines, in order.
    pub lines: Vec<Line>,
}

/// What one party said, or a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The entry.
    pub entry: EntryId,
    /// The item that holds it in the server's conversation, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<ItemId>,
    /// Who.
    pub role: Role,
    /// The words. For the assistant: those that were heard. In a call's line: what the tool returned.
    pub text: String,
    /// Whether they were spoken.
    pub spoken: bool,
    /// The state of the words.
    pub state: State,
    /// When it began, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixTime>,
    /// All words that the assistant generated, if not all were heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// The call, in a tool's line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallLine>,
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallLine {
    /// The tool.
    pub name: String,
    /// The arguments: JSON as text.
    pub arguments: String,
}

impl Transcript {
    pub(crate) fn of(log: &Log, mirror: &Mirror) -> Self {
        Self { lines: log.entries().iter().map(|entry| Line::of(entry, mirror)).collect() }
    }
}

impl Line {
    pub(crate) fn of(entry: &Entry, mirror: &Mirror) -> Self {
        let call = match &entry.body {
            Body::Message(message) => message.calls().first().map(|call| CallLine {
                name: call.name().to_owned(),
                arguments: call.arguments().into_owned(),
            }),
            Body::Function(function) => {
                Some(CallLine { name: function.name.clone(), arguments: function.arguments.clone() })
            }
            Body::Words(_) => None,
        };
        Self {
            entry: entry.id(),
            item_id: mirror.lead(entry.id()).map(|held| held.id.clone()),
            role: entry.role().clone(),
            text: entry.text(),
            spoken: entry.is_spoken(),
            state: entry.state(),
            at: entry.at(),
            generated: entry.generated(),
            call: call.filter(|call| !call.name.is_empty()),
        }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.role.as_str())?;
        if let Some(call) = &self.call {
            write!(f, " {}({})", call.name, call.arguments)?;
            if !self.text.is_empty() {
                f.write_str(" ->")?;
            }
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        match self.state {
            State::Pending => f.write_str(" …"),
            State::Final => Ok(()),
            State::Truncated => {
                let generated = self.generated.as_deref().unwrap_or_default();
                let unheard = generated.strip_prefix(self.text.as_str()).unwrap_or(generated);
                write!(f, " [interrupted; unheard: {}]", unheard.trim())
            }
            State::Failed if self.call.is_some() => f.write_str(" [never answered]"),
            State::Failed => write!(f, " {INAUDIBLE}"),
        }
    }
}
