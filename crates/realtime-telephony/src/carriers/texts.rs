//! Reading the texts of Twilio, Telnyx, Plivo, Exotel and SignalWire.
//!
//! They have the same events and name members by different habits; some name them differently from message to
//! message. So every spelling is read from every one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

use crate::carrier::{CallStart, CarrierFault, Digit, Incoming, Odd, Packet, Read, Start, Stop};
use crate::format::{SampleOrder, WireAudio};
use crate::json::{self, Object};

const STREAM_ID: &[&str] = &["streamSid", "stream_sid", "stream_id", "streamId"];
const CALL_ID: &[&str] = &["callSid", "call_sid", "call_control_id", "callId"];
const ACCOUNT_ID: &[&str] = &["accountSid", "account_sid", "user_id", "accountId"];
const PARAMETERS: &[&str] = &["customParameters", "custom_parameters"];
const EXTRA_HEADERS: &[&str] = &["extra_headers", "extraHeaders"];
const MEDIA_FORMAT: &[&str] = &["mediaFormat", "media_format"];
const SAMPLE_RATE: &[&str] = &["sampleRate", "sample_rate"];

/// Reads the texts of one call.
#[derive(Debug)]
pub(crate) struct Texts {
    habits: Habits,
    /// The ids that name this stream: beside a start and inside it. Usually they are the same.
    ids: Vec<String>,
    is_started: bool,
    /// What stood in front of the newest message to the carrier: the id as JSON.
    quoted_id: String,
}

/// What one carrier does differently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// The audio, if the start does not say it.
    pub(crate) format: AudioFormat,
    /// Whether `timestamp` counts the audio, and not the time at which it was sent.
    pub(crate) has_clock: bool,
    /// The usual order of bytes, where the documents do not say it.
    pub(crate) order: Option<UnsaidOrder>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct UnsaidOrder {
    pub(crate) chosen: SampleOrder,
    pub(crate) is_usually_big: bool,
}

/// The format of the input, if a start that says it was read last.
pub(crate) fn started(reads: &[Read]) -> Option<AudioFormat> {
    let Some(Read::Started(start)) = reads.last() else { return None };
    start.input.as_ref().ok().map(|audio| audio.format)
}

impl Texts {
    pub(crate) fn new(habits: Habits) -> Self {
        Self { habits, ids: Vec::new(), is_started: false, quoted_id: "\"\"".to_owned() }
    }

    /// The stream's id, as JSON.
    pub(crate) fn id(&self) -> &str {
        &self.quoted_id
    }

    pub(crate) fn read(&mut self, message: Incoming<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        let Incoming::Text(text) = message else { return Err(Odd::Binary) };
        let message = Object::read(text).ok_or(Odd::NotAnObject)?;
        let event = message.text(&["event"]).ok_or(Odd::UnknownEvent)?;
        if self.is_started && event != "start" {
            let id = message.text(STREAM_ID);
            if id.is_some_and(|id| !self.ids.is_empty() && self.ids.iter().all(|ours| *ours != id)) {
                return Err(Odd::OtherStream);
            }
        }
        match event.as_ref() {
            "media" => {
                let media = message.object(&["media"]).ok_or(Odd::Missing("media"))?;
                if media.text(&["track"]).is_some_and(|track| track.starts_with("outbound")) {
                    return Err(Odd::OwnAudio);
                }
                let at_ms = if self.habits.has_clock { media.number(&["timestamp"]) } else { None };
                let packet =
                    Packet { audio: media.audio(&["payload"])?, at_ms, number: media.number(&["chunk"]) };
                reads.push(Read::Audio(packet));
            }
            "mark" => {
                let mark = message.object(&["mark"]).ok_or(Odd::Missing("mark"))?;
                let name = mark.owned(&["name"]).ok_or(Odd::Missing("name"))?;
                reads.push(Read::Mark { name, was_played: true });
            }
            "playedStream" | "played" => {
                let name = message.owned(&["name"]).ok_or(Odd::Missing("name"))?;
                reads.push(Read::Mark { name, was_played: true });
            }
            "clearedAudio" => reads.push(Read::Flushed),
            "dtmf" => {
                let dtmf = message.object(&["dtmf"]).ok_or(Odd::Missing("dtmf"))?;
                let length = dtmf.number(&["duration"]).map(Duration::from_millis);
                digits(dtmf.text(&["digit", "digits"]).as_deref(), length, reads)?;
            }
            "start" => self.start(&message, reads)?,
            "stop" => {
                let reason = message.object(&["stop"]).and_then(|stop| stop.owned(&["reason"]));
                reads.push(Read::Stopped(Stop { reason, carrier_closes: false }));
            }
            "error" => {
                let fault = message.object(&["payload"]).or_else(|| message.object(&["error"]));
                let fault = fault.as_ref().unwrap_or(&message);
                let text = [&["title"][..], &["detail", "message"]].map(|names| fault.owned(names));
                let text = text.into_iter().flatten().collect::<Vec<_>>().join(": ");
                reads.push(Read::Fault(CarrierFault { code: fault.number(&["code"]), text }));
            }
            "connected" => {}
            _ => return Err(Odd::UnknownEvent),
        }
        Ok(())
    }

