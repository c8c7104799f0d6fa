//! What the tests of edges share.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use hound::WavReader;

/// A separate file for each test, deleted afterwards.
#[derive(Debug)]
pub(crate) struct TempFile(pub(crate) PathBuf);

static NEXT: AtomicU64 = AtomicU64::new(0);

impl TempFile {
    /// A place for a file; nothing is there.
    pub(crate) fn new(name: &str) -> Self {
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("realtime-pipeline-{process}-{number}-{name}")))
    }

    /// The rate, the channels and the samples of a WAV file.
    pub(crate) fn read(&self) -> (u32, u16, Vec<i16>) {
        let mut reader = WavReader::open(&self.0).unwrap();
        let spec = reader.spec();
        (spec.sample_rate, spec.channels, reader.samples().map(Result::unwrap).collect())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // It may never have been made.
        drop(fs::remove_file(&self.0));
    }
}
