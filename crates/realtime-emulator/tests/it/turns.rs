//! Turns by voice: order of events, places in the audio, interruption.

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::Parrot;
use realtime_protocol::event::ServerEvent;
use serde_json::{Value, json};

use crate::driver::{Driver, as_json, audio_bytes};

const SPEECH: &str = "Hello there, how are you?";

fn transcribing() -> Driver {
    let mut driver = Driver::new();
    driver.update(json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}));
    driver.take();
    driver
}

#[test]
fn a_voice_turn_has_the_events_of_the_service_in_their_order() {
    let mut driver = transcribing();
    driver.silence(1000);
    driver.speak(SPEECH);
    driver.silence(520);
    driver.run(2000);
    assert_eq!(
        driver.kinds(),
        [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "rate_limits.updated",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "deltas",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
}

#[test]
fn without_a_delay_the_transcript_comes_before_the_response() {
    let options = ConnectionOptions { transcription_delay: std::time::Duration::ZERO, ..Default::default() };
    let mut driver = Driver::with(options, Parrot::new());
    driver.update(json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}));
    driver.speak(SPEECH);
    driver.silence(520);
    driver.find("conversation.item.input_audio_transcription.completed");
    driver.find("response.created");
}

#[test]
fn places_count_all_audio_and_the_start_includes_the_padding() {
    let mut driver = Driver::new();
    let mut offset = 0;
    for _ in 0..2 {
        driver.silence(1000);
        driver.speak("Hello");
        driver.silence(1000);
        let length = realtime_emulator::voice::speak("Hello").duration().as_millis();
        let started = driver.find("input_audio_buffer.speech_started");
        let stopped = driver.find("input_audio_buffer.speech_stopped");
        let start = started["audio_start_ms"].as_u64().unwrap();
        // Right to the frame of 20 ms.
        assert!((offset + 680..=offset + 720).contains(&start), "{start}");
        // The end includes the silence that ended the turn; the word's own end is soft and followed by a gap.
        let end = stopped["audio_end_ms"].as_u64().unwrap();
        assert!((offset + 1000 + length + 400..=offset + 1000 + length + 520).contains(&end), "{end}");
        assert_eq!(started["item_id"], stopped["item_id"]);
        let item = driver.find("conversation.item.added")["item"].clone();
        assert_eq!(item["id"], started["item_id"]);
        assert_eq!(item["content"], json!([{"type": "input_audio", "transcript": null}]));
        driver.run(3000);
        driver.take();
        offset += 2000 + length;
    }
}

#[test]
fn a_turn_in_one_append_is_heard_as_one_in_many() {
    let mut pcm = vec![0; 48 * 500];
    pcm.extend(realtime_emulator::voice::speak(SPEECH).pcm());
    pcm.resize(pcm.len() + 48 * 800, 0);
    let places = |chunk: usize| -> Vec<Value> {
        let mut driver = Driver::new();
        for part in pcm.chunks(chunk) {
            driver.append_at_once(part);
        }
        let events = driver.take();
        let started_or_stopped = |event: &&ServerEvent| event.kind().contains("speech_st");
        events
            .iter()
            .filter(started_or_stopped)
            .map(|e| json!([as_json(e)["audio_start_ms"], as_json(e)["audio_end_ms"]]))
            .collect()
    };
    assert_eq!(places(pcm.len()).len(), 2);
    assert_eq!(places(pcm.len()), places(4800));
    assert_eq!(places(pcm.len()), places(514));
}

#[test]
fn speech_cancels_the_response_and_closes_what_it_opened() {
    let mut driver = Driver::new();
    driver.write("tell me a long story");
    driver.send(&json!({"type": "response.create"}));
    driver.run(400);
    driver.take();
    driver.append_at_once(&realtime_emulator::voice::speak(SPEECH).pcm());
    let done = driver.new_done();
    assert_eq!(done["status"], "cancelled");
    assert_eq!(done["status_details"], json!({"type": "cancelled", "reason": "turn_detected"}));
    assert_eq!(done["output"][0]["status"], "incomplete");
    assert!(done["usage"]["output_token_details"]["audio_tokens"].as_u64() > Some(10));
    // Nothing of that response afterwards.
    driver.run(10_000);
    assert_eq!(driver.kinds(), [""; 0]);
}

