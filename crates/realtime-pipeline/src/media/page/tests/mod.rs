//! Tests of the page's machine in virtual time, and properties of random runs.

mod losses;
mod playing;
mod properties;
mod telling;

use std::sync::Arc;

use bytes::Bytes;
use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::{Page, PageOptions};
use crate::chain::{
    Audio, AudioSource, ClearId, Direction, FrameKind, OutputAudio, Peer, SinkPosition, SinkReport,
};
use crate::media::{MediaOutput, MediaProtocol, SocketMessage};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A page, and what came out of it.
struct Bench {
    page: Page,
    now: Timestamp,
    texts: Vec<Value>,
    /// Item, offset and samples of each binary message.
    audio: Vec<(u32, u32, usize)>,
    inputs: Vec<FrameKind>,
    reports: Vec<SinkReport>,
    closed: usize,
}

impl Bench {
    /// A page whose socket is open.
    fn silent(options: PageOptions) -> Self {
        let page = Page::new(options);
        let (texts, audio, inputs, reports) = (vec![], vec![], vec![], vec![]);
        let mut bench = Self { page, now: Timestamp::ZERO, texts, audio, inputs, reports, closed: 0 };
        bench.act(|page, now| page.handle_opened(now));
        bench
    }

    /// A page that has said hello.
    fn new() -> Self {
        let mut bench = Self::silent(PageOptions::new(TOKEN));
        bench.text(json!({ "type": "hello", "version": 1 }));
        bench.news();
        bench.inputs.clear();
        bench
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Page, Timestamp) -> T) -> T {
        let done = act(&mut self.page, self.now);
        while let Some(output) = self.page.poll_output() {
            match output {
                MediaOutput::Send(SocketMessage::Text(text)) => {
                    self.texts.push(serde_json::from_str(&text).unwrap());
                }
                MediaOutput::Send(SocketMessage::Binary(bytes)) => self.audio.push(read(&bytes)),
                MediaOutput::Input(frame) => self.inputs.push(frame),
                MediaOutput::Report(report) => self.reports.push(report),
                MediaOutput::Close => self.closed += 1,
                MediaOutput::Work(work) => panic!("{work:?}"),
            }
        }
        done
    }

    fn text(&mut self, text: Value) {
        self.raw(&text.to_string());
    }

    fn raw(&mut self, text: &str) {
        self.act(|page, now| page.handle_text(now, text));
    }

    fn binary(&mut self, bytes: Vec<u8>) {
        self.act(|page, now| page.handle_binary(now, Bytes::from(bytes)));
    }

    fn frame(&mut self, frame: FrameKind) {
        self.act(|page, now| page.handle_frame(now, Direction::Downstream, &frame)).unwrap();
    }

    fn event(&mut self, event: Event) {
        self.frame(FrameKind::Event(Arc::new(event)));
    }

    /// So many milliseconds of a part are played out.
    fn play(&mut self, item: &str, from_ms: u64, ms: u64) {
        self.frame(FrameKind::PlayedAudio(audio(part(item), from_ms * 24, ms * 24)));
    }

    fn clear(&mut self, id: u64) {
        self.act(|page, now| page.clear(now, ClearId(id)));
    }

    fn close(&mut self) {
        self.act(|page, now| page.handle_closed(now));
    }

    fn open(&mut self) {
        self.act(|page, now| page.handle_opened(now));
    }

    /// Time passes up to so many milliseconds, and what is due happens.
    fn pass(&mut self, ms: u64) {
        let until = Timestamp::from_millis(ms);
        let mut turns = 0;
        while let Some(due) = self.page.poll_timeout().filter(|due| *due <= until) {
            turns = if due > self.now { 0 } else { turns + 1 };
            assert!(turns < 10, "time stands still at {due}");
            self.now = self.now.max(due);
            self.act(|page, now| page.handle_timeout(now));
        }
        self.now = self.now.max(until);
    }

    /// The texts since the last look.
    fn news(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.texts)
    }

    /// The types of the texts since the last look.
    fn types(&mut self) -> Vec<String> {
        self.news().iter().map(|text| text["type"].as_str().unwrap().to_owned()).collect()
    }

    fn reports(&mut self) -> Vec<SinkReport> {
        std::mem::take(&mut self.reports)
    }

    /// The names of the frames for the chain since the last look.
    fn frames(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.inputs).iter().map(FrameKind::name).collect()
    }
}

fn read(message: &Bytes) -> (u32, u32, usize) {
    let word = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
    assert!(message.len().is_multiple_of(2));
    (word(0), word(4), (message.len() - 8) / 2)
}

fn part(item: &str) -> AudioSource {
    AudioSource::Part { item_id: item.into(), content_index: 0 }
}

fn clip(name: &str) -> AudioSource {
    AudioSource::Clip(name.into())
}

fn audio(source: AudioSource, start: u64, samples: u64) -> OutputAudio {
    let audio = Audio::mono(24_000, vec![7; samples as usize]);
    OutputAudio { response_id: None, source, start, mark: None, audio }
}

fn heard(item: &str, ms: u64) -> SinkReport {
    SinkReport::Heard(at(item, ms))
}

fn at(item: &str, ms: u64) -> SinkPosition {
    SinkPosition { source: part(item), samples: ms * 24 }
}

fn played(number: u32, ms: u64) -> Value {
    json!({ "type": "played", "item": number, "samples": ms * 24 })
}

fn audio_done(item: &str, ms: u64) -> Event {
    Event::AudioDone { response_id: "r".into(), item_id: item.into(), content_index: 0, total: ms * 24 }
}

