//! What is wrong with a WAV file: [`WavError`].

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a WAV file: one line that says which file, what was expected and what came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {action} {}: {reason}", .path.display())]
pub struct WavError {
    action: &'static str,
    path: PathBuf,
    reason: String,
}

impl WavError {
    pub(super) fn read(path: &Path, reason: impl fmt::Display) -> Self {
        Self { action: "read", path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn write(path: &Path, reason: impl fmt::Display) -> Self {
        Self { action: "write", path: path.to_owned(), reason: reason.to_string() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
