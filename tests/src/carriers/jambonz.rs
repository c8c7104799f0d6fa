//! jambonz `listen` with `bidirectionalAudio.streaming`: 8 kHz PCM in binary messages.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::line::{Coding, Line, Order, mark, text};

pub(super) struct Jambonz;

impl Line for Jambonz {
    fn coding(&self) -> Coding {
        Coding::Pcm
    }

    fn hello(&mut self) -> Vec<Message> {
        vec![text(&json!({ "callSid": "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff", "direction": "inbound",
            "from": "+15550100001", "to": "+15550100002", "callId": "sip-call-id-invented", "sipStatus": 200,
            "callStatus": "in-progress", "accountSid": "8e8e8e8e-1111-4222-8333-444444444444",
            "applicationSid": "9f9f9f9f-1111-4222-8333-444444444444", "sampleRate": 8000, "mixType": "mono",
            "language": "en" }))]
    }

    fn audio(&mut self, coded: Vec<u8>, _: u64) -> Message {
        Message::binary(coded)
    }

    fn key(&mut self, key: char) -> Message {
        text(&json!({ "event": "dtmf", "dtmf": key, "duration": "1600" }))
    }

    fn mark(&mut self, name: &str, cleared: bool) -> Option<Message> {
        let event = if cleared { "cleared" } else { "playout" };
        Some(text(&json!({ "type": "mark", "data": { "name": name, "event": event } })))
    }

    /// It just closes.
    fn goodbye(&mut self) -> Option<Message> {
        None
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        vec![match message["type"].as_str() {
            Some("mark") => mark(message, "/data/name"),
            Some("killAudio") => Order::Clear,
            Some("disconnect") => Order::End,
            Some("clearMarks") => return Vec::new(),
            kind => Order::wrong(format!("unknown type {kind:?}")),
        }]
    }

    fn binary(&mut self, bytes: &[u8]) -> Vec<Order> {
        vec![Order::Play(bytes.to_vec())]
    }
}
