//! Oddities that do not end a session.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Serialize, Serializer};

use crate::event::{Malformed, UnknownEvent};
use crate::id::{CallId, ItemId, ResponseId};
use crate::time::MediaTime;
use crate::wire::Mismatch;

/// Something odd that does not end the session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// A member of an event has a wrong shape. The event is used without it.
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
    /// Text that is not a usable event.
    Malformed {
        /// The text and why.
        #[serde(serialize_with = "text")]
        event: Malformed,
    },
    /// Audio that is not valid base64: there is nothing to play.
    AudioUnreadable {
        /// The item.
        item_id: ItemId,
        /// Characters of the text.
        characters: usize,
    },
    /// The server did not acknowledge the configuration in time. The session counts as ready.
    ConfigUnacknowledged,
    /// The server refused a member of the configuration. It was left out, and the rest was sent again.
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
    /// The server decides itself what interrupts the assistant: it refused the settings for the options'
    /// [policy](crate::session::InterruptionPolicy), or it answers turns itself. The policy is not in force;
    /// speech interrupts at once.
    InterruptionPolicyDropped,
    /// A response was longer than the options allow. It was cancelled, and no more of it comes.
    ResponseTooLong {
        /// The response.
        response_id: ResponseId,
        /// The audio that had come.
        audio: MediaTime,
    },
    /// A response began after its request had timed out. It is cancelled and not heard.
    ResponseTooLate {
        /// The response.
        response_id: ResponseId,
    },
    /// Words or audio of a response came after its end: nobody hears them. Told once per response, and never
    /// for an interrupted one.
    OutputAfterEnd {
        /// The response.
        response_id: ResponseId,
    },
    /// The model called functions as often in a row as the options allow, without the user saying anything.
    /// It is not asked to go on.
    TooManyRounds {
        /// How often it was asked.
        rounds: u32,
    },
    /// The server used an id for a second response. If nothing of the first one has come, this counts as the
    /// same response, announced twice.
    ResponseIdReused {
        /// The response.
        response_id: ResponseId,
    },
    /// Too many responses run at once. This one is dropped, and ends as lost.
    TooManyResponses {
        /// The response.
        response_id: ResponseId,
    },
    /// The model called more functions than may wait at once. The application is not told of these.
    TooManyFunctions {
        /// The response.
        response_id: ResponseId,
        /// How many were left out.
        functions: usize,
    },
    /// A function call cannot be passed on. Either the server never named the function: then `call_id` is
    /// known, and the model was told that there is no such function. Or it never gave the id that an output
    /// must repeat, or gave one that does not tell the call from an earlier one.
    FunctionCallLost {
        /// The item that holds it, if it has an id.
        item_id: Option<ItemId>,
        /// The call's id, if it has one.
        call_id: Option<CallId>,
    },
    /// Input audio waited too long, for the session to be ready or for the connection to take it. The oldest
    /// was dropped.
    InputAudioDropped {
        /// What was lost.
        lost: MediaTime,
    },
    /// Items of a seed were left out, because a connection ended before it had acknowledged them or items as
    /// large. The new session does not know of them.
    SeedCut {
        /// How many.
        omitted: usize,
        /// The largest item that is still sent (bytes of JSON).
        largest: usize,
    },
    /// The model was asked for a due reply, and each time the connection ended first. It is not asked again.
    ReplyGivenUp,
    /// Connections ended before the output of a function was acknowledged. The output is not sent again. If
    /// the model repeats the call, it is told so, and the function does not run again.
    FunctionOutputGivenUp {
        /// The call.
        call_id: CallId,
    },
    /// The application reads too slowly: audio from the model was dropped before it was read. It counts as
    /// not played.
    AudioDropped {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// Where in the part it stood (samples).
        start: u64,
        /// What was lost (samples).
        lost: u64,
    },
}

impl Warning {
    /// Adds a loss that directly follows this one. Returns whether this warning now covers both.
    pub fn absorb(&mut self, later: &Self) -> bool {
        match (self, later) {
            (Self::InputAudioDropped { lost }, Self::InputAudioDropped { lost: more }) => {
                *lost += *more;
                true
            }
            (
                Self::AudioDropped { item_id, content_index, start, lost },
                Self::AudioDropped { item_id: item, content_index: index, start: next, lost: more },
            ) if item_id == item && content_index == index && start.checked_add(*lost) == Some(*next) => {
                *lost = lost.saturating_add(*more);
                true
            }
            _ => false,
        }
    }
}

fn text<T: core::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn unknown<S: Serializer>(event: &UnknownEvent, serializer: S) -> Result<S::Ok, S::Error> {
    event.raw.serialize(serializer)
}
