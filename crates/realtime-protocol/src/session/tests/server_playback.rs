//! A side channel: the server plays, and says when.

use super::*;
use crate::call::Cut;

fn side_channel() -> Bench {
    Bench::ready_with(options())
}

fn options() -> SessionOptions {
    SessionOptions { playback: PlaybackSource::Server, ..SessionOptions::default() }
}

fn buffer(what: &str, response: &str) -> Value {
    json!({"type": format!("output_audio_buffer.{what}"), "response_id": response})
}

fn spoken(response: &str, item: &str, words: &str) -> Value {
    json!({"type": "response.output_audio_transcript.delta", "response_id": response, "item_id": item,
        "content_index": 0, "delta": words})
}

/// 30 words of 5 characters each, with the space after each: 10 s at the first pace.
fn words_150() -> String {
    "word ".repeat(30)
}

/// A response with this text, which begins to play; all its words have come.
fn playing(bench: &mut Bench, response: &str) {
    bench.server(created(response));
    bench.server(spoken(response, &format!("{response}_i"), &words_150()));
    assert_eq!(bench.server(buffer("started", response)), ["server"]);
    bench.server(done(response, "completed"));
}

#[test]
fn speech_over_what_the_server_plays_is_settled_at_once() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    bench.later(2000);
    // The server cancels, clears and truncates by itself.
    assert_eq!(bench.server(speech_started()), ["speech_started", "interrupted"]);
    let part = &bench.interruption().parts[0];
    assert_eq!((part.cut, part.estimated, part.received), (Cut::ByServer, true, 0));
    assert_eq!(part.heard_time().as_millis(), 2002);
    assert_eq!(part.heard_text.trim_end(), "word ".repeat(6).trim_end(), "30 characters in 2 s");
    assert_eq!(bench.server(buffer("cleared", "r1")), ["server"], "that was told");
}

#[test]
fn the_application_interrupts_by_cancelling_and_clearing() {
    let mut bench = side_channel();
    bench.server(created("r1"));
    bench.server(spoken("r1", "i1", "One two three"));
    bench.server(buffer("started", "r1"));
    let told = bench.app(Command::Interrupt {});
    assert_eq!(told, ["> response.cancel", "> output_audio_buffer.clear", "interrupted", "1 done"]);
    bench.server(buffer("cleared", "r1"));
    bench.server(done("r1", "cancelled"));
    assert_eq!(bench.app(Command::Interrupt {}), ["2 done"], "nothing plays any more");
}

#[test]
fn what_the_server_has_played_is_not_interrupted() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    bench.later(9000);
    bench.server(buffer("stopped", "r1"));
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
}

#[test]
fn a_voice_is_as_fast_as_it_was() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    bench.later(4998); // twice as fast as the first guess
    bench.server(buffer("stopped", "r1"));
    playing(&mut bench, "r2");
    bench.later(1998);
    bench.server(speech_started());
    assert_eq!(bench.interruption().parts[0].heard_text.len(), "word ".repeat(12).len() - 1);
}

#[test]
fn audio_that_comes_all_the_same_says_where_its_words_stand() {
    let mut bench = side_channel();
    bench.server(created("r1"));
    bench.server(spoken("r1", "i1", &words_150()));
    bench.server(audio_delta("r1", "i1", 3000));
    bench.server(audio_done("r1", "i1", 0));
    bench.server(buffer("started", "r1"));
    bench.later(999);
    bench.server(speech_started());
    let part = &bench.interruption().parts[0];
    assert_eq!((part.heard, part.received), (samples(1000), samples(3000)));
    assert_eq!(part.heard_text.trim_end(), "word ".repeat(10).trim_end());
    assert_eq!(bench.cuts(), []);
}

#[test]
fn another_client_of_the_call_may_clear_the_buffer() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    bench.later(1000);
    assert_eq!(bench.server(buffer("cleared", "r1")), ["server", "interrupted"]);
    assert_eq!(bench.interruption().response_id, Some("r1".into()));
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
}

#[test]
fn what_begins_to_play_after_its_interruption_is_not_audible() {
    let mut bench = side_channel();
    bench.server(created("r1"));
    bench.server(speech_started());
    bench.server(buffer("started", "r1"));
    bench.server(done("r1", "cancelled"));
    assert_eq!(bench.app(Command::Interrupt {}), ["1 done"]);
}

