//! What waits to be written, in order, and where it goes.
//!
//! Rule: whoever writes takes the target first and then empties the queue, so that pieces keep their order
//! on whatever thread they are written.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use super::options::{Layout, RecordedAudio, RecordedVoice, Recording};
use crate::chain::Samples;
use crate::edges::timeline::Stretch;
use crate::edges::wav::{WavError, WavFile};

/// A stretch of a recording, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) voice: RecordedVoice,
    pub(super) turn: Option<u32>,
    pub(super) at: Timestamp,
    pub(super) channels: u16,
    pub(super) stretch: Stretch,
}

/// Shared by the stage and the threads that write for it.
#[derive(Debug)]
pub(super) struct Writer {
    rate: u32,
    queue: Mutex<Queue>,
    target: Mutex<Target>,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// Samples in them.
    samples: usize,
}

enum Target {
    Files { path: PathBuf, open: BTreeMap<RecordedVoice, WavFile> },
    Callback(Box<dyn FnMut(RecordedAudio) + Send>),
}

/// How much may wait to be written. What comes then is silence in the recording.
const MOST_QUEUED: Duration = Duration::from_secs(60);
/// Long silence comes to a callback in pieces of this length.
const SILENCE: Duration = Duration::from_secs(10);

impl Writer {
    /// Creates the files, except those of turns to come.
    pub(super) fn files(path: &Path, recording: &Recording) -> Result<Self, WavError> {
        let rate = recording.rate;
        let mut open = BTreeMap::new();
        match recording.layout {
            Layout::Stereo => drop(open.insert(RecordedVoice::Both, WavFile::create(path, rate, 2)?)),
            Layout::Mixed => drop(open.insert(RecordedVoice::Both, WavFile::create(path, rate, 1)?)),
            Layout::Tracks => {
                for voice in [RecordedVoice::User, RecordedVoice::Bot] {
                    open.insert(voice, WavFile::create(&named(path, None, voice), rate, 1)?);
                }
            }
            Layout::PerTurn => {}
        }
        Ok(Self::new(rate, Target::Files { path: path.to_owned(), open }))
    }

    pub(super) fn callback(recording: &Recording, callback: Box<dyn FnMut(RecordedAudio) + Send>) -> Self {
        Self::new(recording.rate, Target::Callback(callback))
    }

    fn new(rate: u32, target: Target) -> Self {
        Self { rate, queue: Mutex::default(), target: Mutex::new(target) }
    }

    /// Adds a piece. Gives how much of it is lost, if too much waits.
    pub(super) fn push(&self, mut piece: Piece) -> Option<Duration> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = piece.stretch.samples.len();
        let room = MOST_QUEUED.as_secs() as usize * self.rate as usize * 2;
        if queue.samples + samples <= room || queue.pieces.is_empty() {
            queue.samples += samples;
            queue.pieces.push_back(piece);
            return None;
        }
        let frames = (samples / usize::from(piece.channels)) as u64;
        if piece.turn.is_none() {
            piece.stretch = Stretch { samples: Vec::new(), silence: piece.stretch.silence + frames };
            let same = |last: &&mut Piece| last.voice == piece.voice && last.turn.is_none();
            match queue.pieces.iter_mut().rev().find(same) {
                Some(last) => last.stretch.silence += piece.stretch.silence,
                None => queue.pieces.push_back(piece),
            }
        }
        Some(time(frames, self.rate))
    }

    /// Returns whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pieces.is_empty()
    }

    /// Drops what waits.
    pub(super) fn clear(&self) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Queue::default();
    }

    /// Writes all that waits. Blocks.
    pub(super) fn write_all(&self) -> Result<(), WavError> {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(piece) = self.pop() {
            target.write(piece, self.rate)?;
        }
        Ok(())
    }

    fn pop(&self) -> Option<Piece> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = queue.pieces.pop_front()?;
        queue.samples -= piece.stretch.samples.len();
        Some(piece)
    }
}

