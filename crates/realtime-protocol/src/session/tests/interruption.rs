//! The user speaks over the assistant: what was heard, and what the server is told.

use super::*;
use crate::call::{Cut, PlaybackPosition, PlaybackReport, StopId};

#[test]
fn a_barge_in_is_a_handshake_with_playback() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    assert_eq!(bench.server(speech_started()), ["speech_started", "stop_playback"]);
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty(), "late audio is dropped");
    let at = PlaybackPosition { item_id: "i1".into(), content_index: 0, played: samples(401) - 1 };
    assert_eq!(bench.stopped(Some(at)), ["> conversation.item.truncate", "interrupted"]);
    assert!(bench.later(500).is_empty());
}

#[test]
fn a_barge_in_without_an_answer_counts_the_last_report_as_an_estimate() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    bench.app(played("i1", 300));
    bench.server(speech_started());
    assert_eq!(bench.later(200), ["> conversation.item.truncate", "interrupted"]);
    assert_eq!(bench.cuts(), [("i1".into(), 300)]);
    assert!(bench.interruption().parts[0].estimated);
}

#[test]
fn several_items_are_cut_where_playback_stood() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    for item in ["i1", "i2", "i3"] {
        bench.server(audio_delta("r1", item, 500));
        bench.server(audio_done("r1", item, 0));
    }
    bench.server(done("r1", "completed"));
    bench.server(speech_started());
    bench.stopped(Some(position("i2", 200)));
    assert_eq!(bench.cuts(), [("i2".into(), 200), ("i3".into(), 0)]);
}

#[test]
fn nothing_is_said_to_the_server_when_all_was_heard_or_nothing_runs() {
    let mut bench = Bench::ready();
    assert_eq!(bench.app(Command::Interrupt {}), ["1 done"]);
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(done("r1", "completed"));
    bench.app(played("i1", 500));
    assert_eq!(bench.server(speech_started()), ["speech_started"]);
}

#[test]
fn playback_may_be_reported_in_marks_or_bytes() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    let mut marks = Vec::new();
    for _ in 0..5 {
        bench.server(audio_delta("r1", "i1", 100));
        marks.extend(bench.told().filter_map(|event| match event {
            Event::Audio(chunk) => Some(chunk.mark),
            _ => None,
        }));
    }
    bench.app(Media::Report(PlaybackReport::Mark(marks[1])));
    bench.server(speech_started());
    bench.app(played("i1", 250));
    bench.stopped(None);
    assert_eq!(bench.cuts(), [("i1".into(), 250)]);
}

#[test]
fn ten_thousand_interrupted_turns_leave_nothing_behind() {
    let mut bench = Bench::ready();
    for turn in 0..10_000 {
        let (response, item) = (format!("r{turn}"), format!("i{turn}"));
        bench.server(json!({"type": "conversation.item.added", "item": {"type": "message", "id": item}}));
        bench.server(created(&response));
        bench.server(audio_delta(&response, &item, 20));
        bench.server(speech_started());
        bench.server(audio_delta(&response, &item, 20));
        bench.stopped(None);
        bench.server(json!({"type": "conversation.item.truncated", "item_id": item}));
        bench.server(json!({"type": "conversation.item.done", "item": {"type": "message", "id": item}}));
        bench.server(done(&response, "cancelled"));
        bench.server(speech_stopped());
    }
    let size = format!("{:?}", bench.session).len();
    assert!(size < 20_000, "the state takes {size} characters to tell");
}

/// A response of 500 ms that is still audible.
fn audible() -> Bench {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench
}

#[test]
fn what_begins_during_a_handshake_plays_on() {
    let mut bench = audible();
    bench.server(done("r1", "completed"));
    assert_eq!(bench.app(Command::Interrupt {}), ["stop_playback"]);
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i2", 100));
    bench.stopped(Some(position("i1", 200)));
    assert_eq!(bench.cuts(), [("i1".into(), 200)]);
    bench.server(audio_delta("r2", "i2", 100));
    let Some(Event::Audio(chunk)) = bench.told().next() else { panic!("no audio") };
    assert_eq!(chunk.start, samples(100));
}

