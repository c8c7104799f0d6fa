//! Stages in a row: [`Stages`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::chain::cx::{Cx, Push};
use crate::chain::frame::{Direction, Frame};
use crate::chain::group::{Group, Members};
use crate::chain::processor::Processor;
use crate::chain::slot::Slot;

/// Stages in a row, from the source to the sink. A row is a stage itself, so rows nest.
///
/// Frames that one stage pushes to its neighbour keep their order. Each frame is handled before the next that
/// was pushed after it, so no frame waits inside a row unless a stage [holds](crate::chain::Cx::hold) it.
#[doc(alias = "Pipeline")]
#[derive(Debug)]
pub struct Stages {
    members: Members,
    /// Of a whole chain: who is seen downstream of its last stage. Otherwise it is the row.
    sink: Option<Arc<str>>,
    queue: VecDeque<Queued>,
    /// Empty between steps; kept for its room.
    pushes: Vec<Push>,
}

/// A frame on its way to stage `to`.
#[derive(Debug)]
struct Queued {
    from: Arc<str>,
    to: usize,
    direction: Direction,
    frame: Frame,
}

impl Stages {
    /// No stages: frames pass.
    pub fn new() -> Self {
        Self::named("stages")
    }

    /// No stages, and a name for observers and faults.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { members: Members::named(name), sink: None, queue: VecDeque::new(), pushes: Vec::new() }
    }

    /// Adds a stage downstream of the others: a [`Processor`], or a boxed one of any type, as a configuration
    /// makes it.
    #[must_use]
    pub fn then(mut self, stage: impl Into<Box<dyn Processor>>) -> Self {
        let slot = Slot::new(stage.into());
        self.members.shape = self.members.shape.then(slot.shape());
        self.members.slots.push(slot);
        self
    }

    /// How many stages it has; a stage that holds others counts as one.
    pub const fn len(&self) -> usize {
        self.members.slots.len()
    }

    /// Returns whether it has no stages.
    pub const fn is_empty(&self) -> bool {
        self.members.slots.is_empty()
    }

    /// The same stages as a whole chain.
    pub(super) fn whole(mut self) -> Self {
        self.members.name = "source".into();
        self.sink = Some("sink".into());
        self
    }

    /// Sends a frame on its way: to the neighbour of stage `from`, or out.
    fn send(&mut self, from: Option<usize>, direction: Direction, frame: Frame, cx: &mut Cx<'_>) {
        let last = self.members.slots.len().checked_sub(1);
        let to = match (direction, from) {
            (Direction::Downstream, None) => last.map(|_| 0),
            (Direction::Downstream, Some(from)) => Some(from + 1).filter(|to| Some(*to) <= last),
            (Direction::Upstream, None) => last,
            (Direction::Upstream, Some(from)) => from.checked_sub(1),
        };
        let source = &self.members.name;
        let sink = self.sink.as_ref().unwrap_or(source);
        let (before, after) = match direction {
            Direction::Downstream => (source, sink),
            Direction::Upstream => (sink, source),
        };
        let from = from.map_or(before, |from| self.members.slots[from].name());
        match to {
            Some(to) => {
                let from = Arc::clone(from);
                self.queue.push_back(Queued { from, to, direction, frame });
            }
            None => {
                if self.sink.is_some() {
                    cx.shared.hop(from, after, direction, &frame);
                }
                cx.pass(direction, frame);
            }
        }
    }

    /// Hands frames to their stages until none is on its way.
    fn drain(&mut self, cx: &mut Cx<'_>) {
        let mut pushes = std::mem::take(&mut self.pushes);
        while let Some(Queued { from, to, direction, frame }) = self.queue.pop_front() {
            if !self.members.slots[to].receive(&from, direction, frame, cx, &mut pushes) {
                cx.shared.losses.livelocked += self.queue.len() as u64;
                self.queue.clear();
                break;
            }
            for (direction, frame) in pushes.drain(..) {
                self.send(Some(to), direction, frame, cx);
            }
        }
        self.pushes = pushes;
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

impl Group for Stages {
    fn members(&self) -> &Members {
        &self.members
    }

    fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    fn enter(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        self.send(None, cx.direction, frame, cx);
        self.drain(cx);
    }

    fn route(&mut self, from: usize, pushes: &mut Vec<Push>, cx: &mut Cx<'_>) {
        for (direction, frame) in pushes.drain(..) {
            self.send(Some(from), direction, frame, cx);
        }
        self.drain(cx);
    }
}
