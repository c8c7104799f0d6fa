//! Random sessions: whatever the server sends and the application asks, in whatever order, the invariants
//! hold.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_protocol::audio::Audio;
use realtime_protocol::call::{
    Command, CommandId, DisconnectReason, FunctionOutput, HoldId, Media, PlaybackPosition, PlaybackReport,
    StopId,
};
use realtime_protocol::item::Item;
use realtime_protocol::session::{
    Deadline, Deadlines, InterruptionPolicy, Output, OverduePolicy, PlaybackSource, Session, SessionOptions,
    Unheard,
};
use realtime_protocol::time::{Timestamp, UnixTime};
use realtime_tests::golden::drain;
use realtime_tests::invariants::Invariants;
use serde_json::{Value, json};

/// One thing that happens to a session.
#[derive(Clone, Debug)]
enum Transition {
    Server(Value),
    /// An error that names the latest client event.
    ErrorForLatest(&'static str),
    App(Command),
    Media(Media),
    Wait(u64),
}

/// Few ids, so that most events meet; and many, so that some come back once they are forgotten.
fn response() -> impl Strategy<Value = String> {
    prop_oneof![4 => 0_u32..4, 1 => 0_u32..24].prop_map(|n| format!("r{n}"))
}

/// A response, one of its items, and a part of that.
fn part() -> impl Strategy<Value = (String, String, u32)> {
    (response(), 0_u32..2, 0_u32..2).prop_map(|(response, n, part)| {
        let item = format!("{response}_i{n}");
        (response, item, part)
    })
}

fn item() -> impl Strategy<Value = String> {
    part().prop_map(|(_, item, _)| item)
}

fn server() -> impl Strategy<Value = Value> {
    let status = prop::sample::select(vec!["completed", "cancelled", "incomplete", "failed", "odd"]);
    let silence = |bytes: usize| {
        let mut text = String::new();
        realtime_protocol::audio::Audio::from(vec![0; bytes]).encode_into(&mut text);
        text
    };
    prop_oneof![
        2 => Just(json!({"type": "session.updated", "session": {}})),
        3 => Just(json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 10, "item_id": "u1"})),
        3 => Just(json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 20, "item_id": "u1"})),
        1 => Just(json!({"type": "input_audio_buffer.committed", "item_id": "u1"})),
        1 => Just(json!({"type": "input_audio_buffer.cleared"})),
        2 => prop::sample::select(vec!["mhm", "wait ", "a minute"]).prop_map(|delta| {
            json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "u1", "delta": delta})
        }),
        1 => Just(json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": "u1",
            "transcript": "mhm"})),
        2 => (response(), prop::sample::select(vec!["started", "stopped", "cleared"])).prop_map(|(id, what)| {
            json!({"type": format!("output_audio_buffer.{what}"), "response_id": id})
        }),
        1 => Just(json!({"type": "a.new.event", "x": [1, {"y": null}]})),
        1 => Just(json!({"type": "response.done"})),
        6 => (response(), any::<bool>()).prop_map(|(id, beside)| {
            let conversation = if beside { Value::Null } else { "conv".into() };
            json!({"type": "response.created", "response": {"id": id, "conversation_id": conversation}})
        }),
        6 => (response(), status, 0_usize..4, any::<bool>()).prop_map(|(id, status, calls, broken)| {
            let arguments = if broken { "{\"a\":" } else { "{}" };
            let calls: Vec<Value> = (0..calls)
                .map(|n| json!({"type": "function_call", "call_id": format!("{id}_c{n}"), "name": "f",
                    "arguments": arguments, "status": "completed"}))
                .collect();
            json!({"type": "response.done", "response": {"id": id, "status": status, "output": calls}})
        }),
        8 => (part(), 0_usize..4801).prop_map(move |((response, item, part), bytes)| {
            json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item,
                "content_index": part, "delta": silence(bytes)})
        }),
        3 => part().prop_map(|(response, item, part)| {
            json!({"type": "response.output_audio.done", "response_id": response, "item_id": item,
                "content_index": part})
        }),
        4 => part().prop_map(|(response, item, part)| {
            json!({"type": "response.output_audio_transcript.delta", "response_id": response, "item_id": item,
                "content_index": part, "delta": "wörds "})
        }),
        3 => item().prop_map(|id| json!({"type": "conversation.item.added",
            "item": {"type": "message", "id": id, "role": "assistant", "content": []}})),
        2 => item().prop_map(|id| json!({"type": "conversation.item.done",
            "item": {"type": "message", "id": id, "role": "assistant", "content": []}})),
        2 => item().prop_map(|id| json!({"type": "conversation.item.retrieved",
            "item": {"type": "message", "id": id, "role": "assistant", "content": []}})),
        1 => item().prop_map(|id| json!({"type": "conversation.item.deleted", "item_id": id})),
    ]
}

