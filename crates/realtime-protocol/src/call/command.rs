//! What an application asks of a session: one serialisable enum, so that callers, the log, replays and a
//! driver's channel share one form.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::call::FunctionOutput;
use crate::event::ClientEvent;
use crate::event::scan::write;
use crate::id::{CallId, ItemId, ResponseId};
use crate::item::Item;
use crate::response::ResponseParams;
use crate::session_config::SessionConfig;
use crate::time::MediaTime;

/// Identifies a command, so that its answer can be matched to its caller. Unique within a call, across its
/// sessions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}", self.0)
    }
}

/// Something an application asks of a session.
///
/// A command that can't be right is refused at once with a [`CommandError`]. Every other command ends in
/// exactly one [`Event::Settled`](crate::call::Event::Settled). Audio and playback reports are frequent and
/// get no answer: they are [`Media`](crate::call::Media).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Makes a user item of the input buffer; only for sessions without turn detection.
    CommitAudio {
        /// Whether the model should answer it.
        respond: bool,
    },
    /// Empties the input buffer.
    ClearAudio {},
    /// Adds an item to the conversation. It gets an id if it has none.
    CreateItem {
        /// The item.
        item: Box<Item>,
        /// The item to insert it after. Default: the last one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<ItemId>,
        /// Whether the model should answer it.
        respond: bool,
    },
    /// Removes an item from the conversation.
    DeleteItem {
        /// The item.
        item_id: ItemId,
    },
    /// Asks for an item as the server has it, audio included.
    RetrieveItem {
        /// The item.
        item_id: ItemId,
    },
    /// Asks for a response. Without parameters, it merges with others that wait, unless it is protected.
    CreateResponse {
        /// What differs from the session's configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<Box<ResponseParams>>,
        /// Whether the response is protected from the user's speech: a greeting, or a notice that must be
        /// heard. A turn that the user takes meanwhile is answered after it. [`Interrupt`](Self::Interrupt)
        /// still interrupts it. Under the [policy](crate::session::InterruptionPolicy) `AtOnce` the server
        /// itself cancels the rest of the response; the audio that has come is played to its end.
        #[serde(default, skip_serializing_if = "is_false")]
        protected: bool,
    },
    /// Cancels a response and leaves what it has said; see [`Interrupt`](Self::Interrupt) for a barge-in.
    CancelResponse {
        /// Which one. Default: the one in the conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_id: Option<ResponseId>,
    },
    /// The user speaks over the assistant: stops playback, cancels the response, truncates what was not
    /// heard.
    Interrupt {},
    /// The user speaks over the assistant, as this side finds where the session detects no turns: as
    /// [`Interrupt`](Self::Interrupt), unless what runs or is heard is protected.
    BargeIn {},
    /// Changes the configuration. Members that are set replace the old ones, the others stay. Ends in
    /// [`Outcome::Updated`](crate::call::Outcome::Updated), which names what was not applied.
    UpdateConfig {
        /// The members to change.
        config: Box<SessionConfig>,
    },
    /// Answers a function call.
    AnswerFunction {
        /// The call.
        call_id: CallId,
        /// How it ended.
        output: FunctionOutput,
        /// Whether the model should respond. It does so once all calls of a response are answered, if any of
        /// the answers asks for it.
        respond: bool,
    },
    /// Sends an event as it is, without any bookkeeping. Done once it is sent. An error that names it comes
    /// as [`Event::ServerError`](crate::call::Event::ServerError).
    SendEvent {
        /// The event.
        #[serde(with = "crate::event::logged")]
        event: Box<ClientEvent>,
    },
    /// Moves the call to another connection. Answered once the new connection has taken over. A session used
    /// alone refuses it, and so does a [`Call`](crate::call::Call) that does not reconnect.
    Rotate {
        /// The endpoint's place in the list. Default: the first usable one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<u32>,
        /// Whether to do it even in the middle of a turn, for example when the server has frozen.
        urgent: bool,
    },
    /// Ends the session.
    Close {},
}

