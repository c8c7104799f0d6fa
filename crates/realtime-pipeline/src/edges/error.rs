//! What goes wrong at an edge: [`EdgeError`].

use std::error::Error;
use std::sync::Arc;

use crate::chain::{Category, Fault, FrameKind};

/// A source or sink has failed, or has lost something.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{edge}: {message}")]
pub struct EdgeError {
    edge: Arc<str>,
    message: Arc<str>,
    #[source]
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl EdgeError {
    /// What was expected and what happened at the source or sink of this name, without content.
    pub fn new(edge: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self { edge: edge.into(), message: message.into(), cause: None }
    }

    /// What caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The name of the source or sink.
    pub fn edge(&self) -> &str {
        &self.edge
    }

    /// What was expected and what happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// It as the fault of a run, in the category [`Device`](Category::Device).
    pub fn to_fault(&self) -> Fault {
        Fault {
            stage: Arc::clone(&self.edge),
            category: Category::Device,
            message: Arc::clone(&self.message),
            cause: self.cause.clone(),
        }
    }

    /// It as a frame: what a source gives when it fails.
    pub fn to_frame(&self) -> FrameKind {
        FrameKind::Fault(Arc::new(self.to_fault()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_fault_of_its_edge_with_its_cause() {
        let cause = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = EdgeError::new("raw_sink", "nobody reads").caused_by(cause);
        assert_eq!(error.to_string(), "raw_sink: nobody reads");
        let FrameKind::Fault(fault) = error.to_frame() else { panic!("a fault") };
        assert_eq!((fault.to_string(), fault.category), (error.to_string(), Category::Device));
        assert_eq!(fault.source().map(ToString::to_string).as_deref(), Some("broken pipe"));
    }
}
