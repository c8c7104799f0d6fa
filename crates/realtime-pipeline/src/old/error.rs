//! Errors: of a processor that cannot go on, faults that a processor reports, and the error of a run.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a processor cannot go on. Returned from a [`Processor`](crate::old::Processor)'s methods, it ends the run.
#[derive(Debug)]
pub struct Error {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a text: lowercase, no period, what was expected and what came.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error with a text about what failed, and the error that caused it.
    pub fn with_source(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Something that a processor reports with an error frame: it travels upstream to the pipeline's task.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{processor}: {message}")]
pub struct Fault {
    /// The processor at fault.
    pub processor: Arc<str>,
    /// What happened.
    pub message: Arc<str>,
    /// What it ends.
    pub severity: Severity,
}

/// What a [`Fault`] ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing: it is logged, and observers see it.
    Survivable,
    /// The run.
    Fatal,
}

/// Why a run ended with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A processor returned an error.
    #[error("processor {processor} failed")]
    Failed {
        /// The processor.
        processor: Arc<str>,
        /// Its error.
        #[source]
        source: Error,
    },
    /// A processor or an observer panicked. That is a bug of its own.
    #[error("{task} panicked: {message}")]
    Panicked {
        /// The processor or observer.
        task: Arc<str>,
        /// The panic's message, if it was text.
        message: String,
    },
    /// A processor reported a fatal fault.
    #[error("the pipeline cannot go on")]
    Fatal(#[source] Fault),
    /// Processors did not stop in time and were aborted.
    #[error("expected every processor to stop within {limit:?}, still running: {}", .stuck.join(", "))]
    Stuck {
        /// The processors.
        stuck: Vec<Arc<str>>,
        /// The limit.
        limit: Duration,
    },
}

impl PipelineError {
    /// The error and what caused it, in one line.
    pub fn one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_tells_the_error_and_its_causes() {
        let cause = std::io::Error::other("disk full");
        let source = Error::with_source("cannot write talk.wav", cause);
        let error = PipelineError::Failed { processor: "recorder".into(), source };
        assert_eq!(error.one_line(), "processor recorder failed: cannot write talk.wav: disk full");
    }
}
