//! The user speaks over the assistant: what was heard, and what the server is told.

use super::*;

#[test]
fn a_barge_in_is_a_handshake_with_playback() {
    let mut bench = Bench::ready();
    bench.server(created("r1"));
    bench.server(audio_delta("r1", "i1", 1000));
    assert_eq!(bench.server(speech_started()), ["speech_started", "stop_playback"]);
    assert!(bench.server(audio_delta("r1", "i1", 100)).is_empty(), "late audio is dropped");
    let at =
        PlaybackPosition { item_id: "i1".into(), content_index: 0, played: MediaTime::from_micros(400_999) };
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
    assert_eq!(bench.app(Command::Interrupt), ["1 done"]);
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
            SessionEvent::Audio(chunk) => Some(chunk.mark),
            _ => None,
        }));
    }
    bench.app(Command::ReportPlayback { report: PlaybackReport::Mark(marks[1]) });
    bench.server(speech_started());
    let bytes = PlaybackReport::PlayedBytes { item_id: "i1".into(), content_index: 0, bytes: 250 * 48 };
    bench.app(Command::ReportPlayback { report: bytes });
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
