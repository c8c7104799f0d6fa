//! What all stages of a chain share: time, numbers, open work and intents, outputs, observers, and the bounds
//! that keep one stage from stopping all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use realtime_protocol::call::{Command, CommandId, Media};
use realtime_protocol::time::Timestamp;

use crate::chain::budget::Budget;
use crate::chain::cx::Step;
use crate::chain::fault::{Category, Fault, Policy};
use crate::chain::frame::{Direction, Frame, FrameId, FrameKind};
use crate::chain::intent::{Answer, Intent, NotAsked, Ticket};
use crate::chain::meter::Meter;
use crate::chain::observer::{Hop, Observer};
use crate::chain::output::{Losses, Output};
use crate::chain::work::{BlockingWork, WorkFuture, WorkId};

/// The most pieces of work that may be open in a chain, and the most intents.
pub const MOST_OPEN: usize = 1024;

pub(super) struct Shared {
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    pub(super) meter: Meter,
    pub(super) observers: Vec<Box<dyn Observer>>,
    pub(super) losses: Losses,
    /// When the stages must have let `End` go.
    pub(super) drain_until: Timestamp,
    service: Service,
    numbers: u64,
    works: BTreeSet<WorkId>,
    refused_works: VecDeque<WorkId>,
    tickets: BTreeMap<Ticket, Asker>,
    intents: VecDeque<(Ticket, Intent)>,
    answers: VecDeque<(Ticket, Asker, Answer)>,
    request: Option<Request>,
    failure: Option<Arc<Fault>>,
    outputs: VecDeque<Output>,
    budget: Budget,
    spare: Vec<Step>,
}

/// What handles intents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Service {
    Absent,
    Present,
    Closed,
}

/// Who asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asker {
    Stage,
    Application,
}

/// What a stage or a policy asks of the run.
#[derive(Clone, Debug)]
pub(super) enum Request {
    End { reason: Arc<str> },
    Cancel { reason: Arc<str> },
}

/// Something that waits to be handled.
#[derive(Debug)]
pub(super) enum Waiting {
    Intent(Ticket, Intent),
    Answer(Ticket, Asker, Answer),
    RefusedWork(WorkId),
}

impl Shared {
    pub(super) fn new(policy: Policy, meter: Meter, has_service: bool) -> Self {
        Self {
            now: Timestamp::ZERO,
            policy,
            meter,
            observers: Vec::new(),
            losses: Losses::default(),
            drain_until: Timestamp::ZERO,
            service: if has_service { Service::Present } else { Service::Absent },
            numbers: 0,
            works: BTreeSet::new(),
            refused_works: VecDeque::new(),
            tickets: BTreeMap::new(),
            intents: VecDeque::new(),
            answers: VecDeque::new(),
            request: None,
            failure: None,
            outputs: VecDeque::new(),
            budget: Budget::default(),
            spare: Vec::new(),
        }
    }

