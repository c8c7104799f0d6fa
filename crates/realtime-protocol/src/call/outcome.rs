//! How commands and responses ended.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::call::close::CloseReason;
use crate::call::command::Refusal;
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
    /// The server acknowledged it, or there was nothing to do.
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
    /// The user spoke before the requested response had begun, and the answer to the user took its place.
    /// That answer has ended. If the requested response had begun and the user's speech cancelled it, the
    /// outcome is [`Self::Responded`] with [`ResponseEnd::Cancelled`].
    Superseded {
        /// The answer to the user.
        response_id: ResponseId,
        /// How it ended.
        end: ResponseEnd,
    },
    /// This side took it, and did not carry it out: it had to wait, and when its turn came it could not be
    /// right any more. Or it was given up after connections had ended before it was acknowledged.
    Declined {
        /// Why.
        reason: Refusal,
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
    /// Returns whether the command did what it was for. True for a response that ran, however it ended, and
    /// for one that ran in place of the requested one. True for an update of the configuration unless the
    /// server refused all of it: [`Updated`] names the parts that were not applied.
    pub const fn is_ok(&self) -> bool {
        !matches!(self, Self::Declined { .. } | Self::Refused { .. } | Self::TimedOut | Self::Closed { .. })
    }
}

/// What became of an update of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Updated {
    /// Whether the configuration has changed. False if the update was empty, asked for what was set already,
    /// or was ignored.
    pub changed: bool,
    /// The members that were refused and left out, in the order of the refusals. The rest was applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedMember>,
    /// The members that were not sent, because the server no longer lets them change: paths such as
    /// `audio.output.voice`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<String>,
    /// The instructions that the update asked for, if it was for any and they were not refused. A server may
    /// report them in other words. Not in JSON.
    #[serde(skip)]
    pub instructions: Option<String>,
}

/// A member of a configuration that was asked for and not applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedMember {
    /// Its path in the configuration as first asked for, for example `tools[2].meta`. The path may cover more
    /// than the member that the server named, if its object is invalid without that member. Empty: everything
    /// that was left.
    pub path: String,
    /// Why. The server's error, or an error of this side if the dialect has no such member.
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

/// A response's end, with its cost and its timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseReport {
    /// The response.
    pub response_id: ResponseId,
    /// How it ended.
    pub end: ResponseEnd,
    /// What it cost. `None`: the server did not say.
    pub usage: Option<Usage>,
    /// What all responses of the session have cost so far, including this one.
    pub totals: UsageTotals,
    /// The times of its steps.
    pub timeline: Timeline,
    /// Audio bytes that came after an interruption and were dropped.
    pub dropped_bytes: u64,
}
