//! The sequencer: at most one response is asked for in the conversation, and every request gets the outcome
//! of the response that served it.
//!
//! 1. **A request goes out when nothing runs in the conversation and nobody speaks.** Until then it waits,
//!    and requests without parameters merge. Example: two commands ask for a response while one runs. When
//!    that one is done, the model is asked once, and both commands end with that one response.
//! 2. **After the user's turn, the server's own response comes first.** It serves the requests made before
//!    the turn ended, if all items sent before them have a place in the conversation. Example: a question
//!    typed in mid-speech is answered together with the speech. Requests made after the turn wait until that
//!    response is done.
//! 3. **What the user speaks over is not heard.** If a response was requested and has not begun, it is
//!    cancelled when it begins. Commands that wait for it are served by the answer to the user. A response
//!    that is owed and that no command waits for is requested again after the turn. Example: a function is
//!    answered, the follow-up is sent, and the user speaks. The model goes on in its answer to the user, or
//!    after it.
//! 4. **Nothing waits for ever.** What is overdue counts as not coming: the end of the user's speech, the
//!    server's own response, the answer to a request, or the rest of a response. Example: a request gets no
//!    answer. After 10 s its command ends, and 10 s later the next request goes out. A response that comes
//!    after all is cancelled.
//!
//! Out-of-band requests (`conversation: none`) do not wait, and speech does not affect them. Nothing goes out
//! before the session is ready, nor while playback is stopping.
//!
//! # Four tables
//! [`slot`]: the one place for a response. [`turn`]: who speaks. [`queue`]: what waits. [`pace`]: which output of a running response is due next. The docs of each file show all its transitions. This file and `begin.rs` decide which steps an input leads to.

mod begin;
mod open;
pub(super) mod pace;
mod queue;
mod request;
mod slot;
#[cfg(test)]
pub(in crate::session) mod table;
pub(super) mod turn;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

pub(super) use crate::session::sequencer::begin::{Beginning, Begun, Heard, Named};
pub(super) use crate::session::sequencer::open::OpenResponse;
pub(super) use crate::session::sequencer::pace::Pace;
pub(super) use crate::session::sequencer::request::{Request, forces};

use crate::call::CommandId;
use crate::id::{EventId, ResponseId};
use crate::session::deadlines::Answer;
use crate::session::sequencer::open::Open;
use crate::session::sequencer::queue::Queue;
use crate::session::sequencer::request::Sent;
use crate::session::sequencer::slot::Slot;
use crate::session::sequencer::turn::Turn;
use crate::time::{Timestamp, earlier};

/// Requests that wait and responses that run.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    slot: Slot,
    turn: Turn,
    queue: Queue,
    /// Out-of-band requests that were sent and not created yet, in order.
    out_of_band: VecDeque<Sent>,
    open: Open,
}

/// How long overdue things may still come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The answer to a request.
    pub(super) created: Duration,
    /// The rest of a response.
    pub(super) done: Duration,
}

/// What was overdue.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// Whether audio of the user's speech stopped coming.
    pub(super) silent_turn: bool,
    /// The requests that were not answered.
    pub(super) unanswered: Vec<Request>,
    /// The missing outputs of running responses.
    pub(super) silent: Vec<Answer>,
    /// The commands that waited for responses that are given up.
    pub(super) forsaken: Vec<CommandId>,
}

impl Sequencer {
    /// Adds a request. A request without parameters merges with a waiting one.
    pub(super) fn request(&mut self, request: Request) {
        let late = self.turn.is_expecting();
        self.queue.step(queue::Step::Ask(Request { late, ..request }));
    }

    /// The newest request is for the answer to a turn that this side has ended.
    pub(super) fn turn_committed(&mut self, now: Timestamp) {
        self.queue.note_committed(now);
    }

    /// Something happens to the user's turn. Returns whether the user now counts as having stopped speaking.
    pub(super) fn step_turn(&mut self, step: turn::Step) -> bool {
        let ended = self.turn.step(step);
        if !self.turn.is_expecting() && self.has_waiting() {
            self.queue.step(queue::Step::TurnPassed);
        }
        ended
    }

    /// Returns whether the user speaks, so that appended audio may be speech.
    pub(super) const fn listens(&self) -> bool {
        self.turn.is_speech()
    }

    /// Returns whether a request waits to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next request that may be sent now.
    pub(super) fn next(&mut self) -> Option<Request> {
        let into_conversation = matches!(self.slot, Slot::Free) && self.turn.lets_requests_go();
        self.queue.step(queue::Step::Send { into_conversation, claimed: self.turn.is_claimed() })
    }

