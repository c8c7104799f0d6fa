//! A conversation with the emulator, over a connection on which one thing after the other goes wrong: it
//! comes to its end, or to one that says why, and nobody waits forever.

use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Error, Events, Handle, Pending};
use realtime_emulator::brain::{Brain, Reply, Trigger, Turn};
use realtime_emulator::disaster::{Disaster, error_codes};
use realtime_emulator::{Options, serve_stream};
use realtime_protocol::call::{
    Command, ConnectionEvent, DisconnectClass, Event, FunctionOutput, PlaybackReport, Reconnect, ResponseEnd,
};
use realtime_protocol::session::SessionOptions;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::tool::{FunctionTool, Tool};
use serde_json::{Value, json};
use tokio::io::duplex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::*;

/// Longer than any answer takes, and than noticing that none will come.
const PATIENCE: Duration = Duration::from_secs(180);

fn once() -> Vec<Value> {
    let mut all = Vec::new();
    for at in [
        "session.created",
        "session.updated",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.output_item.added",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_item.done",
        "response.done",
    ] {
        for action in ["stall", "break", "drop", "malformed"] {
            all.push(json!({"at": at, "do": action}));
        }
        all.push(json!({"at": at, "do": "cut", "code": 1011, "reason": "internal"}));
        all.push(json!({"at": at, "do": "delay", "ms": 12_000}));
        all.push(json!({"at": at, "do": "expire"}));
    }
    for code in [1000, 1001, 1008, 1009, 1013, 4000] {
        all.push(json!({"at": "response.output_audio.delta", "nth": 3, "do": "cut", "code": code}));
    }
    let places = ["session.updated", "conversation.item.added", "response.created", "response.done"];
    for (code, at) in error_codes().zip(places.into_iter().cycle()) {
        all.push(json!({"at": at, "do": "error", "code": code}));
    }
    all
}

fn again_and_again() -> Vec<Value> {
    vec![
        json!({"at": "*", "every": 1, "do": "delay", "jitter_ms": 300}),
        json!({"at": "*", "every": 1, "do": "duplicate", "times": 2}),
        json!({"at": "*", "every": 2, "do": "reorder", "by": 3}),
        json!({"at": "*", "every": 3, "do": "drop"}),
        json!({"at": "*", "every": 3, "do": "malformed"}),
        json!({"at": "*", "every": 2, "do": "unknown_event"}),
        json!({"at": "*", "every": 1, "do": "unknown_members"}),
        json!({"at": "*", "chance": 0.2, "do": "drop"}),
        json!({"every": 1, "do": "bad_base64"}),
        json!({"every": 2, "do": "odd_audio"}),
        json!({"every": 1, "do": "format", "format": "audio/pcmu"}),
        json!({"every": 1, "do": "usage_null"}),
        json!({"every": 1, "do": "late_deltas"}),
        json!({"every": 1, "do": "fail_transcription"}),
        json!({"at": "response.created", "every": 1, "do": "drop"}),
        json!({"at": "response.done", "every": 1, "do": "drop"}),
        json!({"at": "conversation.item.*", "every": 1, "do": "hold", "until": "response.done"}),
        json!({"after_ms": 1000, "do": "slow_reader"}),
        json!({"at": "response.created", "every": 1, "do": "error", "code": "rate_limit_exceeded"}),
        json!({"at": "response.done", "every": 1, "do": "error", "code": "server_error"}),
    ]
}

