//! The core: one connection's life as a state machine without socket, clock or randomness.

mod client_event;
mod conversation;
mod fault;
mod ids;
mod input_audio;
mod item_check;
mod options;
mod outbox;
mod plan;
mod response;
mod session;
mod session_check;
mod turns;
mod usage;
mod vad;

use std::collections::VecDeque;
use std::fmt;

use realtime_protocol::content::ContentPart;
use realtime_protocol::event::*;
use realtime_protocol::id::{ConversationId, EventId, ItemId};
use realtime_protocol::item::Item;
use realtime_protocol::time::{MediaTime, Timestamp, UnixTime};

use crate::brain::Brain;
use crate::connection::conversation::Conversation;
use crate::connection::input_audio::{InputAudio, not_audio};
use crate::connection::outbox::{Outbox, send};
use crate::connection::response::Running;
use crate::connection::session::Session;
use crate::voice;

pub(crate) use fault::Fault;
pub(crate) use ids::Ids;
pub use options::{ConnectionOptions, Limits};
pub use outbox::Output;

/// One client's session, from `session.created` to the close.
///
/// Nothing happens in it but what its driver says: text came, time passed. The contract:
///
/// - After any `handle_*`, and at the start, take outputs with [`poll_output`](Self::poll_output) until it returns
///   `None`, then read [`poll_timeout`](Self::poll_timeout) and call [`handle_timeout`](Self::handle_timeout) then.
/// - Outputs keep their order however late they are taken. An early or superfluous `handle_timeout` does nothing; an
///   older `now` counts as the newest seen.
/// - The same options, brain, inputs and times give the same outputs, byte for byte.
/// - Nothing that a client sends makes it fail or panic: it is answered by an `error` event.
pub struct Connection {
    options: ConnectionOptions,
    brain: Box<dyn Brain>,
    out: Outbox,
    now: Timestamp,
    expires: Timestamp,
    closed: bool,
    conversation_id: ConversationId,
    session: Session,
    input: InputAudio,
    conversation: Conversation,
    /// The one in the conversation first, if there is one; then those beside it, oldest first.
    running: Vec<Running>,
    transcriptions: VecDeque<Transcription>,
}

/// A transcript that is on its way.
#[derive(Debug)]
struct Transcription {
    at: Timestamp,
    item_id: ItemId,
    text: String,
    length: MediaTime,
}

impl Connection {
    /// A session that begins now: `session.created` is its first output. `wall` is needed for `expires_at` only.
    pub fn new(options: ConnectionOptions, brain: Box<dyn Brain>, now: Timestamp, wall: UnixTime) -> Self {
        let mut out = Outbox::new(Ids::new(options.seed));
        let session = Session::new(&options, out.ids.session(), wall);
        let conversation_id = out.ids.conversation();
        send!(&mut out, SessionCreated { session: session.shown() });
        Self {
            brain,
            out,
            now,
            expires: now + options.session_length,
            closed: false,
            conversation_id,
            session,
            input: InputAudio::new(options.limits.input_buffer_bytes),
            conversation: Conversation::new(options.limits.clone()),
            running: Vec::new(),
            transcriptions: VecDeque::new(),
            options,
        }
    }

