//! Commands that wait for the server's acknowledgement, which names the thing and not the request; only an
//! `error` names the request.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::call::CommandId;
use crate::id::{EventId, ItemId, ResponseId};
use crate::session::deadlines::Answer;
use crate::time::Timestamp;

/// Acknowledgements that are due, oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    awaited: VecDeque<Awaited>,
}

#[derive(Debug)]
pub(super) struct Awaited {
    /// The command; `None` for what the session sent by itself.
    pub(super) id: Option<CommandId>,
    pub(super) event_id: EventId,
    /// The event's place among those that were sent.
    pub(super) number: u64,
    pub(super) what: Await,
    pub(super) deadline: Timestamp,
}

/// What an acknowledgement is recognised by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Await {
    /// `session.updated`.
    Updated,
    /// `input_audio_buffer.committed`.
    Committed,
    /// `input_audio_buffer.cleared`.
    Cleared,
    /// The item's `added` or `created`.
    Added(ItemId),
    /// The item's `deleted`.
    Deleted(ItemId),
    /// The item's `truncated`.
    Truncated(ItemId),
    /// The response's `done`; of the conversation's where it was not created yet.
    Cancelled(Option<ResponseId>),
}

impl Await {
    /// The kind of answer.
    pub(super) const fn answer(&self) -> Answer {
        match self {
            Self::Updated => Answer::SessionUpdated,
            Self::Committed => Answer::Committed,
            Self::Cleared => Answer::Cleared,
            Self::Added(_) => Answer::ItemAdded,
            Self::Deleted(_) => Answer::ItemDeleted,
            Self::Truncated(_) => Answer::ItemTruncated,
            Self::Cancelled(_) => Answer::ResponseDone,
        }
    }
}

impl Answers {
    pub(super) fn expect(&mut self, awaited: Awaited) {
        self.awaited.push_back(awaited);
    }

    /// The oldest that waits for this.
    pub(super) fn take(&mut self, what: &Await) -> Option<Awaited> {
        let index = self.awaited.iter().position(|awaited| awaited.what == *what)?;
        self.awaited.remove(index)
    }

    /// Whether someone waits for this.
    pub(super) fn is_awaited(&self, what: &Await) -> bool {
        self.awaited.iter().any(|awaited| awaited.what == *what)
    }

    /// The first event sent that created an item which has no place in the conversation yet.
    pub(super) fn first_unplaced(&self) -> Option<u64> {
        let unplaced = |awaited: &&Awaited| matches!(awaited.what, Await::Added(_));
        self.awaited.iter().find(unplaced).map(|awaited| awaited.number)
    }

    /// The one that an error names.
    pub(super) fn take_failed(&mut self, event_id: &EventId) -> Option<Awaited> {
        let index = self.awaited.iter().position(|awaited| awaited.event_id == *event_id)?;
        self.awaited.remove(index)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.awaited.iter().map(|awaited| awaited.deadline).min()
    }

    /// Takes out those that have waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Awaited> {
        let (overdue, awaited) = self.end().into_iter().partition(|awaited| awaited.deadline <= now);
        let awaited: Vec<Awaited> = awaited;
        self.awaited = awaited.into();
        overdue
    }

    /// All of them, at the end.
    pub(super) fn end(&mut self) -> Vec<Awaited> {
        core::mem::take(&mut self.awaited).into()
    }
}
