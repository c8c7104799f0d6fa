//! The place of a stage in its group: [`Slot`] keeps account of the stage, and the rules that no stage can
//! break.
//!
//! It catches panics, measures steps, keeps frames back while work is open, drops work at an interruption,
//! lets `End` go when the stage is done, and stops the stage exactly once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;

use crate::chain::cx::{Cx, Push, Step};
use crate::chain::fault::{Category, Fault, panic_text};
use crate::chain::frame::{Direction, Frame, FrameKind};
use crate::chain::intent::Ticket;
use crate::chain::meter::LONGEST_STEP;
use crate::chain::processor::Processor;
use crate::chain::shape::Shape;
use crate::chain::shared::Shared;
use crate::chain::work::{Done, NewWork, WorkId};

/// The most frames that wait at a stage that holds them.
pub const MOST_HELD: usize = 64;

/// A stage whose timeout has passed and stays is asked again after this time.
const AGAIN: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Slot {
    name: Arc<str>,
    life: Life,
    shape: Shape,
    is_group: bool,
    timeout: Option<Timestamp>,
    is_idle: bool,
    works: Vec<NewWork>,
    tickets: Vec<Ticket>,
    held: VecDeque<Push>,
    ending: Option<Ending>,
    slow_told: bool,
    overflow_told: bool,
}

#[derive(Debug)]
enum Life {
    Alive(Box<dyn Processor>),
    /// It panicked, and is never called again.
    Failed,
    Stopped,
}

/// `End` waits until the stage is done.
#[derive(Debug)]
struct Ending {
    frame: Frame,
    until: Timestamp,
}

impl Slot {
    pub(super) fn new(stage: Box<dyn Processor>) -> Self {
        Self {
            name: stage.name().into(),
            shape: stage.shape(),
            is_group: stage.is_group(),
            timeout: stage.poll_timeout(),
            is_idle: stage.is_idle(),
            life: Life::Alive(stage),
            works: Vec::new(),
            tickets: Vec::new(),
            held: VecDeque::new(),
            ending: None,
            slow_told: false,
            overflow_told: false,
        }
    }

    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn has_work(&self, work: WorkId) -> bool {
        self.works.iter().any(|open| open.id == work)
    }

    pub(super) fn has_ticket(&self, ticket: Ticket) -> bool {
        self.tickets.contains(&ticket)
    }

    /// Returns whether nothing that it asked for or handed out is open, and nothing is left to do.
    pub(super) fn is_answered(&self, shared: &Shared) -> bool {
        self.tickets.is_empty() && !self.has_open_work(shared) && self.is_quiet()
    }

    /// Returns whether it has nothing left to do, apart from open work.
    pub(super) fn is_quiet(&self) -> bool {
        self.held.is_empty() && self.ending.is_none() && (self.is_idle || !self.is_alive())
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let limit = self.ending.as_ref().map(|ending| ending.until);
        let own = self.timeout.filter(|_| self.is_alive());
        [own, limit].into_iter().flatten().min()
    }

    /// Hands it a frame of its neighbour `from`, which observers see. What comes out of it is added to `out`.
    /// `false`: no step is left, and the frame is lost.
    pub(super) fn receive(
        &mut self,
        from: &Arc<str>,
        direction: Direction,
        frame: Frame,
        cx: &mut Cx<'_>,
        out: &mut Vec<Push>,
    ) -> bool {
        if !cx.shared.take_step(&self.name) {
            cx.shared.losses.livelocked += 1;
            return false;
        }
        cx.shared.hop(from, &self.name, direction, &frame);
        self.offer(direction, frame, cx, out);
        true
    }

    /// Hands it a frame. What comes out of it is added to `out`.
    pub(super) fn offer(&mut self, direction: Direction, frame: Frame, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        if !self.is_alive() {
            out.push((direction, frame));
        } else if self.is_waiting(cx.shared) && !self.is_group && !frame.kind().passes_hold() {
            self.keep(direction, frame, cx.shared, out);
        } else {
            self.handle(direction, frame, cx, out);
            self.settle(cx, out);
        }
    }

    /// Calls the stage for something that is no frame.
    pub(super) fn visit(
        &mut self,
        cx: &mut Cx<'_>,
        out: &mut Vec<Push>,
        visit: impl FnOnce(&mut dyn Processor, &mut Cx<'_>),
    ) {
        self.call(Direction::Downstream, cx, out, visit);
        self.settle(cx, out);
    }

    /// Its work has ended.
    pub(super) fn work_ended(&mut self, work: WorkId, done: Done, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        let Some(at) = self.works.iter().position(|open| open.id == work) else { return };
        let reply = self.works.swap_remove(at).reply;
        self.visit(cx, out, |stage, cx| match reply {
            None => stage.handle_work(work, done, cx),
            Some(reply) => {
                if !reply(stage, done, cx) {
                    let message = format!("the reply to {work} is a method of another type than the stage");
                    cx.report(Category::Misdirected, message.into(), None);
                }
            }
        });
    }

    /// Its intent has ended.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.tickets.retain(|open| *open != ticket);
    }

