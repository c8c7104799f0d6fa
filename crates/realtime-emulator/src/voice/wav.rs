//! Reads the WAV files that speech comes in: mono, 16 bits or µ-law.

use realtime_protocol::audio::g711::from_mu_law;

use crate::voice::rate;

/// Samples at [`SAMPLE_RATE`](crate::voice::SAMPLE_RATE). `None`: it is another kind of file.
///
/// A program that writes to a pipe does not know how much will come, so the length of the sound is only the
/// most that is read.
pub(super) fn read(file: &[u8]) -> Option<Vec<i16>> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut format = None;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, body) = after.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        match name {
            b"fmt " => format = Some(Format::read(body)?),
            b"data" => {
                let Format { coding, rate } = format?;
                let sound = &body[..length.min(body.len())];
                return Some(rate::to_own_rate(&coding.decode(sound), rate));
            }
            _ => {}
        }
        rest = body.get(length + length % 2..)?;
    }
}

struct Format {
    coding: Coding,
    /// Hz.
    rate: u32,
}

enum Coding {
    Pcm16,
    MuLaw,
}

impl Format {
    fn read(chunk: &[u8]) -> Option<Self> {
        let two = |at: usize| Some(u16::from_le_bytes(chunk.get(at..at + 2)?.try_into().ok()?));
        let coding = match (two(0)?, two(2)?, two(14)?) {
            (1, 1, 16) => Coding::Pcm16,
            (7, 1, 8) => Coding::MuLaw,
            _ => return None,
        };
        let rate = u32::from_le_bytes(chunk.get(4..8)?.try_into().ok()?);
        (LOWEST_RATE..=HIGHEST_RATE).contains(&rate).then_some(Self { coding, rate })
    }
}

impl Coding {
    fn decode(&self, sound: &[u8]) -> Vec<i16> {
        match self {
            Self::Pcm16 => sound.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect(),
            Self::MuLaw => sound.iter().map(|byte| from_mu_law(*byte)).collect(),
        }
    }
}

/// Hz.
const LOWEST_RATE: u32 = 4_000;
/// Hz.
const HIGHEST_RATE: u32 = 192_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a chunk that is none of ours, and a length of the sound that says `length`.
    fn file(coding: u16, channels: u16, bits: u16, length: u32, sound: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF....WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        file.extend([coding, channels].map(u16::to_le_bytes).as_flattened());
        file.extend(24_000_u32.to_le_bytes());
        file.extend([0; 6]);
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(length.to_le_bytes());
        file.extend(sound);
        file
    }

    #[test]
    fn both_codings_are_read_and_the_length_is_not_trusted() {
        for length in [4, u32::MAX, 0x7fff_f000] {
            assert_eq!(read(&file(1, 1, 16, length, &[1, 0, 0xff, 0xff])), Some(vec![1, -1]), "{length}");
        }
        assert_eq!(read(&file(7, 1, 8, 2, &[0xff, 0x00, 0x7f])), Some(vec![0, from_mu_law(0)]));
    }

    #[test]
    fn any_other_file_is_refused() {
        let good = file(1, 1, 16, 2, &[1, 0]);
        for other in [file(1, 2, 16, 2, &[1, 0]), file(3, 1, 32, 2, &[1, 0]), file(1, 1, 8, 2, &[1, 0])] {
            assert_eq!(read(&other), None);
        }
        for length in 0..good.len() - 2 {
            assert_eq!(read(&good[..length]), if length < good.len() - 2 { None } else { Some(vec![]) });
        }
        let mut silly = good;
        silly[28..32].copy_from_slice(&0_u32.to_le_bytes());
        assert_eq!(read(&silly), None, "a rate of 0 Hz");
    }
}
