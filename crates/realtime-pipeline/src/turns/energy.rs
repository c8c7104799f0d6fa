//! A detector that needs no model: [`EnergyVad`] compares loudness with the room's.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};
use std::fmt;

use crate::turns::vad::{Vad, Window};

/// Hears a voice where the sound is louder than the room.
///
/// What lies below 200 Hz does not count, so that mains hum and wind are no voice. The room's level is that
/// of the quietest window of the last 2 s: noise that rises by less than 4 dB a second never counts, and one
/// that starts suddenly counts for 2 s at most. It can't tell a voice from music or from another voice in the
/// room. It takes any rate: nothing is converted for it.
///
/// What it returns is 0.5 at 9 dB above the room, and 0 or 1 at 6 dB less or more.
///
/// Sounds below -46 dB of full scale are never a voice.
pub struct EnergyVad {
    low_cut: [Biquad; 2],
    room: Room,
    /// How far above the room it is taken to be (dB): falls slowly.
    above: f64,
}

/// Windows of 20 ms.
const WINDOWS_PER_SECOND: u32 = 50;

/// Where a voice is as likely as not (dB above the room).
const EVEN: f64 = 9.0;

/// From there to certainty, either way (dB).
const SPREAD: f64 = 6.0;

/// How fast loudness is forgotten (dB a window): it bridges the gaps between syllables, and not those between
/// the clicks of a keyboard.
const RELEASE: f64 = 3.0;

/// What is louder does not ring longer (dB above the room).
const LOUDEST: f64 = 24.0;

/// No room is taken to be quieter (dB of full scale).
const QUIETEST_ROOM: f64 = -55.0;

/// What lies below is left out (Hz).
const LOW_CUT: f64 = 200.0;

impl EnergyVad {
    /// A detector that knows no room yet: the first window tells.
    pub fn new() -> Self {
        Self { low_cut: low_cut(16_000), room: Room::default(), above: 0.0 }
    }
}

impl Default for EnergyVad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad for EnergyVad {
    fn begin(&mut self, rate: u32) -> Window {
        *self = Self { low_cut: low_cut(rate), ..Self::new() };
        Window { rate, samples: (rate / WINDOWS_PER_SECOND) as usize }
    }

    fn handle_window(&mut self, window: &[i16]) -> f32 {
        let mut energy = 0.0;
        for sample in window {
            let [first, second] = &mut self.low_cut;
            let heard = second.step(first.step(f64::from(*sample) / 32_768.0));
            energy += heard * heard;
        }
        let mean = energy / window.len().max(1) as f64;
        let level = (10.0 * mean.max(1e-12).log10()).max(QUIETEST_ROOM);
        let above = level - self.room.hear(level);
        self.above = above.min(LOUDEST).max(self.above - RELEASE);
        ((self.above - EVEN) / (2.0 * SPREAD) + 0.5).clamp(0.0, 1.0) as f32
    }

    fn reset(&mut self) {
        for filter in &mut self.low_cut {
            (filter.first, filter.second) = (0.0, 0.0);
        }
        self.above = 0.0;
    }
}

/// The level of the quietest window of the last 2 s, in eight pieces of 250 ms.
#[derive(Debug)]
struct Room {
    pieces: [f64; 8],
    /// The piece that is being heard.
    current: usize,
    /// Windows heard of it.
    windows: u32,
}

/// A piece's windows: 240 ms.
const PIECE: u32 = 12;

impl Default for Room {
    fn default() -> Self {
        Self { pieces: [f64::INFINITY; 8], current: 0, windows: 0 }
    }
}

impl Room {
    /// Hears a window's level (dB). Returns the room's.
    fn hear(&mut self, level: f64) -> f64 {
        if self.windows == PIECE {
            self.current = (self.current + 1) % self.pieces.len();
            self.pieces[self.current] = f64::INFINITY;
            self.windows = 0;
        }
        self.windows += 1;
        let piece = &mut self.pieces[self.current];
        *piece = piece.min(level);
        self.pieces.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// A high pass of the second order; two of them make one of the fourth.
#[derive(Debug)]
struct Biquad {
    gain: f64,
    a1: f64,
    a2: f64,
    first: f64,
    second: f64,
}

impl Biquad {
    fn high_pass(rate: u32, hertz: f64, q: f64) -> Self {
        // Rates at which the filter makes no sense still get one that is stable.
        let angle = TAU * (hertz / f64::from(rate.max(1))).min(0.4);
        let alpha = angle.sin() / (2.0 * q);
        let whole = 1.0 + alpha;
        let gain = f64::midpoint(1.0, angle.cos()) / whole;
        Self { gain, a1: -2.0 * angle.cos() / whole, a2: (1.0 - alpha) / whole, first: 0.0, second: 0.0 }
    }

    fn step(&mut self, input: f64) -> f64 {
        let output = self.gain * input + self.first;
        self.first = -2.0 * self.gain * input - self.a1 * output + self.second;
        self.second = self.gain * input - self.a2 * output;
        output
    }
}

fn low_cut(rate: u32) -> [Biquad; 2] {
    // The two factors of a Butterworth filter of the fourth order.
    let q = [FRAC_1_SQRT_2 / (TAU / 16.0).cos() / 2.0_f64.sqrt(), 0.5 / (TAU * 3.0 / 16.0).cos()];
    q.map(|q| Biquad::high_pass(rate, LOW_CUT, q))
}

impl fmt::Debug for EnergyVad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnergyVad").field("above", &self.above).finish_non_exhaustive()
    }
}
