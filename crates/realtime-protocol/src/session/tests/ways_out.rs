//! States that end otherwise than by their own event: speech whose end is never told, acknowledgements that
//! name nothing, responses that fail without an end.

use super::*;

fn cleared() -> Value {
    json!({"type": "input_audio_buffer.cleared"})
}

fn committed(item_id: &str) -> Value {
    json!({"type": "input_audio_buffer.committed", "item_id": item_id})
}

fn failed(event_id: &Value, code: &str) -> Value {
    json!({"type": "error", "error": {"type": code, "code": code, "event_id": event_id}})
}

/// The id of the last event that was sent in the last step.
fn sent_id(bench: &Bench) -> Value {
    bench.sent().last().unwrap()["event_id"].clone()
}

#[test]
fn a_request_goes_out_once_the_speech_before_it_was_cleared() {
    for by_us in [true, false] {
        let mut bench = Bench::ready();
        bench.app(append(200));
        bench.server(speech_started());
        assert!(bench.app(create()).is_empty());
        if by_us {
            bench.app(Command::ClearAudio {});
        }
        let out = bench.server(cleared());
        let rest = ["speech_stopped", "> response.create"];
        assert!(out.ends_with(&rest.map(String::from)), "{out:?}");
    }
}

#[test]
fn a_request_goes_out_once_no_audio_of_the_speech_comes_any_more() {
    let mut bench = Bench::ready();
    bench.app(append(200));
    bench.server(speech_started());
    assert!(bench.app(create()).is_empty());
    for _ in 0..4 {
        assert!(bench.later(2_000).is_empty());
        bench.app(append(20));
    }
    assert!(bench.later(2_999).is_empty());
    assert_eq!(bench.later(1), ["speech_stopped", "> response.create"]);
    // The microphone is switched on again, and the server goes on where it was.
    assert_eq!(bench.server(speech_stopped()), ["speech_stopped"]);
    assert!(bench.app(create()).is_empty(), "the server's own response comes first");
}

#[test]
fn audio_that_comes_by_another_way_is_not_missed() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    bench.app(create());
    assert!(bench.later(100_000).is_empty());
}

#[test]
fn speech_that_is_only_committed_or_no_longer_detected_is_told_as_over() {
    let mut bench = Bench::ready();
    bench.server(speech_started());
    assert_eq!(bench.server(committed("u1")), ["speech_stopped", "committed"]);
    assert_eq!(bench.server(committed("u2")), ["committed"]);
    bench.server(speech_started());
    let undetected =
        json!({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": null}}}});
    assert_eq!(bench.server(undetected), ["speech_stopped", "config_updated"]);
}

#[test]
fn a_commit_that_a_clear_overtook_is_declined_and_asks_for_no_other_session() {
    for by_us in [true, false] {
        let mut bench = Bench::ready_with(manual());
        for _ in 0..2 {
            bench.app(append(200));
            bench.app(Command::CommitAudio { respond: false });
        }
        bench.server(committed("u1"));
        if by_us {
            bench.app(Command::ClearAudio {});
        }
        let out = bench.server(cleared());
        assert_eq!(out[0], "2 declined");
        assert!(bench.later(60_000).is_empty(), "nothing is overdue");
    }
}

#[test]
fn a_commit_acknowledged_without_an_item_is_done() {
    let mut bench = Bench::ready_with(manual());
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: false });
    assert_eq!(bench.server(json!({"type": "input_audio_buffer.committed"})), ["warning", "1 done"]);
}

#[test]
fn a_clear_ends_no_commit_that_was_sent_after_it() {
    let mut bench = Bench::ready_with(manual());
    bench.app(Command::ClearAudio {});
    bench.app(append(200));
    bench.app(Command::CommitAudio { respond: false });
    assert_eq!(bench.server(cleared()), ["1 done"]);
    assert_eq!(bench.server(committed("u1")), ["2 committed", "committed"]);
}

