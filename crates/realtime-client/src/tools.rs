//! Running the functions that the model calls: [`ToolRunner`].
//!
//! The rule kept here: every call gets exactly one output, whatever its handler does.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use realtime_context::{OnInterrupt, Reply, Toolbox};
use realtime_protocol::call::{
    Command, CommandError, Event, FunctionCall, FunctionEnd, FunctionOutput, Refusal,
};
use realtime_protocol::id::CallId;
use tokio::select;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{Instrument, debug, info_span};

use crate::error::Error;
use crate::handle::Handle;

/// Runs the function calls of one session with the tools of a [`Toolbox`], each in its own task, and answers
/// them.
///
/// Hand it every event of the session. Each call runs by its tool's policy:
///
/// - A handler that takes longer than its timeout is dropped, and the call is answered as timed out.
/// - A handler that panics answers "the function failed".
/// - When the user speaks over the assistant, handlers are dropped and their calls answered as cancelled,
///   unless their tools ask to be kept.
/// - Calls that end in another way (another answer, the session's end) are dropped without an answer.
///
/// It holds a [`Handle`], so a session with a runner stays open until it is closed or the runner is dropped.
/// Dropping the runner answers its calls as cancelled.
#[derive(Debug)]
pub struct ToolRunner {
    handle: Handle,
    toolbox: Toolbox,
    room: Arc<Semaphore>,
    running: HashMap<CallId, Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<Stop>,
    on_interrupt: OnInterrupt,
}

/// Why a call should stop.
#[derive(Debug)]
enum Stop {
    /// It has ended in another way; no answer is needed.
    Ended,
    /// The user spoke over the assistant.
    Interrupted,
}

/// How many calls run at once by default.
const CONCURRENCY: usize = 16;

impl ToolRunner {
    /// A runner for that session. Up to 16 calls run at once, and others wait for them.
    pub fn new(handle: Handle, toolbox: Toolbox) -> Self {
        Self { handle, toolbox, room: Arc::new(Semaphore::new(CONCURRENCY)), running: HashMap::new() }
    }

    /// Sets how many calls run at once, at least one. Waiting does not count against a call's timeout.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.room = Arc::new(Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Replaces the tools for future calls.
    pub fn set_toolbox(&mut self, toolbox: Toolbox) {
        self.toolbox = toolbox;
    }

    /// Starts and stops calls as the event says. Must be called within a tokio runtime.
    pub fn handle(&mut self, event: &Event) {
        match event {
            // Out-of-band calls take no output: they are for the code that asked for the response.
            Event::FunctionCalls { out_of_band: false, calls, .. } => {
                for call in calls {
                    self.start(call);
                }
            }
            // Its output may still be wanted.
            Event::FunctionEnded { end: FunctionEnd::Detached, .. } => {}
            Event::Closed { .. } => {
                for (_, running) in self.running.drain() {
                    let _ = running.stop.send(Stop::Ended);
                }
            }
            Event::FunctionEnded { call, .. } => {
                if let Some(running) = self.running.remove(&call.call_id) {
                    // A call that we have answered no longer listens.
                    let _ = running.stop.send(Stop::Ended);
                }
            }
            Event::Interrupted(_) => {
                let stops = |running: &Running| running.on_interrupt == OnInterrupt::Cancel;
                for (_, running) in self.running.extract_if(|_, running| stops(running)) {
                    let _ = running.stop.send(Stop::Interrupted);
                }
            }
            _ => {}
        }
    }

    /// How many calls run or wait to run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    fn start(&mut self, call: &FunctionCall) {
        // Calls that outlived their connection end unseen.
        self.running.retain(|_, running| !running.stop.is_closed());
        let policy = self.toolbox.policy(&call.name);
        let (stop, stopped) = oneshot::channel();
        self.running.insert(call.call_id.clone(), Running { stop, on_interrupt: policy.on_interrupt });

        let (toolbox, call, room) = (self.toolbox.clone(), call.clone(), Arc::clone(&self.room));
        let (handle, call_id) = (self.handle.clone(), call.call_id.clone());
        let span = info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = call.name,
            gen_ai.tool.call.id = %call_id,
        );
        // The handler is called within the task and within `catch_unwind`: the part before its first await
        // may panic too.
        let work = AssertUnwindSafe(async move {
            match toolbox.start(&call) {
                Ok(work) => work.await,
                Err(output) => output,
            }
        });
        let work = async move {
            // The semaphore is never closed; without a permit the call would run anyway.
            let _permit = room.acquire_owned().await;
            let work = work.catch_unwind();
            let outcome = match policy.timeout {
                Some(limit) => timeout(limit, work).await.map_err(|_| FunctionOutput::TimedOut),
                None => Ok(work.await),
            };
            match outcome {
                Ok(Ok(output)) => output,
                Ok(Err(_panic)) => FunctionOutput::Error("the function failed".to_owned()),
                Err(output) => output,
            }
        };
        let task = async move {
            let output = select! {
                biased;
                stop = stopped => match stop {
                    Ok(Stop::Ended) => return,
                    Ok(Stop::Interrupted) | Err(_) => FunctionOutput::Cancelled,
                },
                output = work => output,
            };
            debug!(output = kind(&output), "function call ended");
            // After an interruption the model responds to the user's words, not to the function's output.
            let respond = policy.reply == Reply::Auto && output != FunctionOutput::Cancelled;
            let complete = |output| Command::AnswerFunction { call_id: call_id.clone(), output, respond };
            let mut taken = handle.ask(complete(output)).await;
            if let Err(Error::Command(CommandError { reason: reason @ Refusal::TooLarge { .. }, .. })) =
                &taken
            {
                // The model must learn of it: it waits for the one output.
                taken = handle.ask(complete(FunctionOutput::Error(reason.to_string()))).await;
            }
            if taken.is_err() {
                debug!("the output of a function call was not taken");
            }
        };
        tokio::spawn(task.instrument(span));
    }
}

fn kind(output: &FunctionOutput) -> &'static str {
    match output {
        FunctionOutput::Result(_) => "result",
        FunctionOutput::Error(_) => "error",
        FunctionOutput::Cancelled => "cancelled",
        FunctionOutput::TimedOut => "timed out",
        FunctionOutput::Unknown => "unknown tool",
        _ => "other",
    }
}