#[test]
fn an_interruption_has_the_usual_events() {
    let mut driver = Driver::new();
    driver.send(&json!({"type": "response.create"}));
    driver.run(300);
    driver.take();
    driver.append_at_once(&realtime_emulator::voice::speak(SPEECH).pcm());
    assert_eq!(
        driver.kinds(),
        [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
    );
}

#[test]
fn a_response_may_be_left_running_while_the_user_speaks() {
    let mut driver = Driver::new();
    let detection = json!({"type": "server_vad", "interrupt_response": false});
    driver.update(json!({"audio": {"input": {"turn_detection": detection}}}));
    driver.write("tell me a long story");
    driver.send(&json!({"type": "response.create"}));
    driver.run(300);
    driver.take();
    driver.append_at_once(&realtime_emulator::voice::speak("Hey").pcm());
    driver.append_at_once(&[0; 48 * 600]);
    let kinds = driver.kinds();
    assert_eq!(kinds.last().unwrap(), "error", "{kinds:?}");
    assert!(!kinds.contains(&"response.done".into()));
    driver.run(5000);
    assert_eq!(driver.new_done()["status"], "completed");
}

#[test]
fn the_client_may_create_responses_itself() {
    let mut driver = Driver::new();
    let detection = json!({"type": "server_vad", "create_response": false});
    driver.update(json!({"audio": {"input": {"turn_detection": detection}}}));
    driver.take();
    driver.speak(SPEECH);
    driver.silence(600);
    driver.run(3000);
    assert_eq!(driver.kinds().last().unwrap(), "conversation.item.done");
    driver.send(&json!({"type": "response.create"}));
    driver.run(3000);
    // The parrot says it back.
    let events = driver.take();
    let spoken = realtime_emulator::voice::speak(SPEECH).pcm().len();
    assert!(audio_bytes(&events) >= spoken);
}

#[test]
fn without_turn_detection_the_client_commits() {
    let mut driver = Driver::new();
    driver.update(json!({"audio": {"input": {"turn_detection": null}}}));
    driver.take();
    driver.speak(SPEECH);
    driver.silence(1000);
    assert_eq!(driver.kinds(), [""; 0]);
    driver.send(&json!({"type": "input_audio_buffer.commit"}));
    driver.run(2000);
    assert_eq!(
        driver.kinds(),
        ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    );
    driver.silence(80);
    driver.send(&json!({"type": "input_audio_buffer.commit", "event_id": "c1"}));
    assert_eq!(driver.error(), ("input_audio_buffer_commit_empty".into(), "".into(), "c1".into()));
    driver.silence(20);
    driver.send(&json!({"type": "input_audio_buffer.commit"}));
    driver.find("input_audio_buffer.committed");
}

#[test]
fn a_cleared_buffer_is_empty_and_time_goes_on() {
    let mut driver = Driver::new();
    driver.silence(500);
    driver.speak("Hello");
    driver.send(&json!({"type": "input_audio_buffer.clear"}));
    driver.silence(600);
    assert_eq!(driver.kinds(), ["input_audio_buffer.speech_started", "input_audio_buffer.cleared"]);
    driver.send(&json!({"type": "input_audio_buffer.clear"}));
    driver.speak("Hello");
    driver.find("input_audio_buffer.cleared");
    let started = driver.find("input_audio_buffer.speech_started");
    // Nothing is left of what was before, so there is no padding.
    let hello = realtime_emulator::voice::speak("Hello").duration().as_millis();
    let start = started["audio_start_ms"].as_u64().unwrap();
    assert!((1100 + hello..=1100 + hello + 20).contains(&start), "{start}");
}

#[test]
fn g711_is_heard_and_spoken() {
    for kind in ["audio/pcmu", "audio/pcma"] {
        let mut driver = Driver::new();
        driver.update(
            json!({"audio": {"input": {"format": {"type": kind}}, "output": {"format": {"type": kind}}}}),
        );
        let updated = driver.find("session.updated");
        assert_eq!(updated["session"]["audio"]["input"]["format"], json!({"type": kind}));
        // A square wave and silence, in codes that both laws read as loud and as next to nothing.
        let quiet = if kind == "audio/pcmu" { 0xff } else { 0xd5 };
        let mut audio: Vec<u8> = vec![quiet; 8 * 500];
        audio.extend((0..8 * 1000).map(|n| if n / 20 % 2 == 0 { 0x90 } else { 0x10 }));
        audio.extend(vec![quiet; 8 * 700]);
        driver.append_at_once(&audio);
        assert_eq!(driver.find("input_audio_buffer.speech_started")["audio_start_ms"], 200);
        assert_eq!(driver.find("input_audio_buffer.speech_stopped")["audio_end_ms"], 2000);
        driver.run(3000);
        let events = driver.take();
        assert!(audio_bytes(&events) >= 8 * 2000, "{kind}");
    }
}

#[test]
fn the_same_inputs_give_the_same_events() {
    let story = |seed| {
        let options = ConnectionOptions { seed, ..ConnectionOptions::default() };
        let mut driver = Driver::with(options, Parrot::new());
        driver.speak(SPEECH);
        driver.silence(600);
        driver.run(300);
        driver.speak("Stop.");
        driver.silence(600);
        driver.run(4000);
        driver.story
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

impl Driver {
    /// The first response that is done.
    pub(crate) fn new_done(&mut self) -> Value {
        self.find("response.done")["response"].clone()
    }
}
