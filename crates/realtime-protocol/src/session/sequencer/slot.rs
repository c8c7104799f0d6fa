//! The conversation's one place for a response, and the one table of its transitions.
//!
//! | | `Sent` | `Crossed` | `Began` | `Ended` | `Ended`, another | `Refused` | `Occupied` | `Overdue` |
//! |---|---|---|---|---|---|---|---|---|
//! | `Free` | `Requested` |  | `Running` |  |  |  | `Occupied` |  |
//! | `Requested` | gives it back | `Crossed` | `Running`, gives it back |  |  | `Free`, gives it back |  | `Late`, gives it back |
//! | `Crossed` | gives it back |  | `Running`, gives it back |  |  | `Free`, gives it back |  | `Late`, gives it back |
//! | `Late` | gives it back |  | `Running` |  |  |  |  | `Free` |
//! | `Running` | gives it back |  | `Running` | `Free` |  |  |  |  |
//! | `Occupied` | gives it back |  | `Running` |  |  |  |  | `Free` |
//!
//! An empty cell changes nothing. "It" is the request.

use core::time::Duration;

use crate::id::{EventId, ResponseId};
use crate::session::sequencer::request::{Request, Sent};
use crate::time::Timestamp;

/// The conversation's one place for a response.
#[derive(Debug, Default)]
pub(super) enum Slot {
    /// Nothing runs.
    #[default]
    Free,
    /// `response.create` was sent and not answered.
    Requested(Sent),
    /// The same, but the user has spoken since: its response is cancelled when it begins, and not heard.
    Crossed(Sent),
    /// `response.create` was not answered in time, and nothing waits for it any more. If its response comes
    /// after all, it is cancelled.
    Late {
        /// When it counts as never coming.
        until: Timestamp,
        /// Whether no command waited for it, so that the response is still owed.
        owed: bool,
    },
    /// A response runs.
    Running(ResponseId),
    /// The server says that a response runs, but this side does not know it.
    Occupied {
        /// When to try again in any case.
        until: Timestamp,
    },
}

