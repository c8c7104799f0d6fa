//! How a tool is run: [`ToolPolicy`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a tool is run.
///
/// ```
/// use std::time::Duration;
/// use realtime_context::{OnInterrupt, Reply, ToolPolicy};
///
/// // Booking takes long, must not stop halfway, and the model tells the result whenever it comes.
/// let booking =
///     ToolPolicy::new().timeout(Duration::from_secs(120)).on_interrupt(OnInterrupt::Detach).reply(Reply::Always);
/// assert_eq!(booking.timeout, Some(Duration::from_secs(120)));
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolPolicy {
    /// How long the handler may take before the call is answered as timed out; `None`: no limit. Time that a
    /// call waits for approval or for room does not count. Default: 30 s. While a call runs, the model does
    /// not answer the user.
    pub timeout: Option<Duration>,
    /// What happens to a running call when the user speaks over the assistant. Default: it is cancelled.
    pub on_interrupt: OnInterrupt,
    /// Whether the model speaks about the result. Default: once all calls of a response are answered.
    pub reply: Reply,
    /// How many calls of this tool run at once; the others wait, in the order in which they came. `None`: as
    /// many as the desk allows. Default: `None`.
    pub concurrency: Option<usize>,
    /// What happens to a call that ran in another process, which was killed or moved away. Default: unknown.
    pub on_takeover: OnTakeover,
    /// What the user hears while the handler runs for long. Default: nothing.
    pub filler: Option<Filler>,
}

impl ToolPolicy {
    /// The default policy.
    pub const fn new() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            on_interrupt: OnInterrupt::Cancel,
            reply: Reply::Auto,
            concurrency: None,
            on_takeover: OnTakeover::Unknown,
            filler: None,
        }
    }

    /// Replaces the timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets the handler run for as long as it takes.
    #[must_use]
    pub const fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Replaces what an interruption does.
    #[must_use]
    pub const fn on_interrupt(mut self, on_interrupt: OnInterrupt) -> Self {
        self.on_interrupt = on_interrupt;
        self
    }

    /// Replaces whether the model speaks about the result.
    #[must_use]
    pub const fn reply(mut self, reply: Reply) -> Self {
        self.reply = reply;
        self
    }

    /// Lets this many calls of the tool run at once, at least one.
    #[must_use]
    pub const fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(if calls == 0 { 1 } else { calls });
        self
    }

    /// Replaces what happens to a call of another process.
    #[must_use]
    pub const fn on_takeover(mut self, on_takeover: OnTakeover) -> Self {
        self.on_takeover = on_takeover;
        self
    }

    /// Sets what the user hears while the handler runs for long.
    #[must_use]
    pub fn filler(mut self, filler: Filler) -> Self {
        self.filler = Some(filler);
        self
    }
}

impl Default for ToolPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to a running call when the user speaks over the assistant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnInterrupt {
    /// The handler is dropped and the call answered as cancelled.
    #[default]
    Cancel,
    /// The handler runs on, and its result is the call's output. For tools that change something. The model
    /// does not answer the user before.
    Finish,
    /// The call is answered at once: the result comes later. The handler runs on, and the model reads its
    /// result as a message.
    Detach,
}

/// Whether the model speaks about a result.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// Once all calls of a response are answered, the model is asked for one response. It is not asked after
    /// a cancelled call: the user's words bring the next response.
    #[default]
    Auto,
    /// The result is sent, and the model is not asked to say anything.
    Silent,
    /// As [`Auto`](Self::Auto), and after a cancelled call as well.
    Always,
}

/// What happens to a call that another process ran when it was killed or moved away: nobody knows whether
/// it did its work.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnTakeover {
    /// The model is told that nobody knows.
    #[default]
    Unknown,
    /// It runs again, with the same [key](realtime_protocol::call::FunctionCall::key). For tools that only
    /// look something up.
    Again,
    /// The model is told to ask the user.
    Ask,
}

/// What the user hears while a handler runs for long. It waits while somebody speaks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filler {
    /// The model says a sentence, as a response of its own in the conversation: the user can interrupt it,
    /// and the answer about the function comes after it. A server that refuses it is told by
    /// [`Notice::FunctionFillerRefused`](realtime_protocol::call::Notice::FunctionFillerRefused).
    Sentence {
        /// After how long.
        after: Duration,
        /// What the model is told to say.
        instructions: String,
    },
    /// The application plays a clip: it hears
    /// [`Notice::FunctionFiller`](realtime_protocol::call::Notice::FunctionFiller).
    Clip {
        /// After how long.
        after: Duration,
        /// The clip's name.
        clip: String,
    },
}

impl Filler {
    /// After how long it is due.
    pub const fn after(&self) -> Duration {
        match self {
            Self::Sentence { after, .. } | Self::Clip { after, .. } => *after,
        }
    }
}
