//! What is to go out: one queue, oldest first.

use std::collections::VecDeque;

use realtime_protocol::event::{Dialect, ErrorEvent, ServerEvent};
use realtime_protocol::field::Field;
use realtime_protocol::id::EventId;

use crate::connection::fault::Fault;
use crate::connection::ids::Ids;
use crate::connection::spelling;
use crate::disaster::Disaster;
use crate::profile::Table;

/// What a [`Connection`](crate::Connection) wants done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Send this event.
    Send(Box<ServerEvent>),
    /// The brain wants a disaster from here on. Without a [`Line`](crate::disaster::Line), ignore it.
    Disaster(Box<Disaster>),
    /// Close the WebSocket. Nothing follows.
    Close {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
}

/// The queue, and the ids of what goes into it.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) ids: Ids,
    dialect: Dialect,
    profile: &'static Table,
    queue: VecDeque<Output>,
}

impl Outbox {
    pub(crate) const fn new(ids: Ids, dialect: Dialect, profile: &'static Table) -> Self {
        Self { ids, dialect, profile, queue: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, event: impl Into<ServerEvent>) {
        let mut event = event.into();
        spelling::adapt(&mut event, self.dialect);
        if event.is_sent_in(self.dialect)
            && let Some(event) = self.profile.sent(event)
        {
            self.queue.push_back(Output::Send(Box::new(event)));
        }
    }

    /// The id of the next event.
    pub(crate) fn event_id(&mut self) -> Field<EventId> {
        let id = self.ids.event();
        if self.profile.has_ids { id.into() } else { Field::Absent }
    }

    pub(crate) fn disaster(&mut self, disaster: Disaster) {
        self.queue.push_back(Output::Disaster(Box::new(disaster)));
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.queue.push_back(Output::Close { code, reason: reason.into() });
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// Refuses a client event.
    pub(crate) fn refuse(&mut self, fault: Fault, event_id: Option<EventId>) {
        let fault = fault.spelled(self.dialect);
        send!(self, ErrorEvent { error: fault.into_error(event_id) });
    }
}

/// Sends an event with a new id. Other members are converted into their fields; `null` is `Field::Null`.
macro_rules! send {
    ($out:expr, $event:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let out = &mut *$out;
        let event = $event { event_id: out.event_id(), $($field: $value.into(),)* ..$event::default() };
        out.push(event);
    }};
}
pub(crate) use send;
