//! The side channel of a call: the server plays the audio, and says when; keys are heard.

use std::time::Duration;

use realtime_emulator::ConnectionOptions;
use realtime_emulator::brain::{Parrot, Reply};
use realtime_protocol::event::ServerEvent;
use serde_json::{Value, json};

use crate::driver::{Always, Driver};

fn call() -> Driver {
    let options = ConnectionOptions { sideband: true, ..ConnectionOptions::default() };
    Driver::with(options, Always(Reply::say("One two three four five six seven eight nine ten.")))
}

/// When the events of that kind came (ms), each with its response.
fn times(driver: &Driver, kind: &str) -> Vec<(u64, String)> {
    let lines = driver.story.lines().filter(|line| line.contains(&format!("\"type\":\"{kind}\"")));
    let read = |line: &str| {
        let event: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        let seconds: f64 = line.split(' ').next().unwrap().parse().unwrap();
        ((seconds * 1000.0).round() as u64, event["response_id"].as_str().unwrap().to_owned())
    };
    lines.map(read).collect()
}

const STARTED: &str = "output_audio_buffer.started";
const STOPPED: &str = "output_audio_buffer.stopped";
const CLEARED: &str = "output_audio_buffer.cleared";

#[test]
fn a_call_plays_a_response_as_long_as_it_sounds() {
    let mut driver = call();
    driver.send(&json!({"type": "response.create"}));
    driver.run(20_000);
    let done = driver.new_done();
    let sounds = done["usage"]["output_token_details"]["audio_tokens"].as_u64().unwrap() * 50;
    let (started, stopped) = (times(&driver, STARTED), times(&driver, STOPPED));
    let [(start, first)] = started.as_slice() else { panic!("{started:?}") };
    let [(stop, last)] = stopped.as_slice() else { panic!("{stopped:?}") };
    assert_eq!((first.as_str(), last.as_str()), (done["id"].as_str().unwrap(), done["id"].as_str().unwrap()));
    assert!((stop - start).abs_diff(sounds) <= 50, "{start} to {stop}, {sounds} ms of audio");
    assert!(!driver.story.contains("response.output_audio.delta"));
}

#[test]
fn a_second_response_is_played_after_the_first() {
    let mut driver = call();
    driver.send(&json!({"type": "response.create"}));
    driver.run(1000);
    driver.send(&json!({"type": "response.create"}));
    driver.run(30_000);
    let (started, stopped) = (times(&driver, STARTED), times(&driver, STOPPED));
    assert_eq!((started.len(), stopped.len()), (2, 2), "{started:?} {stopped:?}");
    assert_eq!(started[1].0, stopped[0].0, "it waits until the first has been played");
    assert_ne!(started[0].1, started[1].1);
    let length = |n: usize| stopped[n].0 - started[n].0;
    assert!(length(0).abs_diff(length(1)) <= 1, "{started:?} {stopped:?}");
}

#[test]
fn an_interruption_or_a_clear_ends_the_playing() {
    // While it is made, while it is played on, and by the client's own event.
    for (wait, speaks) in [(300, true), (1500, true), (300, false), (1500, false)] {
        let mut driver = call();
        driver.send(&json!({"type": "response.create"}));
        driver.run(wait);
        if speaks {
            driver.speak("Stop it, please.");
        } else {
            driver.send(&json!({"type": "response.cancel"}));
            driver.send(&json!({"type": "output_audio_buffer.clear"}));
        }
        driver.run(30);
        let (started, cleared) = (times(&driver, STARTED), times(&driver, CLEARED));
        assert_eq!((started.len(), cleared.len()), (1, 1), "{wait} {speaks}");
        assert_eq!(started[0].1, cleared[0].1);
        driver.run(20_000);
        let answered = usize::from(speaks);
        assert!(times(&driver, STOPPED).len() <= answered, "what was cleared is not stopped, too");
        driver.send(&json!({"type": "output_audio_buffer.clear"}));
        assert_eq!(times(&driver, CLEARED).len(), 1, "nothing plays, so nothing is cleared");
    }
}

#[test]
fn deltas_that_are_under_way_when_a_response_is_cancelled_are_not_played() {
    let options = ConnectionOptions {
        sideband: true,
        cancel_delay: Duration::from_millis(100),
        ..ConnectionOptions::default()
    };
    let mut driver = Driver::with(options, Parrot::new());
    driver.write("Tell me a long story.");
    driver.send(&json!({"type": "response.create"}));
    driver.run(300);
    driver.send(&json!({"type": "response.cancel"}));
    driver.send(&json!({"type": "output_audio_buffer.clear"}));
    driver.run(20_000);
    assert_eq!((times(&driver, STARTED).len(), times(&driver, CLEARED).len()), (1, 1));
}

#[test]
fn a_plain_session_is_never_told_of_playing_or_keys() {
    let mut driver = Driver::new();
    driver.write("Tell me a long story.");
    driver.send(&json!({"type": "response.create"}));
    driver.run(300);
    driver.press('5');
    driver.speak("Stop it, please.");
    driver.run(20_000);
    assert!(!driver.story.contains("output_audio_buffer") && !driver.story.contains("dtmf"));
    driver.take();
    driver.send(&json!({"type": "output_audio_buffer.clear"}));
    assert_eq!(driver.error().0, "invalid_event");
}

#[test]
fn a_key_that_is_pressed_in_a_call_is_told_with_the_time() {
    let mut driver = call();
    driver.run(2500);
    driver.press('#');
    let events = driver.take();
    let [ServerEvent::InputAudioBufferDtmfEventReceived(event)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (event.event.value().map(String::as_str), event.received_at.value()),
        (Some("#"), Some(&1_800_000_002))
    );
    assert!(event.event_id.is_absent());
}
