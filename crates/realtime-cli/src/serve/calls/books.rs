//! Writes down what happens in a call: [`Books`], an observer of its chain.

use std::sync::Arc;

use realtime_pipeline::chain::{Direction, Fault, FrameKind, Hop, Observer};
use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use super::Shared;
use crate::figures::{Count, Figure};

/// An observer that counts turns, interruptions, tools, latencies and tokens: of this call, and of all.
pub(in crate::serve) struct Books(Arc<Shared>);

impl Books {
    pub(super) const fn new(facts: Arc<Shared>) -> Self {
        Self(facts)
    }
}

impl Observer for Books {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        if hop.direction == Direction::Downstream
            && let ("realtime", FrameKind::Event(event)) = (&**hop.from, hop.frame.kind())
            && matches!(**event, Event::Ready { .. })
        {
            self.0.facts().is_live = true;
        }
        if let Some(figure) = Figure::of(hop) {
            self.0.facts().learn(&figure);
            self.0.metrics().count(&figure);
        }
    }

    fn on_fault(&mut self, _at: Timestamp, fault: &Fault) {
        self.0.metrics().count(&Figure::Fault);
        self.0.facts().trouble = Some(fault.to_string());
    }
}
