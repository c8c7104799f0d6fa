//! Audio: the formats of the protocol, bytes against time, and the payload of audio events.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::base64;
use crate::field::Field;
use crate::time::MediaTime;
use crate::wire::{wire_enum, wire_struct};

pub mod g711;

/// What the bytes of an audio stream are. All are mono.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AudioFormat {
    /// 16-bit signed little-endian samples at `rate` Hz. OpenAI knows 24,000 Hz alone; others differ.
    Pcm16 {
        /// Samples per second (Hz).
        rate: u32,
    },
    /// G.711 mu-law: 8-bit samples at 8,000 Hz.
    Pcmu,
    /// G.711 A-law: 8-bit samples at 8,000 Hz.
    Pcma,
}

impl AudioFormat {
    /// The protocol's default: 16-bit samples at 24,000 Hz.
    pub const PCM16_24K: Self = Self::Pcm16 { rate: 24_000 };

    /// Samples per second (Hz).
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcm16 { rate } => rate,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Bytes of one sample.
    pub const fn sample_bytes(self) -> u32 {
        match self {
            Self::Pcm16 { .. } => 2,
            Self::Pcmu | Self::Pcma => 1,
        }
    }

    /// Bytes of one second.
    pub const fn bytes_per_second(self) -> u64 {
        self.sample_rate() as u64 * self.sample_bytes() as u64
    }

    /// Whole samples in `bytes` bytes.
    pub const fn samples(self, bytes: u64) -> u64 {
        bytes / self.sample_bytes() as u64
    }

    /// How long `samples` samples sound, rounded down to a microsecond. Zero for a rate of 0 Hz.
    pub const fn time_of(self, samples: u64) -> MediaTime {
        self.duration(samples.saturating_mul(self.sample_bytes() as u64))
    }

    /// The samples of `time`, to the nearest one, so that `samples_in(time_of(n))` is `n`.
    pub const fn samples_in(self, time: MediaTime) -> u64 {
        time.as_micros().saturating_mul(self.sample_rate() as u64).saturating_add(500_000) / 1_000_000
    }

    /// How long `bytes` bytes sound, rounded down to a microsecond. Zero for a rate of 0 Hz.
    pub const fn duration(self, bytes: u64) -> MediaTime {
        match bytes.saturating_mul(1_000_000).checked_div(self.bytes_per_second()) {
            Some(micros) => MediaTime::from_micros(micros),
            None => MediaTime::ZERO,
        }
    }

    /// The bytes of `time`, to the nearest whole sample, so that `bytes(duration(n))` is `n`.
    pub const fn bytes(self, time: MediaTime) -> u64 {
        self.samples_in(time).saturating_mul(self.sample_bytes() as u64)
    }
}

impl Default for AudioFormat {
    fn default() -> Self {
        Self::PCM16_24K
    }
}

wire_struct! {
    /// 16-bit signed little-endian mono.
    pub (tagged) struct PcmFormat {
        /// Samples per second (Hz); OpenAI takes 24,000 only.
        rate: Field<u32>,
    }

    /// G.711 mu-law at 8,000 Hz.
    pub (tagged) struct PcmuFormat {}

    /// G.711 A-law at 8,000 Hz.
    pub (tagged) struct PcmaFormat {}
}

wire_enum! {
    /// An audio format as the session's configuration writes it.
    pub enum WireFormat {
        /// 16-bit PCM.
        Pcm(PcmFormat) = "audio/pcm",
        /// G.711 mu-law.
        Pcmu(PcmuFormat) = "audio/pcmu",
        /// G.711 A-law.
        Pcma(PcmaFormat) = "audio/pcma",
    }
}

impl WireFormat {
    /// What the bytes are; `None` for a format this version does not know.
    pub fn format(&self) -> Option<AudioFormat> {
        match self {
            Self::Pcm(pcm) => Some(AudioFormat::Pcm16 { rate: pcm.rate.unwrap_or(24_000) }),
            Self::Pcmu(_) => Some(AudioFormat::Pcmu),
            Self::Pcma(_) => Some(AudioFormat::Pcma),
            // Beta's words, which some servers use in GA as well.
            Self::Unknown(raw) => match raw.get() {
                "\"pcm16\"" => Some(AudioFormat::PCM16_24K),
                "\"g711_ulaw\"" => Some(AudioFormat::Pcmu),
                "\"g711_alaw\"" => Some(AudioFormat::Pcma),
                _ => None,
            },
        }
    }
}

impl From<AudioFormat> for WireFormat {
    fn from(format: AudioFormat) -> Self {
        match format {
            AudioFormat::Pcm16 { rate } => PcmFormat::default().rate(rate).into(),
            AudioFormat::Pcmu => PcmuFormat::default().into(),
            AudioFormat::Pcma => PcmaFormat::default().into(),
        }
    }
}

impl From<AudioFormat> for Field<WireFormat> {
    fn from(format: AudioFormat) -> Self {
        Self::Value(format.into())
    }
}

