//! The sequencer: at most one response is asked for in the conversation, and every request gets the outcome
//! of the response that served it.
//!
//! Requests without parameters merge while they wait: before the session is ready, while a response runs,
//! while the user speaks, and while the server's own response to the user's turn is due.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::{CallId, EventId, ResponseId};
use crate::response::ResponseParams;
use crate::session::command::CommandId;
use crate::session::output::{Origin, Timeline};
use crate::time::Timestamp;

/// Requests that wait and responses that run.
#[derive(Debug, Default)]
pub(super) struct Responses {
    pub(super) slot: Slot,
    pub(super) turn: Turn,
    waiting: VecDeque<Request>,
    /// Requests beside the conversation that were sent and not created yet, in order.
    beside: VecDeque<(EventId, Request)>,
    open: Vec<OpenResponse>,
    /// The last ones that ended, so that a late event does not open them again.
    finished: VecDeque<ResponseId>,
}

/// Ended responses that are remembered.
const REMEMBERED: usize = 16;

/// The conversation's one place for a response.
#[derive(Debug, Default)]
pub(super) enum Slot {
    /// Nothing runs.
    #[default]
    Free,
    /// `response.create` was sent and not answered.
    Requested {
        event_id: EventId,
        request: Request,
        /// When it counts as unanswered.
        deadline: Timestamp,
    },
    /// `response.create` was not answered in time, and nobody waits for it any more. Should its response come
    /// after all, it is cancelled.
    Late {
        /// When it counts as never coming.
        until: Timestamp,
    },
    /// A response runs.
    Running(ResponseId),
    /// The server says that a response runs that this side does not know.
    Occupied {
        /// When to try again in any case.
        until: Timestamp,
    },
}

/// Whose turn it is to speak, as far as it holds back requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    /// Nobody's.
    #[default]
    Open,
    /// The user speaks.
    Speaking,
    /// The user has spoken, and the server will respond by itself.
    Expecting {
        /// When the user stopped.
        stopped: Timestamp,
        /// When it counts as not coming.
        until: Timestamp,
    },
}

/// One `response.create`, sent or to be sent.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) params: Option<Box<ResponseParams>>,
    pub(super) waiters: Vec<CommandId>,
    /// When it was sent.
    pub(super) sent: Option<Timestamp>,
    /// Whether it was made after the user's turn, so that the server's own response cannot serve it.
    late: bool,
}

impl Request {
    /// Whether it runs beside the conversation.
    pub(super) fn is_beside(&self) -> bool {
        use crate::response::ResponseConversation;
        self.params
            .as_ref()
            .is_some_and(|params| params.conversation.value() == Some(&ResponseConversation::None))
    }
}

/// A response that runs.
#[derive(Debug)]
pub(super) struct OpenResponse {
    pub(super) id: ResponseId,
    pub(super) origin: Origin,
    pub(super) out_of_band: bool,
    /// Nothing more of it is passed on.
    pub(super) interrupted: bool,
    /// When its first output counts as overdue; `None` once there was some.
    pub(super) output_due: Option<Timestamp>,
    /// Whether it said or wrote anything.
    pub(super) spoke: bool,
    /// Audio that came (bytes).
    pub(super) audio_bytes: u64,
    pub(super) waiters: Vec<CommandId>,
    pub(super) timeline: Timeline,
    /// Calls seen in its items, for servers whose `response.done` does not list them.
    pub(super) calls: Vec<SeenCall>,
    pub(super) dropped_bytes: u64,
}

/// What was overdue.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// The waiters of a request that was not answered.
    pub(super) unanswered: Option<Vec<CommandId>>,
    /// Whether a response runs and gives nothing.
    pub(super) silent: bool,
}

/// A function call item that is whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeenCall {
    pub(super) call_id: CallId,
    pub(super) item: crate::item::FunctionCallItem,
}

impl Responses {
    /// Takes in a request. One without parameters merges with one that waits.
    pub(super) fn request(&mut self, params: Option<Box<ResponseParams>>, waiter: Option<CommandId>) {
        let late = matches!(self.turn, Turn::Expecting { .. });
        if params.is_none()
            && let Some(same) = self.waiting.iter_mut().find(|r| r.params.is_none() && r.late == late)
        {
            same.waiters.extend(waiter);
            return;
        }
        self.waiting.push_back(Request { params, waiters: waiter.into_iter().collect(), sent: None, late });
    }

    /// The next request that may be sent now.
    pub(super) fn next(&mut self) -> Option<Request> {
        let free = matches!(self.slot, Slot::Free) && self.turn == Turn::Open;
        let index = self.waiting.iter().position(|request| free || request.is_beside())?;
        self.waiting.remove(index)
    }

    /// Notes that a request was sent.
    pub(super) fn sent(
        &mut self,
        event_id: EventId,
        mut request: Request,
        now: Timestamp,
        deadline: Timestamp,
    ) {
        request.sent = Some(now);
        if request.is_beside() {
            self.beside.push_back((event_id, request));
        } else {
            self.slot = Slot::Requested { event_id, request, deadline };
        }
    }

    /// Puts a refused request back to the front.
    pub(super) fn put_back(&mut self, request: Request) {
        self.waiting.push_front(request);
    }

    /// Takes out the request that the event was for.
    pub(super) fn take_requested(&mut self, event_id: &EventId) -> Option<Request> {
        if let Some(index) = self.beside.iter().position(|(id, _)| id == event_id) {
            return self.beside.remove(index).map(|(_, request)| request);
        }
        match core::mem::take(&mut self.slot) {
            Slot::Requested { event_id: id, request, .. } if id == *event_id => Some(request),
            other => {
                self.slot = other;
                None
            }
        }
    }

