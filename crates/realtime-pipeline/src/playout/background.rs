//! A sound under everything that is heard: [`Background`].

use crate::chain::Samples;
use crate::pcm::{from_float, to_float};
use crate::resample::{Resampler, mix_to_mono};

/// A sound that plays in a loop under the speech, such as an office.
#[derive(Debug)]
pub(super) struct Background {
    /// As it was given, mono.
    sound: Samples,
    gain: f32,
    /// The sound at other rates. `None`: it is being converted, or can't be.
    converted: Vec<(u32, Option<Samples>)>,
    /// Where the loop stands, as a part of its length.
    at: Place,
    /// Samples that went out alone, with nothing above them.
    alone: u64,
}

/// A place in the loop: a sample, at a rate.
#[derive(Clone, Copy, Debug)]
struct Place {
    sample: usize,
    rate: u32,
}

/// The most rates that it is kept at.
const MOST_RATES: usize = 4;

/// What to do before the sound can be mixed.
#[derive(Debug)]
pub(super) enum Readiness {
    /// Nothing.
    Ready,
    /// It has to be converted first.
    Convert(Samples),
    /// It is being converted, or can't be.
    Waits,
}

impl Background {
    /// `gain` 1 leaves the sound as loud as it is.
    pub(super) fn new(sound: &Samples, gain: f32) -> Self {
        let channels = usize::from(sound.channels());
        let floats: Vec<f32> = sound.as_slice().iter().map(|sample| to_float(*sample)).collect();
        let mono: Vec<i16> = mix_to_mono(&floats, channels).into_iter().map(from_float).collect();
        let sound = Samples::new(sound.rate(), 1, mono);
        let gain = if gain.is_finite() { gain.clamp(0.0, 4.0) } else { 0.0 };
        let at = Place { sample: 0, rate: sound.rate() };
        Self { sound, gain, converted: Vec::new(), at, alone: 0 }
    }

    /// The rate of the sound as it was given (Hz).
    pub(super) const fn rate(&self) -> u32 {
        self.sound.rate()
    }

    /// Returns whether there is nothing to be heard.
    pub(super) const fn is_empty(&self) -> bool {
        self.sound.frames() == 0
    }

    /// So many samples go out with nothing above them. Returns the position of the first one.
    pub(super) const fn hand_out(&mut self, samples: u64) -> u64 {
        let start = self.alone;
        self.alone += samples;
        start
    }

    /// Asks for the sound at this rate. Who converts it brings it by [`converted`](Self::converted).
    pub(super) fn prepare(&mut self, rate: u32) -> Readiness {
        if rate == self.sound.rate() {
            return Readiness::Ready;
        }
        match self.converted.iter().find(|(of, _)| *of == rate) {
            Some((_, Some(_))) => Readiness::Ready,
            Some((_, None)) => Readiness::Waits,
            None => {
                if self.converted.len() == MOST_RATES {
                    self.converted.remove(0);
                }
                self.converted.push((rate, None));
                Readiness::Convert(self.sound.clone())
            }
        }
    }

    /// The sound at another rate.
    pub(super) fn converted(&mut self, sound: Samples) {
        if let Some((_, at_rate)) = self.converted.iter_mut().find(|(rate, _)| *rate == sound.rate()) {
            *at_rate = Some(sound);
        }
    }

    /// Adds the sound to samples at `rate` Hz, of so many channels in turn. Too loud is clipped. Does nothing
    /// if it is not ready at this rate.
    pub(super) fn mix(&mut self, samples: &mut [i16], rate: u32, channels: u16) {
        let converted =
            self.converted.iter().find(|(of, _)| *of == rate).and_then(|(_, sound)| sound.clone());
        let ready = if rate == self.sound.rate() { Some(self.sound.clone()) } else { converted };
        let Some(sound) = ready.filter(|sound| sound.frames() > 0) else { return };
        let sound = sound.as_slice();
        if self.at.rate != rate {
            let sample = self.at.sample as u128 * u128::from(rate) / u128::from(self.at.rate.max(1));
            self.at = Place { sample: usize::try_from(sample).unwrap_or(0), rate };
        }
        let mut at = self.at.sample % sound.len();
        for frame in samples.chunks_mut(usize::from(channels.max(1))) {
            let added = from_float(to_float(sound[at]) * self.gain);
            frame.iter_mut().for_each(|sample| *sample = sample.saturating_add(added));
            at = (at + 1) % sound.len();
        }
        self.at.sample = at;
    }
}

/// A sound at another rate. Takes long: it is no work for a stage. `None`: there is no way to that rate.
pub(super) fn convert(sound: &Samples, rate: u32) -> Option<Samples> {
    let mut resampler = Resampler::new(sound.rate(), rate).ok()?;
    let mut samples = resampler.process(sound.as_slice());
    samples.extend(resampler.flush());
    Some(Samples::new(rate, 1, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_loops_and_is_added_and_clipped() {
        let mut background = Background::new(&Samples::new(8_000, 1, vec![1000, 2000, 30_000]), 0.5);
        let mut samples = [0, 0, 0, 10, 32_000, -30_000, 0];
        background.mix(&mut samples, 8_000, 1);
        assert_eq!(samples, [500, 1000, 15_000, 510, i16::MAX, -15_000, 500]);
        // It goes on where it stood, in each channel.
        let mut stereo = [0; 4];
        background.mix(&mut stereo, 8_000, 2);
        assert_eq!(stereo, [1000, 1000, 15_000, 15_000]);
    }

    #[test]
    fn another_rate_is_asked_for_once_and_mixed_when_it_is_there() {
        let mut background = Background::new(&Samples::new(16_000, 2, vec![8000; 3_200]), 1.0);
        let Readiness::Convert(sound) = background.prepare(8_000) else { panic!("it is not there yet") };
        assert!(matches!(background.prepare(8_000), Readiness::Waits));
        let mut samples = [7; 80];
        background.mix(&mut samples, 8_000, 1);
        assert_eq!(samples, [7; 80]);
        let sound = convert(&sound, 8_000).unwrap();
        assert_eq!((sound.rate(), sound.frames()), (8_000, 800));
        background.converted(sound);
        assert!(matches!(background.prepare(8_000), Readiness::Ready));
        background.mix(&mut samples, 8_000, 1);
        background.mix(&mut samples, 8_000, 1);
        assert!(samples.iter().all(|sample| (10_000..=17_000).contains(sample)), "{samples:?}");
        assert!(convert(&Samples::new(16_000, 1, vec![0; 10]), 10).is_none());
    }

    #[test]
    fn an_empty_sound_and_a_gain_that_is_no_number_are_silent() {
        let mut background = Background::new(&Samples::new(8_000, 1, Vec::new()), 1.0);
        assert!(background.is_empty());
        let mut samples = [5; 4];
        background.mix(&mut samples, 8_000, 1);
        Background::new(&Samples::new(8_000, 1, vec![9; 4]), f32::NAN).mix(&mut samples, 8_000, 1);
        assert_eq!(samples, [5; 4]);
    }
}
