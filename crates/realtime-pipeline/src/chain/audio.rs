//! Audio in frames: samples that are shared and not copied, and coded audio that passes untouched.
//!
//! `Debug` shows lengths, and none of the content.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use realtime_protocol::audio::{AudioFormat, g711};
use realtime_protocol::id::{ItemId, ResponseId};
use realtime_protocol::time::MediaTime;

/// A stretch of audio. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "audio is samples, or bytes in a format of the protocol")]
pub enum Audio {
    /// 16-bit samples.
    Pcm(Samples),
    /// Bytes of whole samples, mono, in this format. Both sides of a chain that speak it hand it on
    /// untouched.
    Coded(Coded),
}

/// Bytes in a format of the protocol: whole samples, mono. `Debug` shows their length.
#[derive(Clone, Eq, PartialEq)]
pub struct Coded {
    /// What the bytes are.
    pub format: AudioFormat,
    /// The bytes.
    pub bytes: Bytes,
}

impl fmt::Debug for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coded({:?}, {} bytes)", self.format, self.bytes.len())
    }
}

impl Audio {
    /// Audio that is coded: whole samples in `format`, mono.
    pub const fn coded(format: AudioFormat, bytes: Bytes) -> Self {
        Self::Coded(Coded { format, bytes })
    }

    /// Mono samples at `rate` Hz.
    pub fn mono(rate: u32, samples: impl Into<Arc<[i16]>>) -> Self {
        Self::Pcm(Samples::new(rate, 1, samples))
    }

    /// The samples: shared if they are samples already, otherwise decoded into a copy. A last byte that is no
    /// whole sample is left out. `None`: a format that this version can't decode.
    pub fn pcm(&self) -> Option<Samples> {
        let Coded { format, bytes } = match self {
            Self::Pcm(samples) => return Some(samples.clone()),
            Self::Coded(coded) => coded,
        };
        let samples: Arc<[i16]> = match format {
            AudioFormat::Pcm16 { .. } => crate::pcm::samples(bytes).collect(),
            AudioFormat::Pcmu => bytes.iter().map(|byte| g711::from_mu_law(*byte)).collect(),
            AudioFormat::Pcma => bytes.iter().map(|byte| g711::from_a_law(*byte)).collect(),
            _ => return None,
        };
        Some(Samples::new(format.sample_rate(), 1, samples))
    }

    /// Samples per second of one channel (Hz).
    pub const fn rate(&self) -> u32 {
        match self {
            Self::Pcm(samples) => samples.rate,
            Self::Coded(coded) => coded.format.sample_rate(),
        }
    }

    /// How many samples each channel has.
    pub fn frames(&self) -> u64 {
        match self {
            Self::Pcm(samples) => samples.frames(),
            Self::Coded(coded) => coded.format.samples(coded.bytes.len() as u64),
        }
    }

    /// How long it sounds, rounded down to a microsecond. Zero for a rate of 0 Hz.
    pub fn duration(&self) -> MediaTime {
        AudioFormat::Pcm16 { rate: self.rate() }.time_of(self.frames())
    }
}

/// A range of shared 16-bit samples. With more than one channel, the samples of the channels take turns.
#[derive(Clone)]
pub struct Samples {
    data: Arc<[i16]>,
    range: Range<usize>,
    rate: u32,
    channels: u16,
}

impl Samples {
    /// All of `data`, at `rate` Hz. `channels` of 0 counts as 1. Samples at the end that are not one for each
    /// channel are left out.
    pub fn new(rate: u32, channels: u16, data: impl Into<Arc<[i16]>>) -> Self {
        let (data, channels) = (data.into(), channels.max(1));
        let whole = data.len() - data.len() % usize::from(channels);
        Self { data, range: 0..whole, rate, channels }
    }

    /// Samples per second of one channel (Hz).
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels; at least 1.
    pub const fn channels(&self) -> u16 {
        self.channels
    }