#[test]
fn an_interruption_during_a_handshake_is_a_handshake_of_its_own() {
    let mut bench = audible();
    bench.server(done("r1", "completed"));
    bench.app(Command::Interrupt {});
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i2", 100));
    assert_eq!(bench.server(speech_started()), ["speech_started", "stop_playback"]);
    assert!(bench.server(audio_delta("r2", "i2", 100)).is_empty(), "the user spoke over it");
    // What was reported of the newer one says nothing of what the older one left unplayed.
    bench.app(played("i2", 50));
    assert_eq!(bench.stopped_for(StopId(1), Some(position("i1", 300)))[0], "> conversation.item.truncate");
    assert_eq!(bench.cuts(), [("i1".into(), 300)]);
    bench.stopped_for(StopId(2), Some(position("i2", 60)));
    assert_eq!(bench.cuts(), [("i2".into(), 60)]);
    assert_eq!(bench.interruption().response_id, Some("r2".into()));
}

#[test]
fn an_interruption_with_nothing_new_joins_the_open_one() {
    let mut bench = audible();
    bench.server(speech_started());
    assert_eq!(
        bench.app(Command::Interrupt {}),
        ["> response.cancel"],
        "the server did not say that it will"
    );
    assert!(bench.app(Command::Interrupt {}).is_empty());
    assert_eq!(bench.stopped(None), ["> conversation.item.truncate", "interrupted", "1 done", "2 done"]);
}

#[test]
fn a_late_answer_settles_no_newer_handshake() {
    let mut bench = audible();
    bench.server(speech_started());
    bench.later(200);
    bench.server(done("r1", "cancelled"));
    bench.server(speech_stopped());
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i2", 500));
    bench.server(speech_started());
    assert!(bench.stopped_for(StopId(1), Some(position("i1", 250))).is_empty());
    bench.stopped_for(StopId(2), Some(position("i2", 100)));
    assert_eq!(bench.cuts(), [("i2".into(), 100)]);
}

#[test]
fn a_place_at_the_beginning_of_an_item_means_that_all_before_it_was_played() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    for item in ["i1", "i2"] {
        bench.server(audio_delta("r1", item, 500));
        bench.server(audio_done("r1", item, 0));
    }
    bench.app(played("i1", 480));
    bench.server(speech_started());
    bench.stopped(Some(position("i2", 0)));
    assert_eq!(bench.cuts(), [("i2".into(), 0)]);
}

#[test]
fn a_report_of_too_much_does_not_count_for_audio_to_come() {
    let mut bench = audible();
    bench.app(played("i1", 10_000));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(speech_started());
    bench.later(200);
    assert_eq!(bench.cuts(), [("i1".into(), 500)]);
}

#[test]
fn a_response_in_a_format_of_its_own_is_measured_in_it() {
    for echoed in [true, false] {
        let mut bench = Bench::ready();
        let own = json!({"output": {"format": {"type": "audio/pcmu"}}});
        bench.app(create_with(json!({"audio": own})));
        let mut event = created("r1");
        if echoed {
            event["response"]["audio"] = own;
        }
        bench.server(event);
        bench.server(audio_bytes("r1", "i1", 0, &Bytes::from_static(&[1; 8000])));
        bench.server(speech_started());
        let at = PlaybackPosition { item_id: "i1".into(), content_index: 0, played: 5600 };
        bench.app(Media::Report(PlaybackReport::Played(at)));
        bench.stopped(None);
        assert_eq!(bench.cuts(), [("i1".into(), 700)]);
    }
}