#[test]
fn a_lost_end_does_not_keep_a_response_audible() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    playing(&mut bench, "r2");
    bench.server(buffer("stopped", "r2"));
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
    bench.server(speech_stopped());
    playing(&mut bench, "r3");
    bench.later(600_000);
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
}

#[test]
fn a_policy_clears_the_buffer_when_speech_counts() {
    let interruption = InterruptionPolicy::after(Duration::from_millis(600)).holding();
    let mut bench = Bench::ready_with(SessionOptions { interruption, ..options() });
    playing(&mut bench, "r1");
    assert_eq!(bench.server(speech_started()), ["speech_started"], "nobody here can hold it");
    assert_eq!(bench.later(1100), ["> output_audio_buffer.clear", "interrupted"]);
    bench.server(speech_stopped());
    let committed = json!({"type": "input_audio_buffer.committed", "item_id": "u1"});
    assert_eq!(bench.server(committed), ["committed", "> response.create"]);
}

#[test]
fn a_protected_response_is_played_to_its_end() {
    let mut bench = side_channel();
    bench.app(Command::CreateResponse { params: None, protected: true });
    playing(&mut bench, "r1");
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
    assert_eq!(bench.app(Command::Interrupt {}), ["> output_audio_buffer.clear", "interrupted", "2 done"]);
}

#[test]
fn the_timeline_says_when_the_server_began_to_play() {
    let mut bench = side_channel();
    bench.server(created("r1"));
    bench.server(buffer("started", "r1"));
    let began = bench.at();
    bench.server(done("r1", "completed"));
    let timeline = bench.told().find_map(|event| match event {
        Event::ResponseFinished(report) => Some(report.timeline),
        _ => None,
    });
    let timeline = timeline.unwrap();
    assert_eq!((timeline.first_played, timeline.first_played_source), (Some(began), PlaybackSource::Server));
}

fn audio_at(bench: &mut Bench, response: &str, millis: u64) -> (u64, u64) {
    assert_eq!(bench.server(audio_delta(response, &format!("{response}_i"), millis)), ["audio"]);
    let chunk = bench.told().filter_map(|event| match event {
        Event::Audio(chunk) => Some((chunk.start, chunk.samples())),
        _ => None,
    });
    chunk.last().unwrap()
}

#[test]
fn what_the_server_plays_sounds_on_after_the_end_of_its_response() {
    let mut bench = side_channel();
    bench.server(created("r1"));
    bench.server(spoken("r1", "r1_i", &words_150()));
    bench.server(buffer("started", "r1"));
    assert_eq!(audio_at(&mut bench, "r1", 20), (0, samples(20)));
    bench.server(done("r1", "completed"));
    assert_eq!(audio_at(&mut bench, "r1", 20), (samples(20), samples(20)));
    bench.later(1000);
    assert_eq!(audio_at(&mut bench, "r1", 20), (samples(40), samples(20)));
    let told = bench.server(audio_done("r1", "r1_i", 0));
    assert_eq!(told, ["audio_done"]);
    assert!(matches!(bench.told().last(), Some(Event::AudioDone { total, .. }) if *total == samples(60)));
    bench.server(buffer("stopped", "r1"));
    assert_eq!(bench.server(audio_delta("r1", "r1_i", 20)), [""; 0], "it has been played");
}

#[test]
fn audio_that_comes_as_it_is_heard_does_not_say_how_many_words_were_heard() {
    let mut bench = side_channel();
    playing(&mut bench, "r1");
    for _ in 0..10 {
        audio_at(&mut bench, "r1", 200);
        bench.later(200);
    }
    assert_eq!(bench.server(speech_started()), ["speech_started", "interrupted"]);
    let part = &bench.interruption().parts[0];
    assert_eq!((part.cut, part.received), (Cut::ByServer, samples(2000)));
    assert!((2000..2050).contains(&part.heard_time().as_millis()), "{:?}", part.heard_time());
    assert_eq!(part.heard_text.trim_end(), "word ".repeat(6).trim_end());
    assert_eq!(bench.server(audio_delta("r1", "r1_i", 20)), [""; 0], "it was interrupted");
}
