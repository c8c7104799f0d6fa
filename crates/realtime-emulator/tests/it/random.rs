//! Whatever a client does, in whatever order: nothing panics, and every bracket is closed.

use std::collections::BTreeMap;

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::{AudioSource, Brain, Ending, Reply, Step, Turn};
use realtime_protocol::event::{ClientEvent, Dialect, ServerEvent};
use realtime_protocol::response::StatusReason;
use serde_json::{Value, json};

use crate::driver::{Driver, as_json, base64};

/// Xorshift: the same numbers in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Answers at random, oddly now and then.
struct Whim(Dice);

impl Brain for Whim {
    fn reply(&mut self, _turn: &Turn<'_>) -> Reply {
        let mut reply = Reply::default();
        for _ in 0..self.0.roll(4) {
            reply = reply.then(match self.0.roll(6) {
                0 => Step::Text("Some words.".into()),
                1 => Step::Call { name: "f".into(), arguments: r#"{"a": 1}"#.into() },
                2 => Step::Say { transcript: String::new(), audio: AudioSource::Tones },
                3 => Step::Say { transcript: "No sound".into(), audio: AudioSource::Pcm(Vec::new()) },
                4 => Step::Say { transcript: "Short".into(), audio: AudioSource::Pcm(vec![7; 3001]) },
                _ => Step::Say { transcript: "A few words to say.".into(), audio: AudioSource::Tones },
            });
        }
        reply.ending(match self.0.roll(6) {
            0 => Ending::Incomplete(StatusReason::ContentFilter),
            1 => Ending::Failed { code: "server_error".into(), message: String::new() },
            _ => Ending::Completed,
        })
    }
}

/// What a client may do next, with ids that exist and ids that do not.
fn next(dice: &mut Dice, items: &[Value], calls: &[Value]) -> Value {
    let pick = |dice: &mut Dice, ids: &[Value]| match ids.len() as u64 {
        0 => json!("nobody"),
        count => ids[dice.roll(count) as usize].clone(),
    };
    let id = pick(dice, items);
    let call = pick(dice, calls);
    let message =
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]});
    let loud = base64(&[0x00, 0x20, 0x00, 0xe0].repeat(1200));
    match dice.roll(20) {
        0..=3 => json!({"type": "input_audio_buffer.append", "audio": loud}),
        4..=6 => json!({"type": "input_audio_buffer.append", "audio": base64(&[0; 9600])}),
        7 => json!({"type": "input_audio_buffer.commit"}),
        8 => json!({"type": "input_audio_buffer.clear"}),
        9 => json!({"type": "conversation.item.create", "item": message, "previous_item_id": id}),
        10 => json!({"type": "conversation.item.create", "item": message}),
        11 => json!({"type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": call, "output": "{}"}}),
        12 => json!({"type": "conversation.item.retrieve", "item_id": id}),
        13 => json!({"type": "conversation.item.delete", "item_id": id}),
        14 => json!({"type": "conversation.item.truncate", "item_id": id, "content_index": dice.roll(2),
            "audio_end_ms": dice.roll(2000)}),
        15 | 16 => json!({"type": "response.create"}),
        17 => {
            json!({"type": "response.create", "response": {"conversation": "none", "max_output_tokens": 1 + dice.roll(40),
            "input": [{"type": "item_reference", "id": id}]}})
        }
        18 => json!({"type": "response.cancel"}),
        _ => {
            let formats = ["audio/pcm", "audio/pcmu", "audio/pcma"];
            let detection = [
                json!(null),
                json!({"type": "server_vad", "silence_duration_ms": 100}),
                json!({"type": "semantic_vad"}),
            ];
            json!({"type": "session.update", "session": {"type": "realtime", "audio": {
                "input": {"format": {"type": formats[dice.roll(3) as usize]},
                    "transcription": {"model": "whisper-1"}, "turn_detection": detection[dice.roll(3) as usize]},
                "output": {"format": {"type": formats[dice.roll(3) as usize]}}}}})
        }
    }
}

/// Brackets that an event opens (1) or closes (-1), by what they are about.
fn brackets(event: &ServerEvent) -> Option<(&'static str, Value, i32)> {
    let json = as_json(event);
    let item = json["item"]["id"].clone();
    match event.kind() {
        "response.created" => Some(("response", json["response"]["id"].clone(), 1)),
        "response.done" => Some(("response", json["response"]["id"].clone(), -1)),
        "response.output_item.added" => Some(("output", item, 1)),
        "response.output_item.done" => Some(("output", item, -1)),
        "conversation.item.added" => Some(("item", item, 1)),
        "conversation.item.done" => Some(("item", item, -1)),
        "response.content_part.added" => Some(("part", json["item_id"].clone(), 1)),
        "response.content_part.done" => Some(("part", json["item_id"].clone(), -1)),
        "input_audio_buffer.committed" => Some(("committed", json["item_id"].clone(), 0)),
        _ => None,
    }
}

#[test]
fn every_bracket_is_closed_whatever_the_client_does() {
    let runs = (1..=8).map(|seed| (seed, Dialect::Ga)).chain((9..=11).map(|seed| (seed, Dialect::Beta)));
    for (seed, dialect) in runs {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let options = ConnectionOptions { seed, dialect, ..ConnectionOptions::default() };
        let mut driver = Driver::with(options, Whim(Dice(seed)));
        let (mut open, mut items, mut calls) = (BTreeMap::new(), Vec::new(), Vec::new());
        for step in 0..400 {
            if step < 399 {
                let event = next(&mut dice, &items, &calls).to_string();
                driver.send_text(&ClientEvent::decode(&event, Dialect::Ga).encode(dialect));
                driver.run(dice.roll(150));
            } else {
                driver.send(&json!({"type": "input_audio_buffer.clear"}));
                driver.run(60_000);
            }
            for event in driver.take() {
                let json = as_json(&event);
                if event.kind() == "conversation.item.added" {
                    items.push(json["item"]["id"].clone());
                }
                if let Some(call) = json["item"].get("call_id") {
                    calls.push(call.clone());
                }
                if let Some(id) = json.get("response_id") {
                    let key = ("response", id.to_string());
                    assert_eq!(open.get(&key), Some(&1), "{json} outside of its response");
                }
                // Beta tells of an item once.
                let brackets =
                    brackets(&event).filter(|(what, ..)| *what != "item" || dialect == Dialect::Ga);
                if let Some((what, id, change)) = brackets {
                    let count = open.entry((what, id.to_string())).or_insert(0);
                    *count += change;
                    assert!((0..=1).contains(count), "{dialect:?}, seed {seed}, step {step}: {what} {json}");
                }
            }
        }
        let left: Vec<_> = open.iter().filter(|(_, count)| **count != 0).collect();
        assert!(left.is_empty(), "{dialect:?}, seed {seed}: {left:?}");
    }
}
