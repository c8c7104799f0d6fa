//! Audio on its way to the page, and what is known of it.

use super::*;

#[test]
fn audio_is_numbered_and_has_its_place_in_its_item() {
    let mut bench = Bench::new();
    bench.play("a", 0, 20);
    bench.play("a", 20, 20);
    bench.frame(FrameKind::PlayedAudio(audio(clip("beep"), 0, 240)));
    bench.play("b", 0, 20);
    bench.play("b", 60, 20);
    assert_eq!(
        bench.news(),
        [
            json!({ "type": "item", "number": 1, "id": "a", "part": 0 }),
            json!({ "type": "item", "number": 2, "clip": "beep" }),
            json!({ "type": "item", "number": 3, "id": "b", "part": 0 }),
        ]
    );
    assert_eq!(bench.audio, [(1, 0, 480), (1, 480, 480), (2, 0, 240), (3, 0, 480), (3, 1_440, 480)]);
}

#[test]
fn the_end_of_a_part_is_told_when_it_is_sent_and_that_of_a_clip_when_it_was_heard() {
    let mut bench = Bench::new();
    bench.play("a", 0, 20);
    bench.event(audio_done("a", 40));
    assert_eq!(bench.types(), ["item"]);
    bench.play("a", 20, 20);
    assert_eq!(bench.news(), [json!({ "type": "done", "number": 1, "samples": 960 })]);
    bench.frame(FrameKind::OutputFinished { source: part("a"), total: 960 });
    assert!(bench.news().is_empty(), "it was told");
    bench.play("b", 0, 20);
    bench.event(audio_done("b", 20));
    assert_eq!(bench.types(), ["item", "done"]);
    bench.frame(FrameKind::PlayedAudio(audio(clip("beep"), 0, 240)));
    bench.frame(FrameKind::OutputFinished { source: clip("beep"), total: 240 });
    assert_eq!(bench.types(), ["item", "done"]);
}

#[test]
fn what_the_page_tells_is_heard_and_never_more_than_was_sent() {
    let mut bench = Bench::new();
    bench.play("a", 0, 100);
    bench.text(played(1, 50));
    bench.text(played(1, 500));
    bench.text(played(2, 5));
    assert_eq!(bench.reports(), [heard("a", 50), heard("a", 100)]);
    assert_eq!(bench.page.counts().stale, 1);
}

#[test]
fn a_page_that_plays_nothing_is_sent_no_more_until_it_does() {
    let mut bench = Bench::new();
    for ms in (0..2_240).step_by(20) {
        bench.play("a", ms, 20);
        assert!(bench.page.has_room());
    }
    bench.play("a", 2_240, 20);
    assert!(!bench.page.has_room());
    bench.text(played(1, 100));
    assert!(bench.page.has_room());
}

#[test]
fn an_interruption_is_answered_with_the_place_that_the_page_tells() {
    let mut bench = Bench::new();
    bench.play("a", 0, 250);
    bench.text(played(1, 100));
    bench.reports();
    bench.clear(7);
    assert_eq!(bench.news().pop(), Some(json!({ "type": "clear", "id": 1 })));
    bench.pass(120);
    bench.text(json!({ "type": "stopped", "id": 9, "item": 1, "samples": 10 }));
    bench.text(json!({ "type": "stopped", "id": 1, "item": 1, "samples": 123 * 24 }));
    assert_eq!(bench.reports(), [SinkReport::Cleared { id: ClearId(7), at: Some(at("a", 123)) }]);
    bench.text(json!({ "type": "stopped", "id": 1, "item": 1, "samples": 9_999 }));
    assert!(bench.reports().is_empty());
    assert_eq!(bench.page.counts().stale, 2);
}

#[test]
fn without_an_answer_the_place_is_reckoned_from_the_last_report() {
    let mut bench = Bench::new();
    bench.play("a", 0, 500);
    bench.pass(200);
    bench.text(played(1, 100));
    bench.pass(250);
    bench.reports();
    bench.clear(1);
    bench.pass(409);
    assert!(bench.reports().is_empty());
    bench.pass(410);
    // The page played on for as long as it was not told to stop.
    assert_eq!(bench.reports(), [SinkReport::Cleared { id: ClearId(1), at: Some(at("a", 310)) }]);
    bench.play("a", 310, 20);
    assert_eq!(bench.audio.last(), Some(&(2, 310 * 24, 480)), "it is another item for the page");
    bench.text(json!({ "type": "stopped", "id": 1, "item": 1, "samples": 400 * 24 }));
    bench.text(played(1, 480));
    assert!(bench.reports().is_empty(), "too late");
}

#[test]
fn a_page_that_has_played_nothing_is_answered_for_as_well() {
    let mut bench = Bench::new();
    bench.clear(1);
    bench.text(json!({ "type": "stopped", "id": 1 }));
    bench.clear(2);
    bench.clear(3);
    bench.pass(1_000);
    let cleared = |id| SinkReport::Cleared { id: ClearId(id), at: None };
    assert_eq!(bench.reports(), [cleared(1), cleared(2), cleared(3)]);
}

#[test]
fn audio_of_another_rate_is_converted_and_its_places_are_those_of_its_source() {
    let mut bench = Bench::new();
    let beep =
        |start| OutputAudio { audio: Audio::mono(8_000, vec![900; 160]), ..audio(clip("beep"), start, 0) };
    for start in (0..1_600).step_by(160) {
        bench.frame(FrameKind::PlayedAudio(beep(start)));
    }
    bench.frame(FrameKind::OutputFinished { source: clip("beep"), total: 1_600 });
    assert_eq!(bench.audio.iter().map(|(_, _, samples)| samples).sum::<usize>(), 4_800);
    let ends: Vec<_> = bench.audio.iter().map(|(_, offset, samples)| *offset as usize + samples).collect();
    assert!(bench.audio.iter().skip(1).zip(&ends).all(|((_, offset, _), end)| *offset as usize == *end));
    assert_eq!(bench.news().pop().unwrap()["samples"], 4_800);
    bench.text(json!({ "type": "played", "item": 1, "samples": 2_400 }));
    bench.text(json!({ "type": "played", "item": 1, "samples": 4_800 }));
    let heard = |samples| SinkReport::Heard(SinkPosition { source: clip("beep"), samples });
    assert_eq!(bench.reports(), [heard(800), heard(1_600)]);
}
