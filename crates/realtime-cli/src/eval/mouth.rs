//! The caller's voice: [`Mouth`] says what to speak, and [`MouthSource`] is what the call hears of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use realtime_pipeline::chain::{Audio, FrameKind, Samples};
use realtime_pipeline::edges::{Source, WavSource};
use tokio::time::{Interval, interval};

/// How often the call hears something, be it silence.
pub(super) const FRAME: Duration = Duration::from_millis(20);
/// The rate of the silence (Hz).
const RATE: u32 = 24_000;

/// Speaks into the call. Clones are the same mouth.
#[derive(Clone, Debug, Default)]
pub(super) struct Mouth(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sound: Option<WavSource>,
    frames: VecDeque<FrameKind>,
}

/// The call's end of a [`Mouth`]: sound while there is some, else silence, as from a telephone.
pub(super) struct MouthSource {
    mouth: Mouth,
    ticks: Interval,
    silence: Samples,
}

impl Mouth {
    /// The end for the call.
    ///
    /// Must be called within a tokio runtime with time enabled.
    pub(super) fn source(&self) -> MouthSource {
        let silence = Samples::new(RATE, 1, vec![0; RATE as usize / 50]);
        MouthSource { mouth: self.clone(), ticks: interval(FRAME), silence }
    }

    /// Speaks, to the end.
    pub(super) async fn speak(&self, sound: WavSource) {
        self.state().sound = Some(sound.end_when_done());
        while self.state().sound.is_some() {
            tokio::time::sleep(FRAME).await;
        }
    }

    /// Gives the call something else than sound.
    pub(super) fn push(&self, frame: FrameKind) {
        self.state().frames.push_back(frame);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MouthSource {
    fn name(&self) -> &str {
        "caller"
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        loop {
            let mut state = self.mouth.state();
            if let Some(frame) = state.frames.pop_front() {
                return Poll::Ready(Some(frame));
            }
            let Some(sound) = &mut state.sound else { break };
            match ready!(sound.poll_next(cx)) {
                Some(FrameKind::InputFinished) => {}
                Some(frame) => return Poll::Ready(Some(frame)),
                None => {
                    state.sound = None;
                    self.ticks.reset();
                }
            }
        }
        // What is given meanwhile is seen at the next tick.
        ready!(self.ticks.poll_tick(cx));
        Poll::Ready(Some(FrameKind::InputAudio(Audio::Pcm(self.silence.clone()))))
    }
}
