//! Items: creating, retrieving, truncating, deleting.

use realtime_emulator::brain::Parrot;
use realtime_emulator::{ConnectionOptions, Limits};
use serde_json::{Value, json};

use crate::driver::{Driver, base64};

fn message(id: &str) -> Value {
    json!({"id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]})
}

fn create(driver: &mut Driver, item: &Value, previous: Option<&str>) {
    let mut event = json!({"type": "conversation.item.create", "event_id": "ic", "item": item});
    if let Some(previous) = previous {
        event["previous_item_id"] = previous.into();
    }
    driver.send(&event);
}

fn on_item(driver: &mut Driver, verb: &str, id: &str) {
    driver.send(&json!({"type": format!("conversation.item.{verb}"), "event_id": "on", "item_id": id}));
}

/// A driver whose assistant has spoken, and the id of its item.
fn spoken() -> (Driver, String) {
    let mut driver = Driver::new();
    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    let done = driver.new_done();
    let id = done["output"][0]["id"].as_str().unwrap().to_owned();
    (driver, id)
}

fn truncate(driver: &mut Driver, id: &str, end_ms: u64) {
    driver.send(
        &json!({"type": "conversation.item.truncate", "event_id": "t", "item_id": id, "content_index": 0,
        "audio_end_ms": end_ms}),
    );
}

#[test]
fn items_go_where_the_client_says() {
    let mut driver = Driver::new();
    for (id, after, previous) in [
        ("a", None, json!(null)),
        ("b", None, json!("a")),
        ("c", Some("a"), json!("a")),
        ("d", Some("root"), json!(null)),
        ("e", None, json!("b")),
    ] {
        create(&mut driver, &message(id), after);
        let added = driver.find("conversation.item.added");
        assert_eq!((&added["item"]["id"], &added["previous_item_id"]), (&json!(id), &previous), "{id}");
        assert_eq!(added["item"]["status"], "completed");
        assert_eq!(driver.find("conversation.item.done")["item"], added["item"]);
    }
    create(&mut driver, &message("f"), Some("nowhere"));
    let expected = ("item_create_invalid_previous_item_id".into(), "previous_item_id".into(), "ic".into());
    assert_eq!(driver.error(), expected);
    on_item(&mut driver, "retrieve", "f");
    assert_eq!(driver.error().0, "item_retrieve_invalid_item_id");
}

#[test]
fn items_that_the_service_refuses_are_refused() {
    let mut driver = Driver::new();
    create(&mut driver, &message("a"), None);
    driver.take();
    let long = "x".repeat(33);
    let assistant = |part: Value| json!({"type": "message", "role": "assistant", "content": [part]});
    for (item, code, param) in [
        (message("a"), "item_create_duplicate_id", "item.id"),
        (message(&long), "string_above_max_length", "item.id"),
        (json!({"type": "message", "content": []}), "missing_required_parameter", "item.role"),
        (json!({"type": "message", "role": "user"}), "missing_required_parameter", "item.content"),
        (json!({"type": "message", "role": "robot", "content": []}), "invalid_value", "item.role"),
        (assistant(json!({"type": "text", "text": "x"})), "invalid_value", "item.content[0].type"),
        (
            assistant(json!({"type": "output_audio", "transcript": "x"})),
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (json!({"type": "novel"}), "invalid_value", "item.type"),
        (json!({}), "missing_required_parameter", "item.type"),
        (json!({"type": "function_call_output", "call_id": "c", "output": "x"}), "invalid_tool_call_id", ""),
        (
            json!({"type": "function_call_output", "output": "x"}),
            "missing_required_parameter",
            "item.call_id",
        ),
        (json!({"type": "function_call", "name": "f"}), "missing_required_parameter", "item.arguments"),
        (
            json!({"type": "function_call", "name": "f", "arguments": "{}", "call_id": long}),
            "string_above_max_length",
            "item.call_id",
        ),
        (json!({"type": "message", "role": "user", "content": [], "x": 1}), "unknown_parameter", "item.x"),
    ] {
        create(&mut driver, &item, None);
        assert_eq!(driver.error(), (code.into(), param.into(), "ic".into()), "{item}");
    }
}

#[test]
fn history_can_be_rebuilt() {
    let mut driver = Driver::new();
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
    let said =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]});
    for item in [call, json!({"type": "function_call_output", "call_id": "call_1", "output": "42"}), said] {
        create(&mut driver, &item, None);
        assert_eq!(driver.kinds(), ["conversation.item.added", "conversation.item.done"]);
    }
}

#[test]
fn audio_comes_back_with_a_retrieved_item() {
    let mut driver = Driver::new();
    let audio = base64(&[1, 0, 2, 0]);
    let part = json!({"type": "input_audio", "audio": audio, "transcript": "hi"});
    create(&mut driver, &json!({"id": "u", "type": "message", "role": "user", "content": [part]}), None);
    let added = driver.find("conversation.item.added");
    assert_eq!(added["item"]["content"], json!([{"type": "input_audio", "transcript": "hi"}]));
    on_item(&mut driver, "retrieve", "u");
    assert_eq!(driver.find("conversation.item.retrieved")["item"]["content"], json!([part]));

    let (mut driver, id) = spoken();
    driver.send(&json!({"type": "conversation.item.retrieve", "item_id": id}));
    let item = driver.find("conversation.item.retrieved")["item"].clone();
    assert!(item["content"][0]["audio"].as_str().unwrap().len() > 2 * 64_000);
}

