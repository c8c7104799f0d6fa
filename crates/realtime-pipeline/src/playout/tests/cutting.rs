//! Stops and pauses without a lead.

use realtime_protocol::call::StopId;

use super::*;
use crate::chain::UserSpeech;

#[test]
fn stopped_in_the_second_of_three_items_it_tells_where() {
    let mut bench = Bench::new(Playout::new());
    for item in ["one", "two", "three"] {
        bench.send(item, 0, 200);
        bench.done(item);
    }
    bench.pass(290);
    bench.stop(1);
    // Chunks were handed out at 0, 20, … 280 ms, and then a fade of 5 ms.
    assert_eq!(bench.of("stopped"), lines([(290, "stopped 1 two 105")]));
    assert_eq!(bench.of("fell silent"), lines([(290, "fell silent")]));
    bench.pass(1_000);
    assert!(bench.of("three").is_empty());
    assert_eq!(bench.of("finished"), lines([(200, "finished one")]), "the others were not heard");
    assert_eq!(bench.chain.poll_timeout(), None);
}

#[test]
fn what_plays_falls_to_silence_within_five_milliseconds_and_counts_as_heard() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 500);
    bench.pass(30);
    bench.stop(1);
    let (_, last) = bench.played.last().unwrap();
    assert_eq!((last.start, last.audio.frames()), (960, 120));
    let pcm = last.audio.pcm().unwrap();
    assert_eq!((pcm.as_slice()[0], pcm.as_slice()[119]), (961, 9));
    assert_eq!(bench.news().split_off(5), ["interruption", "stopped 1 one 45", "fell silent"]);
}

#[test]
fn a_fade_is_never_longer_than_what_came() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 22);
    bench.pass(10);
    bench.stop(1);
    assert_eq!(bench.of("stopped"), lines([(10, "stopped 1 one 22")]));
    bench.send("two", 0, 20);
    bench.done("two");
    bench.pass(35);
    bench.stop(2);
    assert_eq!(bench.of("stopped 2"), lines([(35, "stopped 2 two 20")]), "its last chunk still sounds");
    bench.pass(200);
    bench.stop(3);
    assert_eq!(bench.of("stopped 3"), lines([(200, "stopped 3 nowhere")]));
}

#[test]
fn what_follows_a_stop_is_played_at_once() {
    let mut bench = Bench::new(Playout::new());
    bench.send("old", 0, 500);
    bench.pass(30);
    bench.stop(1);
    bench.send("new", 0, 40);
    bench.done("new");
    bench.pass(1_000);
    // What was handed out before sounds until 45 ms.
    assert_eq!(bench.of("new"), lines([(45, "new +20"), (65, "new +20")]));
}

#[test]
fn a_stop_that_nobody_asked_for_is_told_as_played() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 500);
    bench.pass(30);
    bench.news();
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    assert_eq!(bench.news(), ["one +5", "interruption", "played one 45", "fell silent"]);
    bench.down(FrameKind::Interruption { response_id: None, stop: None });
    assert_eq!(bench.news(), ["interruption"]);
}

#[test]
fn a_stop_in_a_clip_tells_where_the_parts_stand() {
    let mut bench = Bench::new(Playout::new());
    bench.clip("greeting", 0, 500);
    bench.stop(1);
    assert_eq!(bench.of("stopped"), lines([(0, "stopped 1 nowhere")]));
    bench.clip("greeting", 0, 500);
    bench.send("one", 0, 20);
    bench.pass(100);
    bench.stop(2);
    assert_eq!(bench.of("stopped 2"), lines([(100, "stopped 2 one 0")]));
}

#[test]
fn late_audio_of_what_was_stopped_is_dropped_and_counted() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 500);
    bench.clip("hint", 0, 500);
    bench.pass(10);
    let stop = Some(StopId(1));
    bench.down(FrameKind::Interruption { response_id: Some("next".into()), stop });
    bench.news();
    bench.send("one", 500, 20);
    bench.send("next", 0, 20);
    bench.clip("hint", 500, 20);
    bench.done("one");
    bench.pass(100);
    assert!(bench.news().is_empty());
    let losses = bench.chain.losses();
    assert_eq!((losses.late_output, losses.interrupted), (3, 3));
    // A server may use an id again, and a clip may be played again.
    let (response_id, origin) = ("one".into(), realtime_protocol::call::Origin::Server);
    let metadata = std::collections::BTreeMap::new();
    bench.event(Event::ResponseStarted { response_id, origin, out_of_band: false, metadata });
    bench.send("one", 0, 20);
    bench.clip("hint", 0, 20);
    bench.pass(200);
    assert_eq!(bench.of("one").len() + bench.of("hint").len(), 2);
}

