//! The client's end of a line with disasters, in virtual time.

use std::time::Duration;

use realtime_emulator::brain::{Brain, Script};
use realtime_emulator::disaster::{Disaster, Line, LineOptions, LineOutput};
use realtime_emulator::{Connection, ConnectionOptions, voice};
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use crate::driver::base64;

/// What came over the line: when (ms), and what.
pub(crate) struct Far {
    pub(crate) line: Line,
    now: Timestamp,
    pub(crate) texts: Vec<(u64, String)>,
    /// How many of them were binary messages.
    pub(crate) binary: usize,
    pub(crate) end: Option<LineOutput>,
}

impl Far {
    pub(crate) fn new(disasters: &Value) -> Self {
        Self::with(Script::parse(&json!({"turns": [], "disasters": disasters}).to_string()).unwrap())
    }

    pub(crate) fn with(script: Script) -> Self {
        let disasters = script.disasters().to_vec();
        Self::of(script, disasters, false)
    }

    /// A session, or the side channel of a call, with these disasters.
    pub(crate) fn of(brain: impl Brain + 'static, disasters: Vec<Disaster>, sideband: bool) -> Self {
        let wall = UnixTime::from_secs(1_800_000_000);
        let options = ConnectionOptions { burst: Duration::ZERO, sideband, ..ConnectionOptions::default() };
        let connection = Connection::new(options, Box::new(brain), Timestamp::ZERO, wall);
        let options =
            LineOptions { disasters, control: true, key: "sk-secret".into(), ..LineOptions::default() };
        let line = Line::new(connection, options, Timestamp::ZERO);
        let mut far = Self { line, now: Timestamp::ZERO, texts: Vec::new(), binary: 0, end: None };
        far.drain();
        far
    }

    pub(crate) fn send(&mut self, event: &Value) {
        self.line.handle_text(self.now, &event.to_string());
        self.drain();
    }

    /// Asks for an answer and waits for a while: 20 seconds of virtual time.
    pub(crate) fn turn(&mut self) {
        let item =
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]});
        self.send(&json!({"type": "conversation.item.create", "item": item}));
        self.send(&json!({"type": "response.create"}));
        self.run(20_000);
    }

    /// Speaks, with its transcript, and waits.
    pub(crate) fn spoken_turn(&mut self) {
        let input = json!({"transcription": {"model": "whisper-1"}});
        self.send(
            &json!({"type": "session.update", "session": {"type": "realtime", "audio": {"input": input}}}),
        );
        let mut pcm = voice::speak("Good morning.").pcm();
        pcm.resize(pcm.len() + 48 * 600, 0);
        for frame in pcm.chunks(4800) {
            self.send(&json!({"type": "input_audio_buffer.append", "audio": base64(frame)}));
            self.run(100);
        }
        self.run(20_000);
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.line.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.line.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.line.poll_output() {
            assert_eq!(self.end, None, "nothing follows the end");
            match output {
                LineOutput::Binary(text) => {
                    self.binary += 1;
                    self.texts.push((self.now.as_micros() / 1000, text));
                }
                LineOutput::Text(text) => self.texts.push((self.now.as_micros() / 1000, text)),
                end => self.end = Some(end),
            }
        }
    }

    pub(crate) fn events(&self) -> Vec<ServerEvent> {
        self.texts.iter().map(|(_, text)| ServerEvent::decode(text, Dialect::Ga)).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|event| event.kind().to_owned()).collect()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|k| *k == kind).count()
    }

    pub(crate) fn position(&self, kind: &str) -> usize {
        self.kinds().iter().position(|k| k == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    pub(crate) fn at(&self, kind: &str) -> u64 {
        self.texts[self.position(kind)].0
    }

    pub(crate) fn json(&self, kind: &str) -> Value {
        serde_json::from_str(&self.texts[self.position(kind)].1).unwrap()
    }
}
