//! How commands and responses ended.

use alloc::boxed::Box;

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
    /// The user spoke before the response that was asked for had begun, and the answer to what the user said took its
    /// place: it ended. Where the response began and was cancelled for the user's speech, it is [`Self::Responded`] with
    /// [`ResponseEnd::Cancelled`].
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
    /// Whether the command did what it was for. A response counts if it ran, however it ended, and also if it ran in the
    /// place of the one that was asked for.
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
