//! A WAV file as the record of a conversation: what was played and said, at its time.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::WavError;
use super::tracks::{Tracks, Voice};
use crate::old::cx::Cx;
use crate::old::error::Error;
use crate::old::frame::{Direction, Frame, FrameKind};
use crate::old::payload::AudioFrame;
use crate::old::processor::Processor;

/// Records a run into a WAV file of 16-bit samples. Place it downstream of the playout.
///
/// The recording begins with the run, and has silence while nobody speaks. The agent's voice is the audio
/// that was played, not all that came: an interrupted answer ends where it was cut. All frames are passed on.
#[derive(Debug)]
pub struct WavOutput {
    path: PathBuf,
    layout: WavLayout,
    tracks: Tracks,
    writer: Writer,
}

/// What a recording's channels hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WavLayout {
    /// One channel: the agent.
    Agent,
    /// Two channels: the user left, the agent right.
    #[default]
    UserAndAgent,
}

/// The file, until it is complete or cannot be written.
struct Writer(Option<WavWriter<BufWriter<File>>>);

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "open" } else { "closed" })
    }
}

/// How late audio may come and still be placed at its time.
const LATE: Duration = Duration::from_secs(1);
/// The default rate of a recording (Hz): the API's own.
const RATE: u32 = 24_000;

impl WavOutput {
    /// Creates the file, or empties it. It is complete when the run has stopped.
    ///
    /// # Errors
    /// [`WavError`] if it cannot be created. Its text can be shown to the user.
    pub fn create(path: impl AsRef<Path>, layout: WavLayout) -> Result<Self, WavError> {
        Self::with_rate(path, layout, RATE)
    }

    /// As [`create`](Self::create), at `rate` Hz instead of 24,000.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn with_rate(path: impl AsRef<Path>, layout: WavLayout, rate: u32) -> Result<Self, WavError> {
        let path = path.as_ref();
        let channels = match layout {
            WavLayout::Agent => 1,
            WavLayout::UserAndAgent => 2,
        };
        let spec =
            WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let writer = WavWriter::create(path, spec).map_err(|error| WavError::write(path, error))?;
        let (path, tracks, writer) = (path.to_owned(), Tracks::new(rate), Writer(Some(writer)));
        Ok(Self { path, layout, tracks, writer })
    }

    async fn record(
        &mut self,
        voice: Voice,
        frame: &Frame,
        audio: &AudioFrame,
        cx: &Cx,
    ) -> Result<(), Error> {
        let Some(samples) = audio.samples() else {
            let message = format!("cannot record {:?}: expected 16-bit PCM", audio.format);
            cx.push(FrameKind::fault(cx.name().clone(), message), Direction::Upstream).await;
            return Ok(());
        };
        let samples: Vec<i16> = samples.collect();
        let at = frame.pts().unwrap_or_else(|| cx.now());
        if let Err(error) = self.tracks.place(voice, at, audio.format.sample_rate(), &samples) {
            cx.push(FrameKind::fault(cx.name().clone(), error.to_string()), Direction::Upstream).await;
        }
        self.write(|tracks, write| tracks.write_until(cx.now().saturating_sub(LATE), write))
    }

    fn write(&mut self, take: impl FnOnce(&mut Tracks, &mut dyn FnMut(i16, i16))) -> Result<(), Error> {
        let (Some(writer), layout) = (&mut self.writer.0, self.layout) else { return Ok(()) };
        let mut written = Ok(());
        take(&mut self.tracks, &mut |user, agent| {
            if written.is_ok() {
                written = match layout {
                    WavLayout::Agent => writer.write_sample(agent),
                    WavLayout::UserAndAgent => {
                        writer.write_sample(user).and_then(|()| writer.write_sample(agent))
                    }
                };
            }
        });
        written.map_err(|error| failed(&self.path, error))
    }
}

impl Processor for WavOutput {
    fn name(&self) -> &str {
        "wav_output"
    }

    async fn process(&mut self, frame: Frame, direction: Direction, cx: &mut Cx) -> Result<(), Error> {
        match (&frame.kind, self.layout) {
            (FrameKind::PlayedAudio(played), _) => {
                self.record(Voice::Agent, &frame, &played.audio, cx).await?;
            }
            (FrameKind::InputAudio(audio), WavLayout::UserAndAgent) => {
                self.record(Voice::User, &frame, audio, cx).await?;
            }
            _ => {}
        }
        cx.forward(frame, direction).await;
        Ok(())
    }

    async fn stop(&mut self, _cx: &mut Cx) -> Result<(), Error> {
        self.write(|tracks, write| tracks.finish(write))?;
        match self.writer.0.take() {
            Some(writer) => writer.finalize().map_err(|error| failed(&self.path, error)),
            None => Ok(()),
        }
    }
}

fn failed(path: &Path, error: hound::Error) -> Error {
    Error::new(WavError::write(path, error).to_string())
}
