//! The session on its own: bookkeeping that no golden session shows well.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::item::Item;
use crate::time::MediaTime;

/// A session in use, and everything that came out of it, in words.
struct Bench {
    session: Session,
    now: u64,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { session: Session::new(SessionOptions::default()), now: 0, next: 0 };
        bench.session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
        bench
    }

    fn ready() -> Self {
        let mut bench = Self::new();
        bench.server(json!({"type": "session.created", "session": {"id": "sess_1"}}));
        bench.server(json!({"type": "session.updated", "session": {}}));
        bench
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn server(&mut self, event: Value) -> Vec<String> {
        self.now += 1;
        self.session.handle_text(self.at(), &event.to_string());
        self.drain()
    }

    fn app(&mut self, command: Command) -> Vec<String> {
        self.now += 1;
        self.next += 1;
        self.session.handle_command(self.at(), CommandId(self.next), command).unwrap();
        self.drain()
    }

    fn later(&mut self, ms: u64) -> Vec<String> {
        self.now += ms;
        self.session.handle_timeout(self.at());
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.session.poll_output()).map(|output| words(&output)).collect()
    }
}

/// The one function that looks into outputs.
fn words(output: &Output) -> String {
    match output {
        Output::Send(event) => format!("> {}", event.kind()),
        Output::Close => "> close".into(),
        Output::Event(SessionEvent::Settled { id, outcome }) => {
            let outcome = serde_json::to_value(outcome).unwrap();
            let name = outcome.as_str().map_or_else(
                || outcome.as_object().unwrap().keys().next().unwrap().clone(),
                ToString::to_string,
            );
            format!("{} {name}", id.0)
        }
        Output::Event(event) => {
            let event = serde_json::to_value(event).unwrap();
            event
                .as_str()
                .map_or_else(|| event.as_object().unwrap().keys().next().unwrap().clone(), Into::into)
        }
    }
}

fn created(id: &str) -> Value {
    json!({"type": "response.created", "response": {"id": id, "conversation_id": "conv"}})
}

fn done(id: &str, status: &str) -> Value {
    json!({"type": "response.done", "response": {"id": id, "status": status, "conversation_id": "conv"}})
}

fn audio_delta(response: &str, item: &str, ms: u64) -> Value {
    let bytes = crate::audio::AudioFormat::PCM16_24K.bytes(MediaTime::from_millis(ms)) as usize;
    let mut delta = String::new();
    crate::audio::Audio::from(Bytes::from(alloc::vec![1; bytes])).encode_into(&mut delta);
    json!({"type": "response.output_audio.delta", "response_id": response, "item_id": item, "delta": delta})
}

#[test]
fn what_is_asked_before_ready_goes_out_in_order_once_it_is() {
    let mut bench = Bench::new();
    assert!(bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 960]).into() }).is_empty());
    assert!(
        bench
            .app(Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: true })
            .is_empty()
    );
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty());
    assert_eq!(
        bench.server(json!({"type": "session.created", "session": {}})),
        ["created", "> session.update"]
    );
    assert_eq!(
        bench.server(json!({"type": "session.updated", "session": {}})),
        ["ready", "> input_audio_buffer.append", "> conversation.item.create", "> response.create"]
    );
}

#[test]
fn requests_merge_while_a_response_runs_and_every_waiter_is_answered() {
    let mut bench = Bench::ready();
    assert_eq!(bench.app(Command::CreateResponse { params: None }), ["> response.create"]);
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty());
    bench.server(created("r1"));
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty());
    assert_eq!(
        bench.server(done("r1", "completed")),
        ["response_finished", "1 responded", "> response.create"]
    );
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "2 responded", "3 responded"]);
}

#[test]
fn a_refused_create_goes_back_to_waiting() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateResponse { params: None });
    let refused = json!({"type": "error", "error": {
        "code": "conversation_already_has_active_response", "event_id": "evt_0_2"}});
    assert_eq!(bench.server(refused), ["server_error"]);
    bench.server(created("theirs"));
    assert_eq!(bench.server(done("theirs", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn the_servers_own_response_serves_what_waited_since_before_the_turn() {
    let mut bench = Bench::ready();
    bench.server(json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0}));
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty());
    bench.server(json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900}));
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty(), "one more, after the turn");
    bench.server(created("r1"));
    assert_eq!(
        bench.server(done("r1", "completed")),
        ["response_finished", "1 responded", "> response.create"]
    );
}

