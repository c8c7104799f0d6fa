//! What hears whether a window of audio holds a voice: [`Vad`].

/// Hears whether a window of audio holds a voice.
///
/// It is pure, and called in the step of its stage: a window may take some 100 µs of CPU, not more. It only
/// judges; how long a voice must last before it counts is chosen at [`Turns`](crate::turns::Turns).
#[doc(alias("VADAnalyzer", "SileroVADAnalyzer"))]
pub trait Vad: Send + 'static {
    /// Audio at `rate` Hz begins: forgets what it has heard, and returns the windows that it wants. Audio at
    /// another rate than the window's is converted first. A window of 0 samples counts as one of 1.
    fn begin(&mut self, rate: u32) -> Window;

    /// Hears the next window, mono. Returns how surely it holds a voice: 0 to 1. `NaN` counts as 0.
    fn handle_window(&mut self, window: &[i16]) -> f32;

    /// Audio is missing between the last window and the next. What it has learnt about the room may stay.
    fn reset(&mut self);
}

/// The windows that a [`Vad`] wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a window is samples at a rate")]
pub struct Window {
    /// Samples per second (Hz).
    pub rate: u32,
    /// Samples in each window.
    pub samples: usize,
}
