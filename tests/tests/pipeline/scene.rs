//! A call in memory: a microphone that speaks when a test says so, the pipeline, and the emulator.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use realtime_client::{Client, ClientOptions, Endpoint};
use realtime_context::Conversation;
use realtime_emulator::brain::Script;
use realtime_emulator::{Options, serve_stream};
use realtime_pipeline::agent::Agent;
use realtime_pipeline::chain::{
    Answer, Audio, AudioSource, BotSpeech, FrameKind, Hop, Intent, Metric, Observer, UserSpeech,
};
use realtime_pipeline::edges::Source;
use realtime_pipeline::edges::memory::{MemoryPeer, pair};
use realtime_pipeline::task::{Finished, TaskHandle};
use realtime_protocol::call::{Event, Reconnect};
use realtime_protocol::session::{InterruptionPolicy, SessionOptions};
use realtime_protocol::session_config::{SessionConfig, Transcription};
use serde_json::{Value, json};
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, interval, sleep, timeout};

/// Longer than any call of these tests.
const LONGEST: Duration = Duration::from_secs(300);

/// Both dialects.
pub(crate) const DIALECTS: [bool; 2] = [false, true];

/// What a call is held with.
pub(crate) struct Scene {
    pub(crate) script: Value,
    pub(crate) beta: bool,
    pub(crate) config: SessionConfig,
    pub(crate) conversation: Conversation,
    pub(crate) policy: InterruptionPolicy,
}

impl Scene {
    pub(crate) fn new(beta: bool, script: Value) -> Self {
        let mut config = SessionConfig::realtime();
        config.input_mut().transcription = Transcription::default().model("gpt-4o-mini-transcribe").into();
        let policy = InterruptionPolicy::default();
        Self { script, beta, config, conversation: Conversation::new(), policy }
    }

    /// The session detects no turns.
    pub(crate) fn without_server_turns(mut self) -> Self {
        self.config.input_mut().turn_detection = realtime_protocol::field::Field::Null;
        self
    }

    /// When the user's speech interrupts the agent.
    pub(crate) fn interrupted(mut self, policy: InterruptionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Holds a call with this agent, until the test ends it.
    pub(crate) fn begin(self, agent: Agent) -> Stage {
        self.begin_with(agent, |agent| agent)
    }

    /// The same, with what is added to the client's options.
    pub(crate) fn begin_with(self, agent: Agent, add: impl FnOnce(Agent) -> Agent) -> Stage {
        let Self { script, beta, config, conversation, policy } = self;
        let first = Script::parse(&script.to_string()).unwrap();
        let mut script = script;
        // What goes wrong goes wrong once.
        script.as_object_mut().unwrap().remove("disasters");
        let later = Options::default().script(Script::parse(&script.to_string()).unwrap());
        let first = Some(Options::default().script(first));
        let endpoint = Endpoint::new("ws://emulator", "gpt-realtime").unwrap();
        let endpoint = if beta { endpoint.beta() } else { endpoint };
        let (transport, peer) = pair();
        let mouth = Mouth::default();
        let microphone = Microphone { mouth: mouth.clone(), ticks: interval(Duration::from_millis(20)) };
        let seen = Seen::default();
        let session = SessionOptions::default().config(config).entropy(1).interruption(policy);
        let agent = agent
            .client(|_| ClientOptions::new(session).reconnect(Reconnect::default()))
            .service(move |service| {
                service.connect_with(move |endpoint, client| {
                    let mut first = first;
                    let open = move || {
                        let (near, far) = duplex(1 << 20);
                        let options = first.take().unwrap_or_else(|| later.clone());
                        tokio::spawn(serve_stream(far, options));
                        std::future::ready(Ok(near))
                    };
                    Client::over_streams(open, endpoint, client)
                })
            })
            .conversation(conversation.clone())
            .observe(seen.clone());
        let (task, _) = add(agent).task(endpoint, (microphone, transport.sink)).unwrap();
        let handle = task.handle().clone();
        let run = tokio::spawn(async move { timeout(LONGEST, task.run()).await.unwrap().unwrap() });
        Stage { handle, run, mouth, seen, conversation, peer }
    }
}

/// A call that runs.
pub(crate) struct Stage {
    pub(crate) handle: TaskHandle,
    run: JoinHandle<Finished>,
    mouth: Mouth,
    pub(crate) seen: Seen,
    pub(crate) conversation: Conversation,
    pub(crate) peer: MemoryPeer,
}

impl Stage {
    /// The user speaks for so long, and is silent for a second.
    pub(crate) async fn speak(&self, millis: u64) {
        self.mouth.open(millis);
        sleep(Duration::from_millis(millis)).await;
    }

    pub(crate) async fn ask(&self, intent: Intent) -> Answer {
        timeout(LONGEST, self.handle.ask(intent)).await.unwrap().unwrap()
    }

