//! Running responses: what is known about each, from its first event to its end.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::audio::AudioFormat;
use crate::call::{CommandId, Origin, Timeline};
use crate::id::ResponseId;
use crate::item::Item;
use crate::session::deadlines::Answer;
use crate::session::said_texts::SaidTexts;
use crate::session::seen_calls::SeenCalls;
use crate::session::sequencer::pace::{self, Pace};
use crate::session::sequencer::request::{Request, Sent};
use crate::time::Timestamp;

/// Ended responses that are remembered.
const REMEMBERED: usize = 8;

/// The most running responses. A server has one at a time in the conversation, and some out of band. Beyond
/// that, the one that is least waited for is dropped.
const MOST: usize = 32;

/// The responses that run, oldest first.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Each in a box: most of the time none runs, and then they take no room.
    running: VecDeque<Box<OpenResponse>>,
    /// The last ones that ended, so that a late event does not open them again.
    finished: VecDeque<Finished>,
}

/// A response that ended.
#[derive(Debug)]
struct Finished {
    id: ResponseId,
    /// Whether a `response.created` came for it.
    created: bool,
    /// Whether late output is no news: nobody wants it, or it was told already.
    quiet: bool,
}

/// A response that runs.
#[derive(Debug)]
pub(in crate::session) struct OpenResponse {
    pub(in crate::session) id: ResponseId,
    pub(in crate::session) origin: Origin,
    /// Whether its `response.created` came.
    pub(in crate::session) created: bool,
    pub(in crate::session) out_of_band: bool,
    /// Nothing more of it is passed on.
    pub(in crate::session) interrupted: bool,
    pub(in crate::session) pace: Pace,
    /// Whether the user's speech does not interrupt it.
    pub(in crate::session) protected: bool,
    /// Whether it said or wrote anything.
    pub(in crate::session) spoke: bool,
    /// Audio that came (bytes).
    pub(in crate::session) audio_bytes: u64,
    pub(in crate::session) waiters: Vec<CommandId>,
    /// Commands whose own request the user spoke over, and which this answer to the user serves instead.
    pub(in crate::session) superseded: Vec<CommandId>,
    pub(in crate::session) timeline: Timeline,
    /// Calls seen in its items, for servers whose `response.done` does not list them.
    pub(in crate::session) calls: SeenCalls,
    /// How much of its words was told.
    pub(in crate::session) said: SaidTexts,
    /// Its items that are final and have no place yet.
    pub(in crate::session) unplaced: Vec<Item>,
    pub(in crate::session) dropped_bytes: u64,
    /// The format of its audio, if it is not the session's.
    pub(in crate::session) format: Option<AudioFormat>,
    /// The request that it was taken to answer, without its commands.
    pub(super) asked: Option<Sent>,
}

impl OpenResponse {
    /// Returns whether the request for it forced the model to call a function.
    pub(in crate::session) fn is_forced(&self) -> bool {
        self.asked.as_ref().is_some_and(|sent| sent.request.is_forced())
    }

    /// The metadata of the request for it.
    pub(in crate::session) fn asked_metadata(&self) -> Option<&BTreeMap<String, String>> {
        self.asked.as_ref()?.request.params.as_ref()?.metadata.value()
    }

    /// Returns whether the user is to hear it.
    pub(super) const fn answers(&self) -> bool {
        !self.out_of_band && !self.interrupted
    }

    /// Returns whether words or sounds of it came.
    pub(super) const fn has_said_anything(&self) -> bool {
        self.timeline.first_text.is_some() || self.timeline.first_audio.is_some()
    }

    /// Output came: the next is due then. Returns the answer that it was.
    pub(in crate::session) fn note_output(&mut self, due: Timestamp) -> Answer {
        let first = matches!(self.pace, Pace::Begun(_));
        self.pace.step(pace::Step::Output { due });
        if first { Answer::FirstOutput } else { Answer::NextOutput }
    }

    /// The request that is still owed if the user speaks now: the response has said nothing yet, and no
    /// command waits for it.
    pub(super) fn still_owed(&self) -> Option<Request> {
        let silent = !self.interrupted && !self.spoke && self.calls.is_empty();
        self.asked.as_ref().filter(|_| silent)?.request.still_owed()
    }
}

impl Open {
    /// Adds a response that begins.
    pub(super) fn begin(&mut self, response: OpenResponse) {
        self.running.push_back(Box::new(response));
    }

    /// The response to drop if there are too many: the oldest that nothing waits for, else the oldest.
    pub(super) fn excess(&self) -> Option<&ResponseId> {
        let full = self.running.len() >= MOST;
        let forsaken = self.iter().find(|response| response.pace == Pace::Forsaken);
        forsaken.or_else(|| self.iter().next()).filter(|_| full).map(|response| &response.id)
    }

    /// Takes out a response that ended.
    pub(super) fn end(&mut self, id: &ResponseId) -> Option<OpenResponse> {
        let index = self.running.iter().position(|response| response.id == *id)?;
        let ended = self.running.remove(index)?;
        if !id.is_empty() {
            // Servers without ids give them all the same.
            if self.finished.len() == REMEMBERED {
                self.finished.pop_front();
            }
            let (created, quiet) = (ended.created, ended.interrupted);
            self.finished.push_back(Finished { id: id.clone(), created, quiet });
        }
        Some(*ended)
    }

    /// Returns `Some` if a response with that id has ended. `Some(true)`: its `response.created` came as
    /// well.
    pub(super) fn finished(&self, id: &ResponseId) -> Option<bool> {
        self.finished.iter().find(|finished| finished.id == *id).map(|finished| finished.created)
    }

    /// Output comes of a response that has ended. Whether that is news.
    pub(super) fn note_late(&mut self, id: &ResponseId) -> bool {
        let finished = self.finished.iter_mut().find(|finished| finished.id == *id);
        finished.is_some_and(|finished| !core::mem::replace(&mut finished.quiet, true))
    }

    /// A response begins with an id that was used before.
    pub(super) fn forget_finished(&mut self, id: &ResponseId) {
        self.finished.retain(|finished| finished.id != *id);
    }

    /// By its id, or by its id as it stands in a text.
    pub(super) fn get_mut<Id: ?Sized>(&mut self, id: &Id) -> Option<&mut OpenResponse>
    where
        ResponseId: PartialEq<Id>,
    {
        self.running.iter_mut().find(|response| response.id == *id).map(Box::as_mut)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenResponse> {
        self.running.iter().map(Box::as_ref)
    }

    /// All of them, oldest first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenResponse> {
        self.running.iter_mut().map(Box::as_mut)
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<&OpenResponse> {
        self.running.back().map(Box::as_ref)
    }

    /// All of them, at the end.
    pub(super) fn take(self) -> impl Iterator<Item = OpenResponse> + use<> {
        self.running.into_iter().map(|response| *response)
    }
}