    /// Time has passed.
    pub(super) fn time_passed(&mut self, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        let now = cx.shared.now;
        if self.timeout.is_some_and(|due| due <= now) {
            self.call(Direction::Downstream, cx, out, |stage, cx| stage.handle_timeout(cx));
            // In a group it is a stage that came late to its turn.
            if !self.is_group && self.timeout.is_some_and(|due| due <= now) {
                self.timeout = Some(now + AGAIN);
            }
        }
        self.settle(cx, out);
        if self.ending.as_ref().is_some_and(|ending| ending.until <= now) {
            if !self.is_group {
                self.tell(Category::Undrained, "it was not done at the limit of the end", cx.shared, out);
            }
            self.give_up(cx, out);
        }
    }

    /// The limit of the end is over: drops the work, handles what waits for it, and lets `End` go.
    fn give_up(&mut self, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        for _ in 0..=self.held.len() {
            self.drop_works(cx.shared);
            self.settle(cx, out);
        }
        if let Some(ending) = self.ending.take() {
            out.push((Direction::Downstream, ending.frame));
        }
    }

    /// Stops the stage, once. What it pushes goes nowhere.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_>) {
        if self.is_alive() {
            self.call(Direction::Downstream, cx, &mut Vec::new(), |stage, cx| stage.handle_stop(cx));
        }
        self.drop_works(cx.shared);
        cx.shared.losses.stopped += self.held.len() as u64;
        self.held.clear();
        self.ending = None;
        self.let_go(Life::Stopped);
    }

    const fn is_alive(&self) -> bool {
        matches!(self.life, Life::Alive(_))
    }

    /// Returns whether ordinary frames have to wait.
    fn is_waiting(&self, shared: &Shared) -> bool {
        !self.held.is_empty() || self.is_holding(shared)
    }

    fn is_holding(&self, shared: &Shared) -> bool {
        self.works.iter().any(|open| open.holds && shared.is_open(open.id))
    }

    fn has_open_work(&self, shared: &Shared) -> bool {
        self.works.iter().any(|open| shared.is_open(open.id))
    }

    fn is_done(&self, shared: &Shared) -> bool {
        !self.is_alive() || (self.is_idle && !self.has_open_work(shared) && self.held.is_empty())
    }

    /// Keeps a frame back until the work that holds it has ended.
    fn keep(&mut self, direction: Direction, frame: Frame, shared: &mut Shared, out: &mut Vec<Push>) {
        if self.held.len() < MOST_HELD {
            self.held.push_back((direction, frame));
            return;
        }
        shared.losses.overflowed += 1;
        if !std::mem::replace(&mut self.overflow_told, true) {
            self.tell(Category::Overflow, "more frames wait for its work than it may hold", shared, out);
        }
    }

    fn handle(&mut self, direction: Direction, frame: Frame, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        if let FrameKind::Interruption { response_id, .. } = frame.kind() {
            self.interrupted(response_id.as_ref(), cx.shared);
        }
        let goes_first =
            !self.is_group && matches!(frame.kind(), FrameKind::Start | FrameKind::Cancel { .. });
        if goes_first {
            out.push((direction, frame.clone()));
        }
        let before = out.len();
        let in_hand = frame.clone();
        self.call(direction, cx, out, |stage, cx| stage.handle_frame(frame, cx));

        let is_end = matches!(in_hand.kind(), FrameKind::End { .. });
        if self.is_alive() {
            if is_end && !self.is_group {
                self.ending = Some(Ending { frame: in_hand, until: cx.shared.drain_until });
            }
        } else if !goes_first && !out[before..].iter().any(|(_, frame)| frame.id() == in_hand.id()) {
            // What it had in hand when it failed passes it, as all frames do from here on.
            out.push((direction, in_hand));
        }
    }

    /// Work for the response that is cut off is dropped, and so are frames that wait and do not survive.
    fn interrupted(&mut self, response_id: Option<&ResponseId>, shared: &mut Shared) {
        for open in &self.works {
            let is_for_it = |of: &ResponseId| response_id.is_none_or(|response_id| response_id == of);
            if open.response.as_ref().is_some_and(is_for_it) {
                shared.drop_work(open.id);
            }
        }
        let before = self.held.len();
        self.held.retain(|(_, frame)| frame.kind().survives_interruption());
        shared.losses.interrupted += (before - self.held.len()) as u64;
    }

    /// Frames that no work holds any longer are handled, and `End` goes if all is done.
    fn settle(&mut self, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        while !self.is_holding(cx.shared) {
            let Some((direction, frame)) = self.held.pop_front() else {
                self.overflow_told = false;
                break;
            };
            if !self.is_alive() {
                out.push((direction, frame));
            } else if cx.shared.take_step(&self.name) {
                self.handle(direction, frame, cx, out);
            } else {
                cx.shared.losses.livelocked += 1;
            }
        }
        if self.ending.is_some()
            && self.is_done(cx.shared)
            && let Some(ending) = self.ending.take()
        {
            out.push((Direction::Downstream, ending.frame));
        }
    }

    /// Calls the stage, and books what it did.
    fn call(
        &mut self,
        direction: Direction,
        cx: &mut Cx<'_>,
        out: &mut Vec<Push>,
        call: impl FnOnce(&mut dyn Processor, &mut Cx<'_>),
    ) {
        let Life::Alive(stage) = &mut self.life else { return };
        let mut step = cx.shared.lend_step();
        let begun = cx.shared.meter.begin();
        let (shared, name) = (&mut *cx.shared, &self.name);
        let called = catch_unwind(AssertUnwindSafe(|| {
            let mut inner = Cx { shared, step: &mut step, name, direction };
            call(&mut **stage, &mut inner);
            (stage.poll_timeout(), stage.is_idle())
        }));
        let took = cx.shared.meter.end(begun);
        self.book(&mut step, cx, out);
        cx.shared.give_back(step);
        match called {
            Ok((timeout, is_idle)) => (self.timeout, self.is_idle) = (timeout, is_idle),
            Err(panic) => self.fail(&format!("it panicked: {}", panic_text(&*panic)), cx.shared, out),
        }
        if let Some(took) = took.filter(|took| *took > LONGEST_STEP && !self.is_group) {
            let (name, now) = (Arc::clone(&self.name), cx.shared.now);
            cx.shared.observe(|observer| observer.on_slow_step(now, &name, took));
            if !std::mem::replace(&mut self.slow_told, true) {
                let message = format!("expected steps of at most {LONGEST_STEP:?}, and one took {took:?}");
                self.tell(Category::Slow, &message, cx.shared, out);
            }
        }
    }

    /// Books what the stage did, here and in the groups around it.
    fn book(&mut self, step: &mut Step, cx: &mut Cx<'_>, out: &mut Vec<Push>) {
        for (direction, frame) in step.pushes.drain(..) {
            if matches!(frame.kind(), FrameKind::End { .. }) {
                // Only a group pushes it.
                self.ending = Some(Ending { frame, until: cx.shared.drain_until });
            } else {
                out.push((direction, frame));
            }
        }
        if !step.works.is_empty() {
            self.works.retain(|open| cx.shared.is_open(open.id));
        }
        for work in step.works.drain(..) {
            cx.step.works.push(NewWork::new(work.id));
            self.works.push(work);
        }
        for work in step.holds.drain(..) {
            if let Some(open) = self.works.iter_mut().find(|open| open.id == work) {
                open.holds = true;
            }
        }
        for ticket in step.tickets.drain(..) {
            cx.step.tickets.push(ticket);
            self.tickets.push(ticket);
        }
    }

    fn fail(&mut self, message: &str, shared: &mut Shared, out: &mut Vec<Push>) {
        self.let_go(Life::Failed);
        self.drop_works(shared);
        self.tell(Category::Panicked, message, shared, out);
        if self.shape.has_service() {
            shared.close_service(false);
        }
    }

    /// Drops the stage. Its own clean-up may panic too.
    fn let_go(&mut self, life: Life) {
        if self.is_alive() {
            let stage = std::mem::replace(&mut self.life, life);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(stage)));
        }
    }

    fn drop_works(&mut self, shared: &mut Shared) {
        for open in self.works.drain(..) {
            shared.drop_work(open.id);
        }
    }

    /// Tells a fault of the stage, to the stages upstream too.
    fn tell(&self, category: Category, message: &str, shared: &mut Shared, out: &mut Vec<Push>) {
        let stage = Arc::clone(&self.name);
        let fault = Arc::new(Fault { stage, category, message: message.into(), cause: None });
        shared.tell(Arc::clone(&fault));
        out.push((Direction::Upstream, shared.frame(FrameKind::Fault(fault))));
    }
}
