//! The tool desk: which functions start, wait, are approved, stop and are answered. [`Desk`] decides; a
//! driver runs the futures.
//!
//! The rule kept here: every call of a response in the conversation gets exactly one output, whatever its
//! handler does and whatever is full or too large on the way back.
//!
//! ```text
//! Claiming → Approving → Waiting → Running → Committing → Answering → gone
//!                                     └──────▶ Detached ──▶ Answering, by a message
//! ```
//! Claiming and Committing last only for a [gated](DeskOptions::gated) desk. Any state before Answering can
//! end early: by an interruption, a timeout, a refusal, or the end of the call.

mod declared;
mod hosted;
mod job;
mod output;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::{
    CommandId, ConnectionEvent, Event, FunctionCall, FunctionEnd, FunctionOutput, Notice, Outcome, Refusal,
};
use realtime_protocol::id::ResponseId;
use realtime_protocol::time::Timestamp;
use serde_json::json;

use crate::desk::declared::Declared;
use crate::desk::hosted::Hosted;
use crate::desk::job::{Job, State};
use crate::tool::{FunctionContext, Hook, OnInterrupt, OnTakeover, Reply};
use crate::toolbox::{Toolbox, Tools};

pub use job::JobId;
pub use output::{Asker, DeskOutput, Work};

/// How a desk works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeskOptions {
    /// Calls that run at once; others wait in the order in which they came. Default: 16.
    pub concurrency: usize,
    /// Whether somebody else decides before a function runs, and before its output counts:
    /// [`DeskOutput::Claim`] and [`DeskOutput::Commit`]. Default: no.
    pub gated: bool,
    /// Outputs that are sent and not acknowledged (bytes): others wait for them. One goes out in any case.
    /// Default: 1 MiB.
    pub unacknowledged_bytes: usize,
}

impl DeskOptions {
    /// Lets this many calls run at once, at least one.
    #[must_use]
    pub const fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = if calls == 0 { 1 } else { calls };
        self
    }

    /// Lets somebody else decide before a function runs, and before its output counts.
    #[must_use]
    pub const fn gated(mut self, gated: bool) -> Self {
        self.gated = gated;
        self
    }

    /// Replaces how much may be sent and not acknowledged.
    #[must_use]
    pub const fn unacknowledged_bytes(mut self, bytes: usize) -> Self {
        self.unacknowledged_bytes = bytes;
        self
    }
}

impl Default for DeskOptions {
    fn default() -> Self {
        Self { concurrency: 16, gated: false, unacknowledged_bytes: 1 << 20 }
    }
}

/// How long what was refused for now waits before it is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Answers a call whose result comes later.
const LATER: &str = "the function still runs; its result follows in a message";
/// Answers a call that nobody approved in time.
const NOT_APPROVED: &str = "nobody approved the call in time";
/// Answers a call that was lost with another process.
const NOBODY_KNOWS: &str = "the connection to the function was lost: nobody knows whether it did its work";
const ASK_THE_USER: &str = "the connection to the function was lost: nobody knows whether it did its work. \
    Tell the user, and ask what to do";

/// Decides about the functions that the model calls.
///
/// After each `handle_*`, take [`poll_output`](Self::poll_output) until `None`, then read
/// [`poll_timeout`](Self::poll_timeout). Hand it every event of the call, in order.
pub struct Desk {
    declared: Declared,
    hosted: Hosted,
    /// The notices of the toolbox that were told.
    noticed: u64,
    options: DeskOptions,
    hook: Option<Hook>,
    /// Calls that are not gone, the oldest first.
    jobs: Vec<Job>,
    next_id: u64,
    outputs: VecDeque<DeskOutput>,
    /// The sentences that are asked for while a call runs.
    fillers: Vec<(CommandId, Arc<FunctionCall>)>,
    /// The response in the conversation, and whether the user speaks: nothing fills a wait meanwhile.
    speaking: (Option<ResponseId>, bool),
    closed: bool,
}

