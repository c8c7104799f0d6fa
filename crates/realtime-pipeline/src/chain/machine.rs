//! The machine of a whole chain: [`Chain`].

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::Event;
use realtime_protocol::time::Timestamp;

use crate::chain::cx::{Cx, Push};
use crate::chain::frame::{Direction, Frame, FrameKind};
use crate::chain::intent::{Intent, Ticket};
use crate::chain::meter::Meter;
use crate::chain::observer::Observer;
use crate::chain::options::ChainOptions;
use crate::chain::output::{Ended, Losses, Output};
use crate::chain::shape::{Shape, WrongChain};
use crate::chain::shared::{Asker, Request, Shared, Waiting};
use crate::chain::slot::Slot;
use crate::chain::stages::Stages;
use crate::chain::work::{Done, WorkFailed, WorkId};

/// A chain of stages as a machine: inputs with their time go in, and outputs come out.
///
/// After each call, take outputs from [`poll_output`](Self::poll_output) until there are none. Then read
/// [`poll_timeout`](Self::poll_timeout), and call [`handle_timeout`](Self::handle_timeout) at that time.
/// Outputs keep the order of their causes. Taking them late changes nothing, and neither does a timeout that
/// is too early. A time that is older than the last one counts as the last one.
///
/// The first call begins the run: `Start` passes every stage before anything else does.
#[doc(alias("PipelineTask", "PipelineRunner"))]
#[derive(Debug)]
pub struct Chain {
    shared: Shared,
    root: Slot,
    state: State,
    drain_limit: Duration,
    /// Empty between steps; kept for its room.
    out: Vec<Push>,
}

/// How far the run is.
#[derive(Debug)]
enum State {
    New,
    Running,
    /// `End` is on its way.
    Ending {
        reason: Arc<str>,
        until: Timestamp,
    },
    /// `End` has left the chain.
    Drained {
        reason: Arc<str>,
    },
    Over,
}

impl Chain {
    /// A chain of these stages, with the default options.
    ///
    /// # Errors
    /// [`WrongChain`]: these stages can't work together, and it says what to change.
    pub fn new(stages: Stages) -> Result<Self, WrongChain> {
        Self::with(stages, ChainOptions::new())
    }

    /// A chain of these stages.
    ///
    /// # Errors
    /// [`WrongChain`]: these stages can't work together, and it says what to change.
    pub fn with(stages: Stages, options: ChainOptions) -> Result<Self, WrongChain> {
        let root = Slot::new(stages.whole().into());
        root.shape().check()?;
        let has_service = root.shape().has_service();
        let shared = Shared::new(options.policy, Meter::new(options.clock), has_service);
        Ok(Self { shared, root, state: State::New, drain_limit: options.drain_limit, out: Vec::new() })
    }

    /// Adds an observer. It sees what happens from here on.
    pub fn observe(&mut self, observer: impl Observer + 'static) {
        self.shared.observers.push(Box::new(observer));
    }

    /// Begins the run, if it has not begun.
    pub fn start(&mut self, now: Timestamp) {
        self.input(now, |_, _, _| {});
    }

    /// A frame comes from outside: downstream from the source, upstream from the sink. `End` and `Cancel` end
    /// the run, whatever their direction. A fault of an edge is told as one of a stage is.
    #[doc(alias = "queue_frame")]
    pub fn handle_input(&mut self, now: Timestamp, direction: Direction, kind: FrameKind) {
        match kind {
            FrameKind::Start => self.start(now),
            FrameKind::End { reason } => self.ask_for(now, Request::End { reason }),
            FrameKind::Cancel { reason } => self.ask_for(now, Request::Cancel { reason }),
            kind => self.input(now, |root, cx, out| {
                if let FrameKind::Fault(fault) = &kind {
                    cx.shared.tell(Arc::clone(fault));
                }
                let frame = cx.shared.frame(kind);
                root.offer(direction, frame, cx, out);
            }),
        }
    }

