//! How commands and responses ended.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::call::close::CloseReason;
use crate::call::error_class::Advice;
use crate::call::timeline::Timeline;
use crate::call::usage_totals::UsageTotals;
use crate::error::ApiError;
use crate::id::{ItemId, ResponseId};
use crate::item::Item;
use crate::response::StatusReason;
use crate::usage::Usage;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The server acknowledged it, or nothing had to be done.
    Done,
    /// The configuration was updated, as far as it could be.
    Updated(Updated),
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
    /// The user spoke before the response that was asked for had begun, and the answer to what the user said
    /// took its place: it ended. Where the response began and was cancelled for the user's speech, it is
    /// [`Self::Responded`] with [`ResponseEnd::Cancelled`].
    Superseded {
        /// The answer to the user.
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
    /// Returns whether the command did what it was for. A response counts if it ran, however it ended, and also if it
    /// ran in the place of the one that was asked for; an update of the configuration, unless the server
    /// refused all of it: [`Updated`] says what else does not hold.
    pub const fn is_ok(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::TimedOut | Self::Closed { .. })
    }
}

/// What became of an update of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Updated {
    /// Whether the configuration is another than before. Not where the update was empty, asked for what held
    /// already, or was ignored.
    pub changed: bool,
    /// What of it was refused and left out, in the order in which that happened. The rest holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedMember>,
    /// What of it was not sent, since the server no longer lets it change: paths such as
    /// `audio.output.voice`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<String>,
}

/// A member of a configuration that was asked for and does not hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedMember {
    /// Where it stands in what was asked for, whatever was left out of that before: `tools[2].meta`. It may
    /// be more than the server named, where an object can't be without a member. Empty: all that was left.
    pub path: String,
    /// Why. The server's, or this side's where the dialect has no such member.
    pub error: Box<ApiError>,
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