impl Desk {
    /// A desk for the tools of that box. The session must have been configured by
    /// [`Toolbox::session_config`].
    pub fn new(toolbox: Toolbox, options: DeskOptions) -> Self {
        Self {
            declared: Declared::new(toolbox),
            hosted: Hosted::default(),
            noticed: 0,
            options,
            hook: None,
            jobs: Vec::new(),
            next_id: 0,
            outputs: VecDeque::new(),
            fillers: Vec::new(),
            speaking: (None, false),
            closed: false,
        }
    }

    /// Calls `hook` when a handler tells its progress or the toolbox changes, on the thread that did so. Then
    /// call [`handle_timeout`](Self::handle_timeout).
    pub fn on_change(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        let hook: Hook = Arc::new(hook);
        self.declared.toolbox().watch(&hook);
        self.hook = Some(hook);
    }

    /// How many calls have no output yet.
    pub fn open(&self) -> usize {
        self.jobs.len()
    }

    /// Hears an event of the call.
    pub fn handle_event(&mut self, now: Timestamp, event: &Event) {
        let toolbox = self.declared.toolbox();
        let next = || {
            self.next_id += 1;
            JobId(self.next_id)
        };
        self.hosted.handle_event(now, event, toolbox, next, &mut self.outputs);
        match event {
            Event::Ready { config, .. } | Event::ConfigUpdated { config, .. } => {
                self.declared.note_config(config);
            }
            Event::ResponseStarted { response_id, out_of_band, .. } => {
                self.declared.begin_response(response_id);
                if !out_of_band {
                    self.speaking.0 = Some(response_id.clone());
                }
            }
            Event::SpeechStarted { .. } => self.speaking.1 = true,
            Event::SpeechStopped { .. } => self.speaking.1 = false,
            Event::FunctionCalls { response_id, out_of_band: false, calls } => {
                let tools = self.declared.of(response_id);
                calls.iter().for_each(|call| self.open_job(now, call, &tools));
            }
            Event::ResponseFinished(report) => {
                self.declared.end_response(&report.response_id);
                self.speaking.0.take_if(|id| *id == report.response_id);
            }
            Event::FunctionEnded { call, end } => self.on_ended(call, end),
            Event::Interrupted(_) => self.on_interrupted(now),
            Event::Settled { id, outcome } => {
                let refused = match outcome {
                    Outcome::Refused { error } => Some(error.message_str().to_owned()),
                    _ => None,
                };
                self.filler_settled(*id, refused);
                let then = self.declared.settled(*id, outcome);
                self.outputs.extend(then.map(|command| DeskOutput::Ask { asker: Asker::Nobody, command }));
                self.jobs.retain(|job| job.asked_as() != Some(*id));
            }
            Event::Connection(ConnectionEvent::Resumed { .. } | ConnectionEvent::Rotated { .. }) => {
                self.jobs.iter_mut().for_each(|job| job.retry_at(now));
                self.hosted.handle_lost(&mut self.outputs);
                self.speaking.1 = false;
            }
            Event::Closed { .. } => self.on_closed(),
            _ => {}
        }
        self.go_on(now);
    }

    /// Calls that were open when the call moved here from another process: each is treated by its tool's
    /// policy.
    pub fn handle_takeover(&mut self, now: Timestamp, calls: &[Arc<FunctionCall>]) {
        let tools = self.declared.toolbox().tools();
        for call in calls {
            let policy = tools.handler(&call.name).map(|function| function.tool_policy().on_takeover);
            match policy {
                Some(OnTakeover::Unknown) => {
                    self.open_answered(call, FunctionOutput::Error(NOBODY_KNOWS.into()))
                }
                Some(OnTakeover::Ask) => self.open_answered(call, FunctionOutput::Error(ASK_THE_USER.into())),
                Some(OnTakeover::Again) | None => self.open_job(now, call, &tools),
            }
        }
        self.go_on(now);
    }

