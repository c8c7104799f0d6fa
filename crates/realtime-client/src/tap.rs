//! The session log's way out of the client: [`LogSink`], its implementations, and the driver's tap.
//!
//! A sink that fails ends the log and never the call.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use futures_util::future::BoxFuture;
use realtime_protocol::log::{Header, LogWriter};
use tokio::sync::oneshot;

use crate::counters::Tally;

/// Where the lines of a session log go.
pub trait LogSink: Send {
    /// Takes one line, line feed included. Called from the client's task, between reading the socket and
    /// telling the application: it must not take long.
    ///
    /// # Errors
    /// Any error ends the log. The session goes on.
    fn write(&mut self, line: &str) -> io::Result<()>;

    /// Ends the log: the future is done when all lines are where they belong. The client's
    /// [`Events`](crate::Events) end after it.
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

/// A session log in a file.
#[derive(Debug)]
pub struct FileLog(Writing);

#[derive(Debug)]
enum Writing {
    Direct(BufWriter<File>),
    Thread { work: SyncSender<Work>, failure: Arc<Mutex<Option<io::Error>>> },
}

enum Work {
    Line(String),
    Finish(oneshot::Sender<()>),
}

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 16_384;

impl FileLog {
    /// Creates the file, replacing an older one, and writes it from a thread of its own. A disk that stays
    /// 16,384 lines behind ends the log.
    ///
    /// # Errors
    /// The file cannot be created, or no thread can be had.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let (work, lines) = sync_channel(MOST_WAITING);
        let failure = Arc::new(Mutex::new(None));
        let report = Arc::clone(&failure);
        thread::Builder::new().name("realtime-log".to_owned()).spawn(move || {
            if let Err(error) = write_all(file, &lines) {
                *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        })?;
        Ok(Self(Writing::Thread { work, failure }))
    }

    /// Creates the file, replacing an older one, and writes it within the client's task: no thread takes
    /// part, so that a run on paused time stays the same every time. Each session on that runtime waits for
    /// the disk.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn direct(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(Writing::Direct(BufWriter::new(File::create(path)?))))
    }
}

impl LogSink for FileLog {
    fn write(&mut self, line: &str) -> io::Result<()> {
        match &mut self.0 {
            Writing::Direct(file) => file.write_all(line.as_bytes()),
            Writing::Thread { work, failure } => match work.try_send(Work::Line(line.to_owned())) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err(io::Error::other("the disk is too slow for the log")),
                Err(TrySendError::Disconnected(_)) => Err(taken(failure)),
            },
        }
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        match self.0 {
            Writing::Direct(mut file) => Box::pin(std::future::ready(file.flush())),
            Writing::Thread { work, failure } => Box::pin(async move {
                let (done, finished) = oneshot::channel();
                let sent = work.try_send(Work::Finish(done)).is_ok();
                drop(work);
                if sent && finished.await.is_ok() { Ok(()) } else { Err(taken(&failure)) }
            }),
        }
    }
}

/// Writes until the log is finished or dropped, and leaves nothing in the buffer while there is nothing to do.
fn write_all(mut file: BufWriter<File>, lines: &Receiver<Work>) -> io::Result<()> {
    while let Ok(first) = lines.recv() {
        for work in std::iter::once(first).chain(lines.try_iter()) {
            match work {
                Work::Line(line) => file.write_all(line.as_bytes())?,
                Work::Finish(done) => {
                    file.flush()?;
                    // Nobody waits any more where the client's task was cut off.
                    let _ = done.send(());
                    return Ok(());
                }
            }
        }
        file.flush()?;
    }
    Ok(())
}

fn taken(failure: &Mutex<Option<io::Error>>) -> io::Error {
    let error = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.unwrap_or_else(|| io::Error::other("the log is not whole"))
}

/// The driver's pen: one line per input and output, written through [`LogWriter`].
pub(crate) struct Tap {
    writer: LogWriter,
    sink: Option<Box<dyn LogSink>>,
    line: String,
    tally: Arc<Tally>,
}

impl Tap {
    /// Begins a log with its header.
    pub(crate) fn new(sink: Box<dyn LogSink>, header: &Header, tally: Arc<Tally>) -> Self {
        let mut tap = Self { writer: LogWriter::default(), sink: Some(sink), line: String::new(), tally };
        tap.write(|writer, line| writer.header(line, header));
        tap
    }

    /// Writes a line.
    pub(crate) fn write(&mut self, line: impl FnOnce(&LogWriter, &mut String)) {
        let Some(sink) = &mut self.sink else { return };
        self.line.clear();
        line(&self.writer, &mut self.line);
        match sink.write(&self.line) {
            Ok(()) => self.tally.log_lines.add(1),
            Err(error) => {
                self.sink = None;
                self.fail(&error);
            }
        }
        // One retrieved item makes a line of megabytes; the buffer must not stay so for a whole call.
        self.line.shrink_to(64 * 1024);
    }

    pub(crate) async fn finish(mut self) {
        let Some(sink) = self.sink.take() else { return };
        if let Err(error) = sink.finish().await {
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
