//! Decoding: total, lossless, and member by member.

use alloc::string::ToString;

use serde_json::{Value, json};

use super::*;
use crate::field::Field;

/// Decodes, encodes, and compares as JSON; the only place here that touches the codec.
fn server(value: &Value) -> ServerEvent {
    let event = ServerEvent::decode(&value.to_string(), Dialect::Ga);
    let again: Value = serde_json::from_str(&event.encode(Dialect::Ga)).unwrap();
    assert_eq!(again, *value, "{event:?}");
    event
}

#[test]
fn a_byte_order_mark_before_an_event_is_no_part_of_it() {
    let text = r#"{"type":"session.created","session":{"id":"s"}}"#;
    let marked = alloc::format!("\u{feff}\u{feff}{text}");
    let event = ServerEvent::decode(&marked, Dialect::Ga);
    assert_eq!(event, ServerEvent::decode(text, Dialect::Ga));
    assert_eq!(event.encode(Dialect::Ga), text);
    let many = "\u{feff}".repeat(1 << 20);
    assert!(matches!(ServerEvent::decode(&many, Dialect::Ga), ServerEvent::Malformed(_)));
}

#[test]
fn members_may_come_in_any_order_and_unknown_ones_stay() {
    let event = server(&json!({
        "item_id": "item_1", "shiny": {"new": [1, null]}, "delta": "AAEC", "event_id": null,
        "type": "response.output_audio.delta",
    }));
    let ServerEvent::ResponseOutputAudioDelta(delta) = event else { panic!("{event:?}") };
    assert_eq!(delta.delta.bytes().unwrap().len(), 3);
    assert_eq!(delta.event_id, Field::Null);
    assert_eq!(delta.response_id, Field::Absent);
    assert_eq!(delta.extra.get("shiny").unwrap().get(), r#"{"new":[1,null]}"#);
}

#[test]
fn a_wrong_shape_costs_one_member() {
    let event = server(&json!({
        "type": "response.done",
        "response": {"id": "resp_1", "status": 7, "output": [
            {"type": "message", "id": "item_1", "role": "assistant", "status": ["odd"], "content": [
                {"type": "output_audio", "transcript": 5}]},
            {"type": "brand_new", "x": 1},
        ], "usage": {"total_tokens": "many", "input_tokens": 3}},
    }));
    let paths: alloc::vec::Vec<_> = event.mismatches().into_iter().map(|m| m.to_string()).collect();
    assert_eq!(
        paths,
        [
            "response.status: expected a string, got a number",
            "response.output[0].status: expected a string, got an array",
            "response.output[0].content[0].transcript: expected a string, got a number",
            "response.usage.total_tokens: expected u64, got a string",
        ]
    );
    let ServerEvent::ResponseDone(done) = event else { panic!("{event:?}") };
    assert_eq!(done.response.usage.value().unwrap().input_tokens, Field::Value(3));
}

#[test]
fn an_event_without_identity_is_malformed_and_kept() {
    for (text, path) in [
        ("", ""),
        ("{", ""),
        ("[1]", "type"),
        (r#"{"type":7}"#, "type"),
        (r#"{"event_id":"x"}"#, "type"),
        (r#"{"type":"response.output_audio.delta","delta":"AAAA"}"#, "item_id"),
        (r#"{"type":"response.done","response":7}"#, "response"),
        (r#"{"type":"response.done","response":{}"#, ""),
    ] {
        let event = ServerEvent::decode(text, Dialect::Ga);
        let ServerEvent::Malformed(malformed) = &event else { panic!("{text}: {event:?}") };
        assert_eq!(malformed.path, path, "{text}: {malformed}");
        assert_eq!(event.encode(Dialect::Ga), text);
    }
}

#[test]
fn an_unknown_type_is_kept_whole() {
    let event = server(&json!({"a": "}", "type": "ping", "b": [{"type": "no"}]}));
    assert!(matches!(&event, ServerEvent::Unknown(unknown) if unknown.kind == "ping"));
}

#[test]
fn wire_unions_have_all_their_events() {
    assert_eq!((ClientEvent::KINDS.len(), ServerEvent::KINDS.len()), (11, 46));
}

#[test]
fn a_partial_update_writes_only_what_was_set() {
    use crate::session_config::SessionConfig;
    let mut config = SessionConfig::realtime().instructions("");
    config.input_mut().turn_detection = Field::Null;
    let event: ClientEvent = SessionUpdate::default().session(config).into();
    assert_eq!(
        event.encode(Dialect::Ga),
        r#"{"type":"session.update","session":{"type":"realtime","instructions":"","audio":{"input":{"turn_detection":null}}}}"#
    );
}

#[test]
fn numbers_with_a_fraction_are_read_exactly() {
    for text in
        ["0.30000000000000004", "1.0715086071862673e301", "5.684341886080802e-14", "9007199254740993.5"]
    {
        assert_eq!(serde_json::from_str::<f64>(text).unwrap(), text.parse::<f64>().unwrap(), "{text}");
    }
}
