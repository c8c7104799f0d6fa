//! WAV files in and out: formats, pacing, and the record of what was played.

use std::f32::consts::TAU;
use std::fs;
use std::future::poll_fn;
use std::io::BufWriter;
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;
use crate::chain::{Audio, AudioSource, BotSpeech, ClearId, FrameKind, OutputAudio, SinkReport};
use crate::edges::testing::TempFile;
use crate::edges::{Sink, Source};

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

fn file(name: &str, spec: WavSpec, write: impl Fn(&mut WavWriter<BufWriter<fs::File>>)) -> TempFile {
    let file = TempFile::new(name);
    let mut writer = WavWriter::create(&file.0, spec).unwrap();
    write(&mut writer);
    writer.finalize().unwrap();
    file
}

/// When a frame came, in milliseconds, and its samples; `None` for the end of the input.
type Came = (u64, Option<Vec<i16>>);

/// Hears a source for so long, or until it ends.
async fn hear(source: &mut WavSource, millis: u64) -> Vec<Came> {
    let began = Instant::now();
    let mut came = Vec::new();
    let listen = async {
        while let Some(frame) = poll_fn(|cx| source.poll_next(cx)).await {
            let at = began.elapsed().as_millis() as u64;
            came.push(match frame {
                FrameKind::InputAudio(audio) => (at, Some(audio.pcm().unwrap().as_slice().to_vec())),
                FrameKind::InputFinished => (at, None),
                other => panic!("{}", other.name()),
            });
        }
    };
    drop(timeout(Duration::from_millis(millis), listen).await);
    came
}

