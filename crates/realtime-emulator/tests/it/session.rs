//! The session: defaults, updates, expiry.

use realtime_emulator::brain::Parrot;
use realtime_emulator::{Connection, ConnectionOptions, Output};
use realtime_protocol::time::{Timestamp, UnixTime};
use serde_json::{Value, json};

use crate::driver::{Driver, as_json};

#[test]
fn a_session_begins_with_all_its_defaults() {
    let options = ConnectionOptions { model: "gpt-realtime-x".into(), ..ConnectionOptions::default() };
    let wall = UnixTime::from_micros(1_800_000_000_999_999);
    let mut connection = Connection::new(options, Box::new(Parrot::new()), Timestamp::ZERO, wall);
    let Some(Output::Send(event)) = connection.poll_output() else { panic!() };
    let session = as_json(&event)["session"].clone();
    assert!(session["id"].as_str().unwrap().starts_with("sess_"));
    assert_eq!(
        session,
        json!({
            "type": "realtime", "object": "realtime.session", "id": session["id"], "model": "gpt-realtime-x",
            "output_modalities": ["audio"], "instructions": session["instructions"], "tools": [],
            "tool_choice": "auto", "max_output_tokens": "inf", "truncation": "auto", "tracing": null, "prompt": null,
            "expires_at": 1_800_003_600, "include": null,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000}, "transcription": null, "noise_reduction": null,
                    "turn_detection": {
                        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                        "silence_duration_ms": 500, "idle_timeout_ms": null, "create_response": true,
                        "interrupt_response": true,
                    },
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
            },
        })
    );
}

/// Applies updates, and gives the member at a path of the last answer.
fn check(updates: &[Value], pointer: &str) -> Value {
    let mut driver = Driver::new();
    let mut session = Value::Null;
    for update in updates {
        driver.update(update.clone());
        session = driver.find("session.updated")["session"].clone();
    }
    session.pointer(pointer).cloned().unwrap_or_else(|| "absent".into())
}

#[test]
fn members_replace_null_clears_and_absent_ones_stay() {
    let tools = json!([{"type": "function", "name": "f"}]);
    let set = json!({"instructions": "Be brief.", "tools": tools, "audio": {"input": {
        "transcription": {"model": "whisper-1"}, "noise_reduction": {"type": "near_field"}}}});
    let other = json!({"audio": {"output": {"voice": "cedar"}}});
    let clear = json!({"instructions": null, "tools": null, "audio": {"input": {"transcription": null}}});
    let both = [set.clone(), other];
    let cleared = [set, clear];

    assert_eq!(check(&both, "/instructions"), "Be brief.");
    assert_eq!(check(&both, "/tools"), tools);
    assert_eq!(check(&both, "/audio/output/voice"), "cedar");
    assert_eq!(check(&both, "/audio/output/speed"), 1.0);
    let transcription = json!({"model": "whisper-1", "language": null, "prompt": null});
    assert_eq!(check(&both, "/audio/input/transcription"), transcription);
    assert_eq!(check(&both, "/audio/input/turn_detection/silence_duration_ms"), 500);

    assert_eq!(check(&cleared, "/instructions"), "");
    assert_eq!(check(&cleared, "/tools"), json!([]));
    assert_eq!(check(&cleared, "/audio/input/transcription"), json!(null));
    assert_eq!(check(&cleared, "/audio/input/noise_reduction/type"), "near_field");
}

#[test]
fn turn_detection_is_answered_whole() {
    let detection = |value: Value| {
        check(&[json!({"audio": {"input": {"turn_detection": value}}})], "/audio/input/turn_detection")
    };
    assert_eq!(detection(json!(null)), json!(null));
    assert_eq!(
        detection(json!({"type": "server_vad", "silence_duration_ms": 200})),
        json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
            "create_response": true, "interrupt_response": true, "idle_timeout_ms": null})
    );
    assert_eq!(
        detection(json!({"type": "semantic_vad", "interrupt_response": false})),
        json!({"type": "semantic_vad", "eagerness": "auto", "create_response": true, "interrupt_response": false})
    );
}

