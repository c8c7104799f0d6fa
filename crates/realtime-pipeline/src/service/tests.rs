//! The service's stage in a chain, without a session: a test says what the session tells.

use std::sync::Arc;

use realtime_client::Endpoint;
use realtime_context::Conversation;
use realtime_protocol::call::{
    Asked, AudioChunk, Command, CommandId, Event, FunctionCall, FunctionEnd, Interruption, Listeners, Media,
    Notice, Origin, Outcome, PlaybackReport, ResponseEnd, ResponseReport, StopId,
};
use realtime_protocol::event::{Dialect, ServerEvent};
use realtime_protocol::field::Field;
use realtime_protocol::session_config::{Modality, SessionConfig};
use realtime_protocol::time::{Timestamp, UnixTime};

use super::*;
use crate::chain::{
    Answer, Audio, BotSpeech, Category, Chain, Direction, Frame, FrameKind, Intent, Metric, NotAsked, Output,
    PhoneAction, PhoneAnswer, Processor, Respond, Samples, Shape, Stages, UserInput, UserSpeech,
};

/// Stands where the playout does.
struct NoPlayout;

impl Processor for NoPlayout {
    fn name(&self) -> &str {
        "playout"
    }

    fn shape(&self) -> Shape {
        Shape::playout()
    }
}

/// Words for what comes out of a chain.
struct Run {
    chain: Chain,
    commands: Vec<(CommandId, Command)>,
    answers: Vec<Answer>,
    faults: Vec<Category>,
    ended: bool,
}

impl Run {
    fn new(change: impl FnOnce(RealtimeService) -> RealtimeService) -> Self {
        let endpoint = Endpoint::new("ws://nowhere", "model").unwrap();
        let mut service = change(RealtimeService::new(endpoint));
        let chain = Chain::new(Stages::new().then(service.core()).then(NoPlayout)).unwrap();
        Self { chain, commands: vec![], answers: vec![], faults: vec![], ended: false }
    }

    fn manual() -> Self {
        let mut config = SessionConfig::realtime();
        config.input_mut().turn_detection = Field::Null;
        Self::new(|service| service.session(config))
    }

    fn down(&mut self, ms: u64, kind: FrameKind) -> Vec<String> {
        self.chain.handle_input(Timestamp::from_millis(ms), Direction::Downstream, kind);
        self.drain()
    }

    fn up(&mut self, ms: u64, kind: FrameKind) -> Vec<String> {
        self.chain.handle_input(Timestamp::from_millis(ms), Direction::Upstream, kind);
        self.drain()
    }

    fn event(&mut self, ms: u64, event: Event) -> Vec<String> {
        self.chain.handle_event(Timestamp::from_millis(ms), &Arc::new(event));
        self.drain()
    }

    fn ask(&mut self, ms: u64, intent: Intent) -> Vec<String> {
        self.chain.ask(Timestamp::from_millis(ms), intent);
        self.drain()
    }

    fn settle(&mut self, ms: u64, outcome: Outcome) -> Vec<String> {
        let (id, _) = self.commands.remove(0);
        self.event(ms, Event::Settled { id, outcome })
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(Direction::Downstream, frame) => lines.push(format!("↓{}", word(&frame))),
                Output::Frame(Direction::Upstream, frame) => lines.push(format!("↑{}", word(&frame))),
                Output::Command(id, command) => {
                    lines.push(format!("!{}", command.name()));
                    self.commands.push((id, command));
                }
                Output::Media(Media::Append(audio)) => lines.push(format!("!append {}", audio.len())),
                Output::Media(media) => lines.push(format!("!{}", media.name())),
                Output::Answer(_, answer) => self.answers.push(answer),
                Output::Fault(fault) => self.faults.push(fault.category),
                Output::Ended(_) => self.ended = true,
                _ => {}
            }
        }
        lines.retain(|line| line != "↓start");
        lines
    }
}

