//! Brains: they decide what the emulator hears and says.
//!
//! A [`Brain`] is pure: it is asked, and it answers at once. The connection decides when and how the answer
//! goes over the wire.

mod parrot;
pub mod script;

use std::time::Duration;

use realtime_protocol::field::RawJson;
use realtime_protocol::id::{CallId, ItemId};
use realtime_protocol::item::{McpError, McpListedTool};
use realtime_protocol::response::{ResponseParams, StatusReason};
use realtime_protocol::session_config::{Modality, SessionConfig};
use realtime_protocol::time::MediaTime;
use realtime_protocol::tool::{AllowedTools, McpTool, SpecificTool, Tool, ToolChoice, ToolMode};

use crate::disaster::Disaster;

pub use parrot::Parrot;
pub use script::{Script, ScriptError};

/// What stands in for the model, one for each connection.
pub trait Brain: Send {
    /// The answer to a turn: called once for each response, when it starts.
    fn reply(&mut self, turn: &Turn<'_>) -> Reply;

    /// What the user said: called once for each piece of speech, before [`reply`](Self::reply) is asked to
    /// answer it. `None` says only how long it was: `speech, 1840 ms`.
    fn transcript(&mut self, speech: &Speech<'_>) -> Option<String> {
        let _ = speech;
        None
    }

    /// Returns whether the user has finished. Semantic turn detection asks this in a pause. Default: yes.
    fn is_finished(&mut self, speech: &Speech<'_>) -> bool {
        let _ = speech;
        true
    }

    /// The tools of an MCP server that a session names. An error says why they cannot be listed.
    ///
    /// Default: those that `allowed_tools` names.
    ///
    /// # Errors
    /// Any text: it is the reason for `mcp_list_tools.failed`.
    fn mcp_tools(&mut self, server: &McpTool) -> Result<Vec<McpListedTool>, String> {
        let schema = || RawJson::from(serde_json::json!({"type": "object"}));
        let named = |name: &str| McpListedTool::default().name(name).input_schema(schema());
        Ok(allowed_names(server).map(named).collect())
    }
}

/// The names that an MCP server's `allowed_tools` gives.
fn allowed_names(server: &McpTool) -> impl Iterator<Item = &str> {
    let names = match server.allowed_tools.value().map(|tools| &**tools) {
        Some(AllowedTools::Names(names)) => names.as_slice(),
        Some(AllowedTools::Filter(filter)) => filter.tool_names.value().map_or(&[][..], Vec::as_slice),
        None => &[],
    };
    names.iter().map(String::as_str)
}

/// A response that is asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Turn<'a> {
    /// What it answers.
    pub trigger: Trigger<'a>,
    /// The session as it is configured now.
    pub session: &'a SessionConfig,
    /// The parameters of `response.create`. Empty if the server created the response itself.
    pub params: &'a ResponseParams,
}

/// What a response answers: the newest input since the last response.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Trigger<'a> {
    /// The user spoke.
    Speech {
        /// The sound.
        speech: Speech<'a>,
        /// The result of [`Brain::transcript`], or the speech's length in words.
        transcript: &'a str,
    },
    /// The user wrote.
    Text(&'a str),
    /// Function calls returned, in the order in which their outputs came.
    ToolOutputs(&'a [ToolOutput]),
    /// The user allowed or forbade a call to an MCP server.
    Approval(&'a McpApproval),
    /// The user was silent for the session's `idle_timeout_ms`.
    Idle,
    /// Nothing new: a bare `response.create`.
    Request,
}

/// A piece of the user's speech.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Speech<'a> {
    /// The item that holds it.
    pub item_id: &'a ItemId,
    /// Mono samples at 24,000 Hz, whatever the session's input format is; padding and closing silence
    /// included.
    pub samples: &'a [i16],
}

/// What a function call returned.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ToolOutput {
    /// The call.
    pub call_id: CallId,
    /// The function's name. Empty if the conversation does not have the call.
    pub name: String,
    /// The result: JSON by custom.
    pub output: String,
}

/// A call to an MCP server that the user was asked about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct McpApproval {
    /// The call.
    pub call: McpCall,
    /// The item that asked.
    pub request_id: ItemId,
    /// Whether it is allowed.
    pub approve: bool,
}

/// A call to an MCP server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what a call is: where, what, and with which arguments")]
pub struct McpCall {
    /// The MCP server's label.
    pub server_label: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: a JSON object as text.
    pub arguments: String,
}

/// What a brain answers: things to do in order, and how the response ends.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// What the response does. Each `Say`, `Text` and `Call` is a separate item.
    pub steps: Vec<Step>,
    /// How it ends.
    pub ending: Ending,
    /// Disasters that begin with its start.
    pub disasters: Vec<Disaster>,
}

