//! A session log in a file: [`FileLog`].

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use futures_util::future::BoxFuture;
use realtime_protocol::log::{Filter, Header, LogContent};
use tokio::sync::oneshot;

use crate::tap::LogSink;

/// A session log in a file, written by a separate thread, so that neither the disk nor a [`Filter`] delays
/// the call.
///
/// ```no_run
/// use realtime_client::{ClientOptions, FileLog};
/// use realtime_protocol::log::{Filter, LogContent};
///
/// // What happened and when, and nothing of what was said.
/// let log = FileLog::create("call.jsonl")?.filter(Filter::new(LogContent::Metadata))?;
/// let options = ClientOptions::default().log(log);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FileLog {
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is written yet, and the files' old contents are still there.
    Blank {
        pen: Pen,
        direct: bool,
    },
    Direct(Pen),
    Thread {
        lines: SyncSender<String>,
        /// Bytes of the lines that wait.
        waiting: Arc<AtomicUsize>,
        /// The result, once the last line is written.
        ended: oneshot::Receiver<io::Result<()>>,
    },
    /// It could not begin.
    Failed,
}

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 16_384;
/// Bytes that they may have before another one is added.
const MOST_BYTES: usize = 32 * 1024 * 1024;

impl FileLog {
    /// A log in this file, which must be writable. An older log is replaced when the first line is written,
    /// once there is a connection. If the disk falls 16,384 lines or 32 MiB behind, the log ends.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), false)
    }

    /// The same, written within the client's task and without a thread, so that a run on paused time is the
    /// same every time. Each session on that runtime waits for the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn direct(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), true)
    }

    fn open(path: &Path, direct: bool) -> io::Result<Self> {
        let pen = Pen { lines: writer(path)?, aside: None, filter: Filter::default(), audio: Vec::new() };
        Ok(Self { path: path.to_owned(), state: State::Blank { pen, direct } })
    }

    /// Writes the log through a filter. With [`LogContent::AudioAside`] the audio goes to a file with the
    /// same name plus `.audio`.
    ///
    /// # Errors
    /// The file for the audio cannot be written.
    pub fn filter(mut self, filter: Filter) -> io::Result<Self> {
        if let State::Blank { pen, .. } = &mut self.state {
            let aside = filter.content() == LogContent::AudioAside;
            pen.aside = if aside { Some(writer(&audio_path(&self.path))?) } else { None };
            pen.filter = filter;
        }
        Ok(self)
    }

    /// Begins to write.
    fn begin(&mut self) -> io::Result<()> {
        let State::Blank { mut pen, direct } = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(io::Error::other("the log could not begin"));
        };
        pen.begin()?;
        self.state = if direct { State::Direct(pen) } else { start(pen)? };
        Ok(())
    }
}

/// The file beside a log with its audio as raw bytes, if the log's
/// [`content`](realtime_protocol::log::Header::content) says so.
pub fn audio_path(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".audio");
    path.into()
}

impl LogSink for FileLog {
    fn describe(&self, header: &mut Header) {
        let State::Blank { pen, .. } = &self.state else { return };
        header.content = pen.filter.content();
        if pen.filter.is_redacted() {
            header.redacted.push("what the application takes out".to_owned());
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if matches!(self.state, State::Blank { .. } | State::Failed) {
            self.begin()?;
        }
        match &mut self.state {
            State::Direct(pen) => pen.write(line),
            State::Thread { lines, waiting, ended } => {
                let slow = || io::Error::other("the disk is too slow for the log");
                if waiting.load(Ordering::Relaxed) > MOST_BYTES {
                    return Err(slow());
                }
                waiting.fetch_add(line.len(), Ordering::Relaxed);
                match lines.try_send(line.to_owned()) {
                    Ok(()) => Ok(()),
                    Err(TrySendError::Full(_)) => {
                        waiting.fetch_sub(line.len(), Ordering::Relaxed);
                        Err(slow())
                    }
                    Err(TrySendError::Disconnected(_)) => {
                        let failure = ended.try_recv().ok().and_then(Result::err);
                        self.state = State::Failed;
                        Err(failure.unwrap_or_else(not_whole))
                    }
                }
            }
            State::Blank { .. } | State::Failed => Err(io::Error::other("the log could not begin")),
        }
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        match self.state {
            State::Blank { .. } | State::Failed => Box::pin(std::future::ready(Ok(()))),
            State::Direct(mut pen) => Box::pin(std::future::ready(pen.flush())),
            State::Thread { lines, ended, .. } => {
                // The thread ends when it has written what waits.
                drop(lines);
                Box::pin(async move { ended.await.unwrap_or_else(|_| Err(not_whole())) })
            }
        }
    }
}

/// Writes the files.
#[derive(Debug)]
struct Pen {
    lines: BufWriter<File>,
    aside: Option<BufWriter<File>>,
    filter: Filter,
    /// The audio of one line.
    audio: Vec<u8>,
}

impl Pen {
    /// Replaces the files' old contents.
    fn begin(&mut self) -> io::Result<()> {
        for file in std::iter::once(&self.lines).chain(&self.aside) {
            // A pipe or the like has no length.
            if file.get_ref().metadata()?.is_file() {
                file.get_ref().set_len(0)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.audio.clear();
        let kept = self.filter.line(line, &mut self.audio);
        self.lines.write_all(kept.as_bytes())?;
        self.lines.write_all(b"\n")?;
        match &mut self.aside {
            Some(aside) => aside.write_all(&self.audio),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // The audio first, so that no line names audio that is not there.
        if let Some(aside) = &mut self.aside {
            aside.flush()?;
        }
        self.lines.flush()
    }

    /// Writes until the log is finished or dropped, and leaves nothing in the buffers while there is nothing
    /// to do.
    fn write_all(mut self, lines: &Receiver<String>, waiting: &AtomicUsize) -> io::Result<()> {
        while let Ok(first) = lines.recv() {
            for line in std::iter::once(first).chain(lines.try_iter()) {
                self.write(&line)?;
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
            }
            self.flush()?;
        }
        Ok(())
    }
}

fn start(pen: Pen) -> io::Result<State> {
    let (lines, receiver) = sync_channel(MOST_WAITING);
    let waiting = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&waiting);
    let (end, ended) = oneshot::channel();
    thread::Builder::new().name("realtime-log".to_owned()).spawn(move || {
        // Sent before the receiver of the lines is dropped. If the client's task was aborted, nothing waits
        // for it.
        let _ = end.send(pen.write_all(&receiver, &counter));
    })?;
    Ok(State::Thread { lines, waiting, ended })
}

fn writer(path: &Path) -> io::Result<BufWriter<File>> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path).map(BufWriter::new)
}

fn not_whole() -> io::Error {
    io::Error::other("the log is not whole")
}
