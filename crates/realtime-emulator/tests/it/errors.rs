//! Client events that cannot be taken: each is answered by an error, and the session goes on.

use realtime_emulator::brain::Parrot;
use realtime_emulator::{ConnectionOptions, Limits};
use serde_json::{Value, json};

use crate::driver::Driver;

fn check(text: &str, code: &str, param: &str, event_id: &str) {
    let mut driver = Driver::new();
    driver.send_text(text);
    assert_eq!(driver.error(), (code.into(), param.into(), event_id.into()), "{text}");
    driver.update(json!({}));
    driver.find("session.updated");
}

#[test]
fn text_that_is_no_event_is_refused() {
    check("not json", "invalid_json", "", "");
    check(r#"{"type":"response.create""#, "invalid_json", "", "");
    check("[]", "invalid_event", "", "");
    check(r#"{"event_id":"e1"}"#, "invalid_event", "", "e1");
    check(r#"{"type":"ping","event_id":"e2"}"#, "invalid_value", "type", "e2");
    check(r#"{"type":"transcription_session.update","session":{}}"#, "invalid_value", "type", "");
}

#[test]
fn the_text_of_a_refusal_says_what_was_wrong() {
    let mut driver = Driver::new();
    let mut check = |text: &str, code: &str, param: Value, expected: &str| {
        driver.send_text(text);
        let error = driver.find("error")["error"].clone();
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &param), "{text}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(expected), "{text}: {message}");
    };
    let type_is = "Invalid type for 'type': expected a string, but got";
    check(r#"{"type":5}"#, "invalid_type", json!("type"), &format!("{type_is} a number instead."));
    check(r#"{"type":null}"#, "invalid_type", json!("type"), &format!("{type_is} null instead."));
    check(r#"{"type":{}}"#, "invalid_type", json!("type"), &format!("{type_is} an object instead."));
    check("{}", "invalid_event", json!(null), "The 'type' field is missing.");
    let event_is = "Invalid event: expected an object with a string `type`, but got";
    check("[]", "invalid_event", json!(null), &format!("{event_is} an array."));
    check("7", "invalid_event", json!(null), &format!("{event_is} a number."));
    check("null", "invalid_event", json!(null), &format!("{event_is} null."));
    let not_json = "Invalid event: failed to parse JSON value.";
    for text in ["", " ", "\0", "{", "{\"type\":\"response.create\"}{}", &"[".repeat(200)] {
        check(text, "invalid_json", json!(null), not_json);
    }
    let delete = r#"{"type":"conversation.item.delete","item_id":7}"#;
    check(
        delete,
        "invalid_type",
        json!("item_id"),
        "Invalid type for 'item_id': expected a string, but got a number",
    );
}

#[test]
fn events_with_wrong_members_are_refused() {
    check(r#"{"type":"session.update","event_id":"e"}"#, "missing_required_parameter", "session", "e");
    check(
        r#"{"type":"conversation.item.delete","event_id":"e"}"#,
        "missing_required_parameter",
        "item_id",
        "e",
    );
    check(r#"{"type":"conversation.item.create","item":7}"#, "missing_required_parameter", "item.type", "");
    check(r#"{"type":"response.create","response":7}"#, "invalid_type", "response", "");
    check(r#"{"type":"response.create","surprise":7}"#, "unknown_parameter", "surprise", "");
    check(
        r#"{"type":"response.create","response":{"modalities":["text"]}}"#,
        "unknown_parameter",
        "response.modalities",
        "",
    );
    check(
        r#"{"type":"response.create","response":{"input":[{"type":"item_reference","id":"x"}]}}"#,
        "invalid_value",
        "response.input[0].id",
        "",
    );
    check(r#"{"type":"output_audio_buffer.clear"}"#, "invalid_event", "", "");
    let long = format!(r#"{{"type":"response.create","event_id":"{}"}}"#, "x".repeat(513));
    check(&long, "string_above_max_length", "event_id", &"x".repeat(513));
    let key = "k".repeat(65);
    let metadata = format!(r#"{{"type":"response.create","response":{{"metadata":{{"{key}":"v"}}}}}}"#);
    check(&metadata, "string_above_max_length", "response.metadata", "");
}

#[test]
fn audio_that_is_no_audio_is_refused() {
    check(r#"{"type":"input_audio_buffer.append","audio":"???"}"#, "invalid_value", "audio", "");
    check(r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#, "invalid_value", "audio", "");
    check(r#"{"type":"input_audio_buffer.append"}"#, "missing_required_parameter", "audio", "");
}

#[test]
fn a_binary_message_is_refused() {
    let mut driver = Driver::new();
    driver.send_binary();
    assert_eq!(driver.error().0, "invalid_event");
}

#[test]
fn the_input_buffer_is_bounded() {
    let limits = Limits { input_buffer_bytes: 48 * 1000, ..Limits::default() };
    let options = ConnectionOptions { limits, ..ConnectionOptions::default() };
    let mut driver = Driver::with(options.clone(), Parrot::new());
    driver.update(json!({"audio": {"input": {"turn_detection": null}}}));
    driver.take();
    driver.append_at_once(&[0; 48 * 1000]);
    driver.append_at_once(&[0; 2]);
    assert_eq!(driver.error().0, "invalid_value");

    // With turn detection, speech without end is cut into turns.
    let mut driver = Driver::with(options, Parrot::new());
    let loud: Vec<u8> = [0x00, 0x20, 0x00, 0xe0].repeat(24 * 3000 / 2);
    driver.append_at_once(&loud);
    let stopped = driver.kinds().iter().filter(|kind| kind.ends_with("speech_stopped")).count();
    assert!(stopped >= 2, "{stopped}");
}

#[test]
fn side_responses_are_bounded() {
    let limits = Limits { side_responses: 1, ..Limits::default() };
    let mut driver =
        Driver::with(ConnectionOptions { limits, ..ConnectionOptions::default() }, Parrot::new());
    let beside = json!({"type": "response.create", "response": {"conversation": "none"}});
    driver.send(&beside);
    driver.take();
    driver.send(&beside);
    assert_eq!(driver.error().0, "too_many_active_responses");
}
