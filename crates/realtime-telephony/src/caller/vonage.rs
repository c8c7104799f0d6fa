//! Vonage Voice API: 16 kHz PCM in binary messages of exactly 20 ms.

use serde_json::{Value, json};

use super::line::{Coding, Line, Order, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

/// 20 ms at 16 kHz, 16 bits.
const FRAME: usize = 640;

pub(super) struct Vonage {
    options: CallerOptions,
}

impl Vonage {
    pub(super) fn new(options: &CallerOptions) -> Self {
        Self { options: options.clone() }
    }
}

impl Line for Vonage {
    fn coding(&self) -> Coding {
        Coding::Pcm
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let mut connected = json!({ "event": "websocket:connected", "content-type": "audio/l16;rate=16000",
            "caller-id": self.options.from });
        // What its flow gives stands beside them.
        for (name, value) in &self.options.parameters {
            connected[name] = value.as_str().into();
        }
        vec![text(&connected)]
    }

    fn audio(&mut self, coded: Vec<u8>, _: u64) -> Outgoing {
        Outgoing::Binary(coded.into())
    }

    fn key(&mut self, key: char) -> Outgoing {
        text(&json!({ "event": "websocket:dtmf", "digit": key, "duration": 260 }))
    }

    /// The name is the text of the payload.
    fn mark(&mut self, name: &str, cleared: bool) -> Option<Outgoing> {
        let payload: Value = serde_json::from_str(name).unwrap_or_default();
        (!cleared).then(|| text(&json!({ "event": "websocket:notify", "payload": payload })))
    }

    fn cleared(&mut self) -> Option<Outgoing> {
        Some(text(&json!({ "event": "websocket:cleared" })))
    }

    /// It just closes.
    fn goodbye(&mut self) -> Option<Outgoing> {
        None
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        vec![match message["action"].as_str() {
            Some("clear") => Order::Clear,
            Some("notify") if message["payload"].is_object() => Order::Mark(message["payload"].to_string()),
            Some("notify") => Order::wrong("notify without an object as its payload"),
            action => Order::wrong(format!("unknown action {action:?}")),
        }]
    }

    /// A wrong size makes it hang up.
    fn binary(&mut self, bytes: &[u8]) -> Vec<Order> {
        match bytes.len() {
            FRAME => vec![Order::Play(bytes.to_vec())],
            other => vec![Order::wrong(format!("a frame of {other} bytes: expected {FRAME}")), Order::HangUp],
        }
    }
}