#[test]
fn a_request_goes_out_when_the_servers_own_response_does_not_come() {
    let mut bench = Bench::ready();
    bench.server(json!({"type": "input_audio_buffer.speech_started"}));
    bench.app(Command::CreateResponse { params: None });
    bench.server(json!({"type": "input_audio_buffer.speech_stopped"}));
    assert!(bench.later(2_000).is_empty());
    assert_eq!(bench.later(1_000), ["> response.create"]);
}

#[test]
fn a_barge_in_is_a_handshake_with_playback() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    assert_eq!(
        bench.server(json!({"type": "input_audio_buffer.speech_started"})),
        ["speech_started", "stop_playback"]
    );
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty(), "late audio is dropped");
    let at =
        PlaybackPosition { item_id: "i1".into(), content_index: 0, played: MediaTime::from_micros(400_999) };
    let outputs = bench.app(Command::ReportPlayback { report: PlaybackReport::Stopped { at: Some(at) } });
    assert_eq!(outputs, ["> conversation.item.truncate", "interrupted"]);
    assert!(bench.later(500).is_empty());
}

#[test]
fn a_barge_in_without_an_answer_counts_the_last_report_as_an_estimate() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    let at = PlaybackPosition { item_id: "i1".into(), content_index: 0, played: MediaTime::from_millis(300) };
    bench.app(Command::ReportPlayback { report: PlaybackReport::Played(at) });
    bench.server(json!({"type": "input_audio_buffer.speech_started"}));
    bench.session.handle_timeout(bench.at() + bench.session.options.stop_deadline);
    let outputs: Vec<Output> = core::iter::from_fn(|| bench.session.poll_output()).collect();
    let [
        Output::Send(ClientEvent::ConversationItemTruncate(truncate)),
        Output::Event(SessionEvent::Interrupted(cut)),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(truncate.audio_end_ms, 300);
    assert!(cut.parts[0].estimated);
}

#[test]
fn several_items_are_cut_where_playback_stood() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    for item in ["i1", "i2", "i3"] {
        bench.server(audio_delta("r1", item, 500));
        bench.server(json!({"type": "response.output_audio.done", "response_id": "r1", "item_id": item}));
    }
    bench.server(done("r1", "completed"));
    bench.server(json!({"type": "input_audio_buffer.speech_started"}));
    let at = PlaybackPosition { item_id: "i2".into(), content_index: 0, played: MediaTime::from_millis(200) };
    let id = CommandId(99);
    let report = PlaybackReport::Stopped { at: Some(at) };
    bench.session.handle_command(bench.at(), id, Command::ReportPlayback { report }).unwrap();
    let cuts: Vec<(String, u64)> = core::iter::from_fn(|| bench.session.poll_output())
        .filter_map(|output| match output {
            Output::Send(ClientEvent::ConversationItemTruncate(cut)) => {
                Some((cut.item_id.to_string(), cut.audio_end_ms))
            }
            _ => None,
        })
        .collect();
    assert_eq!(cuts, [("i2".into(), 200), ("i3".into(), 0)]);
}

#[test]
fn nothing_is_said_to_the_server_when_all_was_heard_or_nothing_runs() {
    let mut bench = Bench::ready();
    assert_eq!(bench.app(Command::Interrupt), ["1 done"]);
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(done("r1", "completed"));
    let at = PlaybackPosition { item_id: "i1".into(), content_index: 0, played: MediaTime::from_millis(500) };
    bench.app(Command::ReportPlayback { report: PlaybackReport::Played(at) });
    assert_eq!(bench.server(json!({"type": "input_audio_buffer.speech_started"})), ["speech_started"]);
}

