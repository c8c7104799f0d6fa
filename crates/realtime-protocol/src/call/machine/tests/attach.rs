//! A call that begins in a session in full swing.

use super::*;
use crate::call::{Event, FunctionOutput};
use crate::session::Begin;

fn attached(reconnect: Reconnect) -> Driven {
    let session = SessionOptions {
        begin: Begin::Attach,
        playback: PlaybackSource::Estimated,
        ..SessionOptions::default()
    };
    Driven { call: Call::new(CallOptions { session, reconnect }), now: 0 }
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
