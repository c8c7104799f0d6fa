//! Random turns over random answers, under every interruption policy, with a server and a player that keep to
//! the protocol: what counts stops playback to the sample and is answered once; nothing else is answered.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_protocol::audio::{Audio, AudioFormat};
use realtime_protocol::call::{
    AudioChunk, Command, CommandId, DisconnectReason, Event, Media, PlaybackPosition, PlaybackReport,
};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::field::Field;
use realtime_protocol::id::ItemId;
use realtime_protocol::session::{InterruptionPolicy, Output, Session, SessionOptions};
use realtime_protocol::session_config::TurnDetection;
use realtime_protocol::time::{MediaTime, Timestamp, UnixTime};
use realtime_tests::golden::drain;
use realtime_tests::invariants::Invariants;
use serde_json::{Value, json};

/// How far the clock moves at a time (ms), and the silence after which the server says that the user has
/// stopped.
const TICK: u64 = 10;
const SILENCE: u64 = 200;

/// When the words of a turn are known, after its end.
const TRANSCRIBED: u64 = 50;

/// One user turn.
#[derive(Clone, Debug)]
struct Turn {
    /// After the turn before (ms).
    gap: u64,
    /// How long the user speaks (ms).
    speech: u64,
    words: u32,
    /// How long the answer is, if there is one (ms).
    answer: u64,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (100_u64..400, 10_u64..250, 0_u32..4, 1_u64..300);
    let turn = turn.prop_map(|(gap, speech, words, answer)| Turn {
        gap: TICK * gap,
        speech: TICK * speech,
        words,
        answer: TICK * answer,
    });
    vec(turn, 1..6)
}

fn policy() -> impl Strategy<Value = InterruptionPolicy> {
    let limit = || (20_u64..200).prop_map(|ticks| Duration::from_millis(TICK * ticks));
    let rule = prop_oneof![
        1 => Just(InterruptionPolicy::AtOnce),
        3 => limit().prop_map(InterruptionPolicy::after),
        3 => (1_u32..4, limit()).prop_map(|(words, within)| InterruptionPolicy::after_words(words, within)),
    ];
    (rule, any::<bool>()).prop_map(|(rule, hold)| if hold { rule.holding() } else { rule })
}

/// Plays what it is given, tells what it has played after every tick, and keeps to what it is asked.
#[derive(Default)]
struct Player {
    queue: VecDeque<AudioChunk>,
    /// Samples of the first chunk that have been played.
    into: u64,
    held: bool,
    played: BTreeMap<ItemId, u64>,
    last: Option<ItemId>,
}

impl Player {
    fn play(&mut self) -> Option<PlaybackReport> {
        if self.held {
            return None;
        }
        let mut left = AudioFormat::PCM16_24K.samples_in(MediaTime::from_millis(TICK));
        while left > 0 {
            let Some(chunk) = self.queue.front() else { break };
            let now = left.min(chunk.samples() - self.into);
            self.into += now;
            left -= now;
            self.played.insert(chunk.item_id.clone(), chunk.start + self.into);
            self.last = Some(chunk.item_id.clone());
            if self.into == chunk.samples() {
                self.queue.pop_front();
                self.into = 0;
            }
        }
        self.at().map(PlaybackReport::Played)
    }

    fn at(&self) -> Option<PlaybackPosition> {
        let item_id = self.last.clone()?;
        let played = self.played[&item_id];
        Some(PlaybackPosition { item_id, content_index: 0, played })
    }

    fn is_audible(&self) -> bool {
        !self.queue.is_empty()
    }
}

/// The session between a server and a player.
struct World {
    session: Session,
    invariants: Invariants,
    now: u64,
    player: Player,
    /// What the server will send, and when.
    sends: Vec<(u64, Value)>,
    /// The response that the server makes, until it is done.
    runs: Option<u64>,
    responses: u64,
    answer: u64,
    /// What the server was told of turn detection: whether it answers, and whether it interrupts.
    told: (bool, bool),
    /// When the session asked for a response.
    asked: Vec<u64>,
}