fn word(frame: &Frame) -> String {
    match frame.kind() {
        FrameKind::User(UserSpeech::Started { .. }) => "user started".into(),
        FrameKind::User(UserSpeech::Stopped { .. }) => "user stopped".into(),
        FrameKind::Metric(Metric::FirstByte { after, .. }) => format!("first byte {} ms", after.as_millis()),
        FrameKind::Metric(Metric::VoiceToVoice { after }) => {
            format!("voice to voice {} ms", after.as_millis())
        }
        FrameKind::Metric(Metric::Response { took, .. }) => format!("response {} ms", took.as_millis()),
        FrameKind::Metric(Metric::Function { took, .. }) => format!("function {} ms", took.as_millis()),
        kind => kind.name().into(),
    }
}

fn look() -> Arc<FunctionCall> {
    let text = r#"{"call_id":"call","item_id":null,"name":"look","arguments":"{}","key":"k"}"#;
    Arc::new(serde_json::from_str(text).unwrap())
}

fn speech(ms: usize) -> FrameKind {
    FrameKind::InputAudio(Audio::mono(24_000, vec![7; 24 * ms]))
}

fn started() -> FrameKind {
    FrameKind::User(UserSpeech::Started { item_id: None })
}

fn stopped() -> FrameKind {
    FrameKind::User(UserSpeech::Stopped { item_id: None })
}

fn response_started(id: &str) -> Event {
    Event::ResponseStarted {
        response_id: id.into(),
        origin: Origin::Client,
        out_of_band: false,
        metadata: Default::default(),
    }
}

fn finished(id: &str) -> Event {
    Event::ResponseFinished(Box::new(ResponseReport {
        response_id: id.into(),
        end: ResponseEnd::Completed,
        usage: None,
        totals: Default::default(),
        timeline: Default::default(),
        dropped_bytes: 0,
    }))
}

fn text(response: &str) -> Event {
    Event::Text {
        response_id: response.into(),
        item_id: "i".into(),
        content_index: 0,
        delta: "Hi".into(),
        spoken: true,
    }
}

fn chunk(out_of_band: bool) -> Event {
    Event::Audio(AudioChunk {
        response_id: "r".into(),
        item_id: "i".into(),
        content_index: 0,
        out_of_band,
        start: 480,
        mark: 3,
        format: realtime_protocol::audio::AudioFormat::PCM16_24K,
        audio: vec![0; 960].into(),
    })
}

#[test]
fn audio_goes_to_the_session_and_on_and_is_kept_from_it_while_input_is_paused() {
    let mut run = Run::new(|service| service.input_paused(true));
    assert_eq!(run.down(0, speech(20)), ["↓input_audio"]);
    assert_eq!(run.ask(5, Intent::PauseInput(false)), Vec::<String>::new());
    assert_eq!(run.answers, [Answer::Settled(Outcome::Done)]);
    assert_eq!(run.down(20, speech(20)), ["!append 960", "↓input_audio"]);
    run.ask(25, Intent::PauseInput(true));
    assert_eq!(run.down(40, speech(20)), ["↓input_audio"]);
}

#[test]
fn where_the_session_detects_no_turns_a_stage_begins_and_ends_them_once() {
    let mut run = Run::manual();
    assert_eq!(run.down(0, started()), ["!barge_in", "!begin_turn", "↓user started"]);
    assert_eq!(run.down(5, started()), ["↓user started"], "a turn runs already");
    assert_eq!(run.down(900, stopped()), ["!commit_audio", "↓user stopped"]);
    assert!(matches!(run.commands[1].1, Command::CommitAudio { respond: true }));
    assert_eq!(run.down(950, stopped()), ["↓user stopped"], "no turn runs");

    let mut server = Run::new(|service| service);
    assert_eq!(server.down(0, started()), ["↓user started"], "the session detects turns by itself");
}

