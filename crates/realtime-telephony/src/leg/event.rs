//! What a leg is told and tells: [`LegMessage`], [`LegOutput`], and who is not let in.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::carrier::{CallStart, Incoming};
use crate::kind::CarrierKind;
#[cfg(doc)]
use crate::leg::Leg;

/// Limits of a [`Leg`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LegOptions {
    /// How long to wait for the message that starts the stream. Default: 10 s.
    pub start_within: Duration,
    /// How long the call may have no owner. Default: 20 s.
    pub owner_within: Duration,
    /// How much of the caller's audio is kept for the next owner, the newest. Default: 2 s.
    pub kept_audio: Duration,
}

impl Default for LegOptions {
    fn default() -> Self {
        Self {
            start_within: Duration::from_secs(10),
            owner_within: Duration::from_secs(20),
            kept_audio: Duration::from_secs(2),
        }
    }
}

/// A WebSocket message on its way between carrier and owner. `Debug` shows its length alone.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a WebSocket has no other messages")]
pub enum LegMessage {
    /// A text.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// An owner's socket, by a number that no other one of the call has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OwnerId(pub(super) u64);

/// How an owner comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver says one of both")]
pub enum Coming {
    /// The call is its: who has it now is sent away.
    Now,
    /// The call moves to it: it is let in once who has it now has gone.
    Next,
}

/// Why an owner is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLetIn {
    /// A later owner was let in: the call is no longer this one's.
    #[error("expected epoch {newest} or a later one, got {got}: the call has another owner")]
    Older {
        /// The newest epoch that was let in.
        newest: u64,
        /// The epoch of who asks.
        got: u64,
    },
    /// The carrier's stream has not started, or is over.
    #[error("the carrier's stream is not open")]
    NotOpen,
}

/// One thing that a leg has for its driver.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver carries out each of them")]
pub enum LegOutput {
    /// The stream has started: find an owner for the call.
    Started(Box<CallStart>),
    /// Send this to the carrier.
    ToCarrier(LegMessage),
    /// Send this to an owner.
    ToOwner(OwnerId, LegMessage),
    /// Close an owner's socket.
    Dismiss(OwnerId, Dismissal),
    /// Close the carrier's socket once all is written. Nothing follows.
    Ended(LegEnd),
}

/// Why an owner's socket is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two differ for an owner")]
pub enum Dismissal {
    /// Another socket took its place: the call goes on.
    Replaced,
    /// The call is over.
    Over,
}

/// Why a leg is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LegEnd {
    /// The carrier closed its socket.
    #[error("the carrier ended the call")]
    ByCarrier,
    /// The owner ended the call.
    #[error("its owner ended the call")]
    ByOwner,
    /// No start came in time, or too much before it.
    #[error("expected the start of a stream, and none came in time")]
    NoStart,
    /// Nobody owned the call for too long.
    #[error("nobody served the call for too long")]
    NoOwner,
    /// The driver ended it: there is no owner to be had, or the process ends.
    #[error("the leg ended the call")]
    HungUp,
}

/// Numbers of a leg: nothing is dropped without one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LegCounts {
    /// Owners that were let in.
    pub owners: u64,
    /// Messages with the caller's audio that were too old for the next owner.
    pub dropped_audio: u64,
    /// Other messages of the carrier that had no owner.
    pub dropped_others: u64,
    /// Messages of owners that were not let in, or not any more.
    pub unheard: u64,
}

/// The carrier's messages are numbered between two ends, so another end can't go on with them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a carrier whose stream goes on with another owner, got {0}: it numbers its messages")]
pub struct Numbered(pub CarrierKind);

impl LegMessage {
    /// Its length (bytes).
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn incoming(&self) -> Incoming<'_> {
        match self {
            Self::Text(text) => Incoming::Text(text),
            Self::Binary(bytes) => Incoming::Binary(bytes.clone()),
        }
    }
}

impl fmt::Debug for LegMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}
