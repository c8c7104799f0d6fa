//! Each message of a client, and what comes of it.

use realtime_protocol::id::CallId;
use serde_json::json;

use super::*;
use crate::chain::{Respond, UserInput};
use crate::media::ToolAnswer;
use crate::media::rtvi::ClientMessage;

fn one(bench: &mut Bench) -> FrameKind {
    let mut taken = bench.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

#[test]
fn audio_of_any_rate_and_form_is_heard() {
    let mut bench = Bench::open(|options| options);
    bench.receive(audio_of(&[0; 513], 16_000));
    let FrameKind::InputAudio(audio) = one(&mut bench) else { panic!("audio") };
    assert_eq!((audio.rate(), audio.frames()), (16_000, 256), "half a sample is none");
    let raw = json!({ "base64Audio": "AAAAAAAAAAA=", "sampleRate": 48_000, "numChannels": 2 });
    bench.ask("raw-audio", "1", raw);
    let FrameKind::InputAudio(audio) = one(&mut bench) else { panic!("audio") };
    assert_eq!((audio.rate(), audio.frames()), (48_000, 2));
    let batch = json!({ "base64AudioBatch": ["AAA=", "AAAA"], "sampleRate": 8_000, "numChannels": 1 });
    bench.ask("raw-audio-batch", "2", batch);
    assert_eq!(bench.names(), ["input_audio", "input_audio"]);
    assert_eq!(bench.refused(), []);
    bench.receive(audio_of(&[0; 4], 999));
    bench.ask("raw-audio", "3", json!({ "base64Audio": "AAA=", "sampleRate": 8_000, "numChannels": 0 }));
    bench.ask("raw-audio", "4", json!({ "base64Audio": "?", "sampleRate": 8_000, "numChannels": 1 }));
    let ids: Vec<String> = bench.refused().into_iter().map(|(id, _)| id).collect();
    assert_eq!((ids, bench.names()), (vec![String::new(), "3".into(), "4".into()], vec![]));
}

#[test]
fn what_is_typed_is_user_input_and_is_shown_with_its_id() {
    let mut bench = Bench::open(|options| options.user_id("u1"));
    bench.pass(1_500);
    for (options, expected) in [
        (json!(null), Respond::Yes),
        (json!({}), Respond::Yes),
        (json!({ "run_immediately": false }), Respond::No),
        (json!({ "run_immediately": true, "audio_response": false }), Respond::Written),
    ] {
        bench.ask("send-text", "067ed716", json!({ "content": "hi", "options": options }));
        let FrameKind::UserInput(UserInput::Text { text, respond }) = one(&mut bench) else { panic!("text") };
        assert_eq!((&*text, respond), ("hi", expected));
        let said = bench.said.pop().unwrap();
        let data = json!({ "text": "hi", "input_type": "chat", "timestamp": "2026-11-27T08:17:55.500000Z",
            "final": true, "user_id": "u1", "msg_id": "067ed716" });
        assert_eq!((&said["type"], &said["data"]), (&json!("user-input"), &data));
    }
    bench.ask("send-text", "1", json!({ "content": "" }));
    bench.ask("send-text", "2", json!({ "text": "hi" }));
    assert_eq!((bench.refused().len(), bench.names()), (2, vec![]));
}

#[test]
fn an_image_is_shown_and_other_files_are_refused() {
    let mut bench = Bench::open(|options| options);
    let file = |format: &str, source: Value| json!({ "content": "Look", "file": { "format": format, "name": "a", "source": source } });
    for (source, expected) in [
        (json!({ "type": "bytes", "bytes": "AA==" }), "data:image/png;base64,AA=="),
        (json!({ "type": "bytes", "bytes": "data:image/png;base64,AA==" }), "data:image/png;base64,AA=="),
        (json!({ "type": "url", "url": "https://example.com/a.png" }), "https://example.com/a.png"),
    ] {
        bench.ask("send-file", "1", file("image/png", source));
        let FrameKind::UserInput(UserInput::Image { url, text, respond }) = one(&mut bench) else { panic!() };
        assert_eq!((&*url, text.as_deref(), respond), (expected, Some("Look"), Respond::Yes));
    }
    bench.ask("send-file", "2", file("application/pdf", json!({ "type": "bytes", "bytes": "AA==" })));
    bench.ask("send-file", "3", file("image/png", json!({ "type": "url", "url": "file:///etc/passwd" })));
    bench.ask("send-file", "4", file("image/png", json!({ "type": "id", "id": "x" })));
    assert_eq!((bench.refused().len(), bench.names()), (3, vec![]));
}

#[test]
fn keys_are_those_of_a_phone() {
    let mut bench = Bench::open(|options| options);
    bench.ask("dtmf", "1", json!({ "buttons": ["1", "2", "#"] }));
    let FrameKind::InputDtmf(keys) = one(&mut bench) else { panic!("keys") };
    assert_eq!(keys.as_str(), "12#");
    bench.ask("dtmf", "2", json!({ "button": "*" }));
    assert_eq!(bench.names(), ["input_dtmf"]);
    bench.ask("dtmf", "3", json!({ "buttons": ["x"] }));
    assert_eq!(bench.refused().len(), 1);
}

#[test]
fn a_message_to_the_application_is_answered_by_it_or_by_the_clock() {
    let mut bench = Bench::open(|options| options.answer_within(secs(3)));
    bench.ask("client-message", "a", json!({ "t": "hello", "d": { "a": 1 } }));
    let FrameKind::InputMessage(message) = one(&mut bench) else { panic!("a message") };
    let asked = ClientMessage::read(&message).unwrap();
    bench.ask("client-message", "b", json!({ "t": "bye" }));
    bench.down(asked.answer(json!({ "echo": 1 })));
    let answer = bench.said.pop().unwrap();
    assert_eq!(
        answer,
        json!({ "label": "rtvi-ai", "type": "server-response", "id": "a", "data": { "t": "hello",
            "d": { "echo": 1 } } })
    );
    bench.pass(2_999);
    assert_eq!(bench.refused(), []);
    bench.pass(60_000);
    let late = ("b".to_owned(), "nobody has answered in time".to_owned());
    assert_eq!(bench.refused(), [late], "the other one is answered");
    bench.ask("client-message", "c", json!({ "d": 1 }));
    assert_eq!(bench.refused().len(), 1, "it has no type");
}

#[test]
fn messages_that_nobody_answers_are_bounded_or_not_told() {
    let mut bench = Bench::open(|options| options);
    for id in 0..65 {
        bench.ask("client-message", &id.to_string(), json!({ "t": "x" }));
    }
    let refused = bench.refused();
    assert_eq!((refused.len(), &*refused[0].0, bench.names().len()), (1, "64", 64));

    let mut patient = Bench::open(|options| options.answer_within(None));
    for id in 0..65 {
        patient.ask("client-message", &id.to_string(), json!({ "t": "x" }));
    }
    patient.pass(100_000);
    assert_eq!((patient.refused(), patient.names().len()), (vec![], 65));
}

#[test]
fn events_of_the_clients_interface_are_the_applications() {
    let mut bench = Bench::open(|options| options);
    bench.ask("ui-event", "1", json!({ "event": "click", "payload": 7 }));
    let FrameKind::InputMessage(message) = one(&mut bench) else { panic!("a message") };
    assert_eq!(message.body["type"], "ui-event");
    assert_eq!(message.body["data"], json!({ "event": "click", "payload": 7 }));
    bench.pass(60_000);
    assert_eq!(bench.refused(), [], "it wants no answer");
}

#[test]
fn the_result_of_a_function_is_taken_while_it_runs() {
    let mut bench = Bench::open(|options| options);
    let result = || json!({ "tool_call_id": "c", "function_name": "look", "arguments": {}, "result": 21 });
    bench.ask("llm-function-call-result", "1", result());
    assert_eq!(bench.refused().len(), 1);
    let started = realtime_protocol::call::Notice::FunctionStarted { call: super::call("c") };
    bench.event(Event::Notice(started));
    bench.news();
    bench.ask("llm-function-call-result", "2", result());
    let taken = one(&mut bench);
    let answer = taken.as_custom::<ToolAnswer>().unwrap();
    assert_eq!((&answer.call_id, &answer.result), (&CallId::from("c"), &json!(21)));
}

#[test]
fn the_client_may_end_the_run() {
    let mut bench = Bench::open(|options| options);
    bench.ask("disconnect-bot", "1", json!({}));
    assert_eq!((bench.names(), bench.refused()), (vec!["end"], vec![]));
}

#[test]
fn frames_beside_audio_and_messages_are_taken_if_they_mean_something() {
    let mut bench = Bench::open(|options| options);
    bench.receive(Bytes::from_static(b"\x0a\x04\x1a\x02hi"));
    let FrameKind::UserInput(UserInput::Text { text, .. }) = one(&mut bench) else { panic!("text") };
    assert_eq!((&*text, bench.types()), ("hi", vec!["user-input".to_owned()]));
    bench.receive(Bytes::from_static(b"\x2a\x00"));
    assert!(matches!(one(&mut bench), FrameKind::UserInput(UserInput::Stop)));
    bench.receive(Bytes::from_static(b"\x1a\x04\x1a\x02hi"));
    assert_eq!((bench.names(), bench.news()), (vec![], vec![]));
}

#[test]
fn what_is_not_understood_is_refused_and_mistakes_without_end_are_told_no_more() {
    let mut bench = Bench::open(|options| options);
    bench.ask("dance", "1", json!({}));
    bench.ask("append-to-context", "2", json!({}));
    bench.ask("send-text", "3", json!(7));
    let refused = bench.refused();
    assert_eq!((&*refused[0].0, &*refused[0].1), ("1", "Unsupported type dance"));
    assert_eq!(refused.len(), 3);
    for _ in 0..20 {
        bench.receive(Bytes::from_static(b"\xff"));
        bench.send("no JSON");
        bench.send(r#"{"label":"other","type":"x"}"#);
        bench.rtvi.handle_text(bench.now, "a text");
        bench.drain();
    }
    let refused = bench.refused();
    assert_eq!(refused.len(), 32);
    assert!(refused.last().unwrap().1.ends_with("more of such mistakes are not told"));
    assert_eq!(bench.rtvi.oddities().as_deref(), Some("messages that were not understood: 80"));
    bench.ask("dance", "4", json!({}));
    assert_eq!(bench.refused().len(), 1, "this one has an id");
}