#[test]
fn a_page_says_hello_and_is_there() {
    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    assert!(!bench.page.is_ready());
    bench.text(json!({ "type": "text", "text": "Hi" }));
    bench.binary(vec![0; 960]);
    assert_eq!(bench.news()[0]["code"], "hello_expected");
    bench.text(json!({ "type": "hello", "version": 1, "rate": 16_000, "muted": true, "token": "old" }));
    assert!(bench.page.is_ready());
    let ready = json!({ "type": "ready", "version": 1, "rate": 24_000, "resumed": false, "missed": 0,
        "token": TOKEN, "resume_within_ms": 15_000 });
    assert_eq!(bench.news(), [ready]);
    assert!(matches!(bench.inputs[..], [FrameKind::Peer(Peer::Connected), FrameKind::User(_)]));
    assert_eq!(bench.page.input_format(), None, "the session takes another rate");
    bench.text(json!({ "type": "hello", "version": 1 }));
    assert_eq!(bench.news()[0]["code"], "hello_expected");
    assert_eq!((bench.page.counts().malformed, bench.page.counts().dropped_audio), (2, 1));
}

#[test]
fn a_page_of_another_version_or_one_that_says_nothing_is_refused_in_words() {
    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    bench.text(json!({ "type": "hello", "version": 2 }));
    assert_eq!(bench.news()[0]["code"], "version");
    assert!(bench.page.is_over() && bench.closed == 1 && bench.inputs.is_empty());

    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    bench.pass(9_999);
    assert!(!bench.page.is_over());
    bench.pass(10_000);
    assert_eq!(bench.news()[0]["code"], "silent");
    assert!(bench.page.is_over() && bench.closed == 1);
    assert_eq!(bench.page.why_over().as_deref(), Some("The page said nothing for too long."));
    let mut bench = Bench::silent(PageOptions::new(TOKEN));
    bench.close();
    assert!(bench.page.is_over() && bench.inputs.is_empty());
    assert_eq!(bench.page.why_over().as_deref(), Some("it has gone"));
}

#[test]
fn what_a_page_says_becomes_frames() {
    let mut bench = Bench::new();
    for text in [
        json!({ "type": "text", "text": "Hi" }),
        json!({ "type": "stop" }),
        json!({ "type": "keys", "keys": "12#" }),
        json!({ "type": "message", "body": { "page": 2 } }),
        json!({ "type": "mute", "on": true }),
        json!({ "type": "mute", "on": true }),
        json!({ "type": "mute", "on": false }),
        json!({ "type": "ping", "at": 1234.5 }),
    ] {
        bench.text(text);
    }
    let frames = ["user_input", "user_input", "input_dtmf", "input_message", "user", "user"];
    assert_eq!(bench.frames(), frames);
    assert_eq!(bench.news(), [json!({ "type": "pong", "at": 1234.5 })]);
    bench.text(json!({ "type": "bye" }));
    assert!(matches!(bench.inputs[..], [FrameKind::Peer(Peer::Disconnected)]));
    assert!(bench.page.is_over() && bench.closed == 1);
}

#[test]
fn messages_go_either_way() {
    let mut bench = Bench::new();
    bench.text(json!({ "type": "message", "body": 7 }));
    let FrameKind::InputMessage(message) = bench.inputs.remove(0) else { panic!("a message") };
    assert_eq!(*message.body, json!(7));
    bench.frame(FrameKind::InputMessage(message.clone()));
    assert!(bench.news().is_empty(), "it is the page's own");
    bench.frame(FrameKind::Message(message));
    assert_eq!(bench.news(), [json!({ "type": "message", "body": 7 })]);
}

#[test]
fn a_muted_page_is_silent_and_audio_that_comes_too_fast_is_dropped() {
    let mut bench = Bench::new();
    let first = |bench: &mut Bench| match bench.inputs.remove(0) {
        FrameKind::InputAudio(audio) => audio.pcm().unwrap().as_slice().to_vec(),
        other => panic!("expected audio, got {other:?}"),
    };
    bench.binary(vec![1, 1, 1, 1, 9]);
    assert_eq!(first(&mut bench), [257, 257]);
    assert_eq!(bench.news()[0]["code"], "malformed", "half a sample");
    bench.text(json!({ "type": "mute", "on": true }));
    bench.inputs.clear();
    bench.binary(vec![1, 1, 1, 1]);
    assert_eq!(first(&mut bench), [0, 0]);
    bench.binary(vec![1; 70_000]);
    assert!(bench.inputs.is_empty());
    assert_eq!(bench.news()[0]["code"], "too_long");
    for _ in 0..60 {
        bench.binary(vec![0; 9_600]);
    }
    assert!((28..=32).contains(&bench.inputs.len()), "{}", bench.inputs.len());
    assert_eq!(bench.news()[0]["code"], "too_fast");
    assert!(bench.page.counts().dropped_audio >= 28);
    bench.inputs.clear();
    for ms in 0..100 {
        bench.pass(1_000 + ms * 20);
        bench.binary(vec![0; 960]);
    }
    assert_eq!(bench.inputs.len(), 100);
}

#[test]
fn complaints_are_bounded_and_all_is_counted() {
    let mut bench = Bench::new();
    for _ in 0..1_000 {
        bench.raw(r#"{"type":"dance"}"#);
        bench.raw("\u{fffd}");
    }
    assert_eq!(bench.news().len(), 10);
    let oddities = bench.page.oddities().unwrap();
    assert!(oddities.starts_with("unknown messages: 1000, malformed: 1000, "), "{oddities}");
    assert_eq!((bench.page.counts().unknown, bench.page.counts().malformed), (1_000, 1_000));
    bench.pass(3_000);
    bench.raw("{}");
    assert_eq!(bench.news().len(), 1);
}
