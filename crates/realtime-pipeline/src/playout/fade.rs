//! Fades, so that a cut does not click.

use std::time::Duration;

/// The longest fade.
pub(super) const FADE: Duration = Duration::from_millis(5);

/// What happens to the loudness of a chunk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Fade {
    /// Nothing.
    #[default]
    None,
    /// It rises over so many samples of each channel at its beginning.
    In(u64),
    /// It falls over the whole chunk.
    Out,
}

impl Fade {
    /// Fades samples of so many channels in turn.
    pub(super) fn apply(self, samples: &mut [i16], channels: u16) {
        let channels = usize::from(channels.max(1));
        let all = samples.len() / channels;
        match self {
            Self::None => {}
            Self::In(over) => {
                let over = usize::try_from(over).unwrap_or(usize::MAX).min(all);
                ramp(&mut samples[..over * channels], channels, |at| at, over);
            }
            Self::Out => ramp(samples, channels, |at| all - at, all),
        }
    }
}

fn ramp(samples: &mut [i16], channels: usize, gain: impl Fn(usize) -> usize, over: usize) {
    for (at, frame) in samples.chunks_mut(channels).enumerate() {
        let gain = gain(at) as f32 / over.max(1) as f32;
        // The gain is at most 1, and a cast from float saturates.
        frame.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * gain) as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_falls_to_silence_and_rises_from_it() {
        let faded = |fade: Fade| {
            let mut samples = [1000; 8];
            fade.apply(&mut samples, 2);
            samples
        };
        assert_eq!(faded(Fade::Out), [1000, 1000, 750, 750, 500, 500, 250, 250]);
        assert_eq!(faded(Fade::In(2)), [0, 0, 500, 500, 1000, 1000, 1000, 1000]);
        assert_eq!(faded(Fade::In(99)), [0, 0, 250, 250, 500, 500, 750, 750]);
        assert_eq!(faded(Fade::None), [1000; 8]);
        Fade::Out.apply(&mut [], 1);
    }
}
