//! Stages in a row: [`Stages`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::chain::cx::{Cx, Push};
use crate::chain::frame::{Direction, Frame};
use crate::chain::group::Group;
use crate::chain::processor::Processor;
use crate::chain::shape::Shape;
use crate::chain::slot::Slot;

/// Stages in a row, from the source to the sink. A row is a stage itself, so rows nest.
///
/// Frames that one stage pushes to its neighbour keep their order. Each frame is handled before the next that
/// was pushed after it, so no frame waits inside a row unless a stage [holds](crate::chain::Cx::hold) it.
#[doc(alias = "Pipeline")]
#[derive(Debug)]
pub struct Stages {
    /// Who is seen outside its first and its last stage.
    ends: [Arc<str>; 2],
    is_whole: bool,
    slots: Vec<Slot>,
    queue: VecDeque<Queued>,
    shape: Shape,
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
        let name = name.into();
        Self {
            ends: [Arc::clone(&name), name],
            is_whole: false,
            slots: Vec::new(),
            queue: VecDeque::new(),
            shape: Shape::default(),
            pushes: Vec::new(),
        }
    }

    /// Adds a stage downstream of the others: a [`Processor`], or a boxed one of any type, as a configuration
    /// makes it.
    #[must_use]
    pub fn then(mut self, stage: impl Into<Box<dyn Processor>>) -> Self {
        let slot = Slot::new(stage.into());
        self.shape = self.shape.then(slot.shape());
        self.slots.push(slot);
        self
    }

    /// How many stages it has; a stage that holds others counts as one.
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether it has no stages.
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The same stages as a whole chain.
    pub(super) fn whole(self) -> Self {
        Self { ends: ["source".into(), "sink".into()], is_whole: true, ..self }
    }

    /// Sends a frame on its way: to the neighbour of stage `from`, or out.
    fn send(&mut self, from: Option<usize>, direction: Direction, frame: Frame, cx: &mut Cx<'_>) {
        let last = self.slots.len().checked_sub(1);
        let to = match (direction, from) {
            (Direction::Downstream, None) => last.map(|_| 0),
            (Direction::Downstream, Some(from)) => Some(from + 1).filter(|to| Some(*to) <= last),
            (Direction::Upstream, None) => last,
            (Direction::Upstream, Some(from)) => from.checked_sub(1),
        };
        let [source, sink] = &self.ends;
        let (before, after) = match direction {
            Direction::Downstream => (source, sink),
            Direction::Upstream => (sink, source),
        };
        let from = from.map_or(before, |from| self.slots[from].name());
        match to {
            Some(to) => {
                let from = Arc::clone(from);
                self.queue.push_back(Queued { from, to, direction, frame });
            }
            None => {
                if self.is_whole {
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
            let slot = &mut self.slots[to];
            if !cx.shared.take_step(slot.name()) {
                cx.shared.losses.livelocked += 1 + self.queue.len() as u64;
                self.queue.clear();
                break;
            }
            cx.shared.hop(&from, slot.name(), direction, &frame);
            slot.offer(direction, frame, cx, &mut pushes);
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
    fn group_name(&self) -> &str {
        &self.ends[0]
    }

    fn group_shape(&self) -> Shape {
        self.shape
    }

    fn slots(&mut self) -> &mut Vec<Slot> {
        &mut self.slots
    }

    fn slots_ref(&self) -> &[Slot] {
        &self.slots
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