#[test]
fn what_was_transcribed_is_in_the_retrieved_item() {
    let mut driver = Driver::new();
    driver.update(json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}));
    driver.speak("Hello");
    driver.silence(700);
    driver.run(1000);
    let id = driver.find("input_audio_buffer.committed")["item_id"].clone();
    let said = driver.find("conversation.item.input_audio_transcription.completed")["transcript"].clone();
    assert!(said.as_str().unwrap().starts_with("speech, "), "{said}");
    driver.send(&json!({"type": "conversation.item.retrieve", "item_id": id}));
    let item = driver.find("conversation.item.retrieved")["item"].clone();
    assert_eq!(item["content"][0]["transcript"], said);
}

#[test]
fn deleted_items_are_gone() {
    let mut driver = Driver::new();
    create(&mut driver, &message("a"), None);
    on_item(&mut driver, "delete", "a");
    driver.find("conversation.item.deleted");
    on_item(&mut driver, "delete", "a");
    assert_eq!(driver.error(), ("item_delete_invalid_item_id".into(), "item_id".into(), "on".into()));
    create(&mut driver, &message("b"), None);
    assert_eq!(driver.find("conversation.item.added")["previous_item_id"], json!(null));
}

#[test]
fn truncation_shortens_the_audio_and_drops_the_transcript() {
    let (mut driver, id) = spoken();
    truncate(&mut driver, &id, 1500);
    let truncated = driver.find("conversation.item.truncated");
    assert_eq!((&truncated["item_id"], &truncated["audio_end_ms"]), (&json!(id), &json!(1500)));
    driver.send(&json!({"type": "conversation.item.retrieve", "item_id": id}));
    let part = driver.find("conversation.item.retrieved")["item"]["content"][0].clone();
    assert_eq!(part.get("transcript"), None);
    assert_eq!(part["audio"].as_str().unwrap().len(), 1500 * 48 / 3 * 4);

    truncate(&mut driver, &id, 1501);
    assert_eq!(driver.error(), ("invalid_value".into(), "audio_end_ms".into(), "t".into()));
    truncate(&mut driver, &id, 0);
    driver.find("conversation.item.truncated");
    truncate(&mut driver, "unknown", 0);
    assert_eq!(driver.error(), ("item_truncate_invalid_item_id".into(), "item_id".into(), "t".into()));
    create(&mut driver, &message("a"), None);
    driver.take();
    truncate(&mut driver, "a", 0);
    assert_eq!(driver.error().0, "unsupported_content_type");
}

#[test]
fn an_item_truncated_while_it_is_made_stays_truncated() {
    let mut driver = Driver::new();
    driver.write("a long story");
    driver.send(&json!({"type": "response.create"}));
    driver.run(400);
    let id = driver.find("response.output_item.added")["item"]["id"].as_str().unwrap().to_owned();
    truncate(&mut driver, &id, 500);
    driver.find("conversation.item.truncated");
    driver.run(10_000);
    driver.new_done();
    driver.send(&json!({"type": "conversation.item.retrieve", "item_id": id}));
    let part = driver.find("conversation.item.retrieved")["item"]["content"][0].clone();
    assert_eq!(part.get("transcript"), None);
    assert_eq!(part["audio"].as_str().unwrap().len(), 500 * 48 / 3 * 4);
}

#[test]
fn what_is_kept_is_bounded() {
    let limits =
        Limits { items: 3, conversation_audio_bytes: 100, item_audio_bytes: 60, ..Limits::default() };
    let mut driver =
        Driver::with(ConnectionOptions { limits, ..ConnectionOptions::default() }, Parrot::new());
    for id in ["a", "b", "c", "d"] {
        let part = json!({"type": "input_audio", "audio": base64(&[1; 48])});
        create(&mut driver, &json!({"id": id, "type": "message", "role": "user", "content": [part]}), None);
    }
    driver.take();
    on_item(&mut driver, "retrieve", "a");
    assert_eq!(driver.error().0, "item_retrieve_invalid_item_id");
    for (id, characters) in [("b", 0), ("c", 64), ("d", 64)] {
        on_item(&mut driver, "retrieve", id);
        let item = driver.find("conversation.item.retrieved")["item"].clone();
        assert_eq!(item["content"][0]["audio"].as_str().unwrap().len(), characters, "{id}");
    }
    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    let id = driver.new_done()["output"][0]["id"].as_str().unwrap().to_owned();
    on_item(&mut driver, "retrieve", &id);
    let item = driver.find("conversation.item.retrieved")["item"].clone();
    assert_eq!(item["content"][0]["audio"].as_str().unwrap().len(), 80);
    // All of it was sent, and counts.
    truncate(&mut driver, &id, 1900);
    driver.find("conversation.item.truncated");
}
