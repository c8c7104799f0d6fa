//! The functions of a scenario: a real toolbox, whose handlers return when the scenario lets them.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use realtime_context::{
    BoxFuture, Function, FunctionContext, OnInterrupt, Reply, ToolError, ToolPolicy, Toolbox,
};
use realtime_protocol::call::{Command, Event, FunctionCall, FunctionOutput};
use serde_json::{Value, json};

use super::scenario::Registration;

/// Runs calls as the client's tool runner does, one poll at a time.
#[derive(Default)]
pub(super) struct Functions {
    toolbox: Toolbox,
    shared: Arc<Mutex<Shared>>,
    running: Vec<Running>,
    waiting: VecDeque<Arc<FunctionCall>>,
    /// Whether a call waits until the one before has ended.
    sequential: bool,
}

/// What handlers and scenario tell each other.
#[derive(Default)]
struct Shared {
    released: BTreeSet<String>,
    records: Vec<Value>,
}

struct Running {
    call: Arc<FunctionCall>,
    work: BoxFuture<'static, FunctionOutput>,
}

impl Functions {
    pub(super) fn new(sequential: bool) -> Self {
        Self { sequential, ..Self::default() }
    }

    pub(super) fn register(&mut self, function: &Registration) {
        let on_interrupt = match function.cancel_on_interruption {
            Some(false) => OnInterrupt::Finish,
            _ => OnInterrupt::Cancel,
        };
        let reply = if function.run_llm == Some(false) { Reply::Silent } else { Reply::Auto };
        let policy = ToolPolicy::new().on_interrupt(on_interrupt).reply(reply);
        let (shared, spec) = (Arc::clone(&self.shared), function.clone());
        let handler = move |arguments: Value, cx: FunctionContext| {
            record(&shared, cx.call(), "called", Some(arguments));
            let (shared, spec) = (Arc::clone(&shared), spec.clone());
            async move {
                if spec.hold {
                    let id = cx.call_id().to_string();
                    poll_fn(|_| {
                        if lock(&shared, |all| all.released.contains(&id)) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                }
                if let Some(error) = spec.raises {
                    record(&shared, cx.call(), "raised", None);
                    return Err(ToolError::new(error));
                }
                record(&shared, cx.call(), "returned", None);
                if spec.no_result {
                    pending::<()>().await;
                }
                Ok(spec.result)
            }
        };
        match &function.name {
            Some(name) => {
                // A name that the service would refuse is registered with nobody.
                let _ = self.toolbox.register(Function::raw(name, "", json!({}), handler).policy(policy));
            }
            None => self.toolbox = std::mem::take(&mut self.toolbox).catch_all(policy, handler),
        }
    }

    pub(super) fn release(&self, call_id: &str) {
        lock(&self.shared, |shared| shared.released.insert(call_id.to_owned()));
    }

    /// Starts and stops calls as the event says; gives back answers.
    pub(super) fn handle(&mut self, event: &Event) -> Vec<Command> {
        match event {
            Event::FunctionCalls { calls, .. } => self.waiting.extend(calls.iter().cloned()),
            Event::FunctionEnded { call, .. } => {
                self.running.retain(|running| running.call.call_id != call.call_id);
                self.waiting.retain(|waiting| waiting.call_id != call.call_id);
            }
            Event::Interrupted(_) => {
                let tools = self.toolbox.tools();
                let stops = |call: &FunctionCall| {
                    let function = tools.handler(&call.name);
                    function.is_none_or(|function| function.tool_policy().on_interrupt == OnInterrupt::Cancel)
                };
                let stopped: Vec<_> = self.running.extract_if(.., |running| stops(&running.call)).collect();
                return stopped
                    .into_iter()
                    .map(|Running { call, .. }| {
                        record(&self.shared, &call, "cancelled", None);
                        complete(&call, FunctionOutput::Cancelled, false)
                    })
                    .collect();
            }
            _ => {}
        }
        Vec::new()
    }

    /// Lets handlers go on; gives back the answer of one that has ended.
    pub(super) fn poll(&mut self) -> Option<Command> {
        for index in 0..self.running.len() {
            let work = self.running[index].work.as_mut();
            if let Poll::Ready(output) = work.poll(&mut Context::from_waker(Waker::noop())) {
                let call = self.running.remove(index).call;
                return Some(self.answer(&call, output));
            }
        }
        if self.sequential && !self.running.is_empty() {
            return None;
        }
        let call = self.waiting.pop_front()?;
        let tools = self.toolbox.tools();
        let started = tools
            .handler(&call.name)
            .ok_or(FunctionOutput::Unknown)
            .and_then(|function| function.start(&call, FunctionContext::of(&call)));
        match started {
            Ok(work) => {
                self.running.push(Running { call, work });
                self.poll()
            }
            Err(output) => Some(self.answer(&call, output)),
        }
    }

    /// What was done since the last time, as records of a trace.
    pub(super) fn records(&self) -> Vec<Value> {
        lock(&self.shared, |shared| std::mem::take(&mut shared.records))
    }

    fn answer(&self, call: &FunctionCall, output: FunctionOutput) -> Command {
        let tools = self.toolbox.tools();
        let reply = tools.handler(&call.name).map_or(Reply::Auto, |function| function.tool_policy().reply);
        complete(call, output, reply == Reply::Auto)
    }
}

fn complete(call: &FunctionCall, output: FunctionOutput, respond: bool) -> Command {
    Command::AnswerFunction { call_id: call.call_id.clone(), output, respond }
}

fn record(shared: &Mutex<Shared>, call: &FunctionCall, phase: &str, arguments: Option<Value>) {
    let mut record = json!({ "name": call.name, "call_id": call.call_id, "phase": phase });
    if let Some(arguments) = arguments {
        record["arguments"] = arguments;
    }
    lock(shared, |shared| shared.records.push(record));
}

fn lock<T>(shared: &Mutex<Shared>, f: impl FnOnce(&mut Shared) -> T) -> T {
    f(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("toolbox", &self.toolbox).finish_non_exhaustive()
    }
}
