//! A WAV file as the user: its sound in frames of 20 ms, in real time, as a microphone would give it.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{WavError, read};
use crate::chain::{Audio, BotSpeech, FrameKind, Samples};
use crate::edges::Source;

/// Speaks a WAV file into a call.
///
/// The file may have any rate, one channel or two (they are mixed), and integers of 8 to 32 bits or floats of
/// 32. Frames keep the file's rate. Each comes when its 20 ms have passed. Before and after the speech there
/// is silence, as from a microphone: without it a server would never hear the user stop.
/// [`FrameKind::InputFinished`] follows the last frame of speech; the silence goes on until the run ends.
pub struct WavSource {
    speech: Samples,
    /// Samples spoken so far.
    spoken: u64,
    hold: Hold,
    pace: FilePace,
    /// How much silence follows the speech before the source ends. `None`: it never ends.
    ends_after: Option<Duration>,
    /// Frames of silence since the speech. `None`: it is not over.
    silent: Option<u64>,
    /// Frames given so far, and when the first one began.
    clock: Option<(Instant, u64)>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Frames that are due.
    due: VecDeque<Option<FrameKind>>,
    silence: Samples,
}

/// What speech waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    Nothing,
    /// The assistant's first turn: for an agent that greets.
    FirstBotTurn,
}

/// How fast speech is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FilePace {
    Sound,
    /// As fast as it is asked for.
    Asked,
}

/// The length of a frame (ms).
const FRAME_MS: u64 = 20;

impl WavSource {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`WavError`] if the file is missing or cannot be read. Its text can be shown to the user.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WavError> {
        let (rate, samples) = read::read(path.as_ref())?;
        Ok(Self::from_samples(rate, samples))
    }

    /// Reads the bytes of a whole file, wherever they come from. Errors call it `name`.
    ///
    /// # Errors
    /// [`WavError`] if they are no WAV file of a kind that is read.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Result<Self, WavError> {
        let (rate, samples) = read::read_bytes(name.as_ref(), bytes.into())?;
        Ok(Self::from_samples(rate, samples))
    }

    /// Speaks mono samples of `rate` Hz instead of a file.
    pub fn from_samples(rate: u32, samples: impl Into<Arc<[i16]>>) -> Self {
        let most = u64::from(rate) * FRAME_MS / 1000 + 1;
        Self {
            speech: Samples::new(rate, 1, samples),
            spoken: 0,
            hold: Hold::Nothing,
            pace: FilePace::Sound,
            ends_after: None,
            silent: None,
            clock: None,
            sleep: None,
            due: VecDeque::new(),
            silence: Samples::new(rate, 1, vec![0; usize::try_from(most).unwrap_or_default()]),
        }
    }

    /// Holds the speech until the assistant has fallen silent for the first time, and gives silence
    /// meanwhile.
    #[must_use]
    pub const fn after_first_bot_turn(mut self) -> Self {
        self.hold = Hold::FirstBotTurn;
        self
    }

    /// Gives the speech as fast as it is asked for. What comes before and after it keeps its pace.
    #[must_use]
    pub const fn unpaced(mut self) -> Self {
        self.pace = FilePace::Asked;
        self
    }

    /// Ends after the last frame of speech. A server may not notice the end of the user's turn then: see
    /// [`end_after`](Self::end_after).
    #[must_use]
    pub const fn end_when_done(self) -> Self {
        self.end_after(Duration::ZERO)
    }

    /// Ends once this much silence has followed the speech.
    #[must_use]
    pub const fn end_after(mut self, silence: Duration) -> Self {
        self.ends_after = Some(silence);
        self
    }

    /// Samples per second (Hz).
    pub const fn sample_rate(&self) -> u32 {
        self.speech.rate()
    }

    /// The speech, in one channel.
    pub const fn speech(&self) -> &Samples {
        &self.speech
    }

    /// How long the speech is.
    pub fn duration(&self) -> Duration {
        Audio::Pcm(self.speech.clone()).duration().as_duration()
    }

    /// Returns whether the next frame holds speech.
    fn speaks(&self) -> bool {
        self.hold == Hold::Nothing && self.silent.is_none()
    }

    /// Makes the n-th frame, and what follows it.
    fn frame(&mut self, n: u64) {
        // Counted from the beginning: 20 ms are not a whole number of samples at every rate.
        let sample = |frame: u64| frame.saturating_mul(FRAME_MS * u64::from(self.speech.rate())) / 1000;
        let len = (sample(n.saturating_add(1)) - sample(n)).max(1);
        let speaks = self.speaks();
        let speech = match speaks {
            true => self.speech.slice(self.spoken..self.spoken + len),
            false => self.speech.slice(0..0),
        };
        self.spoken += speech.frames();
        let frame = match speech.frames() {
            0 => self.silence.slice(0..len),
            there if there == len => speech,
            _ => {
                let mut padded = speech.as_slice().to_vec();
                padded.resize(usize::try_from(len).unwrap_or_default(), 0);
                Samples::new(speech.rate(), 1, padded)
            }
        };
        self.due.push_back(Some(FrameKind::InputAudio(Audio::Pcm(frame))));
        if speaks && self.spoken == self.speech.frames() {
            self.due.push_back(Some(FrameKind::InputFinished));
            self.silent = Some(0);
        } else if let Some(silent) = &mut self.silent {
            *silent += 1;
        }
        let silent = self.silent.map(|frames| Duration::from_millis(frames.saturating_mul(FRAME_MS)));
        if silent.is_some_and(|silent| self.ends_after.is_some_and(|after| silent >= after)) {
            self.due.push_back(None);
        }
    }
}

impl Source for WavSource {
    fn name(&self) -> &str {
        "wav_source"
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        loop {
            if let Some(due) = self.due.pop_front() {
                return Poll::Ready(due);
            }
            let (began, frames) = *self.clock.get_or_insert_with(|| (Instant::now(), 0));
            if self.pace == FilePace::Asked && self.speaks() {
                // The clock begins anew after it.
                self.clock = None;
                self.frame(frames);
                continue;
            }
            let at = began + Duration::from_millis(FRAME_MS.saturating_mul(frames + 1));
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.clock = Some((began, frames + 1));
            self.frame(frames);
        }
    }

    fn notify(&mut self, frame: &FrameKind) {
        if matches!(frame, FrameKind::Bot(BotSpeech::Stopped)) {
            self.hold = Hold::Nothing;
        }
    }
}

impl fmt::Debug for WavSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavSource")
            .field("speech", &self.speech)
            .field("spoken", &self.spoken)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}
