//! The conversation as a person reads it: who said what, what was heard of it, and what is still open.

use std::fmt;

use realtime_protocol::id::ItemId;
use serde::Serialize;

use crate::context::Context;
use crate::entry::{Body, Entry, INAUDIBLE, State};
use crate::message::Role;

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
    /// The item that holds it, if there is one.
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

impl Context {
    /// The conversation as a person reads it.
    pub fn transcript(&self) -> Transcript {
        Transcript { lines: self.entries.iter().filter_map(line).collect() }
    }

    /// What an item says, such as one that a [`Change`](crate::Change) names.
    pub fn line(&self, item_id: &ItemId) -> Option<Line> {
        line(&self.entries[self.find(item_id)?])
    }
}

fn line(entry: &Entry) -> Option<Line> {
    let line = Line {
        item_id: entry.id.clone(),
        role: Role::Tool,
        text: String::new(),
        spoken: false,
        state: State::Final,
        generated: None,
        call: None,
    };
    Some(match &entry.body {
        Body::Message(message) => {
            let call = message.calls().first().map(|call| CallLine {
                name: call.function.name.clone(),
                arguments: call.function.arguments.clone(),
            });
            Line { role: message.role.clone(), text: message.text(), call, ..line }
        }
        Body::Words(words) => Line {
            role: words.role.clone(),
            text: words.text(),
            spoken: words.parts.iter().any(|part| part.spoken),
            state: words.state(),
            generated: words.generated(),
            ..line
        },
        Body::Call(call) => Line {
            text: call.output.clone().unwrap_or_default(),
            state: call.state,
            call: Some(CallLine { name: call.name.clone(), arguments: call.arguments.clone() }),
            ..line
        },
        Body::Output(output) if !output.paired => Line { text: output.text.clone(), ..line },
        Body::Output(_) | Body::Silent => return None,
    })
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
