//! A session that the published client held with another server: what it sent is taken, and what it was sent
//! has the shapes of ours.

use serde::Deserialize;

use super::*;
use crate::chain::{BotSpeech, UserSpeech};
use crate::media::rtvi::ClientMessage;

const SESSION: &str = include_str!("../../../../tests/fixtures/rtvi/wire.jsonl");

#[derive(Deserialize)]
struct Line {
    from: String,
    message: Option<Value>,
    audio: Option<Sizes>,
}

#[derive(Deserialize)]
struct Sizes {
    bytes: usize,
    sample_rate: u32,
}

fn lines() -> Vec<Line> {
    SESSION.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names and kinds of members, without their values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "bool".into(),
        other => other.clone(),
    }
}

#[test]
fn what_the_published_client_sends_is_taken_and_answered() {
    let mut bench = Bench::new(|options| options);
    for line in lines().into_iter().filter(|line| line.from == "client") {
        if let Some(sizes) = line.audio {
            bench.receive(audio_of(&vec![0; sizes.bytes], sizes.sample_rate));
        }
        let Some(message) = line.message else { continue };
        bench.send(&message.to_string());
        match message["type"].as_str().unwrap() {
            "client-ready" => bench.down(FrameKind::Start),
            "client-message" => {
                let Some(FrameKind::InputMessage(asked)) = bench.inputs.last().cloned() else { panic!() };
                bench.down(ClientMessage::read(&asked).unwrap().answer(json!({ "echo": { "a": 1 } })));
            }
            _ => {}
        }
    }
    assert_eq!(bench.types(), ["bot-ready", "server-response", "user-input"]);
    let audio = ["input_audio"; 3];
    assert_eq!(bench.names(), [&["peer"][..], &audio, &["input_message", "user_input"]].concat());
}

#[test]
fn what_the_published_client_was_sent_has_the_shapes_of_ours() {
    let mut bench = Bench::new(|options| options);
    bench.ask("client-ready", "1", json!({ "version": "2.1.0" }));
    bench.down(FrameKind::Start);
    bench.ask("client-message", "2", json!({ "t": "hello", "d": { "a": 1 } }));
    let Some(FrameKind::InputMessage(asked)) = bench.inputs.last().cloned() else { panic!() };
    bench.down(ClientMessage::read(&asked).unwrap().answer(json!({ "echo": { "a": 1 } })));
    bench.ask("send-text", "3", json!({ "content": "hi" }));
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    bench.down(FrameKind::User(UserSpeech::Started { item_id: None }));
    bench.down(FrameKind::Bot(BotSpeech::Started));
    bench.play("one", 0, 40);
    bench.finished("one");
    let ours: Vec<Value> = bench.said.iter().map(shape).collect();
    let mut compared = 0;
    for theirs in lines().into_iter().filter(|line| line.from == "server").filter_map(|line| line.message) {
        let kind = &theirs["type"];
        let place = bench.said.iter().position(|said| said["type"] == *kind);
        let mut ours = ours[place.unwrap_or_else(|| panic!("we say no {kind}"))].clone();
        if *kind == json!("user-input") {
            // They leave out what is not known.
            ours["data"].as_object_mut().unwrap().remove("user_id");
        }
        assert_eq!(ours, shape(&theirs), "{kind}");
        compared += 1;
    }
    assert_eq!(compared, 7);
}