#[test]
fn a_voice_of_ones_own_is_shown_by_its_id() {
    let update = json!({"audio": {"output": {"voice": {"id": "voice_1"}}}});
    assert_eq!(check(&[update], "/audio/output/voice"), "voice_1");
}

#[test]
fn one_bad_member_refuses_the_whole_update() {
    let input = |member: Value| json!({"type": "realtime", "audio": {"input": member}});
    for (session, code, param) in [
        (json!({"instructions": "x"}), "missing_required_parameter", "session.type"),
        (json!({"type": "transcription"}), "invalid_value", "session.type"),
        (json!({"type": "poem"}), "invalid_value", "session.type"),
        (json!({"type": "realtime", "temperature": 0.8}), "unknown_parameter", "session.temperature"),
        (json!({"type": "realtime", "voice": "alloy"}), "unknown_parameter", "session.voice"),
        (json!({"type": "realtime", "id": "sess_1"}), "unknown_parameter", "session.id"),
        (json!({"type": "realtime", "instructions": 7}), "invalid_type", "session.instructions"),
        (json!({"type": "realtime", "model": "other"}), "invalid_value", "session.model"),
        (json!({"type": "realtime", "reasoning": {"effort": "low"}}), "invalid_value", "session.reasoning"),
        (
            json!({"type": "realtime", "output_modalities": ["audio", "text"]}),
            "invalid_value",
            "session.output_modalities",
        ),
        (
            json!({"type": "realtime", "max_output_tokens": 5000}),
            "invalid_value",
            "session.max_output_tokens",
        ),
        (json!({"type": "realtime", "tool_choice": "always"}), "invalid_value", "session.tool_choice"),
        (
            json!({"type": "realtime", "tools": [{"type": "function"}]}),
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        (
            json!({"type": "realtime", "tools": [{"type": "function", "name": "f", "strict": true}]}),
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (
            json!({"type": "realtime", "tools": [{"name": "f"}]}),
            "missing_required_parameter",
            "session.tools[0].type",
        ),
        (
            input(json!({"format": {"type": "audio/pcm", "rate": 16000}})),
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (input(json!({"format": {"type": "audio/mp3"}})), "invalid_value", "session.audio.input.format.type"),
        (
            input(json!({"turn_detection": {"type": "server_vad", "threshold": 2}})),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            input(json!({"turn_detection": {"type": "server_vad", "eagerness": "low"}})),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            input(json!({"turn_detection": {"threshold": 0.5}})),
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (
            json!({"type": "realtime", "audio": {"output": {"speed": 2}}}),
            "invalid_value",
            "session.audio.output.speed",
        ),
    ] {
        let mut driver = Driver::new();
        let mut bad = session.clone();
        if bad.get("instructions").is_none() {
            bad["instructions"] = "changed".into();
        }
        driver.send(&json!({"type": "session.update", "event_id": "su", "session": bad}));
        assert_eq!(driver.error(), (code.into(), param.into(), "su".into()), "{session}");
        driver.update(json!({}));
        assert_ne!(driver.find("session.updated")["session"]["instructions"], "changed", "{session}");
    }
}

#[test]
fn the_voice_is_fixed_once_it_was_heard() {
    let mut driver = Driver::new();
    driver.update(json!({"audio": {"output": {"voice": "cedar"}}}));
    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    driver.take();
    driver.update(json!({"audio": {"output": {"voice": "cedar"}}}));
    driver.find("session.updated");
    driver.update(json!({"audio": {"output": {"voice": "marin"}}}));
    assert_eq!(driver.error().0, "cannot_update_voice");
    driver.send(&json!({"type": "response.create", "response": {"audio": {"output": {"voice": "marin"}}}}));
    assert_eq!(driver.error().0, "cannot_update_voice");
}

#[test]
fn a_session_ends_after_an_hour() {
    let mut driver = Driver::new();
    driver.run(3_599_999);
    assert_eq!(driver.kinds(), [""; 0]);
    driver.run(1);
    assert_eq!(driver.error().0, "session_expired");
    assert_eq!(driver.closed, Some(1001));
    driver.send(&json!({"type": "response.create"}));
    driver.run(10_000);
    assert_eq!(driver.kinds(), [""; 0]);
}
