//! Functions without end: how often the model is asked to go on, what it is free to choose then, and calls
//! that nobody can be told of.

use super::*;
use crate::call::FunctionOutput;

/// A response that calls one function, as `response.done` tells it.
fn calls(response: &str, call: Value) -> Value {
    let mut event = done(response, "completed");
    event["response"]["output"] = json!([call]);
    event
}

fn call(n: u32) -> Value {
    json!({"id": format!("i{n}"), "type": "function_call", "call_id": format!("c{n}"), "name": "f", "arguments": "{}"})
}

/// One round: a response calls a function, and it is answered.
fn round(bench: &mut Bench, n: u32) -> Vec<String> {
    let response = format!("r{n}");
    bench.server(created(&response));
    bench.server(calls(&response, call(n)));
    let output = FunctionOutput::Result(json!({}));
    bench.app(Command::AnswerFunction { call_id: format!("c{n}").as_str().into(), output, respond: true })
}

fn follow_up(bench: &Bench) -> Value {
    bench.sent().iter().find(|event| event["type"] == "response.create").cloned().unwrap()
}

#[test]
fn functions_that_call_for_more_of_them_end_after_so_many_rounds() {
    let mut bench = Bench::ready();
    for n in 0..8 {
        assert!(round(&mut bench, n).contains(&"> response.create".into()), "round {n}");
    }
    assert_eq!(round(&mut bench, 8), ["> conversation.item.create", "function_ended", "warning"]);
    let warning = Event::Warning(Warning::TooManyRounds { rounds: 8 });
    assert!(bench.told().any(|event| *event == warning));
    assert_eq!(bench.app(create()), ["> response.create"], "the application may ask all the same");
}

#[test]
fn a_word_of_the_user_begins_the_count_anew() {
    let words: [fn(&mut Bench); 4] = [
        |bench| drop(bench.server(speech_started())),
        |bench| {
            bench.app(append(200));
            bench.app(Command::CommitAudio { respond: false });
        },
        |bench| {
            let item = Item::user_text("hi").into();
            bench.app(Command::CreateItem { item, after: None, respond: false });
        },
        |bench| {
            let item = json!({"type": "message", "role": "user", "id": "u1", "content": []});
            bench.server(json!({"type": "conversation.item.added", "item": item}));
        },
    ];
    for (index, word) in words.into_iter().enumerate() {
        let mut bench = Bench::ready_with(SessionOptions { max_rounds: 1, ..SessionOptions::default() });
        round(&mut bench, 0);
        word(&mut bench);
        bench.server(speech_stopped());
        bench.server(created("answer"));
        bench.server(done("answer", "completed"));
        let out = round(&mut bench, 1);
        assert!(out.contains(&"> response.create".into()), "{index}: {out:?}");
        let out = round(&mut bench, 2);
        assert!(!out.contains(&"> response.create".into()), "{index}: {out:?}");
    }
}

#[test]
fn after_a_forced_call_the_model_is_free() {
    let auto = json!({"tool_choice": "auto"});
    let named = json!({"type": "function", "name": "f"});
    for choice in [json!("required"), named] {
        // In the session's configuration, in every round.
        let options = configured(&json!({"type": "realtime", "tool_choice": choice}).to_string());
        let mut bench = Bench::ready_with(options);
        for n in 0..3 {
            round(&mut bench, n);
            assert_eq!(follow_up(&bench)["response"], auto);
        }
        // In the request.
        let mut bench = Bench::ready();
        bench.app(create_with(json!({"tool_choice": choice})));
        round(&mut bench, 0);
        assert_eq!(follow_up(&bench)["response"], auto);
        round(&mut bench, 1);
        assert_eq!(follow_up(&bench)["response"], Value::Null, "that one was not forced");
    }
    let options = configured(r#"{"type":"realtime","tool_choice":"none"}"#);
    let mut bench = Bench::ready_with(options);
    bench.app(create_with(json!({"tool_choice": "required"})));
    round(&mut bench, 0);
    assert_eq!(follow_up(&bench)["response"], Value::Null, "the session lets it call none");
}

#[test]
fn a_free_follow_up_merges_with_a_request_that_waits() {
    let options = configured(r#"{"type":"realtime","tool_choice":"required"}"#);
    let mut bench = Bench::ready_with(options);
    bench.server(created("r0"));
    bench.server(calls("r0", call(0)));
    bench.server(created("r1"));
    bench.app(create());
    let output = FunctionOutput::Result(json!({}));
    bench.app(Command::AnswerFunction { call_id: "c0".into(), output, respond: true });
    bench.server(done("r1", "completed"));
    assert_eq!(follow_up(&bench)["response"], json!({"tool_choice": "auto"}));
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "1 responded"]);
}

/// The warnings of the last step about calls that nobody is told of: the call and its item.
fn untold(bench: &Bench) -> Vec<(Option<String>, Option<String>)> {
    let text = |id: &str| String::from(id);
    bench
        .told()
        .filter_map(|event| match event {
            Event::Warning(Warning::FunctionCallLost { call_id, item_id }) => Some((
                call_id.as_ref().map(|id| text(id.as_str())),
                item_id.as_ref().map(|id| text(id.as_str())),
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn a_call_that_names_no_function_is_told_as_a_warning_and_answered() {
    for name in [Value::Null, json!(""), json!("  ")] {
        let mut bench = Bench::ready();
        bench.server(created("r1"));
        let mut event = call(1);
        event["name"] = name;
        let out = bench.server(calls("r1", event));
        assert_eq!(
            out,
            [
                "response_finished",
                "warning",
                "> conversation.item.create",
                "function_ended",
                "> response.create"
            ]
        );
        assert_eq!(untold(&bench), [(Some("c1".into()), Some("i1".into()))]);
    }
}

#[test]
fn a_call_told_by_its_arguments_alone_is_no_silence() {
    let arguments = json!({"type": "response.function_call_arguments.done", "response_id": "r1",
        "item_id": "i1", "call_id": "c1", "arguments": "{}"});
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(arguments.clone());
    bench.server(done("r1", "completed"));
    assert_eq!(untold(&bench), [(Some("c1".into()), Some("i1".into()))]);
    // Its item names it, before or after.
    for item_first in [true, false] {
        let mut bench = Bench::ready();
        bench.server(created("r1"));
        let item = json!({"type": "response.output_item.done", "response_id": "r1", "item": call(1)});
        let events = [item, arguments.clone()];
        let order = if item_first { [0, 1] } else { [1, 0] };
        for index in order {
            bench.server(events[index].clone());
        }
        assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "function_calls"]);
    }
}

#[test]
fn a_call_without_an_id_is_a_warning_unless_it_gets_one() {
    let mut nobody = call(1);
    nobody["call_id"] = Value::Null;
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": nobody}));
    let out = bench.server(calls("r1", nobody.clone()));
    assert_eq!(out, ["response_finished", "warning"], "once");
    assert_eq!(untold(&bench), [(None, Some("i1".into()))]);
    bench.server(created("r2"));
    bench.server(json!({"type": "response.output_item.done", "response_id": "r2", "item": nobody}));
    assert_eq!(bench.server(calls("r2", call(1))), ["response_finished", "function_calls"]);
}
