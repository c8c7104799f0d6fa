//! The sequencer: at most one response is asked for in the conversation, and every request gets the outcome
//! of the response that served it.
//!
//! Requests without parameters merge while they wait. When the next one goes out:
//!
//! | slot | turn | |
//! |---|---|---|
//! | `Free` | `Open` | at once |
//! | any | `Speaking` | not before the user stops, or has spoken for longer than anyone does |
//! | any | `Expecting` | not before the server's own response to the turn has run, or counts as not coming. It serves a request from before the end of the turn as well, if all items that were sent before the request had a place in the conversation; one from after it (`late`) stays, and is one from before the next turn |
//! | `Requested` | `Open` | not before that is answered, refused or overdue |
//! | `Running` | `Open` | when that response is done |
//! | `Late` | `Open` | when the overdue response has come and gone, or counts as never coming |
//! | `Occupied` | `Open` | when the response that the server spoke of is done, or at the deadline |
//!
//! Nothing goes out before the session is ready, nor while playback is stopping. Out-of-band requests (`conversation:
//! none`) do not wait for slot and turn.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::audio::AudioFormat;
use crate::call::{CommandId, Origin, Timeline};
use crate::id::{EventId, ResponseId};
use crate::response::ResponseParams;
use crate::session::deadlines::Answer;
use crate::session::seen_calls::SeenCalls;
use crate::time::Timestamp;

/// Requests that wait and responses that run.
#[derive(Debug, Default)]
pub(super) struct Responses {
    pub(super) slot: Slot,
    turn: Turn,
    waiting: VecDeque<Request>,
    /// Out-of-band requests that were sent and not created yet, in order.
    out_of_band: VecDeque<Sent>,
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
    Requested(Sent),
    /// `response.create` was not answered in time, and nobody waits for it any more. Should its response come
    /// after all, it is cancelled.
    Late {
        /// When it counts as never coming.
        until: Timestamp,
        /// Whether no command waited for it, so that nobody was told and the model still has to speak.
        owed: bool,
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
    Speaking {
        /// How long requests wait for the end of that, which may have been lost; `None`: no longer.
        until: Option<Timestamp>,
    },
    /// The user has spoken, and the server will respond by itself.
    Expecting {
        /// When the user stopped.
        stopped: Timestamp,
        /// When it counts as not coming.
        until: Timestamp,
    },
}

impl Turn {
    const fn lets_requests_go(self) -> bool {
        matches!(self, Self::Open | Self::Speaking { until: None })
    }
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
    /// How many events had been sent when it was made: a response serves it that comes after all of their items.
    made_after: u64,
    /// When this side said that the user's turn had ended, for a response to it.
    committed: Option<Timestamp>,
    /// Whether the user interrupted it before the server created it.
    interrupted: bool,
}

/// A `response.create` that the server has not answered.
#[derive(Debug)]
pub(super) struct Sent {
    event_id: EventId,
    request: Request,
    /// When it counts as unanswered.
    deadline: Timestamp,
}

impl Request {
    /// Whether the user has not interrupted it.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.interrupted
    }

    /// Takes in a later one that the same response serves.
    fn merge(&mut self, later: Self) {
        self.waiters.extend(later.waiters);
        self.made_after = later.made_after;
        self.committed = later.committed.or(self.committed);
    }

    /// Whether its response does not belong to the conversation.
    pub(super) fn is_out_of_band(&self) -> bool {
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
    pub(super) pace: Pace,
    /// Whether it said or wrote anything.
    pub(super) spoke: bool,
    /// Audio that came (bytes).
    pub(super) audio_bytes: u64,
    pub(super) waiters: Vec<CommandId>,
    pub(super) timeline: Timeline,
    /// Calls seen in its items, for servers whose `response.done` does not list them.
    pub(super) calls: SeenCalls,
    pub(super) dropped_bytes: u64,
    /// What its audio is, where that is not the session's format.
    pub(super) format: Option<AudioFormat>,
    /// The request that it was taken to answer, without the waiters.
    asked: Option<Sent>,
}

/// What a response that runs owes next, and since when it counts as overdue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    /// Its first output.
    Begun(Timestamp),
    /// More of it, or its end.
    Going(Timestamp),
    /// What did not come. From then on nobody waits for it.
    Stalled(Timestamp),
    /// Nothing: nobody waits for it any more, and others may be asked for.
    Forsaken,
}

/// How a response was heard of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// By its `response.created`.
    Created,
    /// By another of its events: some servers send no `response.created`, and some send events far too late.
    Otherwise,
}

