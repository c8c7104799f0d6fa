//! What a call tells the application: [`Event`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use crate::call::shown::shown_without_content;
use crate::call::{
    AudioChunk, CloseReason, CommandId, DisconnectClass, ErrorClass, FunctionCall, FunctionEnd, HoldId,
    Interruption, Notice, Outcome, RefusedMember, ResponseReport, StopId, Warning,
};
use crate::error::ApiError;
use crate::event::{LogProb, ServerEvent, TranscriptionLanguage};
use crate::field::Field;
use crate::id::{ItemId, ResponseId, SessionId};
use crate::item::Item;
use crate::session::Answer;
use crate::session_config::SessionConfig;
use crate::time::{MediaTime, Timestamp};
use crate::usage::{RateLimit, TranscriptionUsage};

/// What a call tells the application. A session that is used alone tells the same.
///
/// As JSON (in logs and snapshots), audio is written as its size and a digest.
///
/// # Order
/// These rules hold for every server, whatever it sends and in whatever order. The tests read them from here
/// and check every sequence of events against them.
///
/// ```text
/// call := …* (Ready (ConfigUpdated | …)*)? Closed
/// connection := (Rotated | without+ Resumed)* without* Closed
/// without = Lost Retrying? | Suspended
/// response by response_id := ( ResponseStarted (said | FunctionCalls)* StopPlayback* ended
///     | ResponseStarted[out_of_band] (said | FunctionCalls | StopPlayback)* ended
///     | StopPlayback )*
/// said = Text | Audio | AudioDone
/// ended = ResponseFinished FunctionCalls? (Audio | AudioDone)*
/// answer by response_id := (ResponseFinished (Settled[responded] | Settled[superseded])*)*
/// interruption by age := StopPlayback? Interrupted
/// hold := (HoldPlayback (ResumePlayback | StopPlayback) | StopPlayback)* Closed
/// function by call_id := ( FunctionCalls[out_of_band] another*
///     | FunctionCalls? another* FunctionEnded (another+ FunctionEnded)* another* )*
/// another = Resumed | Rotated
/// sent by item_id := ItemSent (ItemSent | ItemPlaced[client])*
/// placed by item_id := (ItemPlaced ItemDone? | ItemRemoved)*
/// command by id := Settled
/// ```
///
/// A rule sees only the events that it names; `…` is any event that it does not name. `A B` is one after the
/// other, `A | B` either, `A?` at most one, `A*` any number and `A+` at least one. A word in brackets narrows
/// an event by its members. A rule `by` an id holds for each id separately. An event without such an id
/// (`StopPlayback`, `Resumed`) is seen by every rule that has begun. `by age`: several may be open at once,
/// and an event belongs to the oldest that can take it. `=` names a part of a rule. `Lost`, `Retrying`,
/// `Resumed`, `Rotated` and `Suspended` are those of [`ConnectionEvent`]; a session used alone never emits
/// them. A call that moves to another process is one sequence, with `Suspended` at the point where it moves.
///
/// In words:
///
/// - Nothing follows `Closed`, and everything that began has ended by then.
/// - A response says nothing before its beginning or after its end, and one in the conversation nothing after
///   `StopPlayback`. But what the server plays itself
///   ([`PlaybackSource::Server`](crate::session::PlaybackSource::Server)) may sound on after the end, until
///   the server has played it.
/// - `FunctionCalls` comes with the end of its response. For the functions in the option `early_functions` it
///   comes while the response runs. A function that could not run ends without it.
/// - A function ends once. It ends once more only if another connection is given its output, too.
/// - An item created by this side is sent before it is placed.
/// - Commands that asked for a response are answered after its end.
///
/// There is no rule for what a server may send in any order: what the user said, and the beginning and the
/// end of speech. If a server uses an id again after the earlier response or function ended, or the earlier
/// item was forgotten, the id belongs to a new one.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The server has opened the session. It is not configured yet.
    Created {
        /// The server's id for it.
        session_id: Option<SessionId>,
    },
    /// The configuration is acknowledged. From here on audio and items flow.
    Ready {
        /// The whole effective configuration: what the server reports, and what it acknowledged.
        config: Box<SessionConfig>,
        /// What was asked for and not applied.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        refused: Vec<RefusedMember>,
    },
    /// The configuration changed.
    ConfigUpdated {
        /// The whole effective configuration: what the server reports, and what it acknowledged.
        config: Box<SessionConfig>,
        /// What the update asked for and was not applied.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        refused: Vec<RefusedMember>,
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
        /// Position in the session's input audio. `None`: the server did not say, or it could not be read.
        at: Option<MediaTime>,
    },
    /// The user stopped speaking: the server says so, the buffer with the speech was committed or cleared, or
    /// no more audio is appended.
    SpeechStopped {
        /// The item that will hold the speech. `None`: not known, or there will be no item.
        item_id: Option<ItemId>,
        /// Position in the session's input audio. `None`: the server did not say, or it could not be read.
        at: Option<MediaTime>,
    },
    /// The user's speech will become this item.
    Committed {
        /// The item.
        item_id: ItemId,
    },
    /// An item created by this side was sent. It is part of the conversation unless the server refuses it.
    /// Its place comes with [`ItemPlaced`](Self::ItemPlaced).
    ItemSent {
        /// The item, with its id.
        item: Box<Item>,
        /// The item that it was put after; `None`: the last.
        after: Option<ItemId>,
    },
    /// An item has its place in the conversation. The model's items are still empty at this point.
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
        /// The languages heard, as far as the server says.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        languages: Vec<TranscriptionLanguage>,
        /// How sure the model is, token by token, if that was asked for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        logprobs: Vec<LogProb>,
        /// What it cost; `None`: the server did not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Box<TranscriptionUsage>>,
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
        /// The metadata of the request, also where the server does not repeat it.
        metadata: BTreeMap<String, String>,
    },
    /// New words from the model: spoken (a transcript, ahead of its audio) or written.
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
    /// New audio from the model. Play it after all audio that came before it.
    Audio(AudioChunk),
    /// A part's audio is complete.
    AudioDone {
        /// The response.
        response_id: ResponseId,
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// The length of all of it (samples).
        total: u64,
    },
    /// The model calls functions: all calls of one response. Answer each with
    /// [`Command::AnswerFunction`](crate::call::Command::AnswerFunction), unless they are out of band.
    FunctionCalls {
        /// The response.
        response_id: ResponseId,
        /// Whether the response was out of band. Then the conversation does not hold its calls, and they take
        /// no output: their arguments are the result that was asked for.
        out_of_band: bool,
        /// The calls, in the model's order.
        calls: Vec<Arc<FunctionCall>>,
    },
    /// A function call has ended: its output was sent, or never will be. Stop any work on it, unless it is
    /// [detached](FunctionEnd::Detached). Comes once for each call that was told and for each call that could
    /// not run, and once more if another connection is given the output.
    FunctionEnded {
        /// The call.
        call: Arc<FunctionCall>,
        /// How, with the output that was sent.
        end: FunctionEnd,
    },
    /// A response ended.
    ResponseFinished(Box<ResponseReport>),
    /// Stop playing now and keep the queue: the user speaks, and it is not known yet whether that interrupts.
    /// Answer with [`PlaybackReport::Held`](crate::call::PlaybackReport::Held). Audio that comes meanwhile
    /// joins the queue. Exactly one [`ResumePlayback`](Self::ResumePlayback) or
    /// [`StopPlayback`](Self::StopPlayback) follows. Comes only if the options'
    /// [policy](crate::session::InterruptionPolicy) holds playback.
    HoldPlayback {
        /// To be repeated in the answer.
        id: HoldId,
    },
    /// The speech did not interrupt. Play on, from the sample after the last one that was played.
    ResumePlayback {
        /// The hold that ends.
        id: HoldId,
    },
    /// Stop playing now, empty the queue, and answer with
    /// [`PlaybackReport::Stopped`](crate::call::PlaybackReport::Stopped) within the options' `stop_deadline`.
    /// Without an answer in time, the last report counts, marked as an estimate.
    StopPlayback {
        /// To be repeated in the answer.
        id: StopId,
    },
    /// An interruption is settled: what was heard, and what was cut. It names nothing if the user only spoke
    /// over function calls; the application may stop running those.
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
        /// Whether the error was told elsewhere already: as the outcome of the command that it names, or as a
        /// warning. Such an error is no fault of the session, and neither is one of the class
        /// [`Benign`](ErrorClass::Benign).
        answered: bool,
    },
    /// An answer from the server did not come in time. The command that waited for it is settled too.
    Overdue {
        /// Which.
        answer: Answer,
        /// Whether the session should be replaced: this server has given such an answer before, and the
        /// policy of this answer asks for it.
        rotate: bool,
    },
    /// The session nears its age limit.
    Expiring {
        /// Time until the limit.
        left: Duration,
    },
    /// Something is odd, and the session continues.
    Warning(Warning),
    /// What happens to the call's connections. A session used alone never emits it.
    Connection(ConnectionEvent),
    /// A server event that no other call event carries: keys of a phone, an idle user, the state of the
    /// server's own playback, hosted MCP tools, segments of a transcript.
    Server(Arc<ServerEvent>),
    /// What the driver or a listener tells. The state machines never emit it.
    Notice(Notice),
    /// A wire text as it came, before the events that it leads to. Only if the options ask for it
    /// (`raw_text`).
    Raw {
        /// The text.
        #[serde(serialize_with = "crate::call::playback::digest_text")]
        text: Arc<str>,
    },
    /// The call has ended, or the session if it is used alone. Nothing follows.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

