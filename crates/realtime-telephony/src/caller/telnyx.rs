//! Telnyx media streaming in the mode `rtp`: the caller in A-law, the server in µ-law, as an answer without
//! `stream_bidirectional_codec` asks for.

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, base64, mark, payload, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

pub(super) struct Telnyx {
    user: String,
    call: String,
    session: String,
    stream: String,
    options: CallerOptions,
    sequence: u64,
    chunk: u64,
}

impl Telnyx {
    pub(super) fn new(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        Self {
            user: ids.uuid(),
            call: ids.hex("v3:"),
            session: ids.uuid(),
            stream: ids.uuid(),
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

impl Line for Telnyx {
    fn coding(&self) -> Coding {
        Coding::ALaw
    }

    fn server_coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let start = json!({ "user_id": self.user, "call_control_id": self.call,
            "call_session_id": self.session, "from": self.options.from, "to": self.options.to,
            "tags": [], "client_state": "c3RhdGU=",
            "custom_parameters": self.options.parameters,
            "media_format": { "encoding": "PCMA", "sample_rate": 8000, "channels": 1 } });
        vec![
            text(&json!({ "event": "connected", "version": "1.0.0" })),
            text(&json!({ "event": "start", "sequence_number": self.sequence(), "stream_id": self.stream,
                "start": start })),
        ]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Outgoing {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "chunk": self.chunk.to_string(),
            "timestamp": at_ms.to_string(), "payload": base64(&coded) });
        text(&json!({ "event": "media", "sequence_number": self.sequence(), "stream_id": self.stream,
            "media": media }))
    }

    fn key(&mut self, key: char) -> Outgoing {
        text(
            &json!({ "event": "dtmf", "stream_id": self.stream, "occurred_at": "2026-01-15T10:30:00.123456Z",
            "sequence_number": self.sequence(), "dtmf": { "digit": key } }),
        )
    }

    fn mark(&mut self, name: &str, _cleared: bool) -> Option<Outgoing> {
        Some(text(&json!({ "event": "mark", "sequence_number": self.sequence(), "stream_id": self.stream,
            "mark": { "name": name } })))
    }

    fn goodbye(&mut self) -> Option<Outgoing> {
        Some(text(&json!({ "event": "stop", "sequence_number": self.sequence(), "stream_id": self.stream,
            "stop": { "user_id": self.user, "call_control_id": self.call } })))
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
