//! Input that is given in from elsewhere, behind a bounded ring: [`RingInput`] and [`RingSource`].
//!
//! Rule: whoever gives input in never waits. If the call does not keep up, the oldest audio is dropped, and
//! the call is told how much.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::chain::{Audio, Category, Fault, FrameKind};
use crate::edges::{EdgeError, Source};

/// Input frames that are not audio and wait in a ring, at most.
const MOST_WAITING: usize = 1_024;

/// A source of this name, and the handle by which input is given in from any task or thread. `room` is how
/// much audio may wait.
pub fn ring(name: impl Into<Arc<str>>, room: Duration) -> (RingInput, RingSource) {
    let ring = Arc::new(Ring { name: name.into(), room, state: Mutex::default() });
    ring.state().inputs = 1;
    (RingInput(Arc::clone(&ring)), RingSource(ring))
}

/// Gives input to a call. When the last copy is dropped, the source ends.
pub struct RingInput(Arc<Ring>);

/// A source whose input is given in by [`RingInput`].
pub struct RingSource(Arc<Ring>);

struct Ring {
    name: Arc<str>,
    room: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    frames: VecDeque<FrameKind>,
    /// How long the audio in `frames` sounds.
    audio: Duration,
    /// Frames in `frames` that are no audio.
    others: usize,
    /// Audio that was dropped and not told yet.
    untold: Duration,
    /// Audio that was dropped in all.
    dropped: Duration,
    waker: Option<Waker>,
    /// Copies of the input.
    inputs: usize,
    /// No input follows.
    is_closed: bool,
    /// The source is gone.
    is_gone: bool,
}

impl RingInput {
    /// Gives a frame in. If there is no room for audio, the oldest audio is dropped and the call is told.
    ///
    /// # Errors
    /// [`EdgeError`] if the call is over, if the input was closed, or if 1,024 frames that are
    /// no audio wait. The frame is lost.
    pub fn push(&self, frame: FrameKind) -> Result<(), EdgeError> {
        let mut state = self.0.state();
        if state.is_gone || state.is_closed {
            return Err(self.0.error("the call is over, or its input was closed"));
        }
        match duration(&frame) {
            Some(duration) => {
                state.frames.push_back(frame);
                state.audio += duration;
                state.make_room(self.0.room);
            }
            None if state.others >= MOST_WAITING => {
                let message = format!("{MOST_WAITING} frames wait already: the call does not keep up");
                return Err(self.0.error(message));
            }
            None => {
                state.frames.push_back(frame);
                state.others += 1;
            }
        }
        wake(state);
        Ok(())
    }

    /// Gives audio in.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn audio(&self, audio: Audio) -> Result<(), EdgeError> {
        self.push(FrameKind::InputAudio(audio))
    }

    /// Ends the source, after what waits.
    pub fn close(&self) {
        let mut state = self.0.state();
        state.is_closed = true;
        wake(state);
    }

    /// How much audio was dropped since the beginning.
    pub fn dropped(&self) -> Duration {
        self.0.state().dropped
    }

    /// Returns whether the call is over: its source is gone.
    pub fn is_over(&self) -> bool {
        self.0.state().is_gone
    }
}

impl State {
    /// Drops the oldest audio until the rest has room. The newest stays.
    fn make_room(&mut self, room: Duration) {
        while self.audio > room {
            let is_audio = |frame: &FrameKind| matches!(frame, FrameKind::InputAudio(_));
            let Some(oldest) = self.frames.iter().position(is_audio) else { break };
            if oldest + 1 == self.frames.len() {
                break;
            }
            let dropped = self.frames.remove(oldest).as_ref().and_then(duration).unwrap_or_default();
            self.audio = self.audio.saturating_sub(dropped);
            self.untold += dropped;
            self.dropped += dropped;
        }
    }
}

