//! Output that nobody hears: [`Discard`].

use std::collections::VecDeque;
use std::task::{Context, Poll};

use crate::chain::{ClearId, FrameKind, SinkReport};
use crate::edges::{EdgeError, Sink};

/// Drops all output. For calls that are only recorded, and for tests.
#[derive(Debug, Default)]
pub struct Discard {
    cleared: VecDeque<ClearId>,
}

impl Discard {
    /// Drops all output.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Sink for Discard {
    fn name(&self) -> &str {
        "discard"
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, _: &FrameKind) -> Result<(), EdgeError> {
        Ok(())
    }

    fn clear(&mut self, id: ClearId) {
        self.cleared.push_back(id);
    }

    fn poll_report(&mut self, _: &mut Context<'_>) -> Poll<SinkReport> {
        let cleared = self.cleared.pop_front().map(|id| SinkReport::Cleared { id, at: None });
        cleared.map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        Poll::Ready(Ok(()))
    }
}
