//! Twilio Media Streams. Audio is mu-law; each message to Twilio names the stream.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts::{Habits, Texts};
use crate::carrier::{Carrier, Incoming, Odd, Outgoing, Read};
use crate::chunk::ChunkRules;
use crate::json;
use crate::kind::CarrierKind;

/// The messages of a Twilio call.
#[derive(Debug)]
pub struct Twilio(Texts);

impl Twilio {
    /// For a new call.
    pub fn new() -> Self {
        Self(Texts::new(Habits { format: AudioFormat::Pcmu, has_clock: true, order: None }))
    }
}

impl Default for Twilio {
    fn default() -> Self {
        Self::new()
    }
}

impl Carrier for Twilio {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Twilio
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        self.0.read(message, reads)
    }

    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::any(output)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        media("streamSid", self.0.id(), &audio)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        Some(mark("streamSid", self.0.id(), name))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(format!(r#"{{"event":"clear","streamSid":{}}}"#, self.0.id())))
    }
}

/// A `media` message as Twilio and its relatives take it; `id` is JSON.
pub(super) fn media(id_name: &str, id: &str, audio: &[u8]) -> Outgoing {
    let mut text = String::with_capacity(audio.len().div_ceil(3) * 4 + id.len() + 64);
    text.push_str(r#"{"event":"media",""#);
    text.push_str(id_name);
    text.push_str("\":");
    text.push_str(id);
    text.push_str(r#","media":{"payload":""#);
    json::push_base64(audio, &mut text);
    text.push_str("\"}}");
    Outgoing::Text(text)
}

/// A `mark` message as Twilio and its relatives take it; `id` is JSON.
pub(super) fn mark(id_name: &str, id: &str, name: &str) -> Outgoing {
    let name = json::quoted(name);
    Outgoing::Text(format!(r#"{{"event":"mark","{id_name}":{id},"mark":{{"name":{name}}}}}"#))
}
