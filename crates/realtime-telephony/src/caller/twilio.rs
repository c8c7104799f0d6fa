//! Twilio Media Streams, and SignalWire, which speaks nearly the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, base64, mark, payload, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

pub(super) struct Twilio {
    is_signalwire: bool,
    account: String,
    call: String,
    stream: String,
    parameters: BTreeMap<String, String>,
    sequence: u64,
    chunk: u64,
}

impl Twilio {
    pub(super) fn new(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        Self {
            is_signalwire: false,
            account: ids.hex("AC"),
            call: ids.hex("CA"),
            stream: ids.hex("MZ"),
            parameters: options.parameters.clone(),
            sequence: 0,
            chunk: 0,
        }
    }

    pub(super) fn signalwire(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        Self {
            is_signalwire: true,
            account: ids.uuid(),
            call: ids.uuid(),
            stream: ids.uuid(),
            ..Self::new(options)
        }
    }

    fn sequence(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }
}

impl Line for Twilio {
    fn coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let version = if self.is_signalwire { "0.2.0" } else { "1.0.0" };
        let mut start = json!({ "event": "start", "sequenceNumber": self.sequence(), "start": {
            "accountSid": self.account, "streamSid": self.stream, "callSid": self.call, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            "customParameters": self.parameters,
        }});
        if !self.is_signalwire {
            start["streamSid"] = self.stream.as_str().into();
        }
        vec![text(&json!({ "event": "connected", "protocol": "Call", "version": version })), text(&start)]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Outgoing {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "chunk": self.chunk.to_string(),
            "timestamp": at_ms.to_string(), "payload": base64(&coded) });
        let mut message = json!({ "event": "media", "sequenceNumber": self.sequence(), "media": media });
        if !self.is_signalwire {
            message["streamSid"] = self.stream.as_str().into();
        }
        text(&message)
    }

    fn key(&mut self, key: char) -> Outgoing {
        let dtmf = match self.is_signalwire {
            true => json!({ "digit": key, "duration": 2000 }),
            false => json!({ "track": "inbound_track", "digit": key }),
        };
        text(&json!({ "event": "dtmf", "streamSid": self.stream, "sequenceNumber": self.sequence(),
            "dtmf": dtmf }))
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Outgoing> {
        let mut message = json!({ "event": "mark", "streamSid": self.stream, "mark": { "name": name } });
        if !self.is_signalwire {
            message["sequenceNumber"] = self.sequence().into();
        }
        Some(text(&message))
    }

    fn goodbye(&mut self) -> Option<Outgoing> {
        let mut message = json!({ "event": "stop", "sequenceNumber": self.sequence() });
        if !self.is_signalwire {
            message["streamSid"] = self.stream.as_str().into();
            message["stop"] = json!({ "accountSid": self.account, "callSid": self.call });
        }
        Some(text(&message))
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        if message["streamSid"] != self.stream {
            return vec![Order::wrong("streamSid is missing or wrong")];
        }
        vec![match message["event"].as_str() {
            Some("media") => payload(message, "/media/payload"),
            Some("mark") => mark(message, "/mark/name"),
            Some("clear") => Order::Clear,
            Some("dtmf") if self.is_signalwire => {
                match message.pointer("/dtmf/digit").and_then(Value::as_str) {
                    Some(digit) => Order::Keys(digit.to_owned()),
                    None => Order::wrong("expected dtmf.digit"),
                }
            }
            event => Order::wrong(format!("unknown event {event:?}")),
        }]
    }
}
