//! Samples, and the bytes of a session's audio formats.

use bytes::Bytes;
use realtime_protocol::audio::{AudioFormat, g711};
use realtime_webrtc::Rate;

/// The rate of a format's samples. One that Opus does not take is read as 24 kHz.
pub(super) fn rate(format: AudioFormat) -> Rate {
    Rate::new(format.sample_rate()).unwrap_or_default()
}

/// The samples of these bytes.
pub(super) fn decode(format: AudioFormat, bytes: &[u8]) -> Vec<i16> {
    match format {
        AudioFormat::Pcmu => bytes.iter().map(|byte| g711::from_mu_law(*byte)).collect(),
        AudioFormat::Pcma => bytes.iter().map(|byte| g711::from_a_law(*byte)).collect(),
        _ => bytes.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect(),
    }
}

/// The bytes of these samples.
pub(super) fn encode(format: AudioFormat, samples: &[i16]) -> Bytes {
    match format {
        AudioFormat::Pcmu => samples.iter().map(|sample| g711::to_mu_law(*sample)).collect(),
        AudioFormat::Pcma => samples.iter().map(|sample| g711::to_a_law(*sample)).collect(),
        _ => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_from_each_format() {
        let samples = [0, 988, -988, 32_124];
        for format in [AudioFormat::PCM16_24K, AudioFormat::Pcmu] {
            let bytes = encode(format, &samples);
            assert_eq!(bytes.len(), samples.len() * format.sample_bytes() as usize);
            assert_eq!(decode(format, &bytes), samples);
        }
        assert_eq!(decode(AudioFormat::Pcma, &encode(AudioFormat::Pcma, &[8])), [8]);
        assert_eq!(decode(AudioFormat::PCM16_24K, &[1, 0, 9]), [1], "half a sample is none");
    }

    #[test]
    fn each_format_has_a_rate_that_opus_takes() {
        let of = |rate| AudioFormat::Pcm16 { rate };
        for (format, hz) in [(of(24_000), 24_000), (of(16_000), 16_000), (of(44_100), 24_000)] {
            assert_eq!(rate(format).hz(), hz);
        }
        assert_eq!(rate(AudioFormat::Pcmu).hz(), 8000);
    }
}
