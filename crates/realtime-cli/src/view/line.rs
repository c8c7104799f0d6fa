//! One line of a log, read no deeper than needed: most lines of a call are audio.

use std::borrow::Cow;

use realtime_protocol::audio::{Audio, AudioFormat, g711};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::clamped;

/// A line after the header. Its members are JSON as it stands in the log.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) at_us: u64,
    pub(super) conn: Option<u64>,
    #[serde(borrow)]
    pub(super) from: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) media: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) command: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) seed: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) shortfall: Option<&'a RawValue>,
    pub(super) connected: Option<Value>,
    pub(super) disconnected: Option<Value>,
    pub(super) connect: Option<Value>,
    pub(super) close: Option<Value>,
    pub(super) endpoint: Option<u64>,
    pub(super) suspend: Option<Value>,
}

/// What a piece of media is.
#[derive(Debug, Deserialize)]
pub(super) struct Media<'a> {
    #[serde(borrow)]
    pub(super) append: Option<Append<'a>>,
    pub(super) begin_turn: Option<Value>,
    pub(super) report: Option<Value>,
}

/// Audio in an object of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Append<'a> {
    #[serde(borrow)]
    pub(super) audio: &'a RawValue,
}

/// The members of a wire text that audio needs.
#[derive(Debug, Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) audio: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
}

/// What a log keeps of a piece of audio.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sound {
    /// All of it.
    Bytes(Vec<u8>),
    /// How long it was (bytes).
    Size(u64),
}

/// No piece of audio is larger (bytes), whatever a log says.
const LARGEST: u64 = 1 << 30;

/// Reads audio in a file beside the log: `(first byte, bytes)`.
pub(super) type Aside<'a> = dyn FnMut(u64, usize) -> Option<Vec<u8>> + 'a;

impl Sound {
    /// Reads a member of a line: base64, or what a filter put in its place.
    pub(super) fn read(raw: &RawValue, aside: &mut Aside<'_>) -> Self {
        let text = words(raw);
        if let Some(size) = blank(&text) {
            // The size is that of the base64; its padding is not known.
            return Self::Size((size / 4 * 3).min(LARGEST));
        }
        if let Some(rest) = text.strip_prefix("digest:") {
            return Self::Size(number(rest).min(LARGEST));
        }
        if let Some((first, bytes)) = text.strip_prefix("aside:").and_then(|rest| rest.split_once(':')) {
            let place = first.parse().ok().zip(bytes.parse().ok());
            let read = place.and_then(|(first, bytes)| aside(first, bytes));
            return read.map_or_else(|| Self::Size(number(bytes).min(LARGEST)), Self::Bytes);
        }
        match Audio::from_base64(&text).bytes() {
            Ok(bytes) => Self::Bytes(bytes.to_vec()),
            Err(_) => Self::Size(0),
        }
    }

    /// Its size, without reading it (bytes).
    pub(super) fn size(raw: &RawValue) -> u64 {
        let text = words(raw);
        let size = if let Some(size) = blank(&text) {
            size / 4 * 3
        } else if let Some(rest) = text.strip_prefix("digest:") {
            number(rest)
        } else if let Some((_, bytes)) = text.strip_prefix("aside:").and_then(|rest| rest.split_once(':')) {
            number(bytes)
        } else {
            let padding = text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
            (text.len() / 4 * 3).saturating_sub(padding) as u64
        };
        size.min(LARGEST)
    }

    /// Bytes.
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Size(size) => *size,
        }
    }

    /// The samples, if the audio is there.
    pub(super) fn samples(&self, format: AudioFormat) -> Option<Vec<i16>> {
        let Self::Bytes(bytes) = self else { return None };
        match format {
            AudioFormat::Pcmu => Some(bytes.iter().map(|byte| g711::from_mu_law(*byte)).collect()),
            AudioFormat::Pcma => Some(bytes.iter().map(|byte| g711::from_a_law(*byte)).collect()),
            _ => {
                let (pairs, _) = bytes.as_chunks::<2>();
                Some(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
            }
        }
    }
}

/// The text of a JSON string; empty for anything else.
pub(super) fn words(raw: &RawValue) -> Cow<'_, str> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Cow::Borrowed(text),
        Some(_) => Cow::Owned(serde_json::from_str(text).unwrap_or_default()),
        None => Cow::Borrowed(""),
    }
}

/// How long samples last at a rate in Hz (us).
pub(super) fn time_of(samples: u64, rate: u32) -> i64 {
    clamped(samples.saturating_mul(1_000_000) / u64::from(rate.max(1)))
}

/// What stands for a text that was left out: `[12 bytes]`.
pub(super) fn blank(text: &str) -> Option<u64> {
    text.strip_prefix('[')?.strip_suffix(" bytes]")?.parse().ok()
}

/// An audio format as a log writes it: `pcm16 24000 Hz`.
pub(super) fn format(text: &str) -> Option<AudioFormat> {
    let (kind, rate) = text.split_once(' ')?;
    match kind {
        "pcm16" => Some(AudioFormat::Pcm16 { rate: u32::try_from(number(rate)).ok()? }),
        "pcmu" => Some(AudioFormat::Pcmu),
        "pcma" => Some(AudioFormat::Pcma),
        _ => None,
    }
}

/// The number at the beginning of a text, or 0.
pub(super) fn number(text: &str) -> u64 {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    #[test]
    fn audio_is_read_from_wherever_the_log_keeps_it() {
        for (json, sound, size) in [
            (r#""AQIDBA==""#, Sound::Bytes(vec![1, 2, 3, 4]), 4),
            (r#""AQID\/w==""#, Sound::Bytes(vec![1, 2, 3, 255]), 4),
            (r#""aside:2:3""#, Sound::Bytes(vec![2, 3, 4]), 3),
            (r#""aside:7:9""#, Sound::Size(9), 9),
            (r#""digest:4800 bytes c7dffa297fb78ae6""#, Sound::Size(4800), 4800),
            (r#""[1280 bytes]""#, Sound::Size(960), 960),
        ] {
            let file: Vec<u8> = (0..8).collect();
            let mut aside = |first: u64, bytes: usize| {
                file.get(first as usize..first as usize + bytes).map(<[u8]>::to_vec)
            };
            let raw = raw(json);
            assert_eq!(Sound::read(&raw, &mut aside), sound, "{json}");
            assert_eq!(Sound::size(&raw), size, "{json}");
        }
        assert_eq!(Sound::read(&raw("\"no base64!\""), &mut |_, _| None), Sound::Size(0));
        assert_eq!(Sound::read(&raw("{\"a\":1}"), &mut |_, _| None), Sound::Bytes(vec![]));
    }

    #[test]
    fn samples_are_what_the_format_says() {
        let sound = Sound::Bytes(vec![0, 1, 255]);
        assert_eq!(sound.samples(AudioFormat::PCM16_24K), Some(vec![256]));
        assert_eq!(sound.samples(AudioFormat::Pcmu).map(|samples| samples[2]), Some(0));
        assert_eq!(Sound::Size(2).samples(AudioFormat::Pcmu), None);
    }

    #[test]
    fn formats_are_read_as_a_log_writes_them() {
        assert_eq!(format("pcm16 24000 Hz"), Some(AudioFormat::PCM16_24K));
        assert_eq!(format("pcmu 8000 Hz"), Some(AudioFormat::Pcmu));
        assert_eq!(format("opus 48000 Hz"), None);
    }
}
