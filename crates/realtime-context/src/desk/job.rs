//! One call on its way to its output.

use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::{Command, CommandId, FunctionCall, FunctionOutput, Notice, Refusal};
use realtime_protocol::item::Item;
use realtime_protocol::response::ResponseParams;
use realtime_protocol::time::Timestamp;
use realtime_protocol::tool::{ToolChoice, ToolMode};

use crate::desk::output::{Asker, DeskOutput, Work};
use crate::desk::{LATER, RETRY};
use crate::tool::{Filler, Function, FunctionContext, OnInterrupt, Reply, ToolPolicy};

/// How long a filler waits for the end of what is said.
const QUIET: Duration = Duration::from_millis(250);

/// Names a call at a desk. Unique for the desk's life.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(pub(super) u64);

/// A call that has no output yet, or whose output is not acknowledged.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) call: Arc<FunctionCall>,
    pub(super) cx: FunctionContext,
    /// The tool, in the version that the response saw; `None`: there is none.
    pub(super) function: Option<Function>,
    pub(super) state: State,
}

/// How far a call is.
pub(super) enum State {
    /// Somebody decides whether it runs here.
    Claiming,
    /// The approval hook runs, from the time on at which `due` is set.
    Approving { due: Option<Option<Timestamp>> },
    /// It waits for room.
    Waiting,
    /// The handler runs.
    Running { due: Option<Timestamp>, filler: Option<Timestamp> },
    /// The handler runs; the call is answered for now.
    Detached { due: Option<Timestamp> },
    /// Somebody decides whether the output counts.
    Committing { output: FunctionOutput },
    /// The output waits to be sent, or to be acknowledged.
    Answering(Answering),
}

/// An output on its way.
pub(super) struct Answering {
    output: FunctionOutput,
    size: usize,
    respond: bool,
    way: Way,
    /// How often it was refused for now.
    refusals: u32,
    /// Whether the output stands in for one that is too large.
    stands_in: bool,
    /// Whether the call was answered for now: the output goes out in a message.
    late: bool,
}

enum Way {
    /// It may go out from then on.
    Waits(Timestamp),
    /// It is asked for; the id follows.
    Sent(Option<CommandId>),
}

impl State {
    /// The state of a call that runs here.
    pub(super) fn after_claim(function: Option<&Function>) -> Self {
        match function {
            Some(function) if function.needs_approval() => Self::Approving { due: None },
            _ => Self::Waiting,
        }
    }

    pub(super) fn answering(output: FunctionOutput, respond: bool) -> Self {
        let size = output.to_wire().len();
        let way = Way::Waits(Timestamp::ZERO);
        Self::Answering(Answering { output, size, respond, way, refusals: 0, stands_in: false, late: false })
    }
}

impl Job {
    pub(super) fn policy(&self) -> Option<&ToolPolicy> {
        self.function.as_ref().map(Function::tool_policy)
    }

    pub(super) fn on_interrupt(&self) -> OnInterrupt {
        self.policy().map_or(OnInterrupt::Cancel, |policy| policy.on_interrupt)
    }

    /// Returns whether it is the same call, made again after a lost connection.
    pub(super) fn is_same(&self, call: &FunctionCall) -> bool {
        !call.key.is_empty() && self.call.key == call.key && self.has_future()
    }

    pub(super) const fn has_future(&self) -> bool {
        matches!(
            self.state,
            State::Approving { due: Some(_) } | State::Running { .. } | State::Detached { .. }
        )
    }

    /// Returns whether an interruption can still change how it ends.
    pub(super) const fn is_before_output(&self) -> bool {
        matches!(
            self.state,
            State::Claiming | State::Approving { .. } | State::Waiting | State::Running { .. }
        )
    }

    /// Returns whether nothing was sent for it.
    pub(super) const fn is_before_answer(&self) -> bool {
        self.is_before_output()
            || matches!(&self.state, State::Committing { .. })
            || matches!(&self.state, State::Answering(Answering { way: Way::Waits(_), late: false, .. }))
    }

    pub(super) fn asked_as(&self) -> Option<CommandId> {
        match &self.state {
            State::Answering(Answering { way: Way::Sent(id), .. }) => *id,
            _ => None,
        }
    }

    pub(super) const fn asked(&mut self, id: CommandId) {
        if let State::Answering(Answering { way: Way::Sent(asked), .. }) = &mut self.state {
            *asked = Some(id);
        }
    }

