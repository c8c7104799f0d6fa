//! What a driver could not pass on, in either direction: [`Shortfall`].

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::audio::AudioFormat;
use crate::call::{CloseReason, Event, Warning};
use crate::id::ItemId;

/// What a driver could not pass on. It is an input like any other, so a session log replays with it.
///
/// A driver keeps what waits within bounds. Audio may be lost to them, the oldest first; an event never is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shortfall {
    /// Input audio waited too long for the connection to take it, and was not sent.
    Unsent {
        /// Bytes of audio, in the session's input format.
        bytes: u64,
    },
    /// The application reads too slowly: audio from the model was dropped before it was read. It counts as
    /// not played.
    Unread {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
        /// Where in the part it stood (samples).
        start: u64,
        /// How much it was (samples).
        lost: u64,
    },
    /// The application reads too slowly for events that must not be lost: the session closes as
    /// [`CloseReason::ConsumerTooSlow`].
    TooSlow,
    /// What the application gave the driver to run, such as a listener, panicked: the session closes as
    /// [`CloseReason::Panicked`].
    Panicked {
        /// What it was.
        what: String,
    },
}

impl Shortfall {
    /// What the application is told of lost audio. `input`: the format of the session's input.
    pub(crate) fn warning(self, input: AudioFormat) -> Option<Event> {
        let warning = match self {
            Self::Unsent { bytes } => Warning::InputAudioDropped { lost: input.duration(bytes) },
            Self::Unread { item_id, content_index, start, lost } => {
                Warning::AudioDropped { item_id, content_index, start, lost }
            }
            Self::TooSlow | Self::Panicked { .. } => return None,
        };
        Some(Event::Warning(warning))
    }

    /// Why the session ends because of it. `None`: it goes on.
    pub(crate) fn end(&self) -> Option<CloseReason> {
        match self {
            Self::Unsent { .. } | Self::Unread { .. } => None,
            Self::TooSlow => Some(CloseReason::ConsumerTooSlow),
            Self::Panicked { what } => Some(CloseReason::Panicked { what: what.clone() }),
        }
    }
}
