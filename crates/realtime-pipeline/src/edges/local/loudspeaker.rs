//! A loudspeaker of this machine: [`Loudspeaker`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cpal::traits::StreamTrait;

use super::hearing::{Hearing, SoundReader};
use super::ring::SampleWriter;
use super::spans::Spans;
use super::state::{Clock, DeviceState};
use super::tick::Tick;
use crate::chain::{ClearId, FrameKind, SinkPosition, SinkReport};
use crate::convert::Mono;
use crate::edges::{EdgeError, Pace, Sink};

/// A loudspeaker of this machine. [`LocalAudio`](super::LocalAudio) opens it.
///
/// It tells what was heard by what the device took, and by when the device says that this sounds. Audio comes
/// 100 ms before it is due, so that a busy task makes no gap. What the device has taken sounds to its end
/// also after a stop, some 40 ms; the rest falls to silence within 5 ms.
///
/// If the device is lost, the run ends when there is something to be heard.
pub struct Loudspeaker {
    /// `None`: the device is gone, or this is a test.
    stream: Option<cpal::Stream>,
    state: Arc<DeviceState>,
    clock: Clock,
    rate: u32,
    writer: SampleWriter,
    sounds: SoundReader,
    hearing: Hearing,
    mono: Mono,
    spans: Spans,
    /// Where the ring was cut off last.
    cut: u64,
    clearing: VecDeque<ClearId>,
    /// What was heard and is not told.
    heard: Option<SinkPosition>,
    /// Whether audio has come since the last look at the rings.
    has_grown: bool,
    /// The silence that was given before the last audio came (samples).
    silence: u64,
    late_is_told: bool,
    has_begun: bool,
    tick: Tick,
}

/// How long before its time audio is handed out.
const LEAD: Duration = Duration::from_millis(100);
/// How much waits when the sink is full (ms).
const ROOM_MS: u64 = 300;
/// How much may come after that: what was on its way, and chunks that are played whole.
pub(super) const MOST: Duration = Duration::from_secs(10);

impl Loudspeaker {
    pub(super) fn new(
        stream: Option<cpal::Stream>,
        state: Arc<DeviceState>,
        clock: Clock,
        rate: u32,
        writer: SampleWriter,
        sounds: SoundReader,
    ) -> Self {
        Self {
            stream,
            state,
            clock,
            rate,
            writer,
            sounds,
            hearing: Hearing::new(rate),
            mono: Mono::new(rate),
            spans: Spans::new(rate),
            cut: 0,
            clearing: VecDeque::new(),
            heard: None,
            has_grown: false,
            silence: 0,
            late_is_told: false,
            has_begun: false,
            tick: Tick::default(),
        }
    }

    /// Samples per second of the device (Hz).
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Begins to play with the call.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true)
            && let Some(Err(error)) = self.stream.as_ref().map(StreamTrait::play)
        {
            self.state.on_error(&error);
        }
    }

    fn check(&mut self) -> Result<(), EdgeError> {
        let Some(why) = self.state.lost() else { return Ok(()) };
        self.stream = None;
        Err(EdgeError::new(SINK, format!("the loudspeaker is lost: {why}; connect it, and call again")))
    }

    /// So many samples sound so long.
    const fn samples(&self, ms: u64) -> u64 {
        self.rate as u64 * ms / 1_000
    }

    /// Waits for the next look at the rings, and takes it.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.tick.poll(cx));
        while let Some(stretch) = self.sounds.pop() {
            self.hearing.note(stretch);
        }
        // What the filter holds is the end of what was said, unless more comes before the rest has sounded.
        let grows = std::mem::take(&mut self.has_grown);
        if !grows && self.writer.waiting() < self.samples(20) {
            self.flush();
        }
        if self.clearing.is_empty()
            && let Some(at) = self.spans.heard(self.hearing.heard(self.clock.micros()))
        {
            self.heard = Some(at);
        }
        if self.state.late() > 0 && !std::mem::replace(&mut self.late_is_told, true) {
            tracing::warn!(sink = SINK, "the system was too late for the device: a click may be heard");
        }
        Poll::Ready(())
    }

    fn flush(&mut self) {
        if self.spans.running().is_some() {
            let rest = self.mono.flush();
            self.writer.push(rest);
            self.spans.flushed(self.writer.written());
        }
    }

    /// The answer to stops, once the device has dropped what it had not taken.
    fn cleared(&mut self) -> Option<SinkReport> {
        let position = self.writer.dropped_from()?;
        let id = self.clearing.pop_front()?;
        let at = self.spans.dropped(self.cut, position);
        self.hearing.pass(self.cut);
        self.heard = None;
        Some(SinkReport::Cleared { id, at })
    }

    /// Counts a gap in what should sound without one.
    fn count_gap(&mut self, follows: bool) {
        let silence = self.state.silence();
        let given = silence - std::mem::replace(&mut self.silence, silence);
        if follows && given > 0 && self.state.add_gap() {
            tracing::warn!(
                sink = SINK,
                "it ran dry within an answer: the answer came too late, or this machine is too busy. More of \
                 it is counted, and not told"
            );
        }
    }
}

impl Sink for Loudspeaker {
    fn name(&self) -> &str {
        SINK
    }

    fn pace(&self) -> Pace {
        Pace { lead: LEAD, reports: true, ..Pace::default() }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.begin();
        loop {
            self.check()?;
            if self.writer.waiting() <= self.samples(ROOM_MS) {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_look(cx));
        }
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        let FrameKind::PlayedAudio(played) = frame else { return Ok(()) };
        self.check()?;
        self.count_gap(self.spans.is_followed_by(played));
        if self.spans.running().is_some_and(|rate| rate != played.audio.rate()) {
            self.flush();
        }
        let samples = self.mono.convert(&played.audio);
        let samples = samples.map_err(|error| EdgeError::new(SINK, error.to_string()))?;
        if samples.len() as u64 > self.writer.free() {
            let message = format!("dropped audio: {} s wait for the device", MOST.as_secs());
            return Err(EdgeError::new(SINK, message));
        }
        self.spans.push(played);
        self.writer.push(samples);
        self.has_grown = true;
        Ok(())
    }

    fn clear(&mut self, id: ClearId) {
        self.mono.reset();
        self.writer.cut();
        self.cut = self.writer.written();
        self.spans.flushed(self.cut);
        self.clearing.push_back(id);
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        self.begin();
        loop {
            if !self.clearing.is_empty()
                && let Some(report) = self.cleared()
            {
                return Poll::Ready(report);
            }
            if let Some(at) = self.heard.take() {
                return Poll::Ready(SinkReport::Heard(at));
            }
            ready!(self.poll_look(cx));
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.flush();
        loop {
            let is_over = self.hearing.heard(self.clock.micros()) >= self.writer.written();
            if is_over || self.state.lost().is_some() || !self.clearing.is_empty() {
                self.stream = None;
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_look(cx));
        }
    }
}

impl fmt::Debug for Loudspeaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loudspeaker")
            .field("rate", &self.rate)
            .field("waiting", &self.writer.waiting())
            .finish_non_exhaustive()
    }
}

const SINK: &str = "loudspeaker";
