//! The user speaks over the assistant: playback stops, the response ends, and the server is told what was
//! heard.
//!
//! With reported playback this is a handshake: `StopPlayback` is told, and the application's answer, or the
//! deadline, settles what was heard. With estimated playback it happens in one step.
//!
//! A handshake covers the audio that had started when it began. Audio that starts later keeps playing; to
//! interrupt it takes another handshake, with its own [`StopId`]. Handshakes are settled in order.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::call::{CommandId, Cut, Event, HeardPart, Interruption, Outcome, StopId};
use crate::event::ConversationItemTruncate;
use crate::id::{ItemId, ResponseId};
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::options::{PlaybackSource, SessionOptions, Unheard};
use crate::session::playback::Part;
use crate::session::sequencer::turn;
use crate::time::Timestamp;

/// The most interruptions that may wait for playback to stop. Beyond that the oldest is settled by the last
/// report.
const MOST_STOPPING: usize = 32;

/// Who interrupts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    /// The server: it cancels the response itself.
    Server,
    /// The policy: this side cancels.
    Policy,
    /// The application: this side cancels.
    Application,
}

/// Interruptions that wait for playback to stop, oldest first.
#[derive(Debug, Default)]
pub(super) struct Interruptions {
    stopping: VecDeque<Stopping>,
    /// The id of the newest one.
    last: StopId,
}

#[derive(Debug)]
struct Stopping {
    id: StopId,
    /// When the last report counts.
    deadline: Timestamp,
    waiters: Vec<CommandId>,
    response_id: Option<ResponseId>,
    /// Whether playback was held before, and had reported its position.
    is_exact: bool,
}

impl Interruptions {
    pub(super) fn is_empty(&self) -> bool {
        self.stopping.is_empty()
    }

    /// Numbers handshakes from here on, so that an answer for an earlier session is not mistaken for one of
    /// this session.
    pub(super) const fn number_from(&mut self, id: StopId) {
        self.last = id;
    }

    /// When the oldest one's last report counts.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.stopping.front().map(|stopping| stopping.deadline)
    }

    /// The newest one that is overdue.
    fn overdue(&self, now: Timestamp) -> Option<StopId> {
        self.stopping.iter().rfind(|stopping| stopping.deadline <= now).map(|stopping| stopping.id)
    }

    /// The oldest one, if there are too many.
    fn excess(&self) -> Option<StopId> {
        let full = self.stopping.len() >= MOST_STOPPING;
        self.stopping.front().filter(|_| full).map(|stopping| stopping.id)
    }

    fn contains(&self, id: StopId) -> bool {
        self.stopping.iter().any(|stopping| stopping.id == id)
    }

    fn begin(
        &mut self,
        deadline: Timestamp,
        waiter: Option<CommandId>,
        response_id: Option<ResponseId>,
        is_exact: bool,
    ) -> StopId {
        self.last = StopId(self.last.0 + 1);
        let waiters = waiter.into_iter().collect();
        self.stopping.push_back(Stopping { id: self.last, deadline, waiters, response_id, is_exact });
        self.last
    }

    /// Takes out the oldest one, if it is not newer than `id`.
    fn take(&mut self, id: StopId) -> Option<Stopping> {
        if self.stopping.front()?.id <= id { self.stopping.pop_front() } else { None }
    }
}

impl Session {
    /// Ends what the assistant says.
    pub(super) fn interrupt(&mut self, waiter: Option<CommandId>, by: By) {
        let response_id = self.responses.running().cloned();
        if by != By::Server {
            self.cancel_unwanted();
        }
        let claimed = (by == By::Application).then(|| self.claimed_turn());
        self.responses.cross(claimed);
        // A running function counts as something to interrupt: the application may want to stop it.
        let runs = self.responses.interrupt();
        let goes_on = runs | self.calls.interrupt();
        let audible = self.playback.is_audible(self.now, self.options.playback);
        if !goes_on && !audible {
            // Nothing new to interrupt: join the pending interruption if there is one.
            match (self.interruptions.stopping.back_mut(), waiter) {
                (Some(stopping), waiter) => stopping.waiters.extend(waiter),
                (None, Some(id)) => self.settle(id, Outcome::Done),
                (None, None) => {}
            }
            return;
        }
        let handshake =
            self.options.playback == PlaybackSource::Reported && (audible || !self.interruptions.is_empty());
        let deadline = self.now + self.options.stop_deadline;
        if let Some(oldest) = self.interruptions.excess() {
            self.finish_interruptions(oldest, PlaybackSource::Estimated);
        }
        let hold = self.policy.take_hold_if(handshake);
        let is_exact = hold.is_some_and(|hold| hold.is_exact);
        let id = self.interruptions.begin(deadline, waiter, response_id, is_exact);
        if self.options.playback == PlaybackSource::Server {
            self.silence_server(by != By::Server && (audible || runs));
        }
        self.playback.stop(id);
        if handshake {
            self.tell(Event::StopPlayback { id });
        } else {
            self.finish_interruptions(id, self.options.playback);
        }
    }

