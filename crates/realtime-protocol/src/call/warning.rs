//! What is odd, and does not end a session.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Serialize, Serializer};

use crate::event::{Malformed, UnknownEvent};
use crate::id::{CallId, ItemId, ResponseId};
use crate::time::MediaTime;
use crate::wire::Mismatch;

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
    /// The server does not leave to this side what interrupts the assistant: it refused to, or answers turns
    /// itself. The options' [policy](crate::session::InterruptionPolicy) does not hold; speech interrupts at
    /// once.
    InterruptionPolicyDropped,
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
    /// Words or audio of a response came behind its end: they are not heard. Told once of a response, and not of
    /// one that was interrupted.
    OutputAfterEnd {
        /// The response.
        response_id: ResponseId,
    },
    /// The model called functions as often in a row as the options allow, without a word of the user: it is
    /// not asked to go on.
    TooManyRounds {
        /// How often it was asked.
        rounds: u32,
    },
    /// The server gave a response an id that was used before. It is another response, unless nothing of the
    /// first has come: then it is the same one, said twice.
    ResponseIdReused {
        /// The response.
        response_id: ResponseId,
    },
    /// More responses run at once than any server runs: this one is let go, and ends as lost.
    TooManyResponses {
        /// The response.
        response_id: ResponseId,
    },
    /// The model called more functions than can wait: the application is not told of these.
    TooManyFunctions {
        /// The response.
        response_id: ResponseId,
        /// How many were left out.
        functions: usize,
    },
    /// A function call cannot be told, since the server never said which function (`call_id` is known: the
    /// model was told that there is no such function), under which id it waits for an output, or by which id
    /// it can be told from a call before it.
    FunctionCallLost {
        /// The item that holds it, if it has an id.
        item_id: Option<ItemId>,
        /// The call's id, if it has one.
        call_id: Option<CallId>,
    },
    /// Input audio waited too long: for the session to be ready, or for the connection to take it. The oldest
    /// was dropped.
    InputAudioDropped {
        /// What was lost.
        lost: MediaTime,
    },
    /// Items of a seed were left out: a connection ended before it had acknowledged them, or others as large.
    /// The new session does not know of them.
    SeedCut {
        /// How many.
        omitted: usize,
        /// The largest item that is still sent (bytes of JSON).
        largest: usize,
    },
    /// The model was asked for a reply that was due, and each time the connection ended first: it is not
    /// asked again.
    ReplyGivenUp,
    /// Connections ended before the output of a function was acknowledged: it is not sent again. Should the
    /// model make the call once more, it is told so, and the function does not run again.
    FunctionOutputGivenUp {
        /// The call.
        call_id: CallId,
    },
    /// The application reads too slowly: audio of the model's was dropped before it was read. It counts as
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
    /// Takes in what was lost right behind what this tells of: whether one can stand for both.
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
