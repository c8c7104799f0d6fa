//! What a session wants done, and what it tells: one queue of [`Output`]s, oldest first.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::audio::{AudioFormat, fnv1a};
use crate::error::ApiError;
use crate::event::{ClientEvent, Malformed, UnknownEvent};
use crate::field::Field;
use crate::id::{CallId, ItemId, ResponseId, SessionId};
use crate::item::Item;
use crate::response::StatusReason;
use crate::session::command::{CommandId, StopId};
use crate::session::deadlines::Answer;
use crate::session::errors::{Advice, ErrorClass};
use crate::session::handover::DisconnectClass;
use crate::session::timeline::Timeline;
use crate::session::usage_totals::UsageTotals;
use crate::session_config::SessionConfig;
use crate::time::{MediaTime, Timestamp};
use crate::usage::{RateLimit, Usage};
use crate::wire::Mismatch;

/// One thing that a session wants done or tells.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum Output {
    /// Send this to the server.
    Send(ClientEvent),
    /// Tell this to the application.
    Event(SessionEvent),
    /// Close the connection, and call `handle_disconnected` when it is closed.
    Close,
}

/// What a session tells the application.
///
/// As JSON (in logs and snapshots) audio is written as its size and a digest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionEvent {
    /// The server has opened the session; it is not configured yet.
    Created {
        /// The server's id for it.
        session_id: Option<SessionId>,
    },
    /// The configuration is acknowledged: audio and items flow from here on.
    Ready {
        /// The whole effective configuration, as the server reports it.
        config: Box<SessionConfig>,
    },
    /// The configuration changed.
    ConfigUpdated {
        /// The whole effective configuration, as the server reports it.
        config: Box<SessionConfig>,
    },
    /// A command is answered: exactly once for each that expects an answer.
    Settled {
        /// The command.
        id: CommandId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The user began to speak.
    SpeechStarted {
        /// The item that will hold the speech.
        item_id: Option<ItemId>,
        /// Where in the session's input audio.
        at: MediaTime,
    },
    /// The user stopped speaking.
    SpeechStopped {
        /// The item that will hold the speech.
        item_id: Option<ItemId>,
        /// Where in the session's input audio.
        at: MediaTime,
    },
    /// The user's speech will become this item.
    Committed {
        /// The item.
        item_id: ItemId,
    },
    /// An item has its place in the conversation; the model's are still empty then.
    ItemPlaced {
        /// The item.
        item: Box<Item>,
        /// Where it stands.
        place: Place,
        /// Who made it.
        origin: Origin,
    },
    /// An item is final.
    ItemDone {
        /// The item.
        item: Box<Item>,
    },
    /// An item has left the conversation.
    ItemRemoved {
        /// The item.
        item_id: ItemId,
    },
    /// A piece of what the user said. May come long after the item.
    UserTranscriptDelta {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// The new words.
        delta: String,
    },
    /// What the user said. May come long after the item.
    UserTranscript {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// All words.
        transcript: String,
    },
    /// What the user said could not be transcribed.
    UserTranscriptFailed {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// Why.
        error: Box<ApiError>,
    },
    /// A response runs. Exactly one `ResponseFinished` follows.
    ResponseStarted {
        /// The response.
        response_id: ResponseId,
        /// Who asked for it.
        origin: Origin,
        /// Whether it runs beside the conversation (`conversation: none`).
        out_of_band: bool,
        /// What the request gave along.
        metadata: BTreeMap<String, String>,
    },
    /// New words of the model's: spoken (a transcript, ahead of its audio) or written.
    Text {
        /// The response.
        response_id: ResponseId,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// The new words.
        delta: String,
        /// Whether they come with audio.
        spoken: bool,
    },
    /// New audio of the model's, to be played after all that came before it.
    Audio(AudioChunk),
    /// A part's audio is whole.
    AudioDone {
        /// The response.
        response_id: ResponseId,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// The length of all of it.
        total: MediaTime,
    },
    /// The model calls functions: all calls of one response. Answer each with
    /// [`Command::CompleteCall`](crate::session::Command::CompleteCall), unless they are out of band.
    FunctionCalls {
        /// The response.
        response_id: ResponseId,
        /// Whether the response was out of band: the conversation does not hold its calls, so that they take no output.
        /// Their arguments are what was asked for.
        out_of_band: bool,
        /// The calls, in the model's order.
        calls: Vec<FunctionCall>,
    },
    /// A call's output has been sent, or never will be: whoever still works on it should stop.
    CallEnded {
        /// The call.
        call_id: CallId,
        /// How.
        end: CallEnd,
    },
    /// A response ended.
    ResponseFinished(Box<ResponseReport>),
    /// Stop playing now, empty the queue, and answer with
    /// [`PlaybackReport::Stopped`](crate::session::PlaybackReport::Stopped). Within the options'
    /// `stop_deadline`; after it, what was reported before counts, marked as an estimate.
    StopPlayback {
        /// To be given back in the answer.
        id: StopId,
    },
    /// An interruption is settled: what was heard, and what was cut. It names nothing where the user spoke over
    /// function calls alone, which whoever runs them may stop.
    Interrupted(Interruption),
    /// The server's rate limits.
    RateLimits {
        /// The limits.
        limits: Vec<RateLimit>,
    },
    /// The server reports an error. Most leave the session open.
    ServerError {
        /// The error.
        error: Box<ApiError>,
        /// What it ends.
        class: ErrorClass,
    },
    /// An answer of the server's did not come in time. Whoever waited for it is told as well.
    Overdue {
        /// Which.
        answer: Answer,
        /// Whether the session should be replaced by another: this server used to answer, and its policy says so.
        rotate: bool,
    },
    /// The session nears its age limit.
    Expiring {
        /// How long it lives on.
        left: Duration,
    },
    /// Something is odd, and the session lives on.
    Warning(Warning),
    /// The connection ended, or an attempt to make another failed; what was not finished is carried over. Only where
    /// the call has more than one connection.
    Disconnected {
        /// Why.
        reason: CloseReason,
        /// What helps against it.
        class: DisconnectClass,
        /// When the next attempt is made; `None`: the call ends.
        retry_at: Option<Timestamp>,
    },
    /// Another connection is being made.
    Reconnecting {
        /// Which attempt since the call was healthy, from 1.
        attempt: u32,
        /// The endpoint's place in the list.
        endpoint: u32,
    },
    /// Another connection took over: it is configured and knows what was said, and what was carried over goes out.
    Reconnected {
        /// How long there was none.
        gap: Duration,
        /// Input audio that grew too old in the meantime.
        audio_lost: MediaTime,
    },
    /// Another connection took over between two turns, before the one before ended.
    Rotated {
        /// The endpoint's place in the list.
        endpoint: u32,
        /// How long input audio was held meanwhile.
        gap: Duration,
        /// Input audio that grew too old in the meantime.
        audio_lost: MediaTime,
    },
    /// The call has ended, or the session where it is used alone. Nothing follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Where an item stands among the others.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "`previous_item_id` is an id, null or missing")]
pub enum Place {
    /// Before all others. Some servers say so of every item: believe it of those that this side put there.
    First,
    /// Behind this one.
    After(ItemId),
    /// The server did not tell.
    Untold,
}

impl From<Field<ItemId>> for Place {
    /// Reads `previous_item_id`.
    fn from(previous: Field<ItemId>) -> Self {
        match previous {
            Field::Value(item_id) => Self::After(item_id),
            Field::Null => Self::First,
            Field::Absent => Self::Untold,
        }
    }
}

/// Who began something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// This side, by a command.
    Client,
    /// The far side: the user's speech, or the model.
    Server,
}