    /// A new input begins. Time does not run backwards.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.budget = Budget::default();
    }

    pub(super) fn frame(&mut self, kind: FrameKind) -> Frame {
        Frame::new(FrameId(self.number()), self.now, kind)
    }

    pub(super) fn put_out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn take_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn request(&mut self, request: Request) {
        let is_cancel = matches!(self.request, Some(Request::Cancel { .. }));
        if !is_cancel && (self.request.is_none() || matches!(request, Request::Cancel { .. })) {
            self.request = Some(request);
        }
    }

    pub(super) const fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    pub(super) const fn has_request(&self) -> bool {
        self.request.is_some()
    }

    /// The fault that ends the run, if one does.
    pub(super) const fn take_failure(&mut self) -> Option<Arc<Fault>> {
        self.failure.take()
    }

    // Faults.

    /// Tells a fault. One that a stage can't survive also ends the run, if the policy says so.
    pub(super) fn tell(&mut self, fault: Arc<Fault>) {
        if matches!(fault.category, Category::Panicked | Category::Livelock) {
            let reason = || Arc::from(fault.to_string());
            match self.policy {
                Policy::Continue => {}
                Policy::End => self.request(Request::End { reason: reason() }),
                Policy::Cancel => self.request(Request::Cancel { reason: reason() }),
            }
            if self.policy != Policy::Continue && self.failure.is_none() {
                self.failure = Some(Arc::clone(&fault));
            }
        }
        let now = self.now;
        self.observe(|observer| observer.on_fault(now, &fault));
        self.put_out(Output::Fault(fault));
    }

    // Steps.

    /// Counts a step. `false`: too many, and what is left must be dropped.
    pub(super) fn take_step(&mut self, stage: &Arc<str>) -> bool {
        let may = self.budget.take_step(stage);
        if !may {
            self.tell_livelock();
        }
        may
    }

    /// Returns whether a stage may push one more frame.
    pub(super) fn may_push(&mut self, stage: &Arc<str>) -> bool {
        let may = self.budget.take_push(stage);
        if !may {
            self.losses.livelocked += 1;
            self.tell_livelock();
        }
        may
    }

    fn tell_livelock(&mut self) {
        if let Some(fault) = self.budget.spent() {
            self.tell(Arc::new(fault));
        }
    }

    /// An empty step, to be given back.
    pub(super) fn lend_step(&mut self) -> Step {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, step: Step) {
        self.spare.push(step);
    }

    // Observers.

    pub(super) fn hop(&mut self, from: &Arc<str>, to: &Arc<str>, direction: Direction, frame: &Frame) {
        if !self.observers.is_empty() {
            let hop = Hop { at: self.now, from, to, direction, frame };
            self.observe(|observer| observer.on_frame(&hop));
        }
    }

    pub(super) fn observe(&mut self, mut see: impl FnMut(&mut dyn Observer)) {
        let mut panicked = 0;
        self.observers.retain_mut(|observer| {
            let seen = catch_unwind(AssertUnwindSafe(|| see(&mut **observer)));
            panicked += usize::from(seen.is_err());
            seen.is_ok()
        });
        for _ in 0..panicked {
            let message = "an observer panicked, and sees no more".into();
            let (stage, category) = ("observer".into(), Category::Application);
            self.put_out(Output::Fault(Arc::new(Fault { stage, category, message, cause: None })));
        }
    }

    // Work.

    pub(super) fn spawn(&mut self, future: WorkFuture) -> WorkId {
        self.open_work(|work| Output::Spawn(work, future))
    }

    pub(super) fn spawn_blocking(&mut self, blocking: BlockingWork) -> WorkId {
        self.open_work(|work| Output::SpawnBlocking(work, blocking))
    }

    pub(super) fn is_open(&self, work: WorkId) -> bool {
        self.works.contains(&work)
    }

    /// Drops work that is open. Work that was handed out is dropped by the driver.
    pub(super) fn drop_work(&mut self, work: WorkId) {
        if self.works.remove(&work) {
            let refused = self.refused_works.len();
            self.refused_works.retain(|refused| *refused != work);
            if refused == self.refused_works.len() {
                self.put_out(Output::Drop(work));
            }
        }
    }

    /// Work has ended. `false`: it had been dropped.
    pub(super) fn close_work(&mut self, work: WorkId) -> bool {
        let was_open = self.works.remove(&work);
        self.losses.late_work += u64::from(!was_open);
        was_open
    }

    pub(super) fn drop_all_work(&mut self) {
        while let Some(work) = self.works.first().copied() {
            self.drop_work(work);
        }
    }

    fn open_work(&mut self, handed_out: impl FnOnce(WorkId) -> Output) -> WorkId {
        let work = WorkId(self.number());
        self.works.insert(work);
        if self.works.len() <= MOST_OPEN {
            self.put_out(handed_out(work));
        } else {
            self.refused_works.push_back(work);
        }
        work
    }

    // Intents.

    pub(super) fn ask(&mut self, intent: Intent) -> Ticket {
        self.ask_for(Asker::Stage, intent)
    }

    pub(super) fn ask_for(&mut self, asker: Asker, intent: Intent) -> Ticket {
        let (ticket, now) = (Ticket(self.number()), self.now);
        self.observe(|observer| observer.on_intent(now, ticket, &intent));
        let waiting = self.tickets.len();
        self.tickets.insert(ticket, asker);
        match self.service {
            Service::Closed => self.answer(ticket, Answer::Closed),
            Service::Absent => self.answer(ticket, Answer::Refused(NotAsked::NoService)),
            Service::Present if waiting >= MOST_OPEN => {
                self.answer(ticket, Answer::Refused(NotAsked::TooMany { waiting }));
            }
            Service::Present => self.intents.push_back((ticket, intent)),
        }
        ticket
    }

    /// Answers an intent, unless it has been answered.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        let Some(asker) = self.tickets.remove(&ticket) else { return };
        let now = self.now;
        self.observe(|observer| observer.on_answer(now, ticket, &answer));
        self.answers.push_back((ticket, asker, answer));
    }

    /// The service has failed, or the run ends: open intents are closed.
    pub(super) fn close_service(&mut self, is_end: bool) {
        self.service = if is_end { Service::Closed } else { Service::Absent };
        self.intents.clear();
        while let Some((ticket, _)) = self.tickets.first_key_value() {
            self.answer(*ticket, Answer::Closed);
        }
    }

    /// What waits to be handled: answers first, so that who asked knows before the next intent is handled.
    pub(super) fn take_waiting(&mut self) -> Option<Waiting> {
        if let Some(work) = self.refused_works.pop_front() {
            return Some(Waiting::RefusedWork(work));
        }
        if let Some((ticket, asker, answer)) = self.answers.pop_front() {
            return Some(Waiting::Answer(ticket, asker, answer));
        }
        self.intents.pop_front().map(|(ticket, intent)| Waiting::Intent(ticket, intent))
    }

    pub(super) fn has_waiting(&self) -> bool {
        !(self.refused_works.is_empty() && self.answers.is_empty() && self.intents.is_empty())
    }

    /// How many pieces of work are open; those that were refused too.
    pub(super) fn open_works(&self) -> usize {
        self.works.len()
    }

    // Commands.

    pub(super) fn command(&mut self, command: Command) -> CommandId {
        let id = CommandId(self.number());
        self.put_out(Output::Command(id, command));
        id
    }

    pub(super) fn media(&mut self, media: Media) {
        self.put_out(Output::Media(media));
    }

    const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("now", &self.now)
            .field("works", &self.works)
            .field("tickets", &self.tickets)
            .field("losses", &self.losses)
            .finish_non_exhaustive()
    }
}