#[test]
fn an_acknowledgement_without_an_id_is_for_the_oldest_that_waits() {
    for event in [
        json!({"type": "conversation.item.deleted", "item_id": ""}),
        json!({"type": "conversation.item.deleted"}),
    ] {
        let mut bench = Bench::ready();
        bench.app(Command::DeleteItem { item_id: "u1".into() });
        bench.app(Command::DeleteItem { item_id: "u2".into() });
        for (id, item) in [(1, "u1"), (2, "u2")] {
            let out = bench.server(event.clone());
            assert!(out.contains(&format!("{id} done")), "{out:?}");
            let removed = Event::ItemRemoved { item_id: item.into() };
            assert!(bench.told().any(|event| *event == removed), "{:?}", bench.last);
        }
        let out = bench.server(event);
        assert!(!out.contains(&"item_removed".into()), "nothing waits: {out:?}");
    }
}

#[test]
fn a_truncation_acknowledged_without_an_id_is_not_missed() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(speech_started());
    bench.stopped(None);
    bench.server(json!({"type": "conversation.item.truncated", "item_id": ""}));
    bench.server(speech_stopped());
    bench.server(done("r1", "cancelled"));
    assert!(!bench.later(60_000).contains(&"overdue".into()));
}

#[test]
fn an_error_that_names_its_request_frees_the_place_at_once() {
    let mut bench = Bench::ready();
    bench.app(create());
    let event_id = sent_id(&bench);
    bench.server(created("r1"));
    assert!(bench.app(create()).is_empty());
    assert_eq!(
        bench.server(failed(&event_id, "server_error")),
        ["1 refused", "server_error", "> response.create"]
    );
    // What goes on all the same is told, and nothing waits for it.
    assert_eq!(bench.server(audio_delta("r1", "i1", 20)), ["audio"]);
    bench.server(created("r2"));
    assert_eq!(bench.server(done("r2", "completed")), ["response_finished", "2 responded"]);
    assert!(bench.later(60_000).is_empty(), "nothing is overdue");
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished"]);
}

#[test]
fn a_fault_that_names_nothing_ends_the_wait_for_what_runs_soon() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.app(create());
    bench.server(failed(&Value::Null, "server_error"));
    assert!(bench.later(2_999).is_empty());
    assert_eq!(bench.later(1), ["1 timed_out", "> response.create"]);
}

#[test]
fn a_response_that_goes_on_after_a_fault_is_waited_for() {
    let mut bench = Bench::ready();
    bench.app(create());
    bench.server(created("r1"));
    bench.server(failed(&Value::Null, "server_error"));
    bench.server(audio_delta("r1", "i1", 20));
    assert!(bench.later(20_000).is_empty());
    assert_eq!(bench.server(done("r1", "completed")), ["response_finished", "1 responded"]);
}

#[test]
fn an_error_says_whether_its_asker_has_it_as_the_outcome() {
    let answered = |bench: &Bench| {
        bench.told().find_map(|event| match event {
            Event::ServerError { answered, .. } => Some(*answered),
            _ => None,
        })
    };
    let mut bench = Bench::ready();
    bench.server(failed(&Value::Null, "server_error"));
    assert_eq!(answered(&bench), Some(false), "it names nobody");
    bench.app(create());
    let event_id = sent_id(&bench);
    bench.server(failed(&event_id, "invalid_value"));
    assert_eq!(answered(&bench), Some(true));
    bench.server(failed(&event_id, "invalid_value"));
    assert_eq!(answered(&bench), Some(false), "nobody waits any more");
    bench.app(Command::RetrieveItem { item_id: "i9".into() });
    bench.server(failed(&"rci_i9".into(), "item_retrieve_invalid_item_id"));
    assert_eq!(answered(&bench), Some(true));
    // A request that no command made: nobody else hears of it.
    bench.app(Command::CreateItem { item: Item::user_text("hi").into(), after: None, respond: true });
    let event_id = sent_id(&bench);
    bench.server(failed(&event_id, "invalid_value"));
    assert_eq!(answered(&bench), Some(false));
}

#[test]
fn a_retrieved_item_without_an_id_is_the_one_that_was_asked_for() {
    let mut bench = Bench::ready();
    bench.app(Command::RetrieveItem { item_id: "u1".into() });
    let item = json!({"type": "message", "role": "user", "content": []});
    assert_eq!(bench.server(json!({"type": "conversation.item.retrieved", "item": item})), ["1 retrieved"]);
}
