//! The background and the tones of keys.

use std::time::Duration;

use super::*;
use crate::chain::{Keys, Samples};

fn office(rate: u32) -> Samples {
    Samples::new(rate, 1, vec![1_000; rate as usize])
}

#[test]
fn a_background_plays_from_the_beginning_to_the_end_and_under_everything() {
    let mut bench = Bench::new(Playout::new().background(&office(24_000), 0.5));
    bench.pass(110);
    assert_eq!(bench.of("background").len(), 6);
    assert!(bench.samples("background").iter().all(|sample| *sample == 500));
    bench.send("one", 0, 30);
    bench.done("one");
    bench.pass(200);
    assert_eq!(bench.of("one"), lines([(120, "one +20"), (140, "one +10")]));
    let expected: Vec<_> = (0..720).map(|at| sample(at) + 500).collect();
    assert_eq!(bench.samples("one"), expected);
    let silent = lines([(150, "fell silent")]);
    assert_eq!((bench.of("started"), bench.of("fell silent")), (lines([(120, "started")]), silent));
    bench.hold(1);
    bench.send("two", 0, 20);
    bench.pass(300);
    assert_eq!(bench.of("background").last().unwrap().0, 290, "it goes on in a pause");
    bench.end();
    bench.pass(10_000);
    assert!(bench.ended.is_some());
    assert_eq!(bench.of("two"), lines([(310, "two +20")]));
    assert_eq!(bench.told.last(), Some(&(330, "end".to_owned())));
    // Positions of what plays alone have no gap.
    let mut next = 0;
    for (_, chunk) in bench.played.iter().filter(|(_, chunk)| name(&chunk.source) == "background") {
        assert_eq!(chunk.start, next);
        next += chunk.audio.frames();
    }
}

#[test]
fn a_background_of_another_rate_is_converted_and_written_in_the_format_that_plays() {
    let mut bench = Bench::new(Playout::new().background(&office(24_000), 1.0));
    bench.pass(10);
    let audio = Audio::coded(AudioFormat::Pcmu, vec![0xff; 8_000].into());
    bench.down(FrameKind::OutputAudio(OutputAudio { audio, ..part("one", 0, 0) }));
    bench.done("one");
    bench.pass(2_000);
    assert_eq!(bench.works.len(), 1);
    let (_, last) = bench.played.last().unwrap();
    assert!(matches!(&last.audio, Audio::Coded(coded) if coded.format == AudioFormat::Pcmu));
    let loud = |sample: &&i16| (900..1_100).contains(*sample);
    let one = bench.samples("one");
    assert_eq!(one.len(), 8_000);
    assert!(one.iter().filter(loud).count() > 7_000, "{:?}", &one[1_000..1_020]);
}

#[test]
fn speech_does_not_wait_for_a_background_that_ran_ahead() {
    let lead = Duration::from_secs(1);
    let mut bench = Bench::new(Playout::new().lead(lead).background(&office(24_000), 0.4));
    bench.pass(1_000);
    bench.send("one", 0, 100);
    bench.pass(2_000);
    let (started, _) = bench.of("started")[0];
    assert!((1_000..=1_080).contains(&started), "{started}");
}

#[test]
fn keys_become_tones_in_the_order_of_hearing_and_survive_a_stop() {
    let mut bench = Bench::new(Playout::new().tones(8_000));
    bench.send("one", 0, 40);
    bench.done("one");
    bench.down(FrameKind::OutputDtmf(Keys::new("12").unwrap()));
    bench.send("two", 0, 40);
    bench.pass(60);
    bench.stop(1);
    bench.pass(1_000);
    assert_eq!(bench.samples("dtmf").len(), 2_400);
    assert_eq!(bench.of("dtmf")[0], (40, "dtmf +20".to_owned()));
    assert!(bench.of("output_dtmf").is_empty());
    assert!(bench.of("two").is_empty());
    assert_eq!(bench.of("stopped"), lines([(60, "stopped 1 two 0")]));
    // A stop within a tone leaves it whole.
    bench.down(FrameKind::OutputDtmf(Keys::new("9").unwrap()));
    bench.pass(1_050);
    bench.stop(2);
    bench.pass(1_200);
    assert_eq!(bench.of("dtmf +20").len(), 22);
    bench.down(FrameKind::OutputDtmf(Keys::new(&"5".repeat(5_000)).unwrap()));
    assert_eq!((bench.categories(), bench.chain.losses().refused_output), (vec![Category::Overflow], 1));
}

#[test]
fn tones_that_the_sink_held_are_sent_again_after_a_stop() {
    let mut bench = Bench::new(Playout::new().lead(Duration::from_secs(1)).tones(8_000));
    bench.send("one", 0, 100);
    bench.down(FrameKind::OutputDtmf(Keys::new("1").unwrap()));
    bench.pass(50);
    bench.stop(1);
    bench.pass(2_000);
    assert_eq!(bench.of("stopped"), lines([(230, "stopped 1 one 1201 samples")]));
    let again: Vec<_> = bench.played.iter().filter(|(at, _)| at.as_micros() >= 150_000).collect();
    assert_eq!(again.iter().map(|(_, chunk)| chunk.audio.frames()).sum::<u64>(), 1_200);
}
