//! When audio leaves, and what is told of it.

use std::time::Duration;

use realtime_protocol::call::{
    CloseReason, ConnectionEvent, DisconnectClass, ResponseEnd, ResponseReport, Timeline, UsageTotals,
};

use super::*;
use crate::chain::Keys;

#[test]
fn a_burst_is_played_at_the_speed_of_sound() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 1_000);
    bench.done("one");
    bench.pass(2_000);
    let expected: Vec<_> = (0..50).map(|index| (index * 20, "one +20".to_owned())).collect();
    assert_eq!(bench.of("one"), expected);
    assert_eq!(bench.of("started"), lines([(0, "started")]));
    assert_eq!(bench.of("speaking").iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [200, 400, 600, 800]);
    // Silence begins when the last chunk has sounded, not when it was handed out.
    assert_eq!(bench.of("fell silent"), lines([(1_000, "fell silent")]));
    let reports = bench.of("played one");
    assert_eq!(reports.len(), 11);
    assert_eq!([&reports[0], &reports[10]], [&(0, "played one 20".into()), &(980, "played one 1000".into())]);
    let first: Vec<_> = bench.told.iter().take(3).map(|(_, told)| told.as_str()).collect();
    assert_eq!(first, ["started", "one +20", "played one 20"]);
    assert_eq!(bench.chain.poll_timeout(), None);
}

#[test]
fn odd_deltas_leave_no_gap_and_do_not_drift() {
    let mut bench = Bench::new(Playout::new());
    for piece in 0..10_000 {
        bench.send("one", piece * 7, 7);
    }
    bench.done("one");
    bench.pass(71_000);
    assert_eq!(bench.of("fell silent"), lines([(70_000, "fell silent")]));
    // The first chunk is what there was of it.
    let chunks = bench.of("one +");
    assert_eq!((&*chunks[0].1, &*chunks[3_500].1), ("one +7", "one +13"));
    assert_eq!(bench.of("one +20").len(), 3_499);
    assert_eq!(bench.samples("one"), (0..70_000 * 24).map(sample).collect::<Vec<_>>());
}

#[test]
fn hours_of_speech_do_not_drift_and_leave_nothing_behind() {
    let mut bench = Bench::new(Playout::new().chunk(Duration::from_millis(100)));
    // Three hours at a rate whose samples are no whole microseconds, a minute at a time.
    let minute = 60 * 11_025;
    for piece in 0..180 {
        let audio = Audio::mono(11_025, vec![1; minute as usize]);
        let start = piece * minute;
        bench.down(FrameKind::OutputAudio(OutputAudio { start, audio, ..part("one", 0, 0) }));
        bench.pass((piece + 1) * 60_000 - 50);
        bench.played.clear();
        bench.news();
    }
    bench.done("one");
    bench.pass(4 * 3_600_000);
    assert_eq!(bench.of("fell silent"), lines([(3 * 3_600_000, "fell silent")]));
    assert_eq!((bench.chain.poll_timeout(), bench.faults.len()), (None, 0));
}

#[test]
fn a_stall_within_a_part_is_a_pause_and_no_end_of_speech() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 20);
    bench.pass(1_000);
    bench.send("one", 20, 20);
    bench.done("one");
    bench.pass(5_000);
    assert_eq!(bench.of("one"), lines([(0, "one +20"), (1_000, "one +20")]));
    assert_eq!(bench.of("started").len(), 1);
    assert_eq!(bench.of("fell silent"), lines([(1_020, "fell silent")]));
}

#[test]
fn a_part_that_never_ends_is_silent_after_three_seconds() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 20);
    bench.pass(5_000);
    assert_eq!(bench.of("fell silent"), lines([(3_020, "fell silent")]));
    bench.send("one", 20, 20);
    assert_eq!(bench.of("started"), lines([(0, "started"), (5_000, "started")]));
}

fn finished(response: &str) -> ResponseReport {
    ResponseReport {
        response_id: response.into(),
        end: ResponseEnd::Completed,
        usage: None,
        totals: UsageTotals::default(),
        timeline: Timeline::default(),
        dropped_bytes: 0,
    }
}

