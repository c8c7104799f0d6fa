//! What a caller heard, and what the server did wrong: [`Report`].

use std::fmt;
use std::time::Duration;

/// How a call went, as the carrier saw it. `Debug` shows none of the audio.
#[derive(Clone)]
#[non_exhaustive]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// What the caller heard from the beginning of the stream, silence included, at `rate` Hz.
    pub heard: Vec<i16>,
    /// Samples per second (Hz).
    pub rate: u32,
    /// Audio that the server sent.
    pub received: Duration,
    /// Audio of it that sounded.
    pub sounded: Duration,
    /// Audio of it that was dropped since the server asked for that.
    pub dropped: Duration,
    /// How much had sounded each time that the server asked for that.
    pub cleared_at: Vec<Duration>,
    /// The marks that were sent back, in order.
    pub marks: Vec<ReturnedMark>,
    /// Keys that the server sent to the caller's end.
    pub keys: String,
    /// What the server did against the carrier's rules.
    pub violations: Vec<String>,
}

/// A mark that the carrier sent back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReturnedMark {
    /// Its name.
    pub name: String,
    /// How much had sounded then.
    pub sounded: Duration,
    /// Whether it was dropped and not played.
    pub cleared: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The caller hung up.
    HungUp,
    /// The server ended the call.
    ByServer,
    /// The connection died, as the script says.
    Dropped,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("end", &self.end)
            .field("received", &self.received)
            .field("sounded", &self.sounded)
            .field("dropped", &self.dropped)
            .field("cleared_at", &self.cleared_at)
            .field("marks", &self.marks)
            .field("keys", &self.keys)
            .field("violations", &self.violations)
            .finish_non_exhaustive()
    }
}
