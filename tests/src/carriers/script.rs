//! What a caller does: [`Step`]s, one after the other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// One thing that a caller does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Says this, at the carrier's rate, and goes on at once.
    Say(Vec<i16>),
    /// Waits until what was said has been sent.
    Spoken,
    /// Waits until so much more audio of the server has sounded.
    Hear(Duration),
    /// Waits until the server has been silent for so long.
    Silence(Duration),
    /// Waits until the server has dropped what it had sent, so many times in all.
    Cleared(usize),
    /// Waits.
    Wait(Duration),
    /// Waits until somebody else says so.
    Until(Arc<AtomicBool>),
    /// Says to somebody else that the script is here.
    Tell(Arc<AtomicBool>),
    /// Presses keys.
    Keys(String),
    /// Sends a text as it is, whatever it is.
    Raw(String),
    /// The connection dies: no goodbye.
    Drop,
    /// Hangs up.
    HangUp,
    /// Waits until the server has hung up.
    Stay,
}

impl Step {
    /// Says this, at the carrier's rate.
    pub const fn say(samples: Vec<i16>) -> Self {
        Self::Say(samples)
    }

    /// Waits until so much more audio of the server has sounded.
    pub const fn hear(time: Duration) -> Self {
        Self::Hear(time)
    }

    /// Hangs up.
    pub const fn hang_up() -> Self {
        Self::HangUp
    }
}
