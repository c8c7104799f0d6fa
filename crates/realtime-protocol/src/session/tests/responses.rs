//! The sequencer: who asked for which response, and who is told how it ended.

use super::*;

#[test]
fn requests_merge_while_a_response_runs_and_every_waiter_is_answered() {
    let mut bench = Bench::ready();
    assert_eq!(bench.app(create()), ["> response.create"]);
    assert!(bench.app(create()).is_empty());
    bench.server(created("r1"));
    assert!(bench.app(create()).is_empty());
    assert_eq!(
        bench.server(done("r1", "completed")),
        ["response_finished", "1 responded", "> response.create"]
    );
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "2 responded", "3 responded"]);
}

#[test]
fn a_refused_create_goes_back_to_waiting() {
    let mut bench = Bench::ready();
    bench.app(create());
    let refused = json!({"type": "error", "error": {
        "code": "conversation_already_has_active_response", "event_id": "evt_0_2"}});
    assert_eq!(bench.server(refused), ["server_error"]);
    bench.server(created("theirs"));
    assert_eq!(bench.server(done("theirs", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn the_servers_own_response_serves_what_waited_since_before_the_turn() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    assert!(bench.app(create()).is_empty());
    bench.server(speech_stopped());
    assert!(bench.app(create()).is_empty(), "one more, after the turn");
    bench.server(created("r1"));
    assert_eq!(
        bench.server(done("r1", "completed")),
        ["response_finished", "1 responded", "> response.create"]
    );
}

#[test]
fn a_request_goes_out_when_the_servers_own_response_does_not_come() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    bench.app(create());
    bench.server(speech_stopped());
    assert!(bench.later(2_000).is_empty());
    assert_eq!(bench.later(1_000), ["> response.create"]);
}

#[test]
fn a_malformed_end_still_ends_the_response() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    assert_eq!(
        bench.server(json!({"type": "response.done", "response": 7})),
        ["warning", "response_finished", "1 responded"]
    );
}

#[test]
fn a_response_that_comes_after_its_deadline_is_cancelled_and_silent() {
    let mut bench = Bench::ready();
    bench.app(create());
    assert_eq!(bench.later(10_000), ["overdue", "1 timed_out"]);
    assert!(bench.app(create()).is_empty(), "the late one may still come");
    assert_eq!(bench.server(created("late")), ["response_started", "warning", "> response.cancel"]);
    assert!(bench.server(audio_delta("late", "i1", 100)).is_empty());
    assert_eq!(bench.server(done("late", "cancelled")), ["response_finished", "> response.create"]);
}

#[test]
fn an_endless_response_is_cancelled_at_its_budget() {
    let mut bench = Bench::ready();
    bench.session.options.longest_response = Duration::from_millis(250);
    bench.server(created("r1"));
    assert_eq!(bench.server(audio_delta("r1", "i1", 200)), ["audio"]);
    assert_eq!(bench.server(audio_delta("r1", "i1", 200)), ["warning", "> response.cancel"]);
    assert!(bench.server(audio_delta("r1", "i1", 200)).is_empty());
}
