//! Twilio Media Streams, and SignalWire, which speaks nearly the same.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::line::{Coding, Line, Order, base64, mark, payload, text};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const CALL: &str = "CA0123456789abcdef0123456789abcdef";

pub(super) struct Twilio {
    stream: &'static str,
    is_signalwire: bool,
    sequence: u64,
    chunk: u64,
}

impl Twilio {
    pub(super) const fn new() -> Self {
        Self { stream: "MZ0123456789abcdef0123456789abcdef", is_signalwire: false, sequence: 0, chunk: 0 }
    }

    pub(super) const fn signalwire() -> Self {
        Self { stream: "7d7d7d7d-1111-4222-8333-444444444444", is_signalwire: true, sequence: 0, chunk: 0 }
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

    fn hello(&mut self) -> Vec<Message> {
        let version = if self.is_signalwire { "0.2.0" } else { "1.0.0" };
        let mut start = json!({ "event": "start", "sequenceNumber": self.sequence(), "start": {
            "accountSid": ACCOUNT, "streamSid": self.stream, "callSid": CALL, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            "customParameters": { "language": "en" },
        }});
        if !self.is_signalwire {
            start["streamSid"] = self.stream.into();
        }
        vec![text(&json!({ "event": "connected", "protocol": "Call", "version": version })), text(&start)]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Message {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "chunk": self.chunk.to_string(),
            "timestamp": at_ms.to_string(), "payload": base64(&coded) });
        let mut message = json!({ "event": "media", "sequenceNumber": self.sequence(), "media": media });
        if !self.is_signalwire {
            message["streamSid"] = self.stream.into();
        }
        text(&message)
    }

    fn key(&mut self, key: char) -> Message {
        let dtmf = match self.is_signalwire {
            true => json!({ "digit": key, "duration": 2000 }),
            false => json!({ "track": "inbound_track", "digit": key }),
        };
        text(&json!({ "event": "dtmf", "streamSid": self.stream, "sequenceNumber": self.sequence(),
            "dtmf": dtmf }))
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Message> {
        let mut message = json!({ "event": "mark", "streamSid": self.stream, "mark": { "name": name } });
        if !self.is_signalwire {
            message["sequenceNumber"] = self.sequence().into();
        }
        Some(text(&message))
    }

    fn goodbye(&mut self) -> Option<Message> {
        let mut message = json!({ "event": "stop", "sequenceNumber": self.sequence() });
        if !self.is_signalwire {
            message["streamSid"] = self.stream.into();
            message["stop"] = json!({ "accountSid": ACCOUNT, "callSid": CALL });
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
