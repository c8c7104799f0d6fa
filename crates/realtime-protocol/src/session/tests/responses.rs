//! The sequencer: who asked for which response, and who is told how it ended.

use super::*;
use crate::call::FunctionOutput;

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
fn what_was_asked_for_after_a_turn_is_served_by_the_response_to_the_next_one() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    bench.app(create());
    bench.server(speech_stopped());
    bench.app(create());
    bench.server(speech_started());
    bench.server(speech_stopped());
    bench.server(created("r1"));
    assert_eq!(
        bench.server(done("r1", "completed")),
        ["response_finished", "1 responded", "2 responded"],
        "and nothing is asked for once more"
    );
}

#[test]
fn what_was_asked_for_before_and_after_a_turn_goes_out_once_when_no_response_comes() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    bench.app(create());
    bench.server(speech_stopped());
    bench.app(create());
    assert_eq!(bench.later(3_000), ["> response.create"]);
    bench.server(created("r1"));
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "1 responded", "2 responded"]);
}

#[test]
fn what_was_asked_for_while_another_response_was_due_is_served_by_the_one_to_the_next_turn() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(speech_started());
    bench.server(speech_stopped());
    bench.app(create());
    bench.server(created("r1"));
    bench.server(speech_started());
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "1 superseded"]);
    bench.server(speech_stopped());
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "2 responded"]);
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

/// The event id of the `response.create` in the last step.
fn create_id(bench: &Bench) -> Value {
    let sent = bench.sent();
    sent.iter().rfind(|event| event["type"] == "response.create").unwrap()["event_id"].clone()
}

#[test]
fn an_out_of_band_request_that_is_refused_is_not_repeated() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.app(create_with(json!({"conversation": "none"})));
    let refused = already_runs(&create_id(&bench));
    assert_eq!(bench.server(refused), ["2 refused", "server_error"]);
}

#[test]
fn an_out_of_band_request_that_is_not_answered_times_out() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"conversation": "none"})));
    assert_eq!(bench.later(60_000), ["overdue", "1 timed_out"]);
}

#[test]
fn a_request_that_the_servers_own_response_overtook_goes_back_to_waiting() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"instructions": "say X"})));
    let refused = already_runs(&create_id(&bench));
    bench.server(created("theirs"));
    bench.server(refused);
    assert_eq!(bench.server(done("theirs", "completed")), ["response_finished", "> response.create"]);
    bench.server(created("ours"));
    assert_eq!(bench.server(done("ours", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn a_refused_request_merges_with_those_that_wait() {
    let mut bench = Bench::ready();
    bench.app(create());
    let refused = already_runs(&create_id(&bench));
    bench.app(create());
    bench.server(refused);
    bench.server(created("theirs"));
    assert_eq!(
        bench.server(done("theirs", "completed")),
        ["response_finished", "1 responded", "2 responded"]
    );
}

#[test]
fn a_refusal_that_names_nobody_is_for_the_request_that_is_open() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(already_runs(&Value::Null));
    assert_eq!(bench.later(30_000), ["> response.create", "overdue", "1 timed_out"]);
}

#[test]
fn the_end_of_an_unknown_response_does_not_end_the_one_that_runs() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(done("r0", "completed"));
    assert!(bench.app(create()).is_empty());
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "> response.create"]);
}

#[test]
fn a_cancel_reaches_a_response_that_is_not_created_yet() {
    let mut bench = Bench::ready();
    bench.app(create());
    assert_eq!(bench.app(Command::CancelResponse { response_id: None }), ["> response.cancel"]);
    bench.server(created("r1"));
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "2 done", "1 responded"]);
}

#[test]
fn a_cancel_is_settled_by_its_own_response() {
    let mut bench = Bench::ready();
    bench.app(create_with(json!({"conversation": "none"})));
    bench.server(created_out_of_band("o1"));
    bench.app(create());
    bench.server(created("r1"));
    bench.app(Command::CancelResponse { response_id: Some("r1".into()) });
    let mut event = done("o1", "completed");
    event["response"]["conversation_id"] = Value::Null;
    assert_eq!(bench.server(event), ["response_finished", "1 responded"]);
}

