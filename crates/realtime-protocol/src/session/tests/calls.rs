//! Function calls: each surfaces once and gets exactly one output.

use super::*;
use crate::call::{FunctionOutput, Interruption, Refusal};

#[test]
fn calls_surface_when_their_response_is_done_and_lead_to_one_response() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "id": format!("item_{id}"), "call_id": id, "name": "f", "arguments": arguments});
    let item_done =
        json!({"type": "response.output_item.done", "response_id": "r1", "item": call("c1", "{}")});
    assert!(bench.server(item_done).is_empty());
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([call("c1", "{}"), call("c2", ""), call("c3", "{\"city\": \"Par")]);
    assert_eq!(
        bench.server(event),
        ["response_finished", "> conversation.item.create", "function_ended", "function_calls"]
    );
    let complete = |id: &str, output| Command::AnswerFunction { call_id: id.into(), output, respond: true };
    assert_eq!(
        bench.app(complete("c2", FunctionOutput::Result(Value::Null))),
        ["> conversation.item.create", "function_ended"]
    );
    assert_eq!(
        bench.app(complete("c1", FunctionOutput::TimedOut)),
        ["> conversation.item.create", "function_ended", "> response.create"]
    );
    let again =
        bench.session.handle_command(bench.at(), CommandId(9), complete("c1", FunctionOutput::Cancelled));
    assert_eq!(again.unwrap_err().reason, Refusal::UnknownFunction { call_id: "c1".into() });
}

#[test]
fn a_call_that_this_side_tells_of_is_none_of_the_running_response() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let item = json!({"id": "i1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    let told = Box::new(serde_json::from_value(item.clone()).unwrap());
    bench.app(Command::CreateItem { item: told, after: None, respond: false });
    for kind in ["conversation.item.added", "conversation.item.done"] {
        bench.server(json!({"type": kind, "previous_item_id": null, "item": item}));
    }
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished"]);
}

#[test]
fn calls_of_a_response_that_did_not_complete_never_run() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut event = done("r1", "cancelled");
    event["response"]["output"] = json!([
        {"type": "function_call", "call_id": "whole", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call", "call_id": "half", "name": "f", "arguments": "{\"a", "status": "incomplete"}]);
    assert_eq!(bench.server(event), ["response_finished", "> conversation.item.create", "function_ended"]);
}

#[test]
fn a_call_that_the_server_calls_incomplete_does_not_run_and_the_model_goes_on() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "incomplete"}]);
    assert_eq!(
        bench.server(event),
        ["response_finished", "> conversation.item.create", "function_ended", "> response.create"]
    );
}

#[test]
fn an_early_call_surfaces_while_its_response_runs_and_only_once() {
    let mut bench = Bench::ready();
    bench.session.options.early_functions.insert("f".into());
    bench.server(created("r1"));
    let call = json!({"type": "function_call", "id": "i", "call_id": "c1", "name": "f", "arguments": "{}"});
    let item_done = json!({"type": "response.output_item.done", "response_id": "r1", "item": call});
    assert_eq!(bench.server(item_done), ["function_calls"]);
    let complete = Command::AnswerFunction {
        call_id: "c1".into(),
        output: FunctionOutput::Result(json!({})),
        respond: true,
    };
    assert_eq!(bench.app(complete), ["> conversation.item.create", "function_ended"]);
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([call]);
    assert_eq!(bench.server(event), ["response_finished", "> response.create"]);
}

#[test]
fn a_call_that_only_its_arguments_event_tells_of_runs_too() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench
        .server(json!({"type": "response.function_call_arguments.done", "response_id": "r1", "item_id": "i",
        "call_id": "c1", "name": "f", "arguments": "{}"}));
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "function_calls"]);
}

#[test]
fn the_follow_up_keeps_to_its_policy() {
    for (policy, spoke, expected) in [
        (FollowUp::Always, true, true),
        (FollowUp::IfSilent, true, false),
        (FollowUp::IfSilent, false, true),
        (FollowUp::Never, false, false),
    ] {
        let mut bench = Bench::ready();
        bench.session.options.follow_up = policy;
        bench.server(created("r1"));
        if spoke {
            bench.server(json!({"type": "response.output_audio_transcript.delta", "response_id": "r1",
                "item_id": "i0", "delta": "One moment."}));
        }
        let mut event = done("r1", "completed");
        event["response"]["output"] =
            json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}]);
        bench.server(event);
        let output = FunctionOutput::Result(Value::Null);
        let outputs = bench.app(Command::AnswerFunction { call_id: "c1".into(), output, respond: true });
        assert_eq!(outputs.contains(&"> response.create".into()), expected, "{policy:?}, spoke: {spoke}");
    }
}