    /// Takes one wire text from the client.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.advance(now);
        if self.closed {
            return;
        }
        match client_event::read(text) {
            Ok(event) => self.handle_event(event),
            Err((fault, event_id)) => self.out.refuse(fault, event_id),
        }
        self.advance(now);
    }

    /// Takes a binary message, which the protocol does not have: an `error` answers it.
    pub fn handle_binary(&mut self, now: Timestamp) {
        self.advance(now);
        if !self.closed {
            let message = "Expected a text WebSocket message; binary frames are not supported.";
            self.out.refuse(Fault::new("invalid_event", message), None);
        }
    }

    /// Refuses what the client sent, in an `error` event.
    pub(crate) fn refuse(&mut self, fault: Fault, event_id: Option<EventId>) {
        if !self.closed {
            self.out.refuse(fault, event_id);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// The next thing to send, or the close; `None` until more happens.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` after the close.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.closed {
            return None;
        }
        let transcription = self.transcriptions.front().map(|transcription| transcription.at);
        let response = self.running.iter().filter_map(Running::next_at).min();
        [transcription, response, Some(self.expires)].into_iter().flatten().min()
    }

    fn handle_event(&mut self, event: ClientEvent) {
        let event_id = event.event_id().cloned();
        let result = match event {
            ClientEvent::SessionUpdate(event) => self.update(event),
            ClientEvent::InputAudioBufferAppend(event) => self.append(&event),
            ClientEvent::InputAudioBufferCommit(_) => self.commit(),
            ClientEvent::InputAudioBufferClear(_) => {
                self.input.clear();
                send!(&mut self.out, InputAudioBufferCleared {});
                Ok(())
            }
            ClientEvent::OutputAudioBufferClear(_) => {
                let message = "'output_audio_buffer.clear' is for WebRTC and SIP connections only.";
                Err(Fault::new("invalid_event", message))
            }
            ClientEvent::ConversationItemCreate(event) => self.create_item(event),
            ClientEvent::ConversationItemRetrieve(event) => self.retrieve_item(&event.item_id),
            ClientEvent::ConversationItemTruncate(event) => self.truncate_item(event),
            ClientEvent::ConversationItemDelete(event) => self.delete_item(event.item_id),
            ClientEvent::ResponseCreate(event) => self
                .create_response(event.response.into_value().map_or_else(Default::default, |params| *params)),
            ClientEvent::ResponseCancel(event) => self.cancel_response(event.response_id.value()),
            // The reader refuses all others.
            _ => Ok(()),
        };
        if let Err(fault) = result {
            self.out.refuse(fault, event_id);
        }
    }

    fn update(&mut self, event: SessionUpdate) -> Result<(), Fault> {
        self.session.update(*event.session)?;
        self.input.set_format(self.session.config().input_format());
        send!(&mut self.out, SessionUpdated { session: self.session.shown() });
        Ok(())
    }

    fn append(&mut self, event: &InputAudioBufferAppend) -> Result<(), Fault> {
        let bytes = event.audio.bytes().map_err(|_| not_audio())?;
        self.hear(bytes)
    }

    fn create_item(&mut self, event: ConversationItemCreate) -> Result<(), Fault> {
        let place = self.conversation.place(event.previous_item_id.value())?;
        let format = self.session.config().input_format();
        let entry = item_check::entry(*event.item, format, &self.conversation, &mut self.out.ids)?;
        let (id, item) = (entry.id.clone(), entry.item.clone());
        self.conversation.insert(place, entry);
        let previous = self.conversation.before(&id);
        send!(
            &mut self.out,
            ConversationItemAdded { previous_item_id: previous.clone(), item: item.clone() }
        );
        send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
        Ok(())
    }

    fn retrieve_item(&mut self, id: &ItemId) -> Result<(), Fault> {
        let item = self.conversation.retrieve(id)?;
        send!(&mut self.out, ConversationItemRetrieved { item: item });
        Ok(())
    }

    fn truncate_item(&mut self, event: ConversationItemTruncate) -> Result<(), Fault> {
        let ConversationItemTruncate { item_id, content_index, audio_end_ms, .. } = event;
        self.conversation.truncate(&item_id, content_index, audio_end_ms)?;
        send!(
            &mut self.out,
            ConversationItemTruncated {
                item_id: item_id,
                content_index: content_index,
                audio_end_ms: audio_end_ms,
            }
        );
        Ok(())
    }

    fn delete_item(&mut self, id: ItemId) -> Result<(), Fault> {
        self.conversation.remove(&id)?;
        send!(&mut self.out, ConversationItemDeleted { item_id: id });
        Ok(())
    }

    /// Does all that is due by `now`, in the order in which it is due.
    fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while !self.closed {
            let transcription = self.transcriptions.front().map(|next| (next.at, None));
            let responses = self.running.iter().enumerate();
            let responses = responses.filter_map(|(index, running)| Some((running.next_at()?, Some(index))));
            // `None` is less than any index: what is due at one time has a fixed order.
            let Some((at, which)) = responses.chain(transcription).min().filter(|(at, _)| *at <= now) else {
                break;
            };
            if at >= self.expires {
                break;
            }
            self.now = at.max(self.now);
            match which {
                None => self.transcribe(),
                Some(index) => self.step_response(index),
            }
        }
        self.now = now;
        if !self.closed && now >= self.expires {
            self.expire();
        }
    }

    fn transcribe(&mut self) {
        let Some(Transcription { item_id, text, length, .. }) = self.transcriptions.pop_front() else {
            return;
        };
        let Some(entry) = self.conversation.find_mut(&item_id) else { return };
        if let Item::Message(message) = &mut entry.item {
            for part in message.content.value_mut().into_iter().flatten() {
                if let ContentPart::InputAudio(part) = part {
                    part.transcript = text.as_str().into();
                }
            }
        }
        for word in voice::words(&text) {
            send!(
                &mut self.out,
                InputAudioTranscriptionDelta { item_id: item_id.clone(), content_index: 0_u32, delta: word }
            );
        }
        let usage = usage::transcription_usage(length, &text);
        send!(
            &mut self.out,
            InputAudioTranscriptionCompleted {
                item_id: item_id,
                content_index: 0_u32,
                transcript: text,
                usage: usage,
            }
        );
    }

    fn step_response(&mut self, index: usize) {
        let Some(running) = self.running.get_mut(index) else { return };
        if matches!(running.schedule.front(), Some((_, plan::Beat::Sound(_)))) {
            self.session.spoken = true;
        }
        if running.step(&mut self.out, &mut self.conversation) {
            self.running.remove(index);
        }
    }

    fn expire(&mut self) {
        let minutes = self.options.session_length.as_secs() / 60;
        let message = format!("Your session hit the maximum duration of {minutes} minutes.");
        self.out.refuse(Fault::new("session_expired", message), None);
        self.out.close(1001, "session_expired");
        self.closed = true;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("now", &self.now)
            .field("running", &self.running.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
