//! Vonage: binary PCM in pieces of exactly 20 ms. Any other length ends the call.

use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts;
use crate::carrier::{CallStart, Carrier, Incoming, Odd, Outgoing, Read, Start};
use crate::chunk::ChunkRules;
use crate::format::WireAudio;
use crate::json::{self, Object};
use crate::kind::CarrierKind;

/// The messages of a Vonage call.
#[derive(Debug, Default)]
pub struct Vonage {
    is_started: bool,
}

impl Vonage {
    /// For a new call.
    pub fn new() -> Self {
        Self::default()
    }

    fn start(&mut self, message: &Object<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        if self.is_started {
            return Err(Odd::StartedTwice);
        }
        self.is_started = true;
        let mut parameters = texts::values(message);
        parameters.remove("event");
        let content_type =
            parameters.remove("content-type").unwrap_or_else(|| "audio/l16;rate=16000".to_owned());
        // A type without a rate is the oldest one.
        let rate = if content_type.contains("rate=") { None } else { Some(16_000) };
        let input = WireAudio::of(&content_type, rate, None).ok_or(content_type);
        let call = CallStart { parameters, ..CallStart::default() };
        reads.push(Read::Started(Box::new(Start { call, input, output: None, detects_order: false })));
        Ok(())
    }
}

impl Carrier for Vonage {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Vonage
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        let Some(text) = message.into_text(reads) else { return Ok(()) };
        let message = Object::read(text).ok_or(Odd::NotAnObject)?;
        match message.text(&["event"]).as_deref() {
            Some("websocket:connected") => self.start(&message, reads),
            Some("websocket:dtmf") => {
                let length = message.number(&["duration"]).map(Duration::from_millis);
                texts::digits(message.text(&["digit", "digits"]).as_deref(), length, reads)
            }
            Some("websocket:cleared") => {
                reads.push(Read::Flushed);
                Ok(())
            }
            Some("websocket:notify") => {
                let payload = message.object(&["payload"]).ok_or(Odd::Missing("payload"))?;
                let name = payload.owned(&["name"]).ok_or(Odd::Missing("name"))?;
                reads.push(Read::Mark { name, was_played: true });
                Ok(())
            }
            _ => Err(Odd::UnknownEvent),
        }
    }

    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::exactly_ms(output, 20)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        Outgoing::Binary(audio)
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        let name = json::quoted(name);
        Some(Outgoing::Text(format!(r#"{{"action":"notify","payload":{{"name":{name}}}}}"#)))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(r#"{"action":"clear"}"#.to_owned()))
    }
}
