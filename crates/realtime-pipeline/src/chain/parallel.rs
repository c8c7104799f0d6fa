//! Stages side by side: [`Parallel`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::chain::cx::{Cx, Push};
use crate::chain::frame::{Direction, Frame, FrameId, FrameKind};
use crate::chain::group::{Group, Members};
use crate::chain::processor::Processor;
use crate::chain::slot::Slot;

/// So many frames that left are remembered, so that a branch that hands one on late does not double it.
const REMEMBERED: usize = 1024;

/// So many interruptions may be on their way through the branches.
const MOST_JOINS: usize = 64;

/// Branches side by side. Each frame goes to every branch, in the order of the branches.
///
/// - A frame that several branches hand on unchanged comes out once: at the last of those that hand it on at
///   once, otherwise at the first that hands it on later. The last 1,024 are remembered.
/// - `Start`, `End`, `Cancel` and an interruption leave when all branches have handed them on. If a branch
///   keeps an interruption, it does not leave.
/// - What only one branch pushes leaves at once.
///
/// Both directions have the same rules.
#[doc(alias = "ParallelPipeline")]
#[derive(Debug)]
pub struct Parallel {
    members: Members,
    /// Frames that leave when all branches have handed them on: which have not yet.
    joins: BTreeMap<Key, BTreeSet<usize>>,
    seen: BTreeSet<Key>,
    order: VecDeque<Key>,
}

type Key = (FrameId, Direction);

impl Parallel {
    /// No branches: frames pass.
    pub fn new() -> Self {
        Self::named("parallel")
    }

    /// No branches, and a name for observers and faults.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            members: Members::named(name),
            joins: BTreeMap::new(),
            seen: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Adds a branch: [`Stages`](crate::chain::Stages), or a stage.
    #[must_use]
    pub fn branch(mut self, stage: impl Into<Box<dyn Processor>>) -> Self {
        let slot = Slot::new(stage.into());
        self.members.shape = self.members.shape.beside(slot.shape());
        self.members.slots.push(slot);
        self
    }

    /// Remembers that it has left. `false`: it had left before.
    fn remember(&mut self, key: Key) -> bool {
        if !self.seen.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    /// Lets a frame that branch `from` pushed out, if it is its time.
    fn let_out(&mut self, from: usize, (direction, frame): Push, cx: &mut Cx<'_>) {
        let key = (frame.id(), direction);
        if let Some(missing) = self.joins.get_mut(&key) {
            missing.remove(&from);
            if !missing.is_empty() {
                return;
            }
            self.joins.remove(&key);
        }
        if self.remember(key) {
            cx.pass(direction, frame);
        }
    }

    /// A frame that leaves when all branches have handed it on.
    fn join(&mut self, key: Key) {
        if self.joins.len() >= MOST_JOINS {
            self.joins.pop_first();
        }
        self.joins.insert(key, (0..self.members.slots.len()).collect());
    }
}

impl Default for Parallel {
    fn default() -> Self {
        Self::new()
    }
}

impl Group for Parallel {
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
        if frame.kind().is_run() || matches!(frame.kind(), FrameKind::Interruption { .. }) {
            self.join((frame.id(), direction));
        }
        let mut out = Vec::new();
        let mut pushes = Vec::new();
        let Members { name, slots, .. } = &mut self.members;
        for (at, slot) in slots.iter_mut().enumerate() {
            slot.receive(name, direction, frame.clone(), cx, &mut pushes);
            out.extend(pushes.drain(..).map(|push| (at, push)));
        }
        // The frame in hand leaves where the last branch has handed it on.
        let last = out.iter().rposition(|(_, (way, out))| (out.id(), *way) == (frame.id(), direction));
        let is_joined = self.joins.contains_key(&(frame.id(), direction));
        for (at, (from, push)) in out.into_iter().enumerate() {
            let is_copy = (push.1.id(), push.0) == (frame.id(), direction) && Some(at) != last;
            if is_joined || !is_copy {
                self.let_out(from, push, cx);
            }
        }
    }

    fn route(&mut self, from: usize, pushes: &mut Vec<Push>, cx: &mut Cx<'_>) {
        for push in pushes.drain(..) {
            self.let_out(from, push, cx);
        }
    }
}
