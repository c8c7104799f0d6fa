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

/// What a call tells the application, and a session that is used alone.
///
/// As JSON (in logs and snapshots) audio is written as its size and a digest.
///
/// # Order
/// These rules hold whatever the server sends and in whatever order it does. The tests read them from here,
/// and hold every sequence of events to them.
///
/// ```text
/// call := …* (Ready (ConfigUpdated | …)*)? Closed
/// connection := (Rotated | without+ Resumed)* without* Closed
/// without = Lost Retrying? | Suspended
/// response by response_id := ( ResponseStarted (said | FunctionCalls)* StopPlayback* ended
///     | ResponseStarted[out_of_band] (said | FunctionCalls | StopPlayback)* ended
///     | StopPlayback )*
/// said = Text | Audio | AudioDone
/// ended = ResponseFinished FunctionCalls?
/// answer by response_id := (ResponseFinished (Settled[responded] | Settled[superseded])*)*
/// interruption by age := StopPlayback? Interrupted
/// hold := (HoldPlayback (ResumePlayback | StopPlayback) | StopPlayback)* Closed
/// function by call_id := FunctionCalls[out_of_band] another*
///     | FunctionCalls? another* FunctionEnded (another+ FunctionEnded)* another*
/// another = Resumed | Rotated
/// sent by item_id := ItemSent (ItemSent | ItemPlaced[client])*
/// placed by item_id := (ItemPlaced ItemDone? | ItemRemoved)*
/// command by id := Settled
/// ```
///
/// A rule sees the events that it names, and no other; `…` is any event that it does not name. `A B` is one
/// after the other, `A | B` either, `A?` at most one, `A*` any number and `A+` at least one. A word in
/// brackets narrows an event by its members. A rule `by` an id holds for each id by itself; an event without
/// such an id (`StopPlayback`, `Resumed`) is seen by all that have begun. `by age`: there may be several at
/// once, and an event belongs to the oldest that can take it. With `=` a part gets a name. `Lost`,
/// `Retrying`, `Resumed`, `Rotated` and `Suspended` are those of [`ConnectionEvent`], which a session alone
/// never tells. A call that moves to another process is one sequence, in which `Suspended` stands where it
/// moves.
///
/// So: nothing follows `Closed`, and everything that began has ended by then. A response says nothing outside
/// of its beginning and its end, nor once `StopPlayback` has come. `FunctionCalls` comes while its response
/// runs for what the options name as `early_functions`, and for all others as its end is told; a function
/// that could not run ends without it. A function ends once, and once more only over another connection,
/// which is given its output, too. An item of this side's is sent before it is placed. Those who asked for a
/// response are answered after its end.
///
/// What a server may tell in any order has no rule: what the user said, and the beginning and the end of
/// speech. Ids that a server uses again belong to another response, item or function once the earlier one is
/// forgotten.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The server has opened the session; it is not configured yet.
    Created {
        /// The server's id for it.
        session_id: Option<SessionId>,
    },
    /// The configuration is acknowledged: audio and items flow from here on.
    Ready {
        /// The whole effective configuration: what the server reports, and what it acknowledged.
        config: Box<SessionConfig>,
        /// What was asked for and does not hold.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        refused: Vec<RefusedMember>,
    },
    /// The configuration changed.
    ConfigUpdated {
        /// The whole effective configuration: what the server reports, and what it acknowledged.
        config: Box<SessionConfig>,
        /// What the update asked for and does not hold.
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
        /// Where in the session's input audio; `None`: the server did not say, or it could not be read.
        at: Option<MediaTime>,
    },
    /// The user stopped speaking: the server says so, or the buffer that held the speech was committed or
    /// cleared, or no audio of it is appended any more.
    SpeechStopped {
        /// The item that will hold the speech; `None` where it is not known, or no item will.
        item_id: Option<ItemId>,
        /// Where in the session's input audio; `None`: the server did not say, or it could not be read.
        at: Option<MediaTime>,
    },
    /// The user's speech will become this item.
    Committed {
        /// The item.
        item_id: ItemId,
    },
    /// An item of this side's was sent: what it says is part of the conversation, unless the server refuses
    /// it. Its place comes with [`ItemPlaced`](Self::ItemPlaced).
    ItemSent {
        /// The item, with its id.
        item: Box<Item>,
        /// The item that it was put after; `None`: the last.
        after: Option<ItemId>,
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
        /// The languages heard, as far as the server says.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        languages: Vec<TranscriptionLanguage>,
        /// How sure the model is, token by token, where that was asked for.
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
        /// The length of all of it (samples).
        total: u64,
    },
    /// The model calls functions: all calls of one response. Answer each with
    /// [`Command::AnswerFunction`](crate::call::Command::AnswerFunction), unless they are out of band.
    FunctionCalls {
        /// The response.
        response_id: ResponseId,
        /// Whether the response was out of band: the conversation does not hold its calls, so that they take
        /// no output. Their arguments are what was asked for.
        out_of_band: bool,
        /// The calls, in the model's order.
        calls: Vec<Arc<FunctionCall>>,
    },
    /// A function call has ended: its output was sent, or never will be. Whoever still works on it should
    /// stop, unless it is [detached](FunctionEnd::Detached). Once for each call that was told, and for each
    /// that could not run; once more where another connection is given the output.
    FunctionEnded {
        /// The call.
        call: Arc<FunctionCall>,
        /// How, with the output that was sent.
        end: FunctionEnd,
    },
    /// A response ended.
    ResponseFinished(Box<ResponseReport>),
    /// Stop playing now and keep the queue: the user speaks, and it is not known whether that interrupts.
    /// Answer with [`PlaybackReport::Held`](crate::call::PlaybackReport::Held). What comes meanwhile joins
    /// the queue. Exactly one [`ResumePlayback`](Self::ResumePlayback) or
    /// [`StopPlayback`](Self::StopPlayback) follows. Only where the options'
    /// [policy](crate::session::InterruptionPolicy) holds.
    HoldPlayback {
        /// To be given back in the answer.
        id: HoldId,
    },
    /// The speech did not interrupt: play on, with the next sample after the one that was played last.
    ResumePlayback {
        /// Which hold ends.
        id: HoldId,
    },
    /// Stop playing now, empty the queue, and answer with
    /// [`PlaybackReport::Stopped`](crate::call::PlaybackReport::Stopped). Within the options'
    /// `stop_deadline`; after it, what was reported before counts, marked as an estimate.
    StopPlayback {
        /// To be given back in the answer.
        id: StopId,
    },
    /// An interruption is settled: what was heard, and what was cut. It names nothing where the user spoke
    /// over function calls alone, which whoever runs them may stop.
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
        /// Whether everyone whom it concerns knows of it already: it is the outcome of the command that it
        /// names, or was told as a warning. Such a one is no fault of the session's, nor is one of the class
        /// [`Benign`](ErrorClass::Benign).
        answered: bool,
    },
    /// An answer of the server's did not come in time. Whoever waited for it is told as well.
    Overdue {
        /// Which.
        answer: Answer,
        /// Whether the session should be replaced by another: this server used to answer, and its policy says
        /// so.
        rotate: bool,
    },
    /// The session nears its age limit.
    Expiring {
        /// How long it lives on.
        left: Duration,
    },
    /// Something is odd, and the session lives on.
    Warning(Warning),
    /// What happens to the call's connections. A session alone never says it.
    Connection(ConnectionEvent),
    /// A server event that no other call event carries: keys of a phone, an idle user, the state of the
    /// server's own playback, hosted MCP tools, segments of a transcript.
    Server(Arc<ServerEvent>),
    /// What the driver or a listener tells. The machines never say it.
    Notice(Notice),
    /// A wire text as it came, before what it leads to, where the options ask for it (`raw_text`).
    Raw {
        /// The text.
        #[serde(serialize_with = "crate::call::playback::digest_text")]
        text: Arc<str>,
    },
    /// The call has ended, or the session where it is used alone. Nothing follows.
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
    /// A connection ended, or an attempt to make another failed; what was not finished is carried over.
    Lost {
        /// Why.
        reason: CloseReason,
        /// What helps against it.
        class: DisconnectClass,
        /// When the next attempt is made; `None`: the call ends.
        retry_at: Option<Timestamp>,
    },
    /// Another connection is being made.
    Retrying {
        /// Which attempt since the call was healthy, from 1.
        attempt: u32,
        /// The endpoint's place in the list.
        endpoint: u32,
    },
    /// Another connection took over: it is configured and knows what was said, and what was carried over goes
    /// out.
    Resumed {
        /// How long there was none.
        gap: Duration,
        /// Input audio that grew too old in the meantime.
        audio_lost: MediaTime,
    },
    /// The call goes on in another process. Nothing follows here.
    Suspended {},
    /// Another connection took over between two turns, before the one before ended.
    Rotated {
        /// The endpoint's place in the list.
        endpoint: u32,
        /// How long input audio was held meanwhile.
        gap: Duration,
        /// Input audio that grew too old in the meantime.
        audio_lost: MediaTime,
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
