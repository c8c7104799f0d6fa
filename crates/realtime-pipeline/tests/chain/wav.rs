//! WAV files in and out: formats, pacing, and the record of what was played.

use std::f32::consts::TAU;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use realtime_pipeline::{
    AudioFrame, Finished, FrameKind, Observed, Observer, OutputAudio, Pipeline, PipelineHandle, Playout,
    WavInput, WavLayout, WavOutput,
};
use realtime_protocol::call::StopId;
use tokio::time::sleep;

/// A separate file for each test, deleted afterwards.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str) -> Self {
        let unique = format!("realtime-pipeline-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(unique))
    }

    fn write(
        name: &str,
        spec: WavSpec,
        write: impl Fn(&mut WavWriter<std::io::BufWriter<fs::File>>),
    ) -> Self {
        let file = Self::new(name);
        let mut writer = WavWriter::create(&file.0, spec).unwrap();
        write(&mut writer);
        writer.finalize().unwrap();
        file
    }

    fn read(&self) -> (WavSpec, Vec<i16>) {
        let mut reader = WavReader::open(&self.0).unwrap();
        (reader.spec(), reader.samples::<i16>().map(Result::unwrap).collect())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // It may never have been made.
        drop(fs::remove_file(&self.0));
    }
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

/// When a frame came, in milliseconds, and its audio; `None` for the end of the input.
type Came = (u64, Option<AudioFrame>);

/// What came from an input.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Came>>>);

impl Observer for Heard {
    fn on_frame(&mut self, seen: &Observed) {
        let at = seen.at.as_millis() as u64;
        match &seen.frame.kind {
            FrameKind::InputAudio(audio) => self.0.lock().unwrap().push((at, Some(audio.clone()))),
            FrameKind::InputFinished => self.0.lock().unwrap().push((at, None)),
            _ => {}
        }
    }
}

/// Runs an input alone for so long and gives its frames.
async fn hear(input: WavInput, millis: u64) -> Vec<Came> {
    let heard = Heard::default();
    let mut task = Pipeline::new().then(input).into_task();
    task.observe(heard.clone());
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(millis)).await;
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    assert_eq!(finished.unwrap(), Finished::Ended);
    heard.0.lock().unwrap().clone()
}

fn samples(frames: &[Came]) -> Vec<i16> {
    frames.iter().filter_map(|(_, audio)| audio.as_ref()).flat_map(|audio| audio.samples().unwrap()).collect()
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
        let file = TempFile::write(name, spec(channels, 22_050, bits, format), |writer| {
            for _ in 0..441 * channels {
                match format {
                    SampleFormat::Int => writer.write_sample(HALF >> (32 - bits)).unwrap(),
                    SampleFormat::Float => writer.write_sample(0.5_f32).unwrap(),
                }
            }
        });
        let input = WavInput::open(&file.0).unwrap();
        assert_eq!((input.sample_rate(), input.duration()), (22_050, Duration::from_millis(20)));
        let frames = hear(input, 50).await;
        assert_eq!(samples(&frames)[..441], [16_384; 441], "{name}");
        assert_eq!(samples(&frames)[441..], [0; 441], "{name}: silence follows");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_come_every_twenty_milliseconds_and_the_end_of_speech_is_told_once() {
    // 20 ms are 220.5 samples.
    let input = WavInput::from_samples(11_025, vec![7; 11_025]);
    let frames = hear(input, 2_005).await;
    let audio: Vec<u64> = frames.iter().filter(|(_, audio)| audio.is_some()).map(|(at, _)| *at).collect();
    assert_eq!(audio, (1..=100).map(|frame| frame * 20).collect::<Vec<_>>());
    let finished: Vec<u64> = frames.iter().filter(|(_, audio)| audio.is_none()).map(|(at, _)| *at).collect();
    assert_eq!(finished, [1_000]);
    let samples = samples(&frames);
    assert_eq!(samples.len(), 22_050);
    assert!(samples[..11_025].iter().all(|s| *s == 7) && samples[11_025..].iter().all(|s| *s == 0));
}

async fn speak(handle: &PipelineHandle, item: &str, sample: i16, millis: usize) {
    let audio = AudioFrame::from_samples(24_000, &vec![sample; millis * 24]);
    let (item_id, start) = (item.into(), 0);
    let total = (millis * 24) as u64;
    handle.push(FrameKind::OutputAudio(OutputAudio { item_id, content_index: 0, start, audio })).await;
    handle.push(FrameKind::OutputAudioDone { item_id: item.into(), content_index: 0, total }).await;
}

#[tokio::test(start_paused = true)]
async fn held_speech_waits_for_the_assistants_first_turn() {
    let heard = Heard::default();
    let input = WavInput::from_samples(24_000, vec![5; 480]).after_first_bot_turn();
    let mut task = Pipeline::new().then(input).then(Playout::new()).into_task();
    task.observe(heard.clone());
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(50)).await;
        speak(&handle, "greeting", 1, 200).await;
        sleep(Duration::from_millis(400)).await;
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    finished.unwrap();
    let frames = heard.0.lock().unwrap().clone();
    // The greeting ends at 250 ms, within the frame that comes at 260 ms.
    let speech = frames.iter().find(|(_, audio)| {
        audio.as_ref().is_some_and(|audio| audio.samples().unwrap().any(|sample| sample == 5))
    });
    assert_eq!(speech.map(|(at, _)| *at), Some(260));
}

