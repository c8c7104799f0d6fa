//! Raw PCM over bytes: 16-bit little-endian samples from a reader, and into a writer.
//!
//! With standard input and output a microphone and a loudspeaker are programs:
//! `arecord -t raw -f S16_LE -r 24000 | agent | aplay -t raw -f S16_LE -r 24000`.

use std::collections::VecDeque;
use std::fmt;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use realtime_protocol::audio::AudioFormat;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::chain::{Audio, ClearId, FrameKind, Samples, SinkReport};
use crate::convert::Mono;
use crate::edges::{EdgeError, Sink, Source};
use crate::pcm;

#[cfg(test)]
mod tests;

/// Reads a microphone's samples from a reader.
///
/// Audio comes as the reader gives it, at most 20 ms in a frame. At its end come
/// [`FrameKind::InputFinished`] and the end of the source.
#[doc(alias = "LocalAudioTransport")]
pub struct RawSource<R> {
    reader: R,
    rate: u32,
    channels: u16,
    buffer: Box<[u8]>,
    /// Bytes at the beginning of `buffer` that are no sample for each channel yet.
    held: usize,
    state: Reading,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Open,
    /// The end of the reader was told.
    Finished,
    /// The source has ended.
    Ended,
}

/// Writes what is played to a writer.
///
/// It converts to its own rate. Between the bot's turns it writes nothing: the program behind it plays what
/// comes. [`poll_ready`](Sink::poll_ready) is pending while more than 100 ms wait for the writer.
pub struct RawSink<W> {
    writer: W,
    mono: Mono,
    rate: u32,
    channels: u16,
    /// Bytes that are not written yet.
    waiting: VecDeque<u8>,
    has_failed: bool,
    cleared: VecDeque<ClearId>,
    waker: Option<Waker>,
}

/// How much audio may wait for a writer before the sink is full.
const ROOM: Duration = Duration::from_millis(100);
/// How much more may come after that: what was on its way, and a chunk that is played whole.
const MOST: Duration = Duration::from_secs(10);

impl<R: AsyncRead + Send + Unpin> RawSource<R> {
    /// Mono samples of `rate` Hz.
    pub fn new(reader: R, rate: u32) -> Self {
        Self::with_channels(reader, rate, 1)
    }

    /// Samples of `rate` Hz; those of the channels take turns. 0 counts as 1.
    pub fn with_channels(reader: R, rate: u32, channels: u16) -> Self {
        let channels = channels.max(1);
        let frames = (rate as usize / 50).max(1);
        let buffer = vec![0; frames * usize::from(channels) * 2].into();
        Self { reader, rate, channels, buffer, held: 0, state: Reading::Open }
    }

    /// The audio of the bytes that form a sample for each channel.
    fn audio(&mut self, filled: usize) -> Option<Audio> {
        let whole = filled - filled % (usize::from(self.channels) * 2);
        let bytes = &self.buffer[..whole];
        let audio = match self.channels {
            1 => Audio::coded(AudioFormat::Pcm16 { rate: self.rate }, Bytes::copy_from_slice(bytes)),
            channels => {
                let samples: Arc<[i16]> = pcm::samples(bytes).collect();
                Audio::Pcm(Samples::new(self.rate, channels, samples))
            }
        };
        self.buffer.copy_within(whole..filled, 0);
        self.held = filled - whole;
        (whole > 0).then_some(audio)
    }
}

impl<R: AsyncRead + Send + Unpin> Source for RawSource<R> {
    fn name(&self) -> &str {
        SOURCE
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        if self.state != Reading::Open {
            self.state = Reading::Ended;
            return Poll::Ready(None);
        }
        loop {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            buffer.set_filled(self.held);
            if let Err(error) = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer)) {
                self.state = Reading::Ended;
                let error = EdgeError::new(SOURCE, "the microphone can't be read").caused_by(error);
                return Poll::Ready(Some(error.to_frame()));
            }
            let filled = buffer.filled().len();
            if filled == self.held {
                self.state = Reading::Finished;
                return Poll::Ready(Some(FrameKind::InputFinished));
            }
            if let Some(audio) = self.audio(filled) {
                return Poll::Ready(Some(FrameKind::InputAudio(audio)));
            }
        }
    }
}