fn app() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => any::<bool>().prop_map(|protected| Command::CreateResponse { params: None, protected }),
        1 => any::<bool>().prop_map(|beside| {
            let params = json!(if beside { json!({"conversation": "none"}) } else { json!({"instructions": "x"}) });
            Command::CreateResponse { params: Some(serde_json::from_value(params).expect("parameters")), protected: false }
        }),
        2 => Just(Command::Interrupt {}),
        1 => Just(Command::CancelResponse { response_id: None }),
        2 => item().prop_map(|id| Command::RetrieveItem { item_id: id.into() }),
        1 => item().prop_map(|id| Command::DeleteItem { item_id: id.into() }),
        2 => any::<bool>().prop_map(|respond| {
            Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond }
        }),
        1 => any::<bool>().prop_map(|respond| Command::CommitAudio { respond }),
        1 => Just(Command::ClearAudio {}),
        1 => Just(Command::UpdateConfig { config: Box::default() }),
        4 => (response(), 0_usize..4, any::<bool>()).prop_map(|(response, n, respond)| Command::AnswerFunction {
            call_id: format!("{response}_c{n}").into(), output: FunctionOutput::Result(Value::Null), respond,
        }),
    ]
}

fn media() -> impl Strategy<Value = Media> {
    let position = || {
        (part(), 0_u64..7200).prop_map(|((_, item, part), played)| PlaybackPosition {
            item_id: item.into(),
            content_index: part,
            played,
        })
    };
    prop_oneof![
        1 => Just(Media::Append(vec![0; 960].into())),
        4 => position().prop_map(|at| Media::Report(PlaybackReport::Played(at))),
        3 => (prop::option::of(position()), 1_u64..4)
            .prop_map(|(at, id)| Media::Report(PlaybackReport::Stopped { id: StopId(id), at })),
        2 => (prop::option::of(position()), 1_u64..4)
            .prop_map(|(at, id)| Media::Report(PlaybackReport::Held { id: HoldId(id), at })),
    ]
}

fn transition() -> impl Strategy<Value = Transition> {
    prop_oneof![
        10 => server().prop_map(Transition::Server),
        1 => prop::sample::select(vec!["conversation_already_has_active_response", "invalid_value", ""])
            .prop_map(Transition::ErrorForLatest),
        5 => app().prop_map(Transition::App),
        2 => media().prop_map(Transition::Media),
        3 => (1_u64..4000).prop_map(Transition::Wait),
    ]
}

fn options() -> impl Strategy<Value = SessionOptions> {
    let playback = prop::sample::select(vec![
        PlaybackSource::Reported,
        PlaybackSource::Estimated,
        PlaybackSource::Server,
    ]);
    let second = Duration::from_secs(1);
    let policy = prop::sample::select(vec![
        InterruptionPolicy::AtOnce,
        InterruptionPolicy::AtOnce,
        InterruptionPolicy::after(second),
        InterruptionPolicy::after(Duration::ZERO).holding(),
        InterruptionPolicy::after_words(2, second).holding(),
    ]);
    (playback, policy, any::<bool>(), any::<bool>()).prop_map(|(playback, interruption, delete, hurried)| {
        SessionOptions::default()
            .playback(playback)
            .interruption(interruption)
            .unheard(if delete { Unheard::Delete } else { Unheard::Truncate })
            .deadlines(if hurried { SHORT } else { NEVER })
    })
}

/// How a run deviates from the plain one; none of it may change the outputs.
#[derive(Clone, Copy, Default)]
struct Variation {
    /// Timeouts that were not asked for.
    spurious_timeouts: bool,
    /// Unknown members in every event.
    unknown_members: bool,
    /// Outputs are drained once, at the end.
    late_drain: bool,
}