/// An item of two parts of 500 ms each, complete and unheard, with the option to delete unheard items.
fn two_parts() -> Bench {
    let options = SessionOptions { unheard: Unheard::Delete, ..SessionOptions::default() };
    let mut bench = Bench::ready_with(options);
    bench.server(created("r1"));
    for part in [0, 1] {
        bench.server(audio_bytes("r1", "i1", part, &audio(500)));
        bench.server(audio_done("r1", "i1", part));
    }
    bench
}

#[test]
fn an_item_of_which_something_was_heard_is_never_deleted() {
    for heard in [300, 500] {
        let mut bench = two_parts();
        bench.app(played("i1", heard));
        bench.server(speech_started());
        assert!(!bench.stopped(None).contains(&"> conversation.item.delete".into()), "{heard} ms");
    }
}

#[test]
fn an_unheard_item_is_deleted_once() {
    let mut bench = two_parts();
    bench.server(speech_started());
    assert_eq!(bench.stopped(None), ["> conversation.item.delete", "interrupted"]);
    let cuts: Vec<Cut> = bench.interruption().parts.iter().map(|part| part.cut).collect();
    assert_eq!(cuts, [Cut::Deleted, Cut::Deleted]);
}

#[test]
fn a_deleted_item_is_stopped_and_not_truncated() {
    let mut bench = audible();
    bench.server(done("r1", "completed"));
    bench.server(json!({"type": "conversation.item.deleted", "item_id": "i1"}));
    assert_eq!(bench.server(speech_started()), ["speech_started", "stop_playback"]);
    assert_eq!(bench.stopped(None), ["interrupted"]);
}

#[test]
fn words_without_spaces_between_them_are_heard_too() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(
        json!({"type": "response.output_audio_transcript.delta", "response_id": "r1", "item_id": "i1",
        "content_index": 0, "delta": "你好我是你的助手今天天气很好"}),
    );
    bench.server(audio_delta("r1", "i1", 1000));
    bench.server(speech_started());
    bench.stopped(Some(position("i1", 500)));
    assert_eq!(bench.interruption().parts[0].heard_text, "你好我是你的助");
}

#[test]
fn only_audio_whose_place_is_unknown_is_an_estimate() {
    let mut bench = audible();
    bench.app(played("i1", 500));
    assert_eq!(
        bench.server(speech_started()),
        ["speech_started", "> conversation.item.truncate", "interrupted"]
    );
    assert!(!bench.interruption().parts[0].estimated, "all that came was played");
}

#[test]
fn the_end_during_a_handshake_still_tells_what_was_heard() {
    let mut bench = audible();
    bench.app(played("i1", 200));
    bench.server(speech_started());
    assert_eq!(bench.lose(), ["interrupted", "response_finished", "closed"]);
    let part = &bench.interruption().parts[0];
    assert_eq!((part.heard, part.cut, part.estimated), (samples(200), Cut::Nothing, true));
}

#[test]
fn an_estimate_begins_with_the_audio_and_not_with_the_words() {
    let options = SessionOptions { playback: PlaybackSource::Estimated, ..SessionOptions::default() };
    let mut bench = Bench::ready_with(options);
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(
        json!({"type": "response.output_audio_transcript.delta", "response_id": "r1", "item_id": "i2",
        "content_index": 0, "delta": "hi"}),
    );
    bench.server(audio_delta("r1", "i1", 500));
    bench.server(audio_done("r1", "i1", 0));
    bench.server(audio_delta("r1", "i2", 1000));
    bench.now = 1100;
    bench.server(speech_started());
    let cuts = bench.cuts();
    assert!(cuts.len() == 1 && cuts[0].0 == "i2" && (50..150).contains(&cuts[0].1), "{cuts:?}");
}

#[test]
fn playback_that_nobody_reports_does_not_pile_up() {
    let mut bench = Bench::ready();
    for turn in 0..1000 {
        let (response, item) = (format!("r{turn}"), format!("i{turn}"));
        bench.server(created(&response));
        bench.server(audio_delta(&response, &item, 20));
        bench.server(done(&response, "completed"));
        bench.later(10_000);
    }
    bench.server(created("last"));
    bench.server(audio_delta("last", "last", 20));
    bench.server(speech_started());
    bench.stopped(None);
    assert!(bench.cuts().len() < 10, "{} items cut at 0", bench.cuts().len());
}

