//! What the driver and listeners tell an application, besides the events of the state machines.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::call::shown::shown_without_content;
use crate::call::{FunctionCall, Refusal};
use crate::id::ResponseId;

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
    /// What the application gave the client to run panicked: a listener, a guard, what reseeds, or a hook of
    /// these. It is not called again, and the call ends as
    /// [`CloseReason::Panicked`](crate::call::CloseReason::Panicked).
    Panicked {
        /// What it was: `listener 1` is the first one in the options.
        what: String,
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
    /// A sentence that the model was to say while a function runs for long was refused: play something to the
    /// user.
    FunctionFillerRefused {
        /// The call.
        call: Arc<FunctionCall>,
        /// Why.
        reason: String,
    },
    /// A hosted MCP server could not list its tools: the model has none of them. The service asks it again
    /// when it is declared again.
    HostedToolsFailed {
        /// The MCP server's label; `None`: the service did not say which one.
        server_label: Option<String>,
    },
    /// A call that the service made to a hosted MCP server failed. The model knows.
    HostedCallFailed {
        /// The MCP server's label.
        server_label: String,
        /// The tool's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The service asked whether it may call a tool of a hosted MCP server, and was answered.
    HostedApproval {
        /// The MCP server's label.
        server_label: String,
        /// The tool's name.
        name: String,
        /// Whether it may.
        approved: bool,
        /// Why not.
        reason: Option<String>,
    },
    /// An MCP server on this side has ended, can't be reached, or does not list its tools. Its tools stay
    /// declared, and answer that they can't run.
    McpServerFailed {
        /// The MCP server's name here.
        server: String,
        /// What happened.
        reason: String,
    },
    /// An MCP server on this side has a new tool that can't be declared: its name is taken, or the service
    /// would refuse it.
    McpToolRefused {
        /// The MCP server's name here.
        server: String,
        /// The tool's name.
        name: String,
        /// What was expected and what to do.
        reason: String,
    },
    /// Another agent speaks.
    AgentChanged {
        /// The agent that spoke.
        from: String,
        /// The agent that speaks.
        to: String,
        /// Whether it speaks with the session's voice instead of its own: a voice can't change after
        /// something was spoken.
        keeps_voice: bool,
    },
    /// A guard stopped what the assistant said.
    GuardInterrupted {
        /// The response.
        response_id: ResponseId,
    },
    /// Something of the conversation is not on the server, or not whole: no item can be made of it, or the
    /// server refused the item.
    NotSynced {
        /// The entry of the conversation's log.
        entry: u64,
        /// Why.
        reason: String,
    },
    /// The model was told a history and asked for audio, and answered in text.
    AnsweredInText {
        /// The response.
        response_id: ResponseId,
        /// Whether the history is told in another way and the answer asked for again.
        asked_again: bool,
    },
    /// The conversation had more tokens than it may, and was made smaller. Entries are those of its log.
    Pruned {
        /// Entries that are gone.
        dropped: Vec<u64>,
        /// Entries whose audio is told as text.
        as_text: Vec<u64>,
        /// The summary that stands for entries that are gone.
        summary: Option<u64>,
    },
    /// The call has spent most of what it may: money or time.
    BudgetNearlySpent {
        /// The share that is spent (%).
        percent: u32,
    },
    /// The call has spent what it may. It ends, after its last words if there are any.
    BudgetSpent {},
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
