//! 16-bit PCM: bytes, samples and floats. Little-endian everywhere.

use bytes::Bytes;

/// The bytes of samples.
pub(crate) fn to_bytes(samples: &[i16]) -> Bytes {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>().into()
}

/// The samples of bytes; a last odd byte is left out.
pub(crate) fn samples(bytes: &[u8]) -> impl ExactSizeIterator<Item = i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
}

/// A sample as a float of -1 to 1.
pub(crate) fn to_float(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

/// A float as a sample. Louder than full scale is clipped.
pub(crate) fn from_float(sample: f32) -> i16 {
    // A cast from float saturates, and turns NaN into 0.
    (sample * 32_768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_survives_the_way_to_float_and_back() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(from_float(to_float(sample)), sample);
        }
        assert_eq!(from_float(1.5), i16::MAX);
        assert_eq!(from_float(f32::NAN), 0);
    }

    #[test]
    fn bytes_are_little_endian() {
        assert_eq!(to_bytes(&[1, -2]).as_ref(), [1, 0, 0xfe, 0xff]);
        assert_eq!(samples(&[1, 0, 0xfe, 0xff, 9]).collect::<Vec<_>>(), [1, -2]);
    }
}
