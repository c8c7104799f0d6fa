//! Reads a whole WAV file of any format as mono samples.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec};

use super::WavError;
use super::header;
use crate::pcm;
use crate::resample::{RATES, mix_to_mono};

/// A file's sound: mono samples and their rate in Hz.
pub(super) fn read(path: &Path) -> Result<(u32, Vec<i16>), WavError> {
    read_bytes(path, bytes(path).map_err(|error| WavError::read(path, error))?)
}

/// The sound in the bytes of a file that errors call `path`.
pub(super) fn read_bytes(path: &Path, bytes: Vec<u8>) -> Result<(u32, Vec<i16>), WavError> {
    if !matches!(bytes.get(..4), Some(b"RIFF")) || bytes.get(8..12) != Some(b"WAVE") {
        return Err(WavError::read(path, format_args!("expected a WAV file, got {}", what(&bytes))));
    }
    let bytes = header::completed(bytes).map_err(|reason| WavError::read(path, reason))?;
    let reader = WavReader::new(Cursor::new(bytes)).map_err(|error| match error {
        hound::Error::Unsupported => WavError::read(path, header::OTHER_ENCODING),
        error => WavError::read(path, format_args!("expected a whole WAV header, got: {error}")),
    })?;
    samples(path, reader)
}

/// All bytes of a WAV file, but only the first bytes of any other file.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(12).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"RIFF") {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn samples<R: Read>(path: &Path, mut reader: WavReader<R>) -> Result<(u32, Vec<i16>), WavError> {
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if !matches!(channels, 1 | 2) {
        return Err(WavError::read(path, format_args!("expected 1 or 2 channels, got {channels}")));
    }
    if !RATES.contains(&sample_rate) {
        let (least, most) = (RATES.start(), RATES.end());
        return Err(WavError::read(
            path,
            format_args!("expected a rate of {least} to {most} Hz, got {sample_rate} Hz"),
        ));
    }
    let samples = match (sample_format, bits_per_sample) {
        (SampleFormat::Int, 8 | 16 | 24 | 32) => {
            let full = (1_i64 << (bits_per_sample - 1)) as f32;
            until_cut(path, reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 / full)))
        }
        (SampleFormat::Float, 32) => until_cut(path, reader.samples::<f32>()),
        (format, bits) => {
            let kind = if format == SampleFormat::Int { "integers" } else { "floats" };
            return Err(WavError::read(path, header::other_size(kind, bits)));
        }
    };
    let mono = mix_to_mono(&samples, usize::from(channels));
    Ok((sample_rate, mono.into_iter().map(pcm::from_float).collect()))
}

/// The samples up to the end, or up to where the file was cut short.
fn until_cut(path: &Path, samples: impl Iterator<Item = hound::Result<f32>>) -> Vec<f32> {
    let mut read = Vec::new();
    for sample in samples {
        match sample {
            Ok(sample) => read.push(sample),
            Err(error) => {
                tracing::warn!(path = %path.display(), samples = read.len(), %error, "the file ends early");
                break;
            }
        }
    }
    read
}

fn what(head: &[u8]) -> String {
    match head {
        [] => "an empty file".to_owned(),
        [b'R', b'I', b'F', b'F', ..] if head.len() < 12 => format!("a file of {} bytes", head.len()),
        head => format!("a file that begins with \"{}\"", head[..head.len().min(8)].escape_ascii()),
    }
}
