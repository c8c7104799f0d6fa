//! What depends on silence: the idle timeout, and semantic turn detection.

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::Script;
use serde_json::{Value, json};

use crate::driver::Driver;

fn idle_session(script: &Value) -> Driver {
    let mut driver = Driver::with(ConnectionOptions::default(), Script::parse(&script.to_string()).unwrap());
    let detection = json!({"type": "server_vad", "idle_timeout_ms": 5000});
    driver.update(json!({"audio": {"input": {"turn_detection": detection}}}));
    driver.take();
    driver
}

#[test]
fn silence_after_an_answer_brings_another() {
    let mut driver = idle_session(&json!({"turns": [
        {"on": "idle", "reply": [{"say": "Still there?"}]},
    ]}));
    driver.run(20_000);
    assert!(driver.kinds().is_empty(), "nobody has answered yet");

    driver.send(&json!({"type": "response.create"}));
    driver.run(5000);
    let done = driver.new_done();
    let audio_ms = done["usage"]["output_token_details"]["audio_tokens"].as_u64().unwrap() * 50;
    // The microphone is open meanwhile.
    driver.silence(usize::try_from(audio_ms).unwrap() + 4000);
    driver.run(1500);
    let triggered = driver.find("input_audio_buffer.timeout_triggered");
    let time = |name: &str| triggered[name].as_u64().unwrap();
    assert!(time("audio_end_ms") > time("audio_start_ms"), "{triggered}");
    assert_eq!(driver.find("input_audio_buffer.committed")["item_id"], triggered["item_id"]);
    let item = driver.find("conversation.item.added")["item"].clone();
    assert_eq!((&item["id"], &item["role"]), (&triggered["item_id"], &json!("user")));
    driver.run(10_000);
    assert_eq!(driver.new_done()["output"][0]["content"][0]["transcript"], "Still there?");
}

#[test]
fn a_user_who_speaks_is_not_idle() {
    let mut driver = idle_session(&json!({"turns": []}));
    driver.send(&json!({"type": "response.create"}));
    driver.run(4000);
    driver.speak("I am still here, do not worry.");
    driver.speak("I am only slow to answer, that is all.");
    driver.run(60_000);
    let kinds = driver.kinds();
    assert!(kinds.contains(&"input_audio_buffer.speech_started".into()));
    assert!(!kinds.contains(&"input_audio_buffer.timeout_triggered".into()));
}

#[test]
fn without_create_response_the_timeout_only_commits() {
    let mut driver = idle_session(&json!({"turns": []}));
    let detection = json!({"type": "server_vad", "idle_timeout_ms": 5000, "create_response": false});
    driver.update(json!({"audio": {"input": {"turn_detection": detection}}}));
    driver.send(&json!({"type": "response.create"}));
    driver.run(60_000);
    let kinds = driver.kinds();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(count("input_audio_buffer.timeout_triggered"), 1);
    assert_eq!(count("response.created"), 1);
}

/// How long after speech its turn ends (ms of audio).
fn pause(eagerness: &str, transcript: &str) -> u64 {
    let script = json!({"turns": [{"on": "speech", "transcript": transcript, "reply": [{"say": "Yes."}]}]});
    let mut driver = Driver::with(ConnectionOptions::default(), Script::parse(&script.to_string()).unwrap());
    let detection = json!({"type": "semantic_vad", "eagerness": eagerness});
    driver.update(json!({"audio": {"input": {"turn_detection": detection}}}));
    driver.speak("These words do not matter.");
    let spoken = realtime_emulator::voice::speak("These words do not matter.").duration().as_millis();
    driver.silence(9000);
    let stopped = driver.find("input_audio_buffer.speech_stopped");
    stopped["audio_end_ms"].as_u64().unwrap() - spoken
}

#[test]
fn semantic_detection_waits_by_eagerness_and_longer_for_half_a_sentence() {
    for (eagerness, short, long) in [("low", 1000, 8000), ("medium", 500, 4000), ("high", 300, 2000)] {
        let near = |pause: u64, expected: u64| (expected - 250..=expected + 20).contains(&pause);
        let (whole, half) = (pause(eagerness, "That is all."), pause(eagerness, "And then I…"));
        assert!(near(whole, short), "{eagerness}: {whole} ms");
        assert!(near(half, long), "{eagerness}: {half} ms");
    }
    assert_eq!(pause("auto", "Yes."), pause("medium", "Yes."));
}
