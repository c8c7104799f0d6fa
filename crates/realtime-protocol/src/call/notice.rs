//! What the driver and listeners tell an application, besides the events of the state machines.

use alloc::string::String;
use alloc::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::call::shown::shown_without_content;
use crate::call::{FunctionCall, Refusal};

/// What the driver or a [`Listener`](crate::call::Listener) tells the application. The state machines never
/// emit it, so it is in no session log.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The session log could not be written any further. The log ends, and the call goes on.
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
    /// Listeners made more than [`MOST_ASKED`](crate::call::MOST_ASKED) requests in a row: they answer each
    /// other.
    ListenersStopped {
        /// How many requests were dropped.
        dropped: usize,
    },
    /// A function runs.
    FunctionStarted {
        /// The call.
        call: Arc<FunctionCall>,
    },
    /// A function tells how far it is.
    FunctionProgress {
        /// The call.
        call: Arc<FunctionCall>,
        /// What it tells.
        progress: Value,
    },
    /// A function runs for long: play this clip to the user.
    FunctionFiller {
        /// The call.
        call: Arc<FunctionCall>,
        /// The clip's name.
        clip: String,
    },
    /// The application read so slowly that the call ended, and not all of its last events fitted into the
    /// queue. Only [`Event::Closed`](crate::call::Event::Closed) follows.
    EventsDropped {
        /// How many events were dropped.
        events: u64,
    },
}

shown_without_content!(Notice);

fn text<T: core::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
