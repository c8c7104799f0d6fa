//! Recordings in virtual time, with real files: layouts, turns, start and stop, and how they end.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;

use super::*;
use crate::chain::{
    AudioSource, BlockingWork, Chain, ClearId, Fault, Output, OutputAudio, Samples, Stages, WorkFailed,
    WorkId,
};
use crate::edges::testing::TempFile;

/// A chain with a recorder, its clock, and the work that it handed out.
struct Run {
    chain: Chain,
    ms: u64,
    works: VecDeque<(WorkId, BlockingWork)>,
    /// Whether work is done at once.
    is_quick: bool,
    faults: Vec<Arc<Fault>>,
    has_ended: bool,
}

impl Run {
    fn new(recorder: Recorder) -> Self {
        let chain = Chain::new(Stages::new().then(recorder)).unwrap();
        let mut run =
            Self { chain, ms: 0, works: VecDeque::new(), is_quick: true, faults: vec![], has_ended: false };
        run.chain.start(run.now());
        run.drain();
        run
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.ms)
    }

    fn input(&mut self, kind: FrameKind) {
        self.chain.handle_input(self.now(), Direction::Downstream, kind);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::SpawnBlocking(id, work) => self.works.push_back((id, work)),
                Output::Fault(fault) => self.faults.push(fault),
                Output::Ended(_) => self.has_ended = true,
                _ => {}
            }
            if self.is_quick {
                self.work();
            }
        }
    }

    /// Does the oldest work.
    fn work(&mut self) {
        if let Some((id, work)) = self.works.pop_front() {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let done = done.map_err(|_| WorkFailed::Panicked { message: "oh".to_owned() });
            self.chain.handle_work(self.now(), id, done);
            self.drain();
        }
    }

    /// So much time passes, in steps of 20 ms. In each the user is heard for 20 ms at its end, and the bot is
    /// played at its beginning; 0 is nothing.
    fn speak(&mut self, ms: u64, user: i16, bot: i16) {
        for _ in 0..ms / 20 {
            if bot != 0 {
                self.input(played(bot));
            }
            self.ms += 20;
            while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= self.now()) {
                self.chain.handle_timeout(due);
                self.drain();
            }
            if user != 0 {
                self.input(FrameKind::InputAudio(audio(user)));
            }
        }
    }

    fn end(&mut self) {
        self.input(FrameKind::End { reason: "enough".into() });
    }

    fn faults(&self) -> Vec<String> {
        self.faults.iter().map(ToString::to_string).collect()
    }
}

/// 20 ms at 8,000 Hz.
fn audio(sample: i16) -> Audio {
    Audio::mono(8_000, vec![sample; 160])
}

fn played(sample: i16) -> FrameKind {
    let source = AudioSource::Clip("hello".into());
    let output = OutputAudio { response_id: None, source, start: 0, mark: None, audio: audio(sample) };
    FrameKind::PlayedAudio(output)
}

fn user(started: bool) -> FrameKind {
    FrameKind::User(match started {
        true => UserSpeech::Started { item_id: None },
        false => UserSpeech::Stopped { item_id: None },
    })
}

/// A conversation of four seconds: the user speaks in the first, and the bot in the third.
fn conversation(run: &mut Run) {
    run.speak(1_000, 3, 0);
    run.speak(1_000, 0, 0);
    run.speak(1_000, 0, 9);
    run.speak(980, 0, 0);
    run.speak(20, 1, 0);
}

/// From where to where the samples have this value, in ms, if they have it nowhere else.
fn place(samples: &[i16], sample: i16) -> Option<(usize, usize)> {
    let first = samples.iter().position(|other| *other == sample)?;
    let last = samples.iter().rposition(|other| *other == sample)?;
    let all = samples[first..=last].iter().all(|other| *other == sample);
    all.then_some((first / 8, (last + 1) / 8))
}

type Pieces = Arc<Mutex<Vec<RecordedAudio>>>;