impl<W: AsyncWrite + Send + Unpin> RawSink<W> {
    /// Mono samples of `rate` Hz.
    pub fn new(writer: W, rate: u32) -> Self {
        Self::with_channels(writer, rate, 1)
    }

    /// The same samples of `rate` Hz on each channel, in turn. 0 counts as 1.
    pub fn with_channels(writer: W, rate: u32, channels: u16) -> Self {
        Self {
            writer,
            mono: Mono::new(rate),
            rate,
            channels: channels.max(1),
            waiting: VecDeque::new(),
            has_failed: false,
            cleared: VecDeque::new(),
            waker: None,
        }
    }

    fn bytes(&self, time: Duration) -> usize {
        let bytes = time.as_millis() * u128::from(self.rate) * u128::from(self.channels) * 2 / 1000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(2)
    }

    fn push(&mut self, samples: &[i16]) {
        for sample in samples {
            for _ in 0..self.channels {
                self.waiting.extend(sample.to_le_bytes());
            }
        }
    }

    /// Writes until nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            let error = match ready!(Pin::new(&mut self.writer).poll_write(cx, front)) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    self.waiting.drain(..written);
                    continue;
                }
                Err(error) => error,
            };
            return Poll::Ready(Err(self.fail(error)));
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: std::io::Error) -> EdgeError {
        self.has_failed = true;
        self.waiting.clear();
        let message = match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::WriteZero => {
                "nobody reads the output any more: check the program behind the pipe, it has ended"
            }
            _ => "the loudspeaker can't be written",
        };
        EdgeError::new(SINK, message).caused_by(error)
    }

    fn failed(&self) -> Result<(), EdgeError> {
        match self.has_failed {
            true => Err(EdgeError::new(SINK, "it has failed before")),
            false => Ok(()),
        }
    }
}

impl<W: AsyncWrite + Send + Unpin> Sink for RawSink<W> {
    fn name(&self) -> &str {
        SINK
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.failed()?;
        self.waker = Some(cx.waker().clone());
        if let Poll::Ready(written) = self.poll_write(cx) {
            let flushed = written.map(|()| Pin::new(&mut self.writer).poll_flush(cx));
            return match flushed {
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Err(self.fail(error))),
                Ok(_) => Poll::Ready(Ok(())),
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        match self.waiting.len() <= self.bytes(ROOM) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        let FrameKind::PlayedAudio(played) = frame else { return Ok(()) };
        self.failed()?;
        if self.waiting.len() > self.bytes(MOST) {
            let message = format!("dropped audio: {} s wait for the writer", MOST.as_secs());
            return Err(EdgeError::new(SINK, message));
        }
        let samples = self.mono.convert(&played.audio);
        let samples = samples.map_err(|error| EdgeError::new(SINK, error.to_string()))?;
        self.push(&samples);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    fn clear(&mut self, id: ClearId) {
        self.mono.reset();
        // What is left of a frame that is half written keeps the samples whole.
        let frame = usize::from(self.channels) * 2;
        self.waiting.truncate(self.waiting.len() % frame);
        self.cleared.push_back(id);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        match self.cleared.pop_front() {
            Some(id) => Poll::Ready(SinkReport::Cleared { id, at: None }),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        if self.has_failed {
            return Poll::Ready(Ok(()));
        }
        let rest = self.mono.flush();
        self.push(&rest);
        ready!(self.poll_write(cx))?;
        let closed = ready!(Pin::new(&mut self.writer).poll_shutdown(cx));
        Poll::Ready(closed.map_err(|error| self.fail(error)))
    }
}

impl<R> fmt::Debug for RawSource<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSource")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for RawSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSink")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

const SOURCE: &str = "raw_source";
const SINK: &str = "raw_sink";