impl Pace {
    const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Begun(due) | Self::Going(due) | Self::Stalled(due) => Some(due),
            Self::Forsaken => None,
        }
    }
}

/// How long what is overdue may still come.
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
    /// The waiters of each request that was not answered.
    pub(super) unanswered: Vec<Vec<CommandId>>,
    /// What responses that run did not give.
    pub(super) silent: Vec<Answer>,
    /// The waiters of each response that nobody waits for any more.
    pub(super) forsaken: Vec<CommandId>,
}

impl Responses {
    /// Takes in a request, made after so many events were sent. One without parameters merges with one that waits.
    pub(super) fn request(
        &mut self,
        params: Option<Box<ResponseParams>>,
        waiter: Option<CommandId>,
        made_after: u64,
    ) {
        let late = matches!(self.turn, Turn::Expecting { .. });
        if params.is_none()
            && let Some(same) = self.waiting.iter_mut().find(|r| r.params.is_none() && r.late == late)
        {
            same.waiters.extend(waiter);
            same.made_after = made_after;
            return;
        }
        let waiters = waiter.into_iter().collect();
        self.waiting.push_back(Request { params, waiters, late, made_after, ..Request::default() });
    }

    /// The request that was just made is for a response to a turn that this side has ended.
    pub(super) fn turn_committed(&mut self, now: Timestamp) {
        if let Some(request) = self.waiting.iter_mut().rfind(|request| request.params.is_none()) {
            request.committed = Some(now);
        }
    }

    /// Whether the user speaks.
    pub(super) fn is_user_speaking(&self) -> bool {
        matches!(self.turn, Turn::Speaking { .. })
    }

    /// The turn is somebody else's.
    pub(super) fn set_turn(&mut self, turn: Turn) {
        self.turn = turn;
        if !matches!(turn, Turn::Expecting { .. }) {
            self.merge_waiting();
        }
    }

    /// The server's response to the last turn is not waited for any more: what was asked for since came before the
    /// next one, and waits together with what was asked for earlier.
    fn merge_waiting(&mut self) {
        for request in &mut self.waiting {
            request.late = false;
        }
        let automatic = |request: &Request| request.params.is_none();
        while let Some(last) = self.waiting.iter().rposition(automatic)
            && let Some(first) = self.waiting.iter().position(automatic).filter(|first| *first < last)
            && let Some(merged) = self.waiting.remove(last)
        {
            self.waiting[first].merge(merged);
        }
    }

    /// The next request that may be sent now.
    pub(super) fn next(&mut self) -> Option<Request> {
        let free = matches!(self.slot, Slot::Free) && self.turn.lets_requests_go();
        let index = self.waiting.iter().position(|request| free || request.is_out_of_band())?;
        self.waiting.remove(index)
    }