#[test]
fn speech_ends_with_a_response_that_is_lost() {
    let events: [fn() -> Event; 4] = [
        || Event::ResponseFinished(Box::new(finished("one"))),
        || Event::Closed { reason: CloseReason::Requested },
        || {
            let class = DisconnectClass::Transient;
            let reason = CloseReason::NotCreated;
            Event::Connection(ConnectionEvent::Lost { reason, class, retry_at: None })
        },
        || Event::Connection(ConnectionEvent::Suspended {}),
    ];
    for event in events {
        let mut bench = Bench::new(Playout::new());
        bench.send("one", 0, 40);
        bench.pass(30);
        bench.event(event());
        bench.pass(1_000);
        assert_eq!(bench.of("fell silent"), lines([(40, "fell silent")]));
        assert_eq!(bench.of("played").last(), Some(&(30, "played one 40".to_owned())));
    }
}

#[test]
fn a_clip_waits_for_the_part_before_it_and_is_not_reported() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 30);
    bench.done("one");
    bench.clip("thanks", 0, 30);
    bench.send("two", 0, 20);
    bench.pass(1_000);
    let chunks: Vec<_> = bench.told.iter().filter(|(_, told)| told.contains('+')).cloned().collect();
    let expected = [(0, "one +20"), (20, "one +10"), (30, "thanks +20"), (50, "thanks +10"), (60, "two +20")];
    assert_eq!(chunks, lines(expected));
    assert!(bench.of("played thanks").is_empty());
    assert_eq!(bench.of("started").len(), 1);
}

#[test]
fn a_frame_in_the_order_of_hearing_leaves_when_the_audio_before_it_has_sounded() {
    let mut bench = Bench::new(Playout::new());
    bench.message(false);
    bench.send("one", 0, 50);
    bench.message(false);
    bench.message(true);
    bench.done("one");
    bench.down(FrameKind::OutputDtmf(Keys::new("1").unwrap()));
    bench.send("two", 0, 20);
    bench.pass(1_000);
    let expected = lines([(0, "message"), (0, "message"), (50, "message")]);
    assert_eq!(bench.of("message"), expected);
    assert_eq!(bench.of("finished one"), lines([(50, "finished one")]));
    assert_eq!(bench.of("output_dtmf"), lines([(50, "output_dtmf")]));
    assert_eq!(bench.of("two"), lines([(50, "two +20")]));
}

#[test]
fn too_many_frames_in_the_order_of_hearing_are_a_fault_once() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 50);
    (0..1_030).for_each(|_| bench.message(false));
    assert_eq!(bench.categories(), [Category::Overflow]);
    assert_eq!(bench.chain.losses().overflowed, 6);
    bench.pass(100);
    assert_eq!(bench.of("message").len(), 1_024);
}

#[test]
fn a_sink_that_is_full_stops_the_clock_and_nothing_is_lost() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 100);
    bench.done("one");
    bench.pass(45);
    bench.sink(SinkReport::Full);
    bench.pass(1_000);
    bench.sink(SinkReport::Ready);
    bench.pass(2_000);
    let times: Vec<_> = bench.of("one").into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(times, [0, 20, 40, 1_000, 1_020]);
    assert_eq!(bench.samples("one").len(), 2_400);
    assert!(bench.faults.is_empty());
}

#[test]
fn a_sink_that_stays_full_is_a_fault_once_each_time() {
    let mut bench = Bench::new(Playout::new());
    for round in 1..3 {
        bench.sink(SinkReport::Full);
        bench.pass(round * 10_000);
        bench.sink(SinkReport::Full);
        bench.pass(round * 10_000 + 5_000);
        assert_eq!(bench.categories(), vec![Category::Device; round as usize]);
        bench.sink(SinkReport::Ready);
    }
}