#[test]
fn each_event_becomes_the_frames_of_the_table() {
    let mut run =
        Run::new(|service| service.clip("hold on", Samples::new(8_000, 1, vec![1; 800])).transcripts(false));
    assert_eq!(run.event(0, chunk(false)), ["↓output_audio"]);
    assert_eq!(run.event(0, chunk(true)), ["↓event"]);
    assert_eq!(run.event(0, text("r")), ["↓event"]);
    let done =
        Event::AudioDone { response_id: "r".into(), item_id: "i".into(), content_index: 0, total: 960 };
    assert_eq!(run.event(0, done), ["↓event", "↓output_finished"]);
    let speech = Event::SpeechStarted { item_id: None, at: None };
    assert_eq!(run.event(0, speech), ["↑event", "↑user started", "↓event", "↓user started"]);
    let transcript = Event::UserTranscriptDelta { item_id: "u".into(), content_index: 0, delta: "a".into() };
    assert_eq!(run.event(0, transcript), Vec::<String>::new(), "transcripts are not wanted");
    let stop = Event::StopPlayback { id: StopId(1) };
    assert_eq!(run.event(0, stop), ["↑interruption", "↓interruption"]);
    let interrupted = || Event::Interrupted(Interruption::default());
    assert_eq!(run.event(0, interrupted()), ["↑event", "↓event"]);
    let by_itself = ["↑interruption", "↑event", "↓interruption", "↓event"];
    assert_eq!(run.event(0, interrupted()), by_itself, "without a stop before it");
    let call = look();
    let filler =
        |clip: &str| Event::Notice(Notice::FunctionFiller { call: Arc::clone(&call), clip: clip.into() });
    let clip = ["↑event", "↓event", "↓output_audio", "↓output_finished"];
    assert_eq!(run.event(0, filler("hold on")), clip);
    run.event(0, filler("another"));
    assert_eq!(run.faults, [Category::Application], "there is no such clip");
    let report = FrameKind::Playback(PlaybackReport::Mark(3));
    assert_eq!(run.up(0, report), ["!report"]);
}

#[test]
fn output_audio_carries_every_member_of_its_event() {
    let mut run = Run::new(|service| service);
    run.chain.handle_event(Timestamp::ZERO, &Arc::new(chunk(false)));
    let audio = std::iter::from_fn(|| run.chain.poll_output()).find_map(|output| match output {
        Output::Frame(_, frame) => match frame.into_kind() {
            FrameKind::OutputAudio(audio) => Some(audio),
            _ => None,
        },
        _ => None,
    });
    let audio = audio.unwrap();
    assert_eq!(audio.response_id, Some("r".into()));
    assert_eq!((audio.start, audio.mark, audio.audio.frames()), (480, Some(3), 480));
}

#[test]
fn intents_become_commands_and_their_outcomes_answers() {
    let mut run = Run::new(|service| service);
    assert_eq!(run.ask(0, Intent::Say { text: "Hello".into() }), ["!create_response"]);
    let (_, Command::CreateResponse { params: Some(params), .. }) = &run.commands[0] else { panic!() };
    assert_eq!(params.words_to_say(), Some("Hello"));
    assert_eq!(run.ask(0, Intent::Interrupt), ["!interrupt"]);
    assert_eq!(run.ask(0, Intent::Retrieve { item_id: "i".into() }), ["!retrieve_item"]);
    assert_eq!(run.ask(0, Intent::Reset), ["!rotate"]);
    assert_eq!(run.ask(0, Intent::Settings(Box::default())), ["!update_config"]);
    for _ in 0..5 {
        run.settle(10, Outcome::TimedOut);
    }
    assert_eq!(run.answers, vec![Answer::Settled(Outcome::TimedOut); 5]);
    run.settle_unknown();
    assert_eq!(run.answers.len(), 5);
}

impl Run {
    fn settle_unknown(&mut self) {
        self.event(20, Event::Settled { id: CommandId(999), outcome: Outcome::Done });
    }
}