impl Source for RingSource {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        let mut state = self.0.state();
        let untold = std::mem::take(&mut state.untold);
        if !untold.is_zero() {
            return Poll::Ready(Some(self.0.overflow(untold)));
        }
        match state.frames.pop_front() {
            Some(frame) => {
                match duration(&frame) {
                    Some(duration) => state.audio = state.audio.saturating_sub(duration),
                    None => state.others -= 1,
                }
                Poll::Ready(Some(frame))
            }
            None if state.is_closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Ring {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, message: impl Into<Arc<str>>) -> EdgeError {
        EdgeError::new(Arc::clone(&self.name), message)
    }

    fn overflow(&self, dropped: Duration) -> FrameKind {
        let ms = dropped.as_millis();
        FrameKind::Fault(Arc::new(Fault {
            stage: Arc::clone(&self.name),
            category: Category::Overflow,
            message: format!("dropped the oldest {ms} ms of input audio: the call does not keep up").into(),
            cause: None,
        }))
    }
}

/// How long a frame of input audio sounds. `None`: it is no audio.
fn duration(frame: &FrameKind) -> Option<Duration> {
    match frame {
        FrameKind::InputAudio(audio) => Some(audio.duration().as_duration()),
        _ => None,
    }
}

/// Wakes the call, after the lock is free.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Clone for RingInput {
    fn clone(&self) -> Self {
        self.0.state().inputs += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for RingInput {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.inputs -= 1;
        if state.inputs == 0 {
            state.is_closed = true;
            wake(state);
        }
    }
}

impl Drop for RingSource {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_gone = true;
        state.frames.clear();
    }
}

impl fmt::Debug for RingInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingInput").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for RingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("RingSource")
            .field("name", &self.0.name)
            .field("waiting", &state.frames.len())
            .field("dropped", &state.dropped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::chain::Keys;

    /// 20 ms, each of this sample.
    fn audio(sample: i16) -> Audio {
        Audio::mono(8_000, vec![sample; 160])
    }

    /// What comes out until nothing waits: a sample for audio, otherwise the kind.
    async fn drain(source: &mut RingSource) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(frame) = poll_fn(|cx| source.poll_next(cx)).await {
            out.push(match frame {
                FrameKind::InputAudio(audio) => audio.pcm().unwrap().as_slice()[0].to_string(),
                FrameKind::Fault(fault) => fault.to_string(),
                frame => frame.name().to_owned(),
            });
        }
        out
    }

    #[tokio::test]
    async fn a_full_ring_drops_its_oldest_audio_and_nothing_else_and_tells() {
        let (input, mut source) = ring("line", Duration::from_millis(60));
        input.push(FrameKind::InputDtmf(Keys::new("1").unwrap())).unwrap();
        for sample in 1..=5 {
            input.audio(audio(sample)).unwrap();
        }
        input.push(FrameKind::InputFinished).unwrap();
        assert_eq!(input.dropped(), Duration::from_millis(40));
        input.close();
        let fault = "line: dropped the oldest 40 ms of input audio: the call does not keep up";
        assert_eq!(drain(&mut source).await, [fault, "input_dtmf", "3", "4", "5", "input_finished"]);
    }

    #[tokio::test]
    async fn audio_longer_than_the_ring_is_not_lost() {
        let (input, mut source) = ring("line", Duration::from_millis(5));
        input.audio(audio(1)).unwrap();
        drop(input);
        assert_eq!(drain(&mut source).await, ["1"]);
    }

    #[tokio::test]
    async fn input_wakes_a_call_that_waits_and_the_last_handle_ends_it() {
        let (input, mut source) = ring("line", Duration::from_secs(1));
        let copy = input.clone();
        let call = tokio::spawn(async move { drain(&mut source).await });
        tokio::task::yield_now().await;
        drop(input);
        copy.audio(audio(1)).unwrap();
        tokio::task::yield_now().await;
        copy.audio(audio(2)).unwrap();
        drop(copy);
        assert_eq!(call.await.unwrap(), ["1", "2"]);
    }

    #[tokio::test]
    async fn input_after_the_call_and_too_many_frames_are_refused() {
        let (input, source) = ring("line", Duration::from_secs(1));
        for _ in 0..MOST_WAITING {
            input.push(FrameKind::InputFinished).unwrap();
        }
        let error = input.push(FrameKind::InputFinished).unwrap_err();
        assert_eq!(error.to_string(), "line: 1024 frames wait already: the call does not keep up");
        input.audio(audio(1)).unwrap();
        drop(source);
        assert!(input.is_over());
        let error = input.audio(audio(1)).unwrap_err();
        assert_eq!(error.to_string(), "line: the call is over, or its input was closed");
    }
}
