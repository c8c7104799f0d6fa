//! The only place in these tests that touches the connection's API.
//!
//! Time is virtual, and every event that comes out is checked strictly: it reads back as the same event, with
//! nothing unknown, nothing of a wrong shape and no member that has no field.

use std::fmt::Write;
use std::time::Duration;

use realtime_emulator::brain::{Brain, Parrot};
use realtime_emulator::{Connection, ConnectionOptions, Output, Profile, voice};
use realtime_protocol::audio::Audio;
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::item::Item;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

pub(crate) struct Driver {
    connection: Connection,
    now: Timestamp,
    /// Events that no test has taken yet.
    new: Vec<ServerEvent>,
    /// All events with their times, as text.
    pub(crate) story: String,
    pub(crate) closed: Option<u16>,
    dialect: Dialect,
    profile: Profile,
}

impl Driver {
    /// A session of a parrot's with the defaults; `session.created` is taken.
    pub(crate) fn new() -> Self {
        Self::with(ConnectionOptions::default(), Parrot::new())
    }

    pub(crate) fn with(options: ConnectionOptions, brain: impl Brain + 'static) -> Self {
        let wall = UnixTime::from_secs(1_800_000_000);
        let (dialect, profile) = (options.dialect, options.profile);
        let connection = Connection::new(options, Box::new(brain), Timestamp::ZERO, wall);
        let (new, story) = (Vec::new(), String::new());
        let mut driver =
            Self { connection, now: Timestamp::ZERO, new, story, closed: None, dialect, profile };
        driver.drain();
        assert_eq!(driver.new.first().map(ServerEvent::kind), Some("session.created"));
        driver.new.remove(0);
        driver
    }

