//! Kinds of session: beta's spelling, transcription, the side channel of a call.

use std::time::Duration;

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::{Parrot, Reply, Step};
use realtime_protocol::event::Dialect;
use realtime_protocol::session_config::SessionKind;
use serde_json::{Value, json};

use crate::driver::Driver;

fn beta() -> Driver {
    Driver::with(ConnectionOptions { dialect: Dialect::Beta, ..ConnectionOptions::default() }, Parrot::new())
}

fn transcription_kind(dialect: Dialect, model: &str) -> Driver {
    let (kind, model) = (SessionKind::Transcription, model.into());
    Driver::with(ConnectionOptions { dialect, kind, model, ..ConnectionOptions::default() }, Parrot::new())
}

/// The wire names of all events so far, the deltas of a run as one.
fn wire_kinds(driver: &Driver) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for line in driver.story.lines() {
        let event: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        let kind = event["type"].as_str().unwrap();
        if !(kind.contains("delta") && kinds.last().is_some_and(|last| last.contains("delta"))) {
            kinds.push(kind.into());
        }
    }
    kinds
}

#[test]
fn a_beta_turn_has_betas_events_in_betas_order() {
    let mut driver = beta();
    assert_eq!(driver.find("conversation.created")["conversation"]["object"], "realtime.conversation");
    driver.send(
        &json!({"type": "session.update", "session": {"voice": "sage", "modalities": ["audio", "text"],
        "temperature": 0.7, "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        "input_audio_transcription": {"model": "whisper-1"}}}),
    );
    let session = driver.find("session.updated")["session"].clone();
    assert_eq!(
        (&session["voice"], &session["modalities"], &session["temperature"], &session["input_audio_format"]),
        (&json!("sage"), &json!(["text", "audio"]), &json!(0.7), &json!("pcm16"))
    );
    assert!(session.get("audio").is_none() && session.get("type").is_none());
    driver.story.clear();
    driver.speak("Good morning to you.");
    driver.silence(400);
    driver.run(10_000);
    assert_eq!(
        wire_kinds(&driver),
        [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.created",
            "response.created",
            "rate_limits.updated",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.output_item.added",
            "conversation.item.created",
            "response.content_part.added",
            "response.audio_transcript.delta",
            "response.audio.done",
            "response.audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
    );
    let done = driver.find("response.done")["response"].clone();
    assert_eq!((&done["modalities"], &done["voice"]), (&json!(["text", "audio"]), &json!("sage")));
    let item = &done["output"][0];
    assert_eq!((&item["object"], &item["content"][0]["type"]), (&json!("realtime.item"), &json!("audio")));
}

#[test]
fn a_beta_call_begins_with_empty_arguments() {
    let mut driver = beta();
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    driver.send(&json!({"type": "session.update", "session": {"tools": tools}}));
    driver.write("f");
    driver.send(&json!({"type": "response.create", "response": {"modalities": ["text"]}}));
    driver.run(2000);
    assert_eq!(driver.find("response.created")["response"]["output"], json!([]));
    assert_eq!(driver.find("response.output_item.added")["item"]["arguments"], "");
    let done = driver.find("response.function_call_arguments.done");
    assert!(done.get("name").is_none() && done["arguments"] == "{}");
}

#[test]
fn beta_refuses_in_its_own_words() {
    let mut driver = beta();
    driver.take();
    driver.send(&json!({"type": "session.update", "session": {"turn_detection": {"type": "server_vad", "threshold": 7}}}));
    assert_eq!(driver.error().1, "session.turn_detection.threshold");
    driver.send(&json!({"type": "session.update", "session": {"audio": {}}}));
    assert_eq!(driver.error(), ("unknown_parameter".into(), "session.audio".into(), String::new()));
}

#[test]
fn a_transcription_session_only_listens() {
    let mut driver = transcription_kind(Dialect::Ga, "");
    driver.send(&json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input": {
        "transcription": {"model": "gpt-4o-transcribe"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}}}));
    let session = driver.find("session.updated")["session"].clone();
    assert_eq!(
        (&session["type"], &session["object"]),
        (&json!("transcription"), &json!("realtime.transcription_session"))
    );
    assert!(session.get("model").is_none() && session["audio"].get("output").is_none());
    driver.speak("Please write this down.");
    driver.silence(400);
    driver.run(2000);
    let kinds = driver.kinds();
    assert!(kinds.contains(&"conversation.item.input_audio_transcription.completed".into()), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind.starts_with("response.")));

    driver.send(&json!({"type": "response.create"}));
    assert_eq!(driver.error().0, "invalid_event");
    driver
        .send(&json!({"type": "session.update", "session": {"type": "transcription", "instructions": "x"}}));
    assert_eq!(driver.error(), ("unknown_parameter".into(), "session.instructions".into(), String::new()));
    driver.send(&json!({"type": "session.update", "session": {"type": "realtime"}}));
    assert_eq!(driver.error().1, "session.type");
}

#[test]
fn a_transcription_session_has_no_model_in_its_url() {
    let mut driver = transcription_kind(Dialect::Ga, "gpt-4o-transcribe");
    driver.send(&json!({"type": "session.update", "session": {"type": "transcription"}}));
    assert_eq!(driver.error().0, "invalid_model");
}

#[test]
fn betas_transcription_session_has_its_own_events() {
    let mut driver = transcription_kind(Dialect::Beta, "");
    driver.send(&json!({"type": "transcription_session.update", "session": {
        "input_audio_transcription": {"model": "whisper-1"}}}));
    let kinds = wire_kinds(&driver);
    assert_eq!(
        kinds,
        ["transcription_session.created", "conversation.created", "transcription_session.updated"]
    );
}

