//! Observers: they see every hop of every frame, every intent and its answer, and every fault.

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::fault::Fault;
use crate::chain::frame::{Direction, Frame};
use crate::chain::intent::{Answer, Intent, Ticket};

/// Watches a chain: for logs, metrics, tests, or a transcript on a screen.
///
/// It is called in the step that it sees, so it must return at once. One that panics is called no longer, and
/// that is told as a fault.
#[doc(alias = "BaseObserver")]
pub trait Observer: Send {
    /// A frame is handed to a stage, or leaves the chain. A frame is seen once on each hop, with the same
    /// [`Frame::id`].
    #[doc(alias = "on_push_frame")]
    fn on_frame(&mut self, hop: &Hop<'_>);

    /// Somebody asks for something. Default: does nothing.
    fn on_intent(&mut self, at: Timestamp, ticket: Ticket, intent: &Intent) {
        let _ = (at, ticket, intent);
    }

    /// An intent has ended. Default: does nothing.
    fn on_answer(&mut self, at: Timestamp, ticket: Ticket, answer: &Answer) {
        let _ = (at, ticket, answer);
    }

    /// A stage has a fault. Default: does nothing.
    fn on_fault(&mut self, at: Timestamp, fault: &Fault) {
        let _ = (at, fault);
    }

    /// A step took longer than [`LONGEST_STEP`](crate::chain::LONGEST_STEP). Told each time. Default: does
    /// nothing.
    #[doc(alias = "HeartbeatFrame")]
    fn on_slow_step(&mut self, at: Timestamp, stage: &str, took: Duration) {
        let _ = (at, stage, took);
    }
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn on_frame(&mut self, hop: &Hop<'_>) {
        (**self).on_frame(hop);
    }

    fn on_intent(&mut self, at: Timestamp, ticket: Ticket, intent: &Intent) {
        (**self).on_intent(at, ticket, intent);
    }

    fn on_answer(&mut self, at: Timestamp, ticket: Ticket, answer: &Answer) {
        (**self).on_answer(at, ticket, answer);
    }

    fn on_fault(&mut self, at: Timestamp, fault: &Fault) {
        (**self).on_fault(at, fault);
    }

    fn on_slow_step(&mut self, at: Timestamp, stage: &str, took: Duration) {
        (**self).on_slow_step(at, stage, took);
    }
}

/// A frame on its way from one stage to the next.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hop<'a> {
    /// When.
    pub at: Timestamp,
    /// The stage that pushed it; `source` or `sink` if it came from outside.
    pub from: &'a Arc<str>,
    /// The stage that gets it; `source` or `sink` if it leaves the chain.
    pub to: &'a Arc<str>,
    /// Which way.
    pub direction: Direction,
    /// The frame.
    pub frame: &'a Frame,
}
