//! A WAV file as the loudspeaker: what was played, at its time.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::{WavError, WavFile};
use crate::chain::{Audio, ClearId, FrameKind, SinkReport};
use crate::edges::timeline::{Stretch, Timeline};
use crate::edges::{EdgeError, Sink};

/// Writes what was played into a WAV file of 16-bit mono samples.
///
/// The file begins with the run and has silence while nobody speaks, so that every word stands at its time.
/// It is written on another thread about every second of sound, and is a valid file after each piece.
/// A [`Recorder`](crate::edges::Recorder) has the user's voice too.
pub struct WavSink {
    timeline: Timeline<1>,
    /// When the run began.
    began: Option<Instant>,
    /// What is to be written next.
    waiting: Vec<Stretch>,
    file: Output,
    /// Until when the timeline was taken.
    taken: Duration,
    cleared: Vec<ClearId>,
    waker: Option<Waker>,
}

enum Output {
    Open(WavFile),
    /// Another thread writes.
    Writing(JoinHandle<(WavFile, Result<(), WavError>)>),
    /// It can't be written any more.
    Failed,
}

/// The default rate (Hz): the API's own.
const RATE: u32 = 24_000;
/// How late audio may come and still be placed at its time.
const LATE: Duration = Duration::from_secs(1);
/// How much sound is written at once.
const PIECE: Duration = Duration::from_secs(1);
/// Stretches that may wait for a slow disk before the sink is full.
const MOST_WAITING: usize = 30;

impl WavSink {
    /// Creates the file, or empties it. Its rate is 24,000 Hz.
    ///
    /// # Errors
    /// [`WavError`] if it cannot be created. Its text can be shown to the user.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, WavError> {
        Self::with_rate(path, RATE)
    }

    /// As [`create`](Self::create), at `rate` Hz.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn with_rate(path: impl AsRef<Path>, rate: u32) -> Result<Self, WavError> {
        Ok(Self {
            file: Output::Open(WavFile::create(path.as_ref(), rate, 1)?),
            timeline: Timeline::new(rate),
            began: None,
            waiting: Vec::new(),
            taken: Duration::ZERO,
            cleared: Vec::new(),
            waker: None,
        })
    }

    fn place(&mut self, audio: &Audio) -> Result<(), EdgeError> {
        let now = Instant::now();
        let at = now.saturating_duration_since(*self.began.get_or_insert(now));
        if at.saturating_sub(LATE) >= self.taken + PIECE {
            self.taken = at.saturating_sub(LATE);
            let stretch = self.timeline.take_until(self.taken);
            self.waiting.push(stretch);
        }
        self.timeline.place(0, at, audio).map_err(|error| EdgeError::new(NAME, error.to_string()))
    }

    /// Writes on: waits for what is being written, and begins with what waits. Ready if nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        loop {
            match std::mem::replace(&mut self.file, Output::Failed) {
                Output::Open(file) if self.waiting.is_empty() => {
                    self.file = Output::Open(file);
                    return Poll::Ready(Ok(()));
                }
                Output::Open(mut file) => {
                    let waiting = std::mem::take(&mut self.waiting);
                    self.file = Output::Writing(spawn_blocking(move || {
                        let written = write(&mut file, &waiting);
                        (file, written)
                    }));
                }
                Output::Writing(mut task) => match Pin::new(&mut task).poll(cx) {
                    Poll::Pending => {
                        self.file = Output::Writing(task);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((file, Ok(())))) => self.file = Output::Open(file),
                    Poll::Ready(Ok((_, Err(error)))) => {
                        return Poll::Ready(Err(EdgeError::new(NAME, error.to_string()).caused_by(error)));
                    }
                    Poll::Ready(Err(error)) => {
                        let message = "the thread that writes the file has ended";
                        return Poll::Ready(Err(EdgeError::new(NAME, message).caused_by(error)));
                    }
                },
                Output::Failed => {
                    return Poll::Ready(Err(EdgeError::new(NAME, "the file can't be written any more")));
                }
            }
        }
    }
}

fn write(file: &mut WavFile, stretches: &[Stretch]) -> Result<(), WavError> {
    stretches.iter().try_for_each(|stretch| file.append(&stretch.samples, stretch.silence))
}

impl Sink for WavSink {
    fn name(&self) -> &str {
        NAME
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.waker = Some(cx.waker().clone());
        match self.poll_write(cx) {
            Poll::Pending if self.waiting.len() < MOST_WAITING => Poll::Ready(Ok(())),
            written => written,
        }
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        match frame {
            FrameKind::Start => self.began = Some(Instant::now()),
            FrameKind::PlayedAudio(_) if matches!(self.file, Output::Failed) => {
                return Err(EdgeError::new(NAME, "the file can't be written any more"));
            }
            FrameKind::PlayedAudio(played) => {
                let waited = self.waiting.len();
                let placed = self.place(&played.audio);
                if self.waiting.len() > waited {
                    wake(&mut self.waker);
                }
                return placed;
            }
            _ => {}
        }
        Ok(())
    }

    fn clear(&mut self, id: ClearId) {
        if let Some(began) = self.began {
            self.timeline.cut(0, began.elapsed());
        }
        self.cleared.push(id);
        wake(&mut self.waker);
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        if self.cleared.is_empty() {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(SinkReport::Cleared { id: self.cleared.remove(0), at: None })
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        let rest = self.timeline.finish();
        if !rest.is_empty() {
            self.waiting.push(rest);
        }
        self.poll_write(cx)
    }
}

impl Drop for WavSink {
    /// A run that is dropped is not closed: what was played is written nevertheless.
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let file = match std::mem::replace(&mut self.file, Output::Failed) {
            Output::Open(file) => Some(file),
            Output::Writing(mut task) => match Pin::new(&mut task).poll(&mut cx) {
                Poll::Ready(Ok((file, Ok(())))) => Some(file),
                _ => None,
            },
            Output::Failed => None,
        };
        self.waiting.push(self.timeline.finish());
        self.waiting.retain(|stretch| !stretch.is_empty());
        if self.waiting.is_empty() {
            return;
        }
        match file.map(|mut file| write(&mut file, &self.waiting)) {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "the end of the recording is lost"),
            None => tracing::warn!("the end of the recording is lost: the file was being written"),
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl fmt::Debug for WavSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file: &dyn fmt::Debug = match &self.file {
            Output::Open(file) => file,
            Output::Writing(_) => &"another thread writes",
            Output::Failed => &"failed",
        };
        f.debug_struct("WavSink").field("file", file).field("taken", &self.taken).finish_non_exhaustive()
    }
}

const NAME: &str = "wav_sink";