shown_without_content!(Event);

/// What happens to the connections of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// A connection ended, or an attempt to make another one failed. Unfinished work is carried over.
    Lost {
        /// Why.
        reason: CloseReason,
        /// What to do about it.
        class: DisconnectClass,
        /// When the next attempt is made; `None`: the call ends.
        retry_at: Option<Timestamp>,
    },
    /// Another connection is being made.
    Retrying {
        /// Number of the attempt since the call was healthy, from 1.
        attempt: u32,
        /// The endpoint's place in the list.
        endpoint: u32,
    },
    /// Another connection took over. It is configured and knows what was said. What was carried over is sent
    /// now.
    Resumed {
        /// How long there was none.
        gap: Duration,
        /// Input audio that grew too old meanwhile and was dropped.
        audio_lost: MediaTime,
    },
    /// The call goes on in another process. Nothing follows here.
    Suspended {},
    /// Another connection took over between two turns, before the old one ended.
    Rotated {
        /// The endpoint's place in the list.
        endpoint: u32,
        /// How long input audio was held meanwhile.
        gap: Duration,
        /// Input audio that grew too old meanwhile and was dropped.
        audio_lost: MediaTime,
    },
}

/// Where an item stands among the others.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "`previous_item_id` is an id, null or missing")]
pub enum Place {
    /// Before all others. Some servers report this for every item: trust it only for items created by this
    /// side.
    First,
    /// After this one.
    After(ItemId),
    /// The server did not say.
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
    /// The server: the user's speech, or the model.
    Server,
}