impl World {
    fn new(policy: InterruptionPolicy, dialect: Dialect) -> Self {
        let mut options = SessionOptions::default().interruption(policy).dialect(dialect);
        options.config.input_mut().transcription = Field::Value(Default::default());
        let mut session = Session::new(options);
        session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
        let mut world = Self {
            session,
            invariants: Invariants::default(),
            now: 0,
            player: Player::default(),
            sends: Vec::new(),
            runs: None,
            responses: 0,
            answer: 2000,
            told: (true, true),
            asked: Vec::new(),
        };
        let vad = json!({"type": "server_vad", "silence_duration_ms": SILENCE});
        world.text(
            json!({"type": "session.created", "session": {"audio": {"input": {"turn_detection": vad}}}}),
        );
        world.text(json!({"type": "session.updated", "session": {}}));
        world.invariants.command(CommandId(1));
        let greeting = Command::CreateResponse { params: None, protected: false };
        world.session.handle_command(world.at(), CommandId(1), greeting).expect("it is ready");
        world.settle();
        world
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn text(&mut self, event: Value) {
        self.session.handle_text(self.at(), &event.to_string());
        self.settle();
    }

    fn report(&mut self, report: PlaybackReport) {
        self.session.handle_media(self.at(), Media::Report(report)).expect("a report");
        self.settle();
    }

    /// Does what the session says, and all that comes of it.
    fn settle(&mut self) {
        for output in drain(&mut self.session) {
            self.invariants.output(&output);
            match output {
                Output::Send(event) => self.sent(event),
                Output::Event(event) => self.heard(event),
                Output::Close => panic!("nobody closes"),
            }
        }
    }

    fn sent(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::SessionUpdate(update) => {
                if let Some(vad) = update.session.turn_detection().value() {
                    self.told = (TurnDetection::creates_response(vad), vad.interrupts_response());
                }
            }
            ClientEvent::ResponseCreate(_) => {
                self.asked.push(self.now);
                self.respond();
            }
            ClientEvent::ResponseCancel(_) => self.cancel(),
            ClientEvent::ConversationItemTruncate(cut) => {
                let played = self.player.played.get(&cut.item_id).copied().unwrap_or_default();
                let exact = AudioFormat::PCM16_24K.time_of(played).as_millis();
                assert_eq!(cut.audio_end_ms, exact, "{} is cut where it stood", cut.item_id);
                self.sends
                    .push((self.now, json!({"type": "conversation.item.truncated", "item_id": cut.item_id})));
            }
            _ => {}
        }
    }

    fn heard(&mut self, event: Event) {
        match event {
            Event::Audio(chunk) => self.player.queue.push_back(chunk),
            Event::HoldPlayback { id } => {
                self.player.held = true;
                let at = self.player.at();
                self.report(PlaybackReport::Held { id, at });
            }
            Event::ResumePlayback { .. } => self.player.held = false,
            Event::StopPlayback { id } => {
                self.player.held = false;
                self.player.queue.clear();
                self.player.into = 0;
                let at = self.player.at();
                self.report(PlaybackReport::Stopped { id, at });
            }
            Event::Warning(warning) => panic!("{warning:?}"),
            _ => {}
        }
    }

    /// The server makes a response: it begins 100 ms from now, and is whole 50 ms later.
    fn respond(&mut self) {
        assert_eq!(self.runs, None, "one response at a time");
        self.responses += 1;
        let (response, item) = (format!("r{}", self.responses), format!("i{}", self.responses));
        self.runs = Some(self.responses);
        let mut delta = String::new();
        let bytes = AudioFormat::PCM16_24K.bytes(MediaTime::from_millis(self.answer));
        Audio::from(vec![0; bytes as usize]).encode_into(&mut delta);
        let part =
            |kind: &str| json!({"type": kind, "response_id": response, "item_id": item, "content_index": 0});
        let mut audio = part("response.output_audio.delta");
        audio["delta"] = delta.into();
        let created = json!({"id": response, "conversation_id": "conv"});
        let done = json!({"id": response, "status": "completed"});
        self.sends.extend([
            (self.now + 100, json!({"type": "response.created", "response": created})),
            (self.now + 110, audio),
            (self.now + 140, part("response.output_audio.done")),
            (self.now + 150, json!({"type": "response.done", "response": done})),
        ]);
    }

    /// The server ends what it makes.
    fn cancel(&mut self) {
        if let Some(running) = self.runs.take() {
            let response = format!("r{running}");
            self.sends.retain(|(_, event)| {
                let id = event["response_id"].as_str().or_else(|| event["response"]["id"].as_str());
                id != Some(&response) || event["type"] == "response.created"
            });
            let done = json!({"id": response, "status": "cancelled", "conversation_id": "conv"});
            self.sends.push((self.now + 110, json!({"type": "response.done", "response": done})));
        }
    }