#[test]
fn a_server_without_response_ids_has_more_than_one_response() {
    let mut bench = Bench::ready();
    for _ in 0..2 {
        bench.app(create());
        let created = json!({"type": "response.created", "response": {"conversation_id": "conv"}});
        assert_eq!(bench.server(created), ["response_started"]);
        let done =
            json!({"type": "response.done", "response": {"conversation_id": "conv", "status": "completed"}});
        assert_eq!(bench.server(done)[0], "response_finished");
    }
}

#[test]
fn an_item_that_the_servers_own_response_cannot_have_seen_gets_a_response_of_its_own() {
    for in_time in [true, false] {
        let mut bench = Bench::ready();
        bench.server(speech_started());
        let mut item = Item::user_text("and the other one?");
        item.set_id("mine".into());
        bench.app(Command::CreateItem { item: item.into(), after: None, respond: true });
        let added = json!({"type": "conversation.item.added", "item": {"type": "message", "id": "mine"}});
        bench.server(speech_stopped());
        if in_time {
            bench.server(added.clone());
        }
        bench.server(created("r1"));
        if !in_time {
            bench.server(added);
        }
        let ended = bench.server(done("r1", "completed"));
        assert_eq!(ended.contains(&"> response.create".into()), !in_time, "{ended:?}");
    }
}

#[test]
fn a_call_output_that_the_servers_own_response_cannot_have_seen_is_followed_up() {
    for in_time in [true, false] {
        let mut bench = Bench::ready();
        bench.server(created("r1"));
        let call =
            json!({"type": "function_call", "id": "i", "call_id": "c1", "name": "f", "arguments": "{}"});
        let mut event = done("r1", "completed");
        event["response"]["output"] = json!([call]);
        bench.server(event);
        bench.server(speech_started());
        let output = FunctionOutput::Result(json!(7));
        bench.app(Command::AnswerFunction { call_id: "c1".into(), output, respond: true });
        let item_id = bench.sent()[0]["item"]["id"].clone();
        let added = json!({"type": "conversation.item.added", "item": {"type": "function_call_output", "id": item_id}});
        bench.server(speech_stopped());
        if in_time {
            bench.server(added.clone());
        }
        bench.server(created("r2"));
        if !in_time {
            bench.server(added);
        }
        let ended = bench.server(done("r2", "completed"));
        assert_eq!(ended.contains(&"> response.create".into()), !in_time, "{ended:?}");
    }
}

#[test]
fn a_response_that_stalls_keeps_nobody_waiting() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 20));
    assert!(bench.later(29_000).is_empty());
    bench.server(audio_delta("r1", "i1", 20));
    assert_eq!(bench.later(30_000), ["overdue"]);
    bench.app(create());
    assert_eq!(bench.later(10_000), ["1 timed_out", "> response.create"]);
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "2 responded"]);
    assert!(bench.session.responses.is_idle(), "what still runs is not waited for");
    // It may go on, and ends once.
    assert_eq!(bench.server(audio_delta("r1", "i1", 20)), ["audio"]);
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished"]);
}

#[test]
fn a_stalled_response_that_goes_on_answers_those_who_wait() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    assert_eq!(bench.later(30_000), ["overdue"]);
    bench.server(audio_delta("r1", "i1", 20));
    assert!(bench.later(29_000).is_empty());
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn a_tool_that_the_server_calls_itself_may_take_longer() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.server(json!({"type": "response.mcp_call.in_progress", "item_id": "i1", "output_index": 0}));
    assert!(bench.later(299_000).is_empty());
    bench.server(json!({"type": "response.mcp_call.completed", "item_id": "i1", "output_index": 0}));
    assert!(bench.later(29_000).is_empty());
    assert_eq!(bench.later(1000), ["overdue"]);
}

#[test]
fn a_request_does_not_wait_forever_for_the_end_of_speech() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    assert!(bench.app(create()).is_empty());
    assert!(bench.later(119_000).is_empty());
    assert_eq!(bench.later(1000), ["> response.create"]);
}

