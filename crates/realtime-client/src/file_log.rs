//! A session log in a file: [`FileLog`].

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_util::future::BoxFuture;
use realtime_protocol::log::{Filter, Header, LogContent};
use tokio::sync::oneshot;

use crate::tap::LogSink;

/// A session log in a file, written from a thread of its own: neither the disk nor a [`Filter`] costs the call time.
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
    filter: Option<Filter>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is written yet, and what the files held before is still there.
    Blank {
        pen: Pen,
        direct: bool,
    },
    Direct(Pen),
    Thread {
        work: SyncSender<Work>,
        failure: Arc<Mutex<Option<io::Error>>>,
    },
    /// It could not begin.
    Failed,
}

enum Work {
    Line(String),
    Finish(oneshot::Sender<()>),
}

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 16_384;

impl FileLog {
    /// A log in that file, which must be writable. An older one is replaced when the first line is written, once there
    /// is a connection. A disk that stays 16,384 lines behind ends the log.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), false)
    }

    /// The same, written within the client's task: no thread takes part, so that a run on paused time stays the same
    /// every time. Each session on that runtime waits for the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn direct(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), true)
    }

    fn open(path: &Path, direct: bool) -> io::Result<Self> {
        let pen = Pen { lines: writer(path)?, aside: None, filter: Filter::default(), audio: Vec::new() };
        Ok(Self { path: path.to_owned(), filter: None, state: State::Blank { pen, direct } })
    }

    /// Leaves out what the filter leaves out. With [`LogContent::AudioAside`] the audio goes to a file of the same name
    /// with `.audio` behind it.
    ///
    /// # Errors
    /// The file for the audio cannot be written.
    pub fn filter(mut self, filter: Filter) -> io::Result<Self> {
        if let State::Blank { pen, .. } = &mut self.state {
            let aside = filter.content() == LogContent::AudioAside;
            pen.aside = if aside { Some(writer(&audio_path(&self.path))?) } else { None };
        }
        self.filter = Some(filter);
        Ok(self)
    }

    /// Begins to write.
    fn begin(&mut self) -> io::Result<()> {
        let State::Blank { mut pen, direct } = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(io::Error::other("the log could not begin"));
        };
        pen.filter = self.filter.take().unwrap_or_default();
        pen.begin()?;
        self.state = if direct { State::Direct(pen) } else { start(pen)? };
        Ok(())
    }
}

/// The file beside a log that holds its audio as raw bytes, where the log's
/// [`content`](realtime_protocol::log::Header::content) says so.
pub fn audio_path(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".audio");
    path.into()
}

impl LogSink for FileLog {
    fn describe(&self, header: &mut Header) {
        let Some(filter) = &self.filter else { return };
        header.content = filter.content();
        if filter.is_redacted() {
            header.redacted.push("what the application takes out".to_owned());
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if matches!(self.state, State::Blank { .. } | State::Failed) {
            self.begin()?;
        }
        match &mut self.state {
            State::Direct(pen) => pen.write(line),
            State::Thread { work, failure } => match work.try_send(Work::Line(line.to_owned())) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err(io::Error::other("the disk is too slow for the log")),
                Err(TrySendError::Disconnected(_)) => Err(taken(failure)),
            },
            State::Blank { .. } | State::Failed => Err(io::Error::other("the log could not begin")),
        }
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        match self.state {
            State::Blank { .. } | State::Failed => Box::pin(std::future::ready(Ok(()))),
            State::Direct(mut pen) => Box::pin(std::future::ready(pen.flush())),
            State::Thread { work, failure } => Box::pin(async move {
                let (done, finished) = oneshot::channel();
                let sent = work.try_send(Work::Finish(done)).is_ok();
                drop(work);
                if sent && finished.await.is_ok() { Ok(()) } else { Err(taken(&failure)) }
            }),
        }
    }
}

/// What writes.
#[derive(Debug)]
struct Pen {
    lines: BufWriter<File>,
    aside: Option<BufWriter<File>>,
    filter: Filter,
    /// The audio of one line.
    audio: Vec<u8>,
}

impl Pen {
    /// Replaces what the files held before.
    fn begin(&mut self) -> io::Result<()> {
        for file in std::iter::once(&self.lines).chain(&self.aside) {
            // What is no file, as a pipe, has no length.
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
        // The audio first, so that no line names what is not there.
        if let Some(aside) = &mut self.aside {
            aside.flush()?;
        }
        self.lines.flush()
    }

    /// Writes until the log is finished or dropped, and leaves nothing in the buffers while there is nothing to do.
    fn write_all(mut self, lines: &Receiver<Work>) -> io::Result<()> {
        while let Ok(first) = lines.recv() {
            for work in std::iter::once(first).chain(lines.try_iter()) {
                match work {
                    Work::Line(line) => self.write(&line)?,
                    Work::Finish(done) => {
                        self.flush()?;
                        // Nobody waits any more where the client's task was cut off.
                        let _ = done.send(());
                        return Ok(());
                    }
                }
            }
            self.flush()?;
        }
        Ok(())
    }
}

fn start(pen: Pen) -> io::Result<State> {
    let (work, lines) = sync_channel(MOST_WAITING);
    let failure = Arc::new(Mutex::new(None));
    let report = Arc::clone(&failure);
    thread::Builder::new().name("realtime-log".to_owned()).spawn(move || {
        if let Err(error) = pen.write_all(&lines) {
            *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    })?;
    Ok(State::Thread { work, failure })
}

fn writer(path: &Path) -> io::Result<BufWriter<File>> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path).map(BufWriter::new)
}

fn taken(failure: &Mutex<Option<io::Error>>) -> io::Error {
    let error = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.unwrap_or_else(|| io::Error::other("the log is not whole"))
}
