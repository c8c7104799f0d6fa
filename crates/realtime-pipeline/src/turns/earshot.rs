//! A small neural network that hears voices: [`Earshot`].

use std::fmt;

use crate::turns::vad::{Vad, Window};

/// Hears voices by the neural network of the crate `earshot`, in pure Rust: 8 KiB of memory, and some 13 µs
/// of CPU for each window of 16 ms.
///
/// Unlike [`EnergyVad`](crate::turns::EnergyVad) it tells a voice from noise, music and clicks. It can't tell
/// the user from another voice in the room.
pub struct Earshot {
    detector: Box<::earshot::Detector>,
}

/// The windows that the network was made for: 16 ms.
const WINDOW: Window = Window { rate: 16_000, samples: 256 };

impl Earshot {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self { detector: ::earshot::Detector::default_boxed() }
    }
}

impl Default for Earshot {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad for Earshot {
    fn begin(&mut self, _: u32) -> Window {
        self.detector.reset();
        WINDOW
    }

    fn handle_window(&mut self, window: &[i16]) -> f32 {
        if window.len() == WINDOW.samples { self.detector.predict_i16(window) } else { 0.0 }
    }

    fn reset(&mut self) {
        self.detector.reset();
    }
}

impl fmt::Debug for Earshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Earshot")
    }
}