#[test]
fn the_side_channel_of_a_call_has_no_audio_and_tells_what_plays() {
    let options = ConnectionOptions { sideband: true, ..ConnectionOptions::default() };
    let mut driver = Driver::with(options, Parrot::new());
    driver.send(&json!({"type": "response.create"}));
    driver.run(20_000);
    let kinds = driver.kinds();
    assert!(kinds.contains(&"output_audio_buffer.started".into()));
    assert_eq!(kinds.last().unwrap(), "output_audio_buffer.stopped");
    assert!(!driver.story.contains("response.output_audio.delta"));

    driver.send(&json!({"type": "response.create"}));
    driver.run(400);
    driver.send(&json!({"type": "output_audio_buffer.clear"}));
    driver.find("output_audio_buffer.cleared");
}

#[test]
fn a_session_begins_with_what_it_was_given() {
    let session = serde_json::from_value(json!({"type": "realtime", "instructions": "Be brief.",
        "audio": {"output": {"voice": "cedar", "speed": 1.25}}}));
    let session = Box::new(session.unwrap());
    let mut driver =
        Driver::with(ConnectionOptions { session, ..ConnectionOptions::default() }, Parrot::new());
    driver.update(json!({}));
    let session = driver.find("session.updated")["session"].clone();
    assert_eq!(
        (&session["instructions"], &session["audio"]["output"]["voice"]),
        (&json!("Be brief."), &json!("cedar"))
    );
}

#[test]
fn speed_shortens_the_voice() {
    let spoken = |speed: f64| {
        let script = realtime_emulator::brain::Script::parse(
            &json!({"turns": [{"reply": [{"say": "One two three four five."}]}]}).to_string(),
        );
        let mut driver = Driver::with(ConnectionOptions::default(), script.unwrap());
        driver.update(json!({"audio": {"output": {"speed": speed}}}));
        driver.send(&json!({"type": "response.create"}));
        driver.run(10_000);
        crate::driver::audio_bytes(&driver.take())
    };
    let ratio = spoken(0.5) as f64 / spoken(1.0) as f64;
    assert!((1.98..=2.02).contains(&ratio), "{ratio}");
}

#[test]
fn images_are_accepted_and_counted() {
    let mut driver = Driver::new();
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"});
    let item = json!({"type": "message", "role": "user", "content": [image, {"type": "input_text", "text": "What?"}]});
    driver.send(&json!({"type": "conversation.item.create", "item": item}));
    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    assert_eq!(driver.new_done()["usage"]["input_token_details"]["image_tokens"], 85);
}

#[test]
fn what_was_read_before_comes_from_the_cache() {
    let mut driver = Driver::new();
    driver.update(json!({"instructions": "Be brief and kind. ".repeat(40)}));
    let details = |driver: &mut Driver| {
        driver.write("Tell me a long story.");
        driver.send(&json!({"type": "response.create"}));
        driver.run(30_000);
        driver.new_done()["usage"]["input_token_details"].clone()
    };
    assert_eq!(details(&mut driver)["cached_tokens"], 0);
    let second = details(&mut driver);
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(
        number(&second["cached_tokens"]) >= 128 && number(&second["cached_tokens"]).is_multiple_of(64),
        "{second}"
    );
    assert!(
        number(&second["cached_tokens"]) <= number(&second["text_tokens"]) + number(&second["audio_tokens"])
    );
    assert!(number(&details(&mut driver)["cached_tokens"]) > number(&second["cached_tokens"]));
    driver.update(json!({"instructions": "Another."}));
    assert_eq!(details(&mut driver)["cached_tokens"], 0);
}

#[test]
fn deltas_that_were_under_way_come_before_a_cancelled_response_is_done() {
    let options =
        ConnectionOptions { cancel_delay: Duration::from_millis(100), ..ConnectionOptions::default() };
    let long = Reply::default().then(Step::Text("one ".repeat(100)));
    let mut driver = Driver::with(options, crate::driver::Always(long));
    driver.send(&json!({"type": "response.create"}));
    driver.run(300);
    driver.take();
    driver.send(&json!({"type": "response.cancel"}));
    assert!(driver.kinds().is_empty());
    driver.send(&json!({"type": "response.cancel"}));
    assert_eq!(driver.error().0, "response_cancel_not_active");
    driver.run(99);
    assert_eq!(driver.kinds(), ["response.output_text.delta"]);
    driver.run(10);
    let done = driver.new_done();
    assert_eq!(
        (&done["status"], &done["status_details"]["reason"]),
        (&json!("cancelled"), &json!("client_cancelled"))
    );
}

#[test]
fn transcripts_have_what_was_asked_for() {
    let heard = |transcription: Value| {
        let mut driver = transcription_session(&transcription);
        driver.speak("Please write this down.");
        driver.silence(700);
        driver.run(2000);
        driver
    };
    let mut driver = heard(json!({"model": "gpt-4o-transcribe-diarize"}));
    let segment = driver.find("conversation.item.input_audio_transcription.segment");
    assert_eq!((&segment["speaker"], &segment["start"]), (&json!("A"), &json!(0.0)));
    let completed = driver.find("conversation.item.input_audio_transcription.completed");
    assert_eq!(completed["usage"]["type"], "tokens");
    assert_eq!(completed["logprobs"].as_array().unwrap().len(), 3, "a token for each word");

    let mut driver = heard(json!({"model": "whisper-1"}));
    let completed = driver.find("conversation.item.input_audio_transcription.completed");
    assert_eq!(completed["usage"]["type"], "duration");
}

fn transcription_session(transcription: &Value) -> Driver {
    let mut driver = transcription_kind(Dialect::Ga, "");
    driver.send(&json!({"type": "session.update", "session": {"type": "transcription",
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {"input": {"transcription": transcription}}}}));
    driver
}
