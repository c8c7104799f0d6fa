//! Plivo: `playAudio` says its format in each message, checkpoints come back only if they were played, and
//! digits go out on the socket.

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts::{Habits, Texts, started};
use crate::carrier::{Carrier, Incoming, Odd, Outgoing, Read};
use crate::chunk::ChunkRules;
use crate::json;
use crate::kind::CarrierKind;

/// The messages of a Plivo call.
#[derive(Debug)]
pub struct Plivo {
    texts: Texts,
    /// The format of the stream, which what we send must have.
    format: AudioFormat,
}

impl Plivo {
    /// For a new call.
    pub fn new() -> Self {
        // Its timestamps are wall time. The newer documents name mu-law as what is sent unasked, the older
        // ones L16: `start` says it.
        let habits = Habits { format: AudioFormat::Pcmu, has_clock: false, order: None };
        Self { texts: Texts::new(habits), format: AudioFormat::Pcmu }
    }
}

impl Default for Plivo {
    fn default() -> Self {
        Self::new()
    }
}

impl Carrier for Plivo {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Plivo
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        self.texts.read(message, reads)?;
        self.format = started(reads).unwrap_or(self.format);
        Ok(())
    }

    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::any(output)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        let content_type = match self.format {
            AudioFormat::Pcm16 { .. } => "audio/x-l16",
            AudioFormat::Pcma => "audio/x-alaw",
            _ => "audio/x-mulaw",
        };
        let (id, rate) = (self.texts.id(), self.format.sample_rate());
        let mut text = String::with_capacity(audio.len().div_ceil(3) * 4 + id.len() + 128);
        text.push_str(r#"{"event":"playAudio","media":{"contentType":""#);
        text.push_str(content_type);
        text.push_str(r#"","sampleRate":"#);
        text.push_str(&rate.to_string());
        text.push_str(r#","payload":""#);
        json::push_base64(&audio, &mut text);
        text.push_str(r#""},"streamId":"#);
        text.push_str(id);
        text.push('}');
        Outgoing::Text(text)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        let (id, name) = (self.texts.id(), json::quoted(name));
        Some(Outgoing::Text(format!(r#"{{"event":"checkpoint","streamId":{id},"name":{name}}}"#)))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(format!(r#"{{"event":"clearAudio","streamId":{}}}"#, self.texts.id())))
    }

    fn digits(&mut self, digits: &str) -> Option<Outgoing> {
        Some(Outgoing::Text(format!(r#"{{"event":"sendDTMF","dtmf":{}}}"#, json::quoted(digits))))
    }
}
