//! The times of a response's steps, and how each is known.

use serde::Serialize;

use crate::session::PlaybackSource;
use crate::time::Timestamp;

#[cfg(doc)]
use crate::call::ResponseEnd;

/// The times of a response's steps, by the driver's clock. How each is known:
///
/// | | |
/// |---|---|
/// | `requested` | this side sent `response.create`, for a command or a follow-up. None: the server responds by itself |
/// | `speech_stopped` | the server's turn detection, or this side's commit: `speech_stopped_source`. None: the response is to no speech |
/// | `created` | `response.created` came, or the response's first other event from a server that does not send it |
/// | `first_text`, `first_audio` | the first delta came that has words, or sound |
/// | `first_played` | the application's report, or an estimate: `first_played_source` |
/// | `done` | `response.done` came, or the session ended: `end` is then [`ResponseEnd::Lost`] |
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Timeline {
    /// When this side asked for it.
    pub requested: Option<Timestamp>,
    /// When the user's turn ended to which it responds.
    pub speech_stopped: Option<Timestamp>,
    /// How that is known.
    #[serde(skip_serializing_if = "is_default")]
    pub speech_stopped_source: SpeechEnd,
    /// When its first event came.
    pub created: Option<Timestamp>,
    /// When its first words came.
    pub first_text: Option<Timestamp>,
    /// When its first audio came.
    pub first_audio: Option<Timestamp>,
    /// When it began to play, by a report or an estimate.
    pub first_played: Option<Timestamp>,
    /// Which of the two.
    #[serde(skip_serializing_if = "is_default")]
    pub first_played_source: PlaybackSource,
    /// When it ended.
    pub done: Option<Timestamp>,
}

/// How the end of the user's turn is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpeechEnd {
    /// The server detects turns: `input_audio_buffer.speech_stopped` came, or `committed` from a server that
    /// does not send it.
    #[default]
    Detected,
    /// The server detects no turns: this side sent `input_audio_buffer.commit` and asked for a response.
    Committed,
}

impl Timeline {
    /// This side ended the user's turn. The server's detection takes precedence.
    pub(crate) fn committed(&mut self, at: Option<Timestamp>) {
        if let (None, Some(at)) = (self.speech_stopped, at) {
            (self.speech_stopped, self.speech_stopped_source) = (Some(at), SpeechEnd::Committed);
        }
    }

    /// It began to play. The first call counts, but a report replaces an estimate.
    pub(crate) fn played(&mut self, at: Timestamp, source: PlaybackSource) {
        let better = self.first_played_source != source && source == PlaybackSource::Reported;
        if self.first_played.is_none() || better {
            (self.first_played, self.first_played_source) = (Some(at), source);
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
