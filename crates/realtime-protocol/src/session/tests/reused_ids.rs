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
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty());
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