    /// The application says that the user speaks. If the server detects turns, it will say so too, unless
    /// nobody speaks.
    fn claimed_turn(&self) -> turn::Step {
        let SessionOptions { longest_turn, turn_response_deadline, silent_turn_deadline, .. } = self.options;
        let longest =
            if self.config.turn_detection().is_null() { longest_turn } else { turn_response_deadline };
        turn::Step::Claimed { until: self.now + longest, silent: self.now + silent_turn_deadline }
    }

    /// Playback has stopped: an answer to `StopPlayback`.
    pub(super) fn on_stopped(&mut self, id: StopId) {
        if self.interruptions.contains(id) {
            // Earlier interruptions get no answer any more.
            self.finish_interruptions(StopId(id.0 - 1), PlaybackSource::Estimated);
            self.finish_interruptions(id, PlaybackSource::Reported);
        }
    }

    /// Settles interruptions whose answer to `StopPlayback` did not come in time.
    pub(super) fn expire_interruptions(&mut self) {
        if let Some(id) = self.interruptions.overdue(self.now) {
            self.finish_interruptions(id, PlaybackSource::Estimated);
        }
    }

    /// No answers will come: settles all interruptions by the last reports.
    pub(super) fn end_interruptions(&mut self) {
        self.finish_interruptions(self.interruptions.last, PlaybackSource::Estimated);
    }

    /// Settles what was heard, up to this interruption, and tells the server. `source`: whether playback
    /// reported its position.
    fn finish_interruptions(&mut self, id: StopId, source: PlaybackSource) {
        while let Some(stopping) = self.interruptions.take(id) {
            let parts = self.playback.take_stopped(stopping.id);
            let source = if stopping.is_exact { PlaybackSource::Reported } else { source };
            let parts = self.settle_parts(parts, source);
            self.tell(Event::Interrupted(Interruption { response_id: stopping.response_id, parts }));
            self.settle_all(stopping.waiters, &Outcome::Done);
        }
    }

    /// Settles what was heard of these parts, and tells the server.
    pub(super) fn settle_parts(&mut self, parts: Vec<Part>, source: PlaybackSource) -> Vec<HeardPart> {
        let unheard = self.unheard_items(&parts);
        let mut deleted = Vec::new();
        let mut settled = Vec::new();
        for part in parts {
            let heard = part.played(self.now, self.options.playback);
            if part.is_settled(heard) {
                continue;
            }
            let cut = if self.options.playback == PlaybackSource::Server {
                Cut::ByServer
            } else if !part.has_audio() || self.state.is_ended() {
                Cut::Nothing
            } else if unheard.contains(&part.id.item_id) {
                if !deleted.contains(&part.id.item_id) {
                    self.delete_item(None, part.id.item_id.clone());
                    deleted.push(part.id.item_id.clone());
                }
                Cut::Deleted
            } else {
                self.truncate(&part, heard)
            };
            settled.push(HeardPart {
                heard_text: part.heard_text(heard).into(),
                format: part.format(),
                received: part.received(),
                item_id: part.id.item_id,
                content_index: part.id.content_index,
                heard,
                estimated: source != PlaybackSource::Reported,
                cut,
            });
        }
        settled
    }

    /// Items to delete, because nothing of them was heard. A part other than the item's first proves nothing:
    /// the first part may have been heard and have left the ledger.
    fn unheard_items(&self, parts: &[Part]) -> Vec<ItemId> {
        if self.options.unheard == Unheard::Truncate || self.options.playback == PlaybackSource::Server {
            return Vec::new();
        }
        let is_unheard = |part: &Part| part.played(self.now, self.options.playback) == 0;
        parts
            .iter()
            .filter(|part| part.id.content_index == 0 && part.has_audio())
            .map(|part| &part.id.item_id)
            .filter(|item_id| parts.iter().filter(|part| part.id.item_id == **item_id).all(is_unheard))
            .cloned()
            .collect()
    }

    fn truncate(&mut self, part: &Part, heard: u64) -> Cut {
        let audio_end_ms = part.format().time_of(heard).as_millis();
        let event_id = self.next_event_id();
        self.expect(None, event_id.clone(), Await::Truncated(part.id.item_id.clone()));
        self.send(ConversationItemTruncate {
            event_id: event_id.into(),
            item_id: part.id.item_id.clone(),
            content_index: part.id.content_index,
            audio_end_ms,
            ..Default::default()
        });
        Cut::Truncated { audio_end_ms }
    }
}