impl Command {
    /// Payload size in bytes of JSON; 0 for commands that are always small.
    pub fn size(&self) -> usize {
        fn json<T: Serialize + ?Sized>(value: &T) -> usize {
            let mut text = String::new();
            write(value, &mut text);
            text.len()
        }
        match self {
            Self::CreateItem { item, .. } => json(item),
            Self::CreateResponse { params, .. } => params.as_ref().map_or(0, json),
            Self::UpdateConfig { config } => json(config),
            Self::AnswerFunction { output, .. } => json(&output.to_wire()),
            Self::SendEvent { event } => json(event),
            _ => 0,
        }
    }

    /// Returns whether it is an `input_audio_buffer.append` event.
    pub(crate) fn is_append(&self) -> bool {
        matches!(self, Self::SendEvent { event } if matches!(**event, ClientEvent::InputAudioBufferAppend(_)))
    }

    /// The command's name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CommitAudio { .. } => "commit_audio",
            Self::ClearAudio {} => "clear_audio",
            Self::CreateItem { .. } => "create_item",
            Self::DeleteItem { .. } => "delete_item",
            Self::RetrieveItem { .. } => "retrieve_item",
            Self::CreateResponse { .. } => "create_response",
            Self::CancelResponse { .. } => "cancel_response",
            Self::Interrupt {} => "interrupt",
            Self::BargeIn {} => "barge_in",
            Self::UpdateConfig { .. } => "update_config",
            Self::AnswerFunction { .. } => "answer_function",
            Self::SendEvent { .. } => "send_event",
            Self::Rotate { .. } => "rotate",
            Self::Close {} => "close",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A command that was refused at once. It had no effect, and is handed back. `Debug` shows its name and size,
/// and no words: for these, show [`command`](Self::command).
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("cannot {}: {reason}", self.command.name())]
pub struct CommandError {
    /// The command as it was given.
    pub command: Box<Command>,
    /// Why it can't be right.
    #[source]
    pub reason: Refusal,
}

impl fmt::Debug for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandError")
            .field("command", &self.command.name())
            .field("bytes", &self.command.size())
            .field("reason", &self.reason)
            .finish()
    }
}

/// Why a command can't be right.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// Less than the server accepts. A push-to-talk turn is over nevertheless, and its audio does not become
    /// part of the next turn. Otherwise the audio stays in the buffer, and more can be appended.
    #[error("expected at least 100 ms of audio in the input buffer, got {buffered}")]
    TooShort {
        /// What has been appended since the last commit or clear.
        buffered: MediaTime,
    },
    /// No call of that id waits for an output.
    #[error("no call {call_id} waits for an output: it was never made, or is already answered")]
    UnknownFunction {
        /// The call.
        call_id: CallId,
    },
    /// More than a limit of the wire.
    #[error("expected at most {limit} {unit} in {what}, got {got}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was given.
        got: usize,
        /// The unit of both.
        unit: &'static str,
    },
    /// There is no connection at the moment: wait for
    /// [`Event::Connection(ConnectionEvent::Resumed)`](crate::call::Event::Connection(ConnectionEvent::Resumed)).
    #[error("there is no connection at the moment")]
    NotConnected,
    /// The call has one connection and gets no other.
    #[error("the call has one connection and gets no other")]
    OneConnection,
    /// There is no such endpoint.
    #[error("expected one of {endpoints} endpoints, got number {endpoint}")]
    NoSuchEndpoint {
        /// What was given, counted from 0.
        endpoint: u32,
        /// How many there are.
        endpoints: u32,
    },
    /// Outside another limit of the wire.
    #[error(transparent)]
    OutOfLimits(#[from] crate::check::Violation),
    /// A commit that was sent: the input buffer was cleared before the server had acknowledged it.
    #[error("the input buffer was cleared before the server had acknowledged the commit")]
    Cleared,
    /// Connections ended before the server had acknowledged it, and it is not sent again. If a connection
    /// ended because of it, change it or make it smaller.
    #[error("{because}")]
    NotSentAgain {
        /// What happened.
        because: String,
    },
    /// Too many commands wait: for the session to be ready, or for a response.
    #[error("{waiting} commands wait already")]
    TooManyWaiting {
        /// How many wait.
        waiting: usize,
    },
}

/// In a log it is a sentence.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Refusal {
    /// Returns whether the same command may be taken later in this call.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::NotConnected | Self::TooManyWaiting { .. })
    }
}
