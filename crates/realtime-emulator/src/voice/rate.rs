//! Speech of any rate at [`SAMPLE_RATE`], without the hiss that straight lines between samples would add.

use std::f64::consts::PI;

use crate::voice::SAMPLE_RATE;

/// The same sound at [`SAMPLE_RATE`]. `from` is its rate (Hz), which is not 0.
///
/// The rates stand to each other as `up` to `down`, so a sample falls on one of only `up` places between two
/// of the others. Each place has a filter of its own: a windowed sinc, moved to it.
pub(super) fn to_own_rate(samples: &[i16], from: u32) -> Vec<i16> {
    if from == SAMPLE_RATE {
        return samples.to_vec();
    }
    let common = greatest_common_divisor(from, SAMPLE_RATE);
    let (up, down) = ((SAMPLE_RATE / common) as usize, (from / common) as usize);
    // What the slower of the two rates can hold.
    let cutoff = 0.95 * (f64::from(SAMPLE_RATE) / f64::from(from)).min(1.0);
    let half = (CROSSINGS / cutoff).ceil() as usize;
    let filters: Vec<_> = (0..up).map(|place| filter(place as f64 / up as f64, half, cutoff)).collect();

    let silence = std::iter::repeat_n(0.0, half);
    let sound = samples.iter().map(|sample| f32::from(*sample));
    let padded: Vec<f32> = silence.clone().chain(sound).chain(silence).collect();
    let one = |index: usize| {
        let (whole, place) = (index * down / up, index * down % up);
        weighted(&padded[whole + 1..], &filters[place]) as i16
    };
    (0..samples.len() * up / down).map(one).collect()
}

/// The sum of what the filter weighs. Without optimisation, as the demo is built, a loop over indices is five
/// times as fast as iterators, which is a third of a second for a long line.
fn weighted(samples: &[f32], filter: &[f32]) -> f32 {
    let (mut sum, mut index) = (0.0, 0);
    while index < filter.len() {
        sum += samples[index] * filter[index];
        index += 1;
    }
    sum
}

/// The weights of the `2 * half` samples around a place. The place is a part of a sample after the one in the
/// middle.
fn filter(place: f64, half: usize, cutoff: f64) -> Vec<f32> {
    let weight = |index: usize| {
        let distance = index as f64 - (half as f64 - 1.0) - place;
        let window = (0.5 * PI * distance / half as f64).cos().max(0.0).powi(2);
        window * sinc(cutoff * distance)
    };
    let weights: Vec<f64> = (0..2 * half).map(weight).collect();
    // So that a level stays the same, to the last digit.
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Zero crossings of the filter on each side of its place.
const CROSSINGS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of a sine.
    fn tone(pitch: f64, rate: u32) -> Vec<i16> {
        let sample = |index| 10_000.0 * (2.0 * PI * pitch * f64::from(index) / f64::from(rate)).sin();
        (0..rate / 2).map(|index| sample(index) as i16).collect()
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let (made, meant) = (to_own_rate(&tone(1_000.0, rate), rate), tone(1_000.0, SAMPLE_RATE));
            assert!(made.len().abs_diff(meant.len()) <= 3, "{rate}: {}", made.len());
            // Beside the ends, where the tone begins out of silence.
            let pairs = made.iter().zip(&meant).skip(500).take(11_000);
            let worst = pairs.map(|(made, meant)| made.abs_diff(*meant)).max();
            assert!(worst < Some(30), "{rate}: {worst:?}");
        }
    }

    #[test]
    fn what_the_rate_cannot_hold_is_left_out_and_a_level_is_kept() {
        let middle = |samples: Vec<i16>| samples[500..11_000].iter().map(|s| s.unsigned_abs()).max();
        assert!(middle(to_own_rate(&tone(14_000.0, 48_000), 48_000)) < Some(60));
        let level = to_own_rate(&vec![5_000; 8_000], 16_000);
        assert!(level[500..11_000].iter().all(|sample| sample.abs_diff(5_000) <= 1));
    }

    #[test]
    fn no_sound_and_odd_rates_are_no_trouble() {
        assert_eq!(to_own_rate(&[], 16_000), [0; 0]);
        assert_eq!(to_own_rate(&[1], 48_000), [0; 0]);
        assert_eq!(to_own_rate(&[1; 10], 7_919).len(), 30);
    }
}