/// New audio of the model's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioChunk {
    /// The response.
    pub response_id: ResponseId,
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// Whether the response is out of band: not to be played unless that was the point.
    pub out_of_band: bool,
    /// Where in the part it begins.
    pub start: MediaTime,
    /// Counts chunks: see [`PlaybackReport::Mark`](crate::session::PlaybackReport::Mark).
    pub mark: u64,
    /// What the bytes are.
    #[serde(serialize_with = "format_text")]
    pub format: AudioFormat,
    /// The bytes: whole samples.
    #[serde(serialize_with = "digest")]
    pub audio: Bytes,
}

impl AudioChunk {
    /// How long it sounds.
    pub fn duration(&self) -> MediaTime {
        self.format.duration(self.audio.len() as u64)
    }
}

/// A call that the model asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionCall {
    /// The call's id, which its output must repeat.
    pub call_id: CallId,
    /// The item that holds it.
    pub item_id: Option<ItemId>,
    /// The function.
    pub name: String,
    /// The arguments: a JSON object as text, checked.
    pub arguments: String,
    /// The idempotency key: the same call made again after a lost connection has the same one.
    pub key: String,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallEnd {
    /// The application's output was sent.
    Answered,
    /// Its arguments are no JSON object; the model was told.
    BadArguments,
    /// Its response did not complete; the model was told.
    ResponseNotCompleted,
    /// The session ended first.
    Closed,
    /// The connection ended first, and another follows. Whoever works on the call may go on: the output, given by
    /// [`Command::CompleteCall`](crate::session::Command::CompleteCall) under this id, answers the same call if the
    /// model makes it again.
    Detached,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The server acknowledged it, or nothing had to be done.
    Done,
    /// The input buffer became this item.
    Committed {
        /// The item.
        item_id: ItemId,
    },
    /// The item is in the conversation.
    Added {
        /// The item.
        item_id: ItemId,
    },
    /// The item as the server has it.
    Retrieved {
        /// The item.
        item: Box<Item>,
    },
    /// The response that served the request ended.
    Responded {
        /// The response.
        response_id: ResponseId,
        /// How it ended.
        end: ResponseEnd,
    },
    /// The server refused it.
    Refused {
        /// Why.
        error: Box<ApiError>,
    },
    /// The server did not answer in time.
    TimedOut,
    /// The session ended first.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

impl Outcome {
    /// Whether the command did what it was for. A response counts if it ran, however it ended.
    pub const fn is_ok(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::TimedOut | Self::Closed { .. })
    }
}

