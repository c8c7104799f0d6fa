//! A microphone of this machine: [`Microphone`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cpal::traits::StreamTrait;

use super::ring::SampleReader;
use super::state::DeviceState;
use super::tick::Tick;
use crate::chain::{Audio, Category, Fault, FrameKind};
#[cfg(feature = "echo-cancellation")]
use crate::echo::EchoCanceller;
use crate::edges::{EdgeError, Source};

/// A microphone of this machine. [`LocalAudio`](super::LocalAudio) opens it.
///
/// Audio comes in frames of 20 ms, mono. If the device is lost, the call is told by a fault and by
/// [`FrameKind::InputFinished`], and goes on without it: what is being said is heard to its end.
pub struct Microphone {
    /// `None`: the device is gone, or this is a test.
    stream: Option<cpal::Stream>,
    state: Arc<DeviceState>,
    reader: SampleReader,
    voice: Voice,
    /// Samples that are no whole frame yet.
    waiting: Vec<i16>,
    /// What is due, oldest first.
    due: VecDeque<FrameKind>,
    lost: u64,
    run: Run,
    tick: Tick,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Run {
    New,
    Open,
    Ended,
}

/// What is made of the device's samples.
pub(super) enum Voice {
    /// They are given as they are, at this rate (Hz).
    Plain(u32),
    /// What the loudspeaker plays is taken out of them.
    #[cfg(feature = "echo-cancellation")]
    Cleaned {
        canceller: Box<EchoCanceller>,
        /// What the loudspeaker plays.
        reference: SampleReader,
        /// The microphone's rate (Hz).
        rate: u32,
    },
}

impl Voice {
    /// The rate (Hz) of the microphone.
    const fn device_rate(&self) -> u32 {
        match self {
            Self::Plain(rate) => *rate,
            #[cfg(feature = "echo-cancellation")]
            Self::Cleaned { rate, .. } => *rate,
        }
    }

    /// The rate (Hz) of what is given.
    const fn rate(&self) -> u32 {
        match self {
            Self::Plain(rate) => *rate,
            #[cfg(feature = "echo-cancellation")]
            Self::Cleaned { canceller, .. } => canceller.rate(),
        }
    }

    /// Adds what is made of these samples.
    fn add(&mut self, samples: &[i16], to: &mut Vec<i16>) {
        match self {
            Self::Plain(_) => to.extend_from_slice(samples),
            #[cfg(feature = "echo-cancellation")]
            Self::Cleaned { canceller, reference, .. } => {
                let mut block = [0; BLOCK];
                loop {
                    let taken = reference.pop(&mut block);
                    if taken == 0 {
                        break;
                    }
                    canceller.reference(&block[..taken]);
                }
                to.extend(canceller.process(samples));
            }
        }
    }
}

/// How many samples are taken at a time: 10 ms at 48,000 Hz.
const BLOCK: usize = 480;

impl Microphone {
    pub(super) fn new(
        stream: Option<cpal::Stream>,
        state: Arc<DeviceState>,
        reader: SampleReader,
        voice: Voice,
    ) -> Self {
        let (waiting, due) = (Vec::new(), VecDeque::new());
        Self { stream, state, reader, voice, waiting, due, lost: 0, run: Run::New, tick: Tick::default() }
    }

    /// Samples per second of its audio (Hz).
    pub const fn rate(&self) -> u32 {
        self.voice.rate()
    }

    /// Samples per second of the device (Hz).
    pub const fn device_rate(&self) -> u32 {
        self.voice.device_rate()
    }

    /// Begins to listen with the call, and not before: nobody would take what is said until then.
    fn begin(&mut self) {
        self.run = Run::Open;
        if let Some(Err(error)) = self.stream.as_ref().map(StreamTrait::play) {
            self.state.on_error(&error);
        }
    }

    /// Takes all that the device has given.
    fn take(&mut self) {
        let frame = (self.voice.rate() as usize / 50).max(1);
        let mut block = [0; BLOCK];
        loop {
            let taken = self.reader.pop(&mut block);
            if taken == 0 {
                break;
            }
            self.voice.add(&block[..taken], &mut self.waiting);
        }
        let whole = self.waiting.len() - self.waiting.len() % frame;
        for samples in self.waiting[..whole].chunks_exact(frame) {
            self.due.push_back(FrameKind::InputAudio(Audio::mono(self.voice.rate(), samples)));
        }
        self.waiting.drain(..whole);
        self.tell_lost();
    }

    /// Tells once that audio was dropped, and counts it always.
    fn tell_lost(&mut self) {
        let new = self.reader.lost() - self.lost;
        if new == 0 {
            return;
        }
        self.lost += new;
        let millis = new * 1_000 / u64::from(self.voice.device_rate().max(1));
        if self.state.add_dropped(Duration::from_millis(millis)) {
            let message = format!(
                "dropped the oldest {millis} ms of input audio: the call does not keep up. More of it is \
                 counted, and not told"
            );
            let (stage, category) = (SOURCE.into(), Category::Overflow);
            let fault = Fault { stage, category, message: message.into(), cause: None };
            self.due.push_front(FrameKind::Fault(Arc::new(fault)));
        }
    }

    /// The device is gone.
    fn end(&mut self, why: &str) {
        self.run = Run::Ended;
        // Its thread ends.
        self.stream = None;
        let message = format!("the microphone is lost: {why}; nothing is heard of the user any more");
        self.due.push_back(EdgeError::new(SOURCE, message).to_frame());
        self.due.push_back(FrameKind::InputFinished);
    }
}

impl Source for Microphone {
    fn name(&self) -> &str {
        SOURCE
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        if self.run == Run::New {
            self.begin();
        }
        loop {
            if let Some(frame) = self.due.pop_front() {
                return Poll::Ready(Some(frame));
            }
            if self.run == Run::Ended {
                return Poll::Ready(None);
            }
            let lost = self.state.lost().cloned();
            self.take();
            if let Some(why) = lost {
                self.end(&why);
            }
            if self.due.is_empty() {
                ready!(self.tick.poll(cx));
            }
        }
    }
}

impl fmt::Debug for Microphone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Microphone")
            .field("rate", &self.rate())
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

const SOURCE: &str = "microphone";
