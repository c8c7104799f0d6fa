//! A WAV file as the user: its sound in frames of 20 ms, in real time, as a microphone would give it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{WavError, read};
use crate::old::cx::Cx;
use crate::old::error::Error;
use crate::old::frame::{Direction, Frame, FrameKind};
use crate::old::payload::AudioFrame;
use crate::old::processor::Processor;

/// Speaks a WAV file into a pipeline, as its first processor.
///
/// The file may have any rate, one channel or two (they are mixed), and integers of 8 to 32 bits or floats of
/// 32. Frames keep the file's rate. Each is pushed when its 20 ms have passed, and stamped with their
/// beginning. Before and after the speech there is silence, as from a microphone: without it a server would
/// never hear the user stop. [`FrameKind::InputFinished`] follows the last frame of speech; the silence goes
/// on until the run ends.
#[derive(Debug)]
pub struct WavInput {
    rate: u32,
    samples: Arc<[i16]>,
    /// Samples spoken so far.
    spoken: usize,
    hold: Hold,
    /// When the first frame began; `None` before the run and after its end.
    began: Option<Instant>,
    /// Frames pushed so far.
    frames: u64,
}

/// What speech waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    Nothing,
    /// The assistant's first turn: for an agent that greets.
    FirstBotTurn,
}

/// The length of a frame.
const FRAME_MS: u64 = 20;

impl WavInput {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`WavError`] if the file is missing or cannot be read. Its text can be shown to the user.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WavError> {
        let (rate, samples) = read::read(path.as_ref())?;
        Ok(Self::from_samples(rate, samples))
    }

    /// Speaks mono samples of `rate` Hz instead of a file.
    pub fn from_samples(rate: u32, samples: impl Into<Arc<[i16]>>) -> Self {
        Self { rate, samples: samples.into(), spoken: 0, hold: Hold::Nothing, began: None, frames: 0 }
    }

    /// Holds the speech until the assistant has fallen silent for the first time, and gives silence
    /// meanwhile.
    #[must_use]
    pub const fn after_first_bot_turn(mut self) -> Self {
        self.hold = Hold::FirstBotTurn;
        self
    }

    /// Samples per second (Hz).
    pub const fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// How long the speech is.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(self.rate.max(1)))
    }

    /// Silence of the frame's length, with whatever speech is due in it.
    fn next_frame(&mut self) -> Vec<i16> {
        // Counted from the beginning: 20 ms are not a whole number of samples at every rate.
        let sample = |frame: u64| frame * FRAME_MS * u64::from(self.rate) / 1000;
        let len = (sample(self.frames + 1) - sample(self.frames)) as usize;
        let mut frame = vec![0; len];
        if self.hold == Hold::Nothing {
            let speech = &self.samples[self.spoken..];
            let speech = &speech[..speech.len().min(len)];
            frame[..speech.len()].copy_from_slice(speech);
            self.spoken += speech.len();
        }
        frame
    }
}

impl Processor for WavInput {
    fn name(&self) -> &str {
        "wav_input"
    }

    async fn start(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.began = Some(Instant::now());
        Ok(())
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        if matches!(frame.kind, FrameKind::BotStoppedSpeaking) {
            self.hold = Hold::Nothing;
        }
        cx.forward(frame, direction).await;
        Ok(())
    }

    async fn ready(&mut self) {
        match self.began {
            Some(began) => sleep_until(began + Duration::from_millis(FRAME_MS * (self.frames + 1))).await,
            None => std::future::pending().await,
        }
    }

    async fn work(&mut self, cx: &mut Cx) -> Result<(), Error> {
        let Some(began) = self.began else { return Ok(()) };
        let pts = cx.at(began + Duration::from_millis(FRAME_MS * self.frames));
        let speaks =
            self.hold == Hold::Nothing && (self.spoken < self.samples.len() || self.samples.is_empty());
        let samples = self.next_frame();
        self.frames += 1;
        let audio = AudioFrame::from_samples(self.rate, &samples);
        cx.push_at(FrameKind::InputAudio(audio), pts, Direction::Downstream).await;
        if speaks && self.spoken == self.samples.len() {
            // An empty file is finished once, too: from then on it counts as spoken.
            if self.samples.is_empty() {
                self.samples = vec![0].into();
                self.spoken = 1;
            }
            cx.push(FrameKind::InputFinished, Direction::Downstream).await;
        }
        Ok(())
    }

    async fn end(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.began = None;
        Ok(())
    }
}
