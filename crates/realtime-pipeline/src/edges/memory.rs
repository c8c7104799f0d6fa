//! A transport within the program: input is given in by hand, and output is read back. For tests, and for
//! what has its own audio.
//!
//! ```
//! use realtime_pipeline::chain::Audio;
//! use realtime_pipeline::edges::{Transport, memory};
//!
//! let (near, mut far) = memory::pair();
//! far.input.audio(Audio::mono(24_000, vec![0; 480]))?;
//! // The call runs over the near end.
//! let (source, sink) = near.split();
//! assert_eq!((source.name(), sink.name()), ("memory_source", "memory_sink"));
//! drop((source, sink));
//! assert!(far.output.try_next().is_none());
//! # Ok::<(), realtime_pipeline::edges::EdgeError>(())
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::chain::{ClearId, FrameKind, SinkPosition, SinkReport};
use crate::edges::ring::{RingInput, RingSource, ring};
use crate::edges::{EdgeError, Pace, Sink, Transport};

/// Both ends of a transport that keeps all frames in memory.
pub fn pair() -> (MemoryTransport, MemoryPeer) {
    pair_with(MemoryOptions::default())
}

/// As [`pair`], with options.
pub fn pair_with(options: MemoryOptions) -> (MemoryTransport, MemoryPeer) {
    let (input, source) = ring("memory_source", options.input_room);
    let shared = Arc::new(Shared { options, state: Mutex::default() });
    let sink = MemorySink(Arc::clone(&shared));
    let output = MemoryOutput(shared);
    (MemoryTransport { source, sink }, MemoryPeer { input, output })
}

/// How a transport in memory behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryOptions {
    /// How much input audio may wait. Default: 1 s.
    pub input_room: Duration,
    /// How many frames of output may wait to be read before the sink is full. Twice as many are an error.
    /// Default: 4,096.
    pub output_room: usize,
    /// How the sink is fed. If it reports, audio counts as heard when it is read. Default: [`Pace`]'s.
    pub pace: Pace,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { input_room: Duration::from_secs(1), output_room: 4_096, pace: Pace::default() }
    }
}

/// The call's end.
#[derive(Debug)]
pub struct MemoryTransport {
    /// Where the call's input comes from.
    pub source: RingSource,
    /// Where the call's output goes.
    pub sink: MemorySink,
}

/// The other end: who speaks with the call.
#[derive(Debug)]
pub struct MemoryPeer {
    /// Gives input to the call.
    pub input: RingInput,
    /// Reads the call's output.
    pub output: MemoryOutput,
}

/// A sink that keeps the frames until they are read.
pub struct MemorySink(Arc<Shared>);

/// Reads what a [`MemorySink`] was sent.
pub struct MemoryOutput(Arc<Shared>);

struct Shared {
    options: MemoryOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    frames: VecDeque<FrameKind>,
    reports: VecDeque<SinkReport>,
    heard: Option<SinkPosition>,
    is_closed: bool,
    call: Option<Waker>,
    reader: Option<Waker>,
}

impl Transport for MemoryTransport {
    fn split(self) -> (Box<dyn crate::edges::Source>, Box<dyn Sink>) {
        (self.source, self.sink).split()
    }
}

