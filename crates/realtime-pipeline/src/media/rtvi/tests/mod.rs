//! A client without a socket, and frames without a chain.

mod asking;
mod life;
mod properties;
mod recorded;
mod saying;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::call::{Event, FunctionCall};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use super::wire::{WireFrame, write_audio, write_message};
use super::{Rtvi, RtviOptions};
use crate::chain::{Audio, AudioSource, ClearId, Direction, FrameKind, OutputAudio};
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};

/// 2026-11-27T08:17:54Z.
const WALL: UnixTime = UnixTime::from_secs(1_795_767_474);

/// A machine, what it has put out, and the time.
struct Bench {
    rtvi: Rtvi,
    now: Timestamp,
    said: Vec<Value>,
    audio: usize,
    inputs: Vec<FrameKind>,
    others: Vec<String>,
}

impl Bench {
    /// The socket is open.
    fn new(change: impl FnOnce(RtviOptions) -> RtviOptions) -> Self {
        let rtvi = Rtvi::new(change(RtviOptions::new(WALL)));
        let now = Timestamp::ZERO;
        let (said, inputs, others) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { rtvi, now, said, audio: 0, inputs, others };
        bench.rtvi.handle_opened(now);
        bench.drain();
        bench
    }

    /// The client is ready, the run has begun, and both were told.
    fn open(change: impl FnOnce(RtviOptions) -> RtviOptions) -> Self {
        let mut bench = Self::new(change);
        bench.ask("client-ready", "ready", json!({ "version": "2.1.0", "about": { "library": "x" } }));
        bench.down(FrameKind::Start);
        bench.news();
        bench.taken();
        bench
    }

    /// The client sends something.
    fn ask(&mut self, kind: &str, id: &str, data: Value) {
        self.send(&json!({ "label": "rtvi-ai", "type": kind, "id": id, "data": data }).to_string());
    }

    fn send(&mut self, json: &str) {
        self.receive(write_message(json.as_bytes()));
    }

    fn receive(&mut self, bytes: Bytes) {
        self.rtvi.handle_binary(self.now, bytes);
        self.drain();
    }

    /// A frame leaves the chain.
    fn down(&mut self, frame: FrameKind) {
        self.rtvi.handle_frame(self.now, Direction::Downstream, &frame).unwrap();
        self.drain();
    }

    fn up(&mut self, frame: FrameKind) {
        self.rtvi.handle_frame(self.now, Direction::Upstream, &frame).unwrap();
        self.drain();
    }

    /// The session tells something, which flows both ways.
    fn event(&mut self, event: Event) {
        let event = Arc::new(event);
        self.up(FrameKind::Event(Arc::clone(&event)));
        self.down(FrameKind::Event(event));
    }

    /// Time passes up to so many milliseconds.
    fn pass(&mut self, ms: u64) {
        let until = Timestamp::from_millis(ms);
        while let Some(due) = self.rtvi.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.rtvi.handle_timeout(self.now);
            self.drain();
            assert!(self.rtvi.poll_timeout() != Some(due), "time stands still");
        }
        self.now = self.now.max(until);
    }

    fn drain(&mut self) {
        while let Some(output) = self.rtvi.poll_output() {
            match output {
                MediaOutput::Send(SocketMessage::Binary(bytes)) => match WireFrame::read(&bytes).unwrap() {
                    WireFrame::Message(text) => {
                        let said: Value = serde_json::from_str(text.as_str()).unwrap();
                        assert_eq!(said["label"], "rtvi-ai");
                        self.said.push(said);
                    }
                    WireFrame::Audio { audio, rate: 24_000, channels: 1 } => self.audio += audio.len(),
                    other => panic!("the client knows no {other:?}"),
                },
                MediaOutput::Input(frame) => self.inputs.push(frame),
                other => self.others.push(format!("{other:?}")),
            }
        }
    }

    /// What was said since the last look: the types, and the data where there is some.
    fn news(&mut self) -> Vec<String> {
        let line = |said: Value| {
            let kind = said["type"].as_str().unwrap().to_owned();
            said.get("data").map_or_else(|| kind.clone(), |data| format!("{kind} {data}"))
        };
        std::mem::take(&mut self.said).into_iter().map(line).collect()
    }

    /// The types alone.
    fn types(&mut self) -> Vec<String> {
        let kind = |said: Value| said["type"].as_str().unwrap().to_owned();
        std::mem::take(&mut self.said).into_iter().map(kind).collect()
    }

    /// What went into the chain since the last look.
    fn taken(&mut self) -> Vec<FrameKind> {
        std::mem::take(&mut self.inputs)
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.taken().iter().map(FrameKind::name).collect()
    }

    /// What the client was refused since the last look: the id and why.
    fn refused(&mut self) -> Vec<(String, String)> {
        let refusal = |said: Value| {
            assert!(["error-response", "error"].contains(&said["type"].as_str().unwrap()), "{said}");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&said["id"]), text(&said["data"]["error"]))
        };
        std::mem::take(&mut self.said).into_iter().map(refusal).collect()
    }

    /// Audio of a part is handed over.
    fn play(&mut self, item: &str, from_ms: u64, ms: u64) {
        self.down(FrameKind::PlayedAudio(part(item, from_ms, ms)));
    }

    fn words(&mut self, item: &str, delta: &str, spoken: bool) {
        let (response_id, item_id) = ("r".into(), item.into());
        self.down(FrameKind::Event(Arc::new(Event::Text {
            response_id,
            item_id,
            content_index: 0,
            delta: delta.into(),
            spoken,
        })));
    }

    fn finished(&mut self, item: &str) {
        self.down(FrameKind::OutputFinished { source: source(item), total: 0 });
    }
}

fn source(item: &str) -> AudioSource {
    AudioSource::Part { item_id: item.into(), content_index: 0 }
}

fn part(item: &str, from_ms: u64, ms: u64) -> OutputAudio {
    let audio = Audio::mono(24_000, vec![0; usize::try_from(ms).unwrap() * 24]);
    OutputAudio {
        response_id: Some("r".into()),
        source: source(item),
        start: from_ms * 24,
        mark: None,
        audio,
    }
}

fn call(id: &str) -> Arc<FunctionCall> {
    Arc::new(FunctionCall {
        call_id: id.into(),
        item_id: None,
        name: "look".into(),
        arguments: r#"{"city":"Paris"}"#.into(),
        key: "key".into(),
    })
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn cleared(id: u64) -> ClearId {
    ClearId(id)
}

fn audio_of(bytes: &[u8], rate: u32) -> Bytes {
    write_audio(bytes, rate)
}