#[test]
fn more_than_ten_minutes_are_refused_and_counted() {
    let mut bench = Bench::new(Playout::new());
    for minute in 0..13 {
        bench.send("one", minute * 60_000, 60_000);
    }
    assert_eq!(bench.categories(), [Category::Overflow]);
    assert_eq!(bench.chain.losses().refused_output, 3);
    assert!(bench.faults[0].message.contains("600 s"), "{}", bench.faults[0]);
    let wrong = OutputAudio { audio: Audio::mono(7, vec![0; 70]), ..part("two", 0, 0) };
    bench.pass(120_000);
    bench.send("one", 600_000, 60_000);
    bench.down(FrameKind::OutputAudio(wrong));
    assert_eq!((bench.faults.len(), bench.chain.losses().refused_output), (2, 4));
}

#[test]
fn audio_in_countless_pieces_is_refused() {
    let mut bench = Bench::new(Playout::new());
    for start in 0..61_000 {
        bench.down(FrameKind::OutputAudio(part("one", start, 1)));
    }
    assert_eq!(bench.categories(), [Category::Overflow]);
    bench.pass(10_000);
    assert_eq!(bench.samples("one").len() as u64, 61_000 - bench.chain.losses().refused_output);
}

#[test]
fn the_end_waits_until_all_has_been_heard_and_for_no_more() {
    let mut bench = Bench::new(Playout::new());
    bench.send("one", 0, 30);
    bench.hold(1);
    bench.message(false);
    bench.end();
    bench.pass(29);
    assert!(bench.ended.is_none());
    bench.pass(40);
    assert!(bench.ended.is_some());
    assert_eq!(bench.samples("one").len(), 30 * 24);
    assert_eq!(bench.told.last(), Some(&(30, "end".to_owned())));
    assert_eq!(bench.of("message"), lines([(30, "message")]));
}

#[test]
fn a_clock_that_is_late_plays_what_it_missed_and_after_a_sleep_goes_on_from_now() {
    for (late, expected) in [(75, [0, 75, 75, 75, 80]), (900, [0, 900, 920, 940, 960])] {
        let mut bench = Bench::new(Playout::new());
        bench.send("one", 0, 100);
        bench.now = Timestamp::from_millis(late);
        bench.chain.handle_timeout(bench.now);
        bench.drain();
        bench.pass(2_000);
        let times: Vec<_> = bench.of("one").into_iter().map(|(ms, _)| ms).collect();
        assert_eq!(times, expected);
    }
}

#[test]
fn short_chunks_are_filled_with_silence_where_the_sink_needs_whole_ones() {
    for (format, silence) in [(AudioFormat::Pcmu, 0xff), (AudioFormat::Pcma, 0xd5)] {
        let mut bench = Bench::new(Playout::new().pad(true));
        let audio = Audio::coded(format, vec![7; 200].into());
        bench.down(FrameKind::OutputAudio(OutputAudio { audio, ..part("one", 0, 0) }));
        bench.done("one");
        bench.pass(1_000);
        let Audio::Coded(last) = &bench.played[1].1.audio else { panic!("it stays coded") };
        assert_eq!((last.bytes.len(), last.bytes[39], last.bytes[40]), (160, 7, silence));
        assert_eq!(bench.of("fell silent"), lines([(40, "fell silent")]));
        let Some(PlaybackReport::Played(at)) = bench.reports.last() else { panic!("it is reported") };
        assert_eq!(at.played, 200, "silence is not counted");
    }
}

#[test]
fn chunks_keep_the_newest_mark_that_ends_in_them() {
    let mut bench = Bench::new(Playout::new());
    let mut piece = |start_ms: u64, ms: u64, mark: u64| {
        let audio = part("one", start_ms * 24, ms * 24);
        bench.down(FrameKind::OutputAudio(OutputAudio { mark: Some(mark), ..audio }));
    };
    piece(0, 50, 1);
    piece(50, 5, 2);
    piece(55, 5, 3);
    bench.pass(100);
    let marks: Vec<_> = bench.played.iter().map(|(_, chunk)| chunk.mark).collect();
    assert_eq!(marks, [None, None, Some(3)]);
}
