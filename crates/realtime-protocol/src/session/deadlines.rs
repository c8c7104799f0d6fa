//! Answers that are due from the server: how long each may take, and what follows when it does not come.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// An answer that is due from the server after something that this side or the user did.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// `input_audio_buffer.committed` to a commit.
    Committed,
    /// `input_audio_buffer.cleared` to a clear.
    Cleared,
    /// `response.created` to a `response.create`.
    ResponseCreated,
    /// The first word, sound or item of a response that runs.
    FirstOutput,
    /// The next output of a response that runs, after its first, up to its `response.done`.
    NextOutput,
    /// `response.done` to a cancel.
    ResponseDone,
    /// `session.updated` to a `session.update`.
    SessionUpdated,
    /// `conversation.item.added` to an item.
    ItemAdded,
    /// `conversation.item.deleted` to a deletion.
    ItemDeleted,
    /// `conversation.item.truncated` to a truncation.
    ItemTruncated,
    /// `conversation.item.retrieved` to a retrieval.
    ItemRetrieved,
}

/// What follows when an answer does not come in time.
///
/// The command that waits for the answer ends in any case, with
/// [`Outcome::TimedOut`](crate::call::Outcome::TimedOut). For the output of a response
/// ([`Answer::FirstOutput`], [`Answer::NextOutput`]) this takes two steps:
///
/// 1. The output is overdue: the policy applies.
/// 2. [`Deadlines::response_done`] later, the commands that asked for the response end with `TimedOut`,
///    unless the response has gone on meanwhile, or another session has taken over. Output that comes even
///    later is still passed on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OverduePolicy {
    /// [`Event::Overdue`](crate::call::Event::Overdue) says so.
    #[default]
    Report,
    /// The same event, and it asks for a new session if this server has sent such an answer before. A server
    /// that never sends it is not frozen: it does not support the answer.
    Rotate,
    /// Nothing.
    Off,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deadline {
    /// How long.
    pub after: Duration,
    /// What follows.
    pub policy: OverduePolicy,
}

impl Deadline {
    const fn report(secs: u64) -> Self {
        Self { after: Duration::from_secs(secs), policy: OverduePolicy::Report }
    }

    const fn rotate(secs: u64) -> Self {
        Self { after: Duration::from_secs(secs), policy: OverduePolicy::Rotate }
    }
}

/// How long each answer may take.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Deadlines {
    /// For [`Answer::Committed`]. Default: 10 s, rotate.
    pub committed: Deadline,
    /// For [`Answer::Cleared`]. Default: 10 s, report.
    pub cleared: Deadline,
    /// For [`Answer::ResponseCreated`]. Default: 10 s, rotate.
    pub response_created: Deadline,
    /// For [`Answer::FirstOutput`]. Default: 30 s, rotate: a model may think.
    pub first_output: Deadline,
    /// For [`Answer::NextOutput`]. Default: 30 s, rotate; ten times as long while the server itself
    /// calls an MCP tool.
    pub next_output: Deadline,
    /// For [`Answer::ResponseDone`]. Default: 10 s, rotate.
    pub response_done: Deadline,
    /// For [`Answer::SessionUpdated`]. Default: 10 s, report.
    pub session_updated: Deadline,
    /// For [`Answer::ItemAdded`]. Default: 10 s, rotate.
    pub item_added: Deadline,
    /// For [`Answer::ItemDeleted`]. Default: 10 s, report.
    pub item_deleted: Deadline,
    /// For [`Answer::ItemTruncated`]. Default: 10 s, report.
    pub item_truncated: Deadline,
    /// For [`Answer::ItemRetrieved`]. Default: 10 s, report.
    pub item_retrieved: Deadline,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            committed: Deadline::rotate(10),
            cleared: Deadline::report(10),
            response_created: Deadline::rotate(10),
            first_output: Deadline::rotate(30),
            next_output: Deadline::rotate(30),
            response_done: Deadline::rotate(10),
            session_updated: Deadline::report(10),
            item_added: Deadline::rotate(10),
            item_deleted: Deadline::report(10),
            item_truncated: Deadline::report(10),
            item_retrieved: Deadline::report(10),
        }
    }
}

impl Deadlines {
    /// All deadlines the same.
    pub const fn all(deadline: Deadline) -> Self {
        Self {
            committed: deadline,
            cleared: deadline,
            response_created: deadline,
            first_output: deadline,
            next_output: deadline,
            response_done: deadline,
            session_updated: deadline,
            item_added: deadline,
            item_deleted: deadline,
            item_truncated: deadline,
            item_retrieved: deadline,
        }
    }

    /// The deadline of an answer.
    pub const fn of(&self, answer: Answer) -> Deadline {
        match answer {
            Answer::Committed => self.committed,
            Answer::Cleared => self.cleared,
            Answer::ResponseCreated => self.response_created,
            Answer::FirstOutput => self.first_output,
            Answer::NextOutput => self.next_output,
            Answer::ResponseDone => self.response_done,
            Answer::SessionUpdated => self.session_updated,
            Answer::ItemAdded => self.item_added,
            Answer::ItemDeleted => self.item_deleted,
            Answer::ItemTruncated => self.item_truncated,
            Answer::ItemRetrieved => self.item_retrieved,
        }
    }
}

/// Answers that this server has sent at least once, as a bit set.
#[derive(Debug, Default)]
pub(super) struct Seen(u16);

impl Seen {
    pub(super) const fn note(&mut self, answer: Answer) {
        self.0 |= 1 << answer as u16;
    }

    /// Returns whether an overdue answer asks for a new session.
    pub(super) fn asks_for_rotation(&self, answer: Answer, policy: OverduePolicy) -> bool {
        policy == OverduePolicy::Rotate && self.0 & (1 << answer as u16) != 0
    }
}