/// How a response ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseEnd {
    /// Whole.
    Completed,
    /// Cancelled, by the user's speech or by this side.
    Cancelled {
        /// By whom, if told.
        reason: Option<StatusReason>,
    },
    /// Cut off.
    Incomplete {
        /// By what, if told.
        reason: Option<StatusReason>,
    },
    /// Failed.
    Failed {
        /// Why.
        error: Box<ApiError>,
        /// Whether to ask again.
        advice: Advice,
    },
    /// The session ended first.
    Lost,
}

/// A response's end, with what it cost and when it did what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseReport {
    /// The response.
    pub response_id: ResponseId,
    /// How it ended.
    pub end: ResponseEnd,
    /// What it cost; `None` where the server did not say.
    pub usage: Option<Usage>,
    /// What all responses of the session have cost, this one included.
    pub totals: UsageTotals,
    /// When it did what.
    pub timeline: Timeline,
    /// Audio bytes that came after an interruption and were dropped.
    pub dropped_bytes: u64,
}

/// An interruption: what was heard of what was audible, and what was cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Interruption {
    /// The response that was cut off, if one ran.
    pub response_id: Option<ResponseId>,
    /// Each part that had not been played whole, in order.
    pub parts: Vec<HeardPart>,
}

impl Interruption {
    /// What was heard of all parts together.
    pub fn heard(&self) -> MediaTime {
        self.parts.iter().fold(MediaTime::ZERO, |sum, part| sum + part.heard)
    }
}

/// How much of a part was heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeardPart {
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// What was played.
    pub heard: MediaTime,
    /// What had come from the server.
    pub received: MediaTime,
    /// The words heard: a prefix of those generated, found by the position of text among audio.
    pub heard_text: String,
    /// Whether `heard` is an estimate, for want of a report.
    pub estimated: bool,
    /// What the server was told.
    pub cut: Cut,
}

/// What the server was told of a part that was not played whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// `conversation.item.truncate` at so many milliseconds.
    Truncated {
        /// The length left.
        audio_end_ms: u64,
    },
    /// `conversation.item.delete`: nothing of the item was heard.
    Deleted,
    /// Nothing: no audio of it had come, or the connection was gone.
    Nothing,
}

