//! Whatever the server sends, and however much of it: the state stays small, and what is let go is told.

use super::*;
use crate::call::{FunctionOutput, ResponseEnd};

/// The most that the state may take, in characters of its `Debug`.
const LARGEST_STATE: usize = 200_000;

/// Events of each flood: several times what fills its table.
const EVENTS: usize = 2_000;

fn size(bench: &Bench) -> usize {
    format!("{:?}", bench.session).len()
}

fn item_done(response: &str, item: Value) -> Value {
    json!({"type": "response.output_item.done", "response_id": response, "item": item})
}

fn call(n: usize) -> Value {
    json!({"id": format!("i{n}"), "type": "function_call", "call_id": format!("c{n}"), "name": "f",
        "arguments": "{}", "status": "completed"})
}

fn calling(response: &str, calls: impl Iterator<Item = usize>) -> Value {
    let mut event = done(response, "completed");
    event["response"]["output"] = calls.map(call).collect();
    event
}

type Flood = (&'static str, fn(&mut Bench, usize));

/// One step of each flood, by its number.
const FLOODS: [Flood; 17] = [
    ("responses that never end", |bench, n| drop(bench.server(created(&format!("r{n}"))))),
    ("responses beside the conversation that never end", |bench, n| {
        bench.server(created_out_of_band(&format!("o{n}")));
    }),
    ("responses that time passes over", |bench, n| {
        bench.server(created(&format!("r{n}")));
        bench.later(100);
    }),
    ("parts of one response", |bench, n| drop(bench.server(audio_delta("r", &format!("i{n}"), 20)))),
    ("parts of many responses", |bench, n| {
        bench.server(audio_delta(&format!("r{n}"), &format!("i{n}"), 20));
    }),
    ("chunks", |bench, _| {
        for _ in 0..4 {
            bench.server(audio_bytes("r", "i", 0, &Bytes::from_static(&[0, 0])));
        }
    }),
    ("words", |bench, _| {
        bench.server(
            json!({"type": "response.output_audio_transcript.delta", "response_id": "r", "item_id": "i",
            "content_index": 0, "delta": "more and more words, and no end of them "}),
        );
    }),
    ("calls of one response", |bench, n| drop(bench.server(item_done("r", call(n))))),
    ("calls without an id", |bench, n| {
        bench.server(item_done("r", json!({"id": format!("i{n}"), "type": "function_call", "name": "f"})));
    }),
    ("calls of many responses", |bench, n| drop(bench.server(calling(&format!("r{n}"), n..n + 1)))),
    ("calls that are no calls", |bench, n| {
        let mut event = calling(&format!("r{n}"), n..n + 1);
        event["response"]["output"][0]["arguments"] = "[]".into();
        bench.server(event);
    }),
    ("calls of responses that fail", |bench, n| {
        let mut event = calling(&format!("r{n}"), n..n + 1);
        event["response"]["status"] = "failed".into();
        bench.server(event);
    }),
    ("interruptions", |bench, n| {
        bench.server(audio_delta(&format!("r{n}"), &format!("i{n}"), 20));
        bench.server(speech_started());
    }),
    ("interruptions in no time", |bench, n| {
        bench.now = 0; // the clock stands
        bench.server(audio_delta(&format!("r{n}"), &format!("i{n}"), 20));
        bench.server(speech_started());
    }),
    ("items", |bench, n| {
        let item = json!({"type": "message", "id": format!("i{n}"), "role": "assistant"});
        bench.server(json!({"type": "conversation.item.added", "item": item}));
    }),
    ("commits", |bench, n| {
        bench.server(json!({"type": "input_audio_buffer.committed", "item_id": format!("i{n}")}));
    }),
    ("errors", |bench, n| {
        let error = json!({"type": "server_error", "event_id": format!("evt_{n}")});
        bench.server(json!({"type": "error", "error": error}));
    }),
];

#[test]
fn no_flood_makes_the_state_large() {
    for (name, step) in FLOODS {
        let mut bench = Bench::ready();
        let mut largest = 0;
        for n in 0..EVENTS {
            step(&mut bench, n);
            if n % 500 == 499 {
                largest = largest.max(size(&bench));
            }
        }
        assert!(largest < LARGEST_STATE, "{name}: {largest} characters");
        // A table that is full costs the same whatever comes.
        for n in EVENTS..EVENTS + 300 {
            step(&mut bench, n);
        }
        assert!(size(&bench) <= largest + largest / 20, "{name}: {largest}, then {}", size(&bench));
        bench.lose();
        assert!(size(&bench) < 20_000, "{name}: {} characters at the end", size(&bench));
    }
}

#[test]
fn a_response_that_is_let_go_ends_as_lost() {
    let mut bench = Bench::ready();
    bench.app(create());
    for n in 0..32 {
        assert_eq!(bench.server(created(&format!("r{n}"))), ["response_started"]);
    }
    assert_eq!(
        bench.server(created("r32")),
        ["warning", "response_finished", "1 responded", "response_started"]
    );
    let lost = bench.told().any(|event| match event {
        Event::ResponseFinished(report) => report.response_id == "r0" && report.end == ResponseEnd::Lost,
        _ => false,
    });
    assert!(lost, "{:?}", bench.last);
    assert!(bench.server(audio_delta("r0", "i0", 20)).is_empty(), "what still comes of it is not told");
}

#[test]
fn a_response_that_nothing_waits_for_is_let_go_before_others() {
    let mut bench = Bench::ready();
    bench.server(created("r0"));
    bench.server(created("forsaken"));
    for ms in [20_000, 20_000] {
        bench.later(ms);
        bench.server(audio_delta("r0", "i0", 20));
    }
    for n in 1..31 {
        bench.server(created(&format!("r{n}")));
    }
    bench.server(created("one_more"));
    let gone = Event::Warning(Warning::TooManyResponses { response_id: "forsaken".into() });
    assert!(bench.told().any(|event| *event == gone), "{:?}", bench.last);
}

#[test]
fn the_functions_that_can_wait_are_told_and_the_others_are_answered() {
    let mut bench = Bench::ready();
    for n in 0..2 {
        bench.server(created(&format!("r{n}")));
        let out = bench.server(calling(&format!("r{n}"), 128 * n..128 * (n + 1)));
        assert_eq!(out.last().map(String::as_str), Some("function_calls"));
    }
    bench.server(created("r2"));
    let out = bench.server(calling("r2", 512..514));
    assert_eq!(out.iter().filter(|what| *what == "> conversation.item.create").count(), 2, "{out:?}");
    let warning = Event::Warning(Warning::TooManyFunctions { response_id: "r2".into(), functions: 2 });
    assert!(bench.told().any(|event| *event == warning));
    // There is room again once one is answered.
    let output = FunctionOutput::Result(Value::Null);
    bench.app(Command::AnswerFunction { call_id: "c0".into(), output, respond: false });
    bench.server(created("r3"));
    let out = bench.server(calling("r3", 600..601));
    assert!(out.contains(&"function_calls".into()), "{out:?}");
}

#[test]
fn calls_beyond_any_models_are_a_warning() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let out = bench.server(calling("r1", 0..130));
    assert_eq!(out, ["response_finished", "warning", "function_calls"]);
    let warning = Event::Warning(Warning::TooManyFunctions { response_id: "r1".into(), functions: 2 });
    assert!(bench.told().any(|event| *event == warning));
}
