//! Genesys AudioHook (Audio Connector), version 2: numbered messages without a gap, µ-law in binary messages.

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

/// Messages of audio that it takes in a row before it complains: they are to be few and large.
const MOST_SMALL: usize = 20;
const SMALL: usize = 400;

pub(super) struct Genesys {
    session: String,
    ids: Ids,
    options: CallerOptions,
    /// The numbers of the last messages: its own, and the server's.
    sent: u64,
    seen: u64,
    is_open: bool,
    /// Bytes of the caller's audio, which are its clock.
    bytes: u64,
    small: usize,
}

impl Genesys {
    pub(super) fn new(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        Self {
            session: ids.uuid(),
            ids,
            options: options.clone(),
            sent: 0,
            seen: 0,
            is_open: false,
            bytes: 0,
            small: 0,
        }
    }

    fn message(&mut self, kind: &str, parameters: &Value) -> Outgoing {
        self.sent += 1;
        let position = format!("PT{:.3}S", self.bytes as f64 / 8_000.0);
        text(
            &json!({ "version": "2", "id": self.session, "type": kind, "seq": self.sent, "serverseq": self.seen,
            "position": position, "parameters": parameters }),
        )
    }

    /// What is wrong with the envelope of a message.
    fn faults(&mut self, message: &Value) -> Vec<Order> {
        let mut faults = Vec::new();
        let seq = message["seq"].as_u64();
        if message["version"] != "2" || message["id"] != self.session {
            faults.push(Order::wrong("version or id is wrong"));
        }
        if seq != Some(self.seen + 1) {
            faults.push(Order::wrong(format!("seq {seq:?} after {}", self.seen)));
        }
        if message["clientseq"].as_u64().is_none_or(|seen| seen > self.sent) {
            faults.push(Order::wrong("clientseq is wrong"));
        }
        if !message["parameters"].is_object() {
            faults.push(Order::wrong("parameters is no object"));
        }
        self.seen = seq.unwrap_or(self.seen + 1);
        faults
    }
}

impl Line for Genesys {
    fn coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn frame_ms(&self) -> u64 {
        100
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let media = json!([{ "type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000 }]);
        let open = json!({
            "organizationId": self.ids.uuid(), "conversationId": self.ids.uuid(),
            "participant": { "id": self.ids.uuid(), "ani": self.options.from, "aniName": "",
                "dnis": self.options.to },
            "media": media, "language": "en-US", "inputVariables": self.options.parameters,
        });
        vec![self.message("open", &open)]
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn audio(&mut self, coded: Vec<u8>, _: u64) -> Outgoing {
        self.bytes += coded.len() as u64;
        Outgoing::Binary(coded.into())
    }

    fn key(&mut self, key: char) -> Outgoing {
        self.message("dtmf", &json!({ "digit": key }))
    }

    /// It has no marks.
    fn mark(&mut self, _: &str, _: bool) -> Option<Outgoing> {
        None
    }

    fn playback(&mut self, begins: bool) -> Option<Outgoing> {
        let kind = if begins { "playback_started" } else { "playback_completed" };
        Some(self.message(kind, &json!({})))
    }

    fn ping(&mut self) -> Option<Outgoing> {
        self.is_open.then(|| self.message("ping", &json!({})))
    }

    fn goodbye(&mut self) -> Option<Outgoing> {
        self.is_open = false;
        Some(self.message("close", &json!({ "reason": "end" })))
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        let mut orders = self.faults(message);
        let parameters = &message["parameters"];
        match message["type"].as_str() {
            Some("opened") => {
                if parameters["media"].as_array().is_none_or(|media| media.len() != 1) {
                    orders.push(Order::wrong("opened must choose one of the media offered"));
                }
                self.is_open = true;
                orders.push(Order::Send(self.message("ping", &json!({}))));
            }
            Some("pong" | "updated" | "pause" | "resume") => {}
            Some("closed") => orders.push(Order::End),
            Some("disconnect") => {
                self.is_open = false;
                orders.push(Order::Send(self.message("close", &json!({ "reason": "disconnect" }))));
            }
            Some("event") => {
                let entities = parameters["entities"].as_array();
                let barge_in = entities.is_some_and(|all| all.iter().any(|one| one["type"] == "barge_in"));
                orders.extend(barge_in.then_some(Order::Clear));
            }
            kind => orders.push(Order::wrong(format!("unknown type {kind:?}"))),
        }
        orders
    }

    fn binary(&mut self, bytes: &[u8]) -> Vec<Order> {
        if !self.is_open {
            return vec![Order::wrong("audio before the session was opened, or after its end")];
        }
        self.small = if bytes.len() < SMALL { self.small + 1 } else { 0 };
        let mut orders = vec![Order::Play(bytes.to_vec())];
        if self.small > MOST_SMALL {
            self.small = 0;
            orders.push(Order::wrong(format!("{MOST_SMALL} messages of less than {SMALL} bytes in a row")));
        }
        orders
    }
}