#[test]
fn calls_surface_when_their_response_is_done_and_lead_to_one_response() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "id": format!("item_{id}"), "call_id": id, "name": "f", "arguments": arguments});
    let item_done =
        json!({"type": "response.output_item.done", "response_id": "r1", "item": call("c1", "{}")});
    assert!(bench.server(item_done).is_empty());
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([call("c1", "{}"), call("c2", ""), call("c3", "{\"city\": \"Par")]);
    assert_eq!(
        bench.server(event),
        ["response_finished", "> conversation.item.create", "call_ended", "function_calls"]
    );
    let complete = |id: &str, output| Command::CompleteCall { call_id: id.into(), output, respond: true };
    assert_eq!(
        bench.app(complete("c2", CallOutput::Result(Value::Null))),
        ["> conversation.item.create", "call_ended"]
    );
    assert_eq!(
        bench.app(complete("c1", CallOutput::TimedOut)),
        ["> conversation.item.create", "call_ended", "> response.create"]
    );
    let again = bench.session.handle_command(bench.at(), CommandId(9), complete("c1", CallOutput::Cancelled));
    assert_eq!(again.unwrap_err().reason, Refusal::UnknownCall { call_id: "c1".into() });
}

#[test]
fn calls_of_a_response_that_did_not_complete_never_run() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut event = done("r1", "cancelled");
    event["response"]["output"] = json!([
        {"type": "function_call", "call_id": "whole", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call", "call_id": "half", "name": "f", "arguments": "{\"a", "status": "incomplete"}]);
    assert_eq!(bench.server(event), ["response_finished", "> conversation.item.create", "call_ended"]);
}

#[test]
fn one_retrieval_is_in_flight_per_item_and_all_waiters_are_answered() {
    let mut bench = Bench::ready();
    let retrieve = |id: &str| Command::RetrieveItem { item_id: id.into() };
    assert_eq!(bench.app(retrieve("i1")), ["> conversation.item.retrieve"]);
    assert!(bench.app(retrieve("i1")).is_empty());
    assert_eq!(bench.app(retrieve("i2")), ["> conversation.item.retrieve"]);
    let item = json!({"type": "message", "id": "i1", "role": "user", "content": []});
    assert_eq!(
        bench.server(json!({"type": "conversation.item.retrieved", "item": item})),
        ["1 retrieved", "2 retrieved"]
    );
    let error = json!({"code": "item_retrieve_invalid_item_id", "event_id": "rci_i2"});
    assert_eq!(bench.server(json!({"type": "error", "error": error})), ["3 refused", "server_error"]);
    assert!(
        bench
            .server(json!({"type": "conversation.item.retrieved", "item": {"type": "message", "id": "x"}}))
            .is_empty()
    );
}

#[test]
fn the_end_answers_everyone_in_the_same_step() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateResponse { params: None });
    bench.server(created("r1"));
    bench.app(Command::CreateResponse { params: None });
    bench.app(Command::RetrieveItem { item_id: "i".into() });
    bench.app(Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: false });
    bench.session.handle_disconnected(bench.at(), DisconnectReason::Lost { reason: "gone".into() });
    assert_eq!(
        bench.drain(),
        ["response_finished", "1 responded", "2 closed", "3 closed", "4 closed", "closed"]
    );
    let error = bench.session.handle_command(bench.at(), CommandId(9), Command::Interrupt).unwrap_err();
    assert_eq!((error.reason, *error.command), (Refusal::Ended, Command::Interrupt));
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn a_short_commit_is_refused_and_sends_nothing() {
    let mut options = SessionOptions::default();
    options.config.input_mut().turn_detection = Field::Null;
    let mut bench = Bench { session: Session::new(options), now: 0, next: 0 };
    bench.session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
    bench.server(json!({"type": "session.created", "session": {}}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 40 * 48]).into() });
    let error = bench
        .session
        .handle_command(bench.at(), CommandId(9), Command::CommitAudio { respond: true })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot commit_audio: expected at least 100 ms of audio in the input buffer, got 40 ms"
    );
    assert!(bench.drain().is_empty());
    bench.app(Command::AppendAudio { audio: Bytes::from_static(&[0; 60 * 48]).into() });
    assert_eq!(
        bench.app(Command::CommitAudio { respond: true }),
        ["> input_audio_buffer.commit", "> response.create"]
    );
}

