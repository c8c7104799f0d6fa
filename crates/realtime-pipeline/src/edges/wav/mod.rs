//! WAV files: one to speak from, one to record into.
//!
//! A file is read whole before the call, and written on another thread in pieces of a second. After each
//! piece the file is a valid WAV file.

mod error;
mod file;
mod header;
mod read;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use error::WavError;
pub(crate) use file::WavFile;
pub use sink::WavSink;
pub use source::WavSource;