    /// Enters a response that the server created, and gives back its place in the list.
    pub(super) fn created(
        &mut self,
        now: Timestamp,
        id: &ResponseId,
        out_of_band: bool,
        output_due: Timestamp,
    ) -> usize {
        if let Some(index) = self.position(id) {
            return index; // seen before by one of its other events
        }
        let late = !out_of_band && self.turn == Turn::Open && matches!(self.slot, Slot::Late { .. });
        let mut timeline = Timeline { created: Some(now), ..Timeline::default() };
        let request = if out_of_band {
            self.beside.pop_front().map(|(_, request)| request)
        } else {
            self.take_slot_for(id, &mut timeline)
        };
        let origin = if request.is_some() { Origin::Client } else { Origin::Server };
        let mut waiters = Vec::new();
        if let Some(request) = request {
            timeline.requested = request.sent;
            waiters = request.waiters;
        } else if !out_of_band && !late {
            // The server responds to the user's turn: what waited since before it is served too.
            if let Some(index) = self.waiting.iter().position(|r| r.params.is_none() && !r.late)
                && let Some(served) = self.waiting.remove(index)
            {
                waiters = served.waiters;
            }
            for request in &mut self.waiting {
                request.late = false; // from the next turn's point of view they came before it
            }
        }
        self.open.push(OpenResponse {
            id: id.clone(),
            origin,
            out_of_band,
            interrupted: late,
            output_due: Some(output_due),
            spoke: false,
            audio_bytes: 0,
            waiters,
            timeline,
            calls: Vec::new(),
            dropped_bytes: 0,
        });
        self.open.len() - 1
    }

    /// The conversation's place goes to this response; the request that asked for it, if one did.
    fn take_slot_for(&mut self, id: &ResponseId, timeline: &mut Timeline) -> Option<Request> {
        if let Turn::Expecting { stopped, .. } = self.turn {
            timeline.speech_stopped = Some(stopped);
            self.turn = Turn::Open;
        }
        match core::mem::replace(&mut self.slot, Slot::Running(id.clone())) {
            Slot::Requested { request, .. } => Some(request),
            Slot::Free | Slot::Late { .. } | Slot::Running(_) | Slot::Occupied { .. } => None,
        }
    }

    /// Takes out a response that ended.
    pub(super) fn done(&mut self, id: &ResponseId) -> Option<OpenResponse> {
        let index = self.position(id)?;
        if matches!(&self.slot, Slot::Running(running) if running == id) {
            self.slot = Slot::Free;
        }
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back(id.clone());
        Some(self.open.remove(index))
    }

    /// Whether a response has ended.
    pub(super) fn is_finished(&self, id: &ResponseId) -> bool {
        self.finished.contains(id)
    }

    /// The response, if it runs.
    pub(super) fn get_mut(&mut self, id: &ResponseId) -> Option<&mut OpenResponse> {
        self.open.iter_mut().find(|response| response.id == *id)
    }

    /// All responses that run.
    pub(super) fn open(&self) -> &[OpenResponse] {
        &self.open
    }

    /// All responses that run, to change.
    pub(super) fn open_mut(&mut self) -> &mut [OpenResponse] {
        &mut self.open
    }

    /// The response that runs in the conversation.
    pub(super) const fn running(&self) -> Option<&ResponseId> {
        match &self.slot {
            Slot::Running(id) => Some(id),
            Slot::Free | Slot::Requested { .. } | Slot::Late { .. } | Slot::Occupied { .. } => None,
        }
    }

    /// When something here is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let slot = match &self.slot {
            Slot::Requested { deadline, .. } => Some(*deadline),
            Slot::Late { until } | Slot::Occupied { until } => Some(*until),
            Slot::Free | Slot::Running(_) => None,
        };
        let turn = match self.turn {
            Turn::Expecting { until, .. } => Some(until),
            Turn::Open | Turn::Speaking => None,
        };
        let outputs = self.open.iter().filter_map(|response| response.output_due);
        slot.into_iter().chain(turn).chain(outputs).min()
    }

    /// Lets go of what is overdue.
    pub(super) fn expire(&mut self, now: Timestamp, patience: Duration) -> Expired {
        if matches!(self.turn, Turn::Expecting { until, .. } if until <= now) {
            self.turn = Turn::Open;
        }
        let mut expired = Expired::default();
        match core::mem::take(&mut self.slot) {
            Slot::Requested { request, deadline, .. } if deadline <= now => {
                expired.unanswered = Some(request.waiters);
                self.slot = Slot::Late { until: now + patience };
            }
            Slot::Late { until } | Slot::Occupied { until } if until <= now => {}
            other => self.slot = other,
        }
        for response in &mut self.open {
            if response.output_due.is_some_and(|due| due <= now) {
                response.output_due = None;
                expired.silent |= !response.interrupted;
            }
        }
        expired
    }

    /// Everything that waits or runs, at the end: the waiters of requests, and the responses.
    pub(super) fn end(&mut self) -> (Vec<CommandId>, Vec<OpenResponse>) {
        let Self { slot, waiting, beside, open, .. } = core::mem::take(self);
        let requested = match slot {
            Slot::Requested { request, .. } => Some(request),
            Slot::Free | Slot::Late { .. } | Slot::Running(_) | Slot::Occupied { .. } => None,
        };
        let beside = beside.into_iter().map(|(_, request)| request);
        let waiters = requested.into_iter().chain(beside).chain(waiting).flat_map(|r| r.waiters).collect();
        (waiters, open)
    }

    fn position(&self, id: &ResponseId) -> Option<usize> {
        self.open.iter().position(|response| response.id == *id)
    }
}
