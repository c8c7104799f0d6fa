//! A WAV file of 16-bit samples that grows, and is valid after each piece.
//!
//! It blocks: callers are on a thread that may.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::WavError;

/// An open WAV file. It can be read up to its last whole piece at any time.
pub(crate) struct WavFile {
    path: PathBuf,
    file: File,
    channels: u16,
    /// Bytes of sound in the file.
    bytes: u32,
}

/// Bytes before the sound.
const HEADER: u32 = 44;
/// Silence is written in blocks of this many bytes.
const BLOCK: usize = 1 << 16;

impl WavFile {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path, rate: u32, channels: u16) -> Result<Self, WavError> {
        let create = || {
            let mut file = File::create(path)?;
            file.write_all(&header(rate, channels))?;
            Ok(file)
        };
        match create() {
            Ok(file) => Ok(Self { path: path.to_owned(), file, channels, bytes: 0 }),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Appends samples, of all channels in turn, and then so much silence (samples of one channel).
    pub(crate) fn append(&mut self, samples: &[i16], silence: u64) -> Result<(), WavError> {
        let block = u32::from(self.channels) * 2;
        let silence = silence.saturating_mul(u64::from(block));
        let wanted = silence.saturating_add(samples.len() as u64 * 2);
        let most = (u32::MAX - HEADER) / block * block;
        if wanted > u64::from(most - self.bytes) {
            return Err(WavError::write(&self.path, "it is full: a WAV file holds 4 GiB"));
        }
        // It is less than what the file has room for.
        let wanted = u32::try_from(wanted).unwrap_or_default();
        self.write(samples, silence, wanted).map_err(|error| failed(&self.path, &error))
    }

    fn write(&mut self, samples: &[i16], mut silence: u64, wanted: u32) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(u64::from(HEADER + self.bytes)))?;
        self.file.write_all(&crate::pcm::to_bytes(samples))?;
        let zeros = [0; BLOCK];
        while silence > 0 {
            let some = silence.min(BLOCK as u64);
            self.file.write_all(&zeros[..some as usize])?;
            silence -= some;
        }
        // The header is last: until then it tells of what was there before.
        let bytes = self.bytes + wanted;
        self.file.seek(SeekFrom::Start(40))?;
        self.file.write_all(&bytes.to_le_bytes())?;
        self.file.seek(SeekFrom::Start(4))?;
        self.file.write_all(&(bytes + HEADER - 8).to_le_bytes())?;
        self.bytes = bytes;
        Ok(())
    }
}

/// The header of a file without sound.
fn header(rate: u32, channels: u16) -> [u8; HEADER as usize] {
    let block = channels * 2;
    let mut header = *b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0data\0\0\0\0";
    header[22..24].copy_from_slice(&channels.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&rate.saturating_mul(u32::from(block)).to_le_bytes());
    header[32..34].copy_from_slice(&block.to_le_bytes());
    header
}

fn failed(path: &Path, error: &io::Error) -> WavError {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    WavError::write(path, reason)
}

impl fmt::Debug for WavFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hound::{SampleFormat, WavReader, WavSpec};

    use super::*;
    use crate::edges::testing::TempFile;

    #[test]
    fn the_file_is_valid_after_each_piece() {
        let temp = TempFile::new("pieces.wav");
        let mut file = WavFile::create(&temp.0, 11_025, 2).unwrap();
        let check = |want: &[i16]| {
            let mut reader = WavReader::open(&temp.0).unwrap();
            let spec = WavSpec {
                channels: 2,
                sample_rate: 11_025,
                bits_per_sample: 16,
                sample_format: SampleFormat::Int,
            };
            assert_eq!(reader.spec(), spec);
            assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), want);
        };
        check(&[]);
        file.append(&[1, -2, 3, -4], 0).unwrap();
        check(&[1, -2, 3, -4]);
        file.append(&[5, 6], 2).unwrap();
        check(&[1, -2, 3, -4, 5, 6, 0, 0, 0, 0]);
    }

    #[test]
    fn long_silence_is_written_whole_and_a_full_file_is_refused() {
        let temp = TempFile::new("long.wav");
        let mut file = WavFile::create(&temp.0, 8_000, 1).unwrap();
        file.append(&[], 100_001).unwrap();
        file.append(&[9], 0).unwrap();
        assert_eq!(WavReader::open(&temp.0).unwrap().len(), 100_002);
        let error = file.append(&[], u64::from(u32::MAX / 2)).unwrap_err();
        let want = format!("cannot write {}: it is full: a WAV file holds 4 GiB", temp.0.display());
        assert_eq!(error.to_string(), want);
        assert_eq!(WavReader::open(&temp.0).unwrap().len(), 100_002);
    }
}
