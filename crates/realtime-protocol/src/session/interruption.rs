//! The user speaks over the assistant: playback stops, the response ends, and the server is told what was heard.
//!
//! With reported playback this is a handshake: `StopPlayback` goes out, and the answer, or the deadline, settles
//! what was heard. With estimated playback it happens in one step.

use alloc::vec::Vec;

use crate::event::ConversationItemTruncate;
use crate::session::Session;
use crate::session::answers::Await;
use crate::session::command::CommandId;
use crate::session::options::{PlaybackSource, Unheard};
use crate::session::output::{Cut, HeardPart, Interruption, Outcome, SessionEvent};
use crate::time::{MediaTime, Timestamp};

/// An interruption that waits for playback to stand still.
#[derive(Debug)]
pub(super) struct Stopping {
    /// When the last report counts.
    pub(super) deadline: Timestamp,
    pub(super) waiters: Vec<CommandId>,
    response_id: Option<crate::id::ResponseId>,
}

impl Session {
    /// Ends what the assistant says. `cancel`: whether this side must cancel the response, since the server will
    /// not do it by itself.
    pub(super) fn interrupt(&mut self, waiter: Option<CommandId>, cancel: bool) {
        if let Some(stopping) = &mut self.stopping {
            stopping.waiters.extend(waiter);
            return;
        }
        let response_id = self.responses.running().cloned();
        if cancel && response_id.is_some() {
            self.cancel(None, None);
        }
        for response in self.responses.open_mut() {
            response.interrupted |= !response.out_of_band;
        }
        let audible = self.playback.is_audible(self.now, self.options.playback);
        if response_id.is_none() && !audible {
            if let Some(id) = waiter {
                self.settle(id, Outcome::Done);
            }
            return;
        }
        let deadline = self.now + self.options.stop_deadline;
        self.stopping = Some(Stopping { deadline, waiters: waiter.into_iter().collect(), response_id });
        match self.options.playback {
            PlaybackSource::Reported if audible => self.tell(SessionEvent::StopPlayback),
            PlaybackSource::Reported | PlaybackSource::Estimated => {
                self.finish_interruption(PlaybackSource::Estimated)
            }
        }
    }

    /// Settles what was heard, and tells the server. `source`: whether playback itself said where it stands.
    pub(super) fn finish_interruption(&mut self, source: PlaybackSource) {
        let Some(stopping) = self.stopping.take() else { return };
        let mut interruption = Interruption { response_id: stopping.response_id, parts: Vec::new() };
        for part in self.playback.take() {
            let heard = part.played(self.now, self.options.playback);
            if part.has_audio() && part.heard_whole(heard) || !part.has_audio() && !part.has_words() {
                continue;
            }
            let cut = if !part.has_audio() {
                // The server cut the item off before it sent any of its sound: there is nothing to truncate.
                Cut::Nothing
            } else if heard == MediaTime::ZERO && self.options.unheard == Unheard::Delete {
                self.delete_item(None, part.id.item_id.clone());
                Cut::Deleted
            } else {
                let audio_end_ms = heard.as_millis();
                let event_id = self.next_event_id();
                self.expect(None, event_id.clone(), Await::Truncated(part.id.item_id.clone()));
                let event_id = event_id.into();
                self.send(ConversationItemTruncate {
                    event_id,
                    item_id: part.id.item_id.clone(),
                    content_index: part.id.content_index,
                    audio_end_ms,
                    ..Default::default()
                });
                Cut::Truncated { audio_end_ms }
            };
            interruption.parts.push(HeardPart {
                heard_text: part.heard_text(heard).into(),
                received: part.received(),
                item_id: part.id.item_id,
                content_index: part.id.content_index,
                heard,
                estimated: source == PlaybackSource::Estimated,
                cut,
            });
        }
        self.tell(SessionEvent::Interrupted(interruption));
        self.settle_all(stopping.waiters, &Outcome::Done);
    }
}
