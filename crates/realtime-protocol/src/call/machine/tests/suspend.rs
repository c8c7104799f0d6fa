//! A call moves to another process.

use super::*;
use crate::call::{FunctionOutput, Refusal, Suspended};

/// Suspends a call, writes it down and reads it, and goes on by another clock. Gives back what was told
/// before.
fn moved(call: &mut Driven) -> (Vec<String>, Driven) {
    let suspended = call.call.suspend(at(call.now));
    let told = call.drain();
    assert!(call.call.is_ended() && call.call.poll_timeout().is_none());
    let json = serde_json::to_string(&suspended).unwrap();
    let suspended: Suspended = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&suspended).unwrap(), json);
    let session = SessionOptions { playback: PlaybackSource::Estimated, ..SessionOptions::default() };
    let options = CallOptions { session, reconnect: reconnect() };
    (told, Driven { call: Call::resume(options, suspended), now: 500_000_000 })
}

#[test]
fn what_can_move_is_named_and_goes_on_and_the_rest_is_settled() {
    let mut call = Driven::ready(reconnect());
    let config = Box::new(SessionConfig::default().instructions("Sing."));
    call.command(1, Command::UpdateConfig { config }).unwrap();
    call.hear(0, json!({"type": "session.updated", "session": {}}));
    call.hear(0, json!({"type": "response.created", "response": {"id": "r"}}));
    call.create(2, Some("mine"), false);
    call.command(3, Command::RetrieveItem { item_id: "x".into() }).unwrap();
    call.command(4, Command::CreateResponse { params: None, protected: false }).unwrap();
    call.command(5, Command::Rotate { endpoint: None, urgent: false }).unwrap();
    call.drain();
    let (told, mut call) = moved(&mut call);
    assert_eq!(
        told,
        ["close 1", "close 0", "response_finished", "settled 3 closed", "settled 5 closed", "suspended"]
    );
    assert_eq!(call.drain(), ["connect 2 to 0"]);
    call.wait(100);
    call.open(2);
    let opened = call.outputs();
    assert_eq!(opened.iter().map(describe).collect::<Vec<_>>(), ["2> session.update", "seed 2 mine"]);
    assert!(texts(&opened).contains("Sing."));
    call.wait(50);
    call.seed(2, Seed::default());
    assert_eq!(
        call.drain(),
        [
            "created",
            "config_updated",
            "resumed gap 50 lost 0",
            "item_sent",
            "2> conversation.item.create",
            "2> response.create"
        ]
    );
}

#[test]
fn a_reply_that_something_else_knows_to_be_owed_is_asked_for() {
    for owed in [false, true] {
        let mut call = Driven::ready(reconnect());
        call.drain();
        let snapshot = call.call.snapshot();
        let snapshot = if owed { snapshot.owing() } else { snapshot };
        let options = CallOptions { session: SessionOptions::default().entropy(2), reconnect: reconnect() };
        let mut call = Driven { call: Call::resume(options, snapshot), now: 0 };
        assert_eq!(call.drain(), ["connect 1 to 0"]);
        call.open(1);
        call.seed(1, Seed::default());
        assert_eq!(call.drain().iter().any(|told| told == "1> response.create"), owed);
    }
}

#[test]
fn a_function_runs_once_wherever_its_output_comes() {
    for given_before in [true, false] {
        let mut call = Driven::ready(reconnect());
        let made = |conn: u32| {
            let item = json!({"type": "function_call", "id": format!("i{conn}"), "call_id": format!("c{conn}"),
                "name": "book", "arguments": "{}", "status": "completed"});
            let response = json!({"id": format!("r{conn}"), "status": "completed", "output": [item]});
            json!({"type": "response.done", "response": response})
        };
        let answer = |call: &mut Driven| {
            let output = FunctionOutput::Result(json!("booked"));
            call.command(1, Command::AnswerFunction { call_id: "c0".into(), output, respond: true }).unwrap();
        };
        call.hear(0, made(0));
        call.drain();
        if given_before {
            answer(&mut call);
        }
        let (told, mut next) = moved(&mut call);
        let end = if given_before { "settled 1 closed" } else { "function_ended detached" };
        assert!(told.contains(&end.to_string()), "{told:?}");
        next.open(1);
        next.seed(1, Seed::default());
        if !given_before {
            answer(&mut next);
        }
        next.wait(60_000);
        next.hear(1, json!({"type": "response.created", "response": {"id": "r1"}}));
        next.hear(1, made(1));
        let text = texts(&next.outputs());
        assert!(!text.contains("function_calls"), "{text}");
        assert!(text.contains("booked") && text.contains(r#""call_id":"c1""#), "{text}");
    }
}

#[test]
fn no_id_is_made_twice_however_often_a_call_moves() {
    let mut ids = alloc::collections::BTreeSet::new();
    let mut call = Driven::ready(reconnect());
    for conn in 1..5 {
        call.create(u64::from(conn), None, true);
        let text = texts(&call.outputs());
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            for id in [&line["event_id"], &line["item"]["id"]].into_iter().filter_map(Value::as_str) {
                assert!(ids.insert(id.to_string()), "{id}");
            }
        }
        (_, call) = moved(&mut call);
        call.open(conn);
        call.seed(conn, Seed::default());
    }
    assert!(ids.len() > 10);
}

#[test]
fn input_audio_that_waits_is_lost_and_told_and_a_turn_goes_on() {
    let mut call = Driven::ready(reconnect());
    call.cut(0, None, "");
    call.media(Media::BeginTurn);
    call.speak(300);
    call.drain();
    let (told, mut call) = moved(&mut call);
    assert_eq!(told, ["warning", "suspended"]);
    call.open(1);
    call.drain();
    call.speak(100);
    call.seed(1, Seed::default());
    assert_eq!(call.drain().last().map(String::as_str), Some("1> input_audio_buffer.append"));
}

#[test]
fn a_call_that_ends_is_not_resumed() {
    let mut call = Driven::ready(reconnect());
    call.create(1, None, false);
    call.command(2, Command::Close {}).unwrap();
    call.drain();
    let (told, mut call) = moved(&mut call);
    assert_eq!(told, ["settled 1 closed", "settled 2 done", "closed requested"]);
    assert!(call.drain().is_empty() && call.call.is_ended());
    assert_eq!(call.command(3, Command::Close {}).unwrap_err().reason, Refusal::Ended);
    let (told, call) = moved(&mut call);
    assert!(told.is_empty() && call.call.is_ended());
}

#[test]
fn one_of_a_later_version_is_refused_and_no_debug_shows_what_was_said() {
    let mut call = Driven::ready(reconnect());
    call.create(1, None, false);
    let suspended = call.call.suspend(at(0));
    let json = serde_json::to_string(&suspended).unwrap();
    assert!(json.contains("hello") && !format!("{suspended:?}").contains("hello"));
    let later = json.replace(r#""version":1"#, r#""version":2"#);
    let error = serde_json::from_str::<Suspended>(&later).unwrap_err().to_string();
    assert!(error.starts_with("expected version 1 to 1, got 2"), "{error}");
}
