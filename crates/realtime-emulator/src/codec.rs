//! Bytes of the session's formats against samples at 24,000 Hz: G.711 and a plain change of rate by three.

use realtime_protocol::audio::AudioFormat;
use realtime_protocol::audio::g711::{from_a_law, from_mu_law, to_a_law, to_mu_law};

/// Samples at 24,000 Hz from bytes in `format`. An odd last byte of PCM is left out.
pub(crate) fn decode(bytes: &[u8], format: AudioFormat) -> Vec<i16> {
    match format {
        AudioFormat::Pcmu => upsample(bytes.iter().map(|byte| from_mu_law(*byte))),
        AudioFormat::Pcma => upsample(bytes.iter().map(|byte| from_a_law(*byte))),
        _ => bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
    }
}

/// Bytes in `format` from samples at 24,000 Hz.
pub(crate) fn encode(samples: &[i16], format: AudioFormat) -> Vec<u8> {
    match format {
        AudioFormat::Pcmu => downsample(samples).map(to_mu_law).collect(),
        AudioFormat::Pcma => downsample(samples).map(to_a_law).collect(),
        _ => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
    }
}

/// The mean square of a frame in `format`, full scale being 1.
pub(crate) fn power(frame: &[u8], format: AudioFormat) -> f64 {
    let square = |sample: i16| (f64::from(sample) / 32_768.0).powi(2);
    let (sum, count) = match format {
        AudioFormat::Pcmu => (frame.iter().map(|byte| square(from_mu_law(*byte))).sum::<f64>(), frame.len()),
        AudioFormat::Pcma => (frame.iter().map(|byte| square(from_a_law(*byte))).sum::<f64>(), frame.len()),
        _ => {
            let pairs = frame.chunks_exact(2);
            (pairs.map(|pair| square(i16::from_le_bytes([pair[0], pair[1]]))).sum::<f64>(), frame.len() / 2)
        }
    };
    sum / count.max(1) as f64
}

/// 8,000 to 24,000 Hz on straight lines between samples.
fn upsample(samples: impl Iterator<Item = i16>) -> Vec<i16> {
    let mut out = Vec::with_capacity(3 * samples.size_hint().0);
    let mut last = 0_i32;
    for sample in samples {
        let next = i32::from(sample);
        for third in 1..=3 {
            let between = last + (next - last) * third / 3;
            out.push(i16::try_from(between).unwrap_or(sample)); // between two i16 values
        }
        last = next;
    }
    out
}

/// 24,000 to 8,000 Hz by the mean of each three.
fn downsample(samples: &[i16]) -> impl Iterator<Item = i16> {
    samples.chunks(3).map(|three| {
        let sum: i32 = three.iter().map(|sample| i32::from(*sample)).sum();
        i16::try_from(sum / 3).unwrap_or_default() // the mean of i16 values
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_rate_keeps_length_and_level() {
        let spoken = crate::voice::speak("Hello there").samples;
        for format in [AudioFormat::Pcmu, AudioFormat::Pcma, AudioFormat::PCM16_24K] {
            let bytes = encode(&spoken, format);
            assert_eq!(format.duration(bytes.len() as u64).as_millis(), spoken.len() as u64 / 24);
            let back = decode(&bytes, format);
            assert!(back.len().abs_diff(spoken.len()) < 3);
            let ratio = power(&bytes, format)
                / power(&encode(&spoken, AudioFormat::PCM16_24K), AudioFormat::PCM16_24K);
            assert!((0.8..1.25).contains(&ratio), "{format:?}: {ratio}");
        }
    }
}