/// The audio of an event: its bytes, or its text as it came if that is not canonical base64.
///
/// Either way it is written again as it was read. `Debug` and errors show its size and not its content.
#[derive(Clone, Eq, PartialEq)]
pub struct Audio(Repr);

#[derive(Clone, Eq, PartialEq)]
enum Repr {
    Bytes(Bytes),
    Text(Box<str>),
}

/// Audio text that is not base64, or not the canonical base64 of its bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected canonical base64 audio, got {len} characters that are not: the text is kept as it came")]
pub struct NotBase64 {
    /// Characters of the text.
    pub len: usize,
}

impl Audio {
    /// The audio's bytes, in the session's format.
    ///
    /// # Errors
    /// [`NotBase64`] when the text that came cannot be read; there is nothing to play, and the text is in
    /// [`Audio::text`].
    pub fn bytes(&self) -> Result<&Bytes, NotBase64> {
        match &self.0 {
            Repr::Bytes(bytes) => Ok(bytes),
            Repr::Text(text) => Err(NotBase64 { len: text.len() }),
        }
    }

    /// [`bytes`](Self::bytes) without a clone, which would allocate a reference count. Also reads text that
    /// only a lenient decoder takes.
    pub(crate) fn into_bytes(self) -> Result<Bytes, NotBase64> {
        match self.0 {
            Repr::Bytes(bytes) => Ok(bytes),
            Repr::Text(text) => {
                base64::decode_loosely(&text).map(Bytes::from).ok_or(NotBase64 { len: text.len() })
            }
        }
    }

    /// The text as it came, if it was not canonical base64.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Repr::Bytes(_) => None,
            Repr::Text(text) => Some(text),
        }
    }

    /// Reads base64 text; anything else is kept as text.
    pub fn from_base64(text: &str) -> Self {
        Self::from_canonical_base64(text).unwrap_or_else(|| Self(Repr::Text(text.into())))
    }

    /// Reads base64 text, with one allocation for the bytes. Only canonical text is read: with padding,
    /// without stray bits or white space.
    pub(crate) fn from_canonical_base64(text: &str) -> Option<Self> {
        base64::decode(text).map(|bytes| Self(Repr::Bytes(bytes.into())))
    }

    /// Appends the base64 text to `out`.
    pub fn encode_into(&self, out: &mut String) {
        match &self.0 {
            Repr::Bytes(bytes) => base64::encode(bytes, out),
            Repr::Text(text) => out.push_str(text),
        }
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self(Repr::Bytes(Bytes::new()))
    }
}

impl<T: Into<Bytes>> From<T> for Audio {
    fn from(bytes: T) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }
}

impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Bytes(bytes) => write!(f, "Audio({} bytes)", bytes.len()),
            Repr::Text(text) => write!(f, "Audio({} characters, not base64)", text.len()),
        }
    }
}

impl Serialize for Audio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        self.encode_into(&mut text);
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Audio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Audio;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 audio")
            }
            fn visit_str<E>(self, text: &str) -> Result<Audio, E> {
                Ok(Audio::from_base64(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl crate::wire::Wire for Audio {}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Audio {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Audio".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "contentEncoding": "base64"})
    }
}

/// The digest of nothing: see [`fnv1a`].
pub(crate) const FNV1A_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// A digest of audio for logs: 64 bits of FNV-1a.
pub(crate) fn fnv1a(audio: &[u8]) -> u64 {
    fnv1a_after(FNV1A_OF_NOTHING, audio)
}

/// The digest of more, after what has this digest.
pub(crate) fn fnv1a_after(digest: u64, more: &[u8]) -> u64 {
    more.iter().fold(digest, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_is_one_second_in_every_format() {
        for (format, bytes) in [
            (AudioFormat::PCM16_24K, 48_000),
            (AudioFormat::Pcm16 { rate: 16_000 }, 32_000),
            (AudioFormat::Pcmu, 8_000),
            (AudioFormat::Pcma, 8_000),
        ] {
            assert_eq!(format.duration(bytes), MediaTime::from_millis(1000), "{format:?}");
            assert_eq!(format.bytes(MediaTime::from_millis(1000)), bytes, "{format:?}");
        }
    }

    #[test]
    fn text_that_is_not_canonical_base64_is_kept_verbatim() {
        for text in ["AAA", "AAB=", "Base64EncodedAudio...", "AA==\n", "AA=", "A", "AB=="] {
            let audio = Audio::from_base64(text);
            let mut again = String::new();
            audio.encode_into(&mut again);
            assert_eq!(again, text);
            assert!(audio.bytes().is_err(), "{text}");
            let is_played = ["AAA", "AAB=", "AA==\n", "AA=", "AB=="].contains(&text);
            assert_eq!(audio.into_bytes().is_ok(), is_played, "{text}");
        }
    }

    #[test]
    fn canonical_base64_becomes_bytes() {
        let audio = Audio::from_base64("AAEC");
        assert_eq!(audio.bytes().unwrap().as_ref(), [0, 1, 2]);
        assert_eq!(alloc::format!("{audio:?}"), "Audio(3 bytes)");
    }
}
