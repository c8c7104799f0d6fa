//! Running the functions that the model calls: the desk decides, and each future runs in a task of its own.
//!
//! The rule kept here: whatever a future does, panics too, the desk hears how it ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use realtime_context::{Desk, DeskOptions, DeskOutput, JobId, Toolbox};
use realtime_protocol::call::{
    CommandError, CommandId, ConnectionEvent, Event, FunctionCall, FunctionOutput, Listener, Out, Suspended,
};
use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{Instrument, Span, debug};

use crate::bell::Bell;
use crate::spans::FunctionSpans;

/// Hears the call's events for a desk, and runs its futures.
pub(crate) struct ToolListener {
    desk: Desk,
    running: HashMap<JobId, AbortHandle>,
    /// Functions of the process that had the call before, until the call goes on here.
    inherited: Vec<Arc<FunctionCall>>,
    ended: mpsc::UnboundedReceiver<Ended>,
    end: mpsc::UnboundedSender<Ended>,
    /// Wakes the driver.
    news: Arc<Bell>,
    spans: FunctionSpans,
}

/// How a future ended. There are at most as many as calls that run.
enum Ended {
    Approved(JobId, Result<(), String>),
    Done(JobId, FunctionOutput),
}

/// What the model reads of a handler that panicked.
const PANICKED: &str = "the function failed";
/// What the model reads where the approval hook panicked.
const NOT_ASKED: &str = "the request for approval failed";

impl ToolListener {
    pub(crate) fn new(
        toolbox: Toolbox,
        options: DeskOptions,
        resume: Option<&Suspended>,
        news: Arc<Bell>,
        spans: FunctionSpans,
    ) -> Self {
        let mut desk = Desk::new(toolbox, options);
        desk.on_change({
            let news = Arc::clone(&news);
            move || news.ring()
        });
        let (end, ended) = mpsc::unbounded_channel();
        let inherited = resume.into_iter().flat_map(Suspended::functions);
        let inherited = inherited.map(|call| Arc::new(call.clone())).collect();
        Self { desk, running: HashMap::new(), inherited, ended, end, news, spans }
    }

    /// Tells the desk what ended, and does what it wants.
    fn go_on(&mut self, now: Timestamp, out: &mut Out<'_>) {
        while let Ok(ended) = self.ended.try_recv() {
            let (Ended::Approved(job, _) | Ended::Done(job, _)) = &ended;
            self.running.remove(job);
            match ended {
                Ended::Approved(job, approved) => self.desk.handle_approved(now, job, approved),
                Ended::Done(job, output) => self.desk.handle_done(now, job, output),
            }
        }
        while let Some(output) = self.desk.poll_output() {
            match output {
                DeskOutput::Ask { asker, command } => self.desk.handle_asked(asker, out.ask(command)),
                DeskOutput::Tell(notice) => out.tell(notice),
                DeskOutput::Claim { job, .. } => self.desk.handle_claimed(now, job, Ok(())),
                DeskOutput::Commit { job, .. } => self.desk.handle_committed(now, job, Ok(())),
                DeskOutput::Approve { job, work } => {
                    let asked = AssertUnwindSafe(async move { work.start().await }).catch_unwind();
                    let asked = async move { asked.await.unwrap_or_else(|_| Err(NOT_ASKED.to_owned())) };
                    self.spawn(job, asked, Ended::Approved);
                }
                DeskOutput::Start { job, call, work } => {
                    let span = self.spans.get(&call.call_id).unwrap_or_else(Span::current);
                    // The handler is entered within the task: what it does before its first await may panic.
                    let work = AssertUnwindSafe(async move { work.start().await }).catch_unwind();
                    let work = async move {
                        let output = work.await;
                        let output = output.unwrap_or_else(|_| FunctionOutput::Error(PANICKED.to_owned()));
                        debug!(output = kind(&output), "the function returned");
                        output
                    };
                    self.spawn(job, work.instrument(span), Ended::Done);
                }
                DeskOutput::Stop(job) => {
                    if let Some(task) = self.running.remove(&job) {
                        task.abort();
                    }
                }
            }
        }
    }

    fn spawn<T: Send + 'static>(
        &mut self,
        job: JobId,
        work: impl Future<Output = T> + Send + 'static,
        ended: fn(JobId, T) -> Ended,
    ) {
        let (end, news) = (self.end.clone(), Arc::clone(&self.news));
        let task = tokio::spawn(async move {
            let result = work.await;
            // After the end of the call nobody wants it.
            let _ = end.send(ended(job, result));
            news.ring();
        });
        self.running.insert(job, task.abort_handle());
    }
}

impl Listener for ToolListener {
    fn on_event(&mut self, now: Timestamp, _: UnixTime, event: &Event, out: &mut Out<'_>) {
        self.desk.handle_event(now, event);
        if let Event::Connection(ConnectionEvent::Resumed { .. }) = event {
            self.desk.handle_takeover(now, &std::mem::take(&mut self.inherited));
        }
        self.go_on(now, out);
    }

    fn on_refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError, out: &mut Out<'_>) {
        self.desk.handle_refused(now, id, &error.reason);
        self.go_on(now, out);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        if self.ended.is_empty() { self.desk.poll_timeout() } else { Some(Timestamp::ZERO) }
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        self.go_on(now, out);
        self.desk.handle_timeout(now);
        self.go_on(now, out);
    }
}

impl Drop for ToolListener {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

fn kind(output: &FunctionOutput) -> &'static str {
    match output {
        FunctionOutput::Result(_) => "result",
        FunctionOutput::Error(_) => "error",
        FunctionOutput::Cancelled => "cancelled",
        FunctionOutput::TimedOut => "timed out",
        FunctionOutput::Unknown => "unknown tool",
        FunctionOutput::Refused(_) => "refused",
        _ => "other",
    }
}
