//! The model's audio on its way to the ear: chunks to play, reports of what was played, and what an
//! interruption cut.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::audio::{AudioFormat, fnv1a};
use crate::id::{ItemId, ResponseId};
use crate::log::as_logged;
use crate::time::MediaTime;

/// New audio from the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioChunk {
    /// The response.
    pub response_id: ResponseId,
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// Whether the response is out of band. Such audio is not played by default.
    pub out_of_band: bool,
    /// Position of its first sample in the part (samples, at the rate of `format`).
    pub start: u64,
    /// The chunk's number: see [`PlaybackReport::Mark`].
    pub mark: u64,
    /// The format of the bytes.
    #[serde(serialize_with = "format_text")]
    pub format: AudioFormat,
    /// The bytes: whole samples.
    #[serde(serialize_with = "digest")]
    pub audio: Bytes,
}

impl AudioChunk {
    /// How many samples it holds.
    pub fn samples(&self) -> u64 {
        self.format.samples(self.audio.len() as u64)
    }

    /// Returns its duration.
    pub fn duration(&self) -> MediaTime {
        self.format.duration(self.audio.len() as u64)
    }
}

/// What an application has played of the audio it was given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlaybackReport {
    /// This much of a part has been played.
    Played(PlaybackPosition),
    /// All audio up to the end of the chunk with this [`mark`](crate::call::AudioChunk::mark) has been
    /// played: for carriers that send marks back.
    Mark(u64),
    /// The answer to [`Event::StopPlayback`](crate::call::Event::StopPlayback): playback has stopped and its
    /// queue is empty.
    Stopped {
        /// The `StopPlayback` that this answers. An answer that comes too late counts as a report and settles
        /// nothing.
        id: StopId,
        /// Where playback stopped. `None`: nothing was being played, so the last report is exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<PlaybackPosition>,
    },
    /// The answer to [`Event::HoldPlayback`](crate::call::Event::HoldPlayback): playback is paused and keeps
    /// its queue.
    Held {
        /// The `HoldPlayback` that this answers. An answer that comes too late counts as a report.
        id: HoldId,
        /// Where playback is paused. `None`: nothing was being played, so the last report is exact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<PlaybackPosition>,
    },
}

/// Identifies an [`Event::StopPlayback`](crate::call::Event::StopPlayback), so that a late answer cannot
/// settle another one. Unique within a session.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct StopId(pub u64);

impl fmt::Display for StopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop {}", self.0)
    }
}

/// Identifies an [`Event::HoldPlayback`](crate::call::Event::HoldPlayback), so that a late answer is not
/// taken for the answer to another one. Unique within a session.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct HoldId(pub u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold {}", self.0)
    }
}

/// A place in the audio of an item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PlaybackPosition {
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// How much of the part has been played, from its beginning (samples, at the rate of its format).
    pub played: u64,
}

/// An interruption: what was heard of the audible parts, and what was cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Interruption {
    /// The response that was cut off, if one ran.
    pub response_id: Option<ResponseId>,
    /// Each part that had not been played to its end, in order.
    pub parts: Vec<HeardPart>,
}

impl Interruption {
    /// Returns how much was heard of all parts together.
    pub fn heard(&self) -> MediaTime {
        self.parts.iter().fold(MediaTime::ZERO, |sum, part| sum + part.heard_time())
    }
}

/// How much of a part was heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeardPart {
    /// The item.
    pub item_id: ItemId,
    /// The part's place in the item.
    pub content_index: u32,
    /// The format of its samples.
    #[serde(serialize_with = "format_text")]
    pub format: AudioFormat,
    /// What was played (samples).
    pub heard: u64,
    /// What had come from the server (samples). On a side channel the audio takes another route, and this may
    /// be 0.
    pub received: u64,
    /// The words heard: a prefix of those generated, found by the position of text among audio.
    pub heard_text: String,
    /// Whether `heard` is an estimate, because a playback report is missing.
    pub estimated: bool,
    /// What the server was told.
    pub cut: Cut,
}

impl HeardPart {
    /// Returns the duration of what was played.
    pub const fn heard_time(&self) -> MediaTime {
        self.format.time_of(self.heard)
    }

    /// Returns the duration of what had come from the server.
    pub const fn received_time(&self) -> MediaTime {
        self.format.time_of(self.received)
    }
}

/// What the server was told about a part that was not played to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// `conversation.item.truncate` at this length.
    Truncated {
        /// The length left.
        audio_end_ms: u64,
    },
    /// `conversation.item.delete`: nothing of the item was heard.
    Deleted,
    /// Nothing: the server plays, and truncates the item itself.
    ByServer,
    /// Nothing: no audio of the part had come, or the connection was lost.
    Nothing,
}

/// Writes a digest in place of a text that is in the log already: of the text there, so that a replay writes
/// the same.
pub(crate) fn digest_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let text = as_logged(text);
    serializer.collect_str(&format_args!("{} bytes {:016x}", text.len(), fnv1a(text.as_bytes())))
}

/// Writes a digest in place of audio: its size and 64 bits of FNV-1a.
fn digest<S: Serializer>(audio: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes {:016x}", audio.len(), fnv1a(audio)))
}

fn format_text<S: Serializer>(format: &AudioFormat, serializer: S) -> Result<S::Ok, S::Error> {
    match format {
        AudioFormat::Pcm16 { rate } => serializer.collect_str(&format_args!("pcm16 {rate} Hz")),
        AudioFormat::Pcmu => serializer.serialize_str("pcmu 8000 Hz"),
        AudioFormat::Pcma => serializer.serialize_str("pcma 8000 Hz"),
    }
}
