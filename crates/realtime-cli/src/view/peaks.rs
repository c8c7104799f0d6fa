//! The outline of a waveform: the lowest and the highest sample of each 10 ms.

/// Outlines in a second of audio.
const PER_SECOND: u32 = 100;

/// The outline of one stretch of audio, from its first sample on.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    /// Samples of one outline.
    step: u32,
    /// The lowest and the highest sample of each, in turn (the upper 8 bits).
    pairs: Vec<u8>,
    low: i16,
    high: i16,
    /// Samples of the outline that is not full yet.
    filled: u32,
}

impl Peaks {
    /// For audio of this rate (Hz).
    pub(super) fn new(rate: u32) -> Self {
        Self { step: step(rate), ..Self::default() }
    }

    /// Adds samples.
    pub(super) fn add(&mut self, samples: &[i16]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = (self.step - self.filled) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            for sample in now {
                self.low = self.low.min(*sample);
                self.high = self.high.max(*sample);
            }
            self.filled += now.len() as u32;
            if self.filled == self.step {
                self.close();
            }
            rest = later;
        }
    }

    /// Adds silence, or nothing at all if there is no outline yet that it would stand between.
    pub(super) fn skip(&mut self, samples: u64) {
        let mut rest = samples;
        while rest > 0 {
            let now = rest.min(u64::from(self.step - self.filled));
            self.filled += now as u32;
            if self.filled == self.step {
                self.close();
            }
            rest -= now;
        }
    }

    /// All pairs, as bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close();
        }
        self.pairs
    }

    fn close(&mut self) {
        self.pairs.extend([self.low, self.high].map(|sample| (sample >> 8) as u8));
        (self.low, self.high, self.filled) = (0, 0, 0);
    }
}

/// Samples of one outline at this rate (Hz).
pub(super) fn step(rate: u32) -> u32 {
    (rate / PER_SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ten_milliseconds_have_their_lowest_and_highest_sample() {
        let mut peaks = Peaks::new(300);
        peaks.add(&[0, 256, -512, 1024]);
        peaks.add(&[32767, -32768]);
        peaks.skip(4);
        peaks.add(&[-1]);
        let bytes: Vec<i8> = peaks.finish().into_iter().map(|byte| byte as i8).collect();
        assert_eq!(bytes, [-2, 1, -128, 127, 0, 0, -1, 0]);
    }

    #[test]
    fn odd_rates_have_outlines_too() {
        let mut peaks = Peaks::new(7);
        peaks.add(&[256, 512]);
        assert_eq!(peaks.finish(), [0, 1, 0, 2]);
        assert_eq!((step(24_000), step(0)), (240, 1));
    }
}
