//! A call on its way to another process: [`Suspended`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::call::{Command, CommandId, FunctionCall, FunctionOutput};
use crate::session_config::SessionConfig;

/// The version that this crate writes.
pub(crate) const VERSION: u32 = 1;

/// A call between [`Call::suspend`](crate::call::Call::suspend), or
/// [`Call::snapshot`](crate::call::Call::snapshot), and [`Call::resume`](crate::call::Call::resume).
///
/// It holds the configuration, the contents of pending commands, arguments and outputs of functions, and the
/// tokens of MCP tools: keep it like a key. Its `Debug` shows none of that. Its JSON has a version; a version
/// written by a later release is refused.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub struct Suspended {
    #[serde(deserialize_with = "known_version")]
    pub(crate) version: u32,
    /// Whether the call has ended.
    #[serde(default)]
    pub(crate) is_over: bool,
    /// The configuration, with all changes since the beginning.
    pub(crate) config: Box<SessionConfig>,
    #[serde(default)]
    pub(crate) told_instructions: Option<String>,
    #[serde(default)]
    pub(crate) instructions_changed: bool,
    #[serde(default)]
    pub(crate) functions: Vec<SuspendedFunction>,
    #[serde(default)]
    pub(crate) commands: Vec<SuspendedCommand>,
    #[serde(default)]
    pub(crate) owes: bool,
    #[serde(default)]
    pub(crate) owes_unsent: bool,
    #[serde(default)]
    pub(crate) asks: u8,
    #[serde(default)]
    pub(crate) rounds: u32,
    #[serde(default)]
    pub(crate) in_turn: bool,
    #[serde(default)]
    pub(crate) was_ready: bool,
    #[serde(default)]
    pub(crate) seed_limit: Option<usize>,
    #[serde(default)]
    pub(crate) attempts: u32,
    /// Connections made so far.
    pub(crate) connections: u32,
    pub(crate) own_commands: u64,
    pub(crate) entropy: u64,
    /// Whether the call went on afterwards, and made more ids.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) went_on: bool,
}

/// A function whose output has not reached the server.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub(crate) struct SuspendedFunction {
    pub(crate) call: Arc<FunctionCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<FunctionOutput>,
    #[serde(default)]
    pub(crate) respond: bool,
    #[serde(default)]
    pub(crate) sent: u8,
    #[serde(default)]
    pub(crate) may_have_arrived: bool,
}

/// A command that was not answered.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub(crate) struct SuspendedCommand {
    pub(crate) id: CommandId,
    pub(crate) command: Command,
    #[serde(default)]
    pub(crate) sent: u8,
    #[serde(default)]
    pub(crate) may_have_arrived: bool,
}

impl Suspended {
    /// The commands that are not answered yet. Each is answered once after the call is resumed. Ids of new
    /// commands must differ from theirs.
    pub fn waiters(&self) -> impl Iterator<Item = CommandId> {
        self.commands.iter().map(|command| command.id)
    }

    /// The function calls that the application was told of and that have no output. Functions that run may
    /// keep running. Answer each with [`Command::AnswerFunction`] once the call is resumed.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionCall> {
        self.functions.iter().filter(|function| function.output.is_none()).map(|function| &*function.call)
    }

    /// Replaces the function calls that have no output, for a call of which something else than this knows
    /// more, such as a journal of what its functions did. What this knows of other functions is forgotten.
    #[must_use]
    pub fn with_functions(mut self, calls: impl IntoIterator<Item = FunctionCall>) -> Self {
        let open = |call| SuspendedFunction {
            call: Arc::new(call),
            output: None,
            respond: false,
            sent: 0,
            may_have_arrived: false,
        };
        self.functions = calls.into_iter().map(open).collect();
        self
    }

    /// Has the model owe a response, for a call of which something else than this knows that its last one was
    /// not heard to the end. A call that attaches asks for none: its session goes on.
    #[must_use]
    pub const fn owing(mut self) -> Self {
        self.owes = true;
        self
    }

    /// The configuration, with all changes since the beginning.
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Returns whether the call had ended or was about to end. Such a call does nothing when it is resumed.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended")
            .field("version", &self.version)
            .field("is_over", &self.is_over)
            .field("functions", &self.functions.len())
            .field("commands", &self.commands.len())
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if (1..=VERSION).contains(&version) {
        return Ok(version);
    }
    let expected =
        alloc::format!("expected version 1 to {VERSION}, got {version}: written by a later release");
    Err(serde::de::Error::custom(expected))
}