impl MemoryOutput {
    /// Waits for the next frame. `None`: the call is over, and all has been read.
    pub async fn next(&mut self) -> Option<FrameKind> {
        poll_fn(|cx| {
            let mut state = self.0.state();
            match state.frames.pop_front() {
                Some(frame) => Poll::Ready(Some(self.0.read(state, frame))),
                None if state.is_closed => Poll::Ready(None),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The next frame, if one is there.
    pub fn try_next(&mut self) -> Option<FrameKind> {
        let mut state = self.0.state();
        let frame = state.frames.pop_front()?;
        Some(self.0.read(state, frame))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame was read: there is room again, and its audio was heard.
    fn read(&self, mut state: MutexGuard<'_, State>, frame: FrameKind) -> FrameKind {
        if let FrameKind::PlayedAudio(played) = &frame
            && self.options.pace.reports
        {
            let samples = played.start + played.audio.frames();
            let at = SinkPosition { source: played.source.clone(), samples };
            state.heard = Some(at.clone());
            state.report(SinkReport::Heard(at));
        }
        let call = state.call.take();
        drop(state);
        wake(call);
        frame
    }
}

impl State {
    /// Keeps a report. Of positions only the last one counts, so they need no room.
    fn report(&mut self, report: SinkReport) {
        if matches!((&report, self.reports.back()), (SinkReport::Heard(_), Some(SinkReport::Heard(_)))) {
            self.reports.pop_back();
        }
        self.reports.push_back(report);
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &str {
        NAME
    }

    fn pace(&self) -> Pace {
        self.0.options.pace
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        let mut state = self.0.state();
        if state.frames.len() < self.0.options.output_room {
            return Poll::Ready(Ok(()));
        }
        state.call = Some(cx.waker().clone());
        Poll::Pending
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        let mut state = self.0.state();
        let most = self.0.options.output_room.saturating_mul(2).max(1);
        if state.frames.len() >= most {
            return Err(EdgeError::new(NAME, format!("{most} frames wait already: nobody reads them")));
        }
        state.frames.push_back(frame.clone());
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(())
    }

    fn clear(&mut self, id: ClearId) {
        let mut state = self.0.state();
        state.frames.retain(|frame| !matches!(frame, FrameKind::PlayedAudio(_)));
        let at = state.heard.clone();
        state.report(SinkReport::Cleared { id, at });
        let call = state.call.take();
        drop(state);
        wake(call);
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        let mut state = self.0.state();
        match state.reports.pop_front() {
            Some(report) => Poll::Ready(report),
            None => {
                state.call = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}

impl Shared {
    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME).field("waiting", &self.0.state().frames.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryOutput").field("waiting", &self.0.state().frames.len()).finish_non_exhaustive()
    }
}

const NAME: &str = "memory_sink";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Audio, AudioSource, OutputAudio};

    /// 10 ms of a clip, from its n-th hundredth of a second on.
    fn played(n: u64) -> FrameKind {
        let audio = Audio::mono(8_000, vec![1; 80]);
        let source = AudioSource::Clip("hello".into());
        FrameKind::PlayedAudio(OutputAudio { response_id: None, source, start: n * 80, mark: None, audio })
    }

    fn at(samples: u64) -> SinkPosition {
        SinkPosition { source: AudioSource::Clip("hello".into()), samples }
    }

    fn names(output: &mut MemoryOutput) -> Vec<&'static str> {
        std::iter::from_fn(|| output.try_next()).map(|frame| frame.name()).collect()
    }

    #[tokio::test]
    async fn a_full_sink_takes_what_is_on_its_way_and_is_ready_again_when_somebody_reads() {
        let (mut near, mut far) = pair_with(MemoryOptions { output_room: 2, ..MemoryOptions::default() });
        for n in 0..4 {
            near.sink.send(&played(n)).unwrap();
        }
        let error = near.sink.send(&played(4)).unwrap_err();
        assert_eq!(error.to_string(), "memory_sink: 4 frames wait already: nobody reads them");
        let call = tokio::spawn(async move {
            poll_fn(|cx| near.sink.poll_ready(cx)).await.unwrap();
            near
        });
        tokio::task::yield_now().await;
        assert!(!call.is_finished());
        for _ in 0..3 {
            assert_eq!(far.output.next().await.unwrap().name(), "played_audio");
        }
        let mut near = call.await.unwrap();
        poll_fn(|cx| near.sink.poll_close(cx)).await.unwrap();
        assert_eq!(far.output.next().await.unwrap().name(), "played_audio");
        assert!(far.output.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_hears_what_it_reads_and_a_clear_drops_only_audio() {
        let pace = Pace { reports: true, ..Pace::default() };
        let (mut near, mut far) = pair_with(MemoryOptions { pace, ..MemoryOptions::default() });
        for n in 0..4 {
            near.sink.send(&played(n)).unwrap();
        }
        near.sink.send(&FrameKind::InputFinished).unwrap();
        far.output.next().await.unwrap();
        far.output.next().await.unwrap();
        near.sink.clear(ClearId(7));
        let mut report = async || poll_fn(|cx| near.sink.poll_report(cx)).await;
        assert_eq!(report().await, SinkReport::Heard(at(160)));
        assert_eq!(report().await, SinkReport::Cleared { id: ClearId(7), at: Some(at(160)) });
        assert_eq!(names(&mut far.output), ["input_finished"]);
    }
}
