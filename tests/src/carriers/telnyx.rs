//! Telnyx media streaming in the mode `rtp`: the caller in A-law, the server in µ-law, as an answer without
//! `stream_bidirectional_codec` asks for.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::line::{Coding, Line, Order, base64, mark, payload, text};

const STREAM: &str = "5a1f0c2e-7b3d-4c5e-8f90-123456789abc";
const USER: &str = "0f9e8d7c-6b5a-4938-a716-05f4e3d2c1b0";
const CALL: &str = "v3:Q2FsbENvbnRyb2xJZEludmVudGVk";

#[derive(Default)]
pub(super) struct Telnyx {
    sequence: u64,
    chunk: u64,
}

impl Telnyx {
    fn sequence(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }
}

impl Line for Telnyx {
    fn coding(&self) -> Coding {
        Coding::ALaw
    }

    fn server_coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn hello(&mut self) -> Vec<Message> {
        let start = json!({ "user_id": USER, "call_control_id": CALL,
            "call_session_id": "11111111-2222-4333-8444-555555555555",
            "from": "+15550100001", "to": "+15550100002", "tags": [], "client_state": "c3RhdGU=",
            "custom_parameters": { "language": "en" },
            "media_format": { "encoding": "PCMA", "sample_rate": 8000, "channels": 1 } });
        vec![
            text(&json!({ "event": "connected", "version": "1.0.0" })),
            text(&json!({ "event": "start", "sequence_number": self.sequence(), "stream_id": STREAM,
                "start": start })),
        ]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Message {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "chunk": self.chunk.to_string(),
            "timestamp": at_ms.to_string(), "payload": base64(&coded) });
        text(&json!({ "event": "media", "sequence_number": self.sequence(), "stream_id": STREAM,
            "media": media }))
    }

    fn key(&mut self, key: char) -> Message {
        text(&json!({ "event": "dtmf", "stream_id": STREAM, "occurred_at": "2026-01-15T10:30:00.123456Z",
            "sequence_number": self.sequence(), "dtmf": { "digit": key } }))
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Message> {
        Some(text(&json!({ "event": "mark", "sequence_number": self.sequence(), "stream_id": STREAM,
            "mark": { "name": name } })))
    }

    fn goodbye(&mut self) -> Option<Message> {
        Some(text(&json!({ "event": "stop", "sequence_number": self.sequence(), "stream_id": STREAM,
            "stop": { "user_id": USER, "call_control_id": CALL } })))
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        vec![match message["event"].as_str() {
            Some("media") => match payload(message, "/media/payload") {
                Order::Play(audio) if audio.len() < 160 => {
                    Order::wrong(format!("a chunk of {} ms: from 20 ms to 30 s is allowed", audio.len() / 8))
                }
                Order::Play(audio) if audio.len() > 240_000 => Order::wrong("a chunk over 30 s"),
                order => order,
            },
            Some("mark") => mark(message, "/mark/name"),
            Some("clear") => Order::Clear,
            event => Order::wrong(format!("unknown event {event:?}")),
        }]
    }
}