    /// Waits for the n-th line, from 1, that begins so.
    pub(crate) async fn until(&self, word: &str, nth: usize) {
        let seen = timeout(LONGEST, async {
            while self.seen.count(word) < nth {
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(seen.await.is_ok(), "{nth} x {word} did not come:\n{}", self.seen.text());
    }

    pub(crate) async fn finish(self) -> Told {
        let Self { handle, run, seen, conversation, mut peer, .. } = self;
        // It may be over.
        let _ = handle.end("the test is over");
        let finished = run.await.unwrap();
        let mut heard = Vec::new();
        while let Some(kind) = peer.output.try_next() {
            if let FrameKind::PlayedAudio(audio) = kind {
                heard.push(audio);
            }
        }
        Told { finished, lines: seen.lines(), conversation, heard }
    }
}

/// What became of a call.
pub(crate) struct Told {
    pub(crate) finished: Finished,
    pub(crate) lines: Vec<String>,
    pub(crate) conversation: Conversation,
    pub(crate) heard: Vec<realtime_pipeline::chain::OutputAudio>,
}

impl Told {
    /// How much of each part was heard (ms), in order.
    pub(crate) fn heard_ms(&self) -> Vec<u64> {
        let mut parts: Vec<(&AudioSource, u64)> = Vec::new();
        for audio in &self.heard {
            match parts.last_mut().filter(|(source, _)| **source == audio.source) {
                Some((_, samples)) => *samples += audio.audio.frames(),
                None => parts.push((&audio.source, audio.audio.frames())),
            }
        }
        parts.into_iter().map(|(_, samples)| samples / 24).collect()
    }

    /// The words of the conversation, a line each: `user: …`, `assistant: …`.
    pub(crate) fn words(&self) -> Vec<String> {
        let message =
            |message: realtime_context::Message| format!("{}: {}", message.role.as_str(), message.text());
        self.conversation.messages().into_iter().map(message).collect()
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|line| line.starts_with(word)).count()
    }

    /// The place of the n-th line that begins so, from 1.
    pub(crate) fn place(&self, word: &str, nth: usize) -> usize {
        let mut places = self.lines.iter().enumerate().filter(|(_, line)| line.starts_with(word));
        places.nth(nth - 1).unwrap_or_else(|| panic!("{nth} x {word} in\n{}", self.lines.join("\n"))).0
    }
}

/// When the user speaks.
#[derive(Clone, Default)]
struct Mouth(Arc<Mutex<Option<Instant>>>);

impl Mouth {
    fn open(&self, millis: u64) {
        *self.0.lock().unwrap() = Some(Instant::now() + Duration::from_millis(millis));
    }

    fn is_open(&self) -> bool {
        self.0.lock().unwrap().is_some_and(|until| Instant::now() < until)
    }
}

/// 20 ms of audio at a time: a tone while the user speaks, else silence.
struct Microphone {
    mouth: Mouth,
    ticks: Interval,
}

impl Source for Microphone {
    fn name(&self) -> &str {
        "microphone"
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        std::task::ready!(self.ticks.poll_tick(cx));
        let loud = if self.mouth.is_open() { 9_000 } else { 0 };
        let samples: Vec<i16> = (0..480).map(|at| if at / 30 % 2 == 0 { loud } else { -loud }).collect();
        Poll::Ready(Some(FrameKind::InputAudio(Audio::mono(24_000, samples))))
    }
}

/// What an observer saw: what leaves the service and the playout.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    fn count(&self, word: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with(word)).count()
    }
}

impl Observer for Seen {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if hop.direction != realtime_pipeline::chain::Direction::Downstream {
            return;
        }
        let word = match (&**hop.from, hop.frame.kind()) {
            ("realtime", FrameKind::Event(event)) => match &**event {
                Event::ResponseStarted { .. } => "response started".to_owned(),
                Event::ResponseFinished(report) => format!("response finished {:?}", report.end),
                Event::FunctionCalls { calls, .. } => format!("functions {}", calls.len()),
                Event::FunctionEnded { call, .. } => format!("function ended {}", call.name),
                Event::Interrupted(what) => format!("interrupted {} ms", what.heard().as_millis()),
                Event::UserTranscript { transcript, .. } => format!("user said {transcript}"),
                Event::Connection(event) => format!("connection {}", first_word(event)),
                Event::ConfigUpdated { .. } => "config updated".to_owned(),
                Event::ServerError { .. } => "server error".to_owned(),
                Event::Ready { .. } => "ready".to_owned(),
                Event::HoldPlayback { .. } => "hold".to_owned(),
                Event::ResumePlayback { .. } => "resume".to_owned(),
                Event::Warning(_) => "warning".to_owned(),
                Event::Notice(notice) => format!("notice {}", first_word(notice)),
                _ => return,
            },
            ("realtime", FrameKind::Interruption { .. }) => "interruption".to_owned(),
            ("realtime", FrameKind::User(UserSpeech::Started { .. })) => "user started".to_owned(),
            ("realtime", FrameKind::User(UserSpeech::Stopped { .. })) => "user stopped".to_owned(),
            ("realtime", FrameKind::Metric(metric)) => match metric {
                Metric::FirstByte { after, .. } => format!("first byte {} ms", after.as_millis()),
                Metric::VoiceToVoice { after } => format!("voice to voice {} ms", after.as_millis()),
                _ => return,
            },
            ("playout", FrameKind::Bot(BotSpeech::Started)) => "bot started".to_owned(),
            ("playout", FrameKind::Bot(BotSpeech::Stopped)) => "bot stopped".to_owned(),
            _ => return,
        };
        self.0.lock().unwrap().push(format!("{word} @{}", hop.at.as_micros() / 1_000));
    }

    fn on_fault(&mut self, at: realtime_protocol::time::Timestamp, fault: &realtime_pipeline::chain::Fault) {
        self.0.lock().unwrap().push(format!("fault {fault} @{}", at.as_micros() / 1_000));
    }
}

fn first_word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// A script that greets, and answers whatever is said.
pub(crate) fn answers(say: &str) -> Value {
    json!({ "turns": [
        { "on": "request", "reply": [{ "say": "Hello there." }] },
        { "on": "speech", "transcript": "How are you?", "repeat": true, "reply": [{ "say": say }] },
        { "on": "text", "repeat": true, "reply": [{ "say": "You wrote: {input}" }] },
    ] })
}