#[test]
fn an_answer_to_messages_is_asked_for_behind_them_without_waiting_for_the_servers_word() {
    let conversation = Conversation::new();
    let mut listeners = Listeners::default();
    listeners.add(Box::new(conversation.clone()));
    let wall = UnixTime::from_secs(1);
    listeners.hear(Timestamp::ZERO, wall, &Event::Created { session_id: None });
    let mut run = Run::new(|service| service.conversation(conversation.clone()));
    let messages = || vec![realtime_context::Message::user("Hi")];
    assert_eq!(run.ask(0, Intent::Append { messages: messages(), run: true }), Vec::<String>::new());
    assert_eq!(run.ask(0, Intent::Append { messages: messages(), run: false }), Vec::<String>::new());
    listeners.handle_timeout(Timestamp::ZERO);
    let asked: Vec<Asked> = std::iter::from_fn(|| listeners.poll_asked()).collect();
    assert_eq!(asked.len(), 1, "an item for both");
    let sent = || Event::Committed { item_id: "another".into() };
    assert_eq!(run.event(1, sent()), ["!create_response", "↑event", "↓event"]);
    assert!(run.answers.is_empty());
    for asked in asked {
        let Asked::Command(id, _) = asked else { panic!() };
        listeners.hear(Timestamp::ZERO, wall, &Event::Settled { id, outcome: Outcome::Done });
    }
    run.event(2, sent());
    assert_eq!(run.answers, [Answer::Settled(Outcome::Done)], "the server has the other one");
}

#[test]
fn what_the_user_types_interrupts_and_is_answered_and_a_refusal_is_told() {
    let conversation = Conversation::new();
    let mut run = Run::new(|service| service.conversation(conversation.clone()));
    let typed = |respond| {
        FrameKind::UserInput(UserInput::Text { text: "Hi".into(), respond: Respond::from(respond) })
    };
    assert_eq!(run.down(0, typed(true)), ["↓user_input", "!barge_in"]);
    assert_eq!(run.down(0, typed(false)), ["↓user_input"]);
    assert_eq!(run.down(0, FrameKind::UserInput(UserInput::Stop)), ["↓user_input", "!interrupt"]);
    let words: Vec<String> = conversation.messages().iter().map(realtime_context::Message::text).collect();
    assert_eq!(words, ["Hi", "Hi"]);
    run.settle(10, Outcome::Done);
    assert!(run.faults.is_empty());
    run.settle(10, Outcome::TimedOut);
    assert_eq!(run.faults, [Category::Application]);
    assert!(run.answers.is_empty(), "the application asked for nothing");
}

#[test]
fn an_image_is_shown_with_its_words_and_may_be_answered_in_writing() {
    let conversation = Conversation::new();
    let mut listeners = Listeners::default();
    listeners.add(Box::new(conversation.clone()));
    let wall = UnixTime::from_secs(1);
    listeners.hear(Timestamp::ZERO, wall, &Event::Created { session_id: None });
    let mut run = Run::new(|service| service.conversation(conversation.clone()));
    let (url, text) = ("data:image/png;base64,AA==".into(), Some("What is it?".into()));
    let shown = UserInput::Image { url, text, respond: Respond::Written };
    assert_eq!(run.down(0, FrameKind::UserInput(shown)), ["↓user_input", "!barge_in"]);
    listeners.handle_timeout(Timestamp::ZERO);
    assert!(matches!(listeners.poll_asked(), Some(Asked::Command(_, Command::CreateItem { .. }))));
    let other = Event::Committed { item_id: "another".into() };
    assert_eq!(run.event(1, other), ["!create_response", "↑event", "↓event"]);
    let Some((_, Command::CreateResponse { params: Some(params), .. })) = run.commands.pop() else {
        panic!("it asks for a written answer")
    };
    assert_eq!(params.output_modalities.value().map(Vec::as_slice), Some(&[Modality::Text][..]));
    assert_eq!(conversation.messages()[0].parts().len(), 2, "the image and its words");
}

#[test]
fn durations_are_told_when_they_are_known_also_behind_functions() {
    let mut run = Run::new(|service| service);
    run.event(1_000, Event::SpeechStopped { item_id: None, at: None });
    run.event(1_200, response_started("r1"));
    let told = run.event(1_350, text("r1"));
    assert_eq!(told[..2], ["↑first byte 350 ms", "↓first byte 350 ms"]);
    assert_eq!(run.event(1_400, text("r1")), ["↓event"], "there is one first byte");
    let heard = run.up(1_450, FrameKind::Bot(BotSpeech::Started));
    assert!(heard.contains(&"↓voice to voice 450 ms".into()), "{heard:?}");

    let call = look();
    run.event(2_000, Event::Notice(Notice::FunctionStarted { call: Arc::clone(&call) }));
    let end = FunctionEnd::Cancelled;
    let ended = run.event(2_300, Event::FunctionEnded { call, end });
    assert!(ended.contains(&"↓function 300 ms".into()), "{ended:?}");
    run.event(2_400, response_started("r2"));
    assert_eq!(run.event(2_500, text("r2"))[1], "↓first byte 200 ms");
}

