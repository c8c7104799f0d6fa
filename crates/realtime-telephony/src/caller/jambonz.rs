//! jambonz `listen` with `bidirectionalAudio.streaming`: 8 kHz PCM in binary messages.

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, mark, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

pub(super) struct Jambonz {
    options: CallerOptions,
}

impl Jambonz {
    pub(super) fn new(options: &CallerOptions) -> Self {
        Self { options: options.clone() }
    }
}

impl Line for Jambonz {
    fn coding(&self) -> Coding {
        Coding::Pcm
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let mut ids = Ids::new(self.options.entropy);
        let mut start = json!({ "callSid": ids.uuid(), "direction": "inbound", "from": self.options.from,
            "to": self.options.to, "callId": ids.uuid(), "sipStatus": 200, "callStatus": "in-progress",
            "accountSid": ids.uuid(), "applicationSid": ids.uuid(), "sampleRate": 8000, "mixType": "mono" });
        // What its verb gives stands beside them.
        for (name, value) in &self.options.parameters {
            start[name] = value.as_str().into();
        }
        vec![text(&start)]
    }

    fn audio(&mut self, coded: Vec<u8>, _: u64) -> Outgoing {
        Outgoing::Binary(coded.into())
    }

    fn key(&mut self, key: char) -> Outgoing {
        text(&json!({ "event": "dtmf", "dtmf": key, "duration": "1600" }))
    }

    fn mark(&mut self, name: &str, cleared: bool) -> Option<Outgoing> {
        let event = if cleared { "cleared" } else { "playout" };
        Some(text(&json!({ "type": "mark", "data": { "name": name, "event": event } })))
    }

    /// It just closes.
    fn goodbye(&mut self) -> Option<Outgoing> {
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
