//! A server for a test: [`Emulator::spawn`] runs it beside the test and tells what clients sent.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::options::Options;
use crate::server::Emulator;

/// The most texts that are kept.
const MOST: usize = 100_000;
/// The most bytes of them: about ten minutes of a caller's audio.
const MOST_BYTES: usize = 64 << 20;

/// A server that runs in a task of its own. It ends when this is dropped.
///
/// `Debug` shows none of what was received.
#[must_use = "the server ends when this is dropped"]
pub struct Spawned {
    url: String,
    pub(crate) options: Options,
    received: Received,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What clients sent, oldest first. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    more: Notify,
}

#[derive(Default)]
struct Kept {
    texts: VecDeque<String>,
    bytes: usize,
}

impl Emulator {
    /// Serves on a free port of this machine, in a task of this runtime, and keeps what clients send.
    ///
    /// ```
    /// use realtime_emulator::{Emulator, Options};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let emulator = Emulator::spawn(Options::default()).await?;
    /// assert!(emulator.url().starts_with("ws://127.0.0.1:"));
    /// // … a client connects there, and sends …
    /// assert!(emulator.received().is_empty());
    /// emulator.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`io::Error`]: no port is free.
    pub async fn spawn(mut options: Options) -> io::Result<Spawned> {
        let received = Received::default();
        options.received = Some(received.clone());
        let emulator = Self::bind((Ipv4Addr::LOCALHOST, 0), options.clone()).await?;
        let (stop, stopped) = oneshot::channel();
        let url = emulator.url();
        let task = tokio::spawn(emulator.serve(async {
            // Dropped or told: both end it.
            let _ = stopped.await;
        }));
        Ok(Spawned { url, options, received, stop, task })
    }
}

impl Spawned {
    /// The URL for clients, without the model.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The events that clients sent so far, of all connections in the order in which they came. A text that
    /// is no JSON is a string. Of very many the newest are kept: 100,000, and 64 MiB.
    pub fn received(&self) -> Vec<Value> {
        let read = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        self.received.kept().texts.iter().map(read).collect()
    }

    /// Those of one type, such as `response.create`.
    pub fn received_of(&self, kind: &str) -> Vec<Value> {
        let mut events = self.received();
        events.retain(|event| event["type"] == kind);
        events
    }

    /// Waits until so many events of this type have come, and returns them. Without them it waits for ever:
    /// put a `timeout` around it.
    pub async fn receives(&self, kind: &str, times: usize) -> Vec<Value> {
        loop {
            let more = self.received.0.more.notified();
            let events = self.received_of(kind);
            if events.len() >= times {
                return events;
            }
            more.await;
        }
    }

    /// Closes all connections, and waits until they are gone, for five seconds at the most.
    pub async fn stop(self) {
        let Self { stop, task, .. } = self;
        // It may have ended already.
        let _ = stop.send(());
        let _ = task.await;
    }
}

impl Received {
    pub(crate) fn came(&self, text: &str) {
        let mut kept = self.kept();
        kept.bytes += text.len();
        kept.texts.push_back(text.to_owned());
        while kept.texts.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.texts.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        drop(kept);
        self.0.more.notify_waiters();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("texts", &self.kept().texts.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let received = Received::default();
        let large = "x".repeat(MOST_BYTES / 2);
        ["a", &large, &large, "b"].into_iter().for_each(|text| received.came(text));
        let kept = received.kept();
        let lengths: Vec<usize> = kept.texts.iter().map(String::len).collect();
        assert_eq!((lengths, kept.bytes), (vec![large.len(), 1], large.len() + 1));
    }
}