    /// Somebody decided whether a call runs here. `Err`: it does not, and the model reads why.
    pub fn handle_claimed(&mut self, now: Timestamp, id: JobId, claimed: Result<(), String>) {
        if let Some(job) = self.job(id, |state| matches!(state, State::Claiming)) {
            match claimed {
                Ok(()) => job.state = State::after_claim(job.function.as_ref()),
                Err(reason) => self.answer(id, FunctionOutput::Refused(reason)),
            }
        }
        self.go_on(now);
    }

    /// The approval hook has answered. `Err` refuses the call, and the model reads why.
    pub fn handle_approved(&mut self, now: Timestamp, id: JobId, approved: Result<(), String>) {
        if self.hosted.handle_approved(now, id, approved.clone()) {
            return self.go_on(now);
        }
        if let Some(job) = self.job(id, |state| matches!(state, State::Approving { .. })) {
            match approved {
                Ok(()) => job.state = State::Waiting,
                Err(reason) => self.commit(id, FunctionOutput::Refused(reason)),
            }
        }
        self.go_on(now);
    }

    /// A handler has ended.
    pub fn handle_done(&mut self, now: Timestamp, id: JobId, output: FunctionOutput) {
        self.tell_progress();
        if self.job(id, |state| matches!(state, State::Running { .. })).is_some() {
            self.commit(id, output);
        } else if let Some(job) = self.job(id, |state| matches!(state, State::Detached { .. })) {
            job.tell_late(output);
        }
        self.go_on(now);
    }

    /// Somebody decided whether an output counts. `Err`: it does not, and nothing is sent: another process
    /// answers the call.
    pub fn handle_committed(&mut self, now: Timestamp, id: JobId, committed: Result<(), String>) {
        let known = self.jobs.iter().find(|job| job.id == id);
        if let Some(Job { state: State::Committing { output }, .. }) = known {
            let output = output.clone();
            match committed {
                Ok(()) => self.answer(id, output),
                Err(_) => self.jobs.retain(|job| job.id != id),
            }
        }
        self.go_on(now);
    }

    /// A command of [`DeskOutput::Ask`] was taken under that id.
    pub fn handle_asked(&mut self, asker: Asker, id: CommandId) {
        match asker {
            Asker::Job(job) => {
                self.jobs.iter_mut().filter(|known| known.id == job).for_each(|job| job.asked(id))
            }
            Asker::Filler(job) => {
                let call = self.jobs.iter().find(|known| known.id == job).map(|job| Arc::clone(&job.call));
                self.fillers.extend(call.map(|call| (id, call)));
            }
            Asker::Approval(job) => self.hosted.handle_asked(job, id),
            Asker::Tools => self.declared.asked(id),
            Asker::Nobody => {}
        }
    }

