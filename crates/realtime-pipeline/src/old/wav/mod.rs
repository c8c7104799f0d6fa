//! WAV files as transports: one to speak from, one to record into.
//!
//! Files are read before a run, and written through a buffer by the recorder's own task. No thread is
//! involved, so a run under paused time is the same every time.

mod header;
mod input;
mod output;
mod read;
mod tracks;

use std::fmt;
use std::path::{Path, PathBuf};

pub use input::WavInput;
pub use output::{WavLayout, WavOutput};

/// What is wrong with a WAV file: one line that says which file, what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {reason}", .path.display())]
pub struct WavError {
    action: &'static str,
    path: PathBuf,
    reason: String,
}

impl WavError {
    fn read(path: &Path, reason: impl fmt::Display) -> Self {
        Self { action: "read", path: path.to_owned(), reason: reason.to_string() }
    }

    fn write(path: &Path, reason: impl fmt::Display) -> Self {
        Self { action: "write", path: path.to_owned(), reason: reason.to_string() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
