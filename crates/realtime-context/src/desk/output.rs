//! What a desk wants done: [`DeskOutput`].

use std::fmt;
use std::sync::Arc;

use realtime_protocol::call::{Command, FunctionCall, FunctionOutput, Notice};
use realtime_protocol::session_config::SessionConfig;

use crate::desk::JobId;
use crate::tool::BoxFuture;

/// What the answer to a command is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver hands it back as it is")]
pub enum Asker {
    /// The output of a call.
    Job(JobId),
    /// The answer to a hosted server's request for an approval.
    Approval(JobId),
    /// What the user hears while a call runs for long.
    Filler(JobId),
    /// The tools are declared anew.
    Tools,
    /// Nothing: it is asked and forgotten.
    Nobody,
}

/// What a [`Desk`](crate::Desk) wants done.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum DeskOutput {
    /// Ask the call for this, then call [`handle_asked`](crate::Desk::handle_asked).
    Ask {
        /// What the answer is for.
        asker: Asker,
        /// The command.
        command: Command,
    },
    /// Tell the application.
    Tell(Notice),
    /// Decide whether this call runs here, then call [`handle_claimed`](crate::Desk::handle_claimed). Only
    /// from a gated desk.
    Claim {
        /// The call's job.
        job: JobId,
        /// The call.
        call: Arc<FunctionCall>,
    },
    /// Run the approval hook, then call [`handle_approved`](crate::Desk::handle_approved). If it panics, say
    /// `Err`.
    Approve {
        /// The call's job.
        job: JobId,
        /// The hook.
        work: Work<Result<(), String>>,
    },
    /// Run the handler, then call [`handle_done`](crate::Desk::handle_done). If it panics, say
    /// [`FunctionOutput::Error`].
    Start {
        /// The call's job.
        job: JobId,
        /// The call.
        call: Arc<FunctionCall>,
        /// The handler.
        work: Work<FunctionOutput>,
    },
    /// Decide whether this output counts, then call [`handle_committed`](crate::Desk::handle_committed). Only
    /// from a gated desk.
    Commit {
        /// The call's job.
        job: JobId,
        /// The call.
        call: Arc<FunctionCall>,
        /// The output.
        output: FunctionOutput,
    },
    /// Drop the job's future, if it runs. Nothing follows.
    Stop(JobId),
}

impl DeskOutput {
    pub(super) fn declare(config: Box<SessionConfig>) -> Self {
        Self::Ask { asker: Asker::Tools, command: Command::UpdateConfig { config } }
    }
}

/// A future that has not begun: what runs before its first `await` runs when it is started.
pub struct Work<T>(Box<dyn FnOnce() -> BoxFuture<'static, T> + Send>);

impl<T> Work<T> {
    pub(super) fn new(start: impl FnOnce() -> BoxFuture<'static, T> + Send + 'static) -> Self {
        Self(Box::new(start))
    }

    /// Starts it. It may panic, as the future may.
    pub fn start(self) -> BoxFuture<'static, T> {
        (self.0)()
    }
}

impl<T> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}
