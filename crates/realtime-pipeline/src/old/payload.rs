//! What frames carry: audio with its place in an item, words, and how fast a response was.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{ResponseReport, Timeline};
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::time::{MediaTime, Timestamp};

/// A stretch of mono audio. `Debug` shows its length and not its content.
#[derive(Clone, Eq, PartialEq)]
pub struct AudioFrame {
    /// The format of the bytes.
    pub format: AudioFormat,
    /// Whole samples.
    pub data: Bytes,
}

impl AudioFrame {
    /// Samples as 16-bit little-endian PCM at `rate` Hz.
    pub fn from_samples(rate: u32, samples: &[i16]) -> Self {
        Self { format: AudioFormat::Pcm16 { rate }, data: crate::pcm::to_bytes(samples) }
    }

    /// The samples, if it is 16-bit PCM. A last odd byte is left out.
    pub fn samples(&self) -> Option<impl ExactSizeIterator<Item = i16>> {
        matches!(self.format, AudioFormat::Pcm16 { .. }).then(|| crate::pcm::samples(&self.data))
    }

    /// Its duration.
    pub const fn duration(&self) -> MediaTime {
        self.format.duration(self.data.len() as u64)
    }
}

impl fmt::Debug for AudioFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AudioFrame({:?}, {} bytes)", self.format, self.data.len())
    }
}

/// Audio from the model, with its place in the conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputAudio {
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// Position of its first sample in the part (samples).
    pub start: u64,
    /// The audio.
    pub audio: AudioFrame,
}

/// New words from the model. `Debug` shows their length.
#[derive(Clone, Eq, PartialEq)]
pub struct TextFrame {
    /// The response.
    pub response_id: ResponseId,
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// The new words, with their own spaces.
    pub delta: Arc<str>,
    /// Whether they come with audio, and ahead of it.
    pub spoken: bool,
}

impl fmt::Debug for TextFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextFrame({}, {} bytes)", self.item_id, self.delta.len())
    }
}

/// What the user said. `Debug` shows its length.
#[derive(Clone, Eq, PartialEq)]
pub struct TranscriptFrame {
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// The words: new ones while interim, all of them when final.
    pub text: Arc<str>,
    /// Which.
    pub stage: TranscriptStage,
}

impl fmt::Debug for TranscriptFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TranscriptFrame({}, {:?}, {} bytes)", self.item_id, self.stage, self.text.len())
    }
}

/// How final a transcript is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third stage")]
pub enum TranscriptStage {
    /// New words; more follow.
    Interim,
    /// All words.
    Final,
}

/// How fast a response was. A member is `None` if one of its two moments did not come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseMetrics {
    /// The response.
    pub response_id: ResponseId,
    /// From its beginning to its first audio.
    pub first_audio: Option<Duration>,
    /// From the end of the user's speech to the first audio that was played: what the user waits.
    pub voice_to_voice: Option<Duration>,
    /// From its beginning to its end.
    pub total: Option<Duration>,
    /// Audio bytes that came after an interruption and were dropped.
    pub dropped_bytes: u64,
}

impl ResponseMetrics {
    /// Computes them from a response's timeline.
    pub fn of(report: &ResponseReport) -> Self {
        let Timeline { requested, speech_stopped, created, first_audio, first_played, done, .. } =
            report.timeline;
        let began = requested.or(created);
        Self {
            response_id: report.response_id.clone(),
            first_audio: span(began, first_audio),
            voice_to_voice: span(speech_stopped, first_played),
            total: span(began, done),
            dropped_bytes: report.dropped_bytes,
        }
    }
}

fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    Some(to?.saturating_since(from?))
}
