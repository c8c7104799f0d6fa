//! The beginning of a response: who asked for it, which requests it serves, and whether it is to be heard.

use alloc::vec::Vec;

use crate::call::{Origin, Timeline};
use crate::id::ResponseId;
use crate::session::said_texts::SaidTexts;
use crate::session::seen_calls::SeenCalls;
use crate::session::sequencer::open::OpenResponse;
use crate::session::sequencer::pace::Pace;
use crate::session::sequencer::request::Sent;
use crate::session::sequencer::slot::Slot;
use crate::session::sequencer::turn::Turn;
use crate::session::sequencer::{Sequencer, queue, slot, turn};
use crate::time::Timestamp;

/// What is known of a response when it begins.
#[derive(Debug)]
pub(in crate::session) struct Beginning<'a> {
    pub(in crate::session) id: &'a ResponseId,
    pub(in crate::session) out_of_band: bool,
    pub(in crate::session) heard: Heard,
    /// When its first output is due.
    pub(in crate::session) output_due: Timestamp,
    /// The first event sent whose item has no place yet.
    pub(in crate::session) unplaced: Option<u64>,
}

/// The event by which a response became known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Heard {
    /// By its `response.created`.
    Created,
    /// Another of its events: some servers send no `response.created`, and some send events far too late.
    Otherwise,
}

/// What to do with a response that begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Begun {
    /// It is to be heard.
    Wanted,
    /// Its request has timed out: it is to be cancelled.
    Late,
    /// The user spoke before it began: it is to be cancelled.
    Crossed,
}

/// What is known about the id in a `response.created`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Named {
    /// Nothing: a response begins.
    New,
    /// Another event of it came first.
    Begun,
    /// The response was created already and nothing of it has come: the event came twice.
    Repeated,
    /// A response of that id runs; this is another one.
    Running,
    /// A response of that id has ended; this is another one.
    Ended,
}

impl Sequencer {
    /// Records a new response.
    pub(in crate::session) fn begin(&mut self, now: Timestamp, beginning: &Beginning<'_>) -> Begun {
        let Beginning { id, out_of_band, heard, output_due, unplaced } = *beginning;
        // After the user's turn, this is the server's own answer to the turn, not the response that the user
        // spoke over: the server had the whole turn to announce that one.
        let is_answer = self.turn.is_expecting();
        let late = !out_of_band && self.turn.lets_requests_go() && matches!(self.slot, Slot::Late { .. });
        // A late event of another response neither ends the running one nor serves a request.
        let stray = heard == Heard::Otherwise && self.slot.running().is_some();
        let mut timeline = Timeline { created: Some(now), ..Timeline::default() };
        let mut asked = if out_of_band {
            self.out_of_band.pop_front()
        } else if stray {
            None
        } else {
            self.take_slot_for(id, &mut timeline)
        };
        let superseded = match asked.take_if(|sent| is_answer && sent.request.crossed) {
            Some(crossed) => crossed.request.waiters,
            None => Vec::new(),
        };
        let crossed = asked.as_ref().is_some_and(|sent| sent.request.crossed);
        let origin = if asked.is_some() { Origin::Client } else { Origin::Server };
        let mut waiters = Vec::new();
        if let Some(Sent { request, .. }) = &mut asked {
            timeline.requested = request.sent;
            timeline.speech_stopped = timeline.speech_stopped.or(request.turn);
            timeline.committed(request.committed);
            waiters = core::mem::take(&mut request.waiters);
        } else if !out_of_band
            && !late
            && !stray
            && let Some(served) = self.queue.step(queue::Step::Serve { unplaced })
        {
            timeline.committed(served.committed);
            waiters = served.waiters;
        }
        if !out_of_band && self.turn.lets_requests_go() {
            self.queue.step(queue::Step::TurnPassed);
        }
        self.open.begin(OpenResponse {
            id: id.clone(),
            origin,
            created: heard == Heard::Created,
            out_of_band,
            interrupted: late || crossed,
            protected: asked.as_ref().is_some_and(|sent| sent.request.protected),
            pace: Pace::Begun(output_due),
            spoke: false,
            audio_bytes: 0,
            waiters,
            superseded,
            timeline,
            calls: SeenCalls::default(),
            said: SaidTexts::default(),
            unplaced: Vec::new(),
            dropped_bytes: 0,
            format: asked.as_ref().and_then(|sent| sent.request.params.as_ref()?.audio.value()?.format()),
            asked,
        });
        match () {
            () if late => Begun::Late,
            () if crossed => Begun::Crossed,
            () => Begun::Wanted,
        }
    }

    /// Gives the conversation's place to this response. Returns the request that asked for it, if there is
    /// one.
    fn take_slot_for(&mut self, id: &ResponseId, timeline: &mut Timeline) -> Option<Sent> {
        if let Turn::Expecting { stopped, .. } = self.turn {
            timeline.speech_stopped = Some(stopped);
        }
        self.turn.step(turn::Step::Answered);
        self.slot.step(slot::Step::Began(id))
    }

    /// What a `response.created` says about an id.
    pub(in crate::session) fn named(&mut self, id: &ResponseId, out_of_band: bool) -> Named {
        let is_asked =
            if out_of_band { !self.out_of_band.is_empty() } else { self.slot.requested().is_some() };
        let finished = self.open.finished(id);
        let Some(open) = self.open.get_mut(id) else {
            return match finished {
                None => Named::New,
                Some(false) => Named::Begun,
                Some(true) => {
                    self.open.forget_finished(id);
                    Named::Ended
                }
            };
        };
        if !core::mem::replace(&mut open.created, true) {
            Named::Begun
        } else if matches!(open.pace, Pace::Begun(_)) && !is_asked {
            Named::Repeated
        } else {
            Named::Running
        }
    }
}