    /// The samples, of all channels in turn.
    pub fn as_slice(&self) -> &[i16] {
        &self.data[self.range.clone()]
    }

    /// How many samples each channel has.
    pub const fn frames(&self) -> u64 {
        ((self.range.end - self.range.start) / self.channels as usize) as u64
    }

    /// A part of it, without a copy: `range` counts samples of one channel from its beginning. What lies
    /// beyond the end is left out.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let channels = usize::from(self.channels);
        let at = |frame: u64| {
            let frame = usize::try_from(frame.min(self.frames())).unwrap_or(usize::MAX);
            self.range.start + frame * channels
        };
        let (start, end) = (at(range.start), at(range.end));
        Self { data: Arc::clone(&self.data), range: start..end.max(start), ..*self }
    }
}

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        (self.rate, self.channels) == (other.rate, other.channels) && self.as_slice() == other.as_slice()
    }
}

impl Eq for Samples {}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Samples({} Hz, {} channels, {} samples)", self.rate, self.channels, self.frames())
    }
}

/// Audio to be played, or that was played, with its place in what it is part of.
#[doc(alias("TTSAudioRawFrame", "OutputAudioRawFrame"))]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputAudio {
    /// The response that it belongs to; `None`: it is the application's own.
    pub response_id: Option<ResponseId>,
    /// What it is part of.
    pub source: AudioSource,
    /// The position of its first sample in the part or clip (samples).
    #[doc(alias = "TTSStartedFrame")]
    pub start: u64,
    /// The chunk's number at the session, by which a carrier may report that it was played.
    pub mark: Option<u64>,
    /// The audio.
    pub audio: Audio,
}

/// What output audio is part of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum AudioSource {
    /// A part of an item: the model speaks.
    Part {
        /// The item.
        item_id: ItemId,
        /// The part's place in the item.
        content_index: u32,
    },
    /// A clip of the application's own, such as a greeting. The name is the application's.
    Clip(Arc<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_shares_its_samples_and_stops_at_the_end() {
        let stereo = Samples::new(16_000, 2, vec![1, -1, 2, -2, 3, -3, 4]);
        assert_eq!(stereo.frames(), 3, "the last sample has no partner");
        let part = stereo.slice(1..9);
        assert_eq!(part.as_slice(), [2, -2, 3, -3]);
        assert_eq!(part.slice(1..2).as_slice(), [3, -3]);
        assert!(part.slice(5..7).as_slice().is_empty());
        assert!(Arc::ptr_eq(&part.data, &stereo.data));
    }

    #[test]
    fn coded_audio_is_decoded_for_who_listens() {
        let pcm =
            |format, bytes: &'static [u8]| Audio::coded(format, Bytes::from_static(bytes)).pcm().unwrap();
        assert_eq!(pcm(AudioFormat::PCM16_24K, &[1, 0, 0xfe, 0xff, 9]).as_slice(), [1, -2]);
        // The ends of both scales, and silence.
        assert_eq!(pcm(AudioFormat::Pcmu, &[0x00, 0x80, 0xff, 0x7f]).as_slice(), [-32124, 32124, 0, 0]);
        assert_eq!(pcm(AudioFormat::Pcma, &[0x2a, 0xaa, 0xd5, 0x55]).as_slice(), [-32256, 32256, 8, -8]);
    }

    #[test]
    fn audio_shows_its_length_and_knows_its_duration() {
        let audio = Audio::mono(8_000, vec![77; 80]);
        assert_eq!(audio.duration(), MediaTime::from_millis(10));
        assert_eq!(format!("{audio:?}"), "Pcm(Samples(8000 Hz, 1 channels, 80 samples))");
        let coded = Audio::coded(AudioFormat::Pcmu, Bytes::from_static(&[77; 80]));
        assert_eq!(coded.duration(), MediaTime::from_millis(10));
        assert_eq!(format!("{coded:?}"), "Coded(Coded(Pcmu, 80 bytes))");
    }
}