/// Something odd that the session lives on with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// A member of an event has a wrong shape; the event counts without it.
    Mismatch {
        /// The event's `type`.
        kind: String,
        /// The member and what is wrong.
        #[serde(serialize_with = "text")]
        mismatch: Mismatch,
    },
    /// An event of a `type` that this version does not know.
    Unknown {
        /// The event.
        #[serde(serialize_with = "unknown")]
        event: UnknownEvent,
    },
    /// Text that is no event to act on.
    Malformed {
        /// The text and why.
        #[serde(serialize_with = "text")]
        event: Malformed,
    },
    /// Audio text that is not base64: nothing to play.
    AudioUnreadable {
        /// The item.
        item_id: ItemId,
        /// Characters of the text.
        characters: usize,
    },
    /// The server did not acknowledge the configuration in time; the session counts as ready.
    ConfigUnacknowledged,
    /// The server refused a member of the configuration; it was left out, and the rest sent again.
    ConfigMemberRefused {
        /// The member, as the server named it.
        param: String,
        /// The error's text.
        message: String,
    },
    /// A member of the configuration was not sent: the server no longer lets it change.
    ConfigMemberLocked {
        /// The member.
        path: String,
    },
    /// The server's configuration is not what was asked for.
    ConfigDiffers {
        /// The members.
        paths: Vec<String>,
    },
    /// A response was longer than the options allow: it was cancelled, and no more of it comes.
    ResponseTooLong {
        /// The response.
        response_id: ResponseId,
        /// What had come of it.
        audio: MediaTime,
    },
    /// A response came so late that nobody waits for it any more: it is cancelled and not heard.
    ResponseTooLate {
        /// The response.
        response_id: ResponseId,
    },
    /// Input audio waited too long: for the session to be ready, or for the connection to take it. The oldest was
    /// dropped.
    InputAudioDropped {
        /// What was lost.
        lost: MediaTime,
    },
    /// The driver could not write the session log any further: it ends, and the session goes on.
    LogFailed {
        /// What happened.
        reason: String,
    },
    /// The application reads too slowly: audio of the model's was dropped before it was read. It counts as not played.
    AudioDropped {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// Where in the part it stood.
        start: MediaTime,
        /// What was lost.
        lost: MediaTime,
    },
}

/// Why a session ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseReason {
    /// The application asked for it.
    Requested,
    /// The far side closed the connection.
    ClosedByServer {
        /// The close code, where there was one.
        code: Option<u16>,
        /// The reason given.
        reason: String,
    },
    /// The far side answered the handshake with an HTTP status.
    ConnectionRefused {
        /// The status.
        status: u16,
        /// What it said to it.
        reason: String,
        /// When it wants to be asked again (`Retry-After`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// No attempt to connect there can succeed: the key has ended, nobody trusts the certificate, what answers is
    /// something else. Correct the endpoint.
    EndpointUnusable {
        /// What is wrong.
        reason: String,
    },
    /// The connection broke, or could not be made.
    ConnectionLost {
        /// What happened.
        reason: String,
    },
    /// The application read its events so slowly that they passed the driver's bounds.
    ConsumerTooSlow,
    /// The server never opened the session.
    NotCreated,
    /// The server refused the configuration.
    ConfigRefused {
        /// The error's text.
        message: String,
    },
    /// An error of the server's that ends the session, or the account's use.
    Fatal {
        /// The error's code.
        code: String,
        /// The error's text.
        message: String,
    },
}

impl core::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Requested => f.write_str("closed by the application"),
            Self::ClosedByServer { code, reason } => {
                f.write_str("closed by the server")?;
                if let Some(code) = code {
                    write!(f, " with code {code}")?;
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::ConnectionRefused { status, reason, .. } => {
                write!(f, "connection refused with HTTP status {status}: {reason}")
            }
            Self::EndpointUnusable { reason } => write!(f, "the endpoint cannot be used: {reason}"),
            Self::ConnectionLost { reason } => write!(f, "connection lost: {reason}"),
            Self::ConsumerTooSlow => f.write_str("the application read its events too slowly"),
            Self::NotCreated => f.write_str("the server sent no session.created in time"),
            Self::ConfigRefused { message } => write!(f, "the server refused the configuration: {message}"),
            Self::Fatal { code, message } => write!(f, "{code}: {message}"),
        }
    }
}

/// Writes a digest in place of audio: its size and 64 bits of FNV-1a.
fn digest<S: Serializer>(audio: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes {:016x}", audio.len(), fnv1a(audio)))
}

fn format_text<S: Serializer>(format: &AudioFormat, serializer: S) -> Result<S::Ok, S::Error> {
    match format {
        AudioFormat::Pcm16 { rate } => serializer.collect_str(&format_args!("pcm16 {rate} Hz")),
        AudioFormat::Pcmu => serializer.serialize_str("pcmu 8000 Hz"),
        AudioFormat::Pcma => serializer.serialize_str("pcma 8000 Hz"),
    }
}

fn text<T: core::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn unknown<S: Serializer>(event: &UnknownEvent, serializer: S) -> Result<S::Ok, S::Error> {
    event.raw.serialize(serializer)
}
