//! A call that begins in a session in full swing.

use super::*;
use crate::call::{Event, FunctionCall, FunctionOutput, Suspended};
use crate::session::Begin;

fn attaching(entropy: u64) -> SessionOptions {
    SessionOptions {
        begin: Begin::Attach,
        playback: PlaybackSource::Estimated,
        entropy,
        ..SessionOptions::default()
    }
}

fn attached(reconnect: Reconnect) -> Driven {
    Driven { call: Call::new(CallOptions { session: attaching(0), reconnect }), now: 0 }
}

/// The process is lost. Another one goes on with what was known at the snapshot.
fn adopted(snapshot: &Suspended) -> Driven {
    let json = serde_json::to_string(snapshot).unwrap();
    Driven { call: Call::resume(attaching(7), serde_json::from_str(&json).unwrap()), now: 500_000_000 }
}

fn attach(call: &mut Driven, conn: u32) {
    call.call.handle_connected(at(call.now), ConnectionId(conn), UnixTime::from_secs(1_000_000));
    let config = json!({"id": "sess", "type": "realtime", "instructions": "Be brief.",
        "audio": {"input": {"format": {"type": "audio/pcmu"}}}});
    call.hear(conn, json!({"type": "session.created", "session": config}));
}

#[test]
fn it_is_ready_at_once_with_what_the_session_is_and_sends_nothing() {
    let mut call = attached(Reconnect::none());
    let config = Box::new(SessionConfig::default().instructions("Sing."));
    call.command(1, Command::UpdateConfig { config }).unwrap();
    attach(&mut call, 0);
    let outputs = call.outputs();
    let kinds: Vec<String> = outputs.iter().map(describe).collect();
    assert_eq!(kinds, ["connect 0 to 0", "created", "ready", "0> session.update"], "and only what was asked");
    let Output::Event(Event::Ready { config, .. }) = &outputs[2] else { panic!("{kinds:?}") };
    assert_eq!(config.instructions.value().map(String::as_str), Some("Be brief."));
    assert_eq!(config.input_format(), AudioFormat::Pcmu);
    assert!(texts(&outputs).contains(r#""type":"realtime""#));
    call.hear(0, json!({"type": "session.updated", "session": {}}));
    assert_eq!(call.drain(), ["settled 1 updated", "config_updated"]);
    call.create(2, None, true);
    assert_eq!(call.drain(), ["item_sent", "0> conversation.item.create", "0> response.create"]);
}

fn a_call(conn: u32) -> Value {
    let item = json!({"type": "function_call", "id": "i", "call_id": "c", "name": "book", "arguments": "{}",
        "status": "completed"});
    json!({"type": "response.done", "response": {"id": format!("r{conn}"), "status": "completed", "output": [item]}})
}

fn answer() -> Command {
    Command::AnswerFunction {
        call_id: "c".into(),
        output: FunctionOutput::Result(json!("booked")),
        respond: true,
    }
}

#[test]
fn after_a_loss_it_attaches_again_and_answers_the_calls_of_the_same_conversation() {
    for given_in_the_gap in [true, false] {
        let mut call = attached(reconnect());
        attach(&mut call, 0);
        call.hear(0, a_call(0));
        call.create(1, None, false);
        call.drain();
        call.cut(0, None, "");
        assert_eq!(
            call.drain(),
            ["function_ended detached", "settled 1 closed", "lost transient retry Some(1000)"]
        );
        call.create(2, None, false);
        if given_in_the_gap {
            call.command(3, answer()).unwrap();
        }
        call.wait(1000);
        attach(&mut call, 1);
        if !given_in_the_gap {
            call.command(3, answer()).unwrap();
        }
        let outputs = call.outputs();
        let text = texts(&outputs);
        assert!(!text.contains("seed") && !text.contains("session.update"), "{text}");
        assert_eq!(text.matches("booked").count(), 1, "{text}");
        assert_eq!(text.matches(r#""type":"response.create""#).count(), 1, "{text}");
        assert_eq!(text.matches("hello").count(), 1, "what was sent may have arrived: {text}");
        call.hear(1, a_call(1));
        assert!(!call.drain().contains(&"function_calls".to_string()), "it was told already");
    }
}

#[test]
fn an_output_that_may_have_arrived_is_not_given_twice() {
    let mut call = attached(reconnect());
    attach(&mut call, 0);
    call.hear(0, a_call(0));
    call.command(3, answer()).unwrap();
    call.cut(0, None, "");
    call.wait(1000);
    call.drain();
    attach(&mut call, 1);
    assert!(!texts(&call.outputs()).contains("booked"));
}

#[test]
fn a_snapshot_changes_nothing_and_who_goes_on_with_it_answers_the_functions_of_the_conversation() {
    let mut call = attached(Reconnect::none());
    attach(&mut call, 0);
    call.hear(0, a_call(0));
    call.create(1, Some("mine"), false);
    call.drain();
    let snapshot = call.call.snapshot();
    assert!(call.drain().is_empty() && !call.call.is_ended());
    assert_eq!(snapshot.waiters().count(), 0, "whoever asked is lost, too");

    let mut next = adopted(&snapshot);
    assert_eq!(next.drain(), ["connect 1 to 0"]);
    attach(&mut next, 1);
    next.command(3, answer()).unwrap();
    let text = texts(&next.outputs());
    assert!(text.contains("booked") && text.contains(r#""call_id":"c""#), "{text}");
    assert!(!text.contains("hello") && !text.contains("session.update"), "{text}");
    call.command(2, answer()).unwrap();
    let id = |text: &str| {
        let sent = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
        sent["event_id"].clone()
    };
    assert_ne!(id(&texts(&call.outputs())), id(&text), "each owner makes ids of its own");
}

#[test]
fn an_output_that_a_snapshot_knows_is_not_given_again_unless_a_journal_says_so() {
    let mut call = attached(Reconnect::none());
    attach(&mut call, 0);
    call.hear(0, a_call(0));
    call.command(1, answer()).unwrap();
    let snapshot = call.call.snapshot();
    assert_eq!(snapshot.functions().count(), 0);
    let mut next = adopted(&snapshot);
    attach(&mut next, 1);
    assert!(!texts(&next.outputs()).contains("booked"));

    let known = FunctionCall {
        call_id: "c".into(),
        item_id: None,
        name: "book".into(),
        arguments: "{}".into(),
        key: "key".into(),
    };
    let mut next = adopted(&snapshot.with_functions([known]));
    attach(&mut next, 1);
    next.command(3, answer()).unwrap();
    assert!(texts(&next.outputs()).contains("booked"));
}

#[test]
fn a_snapshot_of_a_call_that_has_just_begun_is_one_to_go_on_with() {
    let mut next = adopted(&Call::new(attaching(0)).snapshot());
    assert_eq!(next.drain(), ["connect 1 to 0"]);
    attach(&mut next, 1);
    assert_eq!(next.drain(), ["created", "ready", "resumed gap 0 lost 0"]);
}
