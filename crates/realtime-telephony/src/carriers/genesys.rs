//! Genesys AudioHook: numbered texts that must be answered, and binary audio.
//!
//! `open` offers formats, and `opened` takes exactly one of them as it was offered. `ping` wants its `pong`,
//! `close` its `closed`. Every text of ours has the next number and names the newest one of theirs.

use std::collections::BTreeMap;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::time::MediaTime;
use serde_json::value::RawValue;

use super::texts;
use crate::carrier::{CallStart, Carrier, CarrierFault, HangUp, Incoming, Odd, Outgoing, Read, Start, Stop};
use crate::chunk::ChunkRules;
use crate::format::WireAudio;
use crate::json::{self, Object};
use crate::kind::CarrierKind;

/// What a try of the connection has in place of ids.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// The messages of a Genesys call.
#[derive(Debug, Default)]
pub struct Genesys {
    /// The session's id, as JSON.
    id: Option<String>,
    /// The number of our newest text.
    sequence: u64,
    /// The number of their newest text.
    their_sequence: u64,
    /// The number of our newest flush.
    flushed_at: u64,
    is_closed: bool,
}

impl Genesys {
    /// For a new call.
    pub fn new() -> Self {
        Self::default()
    }

    /// A text of ours, with the next number.
    fn write(&mut self, kind: &str, parameters: &str) -> Outgoing {
        self.sequence += 1;
        let Self { sequence, their_sequence, .. } = self;
        let id = self.id.as_deref().unwrap_or("\"\"");
        let numbers = format!(r#""seq":{sequence},"clientseq":{their_sequence}"#);
        Outgoing::Text(format!(
            r#"{{"version":"2","id":{id},"type":"{kind}",{numbers},"parameters":{parameters}}}"#
        ))
    }

    /// The same, once there is a session that is not over.
    fn write_open(&mut self, kind: &str, parameters: &str) -> Option<Outgoing> {
        (self.id.is_some() && !self.is_closed).then(|| self.write(kind, parameters))
    }

    fn open(
        &mut self,
        message: &Object<'_>,
        parameters: &Object<'_>,
        reads: &mut Vec<Read>,
    ) -> Result<(), Odd> {
        if self.id.is_some() {
            return Err(Odd::StartedTwice);
        }
        let id = message.owned(&["id"]).ok_or(Odd::Missing("id"))?;
        self.id = Some(json::quoted(&id));
        let participant = parameters.object(&["participant"]);
        let of_participant = |name| participant.as_ref().and_then(|participant| participant.owned(&[name]));
        let conversation_id = parameters.owned(&["conversationId"]);
        if conversation_id.as_deref() == Some(NO_ID) && of_participant("id").as_deref() == Some(NO_ID) {
            let opened = self.write("opened", r#"{"startPaused":false,"media":[]}"#);
            reads.extend([Read::Reply(opened), Read::Probe]);
            return Ok(());
        }
        let offers = parameters.raw(&["media"]).map(json::elements).unwrap_or_default();
        let chosen =
            offers.iter().filter_map(|offer| Some((rank(offer)?, *offer))).min_by_key(|((rank, _), _)| *rank);
        let input = match chosen {
            Some(((_, audio), offer)) => {
                let parameters = format!(r#"{{"startPaused":false,"media":[{}]}}"#, offer.get());
                let opened = self.write("opened", &parameters);
                reads.push(Read::Reply(opened));
                Ok(audio)
            }
            None => Err("none of the offered formats".to_owned()),
        };
        let mut variables = BTreeMap::new();
        for name in ["customConfig", "inputVariables"] {
            if let Some(object) = parameters.object(&[name]) {
                variables.extend(texts::values(&object));
            }
        }
        let call = CallStart {
            stream_id: Some(id),
            call_id: conversation_id.clone(),
            conversation_id,
            account_id: parameters.owned(&["organizationId"]),
            from: of_participant("ani"),
            to: of_participant("dnis"),
            language: parameters.owned(&["language"]),
            parameters: variables,
        };
        // What is sent to the Audio Connector has one channel.
        let output = input.as_ref().ok().map(|audio| WireAudio { channels: 1, ..*audio });
        reads.push(Read::Started(Box::new(Start { call, input, output, detects_order: false })));
        Ok(())
    }

    fn text(&mut self, text: &str, reads: &mut Vec<Read>) -> Result<(), Odd> {
        let message = Object::read(text).ok_or(Odd::NotAnObject)?;
        let kind = message.text(&["type"]).ok_or(Odd::UnknownEvent)?;
        let id = message.text(&["id"]).map(|id| json::quoted(&id));
        if self.id.is_some() && id.is_some() && id != self.id {
            return Err(Odd::OtherStream);
        }
        let sequence = message.number(&["seq"]);
        let is_next = sequence == Some(self.their_sequence + 1);
        if let Some(sequence) = sequence {
            self.their_sequence = sequence.max(self.their_sequence);
        }
        let seen = message.number(&["serverseq"]).unwrap_or(u64::MAX);
        let parameters = message.object(&["parameters"]).unwrap_or_default();
        match kind.as_ref() {
            "open" => self.open(&message, &parameters, reads)?,
            "ping" => {
                let pong = self.write("pong", "{}");
                reads.push(Read::Reply(pong));
            }
            "close" => {
                let closed = self.write("closed", "{}");
                self.is_closed = true;
                let stop = Stop { reason: parameters.owned(&["reason"]), carrier_closes: true };
                reads.extend([Read::Reply(closed), Read::Stopped(stop)]);
            }
            "dtmf" => texts::digits(parameters.text(&["digit", "digits"]).as_deref(), None, reads)?,
            "playback_started" => {}
            // It may cross our flush: then it is about audio that was dropped.
            "playback_completed" if seen < self.flushed_at => {}
            "playback_completed" => reads.push(Read::Drained),
            "paused" => reads.push(Read::Paused),
            "resumed" => reads.push(Read::Resumed),
            "discarded" => {
                let lost = parameters.text(&["discarded"]).and_then(|text| duration(&text));
                reads.push(Read::Lost(lost.ok_or(Odd::Missing("discarded"))?));
            }
            "update" => {
                let updated = self.write("updated", "{}");
                reads.push(Read::Reply(updated));
                reads.extend(parameters.owned(&["language"]).map(Read::Language));
            }
            "error" => {
                let text = parameters.owned(&["message"]).unwrap_or_default();
                reads.push(Read::Fault(CarrierFault { code: parameters.number(&["code"]), text }));
            }
            _ => return Err(Odd::UnknownEvent),
        }
        if is_next { Ok(()) } else { Err(Odd::Sequence) }
    }
}

impl Carrier for Genesys {
    fn kind(&self) -> CarrierKind {
        CarrierKind::Genesys
    }

    fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        message.into_text(reads).map_or(Ok(()), |text| self.text(text, reads))
    }

    /// 200 ms: Genesys answers many small messages with error 429.
    fn chunks(&self, output: AudioFormat) -> ChunkRules {
        ChunkRules::batches_of_ms(output, 200)
    }

    fn audio(&mut self, audio: Bytes) -> Outgoing {
        Outgoing::Binary(audio)
    }

    fn mark(&mut self, _name: &str) -> Option<Outgoing> {
        None
    }

    fn flush(&mut self) -> Option<Outgoing> {
        let flush = self.write_open("event", r#"{"entities":[{"type":"barge_in","data":{}}]}"#);
        self.flushed_at = self.sequence;
        flush
    }

    fn pause(&mut self) -> Option<Outgoing> {
        self.write_open("pause", "{}")
    }

    fn resume(&mut self) -> Option<Outgoing> {
        self.write_open("resume", "{}")
    }

    fn hang_up(&mut self, why: &HangUp) -> Option<Outgoing> {
        let reason = if why.is_error { "error" } else { "completed" };
        let mut parameters = format!(r#"{{"reason":"{reason}""#);
        if let Some(note) = &why.note {
            parameters.push_str(&format!(r#","info":{}"#, json::quoted(note)));
        }
        if !why.variables.is_empty() {
            let variables: Vec<String> = why
                .variables
                .iter()
                .map(|(name, value)| format!("{}:{}", json::quoted(name), json::quoted(value)))
                .collect();
            parameters.push_str(&format!(r#","outputVariables":{{{}}}"#, variables.join(",")));
        }
        parameters.push('}');
        self.write_open("disconnect", &parameters)
    }
}

/// How much we like an offer, the best first; `None`: it cannot be read, or has no caller.
fn rank(offer: &RawValue) -> Option<(u8, WireAudio)> {
    let offer = Object::read(offer.get())?;
    let channels: Vec<String> = offer
        .raw(&["channels"])
        .map(json::elements)
        .unwrap_or_default()
        .into_iter()
        .map(json::shown)
        .collect();
    let audio =
        WireAudio::of(&offer.text(&["format"])?, offer.number(&["rate"]), Some(channels.len() as u64))?;
    // The caller is the first of two.
    if channels.first().map(String::as_str) != Some("external") {
        return None;
    }
    let is_pcm = u8::from(audio.format.sample_bytes() == 2);
    Some((is_pcm * 2 + audio.channels, audio))
}

/// Reads an ISO 8601 duration of hours, minutes and seconds: `PT12.345S`.
fn duration(text: &str) -> Option<MediaTime> {
    let mut rest = text.strip_prefix("PT")?;
    let mut micros = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes().get(end)? {
            b'H' => 3_600e6,
            b'M' => 60e6,
            b'S' => 1e6,
            _ => return None,
        };
        micros += number * unit;
        rest = &rest[end + 1..];
    }
    // A cast stops at the largest number.
    Some(MediaTime::from_micros(micros as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("PT0S", Some(0)),
            ("PT12.345S", Some(12_345)),
            ("PT1H2M3S", Some(3_723_000)),
            ("PT", Some(0)),
            ("P1D", None),
            ("PT1", None),
            ("PT..S", None),
            ("PT1é", None),
            ("4", None),
        ] {
            assert_eq!(duration(text).map(MediaTime::as_millis), millis, "{text}");
        }
        assert!(duration(&format!("PT{}S", "9".repeat(400))).is_some());
    }
}