    /// Lets time pass.
    fn pass(&mut self, until: u64) {
        while self.now < until {
            self.now += TICK;
            if let Some(report) = self.player.play() {
                self.report(report);
            }
            while self.session.poll_timeout().is_some_and(|due| due <= self.at()) {
                self.session.handle_timeout(self.at());
                self.settle();
            }
            while let Some(index) = self.sends.iter().position(|(at, _)| *at <= self.now) {
                let (_, event) = self.sends.remove(index);
                if event["type"] == "response.done" {
                    self.runs = None;
                }
                self.text(event.clone());
                if let Some(delta) = event["delta"].as_str().filter(|_| !event["response_id"].is_null()) {
                    let bytes = Audio::from_base64(delta).bytes().expect("base64").len() as u64;
                    let id = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                    self.invariants.audio_sent(&id("response_id"), &id("item_id"), 0, bytes);
                }
            }
        }
    }
}

/// Returns whether a turn must count. `audible`: whether the assistant is audible, from now up to then.
fn must_count(policy: InterruptionPolicy, turn: &Turn, world: &mut World, index: usize) -> bool {
    let item = format!("u{index}");
    let began = world.now;
    let stopped = began + turn.speech + SILENCE;
    let transcribed = stopped + TRANSCRIBED;
    if !world.player.is_audible() {
        run_turn(turn, world, &item);
        return true;
    }
    let (due, needed) = match policy {
        InterruptionPolicy::After { speech, .. } => (began + speech.as_millis() as u64 + SILENCE, u32::MAX),
        InterruptionPolicy::AfterWords { words, within, .. } => (began + within.as_millis() as u64, words),
        _ => (began, 0),
    };
    let audible = run_turn(turn, world, &item);
    let is_audible = |at: u64| audible.get(&at).copied().unwrap_or(true);
    let waits_for_words = needed < u32::MAX;
    if due <= stopped {
        return true; // the user still speaks, and no word is known
    }
    if !is_audible(stopped) {
        return true;
    }
    if !waits_for_words {
        return false;
    }
    if transcribed < due { turn.words >= needed || !is_audible(transcribed) } else { !is_audible(due) }
}

/// The user takes a turn. Gives back when the assistant was audible meanwhile, and for a while after.
fn run_turn(turn: &Turn, world: &mut World, item: &str) -> BTreeMap<u64, bool> {
    let began = world.now;
    let stopped = began + turn.speech + SILENCE;
    let (answers, interrupts) = world.told;
    world.text(json!({"type": "input_audio_buffer.speech_started", "item_id": item}));
    if interrupts {
        world.cancel();
    }
    world.sends.push((stopped, json!({"type": "input_audio_buffer.speech_stopped", "item_id": item})));
    world.sends.push((stopped, json!({"type": "input_audio_buffer.committed", "item_id": item})));
    let words: String = (0..turn.words).map(|n| format!("word{n} ")).collect();
    let transcription = "conversation.item.input_audio_transcription";
    if turn.words > 0 {
        let delta = json!({"type": format!("{transcription}.delta"), "item_id": item, "delta": words});
        world.sends.push((stopped + TRANSCRIBED, delta));
    }
    let whole = json!({"type": format!("{transcription}.completed"), "item_id": item, "transcript": words});
    world.sends.push((stopped + TRANSCRIBED, whole));
    let mut audible = BTreeMap::new();
    while world.now < stopped + 2500 {
        world.pass(world.now + TICK);
        audible.insert(world.now, world.player.is_audible());
        if world.now == stopped && answers {
            world.respond();
        }
    }
    audible
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_counts_is_answered_once_and_nothing_else_is(
        policy in policy(), turns in turns(), is_beta in any::<bool>(),
    ) {
        let mut world = World::new(policy, if is_beta { Dialect::Beta } else { Dialect::Ga });
        for (index, turn) in turns.iter().enumerate() {
            world.answer = turn.answer;
            world.pass(world.now + turn.gap);
            world.asked.clear();
            let counts = must_count(policy, turn, &mut world, index);
            if policy == InterruptionPolicy::AtOnce {
                prop_assert_eq!(world.told, (true, true), "the server is told nothing");
                prop_assert!(world.asked.is_empty(), "the server answers by itself");
            } else {
                prop_assert_eq!(world.told, (false, false));
                prop_assert_eq!(world.asked.len(), usize::from(counts), "turn {} of {:?}", index, turns);
            }
        }
        let lost = DisconnectReason::Lost { reason: "the end".into() };
        world.session.handle_disconnected(world.at(), lost);
        world.settle();
        world.invariants.end();
    }
}
