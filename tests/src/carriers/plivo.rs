//! Plivo audio streaming: numbers are numbers, except the times.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::line::{Coding, Line, Order, base64, mark, payload, text};

const STREAM: &str = "a0a0a0a0-f610-433b-8758-c02a2aab3662";

#[derive(Default)]
pub(super) struct Plivo {
    sequence: u64,
    chunk: u64,
}

impl Plivo {
    fn sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl Line for Plivo {
    fn coding(&self) -> Coding {
        Coding::MuLaw
    }

    fn hello(&mut self) -> Vec<Message> {
        let start = json!({ "callId": "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff", "streamId": STREAM,
            "accountId": "MAINVENTED0000000000", "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000 } });
        vec![text(&json!({ "sequenceNumber": self.sequence(), "event": "start", "start": start,
            "extra_headers": "language=en" }))]
    }

    fn audio(&mut self, coded: Vec<u8>, at_ms: u64) -> Message {
        self.chunk += 1;
        let media = json!({ "track": "inbound", "timestamp": (1_768_473_000_000 + at_ms).to_string(),
            "chunk": self.chunk, "payload": base64(&coded) });
        text(&json!({ "sequenceNumber": self.sequence(), "streamId": STREAM, "event": "media",
            "media": media, "extra_headers": "language=en" }))
    }

    fn key(&mut self, key: char) -> Message {
        text(&json!({ "event": "dtmf", "sequenceNumber": self.sequence(), "streamId": STREAM,
            "dtmf": { "track": "inbound", "digit": key, "timestamp": "1768473002123" }, "extra_headers": "" }))
    }

    /// A checkpoint that was dropped has not been played, and never comes back.
    fn mark(&mut self, name: &str, cleared: bool) -> Option<Message> {
        (!cleared).then(|| {
            text(&json!({ "event": "playedStream", "sequenceNumber": self.sequence(), "streamId": STREAM,
                "name": name }))
        })
    }

    fn cleared(&mut self) -> Option<Message> {
        Some(text(&json!({ "sequenceNumber": self.sequence(), "event": "clearedAudio", "streamId": STREAM })))
    }

    /// It just closes.
    fn goodbye(&mut self) -> Option<Message> {
        None
    }

    fn text(&mut self, message: &Value) -> Vec<Order> {
        let names_stream = message["streamId"] == STREAM;
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
