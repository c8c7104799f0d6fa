//! What a stage can do in a step: [`Cx`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::{Command, CommandId, Media};
use realtime_protocol::time::Timestamp;

use crate::chain::fault::{Category, Fault};
use crate::chain::frame::{Direction, Frame, FrameKind};
use crate::chain::intent::{Answer, Intent, NotAsked, Ticket};
use crate::chain::output::Losses;
use crate::chain::shared::{Request, Shared};
use crate::chain::work::{NewWork, Spawned, WorkId, WorkValue};

/// A stage's view of its chain during one step.
pub struct Cx<'a> {
    pub(super) shared: &'a mut Shared,
    pub(super) step: &'a mut Step,
    pub(super) name: &'a Arc<str>,
    pub(super) direction: Direction,
}

/// A frame on its way out of a stage.
pub(super) type Push = (Direction, Frame);

/// What a stage did in a step, for the one who keeps account of the stage.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) pushes: Vec<Push>,
    pub(super) works: Vec<NewWork>,
    pub(super) holds: Vec<WorkId>,
    pub(super) tickets: Vec<Ticket>,
}

impl Cx<'_> {
    /// The time of this input.
    pub const fn now(&self) -> Timestamp {
        self.shared.now
    }

    /// The way of the frame in hand; downstream if the step is not about a frame.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Pushes a new frame downstream.
    #[doc(alias = "push_frame")]
    pub fn push(&mut self, kind: FrameKind) {
        self.push_to(Direction::Downstream, kind);
    }

    /// Pushes a new frame upstream.
    pub fn push_up(&mut self, kind: FrameKind) {
        self.push_to(Direction::Upstream, kind);
    }

    /// Pushes a new frame that way. `End` and `Cancel` ask for the end of the run; `Start` does nothing.
    pub fn push_to(&mut self, direction: Direction, kind: FrameKind) {
        match kind {
            FrameKind::Start => {}
            FrameKind::End { reason } => self.end(reason),
            FrameKind::Cancel { reason } => self.cancel(reason),
            kind => {
                if let FrameKind::Fault(fault) = &kind {
                    self.shared.tell(Arc::clone(fault));
                }
                let frame = self.shared.frame(kind);
                self.emit(direction, frame);
            }
        }
    }

    /// Pushes a new frame both ways: what is pushed downstream and upstream has one number.
    #[doc(alias = "broadcast_frame")]
    pub fn broadcast(&mut self, kind: FrameKind) {
        if kind.is_run() {
            return self.push(kind);
        }
        let frame = self.shared.frame(kind);
        self.emit(Direction::Upstream, frame.clone());
        self.emit(Direction::Downstream, frame);
    }

    /// Hands a frame on, the way of the step. A stage that keeps frames back for later uses
    /// [`forward_to`](Self::forward_to).
    #[doc(alias = "push_frame")]
    pub fn forward(&mut self, frame: Frame) {
        self.forward_to(self.direction, frame);
    }

    /// Hands a frame on, that way. `Start`, `End` and `Cancel` are handed on by the chain.
    pub fn forward_to(&mut self, direction: Direction, frame: Frame) {
        if !frame.kind().is_run() {
            self.emit(direction, frame);
        }
    }

    /// Asks the chain's service for something. The answer comes to
    /// [`Processor::handle_answer`](crate::chain::Processor::handle_answer), exactly once, after this step.
    /// Intents are handled in the order in which they were asked, each after the frames that the same input
    /// has set in motion.
    pub fn ask(&mut self, intent: Intent) -> Ticket {
        let ticket = self.shared.ask(intent);
        self.step.tickets.push(ticket);
        ticket
    }

    /// Hands out something that waits, such as a request to another service. The driver runs it.
    #[doc(alias = "create_task")]
    pub fn spawn<T: Send + 'static>(
        &mut self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Spawned<'_, T> {
        let id = self.shared.spawn(Box::pin(async move { Box::new(future.await) as WorkValue }));
        self.spawned(id)
    }

    /// Hands out something that blocks or computes for long. The driver runs it on another thread.
    pub fn spawn_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Spawned<'_, T> {
        let id = self.shared.spawn_blocking(Box::new(move || Box::new(work()) as WorkValue));
        self.spawned(id)
    }

    /// Keeps this stage's ordinary frames back until this work of the stage has ended, so that they keep
    /// their order. At most [`MOST_HELD`](crate::chain::MOST_HELD) wait; one more is dropped, and a fault.
    /// What [passes](FrameKind::passes_hold) is handled at once. At an interruption, frames that do not
    /// survive it are dropped. Does nothing if the work has ended, or is not this stage's.
    pub fn hold(&mut self, work: WorkId) {
        self.step.holds.push(work);
    }

    /// Drops work of this stage. Its end is not told. Does nothing if it has ended.
    pub fn drop_work(&mut self, work: WorkId) {
        self.shared.drop_work(work);
    }

    /// Reports that something went wrong. The run goes on.
    #[doc(alias = "push_error")]
    pub fn fault(&mut self, category: Category, message: impl Into<Arc<str>>) {
        self.report(category, message.into(), None);
    }

    /// Reports that something went wrong, and what caused it. The run goes on.
    pub fn fault_by(
        &mut self,
        category: Category,
        message: impl Into<Arc<str>>,
        cause: impl Error + Send + Sync + 'static,
    ) {
        self.report(category, message.into(), Some(Arc::new(cause)));
    }

    /// Asks for the end of the run, after what came before is done.
    pub fn end(&mut self, reason: impl Into<Arc<str>>) {
        self.shared.request(Request::End { reason: reason.into() });
    }

    /// Asks for the end of the run, now.
    pub fn cancel(&mut self, reason: impl Into<Arc<str>>) {
        self.shared.request(Request::Cancel { reason: reason.into() });
    }

    /// For the service: answers an intent. Does nothing if it has been answered.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.shared.answer(ticket, answer);
    }

    /// For the service: refuses an intent that it does not know.
    pub fn unable(&mut self, ticket: Ticket, intent: &Intent) {
        let reason = format!("the service {} does not know the intent {}", self.name, intent.name()).into();
        self.shared.answer(ticket, Answer::Refused(NotAsked::Unable { reason }));
    }

    /// For the service: gives a command to the session. Its end comes as
    /// [`Event::Settled`](realtime_protocol::call::Event::Settled) with this id.
    pub fn command(&mut self, command: Command) -> CommandId {
        self.shared.command(command)
    }

    /// For the service: gives media to the session. It keeps its order among the commands.
    pub fn media(&mut self, media: Media) {
        self.shared.media(media);
    }

    /// What the chain has lost, for a stage that loses something itself.
    pub(crate) const fn losses(&mut self) -> &mut Losses {
        &mut self.shared.losses
    }

    /// Pushes a frame as it is, however many there are.
    pub(super) fn pass(&mut self, direction: Direction, frame: Frame) {
        self.step.pushes.push((direction, frame));
    }

    /// Pushes a frame, as long as the stages do not push for ever.
    fn emit(&mut self, direction: Direction, frame: Frame) {
        if self.shared.may_push(self.name) {
            self.pass(direction, frame);
        }
    }

    /// Tells a fault, to the stages upstream too.
    pub(super) fn report(
        &mut self,
        category: Category,
        message: Arc<str>,
        cause: Option<Arc<dyn Error + Send + Sync>>,
    ) {
        let fault = Arc::new(Fault { stage: Arc::clone(self.name), category, message, cause });
        self.shared.tell(Arc::clone(&fault));
        let frame = self.shared.frame(FrameKind::Fault(fault));
        self.emit(Direction::Upstream, frame);
    }

    fn spawned<T: Send + 'static>(&mut self, id: WorkId) -> Spawned<'_, T> {
        self.step.works.push(NewWork::new(id));
        let last = self.step.works.last_mut().expect("it was just pushed");
        Spawned::new(last)
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("stage", self.name)
            .field("now", &self.shared.now)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}
