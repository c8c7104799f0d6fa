//! Exotel AgentStream, Voicebot applet: raw PCM in chunks of 100 ms.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::line::{Coding, Line, Order, base64, mark, payload, text};

const STREAM: &str = "00aa11bb22cc33dd44ee55ff66007711";
const CALL: &str = "77aa11bb22cc33dd44ee55ff66007711";

#[derive(Default)]
pub(super) struct Exotel {
    sequence: u64,
    chunk: u64,
}

impl Exotel {
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

    fn hello(&mut self) -> Vec<Message> {
        let start = json!({ "stream_sid": STREAM, "call_sid": CALL, "account_sid": "acctinvented",
            "from": "+15550100001", "to": "+15550100002", "custom_parameters": { "language": "en" },
            "media_format": { "encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16" } });
        vec![
            text(&json!({ "event": "connected" })),
            text(&json!({ "event": "start", "sequence_number": self.sequence(), "stream_sid": STREAM,
                "start": start })),
        ]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Message {
        self.chunk += 1;
        let media = json!({ "chunk": self.chunk.to_string(), "timestamp": at_ms.to_string(),
            "payload": base64(&coded) });
        text(&json!({ "event": "media", "sequence_number": self.sequence(), "stream_sid": STREAM,
            "media": media }))
    }

    fn key(&mut self, key: char) -> Message {
        text(&json!({ "event": "dtmf", "sequence_number": self.sequence(), "stream_sid": STREAM,
            "dtmf": { "digit": key, "duration": "100" } }))
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Message> {
        Some(text(&json!({ "event": "mark", "sequence_number": self.sequence(), "stream_sid": STREAM,
            "mark": { "name": name } })))
    }

    fn goodbye(&mut self) -> Option<Message> {
        Some(text(&json!({ "event": "stop", "sequence_number": self.sequence(), "stream_sid": STREAM,
            "stop": { "call_sid": CALL, "account_sid": "acctinvented", "reason": "callended" } })))
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        if message["stream_sid"] != STREAM {
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
