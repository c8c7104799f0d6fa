//! What an application is told besides the machines' events, by the driver and by listeners.

use alloc::string::String;

use serde::{Serialize, Serializer};

use crate::call::Refusal;

/// What the driver or a [`Listener`](crate::call::Listener) tells the application. The machines never say it,
/// so that it is in no session log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The session log could not be written any further: it ends, and the call goes on.
    LogFailed {
        /// What happened.
        reason: String,
    },
    /// A command that a listener asked for was refused at once.
    Refused {
        /// The command's name.
        command: &'static str,
        /// Why.
        #[serde(serialize_with = "text")]
        reason: Refusal,
    },
    /// Listeners asked for more in a row than [`MOST_ASKED`](crate::call::MOST_ASKED): they answer each
    /// other.
    ListenersStopped {
        /// How much was dropped.
        dropped: usize,
    },
    /// The application read so slowly that the call ended, and left no room for all that its end had to tell.
    /// Nothing but [`Event::Closed`](crate::call::Event::Closed) follows.
    EventsDropped {
        /// How many events were dropped.
        events: u64,
    },
}

fn text<T: core::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
