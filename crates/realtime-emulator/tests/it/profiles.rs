//! Servers that do not do all of it.

use realtime_emulator::brain::Parrot;
use realtime_emulator::{ConnectionOptions, Profile};
use serde_json::{Value, json};

use crate::driver::Driver;

fn driver(profile: Profile) -> Driver {
    let dialect = profile.dialect().unwrap_or_default();
    Driver::with(ConnectionOptions { profile, dialect, ..ConnectionOptions::default() }, Parrot::new())
}

/// The types of all events so far as they are on the wire, the deltas of a run as one.
fn wire_kinds(driver: &mut Driver) -> Vec<String> {
    let story = std::mem::take(&mut driver.story);
    let mut kinds: Vec<String> = Vec::new();
    for line in story.lines() {
        let event: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        let kind = event["type"].as_str().unwrap();
        if !(kind.contains("delta") && kinds.last().is_some_and(|last| last.contains("delta"))) {
            kinds.push(kind.into());
        }
    }
    driver.take();
    kinds
}

#[test]
fn a_minimal_server_says_only_what_it_must() {
    let mut driver = driver(Profile::Minimal);
    driver.speak("Good morning to you.");
    driver.silence(600);
    driver.run(10_000);
    assert_eq!(
        wire_kinds(&mut driver),
        [
            "session.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "conversation.item.created",
            "conversation.item.created",
            "response.output_audio_transcript.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.done",
        ]
    );
    driver.write("f");
    let created = driver.find("conversation.item.created");
    assert!(created.get("previous_item_id").is_none() && created["item"]["id"].is_string(), "{created}");
    driver.send(&json!({"type": "response.cancel", "event_id": "mine"}));
    let error = driver.find("error");
    assert_eq!(error, json!({"type": "error", "error": "Cancellation failed: no active response found"}));
}

#[test]
fn azures_preview_speaks_beta_and_has_no_audio_without_text() {
    let mut driver = driver(Profile::AzurePreview);
    let update = |modalities: Value| json!({"type": "session.update", "session": {"modalities": modalities}});
    driver.send(&update(json!(["audio"])));
    assert_eq!(driver.find("error")["error"]["code"], "invalid_value");
    driver.send(&update(json!(["audio", "text"])));
    assert_eq!(driver.find("session.updated")["session"]["modalities"], json!(["text", "audio"]));
    driver.write("hello");
    driver.send(&json!({"type": "response.create", "response": {"modalities": ["text"]}}));
    driver.run(5000);
    let kinds = wire_kinds(&mut driver);
    for kind in ["conversation.item.created", "response.text.delta", "response.text.done"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn speaches_cannot_cancel_truncate_or_retrieve() {
    let mut driver = driver(Profile::Speaches);
    for event in [
        json!({"type": "response.cancel", "event_id": "e"}),
        json!({"type": "conversation.item.truncate", "event_id": "e", "item_id": "x", "content_index": 0, "audio_end_ms": 1}),
        json!({"type": "conversation.item.retrieve", "event_id": "e", "item_id": "x"}),
    ] {
        driver.send(&event);
        let error = driver.find("error")["error"].clone();
        assert_eq!((&error["type"], &error["event_id"]), (&json!("server_error"), &json!("e")));
        assert!(error.get("code").is_none(), "{error}");
    }
    driver.send(&json!({"type": "session.update", "session": {"input_audio_format": "pcm16"}}));
    driver.send(&json!({"type": "session.update", "session": {"turn_detection": null}}));
    assert_eq!(driver.kinds(), ["error", "error"]);
}

#[test]
fn with_speaches_a_new_response_ends_the_old_one() {
    let mut driver = driver(Profile::Speaches);
    driver.write("Tell me a long story.");
    driver.send(&json!({"type": "response.create", "response": {"metadata": {"a": "b"}}}));
    assert!(driver.find("error")["error"]["message"].as_str().unwrap().contains("not supported"));
    assert_eq!(driver.find("response.created")["response"]["metadata"], json!(null));
    driver.run(300);
    driver.send(&json!({"type": "response.create"}));
    assert_eq!(driver.new_done()["status"], "cancelled");
    driver.find("response.created");
    driver.run(60_000);
    assert_eq!(driver.new_done()["status"], "completed");
}

#[test]
fn with_speaches_the_transcript_comes_before_the_response() {
    let mut driver = driver(Profile::Speaches);
    driver.send(
        &json!({"type": "session.update", "session": {"input_audio_transcription": {"model": "whisper-1"}}}),
    );
    driver.find("session.updated");
    driver.speak("Good morning to you.");
    driver.silence(600);
    driver.run(10_000);
    let kinds = wire_kinds(&mut driver);
    let at =
        |kind: &str| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("{kind} in {kinds:?}"));
    let completed = at("conversation.item.input_audio_transcription.completed");
    assert!(completed < at("response.created"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind.ends_with("transcription.delta")), "{kinds:?}");
}