#[test]
fn however_a_response_ends_it_is_told_once_with_its_reason() {
    let ends = [
        ("completed", json!(null), "\"completed\""),
        ("cancelled", json!({"reason": "turn_detected"}), r#"{"cancelled":{"reason":"turn_detected"}}"#),
        (
            "cancelled",
            json!({"reason": "client_cancelled"}),
            r#"{"cancelled":{"reason":"client_cancelled"}}"#,
        ),
        ("cancelled", json!(null), r#"{"cancelled":{"reason":null}}"#),
        (
            "incomplete",
            json!({"reason": "max_output_tokens"}),
            r#"{"incomplete":{"reason":"max_output_tokens"}}"#,
        ),
        ("incomplete", json!({"reason": "content_filter"}), r#"{"incomplete":{"reason":"content_filter"}}"#),
        ("failed", json!({"error": {"code": "rate_limit_exceeded"}}), "rate_limit_exceeded"),
        ("failed", json!(null), r#"{"failed":"#),
    ];
    for (status, details, told) in ends {
        let mut bench = Bench::ready();
        bench.app(create());
        bench.server(created("r1"));
        let mut event = done("r1", status);
        event["response"]["status_details"] = details;
        assert_eq!(bench.server(event.clone()), ["response_finished", "1 responded"]);
        let Some(Event::ResponseFinished(report)) = bench.told().next() else { unreachable!() };
        let end = serde_json::to_string(&report.end).unwrap();
        assert!(end.contains(told), "{end}");
        assert!(bench.server(event).is_empty(), "said once more");
        assert_eq!(bench.app(create()), ["> response.create"], "and the session lives");
    }
}

#[test]
fn the_metadata_of_a_request_is_known_where_the_server_does_not_repeat_it() {
    for (told, expected) in [
        (json!({}), Some("goodbye")),
        (json!({"metadata": {"purpose": "other"}}), Some("other")),
        (json!({"metadata": null}), Some("goodbye")),
        (json!({"metadata": {}}), None),
    ] {
        let mut bench = Bench::ready();
        bench.app(create_with(json!({"metadata": {"purpose": "goodbye"}})));
        let mut event = created("r1");
        event["response"].as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        bench.server(event);
        let Some(Event::ResponseStarted { metadata, .. }) = bench.told().next() else { unreachable!() };
        assert_eq!(metadata.get("purpose").map(String::as_str), expected);
    }
}

#[test]
fn two_responses_at_once_are_two_streams_and_a_barge_in_ends_one() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.app(create_with(json!({"conversation": "none", "metadata": {"topic": "mood"}})));
    bench.server(created_out_of_band("o1"));
    for turn in 0..3 {
        for (response, item, out_of_band) in [("r1", "i1", false), ("o1", "i2", true)] {
            assert_eq!(bench.server(audio_delta(response, item, 100)), ["audio"]);
            let Some(Event::Audio(chunk)) = bench.told().next() else { unreachable!() };
            assert_eq!((chunk.response_id.as_str(), chunk.out_of_band), (response, out_of_band));
            assert_eq!(chunk.start, samples(100 * turn));
        }
    }
    bench.server(speech_started());
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty());
    assert_eq!(bench.server(audio_delta("o1", "i2", 100)), ["audio"]);
    bench.stopped(Some(position("i1", 200)));
    assert_eq!(bench.cuts(), [("i1".into(), 200)]);
    bench.app(Command::CancelResponse { response_id: Some("o1".into()) });
    assert_eq!(bench.sent()[0]["response_id"], "o1");
}

#[test]
fn a_cancel_that_comes_too_late_harms_nothing() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.app(Command::CancelResponse { response_id: None });
    let event_id = bench.sent()[0]["event_id"].clone();
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "2 done", "1 responded"]);
    let refusal =
        json!({"type": "error", "error": {"code": "response_cancel_not_active", "event_id": event_id}});
    bench.server(refusal);
    assert!(bench.told().all(|event| !matches!(event, Event::Settled { .. })));
    assert_eq!(bench.app(create()), ["> response.create"]);
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "3 responded"]);
}