    pub(crate) fn send(&mut self, event: &Value) {
        self.send_text(&event.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.connection.handle_text(self.now, text);
        self.drain();
    }

    pub(crate) fn send_binary(&mut self) {
        self.connection.handle_binary(self.now);
        self.drain();
    }

    /// Someone in the call presses a key.
    pub(crate) fn press(&mut self, key: char) {
        self.connection.press_key(self.now, key);
        self.drain();
    }

    pub(crate) fn update(&mut self, mut session: Value) {
        session["type"] = "realtime".into();
        self.send(&json!({"type": "session.update", "session": session}));
    }

    pub(crate) fn write(&mut self, text: &str) {
        let item =
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
        self.send(&json!({"type": "conversation.item.create", "item": item}));
    }

    /// Lets that much time pass.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.connection.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.connection.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Appends bytes at the speed at which they sound (24 kHz PCM), 20 ms at a time.
    pub(crate) fn append(&mut self, pcm: &[u8]) {
        for frame in pcm.chunks(960) {
            self.append_at_once(frame);
            self.run(20);
        }
    }

    pub(crate) fn append_at_once(&mut self, audio: &[u8]) {
        self.send(&json!({"type": "input_audio_buffer.append", "audio": base64(audio)}));
    }

    pub(crate) fn speak(&mut self, text: &str) {
        self.append(&voice::speak(text).pcm());
    }

    pub(crate) fn silence(&mut self, millis: usize) {
        self.append(&vec![0; millis * 48]);
    }

    /// All events since the last call.
    pub(crate) fn take(&mut self) -> Vec<ServerEvent> {
        std::mem::take(&mut self.new)
    }

    /// The kinds of all events since the last call, the deltas of a run as one.
    pub(crate) fn kinds(&mut self) -> Vec<String> {
        let events = self.take();
        let mut kinds: Vec<String> = Vec::new();
        for event in &events {
            let kind = match event.kind() {
                "response.output_audio.delta" | "response.output_audio_transcript.delta" => "deltas",
                kind => kind,
            };
            if !(kind.contains("delta") && kinds.last().is_some_and(|last| last == kind)) {
                kinds.push(kind.into());
            }
        }
        kinds
    }

    /// The one error since the last call, as (code, param, event_id), and nothing else.
    pub(crate) fn error(&mut self) -> (String, String, String) {
        let events = self.take();
        let [ServerEvent::ErrorEvent(event)] = events.as_slice() else { panic!("{events:?}") };
        let error = event.error.value().unwrap();
        assert_eq!(error.kind.value().unwrap(), "invalid_request_error");
        assert!(!error.message_str().is_empty());
        let param = error.param.value().cloned().unwrap_or_default();
        let event_id = error.event_id.value().map(|id| id.to_string()).unwrap_or_default();
        (error.code_str().into(), param, event_id)
    }

    /// The first event of that kind since the last call, as JSON; all before it are dropped, those after it
    /// stay.
    pub(crate) fn find(&mut self, kind: &str) -> Value {
        let Some(index) = self.new.iter().position(|event| event.kind() == kind) else {
            panic!("no {kind} in {:?}", self.new.iter().map(ServerEvent::kind).collect::<Vec<_>>());
        };
        let event = self.new.drain(..=index).next_back().unwrap();
        serde_json::from_str(&event.encode(self.dialect)).unwrap()
    }

    fn drain(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            assert_eq!(self.closed, None, "nothing follows a close");
            match output {
                Output::Send(event) => {
                    check_strictly(&event, self.dialect, self.profile);
                    writeln!(self.story, "{} {}", self.now, event.encode(self.dialect)).unwrap();
                    self.new.push(*event);
                }
                Output::Close { code, .. } => self.closed = Some(code),
                other => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) fn as_json(event: &ServerEvent) -> Value {
    serde_json::from_str(&event.encode(Dialect::Ga)).unwrap()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    Audio::from(bytes.to_vec()).encode_into(&mut text);
    text
}

/// Output audio of events (bytes).
pub(crate) fn audio_bytes(events: &[ServerEvent]) -> usize {
    let deltas = events.iter().map(|event| match event {
        ServerEvent::ResponseOutputAudioDelta(delta) => delta.delta.bytes().unwrap().len(),
        _ => 0,
    });
    deltas.sum()
}

fn check_strictly(event: &ServerEvent, dialect: Dialect, profile: Profile) {
    let text = event.encode(dialect);
    let again = ServerEvent::decode(&text, dialect);
    // Beta has no place for all that the model holds: there the text is what must come back.
    assert!(again == *event || (dialect == Dialect::Beta && again.encode(dialect) == text), "{text}");
    let is_string = profile == Profile::Minimal && event.kind() == "error";
    assert!(is_string || again.mismatches().is_empty(), "{text}");
    assert!(!matches!(again, ServerEvent::Unknown(_) | ServerEvent::Malformed(_)), "{text}");
    let shown = format!("{again:?}");
    // A profile may have a shape of its own for errors.
    let is_own = profile != Profile::OpenAi && event.kind() == "error";
    assert!(is_own || !shown.contains("extra: Extra(Some"), "{shown}");
    let item = match &again {
        ServerEvent::ConversationItemAdded(event) => Some(&event.item),
        ServerEvent::ConversationItemDone(event) => Some(&event.item),
        ServerEvent::ConversationItemRetrieved(event) => Some(&event.item),
        ServerEvent::ResponseOutputItemAdded(event) => Some(&event.item),
        ServerEvent::ResponseOutputItemDone(event) => Some(&event.item),
        _ => None,
    };
    assert!(item.is_none_or(|item| !matches!(**item, Item::Unknown(_)) && item.id().is_some()), "{text}");
    let has_id = profile != Profile::Minimal && !event.kind().contains("dtmf");
    assert!(text.contains("\"event_id\":\"event_") == has_id, "{text}");
}

/// A brain that always answers the same.
pub(crate) struct Always(pub(crate) realtime_emulator::brain::Reply);

impl Brain for Always {
    fn reply(&mut self, _turn: &realtime_emulator::brain::Turn<'_>) -> realtime_emulator::brain::Reply {
        self.0.clone()
    }
}
