//! Keys of a phone as audible tones (DTMF): each is a low tone and a high one at the same time.
//!
//! The tones are those of ITU-T Q.23.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::chain::{Audio, Keys};
use crate::playout::clock::samples_in;

/// How long a key sounds.
const TONE: Duration = Duration::from_millis(100);
/// The silence after each key.
const GAP: Duration = Duration::from_millis(50);
/// A tone rises and falls over this time, so that it does not click.
const EDGE: Duration = Duration::from_millis(2);
/// How loud each of the two tones is: -7 dB of full scale, so that both together are not clipped.
const LOUDNESS: f64 = 0.45;

/// How long keys sound.
pub(super) fn duration_of(keys: &Keys) -> Duration {
    let count = u32::try_from(keys.as_str().len()).unwrap_or(u32::MAX);
    (TONE + GAP).saturating_mul(count)
}

/// Keys as audio at `rate` Hz, mono.
pub(super) fn tones(keys: &Keys, rate: u32) -> Audio {
    let [sounds, gap, edge] = [TONE, GAP, EDGE].map(|time| samples_in(time, rate));
    let mut samples = Vec::new();
    for (low, high) in keys.as_str().chars().filter_map(frequencies) {
        for at in 0..sounds {
            let edge = (at.min(sounds - at) as f64 / edge.max(1) as f64).min(1.0);
            let sine = |frequency: f64| (TAU * frequency * at as f64 / f64::from(rate)).sin();
            let value = (sine(low) + sine(high)) * LOUDNESS * edge;
            // A cast from float saturates.
            samples.push((value * f64::from(i16::MAX)) as i16);
        }
        samples.extend((0..gap).map(|_| 0));
    }
    Audio::mono(rate, samples)
}

/// The two frequencies of a key (Hz).
fn frequencies(key: char) -> Option<(f64, f64)> {
    const ROWS: [(f64, &str); 4] = [(697.0, "123A"), (770.0, "456B"), (852.0, "789C"), (941.0, "*0#D")];
    const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let (low, column) = ROWS.iter().find_map(|(low, keys)| Some((*low, keys.find(key)?)))?;
    Some((low, *COLUMNS.get(column)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of a frequency is in samples (Goertzel).
    fn power(samples: &[i16], rate: u32, frequency: f64) -> f64 {
        let factor = 2.0 * (TAU * frequency / f64::from(rate)).cos();
        let (mut one, mut two) = (0.0, 0.0);
        for sample in samples {
            (one, two) = (factor * one - two + f64::from(*sample), one);
        }
        one * one + two * two - factor * one * two
    }

    #[test]
    fn each_key_has_its_two_tones_and_a_gap_after_them() {
        let all = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
        for rate in [8_000, 24_000] {
            let audio = tones(&Keys::new("1590*#AD").unwrap(), rate).pcm().unwrap();
            let (tone, key) = (rate as usize / 10, rate as usize * 3 / 20);
            let heard: Vec<Vec<f64>> = (audio.as_slice().chunks(key))
                .map(|samples| {
                    assert!(samples[tone..].iter().all(|sample| *sample == 0));
                    assert!(samples.iter().any(|sample| *sample > 24_000));
                    assert!(samples.iter().all(|sample| sample.unsigned_abs() < i16::MAX as u16));
                    let loudest =
                        power(&samples[..tone], rate, 697.0).max(power(&samples[..tone], rate, 941.0));
                    let loudest = loudest.max(power(&samples[..tone], rate, 770.0));
                    let loudest = loudest.max(power(&samples[..tone], rate, 852.0));
                    let is_in = |frequency: &f64| power(&samples[..tone], rate, *frequency) > loudest / 4.0;
                    all.into_iter().filter(is_in).collect()
                })
                .collect();
            let expected = [
                [697.0, 1209.0],
                [770.0, 1336.0],
                [852.0, 1477.0],
                [941.0, 1336.0],
                [941.0, 1209.0],
                [941.0, 1477.0],
                [697.0, 1633.0],
                [941.0, 1633.0],
            ];
            assert_eq!(heard, expected, "{rate} Hz");
        }
    }

    #[test]
    fn the_length_of_keys_is_known_before_they_are_made() {
        let keys = Keys::new("12#").unwrap();
        assert_eq!(duration_of(&keys), Duration::from_millis(450));
        assert_eq!(tones(&keys, 8_000).frames(), 3_600);
    }
}