/// One step of a [`Reply`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Speaks. If the response's modality is text, writes the transcript instead.
    Say {
        /// The words.
        transcript: String,
        /// The sound.
        audio: AudioSource,
    },
    /// Writes.
    Text(String),
    /// Calls a function.
    Call {
        /// The function's name.
        name: String,
        /// The arguments: a JSON object as text, if the client is to accept it.
        arguments: String,
    },
    /// Calls a tool of an MCP server, as the service does by itself.
    Mcp {
        /// The call.
        call: McpCall,
        /// The request that allowed it, if there was one.
        approval: Option<ItemId>,
        /// What comes of it.
        outcome: Result<String, McpError>,
    },
    /// Asks the user whether it may call a tool of an MCP server.
    AskApproval(McpCall),
    /// Does nothing for that long.
    Wait(Duration),
}

/// Where the sound of a [`Step::Say`] comes from.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum AudioSource {
    /// Tones made from the transcript: see [`voice`](crate::voice).
    #[default]
    Tones,
    /// Mono samples at 24,000 Hz; the transcript's words are spread over them.
    Pcm(Vec<i16>),
}

/// How a response ends.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// Whole.
    #[default]
    Completed,
    /// Cut off in its last item.
    Incomplete(StatusReason),
    /// Failed, in its last item if it has one.
    Failed {
        /// The code, such as `inference_rate_limit_exceeded`.
        code: String,
        /// The text.
        message: String,
    },
}

impl Reply {
    /// Says `text` in tones.
    pub fn say(text: impl Into<String>) -> Self {
        Self::default().then(Step::Say { transcript: text.into(), audio: AudioSource::Tones })
    }

    /// Calls a function.
    pub fn call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::default().then(Step::Call { name: name.into(), arguments: arguments.into() })
    }

    /// Does one more thing.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds a disaster that begins with its start.
    #[must_use]
    pub fn disaster(mut self, disaster: Disaster) -> Self {
        self.disasters.push(disaster);
        self
    }

    /// Ends in that way.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

impl<'a> Turn<'a> {
    /// A turn to try a brain with.
    pub const fn new(trigger: Trigger<'a>, session: &'a SessionConfig, params: &'a ResponseParams) -> Self {
        Self { trigger, session, params }
    }

    /// The instructions in force. Empty if there are none.
    pub fn instructions(&self) -> &'a str {
        let own = self.params.instructions.value();
        own.or_else(|| self.session.instructions.value()).map_or("", String::as_str)
    }

    /// The tools in force.
    pub fn tools(&self) -> &'a [Tool] {
        let own = self.params.tools.value();
        own.or_else(|| self.session.tools.value()).map_or(&[], Vec::as_slice)
    }

    /// The names of the functions in force.
    pub fn function_names(&self) -> impl Iterator<Item = &'a str> {
        self.tools().iter().filter_map(Tool::function_name)
    }

    /// The tools of MCP servers that are in force by name, each with its server.
    pub fn mcp_tools(&self) -> impl Iterator<Item = (&'a McpTool, &'a str)> {
        let servers = self.tools().iter().filter_map(|tool| match tool {
            Tool::Mcp(server) => Some(server),
            _ => None,
        });
        servers.flat_map(|server| allowed_names(server).map(move |name| (server, name)))
    }

    /// The function that must be called: the chosen one, or the first one if any is required.
    pub fn required_function(&self) -> Option<&'a str> {
        match self.tool_choice()? {
            ToolChoice::Mode(ToolMode::Required) => self.function_names().next(),
            ToolChoice::Tool(SpecificTool::Function(function)) => function.name.value().map(String::as_str),
            ToolChoice::Mode(_) | ToolChoice::Tool(_) => None,
        }
    }

    /// Returns whether a function may be called.
    pub fn may_call(&self) -> bool {
        !matches!(self.tool_choice(), Some(ToolChoice::Mode(ToolMode::None)))
    }

    /// Returns whether the answer must be text, not speech.
    pub fn is_text_only(&self) -> bool {
        let own = self.params.output_modalities.value();
        let modalities = own.or_else(|| self.session.output_modalities.value());
        modalities.is_some_and(|m| m.as_slice() == [Modality::Text])
    }

    fn tool_choice(&self) -> Option<&'a ToolChoice> {
        self.params.tool_choice.value().or_else(|| self.session.tool_choice.value())
    }
}

impl<'a> Speech<'a> {
    /// A piece of speech to try a brain with.
    pub const fn new(item_id: &'a ItemId, samples: &'a [i16]) -> Self {
        Self { item_id, samples }
    }

    /// How long it is.
    pub const fn duration(&self) -> MediaTime {
        MediaTime::from_micros(self.samples.len() as u64 * 1_000_000 / 24_000)
    }
}

impl ToolOutput {
    /// The result of a call.
    pub fn new(call_id: CallId, name: impl Into<String>, output: impl Into<String>) -> Self {
        Self { call_id, name: name.into(), output: output.into() }
    }
}
