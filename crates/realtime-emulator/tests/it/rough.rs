//! Any disasters at once: nothing panics or hangs, and what only reorders keeps the protocol's order.

use std::collections::BTreeSet;
use std::time::Duration;

use realtime_emulator::brain::Parrot;
use realtime_emulator::disaster::{Disaster, Line, LineOptions, LineOutput};
use realtime_emulator::{Connection, ConnectionOptions, voice};
use realtime_protocol::event::Dialect;
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use crate::driver::base64;
use crate::random::Dice;

/// A conversation by voice and in writing over a line with these disasters: all texts, and the end.
fn converse(disasters: &[Value], seed: u64, dialect: Dialect) -> (Vec<String>, Option<LineOutput>) {
    let wall = UnixTime::from_secs(1_800_000_000);
    let options = ConnectionOptions { seed, dialect, ..ConnectionOptions::default() };
    let connection = Connection::new(options, Box::new(Parrot::new()), Timestamp::ZERO, wall);
    let disasters = disasters.iter().map(|value| Disaster::parse(value, "d").unwrap()).collect();
    let mut line =
        Line::new(connection, LineOptions { disasters, seed, ..LineOptions::default() }, Timestamp::ZERO);
    let (mut now, mut texts, mut end) = (Timestamp::ZERO, Vec::new(), None);
    let mut pcm = voice::speak("Good morning.").pcm();
    pcm.resize(pcm.len() + 48 * 600, 0);
    let update = match dialect {
        Dialect::Beta => json!({"input_audio_transcription": {"model": "m"}}),
        _ => json!({"type": "realtime", "audio": {"input": {"transcription": {"model": "m"}}}}),
    };
    let mut events = vec![json!({"type": "session.update", "session": update})];
    for _ in 0..3 {
        let audio = pcm
            .chunks(9600)
            .map(|frame| json!({"type": "input_audio_buffer.append", "audio": base64(frame)}));
        events.extend(audio);
        events.push(json!({"type": "response.create", "response": {"conversation": "none"}}));
    }
    for (index, event) in events.iter().enumerate() {
        let text = event.to_string();
        if line.wants_input() {
            line.handle_text(now, &text);
        }
        // The last wait is long enough for whatever was held back.
        let until = now + Duration::from_millis(if index + 1 == events.len() { 100_000 } else { 150 });
        loop {
            while let Some(output) = line.poll_output() {
                assert_eq!(end, None, "nothing follows the end");
                match output {
                    LineOutput::Text(text) | LineOutput::Binary(text) => texts.push(text),
                    over => end = Some(over),
                }
            }
            let Some(at) = line.poll_timeout().filter(|at| *at <= until) else { break };
            now = at.max(now);
            line.handle_timeout(now);
        }
        now = until;
    }
    (texts, end)
}

/// Any disaster that JSON can ask for.
fn any(dice: &mut Dice) -> Value {
    let kinds = [
        "*",
        "response.*",
        "response.created",
        "response.output_audio.delta",
        "response.done",
        "conversation.item.*",
        "session.updated",
        "rate_limits.updated",
        "input_audio_buffer.*",
    ];
    let mut disaster = match dice.roll(26) {
        0 => json!({"do": "delay", "ms": dice.roll(500), "jitter_ms": dice.roll(500)}),
        1 => json!({"do": "stall"}),
        2 => json!({"do": "cut", "code": 1000 + dice.roll(4000)}),
        3 => json!({"do": "break"}),
        4 => json!({"do": "drop"}),
        5 => json!({"do": "duplicate", "times": 1 + dice.roll(3)}),
        6 => json!({"do": "reorder", "by": 1 + dice.roll(9)}),
        7 => json!({"do": "hold", "ms": dice.roll(3000)}),
        8 => json!({"do": "hold", "until": "response.done"}),
        9 => json!({"do": "unknown_event"}),
        10 => json!({"do": "unknown_members"}),
        11 => json!({"do": "malformed"}),
        12 => json!({"do": "bad_base64"}),
        13 => json!({"do": "odd_audio"}),
        14 => json!({"do": "format", "format": "audio/pcma"}),
        15 => json!({"do": "error", "code": "server_error"}),
        16 => json!({"do": "usage_null"}),
        17 => json!({"do": "fail_transcription"}),
        18 => json!({"do": "expire"}),
        19 => json!({"do": "binary"}),
        20 => json!({"do": "repeat", "ms": 1 + dice.roll(500), "fresh": ["/event_id", "/response/id"]}),
        21 => json!({"do": "same_id", "of": "/item/id"}),
        22 => json!({"do": "edit", "convert": {"/**": "half_emoji"}, "raw": {"/item/id": "NaN"}}),
        23 => {
            json!({"do": "edit", "remove": ["/response/output/*"], "set": {"/x": [1]}, "convert": {"/**": "float"}})
        }
        24 => json!({"do": "dtmf", "event": "1"}),
        _ => json!({"do": "slow_reader", "bytes_per_second": 1000 + dice.roll(100_000)}),
    };
    disaster["at"] = kinds[dice.roll(kinds.len() as u64) as usize].into();
    match dice.roll(4) {
        0 => disaster["nth"] = (1 + dice.roll(30)).into(),
        1 => disaster["every"] = (1 + dice.roll(5)).into(),
        2 => disaster["chance"] = 0.2.into(),
        _ => disaster["after_ms"] = dice.roll(3000).into(),
    }
    disaster
}

#[test]
fn any_disasters_at_once_neither_panic_nor_hang_and_repeat() {
    let mut dice = Dice::new(7);
    for seed in 0..12 {
        let disasters: Vec<_> = (0..=dice.roll(6)).map(|_| any(&mut dice)).collect();
        let dialect = if seed % 3 == 0 { Dialect::Beta } else { Dialect::Ga };
        let first = converse(&disasters, seed, dialect);
        assert!(!first.0.is_empty() || first.1.is_some() || format!("{disasters:?}").contains("stall"));
        assert!(first == converse(&disasters, seed, dialect), "{disasters:?} does not repeat");
    }
}

#[test]
fn reordering_keeps_every_bracket() {
    let (calm, _) = converse(&[], 3, Dialect::Ga);
    for seed in 0..6 {
        let reorder = json!({"at": "*", "chance": 0.5, "do": "reorder", "by": 1 + seed % 5});
        let (texts, _) = converse(&[reorder], 3 + 64 * seed, Dialect::Ga);
        let events: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(events.len(), calm.len());
        let mut seen = BTreeSet::new();
        for event in &events {
            let kind = event["type"].as_str().unwrap();
            let id = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let needs = |what: &str, id: String| assert!(seen.contains(&format!("{what} {id}")), "{event}");
            match kind {
                "response.output_item.added" | "response.output_item.done" => {
                    needs("response.created", id("response_id"))
                }
                "response.content_part.added" | "response.content_part.done" => {
                    needs("response.output_item.added", id("item_id"))
                }
                _ if kind.ends_with("audio.delta") || kind.ends_with("transcript.done") => {
                    needs("response.content_part.added", id("item_id"));
                }
                _ if kind.contains("input_audio_transcription") => {
                    needs("input_audio_buffer.committed", id("item_id"))
                }
                _ => {}
            }
            if kind == "response.done" {
                for item in event["response"]["output"].as_array().unwrap() {
                    needs("response.output_item.done", item["id"].as_str().unwrap().into());
                }
            }
            let subject = [&event["response"]["id"], &event["item"]["id"], &event["item_id"]];
            let subject = subject.into_iter().find_map(Value::as_str).unwrap_or_default();
            seen.insert(format!("{kind} {subject}"));
        }
    }
}