fn to_pieces(recording: Recording) -> (Recorder, Pieces) {
    let pieces = Pieces::default();
    let kept = Arc::clone(&pieces);
    (Recorder::to(recording.rate(8_000), move |piece| kept.lock().unwrap().push(piece)), pieces)
}

/// All samples of one voice.
fn samples(pieces: &Pieces, voice: RecordedVoice) -> Vec<i16> {
    let pieces = pieces.lock().unwrap();
    pieces
        .iter()
        .filter(|piece| piece.voice == voice)
        .flat_map(|piece| piece.audio.as_slice().to_vec())
        .collect()
}

#[test]
fn a_stereo_file_has_the_user_left_and_the_bot_right_each_at_its_time() {
    let file = TempFile::new("stereo.wav");
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::stereo().rate(8_000)).unwrap());
    conversation(&mut run);
    run.end();
    assert!(run.has_ended);
    let (rate, channels, samples) = file.read();
    assert_eq!((rate, channels, samples.len()), (8_000, 2, 2 * 32_000));
    let (user, bot): (Vec<i16>, Vec<i16>) = samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    assert_eq!((place(&user, 3), place(&user, 1)), (Some((0, 1_000)), Some((3_980, 4_000))));
    assert_eq!(place(&bot, 9), Some((2_000, 3_000)));
}

#[test]
fn the_default_rate_is_the_apis_and_voices_are_converted_to_it() {
    let file = TempFile::new("rate.wav");
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::stereo()).unwrap());
    let silence = Audio::coded(AudioFormat::Pcmu, Bytes::from_static(&[0xff; 160]));
    for _ in 0..50 {
        run.speak(20, 0, 100);
        run.input(FrameKind::InputAudio(silence.clone()));
    }
    run.end();
    let (rate, channels, samples) = file.read();
    assert_eq!((rate, channels, samples.len()), (24_000, 2, 2 * 24_000));
    assert!(samples.chunks(2).all(|pair| pair[0] == 0));
    assert!(samples.chunks(2).skip(1_000).take(20_000).all(|pair| (98..103).contains(&pair[1])));
}

#[test]
fn mixed_voices_are_clipped_and_do_not_wrap() {
    let (recorder, pieces) = to_pieces(Recording::mixed());
    let mut run = Run::new(recorder);
    run.speak(500, 30_000, 30_000);
    run.speak(500, 5, 0);
    run.speak(500, -30_000, -30_000);
    run.end();
    let samples = samples(&pieces, RecordedVoice::Both);
    assert_eq!(samples.len(), 12_000);
    assert_eq!(place(&samples, i16::MAX), Some((0, 500)));
    assert_eq!(place(&samples, 5), Some((500, 1_000)));
    assert_eq!(place(&samples, i16::MIN), Some((1_000, 1_500)));
}

#[test]
fn tracks_are_two_files_of_the_same_length() {
    let file = TempFile::new("call.wav");
    let beside = |voice: &str| {
        let name = file.0.file_stem().unwrap().to_str().unwrap();
        TempFile(file.0.with_file_name(format!("{name}-{voice}.wav")))
    };
    let (user, bot) = (beside("user"), beside("bot"));
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::tracks().rate(8_000)).unwrap());
    conversation(&mut run);
    run.end();
    let ((_, one, user), (_, other, bot)) = (user.read(), bot.read());
    assert_eq!((one, other, user.len(), bot.len()), (1, 1, 32_000, 32_000));
    assert_eq!((place(&user, 3), place(&bot, 9)), (Some((0, 1_000)), Some((2_000, 3_000))));
    assert!(!file.0.exists());
}