#[tokio::test(start_paused = true)]
async fn one_connection_comes_to_an_end_whatever_goes_wrong() {
    for disaster in once().into_iter().chain(again_and_again()) {
        let mut talk = Talk::begin(&disaster, None).await;
        talk.converse().await;
        talk.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_reconnects_goes_on_after_what_went_wrong() {
    for disaster in once() {
        let mut talk = Talk::begin(&disaster, Some(Reconnect::default())).await;
        talk.converse().await;
        // What is asked of a connection that has just fallen silent is not answered, and then there is
        // another.
        let mut last = talk.ask("And now?").await;
        if last.is_none() {
            last = talk.ask("And now?").await;
        }
        let told = talk.end().await;
        let helpless = told.iter().any(|event| {
            use DisconnectClass::{Account, Configuration};
            matches!(
                event,
                Event::Connection(ConnectionEvent::Lost {
                    class: Account | Configuration,
                    retry_at: None,
                    ..
                })
            )
        });
        let fine = matches!(last, Some(Ok(ResponseEnd::Completed)));
        // A server that has never sent such an answer may not support it: it is not replaced.
        let never_heard = disaster["do"] == "stall"
            && (disaster["at"] == "session.updated" || disaster["at"] == "conversation.item.added");
        assert!(fine || helpless || never_heard && last.is_none(), "{disaster}: {last:?}");
    }
    for disaster in again_and_again() {
        let mut talk = Talk::begin(&disaster, Some(Reconnect::default())).await;
        talk.converse().await;
        talk.end().await;
    }
}

/// A model of few words.
struct Curt;

impl Brain for Curt {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        match turn.trigger {
            Trigger::Text(text) if text.contains("look_up") => Reply::call("look_up", "{}"),
            _ => Reply::say("Yes."),
        }
    }
}

/// A client that talks to an emulator, and the task that reads its events.
struct Talk {
    disaster: String,
    handle: Handle,
    /// Responses that have ended.
    ended: watch::Receiver<usize>,
    reader: JoinHandle<Vec<Event>>,
}

impl Talk {
    /// The disaster strikes on the first connection alone.
    async fn begin(disaster: &Value, reconnect: Option<Reconnect>) -> Self {
        let strikes = Disaster::parse(disaster, "disaster").unwrap();
        let clean = Options::default().seed(1).brain(|| Curt);
        let mut next = Some(clean.clone().disasters([strikes]));
        let open = move || {
            let (near, far) = duplex(256 * 1024);
            tokio::spawn(serve_stream(far, next.take().unwrap_or_else(|| clean.clone())));
            async move { Ok(near) }
        };
        let tool = FunctionTool { name: "look_up".into(), ..FunctionTool::default() };
        let mut config = SessionConfig::realtime();
        config.tools = vec![Tool::Function(tool)].into();
        let mut options = ClientOptions::new(SessionOptions::default().config(config));
        if let Some(reconnect) = reconnect {
            options = options.reconnect(reconnect);
        }
        let (handle, events) = Client::over_streams(open, endpoint(), options).await.unwrap().split();
        let (count, ended) = watch::channel(0);
        let reader = tokio::spawn(read(handle.clone(), events, count));
        Self { disaster: disaster.to_string(), handle, ended, reader }
    }

    /// What a user does in a call: writes, speaks, interrupts, has something looked up, asks for an item.
    async fn converse(&mut self) {
        self.ask("Hello there.").await;
        self.speak().await;
        let asked = self.give(Command::CreateResponse { params: None, protected: false });
        sleep(Duration::from_millis(300)).await;
        let _ = self.settled(self.handle.interrupt()).await;
        if let Some(asked) = asked {
            let _ = self.settled(asked).await;
        }
        self.ask("Please look_up a word").await;
        let item = self.settled(self.handle.send_text("What was that?", false)).await;
        if let Ok(item) = item {
            let _ = self.settled(self.handle.retrieve_item(item)).await;
        }
    }

    /// Writes something, and waits for the answer; `None` if that has failed already.
    async fn ask(&self, text: &str) -> Option<Result<ResponseEnd, Error>> {
        self.settled(self.handle.send_text(text, false)).await.ok()?;
        let response = self.settled(self.handle.create_response(None)).await;
        Some(response.map(|responded| responded.end))
    }

    /// Says something, and waits for the end of an answer if one comes.
    async fn speak(&mut self) {
        let before = *self.ended.borrow();
        for tick in 0..15 {
            if self.handle.append_audio(if tick < 5 { tone() } else { vec![0; 4800] }).is_err() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let _ = timeout(PATIENCE, self.ended.wait_for(|ended| *ended > before)).await;
    }

    fn give(&self, command: Command) -> Option<Pending> {
        self.handle.send(command).ok()
    }

    async fn settled<T>(&self, answer: impl Future<Output = T>) -> T {
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{}: someone waits forever", self.disaster))
    }

    /// Ends the call, if it has not ended yet; what was told in it.
    async fn end(self) -> Vec<Event> {
        let Self { disaster, handle, reader, .. } = self;
        let closed = timeout(PATIENCE, handle.close()).await;
        let closed = closed.unwrap_or_else(|_| panic!("{disaster}: it does not close"));
        let told = timeout(PATIENCE, reader).await.unwrap_or_else(|_| panic!("{disaster}: no end"));
        let told = told.unwrap();
        let Some(Event::Closed { .. }) = told.last() else { panic!("{disaster}: {:?}", told.last()) };
        assert!(
            matches!(closed, Ok(()) | Err(Error::Send(_) | Error::Closed { .. })),
            "{disaster}: {closed:?}"
        );
        let mut responses = BTreeMap::new();
        for event in &told {
            match event {
                Event::ResponseStarted { response_id, .. } => {
                    assert_eq!(responses.insert(response_id, false), None, "{disaster}: begun twice");
                }
                Event::ResponseFinished(report) => {
                    let before = responses.insert(&report.response_id, true);
                    assert_eq!(before, Some(false), "{disaster}: ended once");
                }
                _ => {}
            }
        }
        assert!(responses.values().all(|ended| *ended), "{disaster}: a response without an end");
        told
    }
}

/// Reads all events, stops playing when told to, and does what functions are called for.
async fn read(handle: Handle, mut events: Events, ended: watch::Sender<usize>) -> Vec<Event> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        match &event {
            Event::StopPlayback { id } => {
                let _ = handle.report_playback(PlaybackReport::Stopped { id: *id, at: None });
            }
            Event::FunctionCalls { calls, .. } => {
                for call in calls {
                    let output = FunctionOutput::Result(json!("found"));
                    let call_id = call.call_id.clone();
                    let _ = handle.send(Command::AnswerFunction { call_id, output, respond: true });
                }
            }
            Event::ResponseFinished(_) => ended.send_modify(|ended| *ended += 1),
            _ => {}
        }
        told.push(event);
    }
    told
}

/// 100 ms that sound like a voice.
fn tone() -> Vec<u8> {
    let samples = (0..2400_u16).map(|n| (f32::from(n) * 300.0 / 24_000.0 * TAU).sin() * 12_000.0);
    samples.flat_map(|sample| (sample as i16).to_le_bytes()).collect()
}