    /// A command of [`DeskOutput::Ask`] was refused. What is full for now is tried again; what is too large
    /// becomes an error that the model reads.
    pub fn handle_refused(&mut self, now: Timestamp, id: CommandId, reason: &Refusal) {
        self.declared.refused(now, id);
        self.hosted.handle_refused(now, id, reason.is_retryable());
        self.filler_settled(id, Some(reason.to_string()));
        let Some(index) = self.jobs.iter().position(|job| job.asked_as() == Some(id)) else { return };
        let job = &mut self.jobs[index];
        if reason.is_retryable() {
            job.wait_and_retry(now);
        } else if matches!(reason, Refusal::Ended | Refusal::UnknownFunction { .. })
            || !job.replace_by(reason)
        {
            self.jobs.remove(index);
        }
        self.go_on(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.closed {
            return None;
        }
        let progress = self.jobs.iter().any(|job| job.cx.has_progress()).then_some(Timestamp::ZERO);
        let has_noticed = self.declared.toolbox().has_noticed() > self.noticed;
        let notices = has_noticed.then_some(Timestamp::ZERO);
        let others = [progress, notices, self.declared.due(), self.hosted.poll_timeout()];
        self.jobs.iter().filter_map(Job::due).chain(others.into_iter().flatten()).min()
    }

    /// Time has passed, or the [hook](Self::on_change) was called.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.tell_progress();
        let due: Vec<JobId> = self.jobs.iter().filter(|job| job.is_overdue(now)).map(|job| job.id).collect();
        for id in due {
            let Some(job) = self.jobs.iter().find(|job| job.id == id) else { continue };
            match &job.state {
                State::Approving { .. } => {
                    self.stop(id);
                    self.commit(id, FunctionOutput::Refused(NOT_APPROVED.into()));
                }
                State::Running { .. } => {
                    self.stop(id);
                    self.commit(id, FunctionOutput::TimedOut);
                }
                State::Detached { .. } => {
                    self.stop(id);
                    if let Some(job) = self.job(id, |state| matches!(state, State::Detached { .. })) {
                        job.tell_late(FunctionOutput::TimedOut);
                    }
                }
                _ => {}
            }
        }
        let is_quiet = self.speaking == (None, false);
        let filler = |job: &mut Job| job.filler(now, is_quiet);
        let fillers: Vec<DeskOutput> = self.jobs.iter_mut().filter_map(filler).collect();
        self.outputs.extend(fillers);
        self.go_on(now);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<DeskOutput> {
        self.outputs.pop_front()
    }

    fn job(&mut self, id: JobId, is_in: impl Fn(&State) -> bool) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id && is_in(&job.state))
    }

    fn fresh(&mut self, call: &Arc<FunctionCall>, tools: &Tools) -> Job {
        self.next_id += 1;
        Job {
            id: JobId(self.next_id),
            call: Arc::clone(call),
            cx: FunctionContext::new(Arc::clone(call), self.hook.clone()),
            function: tools.handler(&call.name).cloned(),
            state: State::Claiming,
        }
    }

    fn open_job(&mut self, now: Timestamp, call: &Arc<FunctionCall>, tools: &Tools) {
        // A call that is told again, after it moved, runs already.
        let again = |job: &Job| job.call.call_id == call.call_id || job.is_same(call);
        if self.jobs.iter().any(again) {
            return;
        }
        let job = self.fresh(call, tools);
        let id = job.id;
        let is_known = job.function.is_some();
        self.jobs.push(job);
        if !is_known {
            self.answer(id, FunctionOutput::Unknown);
        } else if self.options.gated {
            self.outputs.push_back(DeskOutput::Claim { job: id, call: Arc::clone(call) });
        } else {
            self.handle_claimed(now, id, Ok(()));
        }
    }

    fn open_answered(&mut self, call: &Arc<FunctionCall>, output: FunctionOutput) {
        let tools = self.declared.toolbox().tools();
        let job = self.fresh(call, &tools);
        let id = job.id;
        self.jobs.push(job);
        self.answer(id, output);
    }

    /// Starts what may start, sends what may be sent.
    fn go_on(&mut self, now: Timestamp) {
        if self.closed {
            return;
        }
        self.outputs.extend(self.declared.update(now).map(DeskOutput::declare));
        self.hosted.go_on(now, &mut self.outputs);
        if self.declared.toolbox().has_noticed() > self.noticed {
            let (notices, noticed) = self.declared.toolbox().notices(self.noticed);
            self.noticed = noticed;
            self.outputs.extend(notices.into_iter().map(DeskOutput::Tell));
        }
        for job in &mut self.jobs {
            if let State::Approving { due: None } = job.state {
                self.outputs.extend(job.ask_for_approval(now));
            }
        }
        while let Some(index) = self.next_to_start() {
            let call = Arc::clone(&self.jobs[index].call);
            self.outputs.push_back(DeskOutput::Tell(Notice::FunctionStarted { call }));
            let started = self.jobs[index].start(now);
            self.outputs.push_back(started);
        }
        let mut unacknowledged: usize = self.jobs.iter().map(Job::unacknowledged).sum();
        for job in &mut self.jobs {
            let Some(size) = job.size_to_send(now) else { continue };
            if unacknowledged > 0 && unacknowledged + size > self.options.unacknowledged_bytes {
                break; // they keep their order
            }
            unacknowledged += size;
            self.outputs.extend(job.send());
        }
    }

    fn next_to_start(&self) -> Option<usize> {
        let running = |job: &&Job| matches!(job.state, State::Running { .. } | State::Detached { .. });
        if self.jobs.iter().filter(running).count() >= self.options.concurrency {
            return None;
        }
        self.jobs.iter().position(|job| {
            let room = job.policy().and_then(|policy| policy.concurrency).unwrap_or(usize::MAX);
            let same = |other: &&Job| running(other) && other.call.name == job.call.name;
            matches!(job.state, State::Waiting) && self.jobs.iter().filter(same).count() < room
        })
    }

    /// The output is known: it counts at once, or somebody is asked.
    fn commit(&mut self, id: JobId, output: FunctionOutput) {
        if !self.options.gated {
            return self.answer(id, output);
        }
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.cx.cancel();
            job.state = State::Committing { output: output.clone() };
            self.outputs.push_back(DeskOutput::Commit { job: id, call: Arc::clone(&job.call), output });
        }
    }

    fn answer(&mut self, id: JobId, output: FunctionOutput) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.cx.cancel();
            let reply = job.policy().map_or(Reply::Auto, |policy| policy.reply);
            let respond = match reply {
                Reply::Silent => false,
                Reply::Auto => output != FunctionOutput::Cancelled,
                Reply::Always => true,
            };
            job.state = State::answering(output, respond);
        }
    }

    /// The future is not wanted any more.
    fn stop(&mut self, id: JobId) {
        if let Some(job) = self.jobs.iter().find(|job| job.id == id && job.has_future()) {
            job.cx.cancel();
            self.outputs.push_back(DeskOutput::Stop(id));
        }
    }

    fn on_interrupted(&mut self, now: Timestamp) {
        let open: Vec<(JobId, OnInterrupt)> = self
            .jobs
            .iter()
            .filter(|job| job.is_before_output())
            .map(|job| (job.id, job.on_interrupt()))
            .collect();
        for (id, rule) in open {
            match rule {
                OnInterrupt::Cancel => {
                    self.stop(id);
                    self.commit(id, FunctionOutput::Cancelled);
                }
                OnInterrupt::Detach => self.detach(id),
                OnInterrupt::Finish => {}
            }
        }
        self.go_on(now);
    }

    /// Answers a call for now, if it runs; its result becomes a message.
    fn detach(&mut self, id: JobId) {
        let Some(job) = self.job(id, |state| matches!(state, State::Running { .. })) else { return };
        job.detach();
        let call = Arc::clone(&job.call);
        // The answer for now is a job of its own: it must arrive as any other.
        let mut answer = self.fresh(&call, &Tools::default());
        answer.state = State::answering(FunctionOutput::Result(json!({ "status": LATER })), false);
        self.jobs.push(answer);
    }

    fn on_ended(&mut self, call: &FunctionCall, end: &FunctionEnd) {
        if *end == FunctionEnd::Detached {
            return; // its output may still be wanted
        }
        let ended: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|job| job.call.call_id == call.call_id && job.is_before_answer())
            .map(|job| job.id)
            .collect();
        for id in ended {
            self.stop(id);
            self.jobs.retain(|job| job.id != id);
        }
    }

    fn on_closed(&mut self) {
        self.closed = true;
        let ids: Vec<JobId> = self.jobs.iter().map(|job| job.id).collect();
        ids.into_iter().for_each(|id| self.stop(id));
        self.jobs.clear();
        self.hosted.handle_lost(&mut self.outputs);
    }

    /// A sentence was said, or refused.
    fn filler_settled(&mut self, id: CommandId, refused: Option<String>) {
        let Some(index) = self.fillers.iter().position(|(filler, _)| *filler == id) else { return };
        let (_, call) = self.fillers.swap_remove(index);
        let told = refused.map(|reason| DeskOutput::Tell(Notice::FunctionFillerRefused { call, reason }));
        self.outputs.extend(told);
    }

    fn tell_progress(&mut self) {
        for job in &self.jobs {
            for progress in job.cx.take_progress() {
                let call = Arc::clone(&job.call);
                self.outputs.push_back(DeskOutput::Tell(Notice::FunctionProgress { call, progress }));
            }
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("options", &self.options)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}