#[test]
fn calls_out_of_band_surface_and_take_no_output() {
    for (arguments, told) in [
        ("{}", &["response_finished", "1 responded", "function_calls"][..]),
        ("{\"a", &["response_finished", "1 responded"]),
    ] {
        let mut bench = Bench::ready();
        bench.app(create_with(json!({"conversation": "none"})));
        bench.server(created_out_of_band("o1"));
        let mut event = done("o1", "completed");
        event["response"]["conversation_id"] = Value::Null;
        event["response"]["output"] =
            json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": arguments}]);
        assert_eq!(bench.server(event), told);
        let output = FunctionOutput::Result(Value::Null);
        let complete = Command::AnswerFunction { call_id: "c1".into(), output, respond: true };
        assert_eq!(
            bench.try_app(complete).unwrap_err().reason,
            Refusal::UnknownFunction { call_id: "c1".into() }
        );
    }
}

#[test]
fn a_whole_call_gets_its_output_even_if_the_end_of_its_response_cannot_be_read() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(json!({"type": "response.output_item.done", "response_id": "r1", "item": {
        "type": "function_call", "id": "i", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}}));
    assert_eq!(
        bench.server(json!({"type": "response.done", "response": 7})),
        ["warning", "response_finished", "> conversation.item.create", "function_ended"]
    );
}

#[test]
fn a_call_takes_one_answer_even_before_the_session_is_ready() {
    let mut bench = Bench::new();
    let mut event = done("r1", "completed");
    event["response"]["output"] =
        json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}]);
    bench.server(event);
    let complete = || Command::AnswerFunction {
        call_id: "c1".into(),
        output: FunctionOutput::Cancelled,
        respond: false,
    };
    bench.app(complete());
    let error = bench.try_app(complete()).unwrap_err();
    assert_eq!(error.reason, Refusal::UnknownFunction { call_id: "c1".into() });
}

/// A response that called a function has ended, and nothing sounds.
fn calling() -> Bench {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut event = done("r1", "completed");
    event["response"]["output"] = json!([{"type": "function_call", "id": "i", "call_id": "c1", "name": "f"}]);
    bench.server(event);
    bench
}

#[test]
fn speech_over_a_call_alone_is_an_interruption_and_sends_nothing() {
    let mut bench = calling();
    assert_eq!(bench.server(speech_started()), ["speech_started", "interrupted"]);
    assert_eq!(bench.interruption(), Interruption::default());
    bench.server(speech_stopped());
    assert_eq!(bench.server(speech_started()), ["speech_started"], "once for each call");
    let mut bench = calling();
    assert_eq!(bench.app(Command::Interrupt {}), ["interrupted", "1 done"]);
    let output = FunctionOutput::Cancelled;
    bench.app(Command::AnswerFunction { call_id: "c1".into(), output, respond: false });
    assert_eq!(bench.app(Command::Interrupt {}), ["3 done"], "no call waits any more");
}

#[test]
fn speech_that_must_not_interrupt_leaves_calls_alone() {
    let mut bench = calling();
    bench.session.config.input_mut().turn_detection =
        serde_json::from_value(json!({"type": "server_vad", "interrupt_response": false})).unwrap();
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
}

/// The session after a response that made one call.
fn called(arguments: &str) -> (Bench, Vec<String>) {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut event = done("r1", "completed");
    event["response"]["output"] =
        json!([{"type": "function_call", "call_id": "c1", "name": "f", "arguments": arguments}]);
    let outputs = bench.server(event);
    (bench, outputs)
}

#[test]
fn arguments_that_end_anywhere_too_early_never_run_and_are_answered_once() {
    let arguments = r#"{"city": "Bor\u00e5s", "days": [1, {"n": 2.5e3}], "now": true}"#;
    for end in 1..arguments.len() {
        let (bench, outputs) = called(&arguments[..end]);
        let refused =
            ["response_finished", "> conversation.item.create", "function_ended", "> response.create"];
        assert_eq!(outputs, refused, "{}", &arguments[..end]);
        assert!(bench.sent()[0]["item"]["output"].as_str().unwrap().contains("error"));
    }
    assert_eq!(called(arguments).1, ["response_finished", "function_calls"]);
}

#[test]
fn every_json_value_is_a_result_and_leads_to_one_response_if_wanted() {
    for value in [json!(null), json!({}), json!([]), json!(""), json!(0), json!(false), json!({"a": [1]})] {
        for respond in [true, false] {
            let (mut bench, _) = called("{}");
            let output = FunctionOutput::Result(value.clone());
            let outputs = bench.app(Command::AnswerFunction { call_id: "c1".into(), output, respond });
            let text = bench.sent()[0]["item"]["output"].as_str().unwrap().to_string();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            let creates = outputs.iter().filter(|output| *output == "> response.create").count();
            assert_eq!(creates, usize::from(respond), "{value}");
        }
    }
}
