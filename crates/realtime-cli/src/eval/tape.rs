//! Both voices of a call in one WAV file: [`Tape`].

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::Error;

/// A file that both voices are written to: the caller left, the agent right.
pub(super) struct Tape {
    path: PathBuf,
    writer: WavWriter<BufWriter<File>>,
    /// What went wrong first.
    failed: Option<hound::Error>,
}

impl Tape {
    /// Creates the file, at `rate` Hz.
    ///
    /// # Errors
    /// It can't be created.
    pub(super) fn create(path: &Path, rate: u32) -> Result<Self, Error> {
        let spec =
            WavSpec { channels: 2, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let writer = WavWriter::create(path, spec).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), writer, failed: None })
    }

    /// Appends as much of both.
    pub(super) fn record(&mut self, said: &[i16], heard: &[i16]) {
        let mut samples = said.iter().zip(heard).flat_map(|(said, heard)| [*said, *heard]);
        if self.failed.is_none() {
            self.failed = samples.find_map(|sample| self.writer.write_sample(sample).err());
        }
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// Something could not be written.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Self { path, writer, failed } = self;
        // It is ended in any case, so that what there is can be heard.
        let ended = writer.finalize();
        failed.map_or(ended, Err).map_err(|error| cannot_write(&path, &error))
    }
}

fn cannot_write(path: &Path, error: &hound::Error) -> Error {
    format!("cannot write {}: {error}", path.display()).into()
}
