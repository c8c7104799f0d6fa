//! The two spellings: what is translated, what is kept, what is dropped.

use alloc::string::{String, ToString};

use serde_json::{Value, json};

use crate::compare::first_difference;
use crate::dialect::Dialect;
use crate::event::{ClientEvent, ServerEvent, SessionUpdate};

/// Reads in one dialect and writes in the other.
fn server(value: &Value, from: Dialect, to: Dialect) -> Value {
    serde_json::from_str(&ServerEvent::decode(&value.to_string(), from).encode(to)).unwrap()
}

fn client(value: &Value, from: Dialect, to: Dialect) -> Value {
    serde_json::from_str(&ClientEvent::decode(&value.to_string(), from).encode(to)).unwrap()
}

fn beta_update() -> Value {
    json!({"type": "session.update", "event_id": "e", "session": {
        "modalities": ["text", "audio"], "voice": "sage", "speed": 1.1, "instructions": "Be brief.",
        "input_audio_format": "g711_ulaw", "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"}, "input_audio_noise_reduction": null,
        "turn_detection": {"type": "server_vad", "threshold": 0.5}, "tools": [], "tool_choice": "auto",
        "temperature": 0.8, "max_response_output_tokens": "inf", "speech_model": "kokoro",
    }})
}

#[test]
fn a_flat_session_is_nested_for_ga() {
    assert_eq!(
        client(&beta_update(), Dialect::Beta, Dialect::Ga),
        json!({"type": "session.update", "event_id": "e", "session": {
            "type": "realtime", "output_modalities": ["audio"], "instructions": "Be brief.",
            "audio": {
                "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
                    "noise_reduction": null, "turn_detection": {"type": "server_vad", "threshold": 0.5}},
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "sage", "speed": 1.1},
            },
            "tools": [], "tool_choice": "auto", "max_output_tokens": "inf", "speech_model": "kokoro",
        }})
    );
}

#[test]
fn a_nested_session_is_flat_for_beta_without_what_beta_refuses() {
    let ga = json!({"type": "session.update", "session": {
        "type": "realtime", "output_modalities": ["audio"], "max_output_tokens": 200,
        "audio": {"input": {"format": {"type": "audio/pcma"}, "turn_detection":
            {"type": "server_vad", "idle_timeout_ms": 6000}}, "output": {"voice": "marin"}},
        "tools": [{"type": "mcp", "server_label": "docs"}, {"type": "function", "name": "f"}],
        "tool_choice": {"type": "mcp", "server_label": "docs"},
        "truncation": "auto", "reasoning": {"effort": "low"}, "parallel_tool_calls": true,
    }});
    assert_eq!(
        client(&ga, Dialect::Ga, Dialect::Beta),
        json!({"type": "session.update", "session": {
            "modalities": ["text", "audio"], "max_response_output_tokens": 200, "voice": "marin",
            "input_audio_format": "g711_alaw", "turn_detection": {"type": "server_vad"},
            "tools": [{"type": "function", "name": "f"}],
        }})
    );
}

#[test]
fn what_is_switched_off_stays_null_in_both() {
    let beta = json!({"type": "session.update", "session": {"turn_detection": null}});
    let ga = json!({"type": "session.update", "session":
        {"type": "realtime", "audio": {"input": {"turn_detection": null}}}});
    assert_eq!(client(&beta, Dialect::Beta, Dialect::Ga), ga);
    assert_eq!(client(&ga, Dialect::Ga, Dialect::Beta), beta);
}

#[test]
fn a_transcription_session_has_event_names_of_its_own_in_beta() {
    let beta = json!({"type": "transcription_session.update", "session":
        {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}});
    let ga = json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input":
        {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": {"model": "gpt-4o-transcribe"}}}}});
    assert_eq!(client(&beta, Dialect::Beta, Dialect::Ga), ga);
    assert_eq!(client(&ga, Dialect::Ga, Dialect::Beta), beta);
}

#[test]
fn a_response_and_its_items_are_respelled() {
    let beta = json!({"type": "response.done", "response": {
    "id": "resp_1", "modalities": ["text", "audio"], "voice": "alloy", "output_audio_format": "pcm16",
    "temperature": 0.8, "max_output_tokens": "inf", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "audio", "transcript": "Well"}]},
        {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
    ]}});
    assert_eq!(
        server(&beta, Dialect::Beta, Dialect::Ga),
        json!({"type": "response.done", "response": {
        "id": "resp_1", "output_modalities": ["audio"], "max_output_tokens": "inf",
        "audio": {"output": {"voice": "alloy", "format": {"type": "audio/pcm", "rate": 24000}}}, "output": [
            {"type": "message", "role": "assistant", "content":
                [{"type": "output_audio", "transcript": "Well"}]},
            {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
        ]}})
    );
    let event = ServerEvent::decode(&beta.to_string(), Dialect::Beta);
    let ServerEvent::ResponseDone(done) = &event else { panic!("{event:?}") };
    assert!(done.extra.spelling().is_none(), "beta's own spelling needs no copy of the text");
}