    /// The session tells something. It goes to the service, wherever it stands; without a service it is
    /// dropped. Give a command that the session refuses at once as
    /// [`Event::Settled`] with [`Outcome::Declined`](realtime_protocol::call::Outcome::Declined).
    pub fn handle_event(&mut self, now: Timestamp, event: &Arc<Event>) {
        self.input(now, |root, cx, out| root.visit(cx, out, |stage, cx| stage.handle_event(event, cx)));
    }

    /// Work that the chain handed out has ended. Work that was dropped meanwhile is counted, and nothing
    /// else.
    pub fn handle_work(&mut self, now: Timestamp, work: WorkId, done: Done) {
        if self.shared.close_work(work) {
            self.input(now, |root, cx, out| root.work_ended(work, done, cx, out));
        }
    }

    /// The application asks for something. Ends in exactly one [`Output::Answer`] with this ticket; after the
    /// end of the run at once.
    pub fn ask(&mut self, now: Timestamp, intent: Intent) -> Ticket {
        self.start(now);
        self.shared.begin(now);
        let ticket = self.shared.ask_for(Asker::Application, intent);
        self.settle();
        if self.is_over() {
            self.answer_application();
        }
        ticket
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if matches!(self.state, State::New) {
            return;
        }
        self.input(now, |root, cx, out| {
            if root.poll_timeout().is_some_and(|due| due <= cx.shared.now) {
                root.time_passed(cx, out);
            }
        });
        if let State::Ending { reason, until } = &self.state
            && *until <= self.shared.now
        {
            // `End` itself was lost, in a livelock.
            self.state = State::Drained { reason: Arc::clone(reason) };
            self.settle();
        }
    }

