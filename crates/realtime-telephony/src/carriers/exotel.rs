//! Exotel: raw PCM in pieces of 100 ms and more. Its applets differ in how they name members.
//!
//! Exotel's own bridges send the stream's id in both spellings, and a number and a time with each piece,
//! since some streams end early without them. So does this.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts::{Habits, Texts, started};
use crate::carrier::{Carrier, Incoming, Odd, Outgoing, Read};
use crate::chunk::ChunkRules;
use crate::json;
use crate::kind::CarrierKind;

/// The messages of an Exotel call.
#[derive(Debug)]
pub struct Exotel {
    texts: Texts,
    format: AudioFormat,
    /// Pieces of audio that were sent.
    chunks: u64,
    /// Bytes of audio that were sent.
    bytes: u64,
}

impl Exotel {
    /// For a new call.
    pub fn new() -> Self {
        let format = AudioFormat::Pcm16 { rate: 8_000 };
        let habits = Habits { format, has_clock: true, order: None };
        Self { texts: Texts::new(habits), format, chunks: 0, bytes: 0 }
    }
}

impl Default for Exotel {
    fn default() -> Self {
        Self::new()
    }
}

impl Carrier for Exotel {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Exotel
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        self.texts.read(message, reads)?;
        self.format = started(reads).unwrap_or(self.format);
        Ok(())
    }

    /// "A multiple of 320 bytes, from 3.2 kB to 100 kB." Half of that is enough of one piece.
    fn chunks(&self, _output: AudioFormat) -> ChunkRules {
        ChunkRules::multiples(320, 3_200, 48_000)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        self.chunks += 1;
        let at_ms = self.format.duration(self.bytes).as_millis();
        self.bytes += audio.len() as u64;
        let (id, chunk) = (self.texts.id(), self.chunks);
        let mut text = String::with_capacity(audio.len().div_ceil(3) * 4 + 2 * id.len() + 160);
        let head =
            format!(r#"{{"event":"media","stream_sid":{id},"streamSid":{id},"sequence_number":"{chunk}""#);
        text.push_str(&head);
        text.push_str(&format!(r#","media":{{"chunk":"{chunk}","timestamp":"{at_ms}","payload":""#));
        json::push_base64(&audio, &mut text);
        text.push_str("\"}}");
        Outgoing::Text(text)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        let (id, name) = (self.texts.id(), json::quoted(name));
        let text =
            format!(r#"{{"event":"mark","stream_sid":{id},"streamSid":{id},"mark":{{"name":{name}}}}}"#);
        Some(Outgoing::Text(text))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        let id = self.texts.id();
        Some(Outgoing::Text(format!(r#"{{"event":"clear","stream_sid":{id},"streamSid":{id}}}"#)))
    }
}