#[test]
fn errors_end_what_they_name_and_nothing_else() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateItem { item: Item::user_text("a").into(), after: None, respond: false });
    bench.app(Command::CreateItem { item: Item::user_text("b").into(), after: None, respond: false });
    let error = json!({"type": "error", "error": {"code": "invalid_value", "event_id": "evt_0_3"}});
    assert_eq!(bench.server(error), ["2 refused", "server_error"]);
    assert_eq!(bench.server(json!({"type": "error", "error": "a bare string"})), ["warning", "server_error"]);
    let error = json!({"type": "error", "error": {"code": "session_expired"}});
    assert_eq!(bench.server(error), ["server_error", "> close"]);
    assert!(bench.server(created("r1")).is_empty(), "nothing counts behind the end");
    bench.session.handle_disconnected(bench.at(), DisconnectReason::Closed { code: None, reason: "".into() });
    assert_eq!(bench.drain(), ["1 closed", "closed"]);
}

#[test]
fn a_malformed_end_still_ends_the_response() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateResponse { params: None });
    bench.server(created("r1"));
    assert_eq!(
        bench.server(json!({"type": "response.done", "response": 7})),
        ["warning", "response_finished", "1 responded"]
    );
}

#[test]
fn a_state_at_rest_is_small() {
    assert!(size_of::<Session>() < 8 * 1024, "{}", size_of::<Session>());
}

fn config(json: &str) -> SessionConfig {
    serde_json::from_str(json).unwrap()
}

/// The client events that came out, as JSON.
fn sent(bench: &mut Bench) -> Vec<Value> {
    core::iter::from_fn(|| bench.session.poll_output())
        .filter_map(|output| match output {
            Output::Send(event) => Some(serde_json::to_value(event).unwrap()),
            _ => None,
        })
        .collect()
}

#[test]
fn one_refused_member_is_left_out_and_the_rest_sent_again_once() {
    let options = SessionOptions {
        config: config(r#"{"type":"realtime","instructions":"x","reasoning":{"effort":"low"}}"#),
        ..SessionOptions::default()
    };
    let mut bench = Bench { session: Session::new(options), now: 0, next: 0 };
    bench.session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
    bench.server(json!({"type": "session.created", "session": {}}));
    let refused = |event_id| {
        json!({"type": "error", "error": {"code": "unknown_parameter", "param": "session.reasoning",
            "message": "no", "event_id": event_id}})
    };
    bench.now += 1;
    bench.session.handle_text(bench.at(), &refused("evt_0_1").to_string());
    let again = sent(&mut bench);
    assert_eq!(again[0]["session"], json!({"type": "realtime", "instructions": "x"}));
    assert_eq!(bench.server(refused("evt_0_2")), ["> close", "server_error"], "and no third time");
}

#[test]
fn what_the_server_made_of_the_configuration_is_compared_with_what_was_asked() {
    let mut bench = Bench::new();
    bench.session.options.config = config(r#"{"type":"realtime","audio":{"output":{"voice":"marin"}}}"#);
    bench.server(json!({"type": "session.created", "session": {}}));
    let echo = json!({"type": "session.updated", "session": {"audio": {"output": {"voice": "alloy"}}}});
    assert_eq!(bench.server(echo), ["warning", "ready"]);
}

#[test]
fn members_that_are_locked_are_not_sent() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 20));
    let voice = config(r#"{"model":"other","audio":{"output":{"voice":"cedar"}}}"#);
    assert_eq!(bench.app(Command::UpdateConfig { config: voice.into() }), ["warning", "warning", "1 done"]);
    let mixed = config(r#"{"instructions":"y","audio":{"output":{"voice":"cedar"}}}"#);
    bench
        .session
        .handle_command(bench.at(), CommandId(7), Command::UpdateConfig { config: mixed.into() })
        .unwrap();
    assert_eq!(sent(&mut bench)[0]["session"], json!({"type": "realtime", "instructions": "y"}));
}

#[test]
fn the_age_limit_is_announced_ahead() {
    let mut bench = Bench::new();
    // Whatever the server's clock says, no session lives for more than an hour.
    bench.server(json!({"type": "session.created", "session": {"expires_at": 1_000_000}}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    assert!(bench.later(54 * 60_000).is_empty());
    assert_eq!(bench.later(60_000), ["expiring"]);
    assert!(bench.later(600_000).is_empty());
}

#[test]
fn a_response_that_comes_after_its_deadline_is_cancelled_and_silent() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateResponse { params: None });
    assert_eq!(bench.later(10_000), ["overdue", "1 timed_out"]);
    assert!(bench.app(Command::CreateResponse { params: None }).is_empty(), "the late one may still come");
    assert_eq!(bench.server(created("late")), ["response_started", "warning", "> response.cancel"]);
    assert!(bench.server(audio_delta("late", "i1", 100)).is_empty());
    assert_eq!(bench.server(done("late", "cancelled")), ["response_finished", "> response.create"]);
}

#[test]
fn an_answer_that_never_comes_asks_for_rotation_only_where_it_used_to_come() {
    let mut bench = Bench::ready();
    let rotate = |bench: &mut Bench, ms| {
        bench.now += ms;
        bench.session.handle_timeout(bench.at());
        core::iter::from_fn(|| bench.session.poll_output())
            .find_map(|output| match output {
                Output::Event(SessionEvent::Overdue { rotate, .. }) => Some(rotate),
                _ => None,
            })
            .unwrap()
    };
    let item = || Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: false };
    bench.app(item());
    assert!(!rotate(&mut bench, 10_000), "this server may never send it");
    bench.app(item());
    let id = format!("item_0_{}", bench.session.sent);
    bench.server(json!({"type": "conversation.item.added", "item": {"type": "message", "id": id}}));
    bench.app(item());
    assert!(rotate(&mut bench, 10_000), "it did before");
}

