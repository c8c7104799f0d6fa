//! Texts that a server may send: a pool with few ids, so that most events meet, and ways to spoil one.
//!
//! In a text `%r` stands for a response, `%i` for an item, and `%c` for a function call. What begins with `$`
//! is known only while the plan is carried out: `$event` is the client event that was sent last, `$item` the
//! item that this side made last.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::steered::bytes::Reader;

/// What a text is called, and what it says.
const TEXTS: &[(&str, &str)] = &[
    ("session.created", r#"{"type":"session.created","session":{"id":"s","expires_at":1790003600}}"#),
    ("session.updated", r#"{"type":"session.updated","session":{}}"#),
    (
        "session.updated.vad",
        r#"{"type":"session.updated","session":{"instructions":"x","audio":{"input":{"turn_detection":{"type":"server_vad","create_response":true,"interrupt_response":true}}}}}"#,
    ),
    (
        "session.updated.beta",
        r#"{"type":"session.updated","session":{"turn_detection":null,"input_audio_format":"g711_ulaw"}}"#,
    ),
    ("speech_started", r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":10,"item_id":"u%r"}"#),
    ("speech_stopped", r#"{"type":"input_audio_buffer.speech_stopped","audio_end_ms":900,"item_id":"u%r"}"#),
    ("committed", r#"{"type":"input_audio_buffer.committed","item_id":"u%r","previous_item_id":null}"#),
    ("cleared", r#"{"type":"input_audio_buffer.cleared"}"#),
    (
        "user.added",
        r#"{"type":"conversation.item.added","previous_item_id":"%i","item":{"id":"u%r","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]}}"#,
    ),
    (
        "user.delta",
        r#"{"type":"conversation.item.input_audio_transcription.delta","item_id":"u%r","content_index":0,"delta":"wait a minute"}"#,
    ),
    (
        "user.completed",
        r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"u%r","content_index":0,"transcript":"mhm"}"#,
    ),
    (
        "user.failed",
        r#"{"type":"conversation.item.input_audio_transcription.failed","item_id":"u%r","content_index":0,"error":{"code":"x"}}"#,
    ),
    ("response.created", r#"{"type":"response.created","response":{"id":"%r","conversation_id":"conv"}}"#),
    (
        "response.created.beside",
        r#"{"type":"response.created","response":{"id":"%r","conversation_id":null}}"#,
    ),
    (
        "item.added",
        r#"{"type":"conversation.item.added","previous_item_id":null,"item":{"id":"%i","type":"message","role":"assistant","content":[]}}"#,
    ),
    (
        "item.created",
        r#"{"type":"conversation.item.created","previous_item_id":"u%r","item":{"id":"%i","type":"message","role":"assistant","content":[]}}"#,
    ),
    (
        "item.done",
        r#"{"type":"conversation.item.done","item":{"id":"%i","type":"message","role":"assistant","status":"completed","content":[]}}"#,
    ),
    (
        "own.added",
        r#"{"type":"conversation.item.added","previous_item_id":"%i","item":{"id":"$item","type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}"#,
    ),
    (
        "own.output.added",
        r#"{"type":"conversation.item.added","item":{"id":"$item","type":"function_call_output","call_id":"%c","output":"{}"}}"#,
    ),
    ("item.deleted", r#"{"type":"conversation.item.deleted","item_id":"%i"}"#),
    (
        "item.truncated",
        r#"{"type":"conversation.item.truncated","item_id":"%i","content_index":0,"audio_end_ms":0}"#,
    ),
    (
        "item.retrieved",
        r#"{"type":"conversation.item.retrieved","item":{"id":"%i","type":"message","role":"assistant","content":[{"type":"output_audio","transcript":"so"}]}}"#,
    ),
    (
        "output_item.added",
        r#"{"type":"response.output_item.added","response_id":"%r","output_index":0,"item":{"id":"%i","type":"message","role":"assistant","content":[]}}"#,
    ),
    (
        "output_item.done.call",
        r#"{"type":"response.output_item.done","response_id":"%r","output_index":0,"item":{"id":"%i","type":"function_call","call_id":"%c","name":"f","arguments":"{}","status":"completed"}}"#,
    ),
    (
        "arguments.done",
        r#"{"type":"response.function_call_arguments.done","response_id":"%r","item_id":"%i","call_id":"%c","name":"f","arguments":"{}"}"#,
    ),
    (
        "audio.delta",
        r#"{"type":"response.output_audio.delta","response_id":"%r","item_id":"%i","content_index":0,"delta":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    ),
    (
        "audio.delta.beta",
        r#"{"type":"response.audio.delta","response_id":"%r","item_id":"%i","content_index":1,"delta":"AAECAwQFBgc="}"#,
    ),
    (
        "audio.done",
        r#"{"type":"response.output_audio.done","response_id":"%r","item_id":"%i","content_index":0}"#,
    ),
    (
        "transcript.delta",
        r#"{"type":"response.output_audio_transcript.delta","response_id":"%r","item_id":"%i","content_index":0,"delta":"wörds "}"#,
    ),
    (
        "text.delta.beta",
        r#"{"type":"response.text.delta","response_id":"%r","item_id":"%i","content_index":0,"delta":"words "}"#,
    ),
    (
        "response.done",
        r#"{"type":"response.done","response":{"id":"%r","status":"completed","output":[{"id":"%i","type":"message","role":"assistant","content":[]}],"usage":{"total_tokens":7}}}"#,
    ),
    (
        "response.done.cancelled",
        r#"{"type":"response.done","response":{"id":"%r","status":"cancelled","status_details":{"reason":"turn_detected"},"output":[]}}"#,
    ),
    (
        "response.done.failed",
        r#"{"type":"response.done","response":{"id":"%r","status":"failed","status_details":{"error":{"code":"server_error"}}}}"#,
    ),
    (
        "response.done.calls",
        r#"{"type":"response.done","response":{"id":"%r","status":"completed","output":[{"id":"%i","type":"function_call","call_id":"%c","name":"f","arguments":"{}","status":"completed"},{"id":"%ib","type":"function_call","call_id":"%cb","name":"g","arguments":"{\"a\":","status":"completed"}]}}"#,
    ),
    ("output.started", r#"{"type":"output_audio_buffer.started","response_id":"%r"}"#),
    ("output.stopped", r#"{"type":"output_audio_buffer.stopped","response_id":"%r"}"#),
    ("output.cleared", r#"{"type":"output_audio_buffer.cleared","response_id":"%r"}"#),
    (
        "error.active",
        r#"{"type":"error","error":{"code":"conversation_already_has_active_response","event_id":"$event"}}"#,
    ),
    (
        "error.value",
        r#"{"type":"error","error":{"type":"invalid_request_error","code":"invalid_value","param":"session.audio.input.turn_detection","event_id":"$event"}}"#,
    ),
    (
        "error.unknown",
        r#"{"type":"error","error":{"code":"unknown_parameter","param":"session.audio","message":"no"}}"#,
    ),
    ("error.cancel", r#"{"type":"error","error":{"code":"response_cancel_not_active","event_id":"$event"}}"#),
    (
        "error.retrieve",
        r#"{"type":"error","error":{"code":"item_retrieve_invalid_item_id","event_id":"$event"}}"#,
    ),
    ("error.empty", r#"{"type":"error","error":{"code":"input_audio_buffer_commit_empty"}}"#),
    ("error.quota", r#"{"type":"error","error":{"code":"insufficient_quota","message":"no"}}"#),
    (
        "error.expired",
        r#"{"type":"error","error":{"type":"invalid_request_error","code":"session_expired"}}"#,
    ),
    ("rate_limits", r#"{"type":"rate_limits.updated","rate_limits":[{"name":"tokens","remaining":1}]}"#),
    ("unknown", r#"{"type":"a.new.event","item_id":"%i","x":[1,{"y":null}]}"#),
];

/// Every server event of the reference, in both dialects.
static FIXTURES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let all = [
        include_str!("../../../crates/realtime-protocol/tests/fixtures/ga_server.jsonl"),
        include_str!("../../../crates/realtime-protocol/tests/fixtures/beta_server.jsonl"),
    ];
    all.iter().flat_map(|texts| texts.lines()).collect()
});

/// A text of the pool: which, then its ids.
pub(super) fn read(reader: &mut Reader<'_>) -> String {
    let (which, names) = (usize::from(reader.byte()), reader.byte());
    if let Some((_, text)) = TEXTS.get(which) {
        return with_ids(text, names);
    }
    let fixtures = &*FIXTURES;
    fixtures[(which - TEXTS.len()) % fixtures.len()].to_owned()
}

/// A text of the pool, by its name.
pub(super) fn named(name: &str, names: u8) -> String {
    let text = TEXTS.iter().find(|(of, _)| *of == name);
    with_ids(text.unwrap_or_else(|| panic!("there is no text {name}")).1, names)
}

/// An item of the pool's.
pub(super) fn item_id(names: u8) -> String {
    format!("r{}_i{}", names & 3, names >> 2 & 1)
}

/// A function call of the pool's.
pub(super) fn call_id(names: u8) -> String {
    format!("r{}_c{}{}", names & 3, names >> 3 & 1, if names & 16 == 16 { "b" } else { "" })
}

/// A response of the pool's.
pub(super) fn response_id(names: u8) -> String {
    format!("r{}", names & 3)
}

fn with_ids(text: &str, names: u8) -> String {
    let text = text.replace("%i", &item_id(names)).replace("%c", &call_id(names & 15));
    text.replace("%r", &response_id(names))
}

/// A text of the pool with something wrong in it: where, then what.
pub(super) fn spoiled(reader: &mut Reader<'_>) -> String {
    let text = read(reader);
    let (how, place) = (reader.byte(), usize::from(reader.byte()) | usize::from(reader.byte()) << 8);
    let at = place % text.len();
    match how % 4 {
        0 => String::from_utf8_lossy(&text.as_bytes()[..at]).into_owned(),
        1 => {
            let mut bytes = text.into_bytes();
            bytes[at] ^= 1 << (how >> 5);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        2 => {
            let more = ["\\ud83d", "NaN", "\n", "{", "\"type\":7,", "0"][usize::from(how >> 2) % 6];
            String::from_utf8_lossy(
                &[&text.as_bytes()[..at], more.as_bytes(), &text.as_bytes()[at..]].concat(),
            )
            .into_owned()
        }
        _ => {
            let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
            let mut left = place % members(&value).max(1);
            spoil(&mut value, &mut left, how >> 2);
            value.to_string()
        }
    }
}

/// How many members and elements a value has, at all depths.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(|member| 1 + self::members(member)).sum(),
        Value::Array(elements) => elements.iter().map(|element| 1 + members(element)).sum(),
        _ => 0,
    }
}

/// Spoils one member or element: the one after this many others. Returns whether it was there.
fn spoil(value: &mut Value, left: &mut usize, how: u8) -> bool {
    match value {
        Value::Object(members) if how % 8 == 7 && *left < members.len() => {
            let name = members.keys().nth(*left).cloned().unwrap_or_default();
            members.remove(&name).is_some()
        }
        Value::Object(members) => members.values_mut().any(|member| spoil_or_enter(member, left, how)),
        Value::Array(elements) => elements.iter_mut().any(|element| spoil_or_enter(element, left, how)),
        _ => false,
    }
}

fn spoil_or_enter(value: &mut Value, left: &mut usize, how: u8) -> bool {
    if *left > 0 {
        *left -= 1;
        return spoil(value, left, how);
    }
    *value = match how % 7 {
        0 => Value::Null,
        1 => 7.into(),
        2 => "r0".into(),
        3 => json!({"type": "odd", "x": [null]}),
        4 => u64::MAX.into(),
        5 => json!([]),
        _ => json!("ab".repeat(usize::from(how))),
    };
    true
}

#[cfg(test)]
mod tests {
    use realtime_protocol::event::{Dialect, ServerEvent};

    use super::*;

    #[test]
    fn the_pool_holds_events_that_a_dialect_knows() {
        for (name, _) in TEXTS {
            let text = named(name, 0);
            let is_known = |dialect| {
                let event = ServerEvent::decode(&text, dialect);
                !matches!(event, ServerEvent::Unknown(_) | ServerEvent::Malformed(_))
                    && event.mismatches().is_empty()
            };
            assert!(*name == "unknown" || [Dialect::Ga, Dialect::Beta].into_iter().any(is_known), "{name}");
        }
    }

    #[test]
    fn every_member_of_a_text_can_be_spoiled() {
        let value: Value = serde_json::from_str(&named("response.done.calls", 0)).unwrap();
        for how in 0..8 {
            for place in 0..members(&value) {
                let (mut spoiled, mut left) = (value.clone(), place);
                assert!(spoil(&mut spoiled, &mut left, how), "member {place}, {how}");
            }
        }
    }
}
