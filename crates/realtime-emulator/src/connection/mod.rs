//! The core: one connection's life as a state machine without socket, clock or randomness.

mod client_event;
mod context;
mod conversation;
mod fault;
mod idle;
mod ids;
mod input_audio;
mod item_check;
mod items;
mod mcp;
mod open_item;
mod options;
mod outbox;
mod plan;
mod playing;
mod response;
mod session;
mod session_check;
mod spelling;
mod transcription;
mod trigger;
mod turns;
mod usage;
mod vad;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use realtime_protocol::event::*;
use realtime_protocol::id::{ConversationId, EventId};
use realtime_protocol::time::{Timestamp, UnixTime};

use crate::brain::Brain;
use crate::connection::conversation::Conversation;
use crate::connection::idle::Idle;
use crate::connection::input_audio::{InputAudio, not_audio};
use crate::connection::mcp::Listing;
use crate::connection::outbox::{Outbox, send};
use crate::connection::playing::Playing;
use crate::connection::response::Running;
use crate::connection::session::Session;
use crate::connection::transcription::Transcription;
use crate::connection::usage::Tokens;

pub(crate) use fault::{Fault, FaultKind, no_unknown};
pub(crate) use ids::Ids;
pub use options::{ConnectionOptions, Limits};
pub use outbox::Output;
pub(crate) use playing::Sound;
pub(crate) use session::opening_session;

/// One client's session, from `session.created` to the close.
///
/// It reacts only to its driver: text came, time passed. The contract:
///
/// - After any `handle_*`, and at the start, take outputs with [`poll_output`](Self::poll_output) until it
///   returns `None`, then read [`poll_timeout`](Self::poll_timeout) and call
///   [`handle_timeout`](Self::handle_timeout) then.
/// - Outputs keep their order however late they are taken. An early or superfluous `handle_timeout` does
///   nothing; an older `now` counts as the newest seen.
/// - The same options, brain, inputs and times give the same outputs, byte for byte.
/// - Nothing that a client sends makes it fail or panic: it is answered by an `error` event.
pub struct Connection {
    options: ConnectionOptions,
    brain: Box<dyn Brain>,
    out: Outbox,
    now: Timestamp,
    /// When it began, by both clocks.
    began: Timestamp,
    wall: UnixTime,
    expires: Timestamp,
    closed: bool,
    conversation_id: ConversationId,
    session: Session,
    input: InputAudio,
    conversation: Conversation,
    /// The response in the conversation first, if there is one; then out-of-band ones, oldest first.
    running: Vec<Running>,
    transcriptions: VecDeque<Transcription>,
    listings: VecDeque<Listing>,
    /// The MCP servers that were asked for their tools.
    mcp_labels: BTreeSet<String>,
    idle: Option<Idle>,
    playing: Playing,
    /// What the last response in the conversation read.
    cache: Tokens,
}

/// What can be due. The order here decides between things due at the same time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    Transcription,
    Listing,
    Played,
    Response(usize),
    Idle,
}

impl Connection {
    /// A session that begins now: `session.created` is its first output. `wall` is needed for `expires_at`
    /// only.
    pub fn new(
        mut options: ConnectionOptions,
        brain: Box<dyn Brain>,
        now: Timestamp,
        wall: UnixTime,
    ) -> Self {
        let profile = options.profile.table();
        options.session_length = options.session_length.min(profile.session_length);
        if profile.transcribes_first {
            options.transcription_delay = Duration::ZERO;
        }
        let mut out = Outbox::new(Ids::new(options.seed), options.dialect, profile);
        let session = Session::new(&options, out.ids.session(), wall);
        let conversation_id = out.ids.conversation();
        let mut connection = Self {
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
            listings: VecDeque::new(),
            mcp_labels: BTreeSet::new(),
            idle: None,
            playing: Playing::default(),
            began: now,
            wall,
            cache: Tokens::default(),
            options,
        };
        connection.input.set_format(connection.session.config().input_format());
        connection.open();
        connection.list_mcp_tools();
        connection
    }

