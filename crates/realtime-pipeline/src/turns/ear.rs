//! From audio to what is heard in it: [`Ear`] cuts the windows that the detector wants, whatever the audio's
//! format, rate, channels and pieces.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use realtime_protocol::audio::AudioFormat;

use crate::chain::{Audio, Samples};
use crate::resample::{RateError, Resampler};
use crate::turns::detector::{Detector, Edge, Limits, State};
use crate::turns::vad::{Vad, Window};

/// Hears audio as it comes.
pub(super) struct Ear {
    vad: Box<dyn Vad>,
    limits: Limits,
    /// `None`: nothing has been heard yet.
    tuned: Option<Tuned>,
    /// What was heard last, at the window's rate.
    kept: VecDeque<i16>,
    /// How much is kept.
    keep: Duration,
}

/// An ear for audio at one rate.
struct Tuned {
    /// Samples per second of the audio (Hz).
    rate: u32,
    window: Window,
    resampler: Resampler,
    detector: Detector,
    /// Samples that are not a whole window yet.
    waiting: Vec<i16>,
}

/// What one window holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// How long the window is.
    pub(super) length: Duration,
    pub(super) edge: Option<Edge>,
    pub(super) state: State,
}

/// Why audio is not heard.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Deaf {
    #[error("can't decode {0:?}")]
    Format(AudioFormat),
    #[error(transparent)]
    Rate(#[from] RateError),
}

impl Ear {
    pub(super) fn new(vad: Box<dyn Vad>) -> Self {
        let limits = Limits::default();
        Self { vad, limits, tuned: None, kept: VecDeque::new(), keep: Duration::ZERO }
    }

    pub(super) const fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Keeps the last audio, at most so much.
    pub(super) const fn keep(&mut self, keep: Duration) {
        self.keep = keep;
    }

    /// Hears audio, and gives what each window holds to `tell`. Audio at another rate begins anew; a voice
    /// that is heard ends there, as a window of no length.
    pub(super) fn hear(&mut self, audio: &Audio, mut tell: impl FnMut(Heard)) -> Result<(), Deaf> {
        let samples = match audio {
            Audio::Pcm(samples) => samples.clone(),
            Audio::Coded(coded) => audio.pcm().ok_or(Deaf::Format(coded.format))?,
        };
        if self.tuned.as_ref().is_none_or(|tuned| tuned.rate != samples.rate()) {
            if let Some(edge) = self.reset() {
                tell(Heard { length: Duration::ZERO, edge: Some(edge), state: State::Quiet });
            }
            self.tuned = None;
            self.kept.clear();
        }
        let tuned = match &mut self.tuned {
            Some(tuned) => tuned,
            none => none.insert(Tuned::new(samples.rate(), &mut *self.vad, self.limits)?),
        };
        let heard = mono(&samples);
        if tuned.rate == tuned.window.rate {
            tuned.waiting.extend(heard);
        } else {
            let heard: Vec<i16> = heard.collect();
            tuned.waiting.extend(tuned.resampler.process(&heard));
        }
        let (most, length) = (tuned.samples_in(self.keep), tuned.window_length());
        let windows = tuned.waiting.chunks_exact(tuned.window.samples);
        let rest = windows.remainder().len();
        for window in windows {
            if most > 0 {
                self.kept.extend(window);
                self.kept.drain(..self.kept.len().saturating_sub(most));
            }
            let edge = tuned.detector.handle(self.vad.handle_window(window));
            tell(Heard { length, edge, state: tuned.detector.state() });
        }
        tuned.waiting.drain(..tuned.waiting.len() - rest);
        Ok(())
    }

    /// Audio is missing from here on. A voice that is heard ends.
    pub(super) fn reset(&mut self) -> Option<Edge> {
        let tuned = self.tuned.as_mut()?;
        tuned.waiting.clear();
        drop(tuned.resampler.flush());
        self.vad.reset();
        tuned.detector.reset()
    }

    /// Forgets what it has kept, but for the last `time`.
    pub(super) fn forget_before(&mut self, time: Duration) {
        let most = self.tuned.as_ref().map_or(0, |tuned| tuned.samples_in(time));
        self.kept.drain(..self.kept.len().saturating_sub(most));
    }

    /// What it has kept.
    pub(super) fn kept(&self) -> Samples {
        let rate = self.tuned.as_ref().map_or(0, |tuned| tuned.window.rate);
        let (first, second) = self.kept.as_slices();
        Samples::new(rate, 1, [first, second].concat())
    }
}

impl Tuned {
    fn new(rate: u32, vad: &mut dyn Vad, limits: Limits) -> Result<Self, RateError> {
        // Checks the rate before the detector sees it.
        Resampler::new(rate, rate)?;
        let mut window = vad.begin(rate);
        // A window of more than a second would make the ear wait without bound.
        window.samples = window.samples.clamp(1, (window.rate as usize).max(1));
        let resampler = Resampler::new(rate, window.rate)?;
        let length = length(window);
        let detector = Detector::new(limits, length);
        Ok(Self { rate, window, resampler, detector, waiting: Vec::new() })
    }

    fn window_length(&self) -> Duration {
        length(self.window)
    }

    fn samples_in(&self, time: Duration) -> usize {
        let samples = AudioFormat::Pcm16 { rate: self.window.rate }.samples_in(time.into());
        usize::try_from(samples).unwrap_or(usize::MAX)
    }
}

fn length(window: Window) -> Duration {
    AudioFormat::Pcm16 { rate: window.rate }.time_of(window.samples as u64).as_duration()
}

/// The mean of the channels.
fn mono(samples: &Samples) -> impl Iterator<Item = i16> {
    let channels = usize::from(samples.channels());
    samples.as_slice().chunks_exact(channels).map(move |frame| match frame {
        [only] => *only,
        all => (all.iter().copied().map(i32::from).sum::<i32>() / channels as i32) as i16,
    })
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear")
            .field("limits", &self.limits)
            .field("state", &self.tuned.as_ref().map(|tuned| tuned.detector.state()))
            .finish_non_exhaustive()
    }
}
