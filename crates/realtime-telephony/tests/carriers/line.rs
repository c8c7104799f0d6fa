//! A stream with its outputs as short texts.

use bytes::Bytes;
use realtime_protocol::time::Timestamp;
use realtime_telephony::carrier::Outgoing;
use realtime_telephony::{CarrierKind, Event, MediaStream, Output, StreamOptions};
use serde_json::Value;

use crate::fixture::Fixture;

/// A stream in virtual time.
pub(crate) struct Line {
    pub(crate) stream: MediaStream,
    pub(crate) now_ms: u64,
}

impl Line {
    pub(crate) fn new(kind: CarrierKind) -> Self {
        Self::with(kind, StreamOptions::default())
    }

    pub(crate) fn with(kind: CarrierKind, options: StreamOptions) -> Self {
        Self { stream: MediaStream::new(at(0), kind, options), now_ms: 0 }
    }

    /// A stream that has started by its carrier's fixture.
    pub(crate) fn started(kind: CarrierKind) -> Self {
        let mut line = Self::new(kind);
        line.start();
        line.outputs();
        line
    }

    pub(crate) fn start(&mut self) {
        let file = match self.stream.kind() {
            CarrierKind::Plivo => "in/01-start",
            CarrierKind::Vonage => "in/01-connected",
            CarrierKind::Genesys => "in/01-open",
            CarrierKind::Jambonz => "in/01-metadata",
            _ => "in/02-start",
        };
        self.fixture(file);
    }

    pub(crate) fn now(&self) -> Timestamp {
        at(self.now_ms)
    }

    pub(crate) fn fixture(&mut self, file: &str) {
        match Fixture::read(self.stream.kind(), file) {
            Fixture::Text(text) => self.text(&text),
            Fixture::Binary(bytes) => self.stream.handle_binary(self.now(), bytes),
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.stream.handle_text(self.now(), text);
    }

    /// Time passes, and the stream is woken when it asks for it.
    pub(crate) fn advance(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(until) = self.stream.poll_timeout().filter(|until| *until <= at(end)) {
            self.now_ms = until.as_micros() / 1_000;
            self.stream.handle_timeout(until);
        }
        self.now_ms = end;
    }

    pub(crate) fn play(&mut self, bytes: usize) {
        self.stream.play(self.now(), Bytes::from(vec![1; bytes])).unwrap();
    }

    /// Everything that came out, each as a few words.
    pub(crate) fn outputs(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        while let Some(output) = self.stream.poll_output() {
            shown.push(match output {
                Output::Send(Outgoing::Text(text)) => sent(&text),
                Output::Send(Outgoing::Binary(bytes)) => format!("> {} bytes", bytes.len()),
                Output::Send(Outgoing::Close) => "> close".to_owned(),
                Output::Event(event) => happened(&event),
                other => panic!("{other:?}"),
            });
        }
        shown
    }

    /// The names of the marks that are sent next.
    pub(crate) fn marks(&mut self) -> Vec<String> {
        let outputs = self.outputs();
        outputs.iter().filter_map(|shown| shown.strip_prefix("> mark ")).map(str::to_owned).collect()
    }
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// A mark as the carrier sends it back.
pub(crate) fn mark_back(kind: CarrierKind, name: &str) -> String {
    match kind {
        CarrierKind::Plivo => format!(r#"{{"event":"playedStream","sequenceNumber":"8","name":"{name}"}}"#),
        CarrierKind::Vonage => format!(r#"{{"event":"websocket:notify","payload":{{"name":"{name}"}}}}"#),
        CarrierKind::Jambonz => format!(r#"{{"type":"mark","data":{{"name":"{name}","event":"playout"}}}}"#),
        _ => format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#),
    }
}

fn sent(text: &str) -> String {
    let message: Value = serde_json::from_str(text).unwrap();
    let kind = ["event", "type", "action"].iter().find_map(|name| message[*name].as_str()).unwrap();
    let name = ["/mark/name", "/name", "/payload/name", "/data/name"];
    match (name.iter().find_map(|path| message.pointer(path)), message.pointer("/media/payload")) {
        (Some(name), _) => format!("> mark {}", name.as_str().unwrap()),
        (None, Some(payload)) => format!("> audio of {} characters", payload.as_str().unwrap().len()),
        (None, None) => format!("> {kind}"),
    }
}

fn happened(event: &Event) -> String {
    match event {
        Event::Started(started) => format!("started {:?} {:?}", started.input, started.output),
        Event::Audio(audio) => {
            let what = if audio.is_gap { "gap" } else { "audio" };
            format!("{what} at {}: {} bytes", audio.start, audio.audio.len())
        }
        Event::Digit { digit, .. } => format!("digit {}", digit.as_char()),
        Event::Played { generation, mark, samples, is_reported } => {
            let how = if *is_reported { "" } else { ", reckoned" };
            format!("played {generation}/{mark} at {samples}{how}")
        }
        Event::Fault(fault) => fault.to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}
