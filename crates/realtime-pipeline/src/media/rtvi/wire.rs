//! The frames of the wire, `pipecat.Frame`: one to each binary message.
//!
//! | field | frame | fields |
//! |---|---|---|
//! | 1 | text | `id` 1, `name` 2, `text` 3 |
//! | 2 | audio | `id` 1, `name` 2, `audio` 3, `sample_rate` 4, `num_channels` 5, `pts` 6 |
//! | 3 | transcription | `id` 1, `name` 2, `text` 3, `user_id` 4, `timestamp` 5 |
//! | 4 | message | `data` 1: the JSON text of one RTVI message |
//! | 5 | interruption | `id` 1, `name` 2 |
//!
//! Unknown fields are skipped, and of several frames in one message the last one counts, as in any reader of
//! protocol buffers.

use bytes::Bytes;

use crate::media::rtvi::protobuf::{
    Fields, ProtobufError, Value, put_bytes, put_head, put_number, varint_len,
};

/// A frame that came. `Debug` shows none of its content.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum WireFrame {
    /// Words.
    Text(Text),
    /// Audio: 16-bit samples, little-endian, of all channels in turn.
    Audio {
        audio: Bytes,
        /// Samples per second of one channel (Hz).
        rate: u32,
        channels: u32,
    },
    /// What was said.
    Transcription(Text),
    /// The JSON text of an RTVI message.
    Message(Text),
    /// What is being said stops.
    Interruption,
}

/// Bytes that are text.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Text(Bytes);

impl Text {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was checked when it was read")
    }
}

/// Why a binary message is no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// A field of another type than it has.
    #[error("expected field {number} of a frame to be {expected}")]
    Field { number: u32, expected: &'static str },
    /// There is no frame in it.
    #[error("expected a frame of text, audio, transcription, message or interruption, got none of them")]
    NoFrame,
}

impl WireFrame {
    /// Reads a binary message. What it holds is shared with it, and not copied.
    pub(super) fn read(message: &Bytes) -> Result<Self, WireError> {
        let mut frame = None;
        for field in Fields::new(message) {
            let (number @ 1..=5, value) = field? else { continue };
            let Value::Bytes(body) = value else {
                return Err(WireError::Field { number, expected: "a message" });
            };
            frame = Some((number, message.slice_ref(body)));
        }
        let (number, body) = frame.ok_or(WireError::NoFrame)?;
        Ok(match number {
            1 => Self::Text(read_text(&body, 3)?),
            2 => read_audio(&body)?,
            3 => Self::Transcription(read_text(&body, 3)?),
            4 => Self::Message(read_text(&body, 1)?),
            _ => {
                // It has nothing of use, but it has to be one.
                Fields::new(&body).try_for_each(|field| field.map(|_| ()))?;
                Self::Interruption
            }
        })
    }
}

/// The text in this field; empty if it is not there.
fn read_text(body: &Bytes, wanted: u32) -> Result<Text, WireError> {
    let mut text = Bytes::new();
    for field in Fields::new(body) {
        let (number, value) = field?;
        if number == wanted {
            let wrong = WireError::Field { number, expected: "UTF-8 text" };
            let Value::Bytes(bytes) = value else { return Err(wrong) };
            std::str::from_utf8(bytes).map_err(|_| wrong)?;
            text = body.slice_ref(bytes);
        }
    }
    Ok(Text(text))
}

fn read_audio(body: &Bytes) -> Result<WireFrame, WireError> {
    let (mut audio, mut rate, mut channels) = (Bytes::new(), 0, 0);
    for field in Fields::new(body) {
        let (number, value) = field?;
        let expected = "a number of 32 bits";
        match (number, value) {
            (3, Value::Bytes(bytes)) => audio = body.slice_ref(bytes),
            (3, _) => return Err(WireError::Field { number, expected: "bytes" }),
            (4 | 5, Value::Number(value)) => {
                let value = u32::try_from(value).map_err(|_| WireError::Field { number, expected })?;
                *(if number == 4 { &mut rate } else { &mut channels }) = value;
            }
            (4 | 5, _) => return Err(WireError::Field { number, expected }),
            _ => {}
        }
    }
    Ok(WireFrame::Audio { audio, rate, channels })
}

/// A binary message that holds the JSON text of an RTVI message.
pub(super) fn write_message(json: &[u8]) -> Bytes {
    let inner = 1 + varint_len(json.len() as u64) + json.len();
    let mut out = Vec::with_capacity(inner + 11);
    put_head(&mut out, 4, inner);
    put_bytes(&mut out, 1, json);
    out.into()
}