#[test]
fn an_endless_response_is_cancelled_at_its_budget() {
    let mut bench = Bench::ready();
    bench.session.options.longest_response = Duration::from_millis(250);
    bench.server(created("r1"));
    assert_eq!(bench.server(audio_delta("r1", "i1", 200)), ["audio"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 200)), ["warning", "> response.cancel"]);
    assert!(bench.server(audio_delta("r1", "i1", 200)).is_empty());
}

#[test]
fn push_to_talk_begins_with_the_pre_roll_and_sends_no_sample_twice() {
    let mut options =
        SessionOptions { pre_roll: Some(Duration::from_millis(40)), ..SessionOptions::default() };
    options.config.input_mut().turn_detection = Field::Null;
    let mut bench = Bench { session: Session::new(options), now: 0, next: 0 };
    bench.session.handle_connected(Timestamp::ZERO, UnixTime::from_secs(1));
    bench.server(json!({"type": "session.created", "session": {}}));
    bench.server(json!({"type": "session.updated", "session": {}}));
    let audio = |value: u8| Command::AppendAudio { audio: Bytes::from(alloc::vec![value; 960]).into() };
    for value in 1..=5 {
        assert!(bench.app(audio(value)).is_empty(), "nobody speaks");
    }
    let mut out = Vec::new();
    for command in
        [Command::BeginTurn, audio(6), audio(7), audio(8), Command::CommitAudio { respond: false }, audio(9)]
    {
        bench.next += 1;
        bench.session.handle_command(bench.at(), CommandId(bench.next), command).unwrap();
        out.extend(sent(&mut bench));
    }
    let first_bytes: Vec<u8> = out
        .iter()
        .filter_map(|event| event["audio"].as_str())
        .map(|text| crate::audio::Audio::from_base64(text).bytes().unwrap()[0])
        .collect();
    assert_eq!(first_bytes, [4, 5, 6, 7, 8], "40 ms from before, then the turn, and nothing after it");
}

