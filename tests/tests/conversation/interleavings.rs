//! The same facts in any order that can happen give the same log.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_context::Conversation;
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::{
    Cut, Event, FunctionCall, FunctionEnd, HeardPart, Interruption, Origin, Place, ResponseEnd,
    ResponseReport, Timeline,
};
use realtime_protocol::item::Item;
use serde_json::{Value, json};

fn item(json: Value) -> Box<Item> {
    serde_json::from_value(json).expect("an item")
}

fn placed(json: Value, after: &str, origin: Origin) -> Event {
    let place = if after.is_empty() { Place::First } else { Place::After(after.into()) };
    Event::ItemPlaced { item: item(json), place, origin }
}

fn note(id: &str) -> Value {
    json!({ "id": id, "type": "message", "role": "system", "content": [{ "type": "input_text", "text": id }] })
}

fn sent(json: Value) -> Event {
    Event::ItemSent { item: item(json), after: None }
}

fn text(turn: usize, delta: &str) -> Event {
    Event::Text {
        response_id: format!("r{turn}").as_str().into(),
        item_id: format!("a{turn}").as_str().into(),
        content_index: 0,
        delta: delta.into(),
        spoken: true,
    }
}

fn transcript(id: &str) -> Event {
    Event::UserTranscript {
        item_id: id.into(),
        content_index: 0,
        transcript: id.into(),
        languages: Vec::new(),
        logprobs: Vec::new(),
        usage: None,
    }
}

fn finished(response: &str) -> Event {
    Event::ResponseFinished(Box::new(ResponseReport {
        response_id: response.into(),
        end: ResponseEnd::Completed,
        usage: None,
        timeline: Timeline::default(),
        dropped_bytes: 0,
        totals: Default::default(),
    }))
}

/// One turn: speech, an answer, a function with its output, and a note of the application's. Each stream
/// keeps its own order.
fn turn(turn: usize, interrupted: bool, echoes: bool) -> Vec<Vec<Event>> {
    let (user, answer, response) = (format!("u{turn}"), format!("a{turn}"), format!("r{turn}"));
    let (call, output, own) = (format!("f{turn}"), format!("o{turn}"), format!("n{turn}"));
    let before = if turn == 0 { String::new() } else { format!("n{}", turn - 1) };
    let speech = json!({ "id": user, "type": "message", "role": "user",
        "content": [{ "type": "input_audio", "transcript": null }] });
    let reply = json!({ "id": answer, "type": "message", "role": "assistant", "status": "in_progress" });
    let made =
        json!({ "id": call, "type": "function_call", "call_id": call, "name": "f", "arguments": "{}" });
    let told = json!({ "id": output, "type": "function_call_output", "call_id": call, "output": "3" });
    let function = Arc::new(FunctionCall {
        call_id: call.as_str().into(),
        item_id: Some(call.as_str().into()),
        name: "f".into(),
        arguments: "{}".into(),
        key: String::new(),
    });
    let mut said = vec![placed(reply, &user, Origin::Server), text(turn, "Hello "), text(turn, "there.")];
    if interrupted {
        said.push(Event::Interrupted(Interruption {
            response_id: Some(response.as_str().into()),
            parts: vec![HeardPart {
                item_id: answer.as_str().into(),
                content_index: 0,
                format: AudioFormat::PCM16_24K,
                heard: 12_000,
                received: 24_000,
                heard_text: "Hello".into(),
                estimated: false,
                cut: Cut::Truncated { audio_end_ms: 500 },
            }],
        }));
    }
    said.push(finished(&response));
    let mut ended = vec![
        Event::FunctionCalls {
            response_id: response.as_str().into(),
            out_of_band: false,
            calls: vec![Arc::clone(&function)],
        },
        sent(told.clone()),
        Event::FunctionEnded { call: function, end: FunctionEnd::Result(json!(3)) },
    ];
    let mut noted = vec![sent(note(&own))];
    if echoes {
        ended.insert(2, placed(told, &call, Origin::Client));
        noted.push(placed(note(&own), &output, Origin::Client));
    }
    vec![
        vec![Event::Committed { item_id: user.as_str().into() }, placed(speech, &before, Origin::Server)],
        vec![transcript(&user)],
        said,
        vec![placed(made, &answer, Origin::Server)],
        ended,
        noted,
    ]
}

/// The streams as one sequence. `choices` says which comes next.
fn interleaved(streams: Vec<Vec<Event>>, choices: &[u16]) -> Vec<Event> {
    let mut streams: Vec<_> = streams.into_iter().map(Vec::into_iter).collect();
    let mut events = Vec::new();
    let mut choices = choices.iter().cycle();
    while !streams.is_empty() {
        let choice = usize::from(*choices.next().expect("a choice")) % streams.len();
        match streams[choice].next() {
            Some(event) => events.push(event),
            None => drop(streams.remove(choice)),
        }
    }
    events
}

fn log_of(events: &[Event]) -> String {
    let conversation = Conversation::new();
    for event in events {
        conversation.observe(event);
    }
    conversation.transcript().to_string()
}

proptest! {
    #[test]
    fn three_turns_give_one_log_whatever_comes_when(
        choices in vec(any::<u16>(), 40..80),
        interrupted in any::<[bool; 3]>(),
    ) {
        let streams = (0..3).flat_map(|index| turn(index, interrupted[index], true)).collect();
        let expected: String = (0..3)
            .map(|index| {
                let said = if interrupted[index] { "Hello [interrupted; unheard: there.]" } else { "Hello there." };
                format!("user: u{index}\nassistant: {said}\ntool: f({{}}) -> 3\nsystem: n{index}\n")
            })
            .collect();
        prop_assert_eq!(log_of(&interleaved(streams, &choices)), expected);
    }

    /// A server that never tells of an item.
    #[test]
    fn without_any_echo_the_order_is_that_of_sending(kinds in vec(0..3_u8, 1..30)) {
        let mut events = Vec::new();
        let mut expected = String::new();
        for (index, kind) in kinds.into_iter().enumerate() {
            match kind {
                0 => {
                    events.push(sent(note(&format!("n{index}"))));
                    expected.push_str(&format!("system: n{index}\n"));
                }
                1 => {
                    events.extend([text(index, "Hi."), finished(&format!("r{index}"))]);
                    expected.push_str("assistant: Hi.\n");
                }
                _ => {
                    let call = Arc::new(FunctionCall {
                        call_id: format!("c{index}").as_str().into(),
                        item_id: None,
                        name: "f".into(),
                        arguments: "{}".into(),
                        key: String::new(),
                    });
                    events.extend([
                        Event::FunctionCalls {
                            response_id: "r".into(),
                            out_of_band: false,
                            calls: vec![Arc::clone(&call)],
                        },
                        Event::FunctionEnded { call, end: FunctionEnd::Error("no".into()) },
                    ]);
                    expected.push_str("tool: f({}) -> {\"error\":\"no\"}\n");
                }
            }
        }
        prop_assert_eq!(log_of(&events), expected);
    }
}
