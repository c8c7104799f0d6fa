//! Plivo audio streaming: numbers are numbers, except the times.

use serde_json::{Value, json};

use super::ids::Ids;
use super::line::{Coding, Line, Order, base64, mark, payload, text};
use super::options::CallerOptions;
use crate::carrier::Outgoing;

pub(super) struct Plivo {
    account: String,
    call: String,
    stream: String,
    /// The parameters, as they ride on its messages.
    headers: String,
    sequence: u64,
    chunk: u64,
}

impl Plivo {
    pub(super) fn new(options: &CallerOptions) -> Self {
        let mut ids = Ids::new(options.entropy);
        let headers = options.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        Self {
            account: ids.hex("MA"),
            call: ids.uuid(),
            stream: ids.uuid(),
            headers: headers.collect::<Vec<_>>().join(";"),
            sequence: 0,
            chunk: 0,
        }
    }

    fn sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl Line for Plivo {
    fn coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn hello(&mut self) -> Vec<Outgoing> {
        let start = json!({ "callId": self.call, "streamId": self.stream,
            "accountId": self.account, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000 } });
        vec![text(&json!({ "sequenceNumber": self.sequence(), "event": "start", "start": start,
            "extra_headers": self.headers }))]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Outgoing {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "timestamp": (1_768_473_000_000 + at_ms).to_string(),
            "chunk": self.chunk, "payload": base64(&coded) });
        text(&json!({ "sequenceNumber": self.sequence(), "streamId": self.stream, "event": "media",
            "media": media, "extra_headers": self.headers }))
    }

    fn key(&mut self, key: char) -> Outgoing {
        text(&json!({ "event": "dtmf", "sequenceNumber": self.sequence(), "streamId": self.stream,
            "dtmf": { "track": "inbound", "digit": key, "timestamp": "1768473002123" },
            "extra_headers": self.headers }))
    }

    /// A checkpoint that was dropped has not been played, and never comes back.
    fn mark(&mut self, name: &str, cleared: bool) -> Option<Outgoing> {
        (!cleared).then(|| {
            text(
                &json!({ "event": "playedStream", "sequenceNumber": self.sequence(), "streamId": self.stream,
                "name": name }),
            )
        })
    }

    fn cleared(&mut self) -> Option<Outgoing> {
        Some(text(
            &json!({ "sequenceNumber": self.sequence(), "event": "clearedAudio", "streamId": self.stream }),
        ))
    }

    /// It just closes.
    fn goodbye(&mut self) -> Option<Outgoing> {
        None
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        let names_stream = message["streamId"] == self.stream;
        vec![match message["event"].as_str() {
            Some("playAudio") if message.pointer("/media/contentType") != Some(&json!("audio/x-mulaw")) => {
                Order::wrong("media.contentType is not the stream's")
            }
            Some("playAudio") => match message.pointer("/media/sampleRate") {
                Some(rate) if *rate == 8000 || *rate == "8000" => payload(message, "/media/payload"),
                _ => Order::wrong("media.sampleRate is not the stream's"),
            },
            Some("checkpoint") if names_stream => mark(message, "/name"),
            Some("clearAudio") if names_stream => Order::Clear,
            Some("checkpoint" | "clearAudio") => Order::wrong("streamId is missing or wrong"),
            Some("sendDTMF") => match message["dtmf"].as_str() {
                Some(keys) => Order::Keys(keys.to_owned()),
                None => Order::wrong("expected dtmf"),
            },
            event => Order::wrong(format!("unknown event {event:?}")),
        }]
    }
}