#[test]
fn an_early_call_surfaces_while_its_response_runs_and_only_once() {
    let mut bench = Bench::ready();
    bench.session.options.early_calls.insert("f".into());
    bench.server(created("r1"));
    let call = json!({"type": "function_call", "id": "i", "call_id": "c1", "name": "f", "arguments": "{}"});
    let item_done = json!({"type": "response.output_item.done", "response_id": "r1", "item": call});
    assert_eq!(bench.server(item_done), ["function_calls"]);
    let complete =
        Command::CompleteCall { call_id: "c1".into(), output: CallOutput::Result(json!({})), respond: true };
    assert_eq!(bench.app(complete), ["> conversation.item.create", "call_ended"]);
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([call]);
    assert_eq!(bench.server(event), ["response_finished", "> response.create"]);
}

#[test]
fn a_call_that_only_its_arguments_event_tells_of_runs_too() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench
        .server(json!({"type": "response.function_call_arguments.done", "response_id": "r1", "item_id": "i",
        "call_id": "c1", "name": "f", "arguments": "{}"}));
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "function_calls"]);
}

#[test]
fn the_follow_up_keeps_to_its_policy() {
    for (policy, spoke, expected) in [
        (FollowUp::Always, true, true),
        (FollowUp::IfSilent, true, false),
        (FollowUp::IfSilent, false, true),
        (FollowUp::Never, false, false),
    ] {
        let mut bench = Bench::ready();
        bench.session.options.follow_up = policy;
        bench.server(created("r1"));
        if spoke {
            bench.server(json!({"type": "response.output_audio_transcript.delta", "response_id": "r1",
                "item_id": "i0", "delta": "One moment."}));
        }
        let mut event = done("r1", "completed");
        event["response"]["output"] =
            json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}]);
        bench.server(event);
        let output = CallOutput::Result(Value::Null);
        let outputs = bench.app(Command::CompleteCall { call_id: "c1".into(), output, respond: true });
        assert_eq!(outputs.contains(&"> response.create".into()), expected, "{policy:?}, spoke: {spoke}");
    }
}

#[test]
fn playback_may_be_reported_in_marks_or_bytes() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut marks = Vec::new();
    for _ in 0..5 {
        bench.now += 1;
        bench.session.handle_text(bench.at(), &audio_delta("r1", "i1", 100).to_string());
        marks.extend(core::iter::from_fn(|| bench.session.poll_output()).filter_map(|output| match output {
            Output::Event(SessionEvent::Audio(chunk)) => Some(chunk.mark),
            _ => None,
        }));
    }
    bench.app(Command::ReportPlayback { report: PlaybackReport::Mark(marks[1]) });
    bench.server(json!({"type": "input_audio_buffer.speech_started"}));
    let bytes = PlaybackReport::PlayedBytes { item_id: "i1".into(), content_index: 0, bytes: 250 * 48 };
    bench.app(Command::ReportPlayback { report: bytes });
    let report = PlaybackReport::Stopped { at: None };
    bench.session.handle_command(bench.at(), CommandId(99), Command::ReportPlayback { report }).unwrap();
    assert_eq!(sent(&mut bench)[0]["audio_end_ms"], 250);
}

#[test]
fn ten_thousand_interrupted_turns_leave_nothing_behind() {
    let mut bench = Bench::ready();
    for turn in 0..10_000 {
        let (response, item) = (format!("r{turn}"), format!("i{turn}"));
        bench.server(json!({"type": "conversation.item.added", "item": {"type": "message", "id": item}}));
        bench.server(created(&response));
        bench.server(audio_delta(&response, &item, 20));
        bench.server(json!({"type": "input_audio_buffer.speech_started"}));
        bench.server(audio_delta(&response, &item, 20));
        bench.app(Command::ReportPlayback { report: PlaybackReport::Stopped { at: None } });
        bench.server(json!({"type": "conversation.item.truncated", "item_id": item}));
        bench.server(json!({"type": "conversation.item.done", "item": {"type": "message", "id": item}}));
        bench.server(done(&response, "cancelled"));
        bench.server(json!({"type": "input_audio_buffer.speech_stopped"}));
    }
    let size = format!("{:?}", bench.session).len();
    assert!(size < 20_000, "the state takes {size} characters to tell");
}
