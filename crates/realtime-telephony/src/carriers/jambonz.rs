//! jambonz: binary PCM, after one text with the call's attributes. The two directions may differ in rate.

use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::texts;
use crate::carrier::{CallStart, Carrier, Incoming, Odd, Outgoing, Read, Start};
use crate::chunk::ChunkRules;
use crate::format::WireAudio;
use crate::json::{self, Object};
use crate::kind::CarrierKind;
use crate::options::StreamOptions;

/// The attributes of a call that are no parameters.
const ATTRIBUTES: &[&str] = &[
    "accountSid",
    "applicationSid",
    "callId",
    "callSid",
    "callStatus",
    "callerName",
    "direction",
    "event",
    "fsPublicIp",
    "fsSipAddress",
    "from",
    "mixType",
    "sampleRate",
    "sipReason",
    "sipStatus",
    "to",
    "traceId",
    "type",
];

/// The messages of a jambonz call.
#[derive(Debug)]
pub struct Jambonz {
    is_started: bool,
    streams: bool,
    output: Option<AudioFormat>,
    /// Samples per second of what we send (Hz).
    rate: u32,
}

impl Jambonz {
    /// For a new call.
    pub fn new(options: &StreamOptions) -> Self {
        Self { is_started: false, streams: options.jambonz_streams, output: options.output, rate: 8_000 }
    }

    fn start(&mut self, message: &Object<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        if self.is_started {
            return Err(Odd::StartedTwice);
        }
        self.is_started = true;
        let channels = message.text(&["mixType"]).filter(|mix| mix == "stereo").map_or(1, |_| 2);
        let rate = message.number(&["sampleRate"]);
        let input = WireAudio::of("L16", rate, Some(channels));
        self.rate = match (self.output, input) {
            (Some(output), _) => output.sample_rate(),
            (None, Some(input)) => input.format.sample_rate(),
            (None, None) => self.rate,
        };
        let mut parameters = texts::values(message);
        parameters.retain(|name, _| !ATTRIBUTES.contains(&name.as_str()));
        // Applications also give their metadata as an object of its own.
        if let Some(metadata) = message.object(&["metadata"]) {
            parameters.remove("metadata");
            parameters.extend(texts::values(&metadata));
        }
        let call = CallStart {
            call_id: message.owned(&["callSid"]),
            conversation_id: message.owned(&["callId"]),
            account_id: message.owned(&["accountSid"]),
            from: message.owned(&["from"]),
            to: message.owned(&["to"]),
            parameters,
            ..CallStart::default()
        };
        let input = input.ok_or_else(|| format!("L16 at {} Hz", rate.unwrap_or_default()));
        let output = self.output.map(WireAudio::mono);
        reads.push(Read::Started(Box::new(Start { call, input, output, detects_order: false })));
        Ok(())
    }

    /// Reads a message that has a type. `None`: it has none of those that are known.
    fn typed(message: &Object<'_>, reads: &mut Vec<Read>) -> Option<Result<(), Odd>> {
        let read = match message.text(&["type", "event"])?.as_ref() {
            "mark" => {
                let Some(data) = message.object(&["data"]) else { return Some(Err(Odd::Missing("data"))) };
                let Some(name) = data.owned(&["name"]) else { return Some(Err(Odd::Missing("name"))) };
                let was_played = data.text(&["event"]).is_none_or(|event| event != "cleared");
                Read::Mark { name, was_played }
            }
            "playDone" => Read::Drained,
            "dtmf" => {
                // In units of RTP's clock at 8 kHz.
                let length = message
                    .number(&["duration"])
                    .map(|units| Duration::from_micros(units.saturating_mul(125)));
                return Some(texts::digits(message.text(&["dtmf", "digit"]).as_deref(), length, reads));
            }
            _ => return None,
        };
        reads.push(read);
        Some(Ok(()))
    }
}

impl Carrier for Jambonz {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Jambonz
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        let Some(text) = message.into_text(reads) else { return Ok(()) };
        let message = Object::read(text).ok_or(Odd::NotAnObject)?;
        if let Some(read) = Self::typed(&message, reads) {
            return read;
        }
        if message.raw(&["callSid", "sampleRate"]).is_some() {
            return self.start(&message, reads);
        }
        Err(Odd::UnknownEvent)
    }

    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        if self.streams {
            ChunkRules::any(output)
        } else {
            // At most ten texts wait there: they had better be long.
            ChunkRules { most: ChunkRules::any(output).most * 30, ..ChunkRules::batches_of_ms(output, 1_000) }
        }
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        if self.streams {
            return Outgoing::Binary(audio);
        }
        let rate = self.rate;
        let mut text = String::with_capacity(audio.len().div_ceil(3) * 4 + 96);
        text.push_str(r#"{"type":"playAudio","data":{"audioContent":""#);
        json::push_base64(&audio, &mut text);
        text.push_str(&format!(r#"","audioContentType":"raw","sampleRate":"{rate}"}}}}"#));
        Outgoing::Text(text)
    }

    fn has_marks(&self) -> bool {
        self.streams
    }

    fn mark(&mut self, name: &str) -> Option<Outgoing> {
        let name = json::quoted(name);
        self.streams.then(|| Outgoing::Text(format!(r#"{{"type":"mark","data":{{"name":{name}}}}}"#)))
    }

    fn flush(&mut self) -> Option<Outgoing> {
        Some(Outgoing::Text(r#"{"type":"killAudio"}"#.to_owned()))
    }

    fn hang_up(&mut self, _why: &crate::carrier::HangUp) -> Option<Outgoing> {
        Some(Outgoing::Text(r#"{"type":"disconnect"}"#.to_owned()))
    }
}
