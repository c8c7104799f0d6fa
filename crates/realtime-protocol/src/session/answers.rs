//! Commands that wait for the server's acknowledgement. An acknowledgement names the object and not the
//! request; only an `error` names the request.
//!
//! Besides its acknowledgement, each waiting command can also end by an error that names it, by its deadline,
//! or when the server says that the object is gone ([`Answers::take_before`]). All are found without a
//! search.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::call::CommandId;
use crate::id::{EventId, ItemId, ResponseId};
use crate::session::deadlines::Answer;
use crate::time::Timestamp;

/// The most answers that the session awaits for events it sent by itself. Beyond that the oldest is dropped,
/// whatever the server sends.
const MOST_OWN: usize = 128;

/// Acknowledgements that are due.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// By the number of the event sent, so that the oldest is first.
    awaited: BTreeMap<u64, Awaited>,
    by_what: BTreeSet<(Await, u64)>,
    by_kind: BTreeSet<(Answer, u64)>,
    by_event: BTreeMap<EventId, u64>,
    by_deadline: BTreeSet<(Timestamp, u64)>,
    /// Those that no command waits for.
    own: BTreeSet<u64>,
}

#[derive(Debug)]
pub(super) struct Awaited {
    /// The command; `None` for what the session sent by itself.
    pub(super) id: Option<CommandId>,
    pub(super) event_id: EventId,
    /// The number of the event sent.
    pub(super) number: u64,
    pub(super) what: Await,
    pub(super) deadline: Timestamp,
}

/// What an acknowledgement is recognised by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
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
    /// The response's `done`. `None`: of the response in the conversation, which was not created yet.
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

    /// The item that it is about.
    pub(super) const fn item_id(&self) -> Option<&ItemId> {
        match self {
            Self::Added(item_id) | Self::Deleted(item_id) | Self::Truncated(item_id) => Some(item_id),
            Self::Updated | Self::Committed | Self::Cleared | Self::Cancelled(_) => None,
        }
    }
}

impl Answers {
    pub(super) fn expect(&mut self, awaited: Awaited) {
        let number = awaited.number;
        self.by_what.insert((awaited.what.clone(), number));
        self.by_kind.insert((awaited.what.answer(), number));
        self.by_event.insert(awaited.event_id.clone(), number);
        self.by_deadline.insert((awaited.deadline, number));
        if awaited.id.is_none() {
            self.own.insert(number);
        }
        self.awaited.insert(number, awaited);
        if self.own.len() > MOST_OWN
            && let Some(oldest) = self.own.first().copied()
        {
            self.remove(oldest);
        }
    }

    /// The oldest that waits for this.
    pub(super) fn take(&mut self, what: &Await) -> Option<Awaited> {
        let number = self.number_of(what)?;
        self.remove(number)
    }

    /// The oldest that waits for this and was sent before another event.
    pub(super) fn take_before(&mut self, what: &Await, number: u64) -> Option<Awaited> {
        let first = self.number_of(what).filter(|first| *first < number)?;
        self.remove(first)
    }

    /// Returns whether someone waits for this.
    pub(super) fn is_awaited(&self, what: &Await) -> bool {
        self.number_of(what).is_some()
    }

    /// What the oldest of a kind waits for.
    pub(super) fn oldest(&self, kind: Answer) -> Option<&Awaited> {
        let (_, number) = self.by_kind.range((kind, 0)..=(kind, u64::MAX)).next()?;
        self.awaited.get(number)
    }

    /// The first event sent whose item has no place in the conversation yet.
    pub(super) fn first_unplaced(&self) -> Option<u64> {
        self.oldest(Answer::ItemAdded).map(|awaited| awaited.number)
    }

    /// The one that an error names.
    pub(super) fn take_failed(&mut self, event_id: &EventId) -> Option<Awaited> {
        let number = self.by_event.get(event_id).copied()?;
        self.remove(number)
    }

    /// When the first one is overdue. Nearly always none is awaited.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        if self.by_deadline.is_empty() { None } else { self.first_deadline() }
    }

    #[cold]
    fn first_deadline(&self) -> Option<Timestamp> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out those that have waited too long, oldest first.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Awaited> {
        let overdue = self.by_deadline.range(..=(now, u64::MAX));
        let mut overdue: Vec<u64> = overdue.map(|(_, number)| *number).collect();
        overdue.sort_unstable();
        overdue.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// All of them, at the end.
    pub(super) fn end(&mut self) -> Vec<Awaited> {
        core::mem::take(self).awaited.into_values().collect()
    }

    fn number_of(&self, what: &Await) -> Option<u64> {
        let range = (what.clone(), 0)..=(what.clone(), u64::MAX);
        self.by_what.range(range).next().map(|(_, number)| *number)
    }

    fn remove(&mut self, number: u64) -> Option<Awaited> {
        let awaited = self.awaited.remove(&number)?;
        self.by_what.remove(&(awaited.what.clone(), number));
        self.by_kind.remove(&(awaited.what.answer(), number));
        self.by_event.remove(&awaited.event_id);
        self.by_deadline.remove(&(awaited.deadline, number));
        self.own.remove(&number);
        if self.awaited.is_empty() {
            *self = Self::default(); // a session at rest holds no empty tables
        }
        Some(awaited)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn awaited(number: u64, what: Await, id: Option<CommandId>) -> Awaited {
        let event_id = format!("evt_{number}").as_str().into();
        Awaited { id, event_id, number, what, deadline: Timestamp::from_millis(number) }
    }

    #[test]
    fn of_two_that_wait_for_the_same_the_older_is_answered_first() {
        let mut answers = Answers::default();
        for number in [1, 2, 3] {
            answers.expect(awaited(number, Await::Committed, Some(CommandId(number))));
        }
        assert_eq!(answers.take(&Await::Committed).map(|awaited| awaited.number), Some(1));
        assert_eq!(answers.take_before(&Await::Committed, 3).map(|awaited| awaited.number), Some(2));
        assert!(answers.take_before(&Await::Committed, 3).is_none());
        assert_eq!(answers.expire(Timestamp::from_millis(3)).len(), 1);
        assert_eq!(answers.deadline(), None);
    }

    #[test]
    fn what_nobody_waits_for_is_bounded_and_what_a_command_waits_for_is_kept() {
        let mut answers = Answers::default();
        answers.expect(awaited(1, Await::Cleared, Some(CommandId(1))));
        for number in 2..8000 {
            answers.expect(awaited(number, Await::Truncated("item".into()), None));
        }
        assert_eq!(answers.awaited.len(), MOST_OWN + 1);
        assert_eq!(answers.by_what.len() + answers.by_event.len(), 2 * (MOST_OWN + 1));
        assert!(answers.is_awaited(&Await::Cleared));
    }
}
