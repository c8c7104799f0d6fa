//! Writes to standard output from a thread that may wait: [`Terminal`].
//!
//! A terminal that was stopped, or a slow pipe, must not make the call's task wait. What does not fit is left
//! out.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// How many pieces of text may wait.
const ROOM: usize = 1_024;

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Terminal {
    texts: SyncSender<Option<String>>,
    thread: JoinHandle<()>,
}

/// Gives texts to the terminal. It never waits.
#[derive(Clone, Debug)]
pub(super) struct Writer(SyncSender<Option<String>>);

impl Terminal {
    /// # Errors
    /// There is no thread.
    pub(super) fn new() -> io::Result<Self> {
        let (texts, to_write) = sync_channel(ROOM);
        let thread = Builder::new().name("terminal".to_owned()).spawn(move || write(&to_write))?;
        Ok(Self { texts, thread })
    }

    pub(super) fn writer(&self) -> Writer {
        Writer(self.texts.clone())
    }

    /// Writes what waits.
    pub(super) fn close(self) {
        // If it has ended, it has nothing to write.
        let _ = self.texts.send(None);
        let _ = self.thread.join();
    }
}

impl Writer {
    /// A writer for a test, and what it is given.
    #[cfg(test)]
    pub(super) fn pair() -> (Self, Receiver<Option<String>>) {
        let (texts, written) = sync_channel(ROOM);
        (Self(texts), written)
    }

    pub(super) fn write(&self, text: String) {
        let _ = self.0.try_send(Some(text));
    }
}

/// Writes until it is told to end, or until nobody reads any more.
fn write(texts: &Receiver<Option<String>>) {
    let mut out = io::stdout();
    while let Ok(Some(text)) = texts.recv() {
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
