//! What rows, branches and switches have in common: they hold stages, and hand each thing to the stage that
//! it is for.

use std::sync::Arc;

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use crate::chain::cx::{Cx, Push};
use crate::chain::frame::Frame;
use crate::chain::intent::{Answer, Intent, NotAsked, Ticket};
use crate::chain::processor::Processor;
use crate::chain::shape::Shape;
use crate::chain::slot::Slot;
use crate::chain::work::{Done, WorkId};

/// The stages of a group.
#[derive(Debug)]
pub(super) struct Members {
    /// The group's name.
    pub(super) name: Arc<str>,
    /// In order.
    pub(super) slots: Vec<Slot>,
    /// What they are for the chain.
    pub(super) shape: Shape,
}

impl Members {
    pub(super) fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), slots: Vec::new(), shape: Shape::default() }
    }
}

/// Holds stages.
pub(super) trait Group: Send + 'static {
    fn members(&self) -> &Members;

    fn members_mut(&mut self) -> &mut Members;

    /// A frame comes from outside.
    fn enter(&mut self, frame: Frame, cx: &mut Cx<'_>);

    /// A stage has pushed these. Takes them all out.
    fn route(&mut self, from: usize, pushes: &mut Vec<Push>, cx: &mut Cx<'_>);

    /// Calls stage `at`, and routes what it pushes.
    fn visit(
        &mut self,
        at: usize,
        cx: &mut Cx<'_>,
        call: impl FnOnce(&mut Slot, &mut Cx<'_>, &mut Vec<Push>),
    ) {
        let Some(slot) = self.members_mut().slots.get_mut(at) else { return };
        let mut pushes = Vec::new();
        call(slot, cx, &mut pushes);
        self.route(at, &mut pushes, cx);
    }

    /// The place of the first stage that is so.
    fn find(&self, is_it: impl Fn(&Slot) -> bool) -> Option<usize> {
        self.members().slots.iter().position(is_it)
    }
}

impl<G: Group> Processor for G {
    fn name(&self) -> &str {
        &self.members().name
    }

    fn handle_frame(&mut self, frame: Frame, cx: &mut Cx<'_>) {
        self.enter(frame, cx);
    }

    fn handle_answer(&mut self, ticket: Ticket, answer: &Answer, cx: &mut Cx<'_>) {
        let Some(at) = self.find(|slot| slot.has_ticket(ticket)) else { return };
        self.visit(at, cx, |slot, cx, out| {
            slot.forget(ticket);
            slot.visit(cx, out, |stage, cx| stage.handle_answer(ticket, answer, cx));
        });
    }

    fn handle_work(&mut self, work: WorkId, done: Done, cx: &mut Cx<'_>) {
        let Some(at) = self.find(|slot| slot.has_work(work)) else { return };
        self.visit(at, cx, |slot, cx, out| slot.work_ended(work, done, cx, out));
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        for at in 0..self.members().slots.len() {
            let is_due = |slot: &Slot| slot.poll_timeout().is_some_and(|due| due <= cx.shared.now);
            if self.members().slots.get(at).is_some_and(is_due) {
                self.visit(at, cx, Slot::time_passed);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.members().slots.iter().filter_map(Slot::poll_timeout).min()
    }

    fn is_idle(&self) -> bool {
        self.members().slots.iter().all(Slot::is_quiet)
    }

    fn handle_stop(&mut self, cx: &mut Cx<'_>) {
        for slot in &mut self.members_mut().slots {
            slot.stop(cx);
        }
    }

    fn shape(&self) -> Shape {
        self.members().shape
    }

    fn handle_event(&mut self, event: &Arc<Event>, cx: &mut Cx<'_>) {
        let Some(at) = self.find(|slot| slot.shape().has_service()) else { return };
        self.visit(at, cx, |slot, cx, out| slot.visit(cx, out, |stage, cx| stage.handle_event(event, cx)));
    }

    fn handle_intent(&mut self, ticket: Ticket, intent: Intent, cx: &mut Cx<'_>) {
        let Some(at) = self.find(|slot| slot.shape().has_service()) else {
            return cx.answer(ticket, Answer::Refused(NotAsked::NoService));
        };
        self.visit(at, cx, |slot, cx, out| {
            slot.visit(cx, out, |stage, cx| stage.handle_intent(ticket, intent, cx));
        });
    }

    fn is_group(&self) -> bool {
        true
    }
}