    /// When something here is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.state {
            State::Running { filler, .. } => [self.deadline(), *filler].into_iter().flatten().min(),
            State::Answering(Answering { way: Way::Waits(at), refusals: 1.., .. }) => Some(*at),
            _ => self.deadline(),
        }
    }

    /// Returns whether its future has run for too long.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|due| due <= now)
    }

    /// Until when its future may run.
    fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Approving { due } => due.flatten(),
            State::Running { due, .. } | State::Detached { due } => *due,
            State::Claiming | State::Waiting | State::Committing { .. } | State::Answering(_) => None,
        }
    }

    pub(super) fn ask_for_approval(&mut self, now: Timestamp) -> Option<DeskOutput> {
        let function = self.function.clone()?;
        let timeout = function.tool_policy().timeout;
        self.state = State::Approving { due: Some(timeout.map(|timeout| now + timeout)) };
        let call = Arc::clone(&self.call);
        let work = Work::new(move || function.ask(call).unwrap_or_else(|| Box::pin(async { Ok(()) })));
        Some(DeskOutput::Approve { job: self.id, work })
    }

    pub(super) fn start(&mut self, now: Timestamp) -> DeskOutput {
        let policy = self.policy().cloned().unwrap_or_default();
        let due = policy.timeout.map(|timeout| now + timeout);
        let filler = policy.filler.map(|filler| now + filler.after());
        self.state = State::Running { due, filler };
        let (call, cx, function) = (Arc::clone(&self.call), self.cx.clone(), self.function.clone());
        if let Some(function) = &function {
            function.tell_start(&call);
        }
        let work = Work::new(move || {
            let started = function.map_or(Err(FunctionOutput::Unknown), |function| function.start(&call, cx));
            started.unwrap_or_else(|output| Box::pin(async { output }))
        });
        DeskOutput::Start { job: self.id, call: Arc::clone(&self.call), work }
    }

    /// It is answered for now, and runs on.
    pub(super) fn detach(&mut self) {
        self.state = State::Detached { due: self.deadline() };
    }

    /// What the user hears while it runs for long, once, when that is due and it `is_quiet`.
    pub(super) fn filler(&mut self, now: Timestamp, is_quiet: bool) -> Option<DeskOutput> {
        let State::Running { filler, .. } = &mut self.state else { return None };
        let due = filler.take_if(|due| *due <= now)?;
        if !is_quiet {
            *filler = Some(due.max(now) + QUIET);
            return None;
        }
        Some(match self.policy()?.filler.clone()? {
            Filler::Sentence { instructions, .. } => {
                // In the conversation, so that it is played and the user can interrupt it. It must not call.
                let params = ResponseParams::default()
                    .instructions(instructions)
                    .tool_choice(ToolChoice::Mode(ToolMode::None));
                let command = Command::CreateResponse { params: Some(Box::new(params)), protected: false };
                DeskOutput::Ask { asker: Asker::Filler(self.id), command }
            }
            Filler::Clip { clip, .. } => {
                DeskOutput::Tell(Notice::FunctionFiller { call: Arc::clone(&self.call), clip })
            }
        })
    }

    /// The bytes that are sent and not acknowledged.
    pub(super) const fn unacknowledged(&self) -> usize {
        match &self.state {
            State::Answering(Answering { way: Way::Sent(_), size, .. }) => *size,
            _ => 0,
        }
    }

    /// The size of the output, if it may go out.
    pub(super) fn size_to_send(&self, now: Timestamp) -> Option<usize> {
        match &self.state {
            State::Answering(Answering { way: Way::Waits(at), size, .. }) => (*at <= now).then_some(*size),
            _ => None,
        }
    }

    pub(super) fn send(&mut self) -> Option<DeskOutput> {
        let State::Answering(answering) = &mut self.state else { return None };
        answering.way = Way::Sent(None);
        let Answering { output, respond, .. } = answering;
        let command = if answering.late {
            let item = Box::new(Item::system_text(late_result(&self.call, output)));
            Command::CreateItem { item, after: None, respond: *respond }
        } else {
            let (call_id, output) = (self.call.call_id.clone(), output.clone());
            Command::AnswerFunction { call_id, output, respond: *respond }
        };
        Some(DeskOutput::Ask { asker: Asker::Job(self.id), command })
    }

    /// What it waits for may be there.
    pub(super) const fn retry_at(&mut self, now: Timestamp) {
        if let State::Answering(Answering { way: Way::Waits(at), .. }) = &mut self.state {
            *at = now;
        }
    }

    /// It was refused for now.
    pub(super) fn wait_and_retry(&mut self, now: Timestamp) {
        if let State::Answering(answering) = &mut self.state {
            let (first, most): (Duration, Duration) = RETRY;
            let wait = first.saturating_mul(1 << answering.refusals.min(8)).min(most);
            answering.refusals = answering.refusals.saturating_add(1);
            answering.way = Way::Waits(now + wait);
        }
    }

    /// Its output can't be sent: the model reads why. Returns whether there is something to send; what stands
    /// in for an output is not replaced again.
    pub(super) fn replace_by(&mut self, reason: &Refusal) -> bool {
        let State::Answering(answering) = &mut self.state else { return false };
        if answering.stands_in {
            return false;
        }
        let (respond, late) = (answering.respond, answering.late);
        self.state = State::answering(FunctionOutput::Error(reason.to_string()), respond);
        if let State::Answering(answering) = &mut self.state {
            (answering.stands_in, answering.late) = (true, late);
        }
        true
    }

    /// The handler of a call that was answered for now has ended: a message tells its result.
    pub(super) fn tell_late(&mut self, output: FunctionOutput) {
        let respond = self.policy().is_none_or(|policy| policy.reply != Reply::Silent);
        self.state = State::answering(output, respond);
        if let State::Answering(answering) = &mut self.state {
            answering.late = true;
        }
    }
}

/// The text that tells the result of a call that was answered for now.
fn late_result(call: &FunctionCall, output: &FunctionOutput) -> String {
    let FunctionCall { name, arguments, .. } = call;
    let result = output.to_wire();
    format!(
        "The result of the function `{name}` with the arguments {arguments}, of which you read \"{LATER}\": {result}"
    )
}