    /// The next output, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.take_output()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let limit = match &self.state {
            State::New | State::Over => return None,
            State::Running | State::Drained { .. } => None,
            State::Ending { until, .. } => Some(*until),
        };
        // What a livelock left over goes on soon, and lets the driver breathe.
        let waiting = self.shared.has_waiting().then(|| self.shared.now + Duration::from_millis(1));
        [self.root.poll_timeout(), limit, waiting].into_iter().flatten().min()
    }

    /// What its stages are together.
    pub const fn shape(&self) -> Shape {
        self.root.shape()
    }

    /// Returns whether the run is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What was lost so far.
    pub const fn losses(&self) -> Losses {
        self.shared.losses
    }

    fn ask_for(&mut self, now: Timestamp, request: Request) {
        self.input(now, |_, cx, _| cx.shared.request(request));
    }

    /// Handles an input, and all that it leads to. Nothing leads to anything after the end.
    fn input(&mut self, now: Timestamp, act: impl FnOnce(&mut Slot, &mut Cx<'_>, &mut Vec<Push>)) {
        if matches!(self.state, State::Over) {
            return;
        }
        self.shared.begin(now);
        if matches!(self.state, State::New) {
            self.state = State::Running;
            self.act(|root, cx, out| {
                let start = cx.shared.frame(FrameKind::Start);
                root.offer(Direction::Downstream, start, cx, out);
            });
        }
        self.act(act);
        self.settle();
    }

    /// Acts on the stages, and puts out what leaves them.
    fn act(&mut self, act: impl FnOnce(&mut Slot, &mut Cx<'_>, &mut Vec<Push>)) {
        let mut out = std::mem::take(&mut self.out);
        self.call(&mut out, act);
        for (direction, frame) in out.drain(..) {
            match frame.kind() {
                // It was told when it was reported.
                FrameKind::Fault(_) if direction == Direction::Upstream => continue,
                FrameKind::End { .. } => self.drained(),
                _ => {}
            }
            self.shared.put_out(Output::Frame(direction, frame));
        }
        self.out = out;
    }

    fn call(&mut self, out: &mut Vec<Push>, act: impl FnOnce(&mut Slot, &mut Cx<'_>, &mut Vec<Push>)) {
        let mut step = self.shared.lend_step();
        let (name, direction) = (Arc::clone(self.root.name()), Direction::Downstream);
        let mut cx = Cx { shared: &mut self.shared, step: &mut step, name: &name, direction };
        act(&mut self.root, &mut cx, out);
        // The stages keep their own account of these.
        step.works.clear();
        step.tickets.clear();
        self.shared.give_back(step);
    }

    fn drained(&mut self) {
        if let State::Ending { reason, .. } = &self.state {
            self.state = State::Drained { reason: Arc::clone(reason) };
        }
    }

    /// Handles what waits: requests, answers, intents.
    fn settle(&mut self) {
        while !matches!(self.state, State::Over) {
            if let Some(request) = self.shared.take_request() {
                self.requested(request);
            } else if !self.handle_waiting() && !self.shared.has_request() {
                break;
            }
        }
        if let State::Drained { reason } = &self.state {
            let reason = Arc::clone(reason);
            self.finish(Ended::Ended { reason });
        }
    }

    fn requested(&mut self, request: Request) {
        match request {
            Request::End { reason } => {
                if !matches!(self.state, State::Running) {
                    return;
                }
                self.shared.begin(Timestamp::ZERO);
                let until = self.shared.now + self.drain_limit;
                self.shared.drain_until = until;
                self.state = State::Ending { reason: Arc::clone(&reason), until };
                self.send_down(FrameKind::End { reason });
            }
            Request::Cancel { reason } => {
                self.shared.begin(Timestamp::ZERO);
                self.send_down(FrameKind::Cancel { reason: Arc::clone(&reason) });
                self.finish(Ended::Cancelled { reason });
            }
        }
    }

    fn send_down(&mut self, kind: FrameKind) {
        let frame: Frame = self.shared.frame(kind);
        self.act(|root, cx, out| root.offer(Direction::Downstream, frame, cx, out));
    }

    /// Handles one thing that waits. `false`: there is none, or the steps of this input are used up.
    fn handle_waiting(&mut self) -> bool {
        let name = self.root.name();
        if !self.shared.has_waiting() || !self.shared.take_step(name) {
            return false;
        }
        match self.shared.take_waiting() {
            None => return false,
            Some(Waiting::Intent(ticket, intent)) => self.act(|root, cx, out| {
                root.visit(cx, out, |stage, cx| stage.handle_intent(ticket, intent, cx));
            }),
            Some(Waiting::Answer(ticket, Asker::Application, answer)) => {
                self.shared.put_out(Output::Answer(ticket, answer));
            }
            Some(Waiting::Answer(ticket, Asker::Stage, answer)) => self.act(|root, cx, out| {
                root.forget(ticket);
                root.visit(cx, out, |stage, cx| stage.handle_answer(ticket, &answer, cx));
            }),
            Some(Waiting::RefusedWork(work)) => {
                let open = self.shared.open_works() - 1;
                if self.shared.close_work(work) {
                    let done = Err(WorkFailed::TooMany { open });
                    self.act(|root, cx, out| root.work_ended(work, done, cx, out));
                }
            }
        }
        true
    }

    /// Closes what is open, stops every stage, and tells the end.
    fn finish(&mut self, ended: Ended) {
        self.state = State::Over;
        self.shared.begin(Timestamp::ZERO);
        self.shared.close_service(true);
        while self.handle_waiting() {}
        self.shared.drop_all_work();
        self.call(&mut Vec::new(), |root, cx, _| root.stop(cx));
        self.shared.drop_all_work();
        self.answer_application();
        let ended = match self.shared.take_failure() {
            Some(fault) => Ended::Failed { fault },
            None => ended,
        };
        self.shared.put_out(Output::Ended(ended));
    }

    /// The run is over: the application gets its answers, and nobody else gets any.
    fn answer_application(&mut self) {
        while let Some(waiting) = self.shared.take_waiting() {
            if let Waiting::Answer(ticket, Asker::Application, answer) = waiting {
                self.shared.put_out(Output::Answer(ticket, answer));
            }
        }
    }
}