impl Target {
    fn write(&mut self, piece: Piece, rate: u32) -> Result<(), WavError> {
        let Piece { voice, turn, at, channels, stretch } = piece;
        match self {
            Self::Files { path, .. } if turn.is_some() => {
                let mut file = WavFile::create(&named(path, turn, voice), rate, channels)?;
                file.append(&stretch.samples, stretch.silence)
            }
            Self::Files { open, .. } => match open.get_mut(&voice) {
                Some(file) => file.append(&stretch.samples, stretch.silence),
                None => Ok(()),
            },
            Self::Callback(callback) => {
                let mut at = at;
                let mut give = |samples: Vec<i16>| {
                    let audio = Samples::new(rate, channels, samples);
                    let next = at + time(audio.frames(), rate);
                    callback(RecordedAudio { voice, turn, at, audio });
                    at = next;
                };
                if !stretch.samples.is_empty() {
                    give(stretch.samples);
                }
                let mut silence = stretch.silence;
                let longest = SILENCE.as_secs() * u64::from(rate);
                while silence > 0 {
                    let some = silence.min(longest.max(1));
                    give(vec![0; some as usize * usize::from(channels)]);
                    silence -= some;
                }
                Ok(())
            }
        }
    }
}

/// `call.wav` as `call-001-user.wav`, or without a turn as `call-user.wav`.
fn named(path: &Path, turn: Option<u32>, voice: RecordedVoice) -> PathBuf {
    let voice = match voice {
        RecordedVoice::Both => "both",
        RecordedVoice::User => "user",
        RecordedVoice::Bot => "bot",
    };
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    match turn {
        Some(turn) => name.push(format!("-{turn:03}-{voice}")),
        None => name.push(format!("-{voice}")),
    }
    name.push(".");
    match path.extension() {
        Some(extension) => name.push(extension),
        None => name.push("wav"),
    }
    path.with_file_name(name)
}

/// How long so many samples of one channel sound.
pub(super) fn time(frames: u64, rate: u32) -> Duration {
    let micros = u128::from(frames) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { path, .. } => write!(f, "Files({})", path.display()),
            Self::Callback(_) => f.write_str("Callback"),
        }
    }
}

/// The writer, as work that blocks.
pub(super) fn write(writer: &Arc<Writer>) -> impl FnOnce() -> Result<(), WavError> + Send + use<> {
    let writer = Arc::clone(writer);
    move || writer.write_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_voices_and_turns_have_names_of_their_own() {
        let name = |path: &str, turn, voice| named(Path::new(path), turn, voice).display().to_string();
        assert_eq!(name("a/call.wav", None, RecordedVoice::User), "a/call-user.wav");
        assert_eq!(name("call.b.wav", Some(12), RecordedVoice::Bot), "call.b-012-bot.wav");
        assert_eq!(name("call", Some(1_000), RecordedVoice::User), "call-1000-user.wav");
    }

    #[test]
    fn what_a_slow_disk_cannot_take_is_silence_and_counted() {
        let pieces = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&pieces);
        let recording = Recording::mixed().rate(1_000);
        let keep = Box::new(move |piece: RecordedAudio| heard.lock().unwrap().push(piece));
        let writer = Writer::callback(&recording, keep);
        let mut lost = Duration::ZERO;
        for second in 0..130 {
            let stretch = Stretch { samples: vec![1; 1_000], silence: 0 };
            let at = Timestamp::from_millis(second * 1_000);
            let piece = Piece { voice: RecordedVoice::Both, turn: None, at, channels: 1, stretch };
            lost += writer.push(piece).unwrap_or_default();
        }
        assert_eq!(lost, Duration::from_secs(10));
        writer.write_all().unwrap();
        assert!(writer.is_empty());
        let pieces = pieces.lock().unwrap();
        let samples: Vec<i16> = pieces.iter().flat_map(|piece| piece.audio.as_slice()).copied().collect();
        assert_eq!(samples.len(), 130_000, "it stays on the clock");
        assert_eq!(samples.iter().filter(|sample| **sample == 0).count(), 10_000);
        assert_eq!(pieces.last().map(|piece| piece.at), Some(Timestamp::from_millis(120_000)));
    }
}
