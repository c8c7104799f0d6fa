//! The audio that goes into the page: as good as its bound allows.
//!
//! It begins as 16-bit samples. When it grows beyond what is left of the bound it becomes mu-law, then mu-law
//! at 8 kHz, and then nothing: the page says which.

use realtime_protocol::audio::g711;
use serde::Serialize;

/// How the audio is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quality {
    /// 16-bit little-endian samples at their own rate.
    #[default]
    Pcm16,
    /// Mu-law at its own rate.
    MuLaw,
    /// Mu-law, and at 8,000 Hz if its own rate is a multiple of that.
    Narrow,
    /// There was more than the bound takes.
    Nothing,
}

/// The audio of a call: one reel for each stretch that is numbered on its own.
#[derive(Debug)]
pub(super) struct Tape {
    quality: Quality,
    reels: Vec<Reel>,
    bytes: usize,
    bound: usize,
}

/// Audio of one rate.
#[derive(Debug)]
struct Reel {
    /// Its own rate (Hz).
    rate: u32,
    bytes: Vec<u8>,
    /// Samples that wait to be one, in [`Quality::Narrow`].
    waiting: Vec<i16>,
}

/// The rate that narrow audio has (Hz).
const NARROW: u32 = 8_000;

impl Tape {
    /// A tape that takes this many bytes.
    pub(super) const fn new(bound: usize) -> Self {
        Self { quality: Quality::Pcm16, reels: Vec::new(), bytes: 0, bound }
    }

    /// Begins a reel for audio of this rate (Hz).
    pub(super) fn reel(&mut self, rate: u32) -> usize {
        self.reels.push(Reel { rate, bytes: Vec::new(), waiting: Vec::new() });
        self.reels.len() - 1
    }

    /// Adds samples to a reel.
    pub(super) fn add(&mut self, reel: usize, samples: &[i16]) {
        if self.quality == Quality::Nothing {
            return;
        }
        let reel = &mut self.reels[reel];
        let before = reel.bytes.len();
        reel.add(self.quality, samples);
        self.bytes += reel.bytes.len() - before;
        while self.bytes > self.bound && self.quality != Quality::Nothing {
            self.worsen();
        }
    }

    pub(super) const fn quality(&self) -> Quality {
        self.quality
    }

    /// The bytes of a reel, and their rate (Hz).
    pub(super) fn take(&mut self, reel: usize) -> (u32, Vec<u8>) {
        let reel = &mut self.reels[reel];
        reel.end();
        let rate = if self.quality == Quality::Narrow { reel.rate / reel.factor() } else { reel.rate };
        (rate, std::mem::take(&mut reel.bytes))
    }

    fn worsen(&mut self) {
        self.quality = match self.quality {
            Quality::Pcm16 => Quality::MuLaw,
            Quality::MuLaw => Quality::Narrow,
            Quality::Narrow | Quality::Nothing => Quality::Nothing,
        };
        for reel in &mut self.reels {
            reel.become_of(self.quality);
        }
        self.bytes = self.reels.iter().map(|reel| reel.bytes.len()).sum();
    }
}

impl Reel {
    fn add(&mut self, quality: Quality, samples: &[i16]) {
        match quality {
            Quality::Pcm16 => self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Quality::MuLaw => self.bytes.extend(samples.iter().map(|sample| g711::to_mu_law(*sample))),
            Quality::Narrow => {
                let factor = self.factor() as usize;
                for sample in samples {
                    self.waiting.push(*sample);
                    if self.waiting.len() == factor {
                        self.end();
                    }
                }
            }
            Quality::Nothing => {}
        }
    }

    /// One sample for those that wait: their mean.
    fn end(&mut self) {
        if !self.waiting.is_empty() {
            let sum: i64 = self.waiting.iter().map(|sample| i64::from(*sample)).sum();
            let mean = sum / self.waiting.len() as i64;
            self.bytes.push(g711::to_mu_law(mean as i16));
            self.waiting.clear();
        }
    }

    fn become_of(&mut self, quality: Quality) {
        let bytes = std::mem::take(&mut self.bytes);
        match quality {
            Quality::Pcm16 => {}
            Quality::MuLaw => {
                let (pairs, _) = bytes.as_chunks::<2>();
                self.bytes = pairs.iter().map(|pair| g711::to_mu_law(i16::from_le_bytes(*pair))).collect();
            }
            Quality::Narrow => {
                let samples: Vec<i16> = bytes.iter().map(|byte| g711::from_mu_law(*byte)).collect();
                self.add(quality, &samples);
            }
            Quality::Nothing => {}
        }
    }

    /// Samples that become one, in [`Quality::Narrow`].
    const fn factor(&self) -> u32 {
        if self.rate > NARROW && self.rate.is_multiple_of(NARROW) { self.rate / NARROW } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_gets_worse_until_it_fits_and_is_left_out_if_it_never_does() {
        let samples = vec![1000; 2400];
        let kept = |bound| {
            let mut tape = Tape::new(bound);
            let reel = tape.reel(24_000);
            samples.chunks(7).for_each(|some| tape.add(reel, some));
            let (rate, bytes) = tape.take(reel);
            (tape.quality(), rate, bytes.len())
        };
        assert_eq!(kept(4800), (Quality::Pcm16, 24_000, 4800));
        assert_eq!(kept(4799), (Quality::MuLaw, 24_000, 2400));
        assert_eq!(kept(2399), (Quality::Narrow, 8_000, 800));
        assert_eq!(kept(799), (Quality::Nothing, 24_000, 0));
    }

    #[test]
    fn reels_share_the_bound_and_keep_their_rates() {
        let mut tape = Tape::new(1000);
        let (user, agent) = (tape.reel(8_000), tape.reel(16_000));
        tape.add(user, &[500; 400]);
        tape.add(agent, &[-500; 800]);
        assert_eq!(tape.quality(), Quality::Narrow);
        let (rate, bytes) = tape.take(user);
        assert_eq!((rate, bytes.len(), g711::from_mu_law(bytes[399]) / 20), (8_000, 400, 24));
        let (rate, bytes) = tape.take(agent);
        assert_eq!((rate, bytes.len(), g711::from_mu_law(bytes[399]) / 20), (8_000, 400, -24));
    }
}