/// Runs a session from connect to disconnect under all invariants, and gives back its outputs. The server
/// opens it after some of the transitions.
fn run(
    options: &SessionOptions,
    opened_after: usize,
    transitions: &[Transition],
    variation: Variation,
) -> Vec<Output> {
    let mut session = Session::new(options.clone());
    let mut invariants = if variation.late_drain { Invariants::late() } else { Invariants::default() };
    let mut outputs = Vec::new();
    let mut latest = None;
    let mut now = 0;
    let mut seen = |session: &mut Session, invariants: &mut Invariants, latest: &mut Option<_>| {
        if variation.late_drain && !session.is_closed() {
            return;
        }
        for output in drain(session) {
            invariants.output(&output);
            if let Output::Send(event) = &output
                && let Some(id) = event.event_id()
            {
                *latest = Some(id.clone());
            }
            outputs.push(output);
        }
    };
    session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
    for (index, transition) in transitions.iter().enumerate() {
        if index == opened_after {
            let at = Timestamp::from_millis(now);
            session.handle_text(at, r#"{"type":"session.created","session":{"id":"s"}}"#);
        }
        seen(&mut session, &mut invariants, &mut latest);
        now += 1;
        let at = Timestamp::from_millis(now);
        if variation.spurious_timeouts {
            session.handle_timeout(Timestamp::from_millis(now - 1));
            seen(&mut session, &mut invariants, &mut latest);
        }
        while let Some(due) = session.poll_timeout().filter(|due| *due <= at) {
            session.handle_timeout(due);
            seen(&mut session, &mut invariants, &mut latest);
        }
        match transition {
            Transition::Server(event) => {
                let mut event = event.clone();
                if variation.unknown_members {
                    event["brand_new"] = json!({"type": "response.done", "item_id": [1]});
                }
                session.handle_text(at, &event.to_string());
                seen(&mut session, &mut invariants, &mut latest);
                if event["type"] == "response.output_audio.delta" {
                    let audio = Audio::from_base64(event["delta"].as_str().expect("base64"));
                    invariants.audio_sent(
                        event["response_id"].as_str().expect("an id"),
                        event["item_id"].as_str().expect("an id"),
                        event["content_index"].as_u64().expect("a number") as u32,
                        audio.bytes().expect("base64").len() as u64,
                    );
                }
            }
            Transition::ErrorForLatest(code) => {
                if let Some(id) = latest.take() {
                    invariants.refused(&id);
                    let error = json!({"type": "error", "error": {"code": code, "event_id": id}});
                    session.handle_text(at, &error.to_string());
                }
            }
            Transition::App(command) => {
                let id = CommandId(index as u64);
                if session.handle_command(at, id, command.clone()).is_ok() {
                    invariants.command(id);
                }
            }
            Transition::Media(media) => drop(session.handle_media(at, media.clone())),
            Transition::Wait(ms) => {
                let until = now + ms;
                while let Some(due) =
                    session.poll_timeout().filter(|due| *due <= Timestamp::from_millis(until))
                {
                    session.handle_timeout(due);
                    seen(&mut session, &mut invariants, &mut latest);
                }
                now = until;
            }
        }
        seen(&mut session, &mut invariants, &mut latest);
        if !variation.late_drain {
            invariants.state(&session);
        }
    }
    session.handle_disconnected(Timestamp::from_millis(now), DisconnectReason::Lost { reason: "cut".into() });
    seen(&mut session, &mut invariants, &mut latest);
    invariants.end();
    invariants.state(&session);
    assert_eq!(session.poll_timeout(), None);
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_in_any_order(
        options in options(), opened in opened(), transitions in vec(transition(), 0..80),
    ) {
        run(&options, opened, &transitions, Variation::default());
    }

    #[test]
    fn spurious_timeouts_change_nothing(
        options in options(), opened in opened(), transitions in vec(transition(), 0..60),
    ) {
        let plain = run(&options, opened, &transitions, Variation::default());
        let varied = Variation { spurious_timeouts: true, ..Variation::default() };
        let varied = run(&options, opened, &transitions, varied);
        for (plain, varied) in plain.iter().zip(&varied) {
            prop_assert_eq!(plain, varied);
        }
        prop_assert_eq!(plain.len(), varied.len());
    }

    #[test]
    fn draining_late_changes_nothing(
        options in options(), opened in opened(), mut transitions in vec(transition(), 0..60),
    ) {
        // An error that names the latest event can only be made by someone who has seen that event.
        transitions.retain(|transition| !matches!(transition, Transition::ErrorForLatest(_)));
        let plain = run(&options, opened, &transitions, Variation::default());
        let varied = Variation { late_drain: true, ..Variation::default() };
        prop_assert_eq!(plain, run(&options, opened, &transitions, varied));
    }

    #[test]
    fn unknown_members_change_nothing(
        options in options(), opened in opened(), transitions in vec(transition(), 0..60),
    ) {
        let plain = run(&options, opened, &transitions, Variation::default());
        let varied = Variation { unknown_members: true, ..Variation::default() };
        let varied = run(&options, opened, &transitions, varied);
        prop_assert_eq!(plain.len(), varied.len());
        for (plain, varied) in plain.iter().zip(&varied) {
            // Events that carry a wire object carry its unknown members too.
            prop_assert_eq!(kind(plain), kind(varied));
        }
    }
}

/// Most servers speak first; some are slow.
fn opened() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => 0_usize..12]
}

fn kind(output: &Output) -> String {
    match output {
        Output::Send(event) => event.kind().into(),
        Output::Event(event) => {
            let event = serde_json::to_value(event).expect("call events are JSON");
            event.as_object().and_then(|event| event.keys().next().cloned()).unwrap_or_default()
        }
        Output::Close => "close".into(),
    }
}

/// Deadlines that no run reaches.
const NEVER: Deadlines = Deadlines::all(Deadline::new(Duration::from_secs(36_000), OverduePolicy::Report));

/// Deadlines that many runs reach.
const SHORT: Deadlines = Deadlines::all(Deadline::new(Duration::from_millis(500), OverduePolicy::Report));