#[test]
fn each_turn_is_a_clip_and_the_users_begins_a_second_before_it_was_noticed() {
    let (recorder, pieces) = to_pieces(Recording::per_turn());
    let mut run = Run::new(recorder);
    run.speak(3_000, 1, 0);
    run.input(user(true));
    run.speak(500, 2, 0);
    run.input(user(false));
    run.speak(200, 3, 0);
    run.input(FrameKind::Bot(BotSpeech::Started));
    run.speak(400, 4, 9);
    run.input(FrameKind::Bot(BotSpeech::Stopped));
    run.input(user(true));
    run.speak(100, 5, 0);
    run.end();
    assert!(run.has_ended);
    let pieces = pieces.lock().unwrap();
    let clips: Vec<_> = pieces
        .iter()
        .map(|clip| (clip.turn, clip.voice, clip.at, clip.audio.frames() / 8, clip.audio.as_slice()[0]))
        .collect();
    let at = Timestamp::from_millis;
    let want = [
        (Some(1), RecordedVoice::User, at(2_000), 1_500, 1),
        (Some(2), RecordedVoice::Bot, at(3_700), 400, 9),
        (Some(3), RecordedVoice::User, at(3_500), 700, 3),
    ];
    assert_eq!(clips, want);
}

#[test]
fn a_clip_of_a_turn_is_a_file_with_its_number() {
    let file = TempFile::new("turns.wav");
    let name = file.0.file_stem().unwrap().to_str().unwrap();
    let first = TempFile(file.0.with_file_name(format!("{name}-001-user.wav")));
    let second = TempFile(file.0.with_file_name(format!("{name}-002-bot.wav")));
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::per_turn().rate(8_000)).unwrap());
    run.input(user(true));
    run.speak(100, 2, 0);
    run.input(user(false));
    run.speak(100, 0, 9);
    run.input(FrameKind::Bot(BotSpeech::Stopped));
    assert_eq!(first.read(), (8_000, 1, vec![2; 800]));
    assert_eq!(second.read(), (8_000, 1, vec![9; 800]));
}

#[test]
fn a_turn_that_never_ends_takes_no_more_than_its_room() {
    let (recorder, pieces) = to_pieces(Recording::per_turn());
    let handle = recorder.handle();
    let mut run = Run::new(recorder);
    run.input(user(true));
    run.speak(303_000, 2, 0);
    run.input(user(false));
    assert_eq!(run.faults(), ["recorder: a turn is longer than 300 s: the rest is left out"]);
    assert_eq!(handle.lost(), Duration::from_secs(3));
    assert_eq!(samples(&pieces, RecordedVoice::User).len(), 300 * 8_000);
}

#[test]
fn it_starts_and_stops_on_request_and_goes_on_in_the_same_file() {
    let file = TempFile::new("request.wav");
    let recording = Recording::mixed().rate(8_000).on_request();
    let recorder = Recorder::to_file(&file.0, recording).unwrap();
    let handle = recorder.handle();
    let mut run = Run::new(recorder);
    run.speak(500, 1, 0);
    assert!(!handle.is_recording());
    handle.start();
    handle.start();
    run.speak(600, 2, 0);
    handle.stop();
    run.speak(700, 3, 0);
    assert_eq!(file.read().2.len() / 160, 30, "a stop writes what belongs to it");
    handle.start();
    run.speak(400, 4, 0);
    run.end();
    let samples = file.read().2;
    assert_eq!((place(&samples, 2), place(&samples, 4)), (Some((0, 600)), Some((600, 1_000))));
    assert_eq!(samples.len(), 8_000);
}

#[test]
fn the_file_can_be_read_while_the_run_goes_on_and_nobody_speaks() {
    let file = TempFile::new("growing.wav");
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::mixed().rate(8_000)).unwrap());
    assert_eq!(file.read().2.len(), 0);
    run.speak(1_000, 7, 0);
    run.speak(9_000, 0, 0);
    let samples = file.read().2;
    assert_eq!((samples.len(), place(&samples, 7)), (9 * 8_000, Some((0, 1_000))));
}

#[test]
fn one_piece_is_written_at_a_time_and_the_end_waits_for_the_last() {
    let (recorder, pieces) = to_pieces(Recording::mixed().every(Duration::from_millis(100)));
    let mut run = Run::new(recorder);
    run.is_quick = false;
    run.speak(3_000, 7, 0);
    assert_eq!(run.works.len(), 1);
    run.end();
    assert!(!run.has_ended);
    while !run.works.is_empty() {
        run.work();
    }
    assert!(run.has_ended);
    assert_eq!(samples(&pieces, RecordedVoice::Both), vec![7; 24_000]);
}

