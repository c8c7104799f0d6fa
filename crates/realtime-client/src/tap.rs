//! Writing the session log: [`LogSink`], and the driver's tap.
//!
//! A sink that fails ends the log and never the call. One that panics counts as failed.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use realtime_protocol::log::{Header, LogWriter};

use crate::contained;
use crate::counters::Tally;

/// Why a log ends whose sink panicked.
const PANICKED: &str = "the log's sink panicked";

/// Where the lines of a session log go.
pub trait LogSink: Send {
    /// Notes in the log's header what this sink leaves out. Called once, before the first line.
    fn describe(&self, _header: &mut Header) {}

    /// Takes one line, line feed included. Called from the client's task, between reading the socket and
    /// telling the application: it must not take long.
    ///
    /// # Errors
    /// Any error ends the log, as [`Notice::LogFailed`](realtime_protocol::call::Notice::LogFailed) tells.
    /// The session goes on.
    fn write(&mut self, line: &str) -> io::Result<()>;

    /// Ends the log. The future is done when all lines are written. The client's [`Events`](crate::Events)
    /// end after it.
    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A session log in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<String>>);

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for MemoryLog {
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.lock().push_str(line);
        Ok(())
    }
}

/// The driver's side of the log: one line per input and output, written through [`LogWriter`].
pub(crate) struct Tap {
    writer: LogWriter,
    sink: Option<Box<dyn LogSink>>,
    line: String,
    failure: Option<io::Error>,
    tally: Arc<Tally>,
}

impl Tap {
    /// Begins a log with its header.
    pub(crate) fn new(sink: Box<dyn LogSink>, mut header: Header, tally: Arc<Tally>) -> Self {
        sink.describe(&mut header);
        let writer = LogWriter::default();
        let mut tap = Self { writer, sink: Some(sink), line: String::new(), failure: None, tally };
        tap.write(|writer, line| writer.header(line, &header));
        tap
    }

    /// Why the log has ended before the call. Returned once.
    pub(crate) const fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Writes a line.
    pub(crate) fn write(&mut self, line: impl FnOnce(&LogWriter, &mut String)) {
        let Some(sink) = &mut self.sink else { return };
        self.line.clear();
        line(&self.writer, &mut self.line);
        let written = contained::catch(|| sink.write(&self.line));
        match written.unwrap_or_else(|| Err(io::Error::other(PANICKED))) {
            Ok(()) => self.tally.log_lines.add(1),
            Err(error) => {
                let sink = self.sink.take();
                contained::catch(|| drop(sink));
                self.fail(&error);
                self.failure = Some(error);
            }
        }
        // One retrieved item makes a line of megabytes; the buffer must not stay that large for a whole call.
        self.line.shrink_to(64 * 1024);
    }

    /// Ends the log before the call.
    pub(crate) fn end(&mut self, reason: &str) {
        let sink = self.sink.take();
        contained::catch(|| drop(sink));
        self.fail(&io::Error::other(reason.to_owned()));
    }

    pub(crate) async fn finish(mut self) {
        let Some(sink) = self.sink.take() else { return };
        let finished = AssertUnwindSafe(async move { sink.finish().await }).catch_unwind().await;
        if let Err(error) = finished.unwrap_or_else(|_| Err(io::Error::other(PANICKED))) {
            self.fail(&error);
        }
    }

    fn fail(&self, error: &io::Error) {
        self.tally.log_failed.store(true, Ordering::Relaxed);
        tracing::warn!(%error, "the session log ends here; the session goes on");
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("open", &self.sink.is_some()).finish_non_exhaustive()
    }
}
