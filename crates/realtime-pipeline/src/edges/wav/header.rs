//! Corrects the lengths in the header of a WAV file.
//!
//! A program that writes to a pipe cannot go back to fill in the length: it leaves zero, or the largest
//! number. The reader needs the true length, in whole samples.

/// The reason for a file with compressed samples.
pub(super) const OTHER_ENCODING: &str = "expected uncompressed integers or floats, got another encoding";

/// The reason for a file with samples of `kind` and `bits`.
pub(super) fn other_size(kind: &str, bits: u16) -> String {
    format!("expected integers of 8, 16, 24 or 32 bits or floats of 32, got {kind} of {bits}")
}

/// The file with the true length of its sound in the header, or why it cannot be read. An incomplete header
/// is left to the reader.
pub(super) fn completed(mut file: Vec<u8>) -> Result<Vec<u8>, String> {
    let never_completed = matches!(u32_at(&file, 4), Some(0 | u32::MAX));
    let mut frame = 1;
    let mut at = 12;
    while let (Some(kind), Some(length)) = (file.get(at..at + 4), u32_at(&file, at + 4)) {
        let begin = at + 8;
        let left = file.len() - begin;
        let length = length as usize;
        match kind {
            b"fmt " => {
                check_encoding(&file, begin)?;
                frame = usize::from(u16_at(&file, begin + 12).unwrap_or_default()).max(1);
            }
            b"data" => {
                let there = if never_completed { left } else { length.min(left) };
                let whole =
                    u32::try_from(there - there % frame).unwrap_or(u32::MAX - u32::MAX % frame as u32);
                file[at + 4..begin].copy_from_slice(&whole.to_le_bytes());
                break;
            }
            _ => {}
        }
        // A chunk of odd length is followed by a padding byte.
        at = begin.saturating_add(length).saturating_add(length % 2).min(file.len());
    }
    Ok(file)
}

/// Refuses encodings for which the reader's errors are less clear.
fn check_encoding(file: &[u8], begin: usize) -> Result<(), String> {
    match (u16_at(file, begin), u16_at(file, begin + 14)) {
        (Some(FLOATS), Some(bits)) if bits != 32 => Err(other_size("floats", bits)),
        (Some(INTEGERS | FLOATS | EXTENSIBLE) | None, _) => Ok(()),
        (Some(_), _) => Err(OTHER_ENCODING.to_owned()),
    }
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?))
}

const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
/// The actual encoding follows in the header; the reader handles it.
const EXTENSIBLE: u16 = 0xFFFE;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 16-bit samples with a chunk of 3 bytes before its sound, and these lengths in its header.
    fn file(riff: u32, data: u32, sound: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF".to_vec();
        file.extend(riff.to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0");
        file.extend(b"LIST\x03\0\0\0abc\0data");
        file.extend(data.to_le_bytes());
        file.extend(sound);
        file
    }

    /// The length that the header has afterwards.
    fn check(riff: u32, data: u32, sound: usize) -> usize {
        let file = completed(file(riff, data, &vec![0; sound])).unwrap();
        let at = file.len() - sound - 4;
        u32_at(&file, at).unwrap() as usize
    }

    #[test]
    fn the_length_is_what_is_there_in_whole_samples() {
        assert_eq!(check(58, 10, 10), 10);
        // More follows the sound.
        assert_eq!(check(58, 10, 20), 10);
        assert_eq!(check(58, 0, 20), 0);
        // Cut short, or half a sample.
        assert_eq!(check(58, 10, 6), 6);
        assert_eq!(check(58, 11, 11), 10);
        // Written to a pipe.
        assert_eq!(check(u32::MAX, u32::MAX, 11), 10);
        assert_eq!(check(0, 0, 10), 10);
        assert_eq!(check(0x7fff_f024, 0x7fff_f000, 10), 10);
    }

    #[test]
    fn a_header_that_is_not_whole_is_left_as_it_is() {
        let whole = file(58, 10, &[0; 10]);
        for length in 0..whole.len() - 14 {
            assert_eq!(completed(whole[..length].to_vec()).unwrap(), whole[..length], "{length} bytes");
        }
    }

    #[test]
    fn another_encoding_is_named() {
        let mut doubles = file(58, 8, &[0; 8]);
        doubles[20] = 3;
        doubles[34] = 64;
        assert!(completed(doubles).unwrap_err().ends_with("got floats of 64"));
        let mut packed = file(58, 8, &[0; 8]);
        packed[20] = 2;
        assert_eq!(completed(packed).unwrap_err(), OTHER_ENCODING);
    }
}
