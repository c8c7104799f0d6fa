//! Exotel AgentStream, Voicebot applet: raw PCM in chunks of 100 ms.

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, base64, mark, payload, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

pub(super) struct Exotel {
    account: String,
    call: String,
    stream: String,
    options: CallerOptions,
    sequence: u64,
    chunk: u64,
}

impl Exotel {
    pub(super) fn new(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        Self {
            account: ids.hex("acct"),
            call: ids.hex(""),
            stream: ids.hex(""),
            options: options.clone(),
            sequence: 0,
            chunk: 0,
        }
    }

    fn sequence(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }
}

impl Line for Exotel {
    fn coding(&self) -> Coding {
        Coding::Pcm
    }

    fn frame_ms(&self) -> u64 {
        100
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let start = json!({ "stream_sid": self.stream, "call_sid": self.call, "account_sid": self.account,
            "from": self.options.from, "to": self.options.to, "custom_parameters": self.options.parameters,
            "media_format": { "encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16" } });
        vec![
            text(&json!({ "event": "connected" })),
            text(&json!({ "event": "start", "sequence_number": self.sequence(), "stream_sid": self.stream,
                "start": start })),
        ]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Outgoing {
        self.chunk += 1;
        let media = json!({ "chunk": self.chunk.to_string(), "timestamp": at_ms.to_string(),
            "payload": base64(&coded) });
        text(&json!({ "event": "media", "sequence_number": self.sequence(), "stream_sid": self.stream,
            "media": media }))
    }

    fn key(&mut self, key: char) -> Outgoing {
        text(&json!({ "event": "dtmf", "sequence_number": self.sequence(), "stream_sid": self.stream,
            "dtmf": { "digit": key, "duration": "100" } }))
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Outgoing> {
        Some(text(&json!({ "event": "mark", "sequence_number": self.sequence(), "stream_sid": self.stream,
            "mark": { "name": name } })))
    }

    fn goodbye(&mut self) -> Option<Outgoing> {
        Some(text(&json!({ "event": "stop", "sequence_number": self.sequence(), "stream_sid": self.stream,
            "stop": { "call_sid": self.call, "account_sid": self.account, "reason": "callended" } })))
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        if message["stream_sid"] != self.stream {
            return vec![Order::wrong("stream_sid is missing or wrong")];
        }
        vec![match message["event"].as_str() {
            Some("media") => match payload(message, "/media/payload") {
                Order::Play(audio) if !audio.len().is_multiple_of(320) => {
                    Order::wrong(format!("a chunk of {} bytes: expected a multiple of 320", audio.len()))
                }
                Order::Play(audio) if !(3_200..=100_000).contains(&audio.len()) => {
                    Order::wrong(format!("a chunk of {} bytes: expected 3,200 to 100,000", audio.len()))
                }
                order => order,
            },
            Some("mark") => mark(message, "/mark/name"),
            Some("clear") => Order::Clear,
            event => Order::wrong(format!("unknown event {event:?}")),
        }]
    }
}