#[test]
fn only_added_is_a_creation() {
    let item = json!({"id": "item_1", "type": "message", "role": "assistant", "content": []});
    let added = json!({"type": "conversation.item.added", "previous_item_id": null, "item": item});
    let event = ServerEvent::decode(&added.to_string(), Dialect::Ga);
    assert!(event.is_sent_in(Dialect::Beta));
    assert_eq!(
        server(&added, Dialect::Ga, Dialect::Beta),
        json!({"type": "conversation.item.created", "previous_item_id": null, "item": item})
    );
    let done = json!({"type": "conversation.item.done", "item": item}).to_string();
    assert!(!ServerEvent::decode(&done, Dialect::Ga).is_sent_in(Dialect::Beta));
}

#[test]
fn every_spelling_is_written_again_as_it_came_in_either_dialect() {
    let item =
        json!({"id": "i", "type": "message", "role": "assistant", "content": [{"type": "text", "text": ""}]});
    for event in [
        json!({"type": "response.audio.delta", "item_id": "i", "delta": "AAEC"}),
        json!({"type": "response.output_audio.delta", "item_id": "i", "delta": "AAEC"}),
        json!({"type": "response.audio_transcript.done", "item_id": "i", "transcript": "x", "new": [1]}),
        json!({"type": "conversation.item.added", "item": item}),
        json!({"type": "conversation.item.created", "item": item}),
        json!({"type": "session.created", "session": {"voice": "a", "audio": {"input": {"format": "pcm16"}}}}),
        json!({"type": "session.created", "session": {"type": "realtime", "temperature": 1, "truncation": "auto"}}),
        json!({"type": "session.updated", "session": {"modalities": ["audio", "text"], "voice": 7}}),
        json!({"type": "session.updated", "session": {"audio": 3, "voice": "x", "modalities": "both"}}),
        json!({"type": "transcription_session.updated", "session": {"turn_detection": null}}),
        json!({"type": "response.created", "response": {"modalities": ["text"], "output_modalities": ["audio"]}}),
        json!({"type": "response.done", "response": []}),
    ] {
        for dialect in [Dialect::Ga, Dialect::Beta] {
            let text = event.to_string();
            let decoded = ServerEvent::decode(&text, dialect);
            assert_eq!(first_difference(&text, &decoded.encode(dialect)), None, "{dialect:?} {text}");
            let ServerEvent::Unknown(_) = decoded else { continue };
            panic!("{dialect:?} {text}");
        }
    }
}

#[test]
fn a_kept_spelling_ends_with_the_first_change() {
    let text = json!({"type": "session.update", "session": {"modalities": ["audio", "text"], "voice": "a"}});
    let mut event = ClientEvent::decode(&text.to_string(), Dialect::Beta);
    assert_eq!(event.encode(Dialect::Beta), text.to_string());
    let ClientEvent::SessionUpdate(SessionUpdate { session, .. }) = &mut event else { panic!("{event:?}") };
    session.output_mut().voice = "b".into();
    let again: Value = serde_json::from_str(&event.encode(Dialect::Beta)).unwrap();
    assert_eq!(again["session"], json!({"modalities": ["text", "audio"], "voice": "b"}));
}

#[test]
fn ga_is_never_sent_what_only_beta_has() {
    let config = crate::session_config::SessionConfig::realtime().temperature(0.7).instructions("x");
    let event: ClientEvent = SessionUpdate::default().session(config).into();
    let written: String = event.encode(Dialect::Ga);
    assert_eq!(written, r#"{"type":"session.update","session":{"type":"realtime","instructions":"x"}}"#);
    assert!(event.encode(Dialect::Beta).contains(r#""temperature":0.7"#));
}