#[test]
fn the_end_of_the_session_ends_the_run_and_a_bad_one_is_a_fault() {
    let mut run = Run::new(|service| service);
    run.event(0, Event::Closed { reason: realtime_protocol::call::CloseReason::Requested });
    assert!(run.ended && run.faults.is_empty());

    let mut run = Run::new(|service| service);
    run.event(0, response_started("r"));
    let reason = realtime_protocol::call::CloseReason::NotCreated;
    run.event(0, Event::Closed { reason });
    assert_eq!((run.ended, run.faults), (true, vec![Category::Unreachable]));
}

#[test]
fn a_call_that_goes_on_elsewhere_ends_its_run_here_and_is_no_fault() {
    let mut run = Run::new(|service| service);
    run.event(0, Event::Connection(realtime_protocol::call::ConnectionEvent::Suspended {}));
    assert!(run.ended && run.faults.is_empty());
}

#[test]
fn the_end_waits_for_what_is_being_said_and_asked() {
    let mut run = Run::new(|service| service);
    run.event(0, response_started("r"));
    run.ask(0, Intent::Interrupt);
    run.down(10, FrameKind::End { reason: "enough".into() });
    assert!(!run.ended);
    run.settle(20, Outcome::Done);
    assert!(!run.ended, "the response runs");
    run.event(30, finished("r"));
    assert!(run.ended);
}

#[test]
fn what_is_asked_of_the_phone_call_goes_to_the_transport_and_its_answer_comes_back_once() {
    let mut run = Run::new(|service| service);
    run.down(0, FrameKind::InputFinished);
    for direction in [Direction::Downstream, Direction::Upstream] {
        for (done, expected) in [
            (Ok(()), Answer::Settled(Outcome::Done)),
            (Err("no line".into()), Answer::Refused(NotAsked::Unable { reason: "no line".into() })),
        ] {
            let now = Timestamp::from_millis(10);
            let ticket = run.chain.ask(now, Intent::Phone(PhoneAction::HangUp));
            assert_eq!(run.drain(), ["↓phone_request"]);
            let answer = PhoneAnswer { ticket, done };
            for _ in 0..2 {
                run.chain.handle_input(now, direction, FrameKind::PhoneAnswer(answer.clone()));
                assert!(run.drain().is_empty(), "it ends at the service");
            }
            assert_eq!(std::mem::take(&mut run.answers), [expected]);
        }
    }

    // The end waits for it.
    let ticket = run.chain.ask(Timestamp::from_millis(20), Intent::Phone(PhoneAction::HangUp));
    run.down(20, FrameKind::End { reason: "over".into() });
    assert!(!run.ended);
    run.down(30, FrameKind::PhoneAnswer(PhoneAnswer { ticket, done: Ok(()) }));
    assert!(run.ended);
    assert_eq!(run.answers.len(), 1);
}

#[test]
fn a_key_on_the_model_s_own_line_is_told_to_all_stages() {
    let mut run = Run::new(|service| service);
    let text = r#"{"type":"input_audio_buffer.dtmf_event_received","event":"5","received_at":1}"#;
    let told = |text: &str| Event::Server(Arc::new(ServerEvent::decode(text, Dialect::Ga)));
    let frames = run.event(0, told(text));
    assert_eq!(frames.iter().filter(|frame| frame.contains("input_dtmf")).count(), 2, "{frames:?}");
    let frames = run.event(0, told(&text.replace('5', "five")));
    assert!(!frames.iter().any(|frame| frame.contains("input_dtmf")), "{frames:?}");
}