#[tokio::test(start_paused = true)]
async fn a_recording_holds_what_was_played_when_it_was_and_silence_elsewhere() {
    let file = TempFile::new("record.wav");
    let output = WavOutput::create(&file.0, WavLayout::UserAndAgent).unwrap();
    let input = WavInput::from_samples(24_000, vec![3; 24_000]);
    let task = Pipeline::new().then(input).then(Playout::new()).then(output).into_task();
    let handle = task.handle();
    let script = async {
        sleep(Duration::from_millis(2_000)).await;
        // Two seconds come at once, and are interrupted after one.
        speak(&handle, "long", 9, 2_000).await;
        sleep(Duration::from_millis(990)).await;
        handle.interrupt();
        handle.push(FrameKind::StopPlayback { id: Some(StopId(1)) }).await;
        sleep(Duration::from_millis(1_015)).await;
        handle.end();
    };
    let (finished, ()) = tokio::join!(task.run(), script);
    finished.unwrap();

    let (spec, samples) = file.read();
    assert_eq!((spec.channels, spec.sample_rate), (2, 24_000));
    let (user, agent): (Vec<i16>, Vec<i16>) = samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    assert_eq!(user.len(), 4 * 24_000);
    assert_eq!(user.iter().rposition(|sample| *sample == 3), Some(23_999));
    assert_eq!(agent.iter().position(|sample| *sample == 9), Some(48_000));
    assert_eq!(agent.iter().filter(|sample| **sample == 9).count(), 24_000, "one second was played");
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_the_agent_alone_has_one_channel_at_its_own_rate() {
    let file = TempFile::new("agent.wav");
    let output = WavOutput::with_rate(&file.0, WavLayout::Agent, 16_000).unwrap();
    let task = Pipeline::new().then(Playout::new()).then(output).into_task();
    let handle = task.handle();
    let sine: Vec<i16> =
        (0..24_000).map(|n| (8_000.0 * (TAU * 440.0 * n as f32 / 24_000.0).sin()) as i16).collect();
    let audio = AudioFrame::from_samples(24_000, &sine);
    let start = 0;
    let audio = OutputAudio { item_id: "sine".into(), content_index: 0, start, audio };
    handle.push(FrameKind::OutputAudio(audio)).await;
    handle.end();
    task.run().await.unwrap();
    let (spec, samples) = file.read();
    assert_eq!((spec.channels, spec.sample_rate, samples.len()), (1, 16_000, 16_000));
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest.is_some_and(|loudest| (7_900..8_100).contains(&loudest)), "{loudest:?}");
}

#[tokio::test]
async fn a_file_that_was_written_to_a_pipe_is_read_whole() {
    let file = TempFile::write("pipe.wav", spec(1, 16_000, 16, SampleFormat::Int), |writer| {
        (0..1_600).for_each(|_| writer.write_sample(7_i16).unwrap());
    });
    let mut bytes = fs::read(&file.0).unwrap();
    bytes[4..8].fill(0xff);
    bytes[40..44].fill(0xff);
    fs::write(&file.0, bytes).unwrap();
    assert_eq!(WavInput::open(&file.0).unwrap().duration(), Duration::from_millis(100));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_with_what_came() {
    let check = |file: &TempFile, want: &str| {
        let text = WavInput::open(&file.0).unwrap_err().to_string();
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
    let surround = TempFile::write("surround.wav", spec(6, 48_000, 16, SampleFormat::Int), |writer| {
        (0..6).for_each(|_| writer.write_sample(0_i16).unwrap());
    });
    check(&surround, "expected 1 or 2 channels, got 6");
    let slow = TempFile::write("slow.wav", spec(1, 1, 16, SampleFormat::Int), |writer| {
        writer.write_sample(0_i16).unwrap();
    });
    check(&slow, "expected a rate of 1000 to 768000 Hz, got 1 Hz");

    let directory = std::env::temp_dir();
    let error = WavOutput::create(&directory, WavLayout::Agent).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write {}: ", directory.display())), "{error}");
}
