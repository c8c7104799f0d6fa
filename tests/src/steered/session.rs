//! A session that bytes steer: [`run`].
//!
//! It is looked at under all [`Invariants`] as it goes, and fed a second time, drained once at the end: what
//! comes out is the same.

use std::time::Duration;

use realtime_protocol::call::{Command, DisconnectReason};
use realtime_protocol::event::{ClientEvent, ServerEvent};
use realtime_protocol::id::CallId;
use realtime_protocol::item::Item;
use realtime_protocol::log::Input;
use realtime_protocol::session::{Output, Session, SessionOptions};
use realtime_protocol::time::Timestamp;

use crate::golden::{drain, feed};
use crate::invariants::Invariants;
use crate::steered::checks::{self, Budget};
use crate::steered::names::Names;
use crate::steered::{MOST_TIMEOUTS, Plan, STATE_EVERY, Step};

/// Carries out what the bytes say.
///
/// # Panics
/// When something does not hold that must.
pub fn run(bytes: &[u8]) {
    let Plan { options, steps } = Plan::read(bytes);
    let mut run = Run::new(options.session);
    for step in &steps {
        run.step(step);
    }
    run.end();
}

struct Run {
    options: SessionOptions,
    session: Session,
    invariants: Invariants,
    budget: Budget,
    names: Names,
    now: Timestamp,
    back: Duration,
    /// What went in, and when.
    inputs: Vec<(Timestamp, Input)>,
    outputs: Vec<Output>,
    /// What the application sends as it is.
    raw: Vec<ClientEvent>,
    /// Calls for which the application makes an output item itself, past the call.
    answered: Vec<CallId>,
}

impl Run {
    fn new(options: SessionOptions) -> Self {
        let size = serde_json::to_string(&options).expect("options are JSON").len();
        Self {
            session: Session::new(options.clone()),
            options,
            invariants: Invariants::late(),
            budget: Budget::new(size),
            names: Names::default(),
            now: Timestamp::ZERO,
            back: Duration::ZERO,
            inputs: Vec::new(),
            outputs: Vec::new(),
            raw: Vec::new(),
            answered: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait(micros) => self.wait(Duration::from_micros(*micros)),
            Step::Oversleep(micros) => self.now = self.now + Duration::from_micros(*micros),
            Step::Back(micros) => self.back = Duration::from_micros(*micros),
            Step::Input(input) => {
                let at = self.now - core::mem::take(&mut self.back);
                self.give(at, self.names.resolved(input));
            }
            Step::Move(_) => {}
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let mut timeouts = 0;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= until) {
            timeouts = if due > self.now { 0 } else { timeouts + 1 };
            assert!(timeouts < MOST_TIMEOUTS, "something is due at {due} for ever");
            self.now = self.now.max(due);
            self.give(due, Input::Timer);
        }
        self.now = until;
    }

    fn give(&mut self, at: Timestamp, input: Input) {
        let was_closed = self.session.is_closed();
        let is_due = self.session.poll_timeout().is_some_and(|due| due <= self.now);
        self.budget.input(&input);
        let taken = feed(&mut self.session, at, &input).is_ok();
        match &input {
            Input::Command(id, command) if taken => {
                self.invariants.command(*id);
                match &**command {
                    Command::SendEvent { event } => self.raw.push((**event).clone()),
                    Command::CreateItem { item, .. } => self.answered.extend(answered(item)),
                    _ => {}
                }
            }
            Input::Text(_, text) => {
                if let ServerEvent::ErrorEvent(error) = ServerEvent::decode(text, self.options.dialect)
                    && let Some(id) = error.error.value().and_then(|error| error.event_id.value())
                {
                    self.invariants.refused(id);
                }
            }
            _ => {}
        }
        let outputs = drain(&mut self.session);
        let is_needless = matches!(input, Input::Timer) && !is_due;
        assert!(!was_closed || outputs.is_empty(), "after the end: {outputs:?}");
        assert!(!is_needless || outputs.is_empty(), "nothing was due: {outputs:?}");
        let mut size = 0;
        for output in outputs.iter() {
            size += self.output(output);
        }
        self.budget.output(outputs.len(), size);
        self.inputs.push((at, input));
        self.outputs.extend(outputs);
        if self.inputs.len().is_multiple_of(STATE_EVERY) {
            self.budget.state(format!("{:?}", self.session).len());
        }
    }

    /// Looks at an output. How long it is, as it is sent or logged (bytes).
    fn output(&mut self, output: &Output) -> usize {
        match output {
            Output::Send(event) => {
                self.names.sent(event);
                if let Some(raw) = self.raw.iter().position(|raw| raw == event) {
                    self.raw.swap_remove(raw);
                } else if let Some(call) = self.answered.iter().position(|call| answers(event, call)) {
                    self.answered.swap_remove(call);
                } else {
                    self.invariants.output(output);
                    checks::sent(event, self.options.dialect);
                }
                event.encode(self.options.dialect).len()
            }
            Output::Event(event) => {
                self.invariants.output(output);
                serde_json::to_string(event).expect("call events are JSON").len()
            }
            Output::Close => {
                self.invariants.output(output);
                0
            }
        }
    }

    fn end(mut self) {
        self.give(
            self.now,
            Input::Disconnected(Default::default(), DisconnectReason::Lost { reason: "cut".into() }),
        );
        assert!(self.session.is_closed());
        assert_eq!(self.session.poll_timeout(), None);
        self.invariants.end();
        self.invariants.state(&self.session);
        for input in [Input::Timer, Input::Text(Default::default(), r#"{"type":"session.updated"}"#.into())] {
            self.give(self.now, input);
        }
        let mut late = Session::new(self.options);
        for (at, input) in &self.inputs {
            let _refused = feed(&mut late, *at, input);
        }
        for (index, output) in drain(&mut late).iter().enumerate() {
            assert_eq!(Some(output), self.outputs.get(index), "output {index}, drained late");
        }
    }
}

fn answers(event: &ClientEvent, call_id: &CallId) -> bool {
    matches!(event, ClientEvent::ConversationItemCreate(create) if answered(&create.item).as_ref() == Some(call_id))
}

/// The call whose output an item is.
fn answered(item: &Item) -> Option<CallId> {
    let Item::FunctionCallOutput(output) = item else { return None };
    output.call_id.value().cloned()
}
