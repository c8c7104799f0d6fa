//! Ids that a server gives twice: each response is one of its own.

use super::*;
use crate::call::ResponseEnd;

fn reused(bench: &Bench) -> bool {
    let warning = Event::Warning(Warning::ResponseIdReused { response_id: "r1".into() });
    bench.told().any(|event| *event == warning)
}

#[test]
fn a_response_under_a_used_id_is_heard() {
    let mut bench = Bench::ready();
    for n in 1..4 {
        bench.app(create());
        let out = bench.server(created("r1"));
        assert_eq!(out.last().map(String::as_str), Some("response_started"));
        assert_eq!(reused(&bench), n > 1);
        assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
        assert_eq!(bench.server(done("r1", "completed"))[1], format!("{n} responded"));
    }
    assert!(bench.server(done("r1", "completed")).is_empty(), "late events stay quiet");
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["warning"], "what is lost is told");
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty(), "once");
}

#[test]
fn a_truncation_counts_from_the_beginning_of_its_own_part() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 400));
    bench.server(done("r1", "completed"));
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i1", 300));
    let Some(Event::Audio(chunk)) = bench.told().next() else { panic!("no audio") };
    assert_eq!(chunk.start, 0);
    bench.app(played("i1", 400));
    bench.server(speech_started());
    bench.stopped(Some(position("i1", 100)));
    assert_eq!(bench.cuts(), [("i1".into(), 100)]);
}

#[test]
fn a_beginning_that_is_told_twice_is_one() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    assert_eq!(bench.server(created("r1")), ["warning"]);
    bench.server(audio_delta("r1", "i1", 100));
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn another_response_under_the_id_of_one_that_runs_takes_its_place() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 100));
    assert_eq!(
        bench.server(created("r1")),
        ["warning", "response_finished", "1 responded", "response_started"]
    );
    let lost = bench
        .told()
        .any(|event| matches!(event, Event::ResponseFinished(report) if report.end == ResponseEnd::Lost));
    assert!(lost);
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["audio"]);
    let Some(Event::Audio(chunk)) = bench.told().next() else { panic!("no audio") };
    assert_eq!(chunk.start, 0);
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished"]);
}

#[test]
fn a_beginning_that_comes_after_other_events_of_its_response_is_its_own() {
    let mut bench = Bench::ready();
    bench.app(create());
    assert_eq!(bench.server(audio_delta("r1", "i1", 100)), ["response_started", "audio"]);
    assert!(bench.server(created("r1")).is_empty());
    bench.server(done("r1", "completed"));
    bench.app(create());
    bench.server(audio_delta("r2", "i2", 100));
    bench.server(done("r2", "completed"));
    assert!(bench.server(created("r2")).is_empty(), "late, and once");
    assert_eq!(bench.app(create()), ["> response.create"]);
}

/// A response that makes one call, from beginning to end.
fn calls(bench: &mut Bench, response: &str, item: &str, arguments: &str) -> Vec<String> {
    bench.server(created(response));
    let call = json!({"type": "function_call", "id": item, "call_id": "call_0", "name": "f", "arguments": arguments});
    let mut event = done(response, "completed");
    event["response"]["output"] = json!([call]);
    bench.server(event)
}

fn answer(bench: &mut Bench) -> Vec<String> {
    let output = crate::call::FunctionOutput::Result(json!({}));
    bench.app(Command::AnswerFunction { call_id: "call_0".into(), output, respond: true })
}

#[test]
fn a_call_under_a_used_id_runs_where_its_item_or_its_arguments_are_others() {
    let mut bench = Bench::ready();
    for (n, (item, arguments)) in
        [("i1", r#"{"a":1}"#), ("i2", r#"{"a":1}"#), ("i2", r#"{"a":2}"#)].into_iter().enumerate()
    {
        let told = calls(&mut bench, &format!("r{n}"), item, arguments);
        assert_eq!(told.last().map(String::as_str), Some("function_calls"), "{item} {arguments}");
        assert_eq!(answer(&mut bench).last().map(String::as_str), Some("> response.create"));
    }
    let told = calls(&mut bench, "r9", "i2", r#"{"a":2}"#);
    assert!(told.contains(&"warning".into()) && !told.contains(&"function_calls".into()), "{told:?}");
}

#[test]
fn a_call_under_the_id_of_one_that_waits_is_a_warning() {
    let mut bench = Bench::ready();
    calls(&mut bench, "r1", "i1", r#"{"a":1}"#);
    let told = calls(&mut bench, "r2", "i2", r#"{"a":2}"#);
    assert!(told.contains(&"warning".into()) && !told.contains(&"function_calls".into()), "{told:?}");
}
