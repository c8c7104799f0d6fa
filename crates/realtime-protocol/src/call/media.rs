//! What flows without an answer: the user's audio, and reports of what was played.

use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::audio::{Audio, AudioFormat, NotBase64};
use crate::call::playback::PlaybackReport;
use crate::check::LARGEST_APPEND;

/// The user's audio, and reports of what was played: frequent, in order with the
/// [`Command`](crate::call::Command)s, and never answered.
///
/// It is refused only for its shape, at once, with a [`MediaError`]. `Debug` shows the size of audio and not
/// its content.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
#[expect(clippy::exhaustive_enums, reason = "a driver must pass on all of them")]
pub enum Media {
    /// Adds audio to the input buffer: whole samples in the session's input format, mono, at most 15 MiB as
    /// base64. Give 20 ms to 100 ms at a time. Until the session is ready, the newest audio is held, up to
    /// the bound in the options.
    ///
    /// # Wire
    /// `input_audio_buffer.append`
    Append(Bytes),
    /// Push-to-talk: the user speaks from here on. Audio is sent until the turn is committed or cleared. It
    /// begins with the last `pre_roll` (an option) of the audio that was kept back.
    BeginTurn,
    /// Tells what was played.
    Report(PlaybackReport),
}

impl Media {
    /// The media's name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::BeginTurn => "begin_turn",
            Self::Report(_) => "report",
        }
    }

    /// Bytes of audio that it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Append(audio) => audio.len(),
            Self::BeginTurn | Self::Report(_) => 0,
        }
    }

    /// Checks the shape. `input`: the format of the session's input.
    ///
    /// # Errors
    /// [`MediaRefusal`]: give whole samples, in smaller pieces.
    pub fn check(&self, input: AudioFormat) -> Result<(), MediaRefusal> {
        let Self::Append(audio) = self else { return Ok(()) };
        let (bytes, sample_bytes) = (audio.len(), input.sample_bytes());
        if bytes % sample_bytes as usize != 0 {
            return Err(MediaRefusal::SplitSample { bytes, sample_bytes });
        }
        let got = bytes.div_ceil(3) * 4;
        if got > LARGEST_APPEND {
            return Err(MediaRefusal::TooLarge { limit: LARGEST_APPEND, got });
        }
        Ok(())
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append(audio) => write!(f, "Append({} bytes)", audio.len()),
            Self::BeginTurn => f.write_str("BeginTurn"),
            Self::Report(report) => f.debug_tuple("Report").field(report).finish(),
        }
    }
}

/// Media that was refused at once. It had no effect, and is handed back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("cannot take {}: {reason}", self.media.name())]
pub struct MediaError {
    /// The media as it was given.
    pub media: Media,
    /// Why it can't be right.
    #[source]
    pub reason: MediaRefusal,
}

/// Why media can't be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaRefusal {
    /// The audio ends in the middle of a sample: give whole samples.
    #[error("expected whole samples of {sample_bytes} bytes, got {bytes} bytes")]
    SplitSample {
        /// What was given (bytes).
        bytes: usize,
        /// One sample in the session's input format (bytes).
        sample_bytes: u32,
    },
    /// More than the server takes in one append: give it in pieces.
    #[error("expected at most {limit} bytes of base64 in one append, got {got}")]
    TooLarge {
        /// The limit (bytes of base64).
        limit: usize,
        /// What was given (bytes of base64).
        got: usize,
    },
    /// The call has ended. Playback reports are still accepted then.
    #[error("the call has ended")]
    Ended,
}

/// How media is written in a log.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Spelled {
    Append { audio: Audio },
    BeginTurn {},
    Report(PlaybackReport),
}

impl From<Media> for Spelled {
    fn from(media: Media) -> Self {
        match media {
            Media::Append(audio) => Self::Append { audio: audio.into() },
            Media::BeginTurn => Self::BeginTurn {},
            Media::Report(report) => Self::Report(report),
        }
    }
}

impl TryFrom<Spelled> for Media {
    type Error = NotBase64;

    fn try_from(spelled: Spelled) -> Result<Self, NotBase64> {
        Ok(match spelled {
            Spelled::Append { audio } => Self::Append(audio.bytes()?.clone()),
            Spelled::BeginTurn {} => Self::BeginTurn,
            Spelled::Report(report) => Self::Report(report),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_refused_for_its_shape_alone() {
        let check = |bytes, format| Media::Append(Bytes::from(alloc::vec![0; bytes])).check(format);
        let split = MediaRefusal::SplitSample { bytes: 3, sample_bytes: 2 };
        assert_eq!(check(3, AudioFormat::PCM16_24K), Err(split));
        assert_eq!(check(3, AudioFormat::Pcmu), Ok(()), "one byte is one sample");
        assert_eq!(check(4, AudioFormat::PCM16_24K), Ok(()));
        assert!(matches!(check(16 << 20, AudioFormat::PCM16_24K), Err(MediaRefusal::TooLarge { .. })));
    }

    #[test]
    fn media_survives_the_log() {
        for media in [
            Media::Append(Bytes::from_static(b"abcd")),
            Media::BeginTurn,
            Media::Report(PlaybackReport::Mark(7)),
        ] {
            let text = serde_json::to_string(&media).unwrap();
            assert_eq!(serde_json::from_str::<Media>(&text).unwrap(), media, "{text}");
        }
        assert!(serde_json::from_str::<Media>(r#"{"append":{"audio":"no base64!"}}"#).is_err());
    }
}
