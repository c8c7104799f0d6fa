//! One entry of a log: who said what and when, or what was called and what came of it.
//!
//! The rule kept here: an entry's id is its own for the life of the log, whatever conversation on a server it
//! is part of. Its revision grows when the application changes what it says.

use realtime_protocol::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::log::function::Function;
use crate::log::words::{State, Words};
use crate::message::{Message, Role};

/// Identifies an entry of one log. It is never used twice in a log, and it is saved with it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct EntryId(pub(crate) u64);

impl EntryId {
    /// The number: entries of a log are counted from 1.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entry {}", self.0)
    }
}

/// One entry of a [`Log`](crate::Log).
#[derive(Clone, Deserialize, Serialize)]
pub struct Entry {
    pub(crate) id: EntryId,
    /// When it began, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<UnixTime>,
    /// Whether budgets leave it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) pinned: bool,
    /// Whether it stands for earlier entries. A leading one holds no instructions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) summary: bool,
    /// Grows when the application changes the content. A server that has an earlier one has it no more.
    #[serde(default)]
    pub(crate) revision: u32,
    #[serde(flatten)]
    pub(crate) body: Body,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// As the application gave it.
    Message(Message),
    /// What was learnt of a message item.
    Words(Words),
    /// A function that the model called, with its output.
    Function(Function),
}

impl Entry {
    /// Its id.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// The time of day at which it began: the speech was committed, the item was placed or sent, the function
    /// was called. `None`: not known, as in a history.
    pub const fn at(&self) -> Option<UnixTime> {
        self.at
    }

    /// Who said it. [`Role::Tool`] for a function.
    pub const fn role(&self) -> &Role {
        match &self.body {
            Body::Message(message) => &message.role,
            Body::Words(words) => &words.role,
            Body::Function(_) => &Role::Tool,
        }
    }

    /// The name beside the role, as `name` in chat form.
    pub fn name(&self) -> Option<&str> {
        match &self.body {
            Body::Message(message) => message.extra.get("name")?.as_str(),
            Body::Words(_) => None,
            Body::Function(function) => Some(&function.name),
        }
    }

    /// The words. Of the assistant's: those that were heard. Of a function: its output.
    pub fn text(&self) -> String {
        match &self.body {
            Body::Message(message) => message.text(),
            Body::Words(words) => words.text(),
            Body::Function(function) => function.output.clone().unwrap_or_default(),
        }
    }

    /// All words that the assistant generated, if not all of them were heard.
    pub fn generated(&self) -> Option<String> {
        match &self.body {
            Body::Words(words) => words.generated(),
            Body::Message(_) | Body::Function(_) => None,
        }
    }

    /// The languages in which the user spoke (ISO 639-1), as far as the server told.
    pub fn languages(&self) -> &[String] {
        match &self.body {
            Body::Words(words) => &words.languages,
            Body::Message(_) | Body::Function(_) => &[],
        }
    }

    /// Returns whether it was spoken.
    pub fn is_spoken(&self) -> bool {
        match &self.body {
            Body::Words(words) => words.parts.iter().any(|part| part.spoken),
            Body::Message(_) | Body::Function(_) => false,
        }
    }

    /// How complete it is.
    pub fn state(&self) -> State {
        match &self.body {
            Body::Message(_) => State::Final,
            Body::Words(words) => words.state(),
            Body::Function(function) => function.state(),
        }
    }

    /// The function that was called, if the entry is one.
    pub const fn function(&self) -> Option<&Function> {
        match &self.body {
            Body::Function(function) => Some(function),
            Body::Message(_) | Body::Words(_) => None,
        }
    }

    /// Returns whether budgets and pruning leave it alone.
    pub const fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// The entry in chat form: no message if nothing was said, two for a function.
    pub fn messages(&self) -> Vec<Message> {
        match &self.body {
            Body::Message(message) => vec![message.clone()],
            Body::Words(words) => words.message().into_iter().collect(),
            Body::Function(function) => function.messages(),
        }
    }

    /// The text of a message with instructions.
    pub(crate) fn instructions(&self) -> Option<String> {
        match &self.body {
            _ if self.summary => None,
            Body::Message(message) if message.is_instruction() => Some(message.text()),
            Body::Words(words) if words.role == Role::System => Some(words.text()),
            _ => None,
        }
    }

    pub(crate) const fn words_mut(&mut self) -> Option<&mut Words> {
        match &mut self.body {
            Body::Words(words) => Some(words),
            Body::Message(_) | Body::Function(_) => None,
        }
    }

    pub(crate) const fn function_mut(&mut self) -> Option<&mut Function> {
        match &mut self.body {
            Body::Function(function) => Some(function),
            Body::Message(_) | Body::Words(_) => None,
        }
    }
}

/// Shows no content.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("role", self.role())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
