//! What a caller has to send, and what happens to it: [`CallerOutput`].

use std::fmt;

use realtime_protocol::time::MediaTime;

use crate::carrier::Outgoing;

/// What a [`Caller`](super::Caller) puts out.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallerOutput {
    /// Send this to the server.
    Send(Outgoing),
    /// This happened.
    Event(CallerEvent),
}

/// What happens to a caller. `Debug` shows neither audio nor keys.
#[non_exhaustive]
pub enum CallerEvent {
    /// 20 ms have passed on the line.
    Ticked(Tick),
    /// A mark of the server is sent back, where the carrier does so.
    Mark {
        /// Its name.
        name: String,
        /// How much of the server's audio had sounded then, in the whole call.
        sounded: MediaTime,
        /// Whether what was before it was dropped and not played.
        was_cleared: bool,
    },
    /// The server had the audio dropped that was not yet played.
    Cleared {
        /// How much of the server's audio had sounded then, in the whole call.
        sounded: MediaTime,
        /// How much was dropped.
        dropped: MediaTime,
    },
    /// The server sends keys to the caller's end.
    Keys(String),
    /// The server does something against the carrier's rules: what, in words. The call goes on, unless the
    /// carrier would end it.
    Violation(String),
    /// The call is over. Once: what comes afterwards is not told.
    Ended(CallerEnd),
}

/// 20 ms of a call, at the caller's rate: as many samples both ways.
#[derive(Clone)]
#[non_exhaustive]
pub struct Tick {
    /// What the caller says, silence included.
    pub said: Vec<i16>,
    /// What the caller hears, silence included.
    pub heard: Vec<i16>,
    /// How many of the heard samples the server sent. The rest is silence because there was nothing to play.
    pub sounded: usize,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallerEnd {
    /// The caller hung up.
    HungUp,
    /// The server ended the call, or is gone.
    ByServer,
    /// The carrier ended the call, since the server broke a rule: a violation says which.
    ByCarrier,
}

impl fmt::Debug for CallerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticked(tick) => f.debug_tuple("Ticked").field(tick).finish(),
            Self::Mark { name, sounded, was_cleared } => f
                .debug_struct("Mark")
                .field("name", name)
                .field("sounded", sounded)
                .field("was_cleared", was_cleared)
                .finish(),
            Self::Cleared { sounded, dropped } => {
                f.debug_struct("Cleared").field("sounded", sounded).field("dropped", dropped).finish()
            }
            Self::Keys(keys) => write!(f, "Keys({})", keys.len()),
            Self::Violation(what) => f.debug_tuple("Violation").field(what).finish(),
            Self::Ended(end) => f.debug_tuple("Ended").field(end).finish(),
        }
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tick").field("sounded", &self.sounded).finish_non_exhaustive()
    }
}
