//! What a stage of a chain implements: [`Processor`].

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use crate::chain::cx::Cx;
use crate::chain::frame::Frame;
use crate::chain::intent::{Answer, Intent, Ticket};
use crate::chain::shape::Shape;
use crate::chain::work::{Done, WorkId};

/// A stage of a chain: frames in, frames out.
///
/// It is pure: it has no task, no clock and no `async`. Each method returns at once; what takes long goes to
/// [`Cx::spawn`] or [`Cx::spawn_blocking`]. A panic is caught, and the stage is never called again.
///
/// What [`poll_timeout`](Self::poll_timeout) and [`is_idle`](Self::is_idle) return changes only in the other
/// methods: the chain asks after each of them, and remembers the answer.
#[doc(alias = "FrameProcessor")]
pub trait Processor: Any + Send {
    /// The stage's name in faults, logs and for observers. Always the same.
    fn name(&self) -> &str;

    /// Handles a frame. Its direction is [`Cx::direction`]. Hand it on with [`Cx::forward`], now or later, or
    /// push others in its place. `Start`, `End` and `Cancel` come here too, and the chain hands them on
    /// itself: `Start` and `Cancel` before what the stage pushes for them, `End` after it. Default: hands
    /// it on.
    #[doc(alias = "process_frame")]
    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        cx.forward(frame);
    }

    /// An intent of this stage has ended. Default: does nothing.
    fn handle_answer(&mut self, ticket: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        let _ = (ticket, answer, cx);
    }

    /// Work of this stage has ended that has no reply of its own
    /// ([`Spawned::then`](crate::chain::Spawned::then)). Default: does nothing.
    fn handle_work(&mut self, work: WorkId, done: Done, cx: &mut Cx<'_>) {
        let _ = (work, done, cx);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Default: does nothing.
    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None`: nothing is due. A time that has passed
    /// and stays is asked for again after a millisecond. Default: `None`.
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Returns whether it has nothing left to do. `End` leaves a stage when it is idle and none of its work
    /// is open, or at the limit. Default: yes.
    fn is_idle(&self) -> bool {
        true
    }

    /// The run is over. Comes exactly once to each stage that has not failed, and nothing follows. What is
    /// pushed or asked here goes nowhere. Default: does nothing.
    #[doc(alias = "cleanup")]
    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// What it is for its chain: the service, the playout, or neither. Always the same. Default: neither.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// For the service: the session tells something. Default: does nothing.
    fn handle_event(&mut self, event: &Arc<Event>, cx: &mut Cx<'_>) {
        let _ = (event, cx);
    }

    /// For the service: somebody asks for something. Answer it with [`Cx::answer`], now or later. Default:
    /// refuses it.
    fn handle_intent(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        cx.unable(ticket, &intent);
    }

    /// Returns whether it holds stages of its own and hands `Start`, `End` and `Cancel` on by itself.
    #[doc(hidden)]
    fn is_group(&self) -> bool {
        false
    }
}

impl<P: Processor> From<P> for Box<dyn Processor> {
    fn from(stage: P) -> Self {
        Box::new(stage)
    }
}

impl fmt::Debug for dyn Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
