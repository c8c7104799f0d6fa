//! Servers that send no deltas, or not all, and no events of the conversation: what only later events say is
//! told all the same, and once.

use super::*;

const KEY: &str = r#"{"response_id":"r1","item_id":"a1","content_index":0}"#;

fn event(kind: &str, member: &str, value: Value) -> Value {
    let mut event: Value = serde_json::from_str(KEY).unwrap();
    event["type"] = kind.into();
    event[member] = value;
    event
}

fn delta(words: &str) -> Value {
    event("response.output_audio_transcript.delta", "delta", words.into())
}

fn message(words: &str) -> Value {
    let content = json!([{"type": "output_audio", "transcript": words}]);
    json!({"id": "a1", "type": "message", "role": "assistant", "status": "completed", "content": content})
}

/// The events that say all words of a part.
fn whole(words: &str) -> [Value; 4] {
    let mut end = done("r1", "completed");
    end["response"]["output"] = json!([message(words)]);
    [
        event("response.output_audio_transcript.done", "transcript", words.into()),
        event("response.content_part.done", "part", json!({"type": "audio", "transcript": words})),
        json!({"type": "response.output_item.done", "response_id": "r1", "item": message(words)}),
        end,
    ]
}

fn said(bench: &Bench) -> String {
    let text = |event: &Event| match event {
        Event::Text { delta, spoken: true, .. } => Some(delta.clone()),
        _ => None,
    };
    bench.told().filter_map(text).collect()
}

#[test]
fn words_that_no_delta_brought_are_told_by_whichever_event_has_them() {
    for (index, last) in whole("Hello there.").into_iter().enumerate() {
        for before in ["", "Hel"] {
            let mut bench = Bench::ready();
            bench.server(created("r1"));
            if !before.is_empty() {
                bench.server(delta(before));
            }
            bench.server(last.clone());
            let expected = if before.is_empty() { "Hello there." } else { "lo there." };
            assert_eq!(said(&bench), expected, "{index} after {before:?}");
        }
    }
}

#[test]
fn words_are_told_once_however_often_they_are_said() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(delta("Hello "));
    bench.server(delta("there. "));
    for event in whole("Hello there.") {
        let told = bench.server(event);
        assert!(!told.iter().any(|told| told == "text"), "{told:?}");
    }
}

#[test]
fn words_of_an_answer_that_the_user_spoke_over_are_not_told_late() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "a1", 100));
    bench.server(speech_started());
    for event in whole("Hello there.") {
        let told = bench.server(event);
        assert!(!told.iter().any(|told| told == "text"), "{told:?}");
    }
}

#[test]
fn an_item_that_no_event_of_the_conversation_names_is_placed_when_its_response_ends() {
    let [.., item_done, end] = whole("Hello.");
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    assert_eq!(bench.server(item_done.clone()), ["text"]);
    assert_eq!(bench.server(end.clone()), ["item_placed", "item_done", "response_finished"]);

    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(item_done);
    let placed =
        json!({"type": "conversation.item.added", "previous_item_id": "u1", "item": message("Hello.")});
    assert_eq!(bench.server(placed), ["item_placed"]);
    assert_eq!(bench.server(end), ["item_done", "response_finished"]);
}

#[test]
fn an_item_beside_the_conversation_or_out_of_it_has_no_place() {
    let [.., item_done, end] = whole("Hello.");
    let mut bench = Bench::ready();
    bench.server(created_out_of_band("r1"));
    assert_eq!(bench.server(item_done.clone()), ["text"]);
    assert_eq!(bench.server(end.clone()), ["response_finished"]);

    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(json!({"type": "conversation.item.added", "item": message("Hello.")}));
    bench.server(json!({"type": "conversation.item.deleted", "item_id": "a1"}));
    assert_eq!(bench.server(item_done), ["text"]);
    assert_eq!(bench.server(end), ["response_finished"]);
}