/// What happens to the place.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A request goes out.
    Sent(Sent),
    /// The user speaks.
    Crossed,
    /// A response of the conversation begins.
    Began(&'a ResponseId),
    /// A response ends, or counts as ended.
    Ended(&'a ResponseId),
    /// The server refuses a request.
    Refused(&'a EventId),
    /// The server says that a response runs.
    Occupied {
        /// When to try again in any case.
        until: Timestamp,
    },
    /// Time passes.
    Overdue {
        now: Timestamp,
        /// How long the answer to a request may still come.
        patience: Duration,
    },
}

impl Slot {
    /// Takes a step. Returns the request that no longer waits for its answer here. Nothing else changes the
    /// place.
    pub(super) fn step(&mut self, step: Step<'_>) -> Option<Sent> {
        let (next, given_back) = match (core::mem::take(self), step) {
            (Self::Free, Step::Sent(sent)) => (Self::Requested(sent), None),
            (same, Step::Sent(sent)) => (same, Some(sent)),
            (Self::Requested(sent), Step::Crossed) => {
                let request = Request { crossed: true, ..sent.request };
                (Self::Crossed(Sent { request, ..sent }), None)
            }
            (Self::Requested(sent) | Self::Crossed(sent), Step::Began(id)) => {
                (Self::Running(id.clone()), Some(sent))
            }
            (_, Step::Began(id)) => (Self::Running(id.clone()), None),
            (Self::Running(running), Step::Ended(id)) if running == *id => (Self::Free, None),
            (Self::Requested(sent) | Self::Crossed(sent), Step::Refused(event_id))
                if sent.event_id == *event_id =>
            {
                (Self::Free, Some(sent))
            }
            (Self::Free, Step::Occupied { until }) => (Self::Occupied { until }, None),
            (Self::Requested(sent) | Self::Crossed(sent), Step::Overdue { now, patience })
                if sent.deadline <= now =>
            {
                let owed = sent.request.waiters.is_empty() && sent.request.is_wanted();
                (Self::Late { until: now + patience, owed }, Some(sent))
            }
            (Self::Late { until, .. } | Self::Occupied { until }, Step::Overdue { now, .. })
                if until <= now =>
            {
                (Self::Free, None)
            }
            (same, _) => (same, None),
        };
        *self = next;
        given_back
    }

    /// The response that runs.
    pub(super) const fn running(&self) -> Option<&ResponseId> {
        match self {
            Self::Running(id) => Some(id),
            Self::Free
            | Self::Requested(_)
            | Self::Crossed(_)
            | Self::Late { .. }
            | Self::Occupied { .. } => None,
        }
    }

    /// The request that the server has not answered.
    pub(super) const fn requested(&self) -> Option<&Sent> {
        match self {
            Self::Requested(sent) | Self::Crossed(sent) => Some(sent),
            Self::Free | Self::Running(_) | Self::Late { .. } | Self::Occupied { .. } => None,
        }
    }

    /// When something here is due.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Requested(sent) | Self::Crossed(sent) => Some(sent.deadline),
            Self::Late { until, .. } | Self::Occupied { until } => Some(*until),
            Self::Free | Self::Running(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::session::sequencer::table;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn sent() -> Sent {
        Sent { event_id: "evt".into(), request: Request::default(), deadline: at(10) }
    }

    const STATES: [&str; 6] = ["Free", "Requested", "Crossed", "Late", "Running", "Occupied"];

    fn state(name: &str) -> Slot {
        match name {
            "Free" => Slot::Free,
            "Requested" => Slot::Requested(sent()),
            "Crossed" => Slot::Crossed(sent()),
            "Late" => Slot::Late { until: at(10), owed: false },
            "Running" => Slot::Running("r1".into()),
            _ => Slot::Occupied { until: at(10) },
        }
    }

    fn name(slot: &Slot) -> &'static str {
        match slot {
            Slot::Free => "Free",
            Slot::Requested(_) => "Requested",
            Slot::Crossed(_) => "Crossed",
            Slot::Late { .. } => "Late",
            Slot::Running(_) => "Running",
            Slot::Occupied { .. } => "Occupied",
        }
    }

    fn cell(from: &str, step: Step<'_>) -> String {
        let began = matches!(step, Step::Began(_));
        let mut slot = state(from);
        let given_back = slot.step(step).map(|_| "gives it back");
        let to = name(&slot);
        let moved = (to != from || began).then(|| format!("`{to}`"));
        table::cell(moved, given_back)
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_place_does() {
        let columns = [
            "`Sent`",
            "`Crossed`",
            "`Began`",
            "`Ended`",
            "`Ended`, another",
            "`Refused`",
            "`Occupied`",
            "`Overdue`",
        ];
        table::check(include_str!("slot.rs"), &columns, &STATES, |from| {
            let (evt, r1, r2) = ("evt".into(), "r1".into(), "r2".into());
            [
                Step::Sent(sent()),
                Step::Crossed,
                Step::Began(&r2),
                Step::Ended(&r1),
                Step::Ended(&r2),
                Step::Refused(&evt),
                Step::Occupied { until: at(20) },
                Step::Overdue { now: at(10), patience: Duration::from_secs(5) },
            ]
            .map(|step| cell(from, step))
            .into()
        });
    }

    #[test]
    fn nothing_is_overdue_before_its_deadline() {
        for from in STATES {
            let mut slot = state(from);
            assert!(slot.step(Step::Overdue { now: at(9), patience: Duration::ZERO }).is_none());
            assert_eq!(name(&slot), from);
        }
    }

    #[test]
    fn a_refusal_of_another_request_is_not_for_this_one() {
        let mut slot = state("Requested");
        assert!(slot.step(Step::Refused(&"other".into())).is_none());
        assert_eq!(name(&slot), "Requested");
    }
}