    fn start(&mut self, message: &Object<'_>, reads: &mut Vec<Read>) -> Result<(), Odd> {
        if self.is_started {
            return Err(Odd::StartedTwice);
        }
        let start = message.object(&["start"]).ok_or(Odd::Missing("start"))?;
        let ids = [message.owned(STREAM_ID), start.owned(STREAM_ID)];
        self.ids = ids.into_iter().flatten().collect();
        self.ids.dedup();
        if let Some(id) = self.ids.first() {
            self.quoted_id = json::quoted(id);
        }
        self.is_started = true;

        let call = CallStart {
            stream_id: self.ids.first().cloned(),
            call_id: start.owned(CALL_ID).or_else(|| message.owned(CALL_ID)),
            conversation_id: start.owned(&["call_session_id"]),
            account_id: start.owned(ACCOUNT_ID).or_else(|| message.owned(ACCOUNT_ID)),
            from: start.owned(&["from"]),
            to: start.owned(&["to"]),
            language: None,
            parameters: parameters(message, &start),
        };
        let (input, detects_order) = self.audio(&start);
        reads.push(Read::Started(Box::new(Start { call, input, output: None, detects_order })));
        Ok(())
    }

    fn audio(&self, start: &Object<'_>) -> (Result<WireAudio, String>, bool) {
        let usual = WireAudio::mono(self.habits.format);
        let mut audio = match start.object(MEDIA_FORMAT) {
            None => usual,
            Some(format) => {
                let (rate, channels) = (format.number(SAMPLE_RATE), format.number(&["channels"]));
                match format.text(&["encoding"]) {
                    None => match rate {
                        // The carrier's usual codec at the rate that it names.
                        Some(rate) if usual.format.sample_bytes() == 2 => {
                            let named = WireAudio::of("L16", Some(rate), channels);
                            match named {
                                Some(audio) => audio,
                                None => return (Err(format!("L16 at {rate} Hz")), false),
                            }
                        }
                        _ => usual,
                    },
                    Some(encoding) => match WireAudio::of(&encoding, rate, channels) {
                        Some(audio) => audio,
                        None => return (Err(encoding.into_owned()), false),
                    },
                }
            }
        };
        let mut detects = false;
        if let (AudioFormat::Pcm16 { .. }, Some(order)) = (audio.format, self.habits.order) {
            audio.is_big_endian = match order.chosen {
                SampleOrder::Little => false,
                SampleOrder::Big => true,
                SampleOrder::Detect => order.is_usually_big,
            };
            detects = order.chosen == SampleOrder::Detect;
        }
        (Ok(audio), detects)
    }
}

/// Reads the keys of a text; there is usually one.
pub(crate) fn digits(text: Option<&str>, length: Option<Duration>, reads: &mut Vec<Read>) -> Result<(), Odd> {
    /// More than a person presses in one message.
    const MOST: usize = 64;
    let text = text.ok_or(Odd::Missing("digit"))?.trim();
    let keys: Option<Vec<Digit>> = text.chars().map(Digit::of).collect();
    match keys {
        Some(keys) if !keys.is_empty() && keys.len() <= MOST => {
            reads.extend(keys.into_iter().map(|key| Read::Digit(key, length)));
            Ok(())
        }
        _ => Err(Odd::Missing("digit")),
    }
}

/// The members of an object as parameters.
pub(crate) fn values(object: &Object<'_>) -> BTreeMap<String, String> {
    object.members().map(|(name, value)| (name.to_owned(), json::shown(value))).collect()
}

fn parameters(message: &Object<'_>, start: &Object<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for object in [message, start] {
        if let Some(raw) = object.raw(PARAMETERS) {
            match Object::read(raw.get()) {
                Some(parameters) => all.extend(values(&parameters)),
                None => all.extend(pairs(raw)),
            }
        }
        if let Some(raw) = object.raw(EXTRA_HEADERS) {
            match Object::read(raw.get()) {
                Some(headers) => all.extend(values(&headers)),
                None => all.extend(json::text(raw).iter().flat_map(|text| headers(text))),
            }
        }
    }
    all
}

/// `[{"name": …, "value": …}]`, as Telnyx takes them.
fn pairs(raw: &serde_json::value::RawValue) -> Vec<(String, String)> {
    let pair = |raw: &&serde_json::value::RawValue| {
        let pair = Object::read(raw.get())?;
        Some((pair.owned(&["name"])?, json::shown(pair.raw(&["value"])?)))
    };
    json::elements(raw).iter().filter_map(pair).collect()
}

/// `name=value;name=value`, as Plivo writes them.
fn headers(text: &str) -> Vec<(String, String)> {
    let pair =
        |pair: &str| pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
    text.split([';', ',']).filter_map(pair).filter(|(name, _)| !name.is_empty()).collect()
}