#[test]
fn frames_in_order_leave_at_a_stop_if_they_survive_it() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 500);
    bench.message(false);
    bench.done("one");
    bench.message(false);
    bench.pass(10);
    bench.stop(1);
    assert_eq!(bench.of("message").len(), 2);
    assert!(bench.of("finished").is_empty());
}

#[test]
fn a_message_from_the_other_end_does_not_wait_for_audio_as_one_for_it_does() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 500);
    bench.message(false);
    let body = std::sync::Arc::new(serde_json::json!({}));
    bench.down(FrameKind::InputMessage(crate::chain::Message { body, urgent: false }));
    bench.pass(10);
    assert_eq!((bench.of("input_message").len(), bench.of("message").len()), (1, 0));
}

#[test]
fn a_pause_keeps_the_queue_and_goes_on_at_the_next_sample() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 100);
    bench.pass(30);
    bench.hold(1);
    assert_eq!(bench.of("held"), lines([(30, "held 1 one 45")]));
    bench.send("one", 100, 50);
    bench.done("one");
    bench.pass(1_000);
    assert_eq!(bench.of("one").len(), 3);
    bench.resume(1);
    bench.pass(2_000);
    assert!(bench.of("fell silent").iter().all(|(ms, _)| *ms == 1_105));
    let starts = bench.played.iter().map(|(_, chunk)| (chunk.start / 24, chunk.audio.frames() / 24));
    let expected = [(0, 20), (20, 20), (40, 5), (45, 20), (65, 20), (85, 20), (105, 20), (125, 20), (145, 5)];
    assert_eq!(starts.collect::<Vec<_>>(), expected);
    // All samples but those of the fades are as they came.
    let samples = bench.samples("one");
    for (at, value) in samples.iter().enumerate() {
        let faded = (960..1_200).contains(&at);
        assert!(if faded { *value <= sample(at as u64) } else { *value == sample(at as u64) }, "{at}");
    }
    assert_eq!((samples.len(), samples[1_080]), (3_600, 0));
}

#[test]
fn a_pause_in_silence_is_answered_and_holds_what_comes() {
    let mut bench = Bench::new(Playout::new());
    bench.hold(7);
    assert_eq!(bench.of("held"), lines([(0, "held 7 nowhere")]));
    bench.send("one", 0, 20);
    bench.pass(50);
    bench.resume(6);
    bench.pass(100);
    assert!(bench.of("one").is_empty(), "it is another pause");
    bench.resume(7);
    assert_eq!(bench.of("one"), lines([(100, "one +20")]));
}

#[test]
fn a_stop_ends_a_pause_and_tells_the_same_place() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 100);
    bench.pass(30);
    bench.hold(1);
    bench.pass(500);
    bench.stop(1);
    assert_eq!(bench.of("stopped"), lines([(500, "stopped 1 one 45")]));
    bench.send("two", 0, 20);
    assert_eq!(bench.of("two"), lines([(500, "two +20")]));
}

#[test]
fn the_users_voice_pauses_what_plays_and_the_session_is_told_nothing() {
    let mut bench = Bench::new(Playout::new().hold_on_voice());
    bench.down(FrameKind::User(UserSpeech::VoiceStarted));
    bench.send("one", 0, 100);
    bench.pass(30);
    bench.down(FrameKind::User(UserSpeech::VoiceStarted));
    bench.pass(800);
    assert_eq!(bench.of("one").len(), 3, "two chunks, and the fade");
    bench.down(FrameKind::User(UserSpeech::VoiceStopped));
    bench.pass(2_000);
    assert_eq!(bench.samples("one").len(), 2_400);
    assert!(bench.of("held").is_empty());

    let mut bench = Bench::new(Playout::new().hold_on_voice());
    bench.send("one", 0, 100);
    bench.down(FrameKind::User(UserSpeech::VoiceStarted));
    bench.pass(9_990);
    assert_eq!(bench.of("one").len(), 2);
    bench.pass(11_000);
    assert_eq!(bench.samples("one").len(), 2_400, "a voice that never ends is a fault of the detector");
}