fn samples(frames: &[Came]) -> Vec<i16> {
    frames.iter().filter_map(|(_, audio)| audio.clone()).flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn every_format_is_read_as_the_same_sound() {
    const HALF: i32 = 1 << 30;
    for (name, channels, bits, format) in [
        ("int8", 1, 8, SampleFormat::Int),
        ("int16", 2, 16, SampleFormat::Int),
        ("int24", 1, 24, SampleFormat::Int),
        ("int32", 2, 32, SampleFormat::Int),
        ("float", 2, 32, SampleFormat::Float),
    ] {
        let file = file(name, spec(channels, 22_050, bits, format), |writer| {
            for _ in 0..441 * channels {
                match format {
                    SampleFormat::Int => writer.write_sample(HALF >> (32 - bits)).unwrap(),
                    SampleFormat::Float => writer.write_sample(0.5_f32).unwrap(),
                }
            }
        });
        let mut source = WavSource::open(&file.0).unwrap();
        assert_eq!((source.sample_rate(), source.duration()), (22_050, Duration::from_millis(20)));
        let heard = samples(&hear(&mut source, 50).await);
        assert_eq!(heard[..441], [16_384; 441], "{name}");
        assert_eq!(heard[441..], [0; 441], "{name}: silence follows");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_come_every_twenty_milliseconds_and_the_end_of_speech_is_told_once() {
    // 20 ms are 220.5 samples.
    let mut source = WavSource::from_samples(11_025, vec![7; 11_025]);
    let frames = hear(&mut source, 2_005).await;
    let audio: Vec<u64> = frames.iter().filter(|(_, audio)| audio.is_some()).map(|(at, _)| *at).collect();
    assert_eq!(audio, (1..=100).map(|frame| frame * 20).collect::<Vec<_>>());
    let finished: Vec<u64> = frames.iter().filter(|(_, audio)| audio.is_none()).map(|(at, _)| *at).collect();
    assert_eq!(finished, [1_000]);
    let samples = samples(&frames);
    assert_eq!(samples.len(), 22_050);
    assert!(samples[..11_025].iter().all(|s| *s == 7) && samples[11_025..].iter().all(|s| *s == 0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_finished_once() {
    let frames = hear(&mut WavSource::from_samples(8_000, vec![]), 70).await;
    let kinds: Vec<_> = frames.iter().map(|(at, audio)| (*at, audio.is_some())).collect();
    assert_eq!(kinds, [(20, true), (20, false), (40, true), (60, true)]);
}

#[tokio::test(start_paused = true)]
async fn held_speech_waits_for_the_assistants_first_turn() {
    let mut source = WavSource::from_samples(24_000, vec![5; 480]).after_first_bot_turn();
    source.notify(&FrameKind::Bot(BotSpeech::Started));
    assert!(samples(&hear(&mut source, 250).await).iter().all(|sample| *sample == 0));
    source.notify(&FrameKind::Bot(BotSpeech::Stopped));
    let frames = hear(&mut source, 30).await;
    assert_eq!(frames[0], (10, Some(vec![5; 480])), "at 260 ms");
    assert_eq!(frames[1], (10, None));
}

#[tokio::test(start_paused = true)]
async fn a_file_ends_the_call_after_the_silence_that_was_asked_for() {
    for (silence, last) in [(0, 1_000), (500, 1_500)] {
        let source = WavSource::from_samples(8_000, vec![7; 8_000]);
        let frames = hear(&mut source.end_after(Duration::from_millis(silence)), 9_000).await;
        assert_eq!(frames.last().map(|(at, _)| *at), Some(last));
        assert_eq!(samples(&frames).len() as u64, last * 8);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unpaced_file_is_there_at_once_and_its_silence_is_not() {
    let mut source = WavSource::from_samples(8_000, vec![7; 8_001]).unpaced();
    let frames = hear(&mut source, 50).await;
    let at: Vec<u64> = frames.iter().map(|(at, _)| *at).collect();
    assert_eq!((at.len(), at[51], at[52..].to_vec()), (54, 0, vec![20, 40]));
    assert_eq!(samples(&frames).iter().filter(|sample| **sample == 7).count(), 8_001);
    let done =
        hear(&mut WavSource::from_samples(8_000, vec![7; 8_000]).unpaced().end_when_done(), 9_000).await;
    assert_eq!((done.len(), done.last()), (51, Some(&(0, None))));
}

fn played(rate: u32, samples: Vec<i16>) -> FrameKind {
    let source = AudioSource::Clip("hello".into());
    let audio = Audio::mono(rate, samples);
    FrameKind::PlayedAudio(OutputAudio { response_id: None, source, start: 0, mark: None, audio })
}

async fn ready(sink: &mut WavSink) {
    poll_fn(|cx| sink.poll_ready(cx)).await.unwrap();
}

async fn close(sink: &mut WavSink) {
    poll_fn(|cx| sink.poll_close(cx)).await.unwrap();
}

/// Plays so long, in frames of 20 ms at their time.
async fn play(sink: &mut WavSink, rate: u32, sample: i16, millis: u64) {
    for _ in 0..millis / 20 {
        ready(sink).await;
        sink.send(&played(rate, vec![sample; rate as usize / 50])).unwrap();
        // Virtual time stands still while the other thread writes.
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_played_stands_at_its_time_with_silence_between() {
    let file = TempFile::new("played.wav");
    let mut sink = WavSink::create(&file.0).unwrap();
    sink.send(&FrameKind::Start).unwrap();
    advance(Duration::from_millis(2_000)).await;
    play(&mut sink, 24_000, 9, 1_000).await;
    advance(Duration::from_millis(60_000)).await;
    play(&mut sink, 24_000, 4, 500).await;
    close(&mut sink).await;
    let (rate, channels, samples) = file.read();
    assert_eq!((rate, channels, samples.len()), (24_000, 1, 63_500 * 24));
    assert_eq!(samples.iter().position(|sample| *sample == 9), Some(48_000));
    assert_eq!(samples.iter().filter(|sample| **sample == 9).count(), 24_000);
    assert_eq!(samples.iter().position(|sample| *sample == 4), Some(63_000 * 24));
}

#[tokio::test(start_paused = true)]
async fn the_file_can_be_read_while_it_is_written() {
    let file = TempFile::new("growing.wav");
    let mut sink = WavSink::with_rate(&file.0, 8_000).unwrap();
    assert_eq!(file.read(), (8_000, 1, vec![]));
    for second in 1..10 {
        play(&mut sink, 8_000, 3, 1_000).await;
        let (_, _, samples) = file.read();
        assert!(samples.iter().all(|sample| *sample == 3));
        // What is late by a second still has its place, and a second is written at once.
        assert!(samples.len() + 3 * 8_000 > second * 8_000, "{} after {second} s", samples.len());
    }
    drop(sink);
    assert_eq!(file.read().2.len(), 9 * 8_000, "it is complete although nobody closed it");
}

#[tokio::test(start_paused = true)]
async fn a_file_has_its_own_rate() {
    let file = TempFile::new("rate.wav");
    let mut sink = WavSink::with_rate(&file.0, 16_000).unwrap();
    let sine: Vec<i16> =
        (0..24_000).map(|n| (8_000.0 * (TAU * 440.0 * n as f32 / 24_000.0).sin()) as i16).collect();
    sink.send(&played(24_000, sine)).unwrap();
    close(&mut sink).await;
    let (rate, channels, samples) = file.read();
    assert_eq!((rate, channels, samples.len()), (16_000, 1, 16_000));
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest.is_some_and(|loudest| (7_900..8_100).contains(&loudest)), "{loudest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clear_cuts_what_has_not_sounded_and_is_answered() {
    let file = TempFile::new("cleared.wav");
    let mut sink = WavSink::with_rate(&file.0, 8_000).unwrap();
    sink.send(&played(8_000, vec![5; 8_000])).unwrap();
    advance(Duration::from_millis(250)).await;
    sink.clear(ClearId(3));
    let report = poll_fn(|cx| sink.poll_report(cx)).await;
    assert_eq!(report, SinkReport::Cleared { id: ClearId(3), at: None });
    close(&mut sink).await;
    assert_eq!(file.read().2, vec![5; 2_000]);
}

#[tokio::test]
async fn a_sink_that_is_dropped_has_written_what_was_played() {
    let file = TempFile::new("dropped.wav");
    let mut sink = WavSink::with_rate(&file.0, 8_000).unwrap();
    sink.send(&played(8_000, vec![5; 800])).unwrap();
    drop(sink);
    assert_eq!(file.read().2, vec![5; 800]);
}

#[tokio::test]
async fn a_file_that_was_written_to_a_pipe_is_read_whole() {
    let file = file("pipe.wav", spec(1, 16_000, 16, SampleFormat::Int), |writer| {
        (0..1_600).for_each(|_| writer.write_sample(7_i16).unwrap());
    });
    let mut bytes = fs::read(&file.0).unwrap();
    bytes[4..8].fill(0xff);
    bytes[40..44].fill(0xff);
    fs::write(&file.0, bytes).unwrap();
    assert_eq!(WavSource::open(&file.0).unwrap().duration(), Duration::from_millis(100));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_with_what_came() {
    let check = |file: &TempFile, want: &str| {
        let text = WavSource::open(&file.0).unwrap_err().to_string();
        assert_eq!(text, format!("cannot read {}: {want}", file.0.display()));
    };
    let missing = TempFile::new("missing.wav");
    check(&missing, "No such file or directory (os error 2)");
    let mp3 = TempFile::new("song.wav");
    fs::write(&mp3.0, b"ID3\x04 and more").unwrap();
    check(&mp3, r#"expected a WAV file, got a file that begins with "ID3\x04 and""#);
    let empty = TempFile::new("empty.wav");
    fs::write(&empty.0, b"").unwrap();
    check(&empty, "expected a WAV file, got an empty file");
    let surround = file("surround.wav", spec(6, 48_000, 16, SampleFormat::Int), |writer| {
        (0..6).for_each(|_| writer.write_sample(0_i16).unwrap());
    });
    check(&surround, "expected 1 or 2 channels, got 6");
    let slow = file("slow.wav", spec(1, 1, 16, SampleFormat::Int), |writer| {
        writer.write_sample(0_i16).unwrap();
    });
    check(&slow, "expected a rate of 1000 to 768000 Hz, got 1 Hz");

    let directory = std::env::temp_dir();
    let error = WavSink::create(&directory).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write {}: ", directory.display())), "{error}");
}

/// A device that is always full.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_with_the_file() {
    let error = WavSink::create("/dev/full").unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/full: the disk is full");
}
