//! One of several branches at a time: [`Switch`].

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::chain::cx::{Cx, Push};
use crate::chain::fault::Category;
use crate::chain::frame::{Direction, Frame, FrameId, FrameKind};
use crate::chain::group::{Group, Members};
use crate::chain::processor::Processor;
use crate::chain::slot::Slot;

/// So many branches that were left may still wait for their work. One more, and the oldest is stopped.
const MOST_LEAVING: usize = 16;

/// So many frames that were made for one branch are known, so that they do not leave.
const MOST_INNER: usize = 64;

/// Several branches, one of which gets the frames. A function of the frame chooses it.
///
/// A branch is made each time it is entered, and gets `Start` first. The branch that is left gets an
/// interruption, keeps its open work and intents until they are answered and it is idle, and is then stopped.
/// What it pushes meanwhile leaves the switch.
///
/// ```
/// use realtime_pipeline::chain::{Frame, FrameKind, Peer, Stages, Switch};
///
/// let lobby_then_talk = Switch::new(|frame: &Frame, current: usize| match frame.kind() {
///     FrameKind::Peer(Peer::Connected) => 1,
///     _ => current,
/// })
/// .branch(Stages::new)
/// .branch(Stages::new);
/// # let _ = lobby_then_talk;
/// ```
#[doc(alias("ServiceSwitcher", "LLMSwitcher"))]
pub struct Switch {
    /// The branch that gets the frames, then those that were left, the latest first.
    members: Members,
    choose: Choose,
    branches: Vec<Make>,
    current: usize,
    start: Option<Frame>,
    /// Frames that were made for a branch alone, and do not leave.
    inner: BTreeSet<FrameId>,
}

/// Gets a frame and the place of the branch that has it, and returns the place of the branch that gets it.
type Choose = Box<dyn FnMut(&Frame, usize) -> usize + Send>;

/// Makes a branch.
type Make = Box<dyn FnMut() -> Box<dyn Processor> + Send>;

impl Switch {
    /// No branches: frames pass. `choose` gets each frame that is no `Start`, `End` or `Cancel` before a
    /// branch does, and the place of the branch that has it; it returns the place of the branch that gets it,
    /// from 0. A place without a branch changes nothing.
    pub fn new(choose: impl FnMut(&Frame, usize) -> usize + Send + 'static) -> Self {
        Self {
            members: Members::named("switch"),
            choose: Box::new(choose),
            branches: Vec::new(),
            current: 0,
            start: None,
            inner: BTreeSet::new(),
        }
    }

    /// A name for observers and faults.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.members.name = name.into();
        self
    }

    /// Adds a branch; the first one gets the frames until another is chosen. It is made once here, to see
    /// whether it fits the chain, and once each time that it is entered.
    #[must_use]
    pub fn branch<B: Into<Box<dyn Processor>>>(
        mut self,
        mut make: impl FnMut() -> B + Send + 'static,
    ) -> Self {
        let slot = Slot::new(make().into());
        self.members.shape = self.members.shape.beside(slot.shape());
        if self.branches.is_empty() {
            self.members.slots.push(slot);
        }
        self.branches.push(Box::new(move || make().into()));
        self
    }

    /// The branch that gets this frame.
    fn chosen(&mut self, frame: &Frame, cx: &mut Cx<'_>) -> usize {
        let current = self.current;
        match catch_unwind(AssertUnwindSafe(|| (self.choose)(frame, current))) {
            Ok(chosen) if chosen < self.branches.len() => chosen,
            Ok(_) => current,
            Err(_) => {
                let message = "the function that chooses panicked, and the branch stays".into();
                cx.report(Category::Application, message, None);
                current
            }
        }
    }

    /// Leaves the branch and enters another.
    fn enter_branch(&mut self, chosen: usize, cx: &mut Cx<'_>) {
        let made = catch_unwind(AssertUnwindSafe(|| Slot::new((self.branches[chosen])())));
        let Ok(slot) = made else {
            let message = "the function that makes a branch panicked, and the branch stays".into();
            return cx.report(Category::Application, message, None);
        };
        self.current = chosen;
        self.members.slots.insert(0, slot);
        let start = self.start.clone();
        let stop = cx.shared.frame(FrameKind::Interruption { response_id: None, stop: None });
        self.inner.insert(stop.id());
        if self.inner.len() > MOST_INNER {
            let start = self.start.as_ref().map(Frame::id);
            let oldest = self.inner.iter().copied().find(|inner| Some(*inner) != start);
            if let Some(oldest) = oldest {
                self.inner.remove(&oldest);
            }
        }
        self.offer(1, Direction::Downstream, stop, cx);
        if let Some(start) = start {
            self.inner.insert(start.id());
            self.offer(0, Direction::Downstream, start, cx);
        }
        while self.members.slots.len() > 1 + MOST_LEAVING {
            if let Some(mut oldest) = self.members.slots.pop() {
                oldest.stop(cx);
            }
        }
        self.stop_answered(cx);
    }

    fn offer(&mut self, at: usize, direction: Direction, frame: Frame, cx: &mut Cx<'_>) {
        let Members { name, slots, .. } = &mut self.members;
        let mut pushes = Vec::new();
        slots[at].receive(name, direction, frame, cx, &mut pushes);
        self.let_out(&mut pushes, cx);
    }

    fn let_out(&self, pushes: &mut Vec<Push>, cx: &mut Cx<'_>) {
        for (direction, frame) in pushes.drain(..) {
            if !self.inner.contains(&frame.id()) {
                cx.pass(direction, frame);
            }
        }
    }

    /// Stops the branches that were left and have nothing open any more.
    fn stop_answered(&mut self, cx: &mut Cx<'_>) {
        let mut at = 1;
        while at < self.members.slots.len() {
            if self.members.slots[at].is_answered(cx.shared) {
                self.members.slots.remove(at).stop(cx);
            } else {
                at += 1;
            }
        }
        if self.members.slots.len() == 1 {
            // No branch is left that could hand on what was made for it.
            self.inner.retain(|inner| self.start.as_ref().is_some_and(|start| start.id() == *inner));
        }
    }
}

impl Group for Switch {
    fn members(&self) -> &Members {
        &self.members
    }

    fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    fn enter(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        let direction = cx.direction;
        if self.members.slots.is_empty() {
            return cx.pass(direction, frame);
        }
        if matches!(frame.kind(), FrameKind::Start) {
            self.start = Some(frame.clone());
        } else if !frame.kind().is_run() {
            let chosen = self.chosen(&frame, cx);
            if chosen != self.current {
                self.enter_branch(chosen, cx);
            }
        }
        self.offer(0, direction, frame, cx);
        self.stop_answered(cx);
    }

    fn route(&mut self, _from: usize, pushes: &mut Vec<Push>, cx: &mut Cx<'_>) {
        self.let_out(pushes, cx);
        self.stop_answered(cx);
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch")
            .field("name", &self.members.name)
            .field("current", &self.current)
            .field("branches", &self.branches.len())
            .field("slots", &self.members.slots)
            .finish_non_exhaustive()
    }
}
