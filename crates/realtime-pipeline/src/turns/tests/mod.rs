//! Tests of turns in virtual time, with audio that is made here.

mod dtmf;
mod first_word;
mod golden;
mod mute;
mod properties;
mod strategies;
mod tracker;
mod voices;

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::{
    Audio, BotSpeech, Chain, ChainOptions, Direction, Fault, FrameKind, Output, Processor, Stages, UserSpeech,
};

use super::{EnergyVad, Key, MuteRequest, Vad, Window};

/// Milliseconds after the origin.
fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn started() -> FrameKind {
    FrameKind::User(UserSpeech::Started { item_id: None })
}

fn stopped() -> FrameKind {
    FrameKind::User(UserSpeech::Stopped { item_id: None })
}

/// The length of a frame of audio (ms).
const FRAME: u64 = 20;

/// Audio that sounds as this function of the sample's number says, at a rate.
struct Sound {
    rate: u32,
    seed: u32,
    samples: Vec<i16>,
}

impl Sound {
    fn new(rate: u32) -> Self {
        Self { rate, seed: 1, samples: Vec::new() }
    }

    /// Noise of -1 to 1, the same in each run.
    fn noise(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.seed >> 8) / f64::from(1 << 23) - 1.0
    }

    /// Adds so many ms, as a function of the time (s) from their beginning and of noise.
    fn add(mut self, ms: u64, wave: impl Fn(f64, f64) -> f64) -> Self {
        for n in 0..ms * u64::from(self.rate) / 1000 {
            let noise = self.noise();
            let sample = wave(n as f64 / f64::from(self.rate), noise);
            self.samples.push((sample * 32_767.0) as i16);
        }
        self
    }

    /// A quiet room: -56 dB.
    fn room(self, ms: u64) -> Self {
        self.add(ms, |_, noise| 0.003 * noise)
    }

    /// Somebody speaks: noise in syllables, four a second, that never quite stops.
    fn speech(self, ms: u64) -> Self {
        self.add(ms, |t, noise| (0.06 + 0.3 * (4.0 * std::f64::consts::PI * t).sin().abs()) * noise)
    }

    /// The frames, of 20 ms each.
    fn frames(&self) -> Vec<Audio> {
        let frame = (u64::from(self.rate) * FRAME / 1000) as usize;
        self.samples.chunks(frame).map(|samples| Audio::mono(self.rate, samples)).collect()
    }
}

/// A detector that is told what to hear: loud samples are a voice. Its windows are 10 ms long.
struct Script;

impl Vad for Script {
    fn begin(&mut self, rate: u32) -> Window {
        Window { rate, samples: (rate / 100) as usize }
    }

    fn handle_window(&mut self, window: &[i16]) -> f32 {
        let loud = window.iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
        loud as f32 / window.len() as f32
    }

    fn reset(&mut self) {}
}

/// What came out of a chain, as words with their times (ms).
struct Run {
    chain: Chain,
    down: Vec<(u64, String)>,
    up: Vec<(u64, String)>,
    audio: Vec<Audio>,
    faults: Vec<String>,
    blocking: Vec<(crate::chain::WorkId, crate::chain::BlockingWork)>,
    ended: bool,
    now: u64,
}

impl Run {
    fn new(stage: impl Processor) -> Self {
        Self::with(Stages::new().then(stage))
    }

    fn with(stages: Stages) -> Self {
        let chain = Chain::with(stages, ChainOptions::new()).unwrap();
        let mut run = Self {
            chain,
            down: vec![],
            up: vec![],
            audio: vec![],
            faults: vec![],
            blocking: vec![],
            ended: false,
            now: 0,
        };
        run.chain.start(at(0));
        run.drain();
        run
    }

    fn down(&mut self, kind: FrameKind) {
        self.input(Direction::Downstream, kind);
    }

    fn up(&mut self, kind: FrameKind) {
        self.input(Direction::Upstream, kind);
    }

    fn input(&mut self, direction: Direction, kind: FrameKind) {
        self.chain.handle_input(at(self.now), direction, kind);
        self.drain();
    }

    fn key(&mut self, key: Key) {
        self.down(key.into());
    }

    fn ask(&mut self, request: MuteRequest) {
        self.down(request.into());
    }

    /// Time passes, and what is due happens.
    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        let mut turns = 0;
        while let Some(due) = self.chain.poll_timeout().filter(|due| *due <= at(until)) {
            self.now = due.as_micros() / 1000;
            self.chain.handle_timeout(due);
            self.drain();
            turns += 1;
            assert!(turns < 10_000, "time stands still at {due}");
        }
        self.now = until;
    }

    /// Audio comes as fast as it sounds: each frame at its end.
    fn play(&mut self, audio: impl IntoIterator<Item = Audio>) {
        for audio in audio {
            self.pass(audio.duration().as_micros() / 1000);
            self.down(FrameKind::InputAudio(audio));
        }
    }

    /// A voice for the detector of the tests, or silence.
    fn hear(&mut self, is_voice: bool, ms: u64) {
        let sample = if is_voice { 9_000 } else { 0 };
        self.play((0..ms / FRAME).map(|_| Audio::mono(16_000, vec![sample; 320])));
    }

    /// The oldest work ends.
    fn work_ends(&mut self) {
        let (work, task) = self.blocking.remove(0);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
        let done = done.map_err(|_| crate::chain::WorkFailed::Panicked { message: "the judge fell".into() });
        self.chain.handle_work(at(self.now), work, done);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.chain.poll_output() {
            match output {
                Output::Frame(Direction::Downstream, frame) => {
                    if let FrameKind::InputAudio(audio) = frame.kind() {
                        self.audio.push(audio.clone());
                    }
                    self.down.push((self.now, word(frame.kind())));
                }
                Output::Frame(Direction::Upstream, frame) => self.up.push((self.now, word(frame.kind()))),
                Output::SpawnBlocking(work, task) => self.blocking.push((work, task)),
                Output::Fault(fault) => self.faults.push(self::fault(&fault)),
                Output::Ended(_) => self.ended = true,
                _ => {}
            }
        }
    }

    /// What was told of the user downstream since the last time, with times, but for `Speaking`.
    fn told(&mut self) -> Vec<(u64, String)> {
        let is_told = |word: &str| word.starts_with("user ") && word != "user speaking";
        let told = std::mem::take(&mut self.down).into_iter().filter(|(_, word)| is_told(word));
        told.map(|(at, word)| (at, word["user ".len()..].to_owned())).collect()
    }

    /// As `told`, without times and without hints.
    fn turns(&mut self) -> Vec<String> {
        let told = self.told().into_iter().map(|(_, word)| word);
        told.filter(|word| !word.starts_with("voice")).collect()
    }
}

fn fault(fault: &Fault) -> String {
    fault.message.to_string()
}

fn word(kind: &FrameKind) -> String {
    let word = match kind {
        FrameKind::User(speech) => match speech {
            UserSpeech::Started { .. } => "user started",
            UserSpeech::Speaking => "user speaking",
            UserSpeech::Stopped { .. } => "user stopped",
            UserSpeech::VoiceStarted => "user voice started",
            UserSpeech::VoiceStopped => "user voice stopped",
            UserSpeech::Muted => "user muted",
            UserSpeech::Unmuted => "user unmuted",
        },
        kind => kind.name(),
    };
    word.to_owned()
}

fn bot(speech: BotSpeech) -> FrameKind {
    FrameKind::Bot(speech)
}

/// What was told, for comparison.
fn list(told: &[(u64, &str)]) -> Vec<(u64, String)> {
    told.iter().map(|(at, word)| (*at, (*word).to_owned())).collect()
}