#[test]
fn a_cancel_writes_the_rest_at_once_even_if_work_was_never_begun() {
    let (recorder, pieces) = to_pieces(Recording::mixed());
    let mut run = Run::new(recorder);
    run.is_quick = false;
    run.speak(3_000, 7, 0);
    run.input(FrameKind::Cancel { reason: "now".into() });
    assert!(run.has_ended);
    assert_eq!(samples(&pieces, RecordedVoice::Both), vec![7; 24_000]);
    let at: Vec<_> = pieces.lock().unwrap().iter().map(|piece| piece.at.as_micros() / 1000).collect();
    assert!(at.is_sorted() && at[0] == 0, "{at:?}");
}

#[test]
fn a_run_that_is_dropped_keeps_its_recording() {
    let file = TempFile::new("dropped.wav");
    let mut run = Run::new(Recorder::to_file(&file.0, Recording::mixed().rate(8_000)).unwrap());
    run.speak(1_500, 7, 0);
    drop(run);
    assert_eq!(file.read().2, vec![7; 12_000]);
}

#[test]
fn what_the_sink_drops_is_not_in_the_recording() {
    let (recorder, pieces) = to_pieces(Recording::mixed());
    let mut run = Run::new(recorder);
    // A carrier gets a second ahead.
    for _ in 0..50 {
        run.input(played(9));
    }
    run.speak(300, 0, 0);
    run.input(FrameKind::ClearSink(ClearId(1)));
    run.speak(2_000, 0, 0);
    run.end();
    assert_eq!(place(&samples(&pieces, RecordedVoice::Both), 9), Some((0, 300)));
}

#[test]
fn audio_that_cannot_be_converted_is_told_once_and_counted() {
    let (recorder, pieces) = to_pieces(Recording::mixed());
    let handle = recorder.handle();
    let mut run = Run::new(recorder);
    for _ in 0..3 {
        run.input(FrameKind::InputAudio(Audio::Pcm(Samples::new(10, 1, vec![0; 10]))));
    }
    run.speak(1_000, 7, 0);
    run.end();
    assert_eq!(run.faults().len(), 1, "{:?}", run.faults());
    assert_eq!(handle.lost(), Duration::from_secs(3));
    assert_eq!(samples(&pieces, RecordedVoice::Both), vec![7; 8_000]);
}

#[test]
fn a_file_that_cannot_be_written_stops_the_recording_and_not_the_run() {
    let missing = std::env::temp_dir().join("no such folder").join("call.wav");
    assert!(Recorder::to_file(&missing, Recording::stereo()).is_err());
    let recorder = Recorder::to_file(&missing, Recording::per_turn()).unwrap();
    let handle = recorder.handle();
    let mut run = Run::new(recorder);
    run.input(user(true));
    run.speak(100, 2, 0);
    run.input(user(false));
    let [fault] = &run.faults()[..] else { panic!("{:?}", run.faults()) };
    assert!(fault.starts_with("recorder: the recording has stopped: cannot write "), "{fault}");
    assert!(fault.contains("call-001-user.wav"), "{fault}");
    assert!(!handle.is_recording());
    run.speak(100, 2, 0);
    run.end();
    assert!(run.has_ended);
}

#[test]
fn a_callback_that_panics_stops_the_recording_and_not_the_run() {
    let recorder = Recorder::to(Recording::mixed().rate(8_000), |_| panic!("a bug"));
    let handle = recorder.handle();
    let mut run = Run::new(recorder);
    run.speak(2_500, 2, 0);
    assert_eq!(run.faults(), ["recorder: the recording has stopped: the work panicked: oh"]);
    assert!(!handle.is_recording());
    run.end();
    assert!(run.has_ended);
}