#[test]
fn a_rate_that_makes_no_sense_is_survived() {
    let mut bench = Bench::ready();
    let format = json!({"type": "audio/pcm", "rate": u32::MAX});
    bench.server(json!({"type": "session.updated", "session": {"audio": {"output": {"format": format}}}}));
    bench.server(created("r1"));
    assert_eq!(bench.server(audio_delta("r1", "i1", 10)), ["audio"]);
}

#[test]
fn an_interruption_reaches_a_response_that_is_not_created_yet() {
    let mut bench = Bench::ready();
    bench.app(create());
    assert_eq!(bench.app(Command::Interrupt {}), ["> response.cancel", "2 done"]);
    assert_eq!(bench.server(created("r1")), ["response_started"]);
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty());
    assert_eq!(bench.server(done("r1", "cancelled")), ["response_finished", "1 responded"]);
}

#[test]
fn a_barge_in_interrupts_unless_what_is_said_is_protected() {
    let mut bench = Bench::ready();
    bench.app(Command::CreateResponse { params: None, protected: true });
    assert_eq!(bench.app(Command::BargeIn {}), ["2 done"], "it is requested");
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1_000));
    assert_eq!(bench.app(Command::BargeIn {}), ["3 done"], "it runs");
    bench.server(done("r1", "completed"));
    bench.app(played("i1", 500));
    assert_eq!(bench.app(Command::BargeIn {}), ["4 done"], "it is heard");
    bench.app(played("i1", 1_000));
    bench.app(create());
    bench.server(created("r2"));
    assert_eq!(bench.app(Command::BargeIn {})[0], "> response.cancel", "it is not protected");
}

#[test]
fn the_first_playback_of_a_response_says_where_it_comes_from() {
    let timeline = |bench: &mut Bench, id: &str| {
        bench.server(done(id, "completed"));
        let report = bench.told().find_map(|event| match event {
            Event::ResponseFinished(report) => Some(report.timeline),
            _ => None,
        });
        let timeline = report.unwrap();
        (timeline.first_played.map(|at| at.as_micros() / 1000), timeline.first_played_source)
    };
    let options = SessionOptions { playback: PlaybackSource::Estimated, ..SessionOptions::default() };
    let mut bench = Bench::ready_with(options);
    bench.now = 100;
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    assert_eq!(timeline(&mut bench, "r1"), (Some(102), PlaybackSource::Estimated));
    bench.server(created("r2"));
    bench.server(audio_delta("r2", "i2", 1000));
    assert_eq!(timeline(&mut bench, "r2"), (Some(1102), PlaybackSource::Estimated), "after the first");
    bench.now = 1500;
    bench.server(created("r3"));
    bench.server(audio_delta("r3", "i3", 1000));
    bench.app(played("i3", 100));
    assert_eq!(timeline(&mut bench, "r3"), (Some(1503), PlaybackSource::Reported), "a report knows better");
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    assert_eq!(timeline(&mut bench, "r1"), (None, PlaybackSource::Reported));
}

#[test]
fn a_cut_is_where_playback_stood_however_far_behind_it_is() {
    for delay in [0, 250, 2_000] {
        let mut bench = Bench::ready();
        bench.server(created("r1"));
        bench.server(audio_delta("r1", "i1", 5_000)); // in one burst
        for heard in (0..=1_000).step_by(100) {
            bench.later(if heard == 0 { delay } else { 100 });
            bench.app(played("i1", heard));
        }
        bench.server(speech_started());
        bench.stopped(Some(position("i1", 1_020)));
        assert_eq!(bench.cuts(), [("i1".into(), 1_020)], "{delay} ms behind");
    }
}