    /// Sends the first events: the session as it is now.
    pub(crate) fn open(&mut self) {
        if self.closed {
            self.out.close(1001, "session_expired");
            return;
        }
        send!(&mut self.out, SessionCreated { session: self.session.shown() });
        if self.options.conversation_created.unwrap_or(self.options.dialect == Dialect::Beta) {
            let conversation = realtime_protocol::event::Conversation::default()
                .id(self.conversation_id.clone())
                .object("realtime.conversation");
            send!(&mut self.out, ConversationCreated { conversation: conversation });
        }
    }

    /// Takes one wire text from the client.
    pub fn handle_text(&mut self, now: Timestamp, text: &str) {
        self.advance(now);
        if self.closed {
            return;
        }
        let taken = self.options.profile.table().taken(text);
        taken.faults.into_iter().for_each(|(fault, event_id)| self.out.refuse(fault, event_id));
        if let Some(text) = taken.text {
            match client_event::read(&text, self.options.dialect) {
                Ok(event) => self.handle_event(event),
                Err((fault, event_id)) => self.out.refuse(fault, event_id),
            }
        }
        self.advance(now);
    }

    /// Takes a binary message. The protocol has none, so it is answered by an `error`.
    pub fn handle_binary(&mut self, now: Timestamp) {
        self.advance(now);
        if !self.closed {
            let message = "Expected a text WebSocket message; binary frames are not supported.";
            self.out.refuse(Fault::new("invalid_event", message), None);
        }
    }

    /// Returns whether the session has ended.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The spelling on the wire.
    pub(crate) const fn dialect(&self) -> Dialect {
        self.options.dialect
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
        self.next_due().map(|(at, _)| at).into_iter().chain([self.expires]).min()
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
            ClientEvent::OutputAudioBufferClear(_) if self.options.sideband => {
                self.stop_playing();
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
        let rewrites = !event.session.instructions.is_absent() || !event.session.tools.is_absent();
        self.session.update(*event.session)?;
        if rewrites {
            self.cache = Tokens::default();
        }
        self.input.set_format(self.session.config().input_format());
        send!(&mut self.out, SessionUpdated { session: self.session.shown() });
        self.list_mcp_tools();
        Ok(())
    }

    fn append(&mut self, event: &InputAudioBufferAppend) -> Result<(), Fault> {
        let bytes = event.audio.bytes().map_err(|_| not_audio())?;
        self.hear(bytes)
    }

    /// What is due next, and when. Things due at the same time have a fixed order.
    fn next_due(&self) -> Option<(Timestamp, Due)> {
        let transcription = self.transcriptions.front().map(|next| (next.at, Due::Transcription));
        let listing = self.listings.front().map(|next| (next.at, Due::Listing));
        let playing = self.playing.ends().map(|at| (at, Due::Played));
        let idle = self.idle.map(|idle| (idle.at, Due::Idle));
        let responses = self.running.iter().enumerate();
        let responses =
            responses.filter_map(|(index, running)| Some((running.next_at()?, Due::Response(index))));
        responses.chain(transcription).chain(listing).chain(playing).chain(idle).min()
    }

    /// Does all that is due by `now`, in the order in which it is due.
    fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while !self.closed {
            let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= now && *at < self.expires) else {
                break;
            };
            self.now = at.max(self.now);
            match due {
                Due::Transcription => self.transcribe(),
                Due::Listing => self.end_listing(),
                Due::Played => self.end_playing(),
                Due::Response(index) => self.step_response(index),
                Due::Idle => self.end_idle(),
            }
        }
        self.now = now;
        if !self.closed && now >= self.expires {
            self.expire();
        }
    }

    fn step_response(&mut self, index: usize) {
        let Some(running) = self.running.get_mut(index) else { return };
        if let Some((_, plan::Beat::Sound(sound))) = running.schedule.front() {
            let (format, sound) = (running.format, sound.clone());
            let place = running.open_item().filter(|_| !running.is_cancelled());
            self.session.spoken = true;
            if let Some((id, item_id)) = place {
                self.play(id, item_id, format, sound);
            }
        }
        let Some(running) = self.running.get_mut(index) else { return };
        if running.step(&mut self.out, &mut self.conversation) {
            let running = self.running.remove(index);
            self.response_ended(&running);
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