/// A binary message of audio: 16-bit samples, mono, little-endian.
pub(super) fn write_audio(audio: &[u8], rate: u32) -> Bytes {
    let inner = 4 + varint_len(audio.len() as u64) + audio.len() + varint_len(rate.into());
    let mut out = Vec::with_capacity(inner + 11);
    put_head(&mut out, 2, inner);
    put_bytes(&mut out, 3, audio);
    put_number(&mut out, 4, rate.into());
    put_number(&mut out, 5, 1);
    out.into()
}

impl std::fmt::Debug for WireFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.0.len()),
            Self::Audio { audio, rate, channels } => {
                write!(f, "Audio({} bytes, {rate} Hz, {channels} channels)", audio.len())
            }
            Self::Transcription(text) => write!(f, "Transcription({} bytes)", text.0.len()),
            Self::Message(text) => write!(f, "Message({} bytes)", text.0.len()),
            Self::Interruption => f.write_str("Interruption"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<WireFrame, WireError> {
        WireFrame::read(&Bytes::copy_from_slice(bytes))
    }

    fn text(text: &'static str) -> Text {
        Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn every_frame_is_read_and_unknown_fields_are_skipped() {
        // As protoc writes them.
        for (bytes, frame) in [
            (&b"\x0a\x09\x08\x07\x12\x01n\x1a\x02hi"[..], WireFrame::Text(text("hi"))),
            (b"\x1a\x06\x1a\x02hi\x22\x00", WireFrame::Transcription(text("hi"))),
            (b"\x22\x04\x0a\x02{}", WireFrame::Message(text("{}"))),
            (b"\x2a\x05\x08\x01\x12\x01n", WireFrame::Interruption),
            (b"\x22\x04\x0a\x02{}\x4a\x01x\x50\x05", WireFrame::Message(text("{}"))),
            (b"\x22\x04\x0a\x02[]\x22\x04\x0a\x02{}", WireFrame::Message(text("{}"))),
            (b"\x22\x00", WireFrame::Message(text(""))),
        ] {
            assert_eq!(read(bytes), Ok(frame), "{bytes:?}");
        }
        let audio = read(b"\x12\x0d\x12\x01n\x1a\x02\x01\x02\x20\xc0\xbb\x01\x28\x02").unwrap();
        let samples = Bytes::from_static(&[1, 2]);
        assert_eq!(audio, WireFrame::Audio { audio: samples, rate: 24_000, channels: 2 });
        assert_eq!(format!("{audio:?}"), "Audio(2 bytes, 24000 Hz, 2 channels)");
    }

    #[test]
    fn what_is_no_frame_is_told() {
        assert_eq!(read(b""), Err(WireError::NoFrame));
        assert_eq!(read(b"\x32\x00"), Err(WireError::NoFrame));
        let field = |number, expected| Err(WireError::Field { number, expected });
        assert_eq!(read(b"\x20\x01"), field(4, "a message"));
        assert_eq!(read(b"\x22\x03\x0a\x01\xff"), field(1, "UTF-8 text"));
        assert_eq!(read(b"\x12\x02\x18\x01"), field(3, "bytes"));
        assert_eq!(read(b"\x12\x06\x20\xff\xff\xff\xff\x7f"), field(4, "a number of 32 bits"));
        assert_eq!(read(b"\x2a\x01\x08"), Err(WireError::Protobuf(ProtobufError::Short)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(json in ".*", audio: Vec<u8>, rate: u32) {
            let message = WireFrame::read(&write_message(json.as_bytes())).unwrap();
            prop_assert_eq!(message, WireFrame::Message(Text(json.into())));
            let frame = WireFrame::read(&write_audio(&audio, rate)).unwrap();
            prop_assert_eq!(frame, WireFrame::Audio { audio: audio.into(), rate, channels: 1 });
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            if let Ok(WireFrame::Message(text) | WireFrame::Text(text)) = read(&bytes) {
                prop_assert!(text.as_str().len() <= bytes.len());
            }
        }

        #[test]
        fn no_frame_that_is_spoiled_is_too_strange(at: prop::sample::Index, bit in 0..8_u8) {
            let mut bytes = write_audio(&[0; 40], 24_000).to_vec();
            bytes[at.index(48)] ^= 1 << bit;
            if let Ok(WireFrame::Audio { audio, .. }) = read(&bytes) {
                prop_assert!(audio.len() < 50, "more than there was");
            }
        }
    }
}