    /// How many commands wait for a request that was not sent.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiters()
    }

    /// The commands that wait for a request which was not sent.
    pub(super) fn waiting_commands(&self) -> impl Iterator<Item = CommandId> {
        self.queue.iter().flat_map(|request| request.waiters.iter().copied())
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
        let is_out_of_band = request.is_out_of_band();
        let sent = Sent { event_id, request, deadline };
        if is_out_of_band {
            self.out_of_band.push_back(sent);
        } else {
            self.slot.step(slot::Step::Sent(sent));
        }
    }

    /// The server refused a request because a response runs: the request waits again, at the front.
    pub(super) fn put_back(&mut self, request: Request, until: Timestamp) {
        self.slot.step(slot::Step::Occupied { until });
        self.queue.step(queue::Step::Back(request));
    }

    /// Takes out the request that was sent with this event, with the response that was taken to be its
    /// answer, if any.
    pub(super) fn take_requested(&mut self, event_id: &EventId) -> Option<(Request, Option<ResponseId>)> {
        if let Some(index) = self.out_of_band.iter().position(|sent| sent.event_id == *event_id) {
            return self.out_of_band.remove(index).map(|sent| (sent.request, None));
        }
        if let Some(sent) = self.slot.step(slot::Step::Refused(event_id)) {
            return Some((sent.request, None));
        }
        let answers = |sent: &mut Sent| sent.event_id == *event_id;
        self.open.iter_mut().find_map(|response| {
            let sent = response.asked.take_if(answers)?;
            let waiters = core::mem::take(&mut response.waiters);
            Some((Request { waiters, ..sent.request }, Some(response.id.clone())))
        })
    }

    /// The request for a response has failed. If the response goes on, it is still told, but nothing waits
    /// for it.
    pub(super) fn fail(&mut self, id: &ResponseId) {
        if let Some(response) = self.open.get_mut(id) {
            response.pace.step(pace::Step::Failed);
        }
        self.slot.step(slot::Step::Ended(id));
    }

    /// The server reported a fault without naming a response: running responses may be over.
    pub(super) fn server_fault(&mut self, due: Timestamp) {
        for response in self.open.iter_mut() {
            response.pace.step(pace::Step::ServerFault { due });
        }
    }

    /// Takes out a response that ended.
    pub(super) fn end_response(&mut self, id: &ResponseId) -> Option<OpenResponse> {
        let ended = self.open.end(id)?;
        self.slot.step(slot::Step::Ended(id));
        Some(ended)
    }

    /// Returns whether a response has ended.
    pub(super) fn is_finished(&self, id: &ResponseId) -> bool {
        self.open.finished(id).is_some()
    }

    /// Output comes of a response that has ended. Whether that is news.
    pub(super) fn note_late(&mut self, id: &ResponseId) -> bool {
        self.open.note_late(id)
    }

    /// The response to drop before another one begins, if there are too many.
    pub(super) fn excess(&self) -> Option<ResponseId> {
        self.open.excess().cloned()
    }

    /// The response, if it runs: by its id, or by its id as it stands in a text.
    pub(super) fn get_mut<Id: ?Sized>(&mut self, id: &Id) -> Option<&mut OpenResponse>
    where
        ResponseId: PartialEq<Id>,
    {
        self.open.get_mut(id)
    }

    /// The newest response that runs.
    pub(super) fn newest(&self) -> Option<&ResponseId> {
        self.open.last().map(|response| &response.id)
    }

    /// The response that runs in the conversation.
    pub(super) const fn running(&self) -> Option<&ResponseId> {
        self.slot.running()
    }

    /// Returns whether speech does not interrupt the response that runs in the conversation or is requested.
    pub(super) fn is_protected(&self) -> bool {
        let runs =
            |id: &ResponseId| self.open.iter().any(|response| response.id == *id && response.protected);
        self.slot.running().is_some_and(runs)
            || self.slot.requested().is_some_and(|sent| sent.request.protected && sent.request.is_wanted())
    }

    /// The request in the conversation that the server has not answered.
    pub(super) fn requested(&self) -> Option<&EventId> {
        self.slot.requested().map(|sent| &sent.event_id)
    }

    /// Stops passing on the responses in the conversation. Returns whether a running response was newly
    /// interrupted.
    pub(super) fn interrupt(&mut self) -> bool {
        let running = self.slot.running();
        let goes_on = self.open.iter().any(|r| Some(&r.id) == running && !r.interrupted);
        for response in self.open.iter_mut().filter(|response| !response.out_of_band) {
            response.interrupted = true;
        }
        goes_on
    }

    /// The user speaks. The request that was sent is not wanted any more, and its response is cancelled when
    /// it begins. If a response is owed that no command waits for, it stays owed; so does that of a response
    /// that has said nothing yet. `claimed`: the turn, if the application reports the speech.
    pub(super) fn cross(&mut self, claimed: Option<turn::Step>) {
        let requested = match &self.slot {
            Slot::Requested(sent) => sent.request.still_owed(),
            Slot::Running(id) => self.open.get_mut(id).and_then(|response| response.still_owed()),
            Slot::Free | Slot::Crossed(_) | Slot::Late { .. } | Slot::Occupied { .. } => None,
        };
        self.slot.step(slot::Step::Crossed);
        if let Some(owed) = requested {
            self.queue.step(queue::Step::Ask(Request { after_turn: claimed.is_some(), ..owed }));
            if let Some(step) = claimed {
                self.step_turn(step);
            }
        }
    }

    /// Returns whether nothing waits or runs, and nobody speaks.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.slot, Slot::Free | Slot::Late { .. })
            && self.turn == Turn::Open
            && self.queue.is_empty()
            && self.out_of_band.is_empty()
            && self.open.iter().all(|response| response.pace == Pace::Forsaken)
    }

    /// Returns whether a response is owed that no command waits for: to the user's turn, or after a
    /// function's output. A running response that has said nothing is still owed.
    pub(super) fn owes(&self) -> bool {
        let mut requests = self.queue.iter().chain(self.slot.requested().map(|sent| &sent.request));
        self.turn.is_expecting()
            || matches!(self.slot, Slot::Late { owed: true, .. })
            || self.open.iter().any(|response| response.answers() && !response.has_said_anything())
            || requests
                .any(|request| request.waiters.is_empty() && request.is_wanted() && !request.is_out_of_band())
    }

    /// Returns whether a response of the conversation has begun to say something, and goes on.
    pub(super) fn is_speaking(&self) -> bool {
        self.open.iter().any(|response| response.answers() && response.has_said_anything())
    }

    /// Returns whether an unsent request waits that no command made.
    pub(super) fn owes_unsent(&self) -> bool {
        self.queue.iter().any(|request| request.waiters.is_empty() && !request.is_out_of_band())
    }

    /// When something here is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let first = earlier(self.slot.deadline(), self.turn.deadline());
        let first = earlier(first, self.out_of_band.front().map(|sent| sent.deadline));
        self.open.iter().fold(first, |first, response| earlier(first, response.pace.deadline()))
    }

    /// Gives up what is overdue. `patience`: how long the answer to a request, or the end of a stalled
    /// response, may still come.
    pub(super) fn expire(&mut self, now: Timestamp, patience: Patience) -> Expired {
        let silent_turn = self.step_turn(turn::Step::Overdue { now });
        let mut expired = Expired { silent_turn, ..Expired::default() };
        let overdue = self.slot.step(slot::Step::Overdue { now, patience: patience.created });
        expired.unanswered.extend(overdue.map(|sent| sent.request));
        while self.out_of_band.front().is_some_and(|sent| sent.deadline <= now)
            && let Some(sent) = self.out_of_band.pop_front()
        {
            expired.unanswered.push(sent.request);
        }
        for response in self.open.iter_mut() {
            let was = response.pace;
            let missing = response.pace.step(pace::Step::Overdue { now, patience: patience.done });
            expired.silent.extend(missing.filter(|_| !response.interrupted));
            if was != response.pace && response.pace == Pace::Forsaken {
                expired.forsaken.append(&mut response.waiters);
                self.slot.step(slot::Step::Ended(&response.id));
            }
        }
        expired
    }

    /// Everything that waits or runs, at the end: the waiters of requests, and the responses.
    pub(super) fn end(&mut self) -> (Vec<CommandId>, impl Iterator<Item = OpenResponse> + use<>) {
        let Self { slot, queue, out_of_band, open, .. } = core::mem::take(self);
        let requested = match slot {
            Slot::Requested(sent) | Slot::Crossed(sent) => Some(sent),
            Slot::Free | Slot::Late { .. } | Slot::Running(_) | Slot::Occupied { .. } => None,
        };
        let sent = requested.into_iter().chain(out_of_band).flat_map(|sent| sent.request.waiters);
        (sent.chain(queue.end()).collect(), open.take())
    }
}