    /// How many wait for a request that was not sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.iter().map(|request| request.waiters.len()).sum()
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
            self.slot = Slot::Requested(sent);
        }
    }

    /// The server refused a request since a response runs: it waits again, at the front.
    pub(super) fn put_back(&mut self, mut request: Request, until: Timestamp) {
        if matches!(self.slot, Slot::Free) {
            self.slot = Slot::Occupied { until };
        }
        request.late = false; // it was made before whatever runs now
        let same = |waiting: &Request| waiting.params.is_none() && !waiting.late;
        if request.params.is_none()
            && let Some(index) = self.waiting.iter().position(same)
            && let Some(same) = self.waiting.remove(index)
        {
            request.merge(same);
        }
        self.waiting.push_front(request);
    }

    /// Takes out the request that the event was for: one that is not answered, or one that a response was taken to
    /// answer, which then must be another's.
    pub(super) fn take_requested(&mut self, event_id: &EventId) -> Option<Request> {
        if let Some(index) = self.out_of_band.iter().position(|sent| sent.event_id == *event_id) {
            return self.out_of_band.remove(index).map(|sent| sent.request);
        }
        match core::mem::take(&mut self.slot) {
            Slot::Requested(sent) if sent.event_id == *event_id => return Some(sent.request),
            other => self.slot = other,
        }
        let answers = |sent: &mut Sent| sent.event_id == *event_id;
        let (response, sent) =
            self.open.iter_mut().find_map(|r| r.asked.take_if(answers).map(|sent| (&mut r.waiters, sent)))?;
        Some(Request { waiters: core::mem::take(response), ..sent.request })
    }

    /// Enters a response that was not heard of before. `unplaced`: the first event sent whose item has no place yet. Whether it comes so late that nobody waits for it any more.
    pub(super) fn created(
        &mut self,
        now: Timestamp,
        id: &ResponseId,
        out_of_band: bool,
        heard: Heard,
        output_due: Timestamp,
        unplaced: Option<u64>,
    ) -> bool {
        let late = !out_of_band && self.turn.lets_requests_go() && matches!(self.slot, Slot::Late { .. });
        // A late event of another response neither ends the one that runs nor answers anyone.
        let stray = heard == Heard::Otherwise && matches!(self.slot, Slot::Running(_));
        let mut timeline = Timeline { created: Some(now), ..Timeline::default() };
        let mut asked = if out_of_band {
            self.out_of_band.pop_front()
        } else if stray {
            None
        } else {
            self.take_slot_for(id, &mut timeline)
        };
        let origin = if asked.is_some() { Origin::Client } else { Origin::Server };
        let mut waiters = Vec::new();
        if let Some(Sent { request, .. }) = &mut asked {
            timeline.requested = request.sent;
            timeline.committed(request.committed);
            waiters = core::mem::take(&mut request.waiters);
        } else if !out_of_band && !late && !stray {
            // The server responds to the user's turn: what waited since before it is served too, if the model knows it.
            let knows = |request: &Request| unplaced.is_none_or(|item| item > request.made_after);
            let served = |r: &Request| r.params.is_none() && !r.late && knows(r);
            if let Some(index) = self.waiting.iter().position(served)
                && let Some(served) = self.waiting.remove(index)
            {
                timeline.committed(served.committed);
                waiters = served.waiters;
            }
        }
        if !out_of_band && self.turn.lets_requests_go() {
            self.merge_waiting();
        }
        self.open.push(OpenResponse {
            id: id.clone(),
            origin,
            out_of_band,
            interrupted: late || asked.as_ref().is_some_and(|sent| sent.request.interrupted),
            pace: Pace::Begun(output_due),
            spoke: false,
            audio_bytes: 0,
            waiters,
            timeline,
            calls: SeenCalls::default(),
            dropped_bytes: 0,
            format: asked.as_ref().and_then(|sent| sent.request.params.as_ref()?.audio.value()?.format()),
            asked,
        });
        late
    }

    /// The conversation's place goes to this response; the request that asked for it, if one did.
    fn take_slot_for(&mut self, id: &ResponseId, timeline: &mut Timeline) -> Option<Sent> {
        if let Turn::Expecting { stopped, .. } = self.turn {
            timeline.speech_stopped = Some(stopped);
            self.turn = Turn::Open;
        }
        match core::mem::replace(&mut self.slot, Slot::Running(id.clone())) {
            Slot::Requested(sent) => Some(sent),
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
        if !id.as_str().is_empty() {
            self.finished.push_back(id.clone()); // servers without ids give them all the same
        }
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

    /// The response that runs in the conversation.
    pub(super) const fn running(&self) -> Option<&ResponseId> {
        match &self.slot {
            Slot::Running(id) => Some(id),
            Slot::Free | Slot::Requested(_) | Slot::Late { .. } | Slot::Occupied { .. } => None,
        }
    }

    /// The request in the conversation that the server has not answered.
    pub(super) const fn requested(&self) -> Option<&EventId> {
        match &self.slot {
            Slot::Requested(sent) => Some(&sent.event_id),
            Slot::Free | Slot::Running(_) | Slot::Late { .. } | Slot::Occupied { .. } => None,
        }
    }

    /// Nothing more of the responses in the conversation is passed on. Whether one runs of which this is new.
    pub(super) fn interrupt(&mut self) -> bool {
        let running = self.running().cloned();
        let goes_on = self.open.iter().any(|r| Some(&r.id) == running.as_ref() && !r.interrupted);
        for response in self.open.iter_mut().filter(|response| !response.out_of_band) {
            response.interrupted = true;
        }
        goes_on
    }

    /// The request that was sent is not wanted any more: nothing of its response is passed on.
    pub(super) fn interrupt_requested(&mut self) {
        if let Slot::Requested(sent) = &mut self.slot {
            sent.request.interrupted = true;
        }
    }

    /// Whether nothing waits or runs, and nobody speaks.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.slot, Slot::Free | Slot::Late { .. })
            && self.turn == Turn::Open
            && self.waiting.is_empty()
            && self.out_of_band.is_empty()
            && self.open.iter().all(|response| response.pace == Pace::Forsaken)
    }

    /// Whether a response is to come that nobody waits for by name: to the user's turn, or after a call's output. One
    /// that runs and has said nothing is still to come.
    pub(super) fn owes(&self) -> bool {
        let requested = match &self.slot {
            Slot::Requested(sent) => Some(&sent.request),
            Slot::Free | Slot::Late { .. } | Slot::Running(_) | Slot::Occupied { .. } => None,
        };
        let mut requests = self.waiting.iter().chain(requested);
        let silent = |response: &OpenResponse| {
            let said = response.timeline.first_text.or(response.timeline.first_audio);
            said.is_none() && !response.out_of_band && !response.interrupted
        };
        matches!(self.turn, Turn::Expecting { .. })
            || matches!(self.slot, Slot::Late { owed: true, .. })
            || self.open.iter().any(silent)
            || requests.any(|request| {
                request.waiters.is_empty() && !request.interrupted && !request.is_out_of_band()
            })
    }

    /// When something here is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let slot = match &self.slot {
            Slot::Requested(sent) => Some(sent.deadline),
            Slot::Late { until, .. } | Slot::Occupied { until } => Some(*until),
            Slot::Free | Slot::Running(_) => None,
        };
        let turn = match self.turn {
            Turn::Speaking { until } => until,
            Turn::Expecting { until, .. } => Some(until),
            Turn::Open => None,
        };
        let outputs = self.open.iter().filter_map(|response| response.pace.deadline());
        let out_of_band = self.out_of_band.iter().map(|sent| sent.deadline);
        slot.into_iter().chain(turn).chain(outputs).chain(out_of_band).min()
    }

    /// Lets go of what is overdue. `patience`: how long the answer to a request may still come, and the end of a
    /// response that has stalled.
    pub(super) fn expire(&mut self, now: Timestamp, patience: Patience) -> Expired {
        match self.turn {
            Turn::Speaking { until: Some(until) } if until <= now => {
                self.set_turn(Turn::Speaking { until: None })
            }
            Turn::Expecting { until, .. } if until <= now => self.set_turn(Turn::Open),
            Turn::Open | Turn::Speaking { .. } | Turn::Expecting { .. } => {}
        }
        let mut expired = Expired::default();
        let (overdue, due) =
            core::mem::take(&mut self.out_of_band).into_iter().partition(|sent| sent.deadline <= now);
        self.out_of_band = due;
        let mut overdue: VecDeque<Sent> = overdue;
        match core::mem::take(&mut self.slot) {
            Slot::Requested(sent) if sent.deadline <= now => {
                let owed = sent.request.waiters.is_empty() && sent.request.is_wanted();
                overdue.push_front(sent);
                self.slot = Slot::Late { until: now + patience.created, owed };
            }
            Slot::Late { until, .. } | Slot::Occupied { until } if until <= now => {}
            other => self.slot = other,
        }
        expired.unanswered = overdue.into_iter().map(|sent| sent.request.waiters).collect();
        for response in &mut self.open {
            if response.pace.deadline().is_none_or(|due| now < due) {
                continue;
            }
            let missing = match response.pace {
                Pace::Begun(_) => Answer::FirstOutput,
                Pace::Going(_) => Answer::NextOutput,
                Pace::Stalled(_) | Pace::Forsaken => {
                    response.pace = Pace::Forsaken;
                    expired.forsaken.append(&mut response.waiters);
                    if matches!(&self.slot, Slot::Running(running) if *running == response.id) {
                        self.slot = Slot::Free;
                    }
                    continue;
                }
            };
            response.pace = Pace::Stalled(now + patience.done);
            expired.silent.extend((!response.interrupted).then_some(missing));
        }
        expired
    }

    /// Everything that waits or runs, at the end: the waiters of requests, and the responses.
    pub(super) fn end(&mut self) -> (Vec<CommandId>, Vec<OpenResponse>) {
        let Self { slot, waiting, out_of_band, open, .. } = core::mem::take(self);
        let requested = match slot {
            Slot::Requested(sent) => Some(sent),
            Slot::Free | Slot::Late { .. } | Slot::Running(_) | Slot::Occupied { .. } => None,
        };
        let sent = requested.into_iter().chain(out_of_band).map(|sent| sent.request);
        let waiters = sent.chain(waiting).flat_map(|request| request.waiters).collect();
        (waiters, open)
    }

    fn position(&self, id: &ResponseId) -> Option<usize> {
        self.open.iter().position(|response| response.id == *id)
    }
}
