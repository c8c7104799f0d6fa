//! A brain that follows a script.
//!
//! A script is a JSON file:
//!
//! ```json
//! { "turns": [
//!     { "on": "request", "reply": [ { "say": "Hello! Which city?" } ] },
//!     { "on": "speech", "transcript": "What is the weather in Paris?",
//!       "reply": [ { "call": "get_weather", "arguments": { "city": "Paris" } } ] },
//!     { "on": { "tool": "get_weather" }, "repeat": true,
//!       "reply": [ { "delay_ms": 300 }, { "say": "It is {output.summary}." } ] },
//!     { "on": { "text": "bye" }, "reply": [ { "text": "Goodbye." } ] },
//!     { "reply": [ { "fail": "inference_rate_limit_exceeded" } ] }
//! ] }
//! ```
//!
//! A response takes the first turn in the file that fits and is not used up. A turn is used up after one
//! response, unless it has `"repeat": true`. If none fits, the [`Parrot`] answers.
//!
//! Beside `turns` there may be `disasters`, which begin with the connection. In a turn, `disasters` begin
//! with its response. [`disaster`](crate::disaster) describes their format:
//!
//! ```json
//! { "disasters": [ { "after_ms": 60000, "do": "expire" } ],
//!   "turns": [
//!     { "reply": [ { "say": "You will not hear the end of this." } ],
//!       "disasters": [ { "at": "response.output_audio.delta", "nth": 3, "do": "cut", "code": 1011 } ] } ] }
//! ```
//!
//! `on` says which input a turn fits:
//!
//! | `on` | fits |
//! |---|---|
//! | left out, or `"any"` | any input |
//! | `"request"` | a `response.create` with nothing new to answer |
//! | `"speech"` | speech |
//! | `"text"` | a text message |
//! | `{"text": "bye"}` | a text message that contains `bye`, in upper or lower case |
//! | `{"tool": "get_weather"}` | the output of a call of `get_weather` |
//! | `{"approval": "search"}` | the user's answer to whether the MCP tool `search` may be called |
//! | `"idle"` | the user's silence for `idle_timeout_ms` |
//!
//! `transcript` is what the user is heard to say, in a turn that fits speech. Where it ends in `…` or a
//! comma, semantic turn detection waits for more as long as it may. `reply` is a list of steps, each an
//! object with one of these (and what belongs beside it):
//!
//! | step | does |
//! |---|---|
//! | `"say": "…"` | speaks; writes, if the response's modality is text |
//! | `"text": "…"` | writes |
//! | `"call": "name"` | calls a function, with `"arguments"`: an object, or any text |
//! | `"mcp": "label"` | calls a tool of that MCP server: `"tool"`, `"arguments"`, and its `"output"` or `"error"`; with `"ask": true` it asks for an approval instead |
//! | `"delay_ms": 300` | waits |
//! | `"fail": "code"` | ends the response as failed, with that error code |
//! | `"incomplete": "max_output_tokens"` | ends the response as incomplete, for that reason |
//!
//! The lists of MCP servers stand beside `turns`, by label: a list of tools, or the reason why there is none.
//! A server without an entry lists the tools in the session's `allowed_tools`:
//!
//! ```json
//! { "mcp": { "docs": [ { "name": "search", "description": "Searches", "input_schema": { "type": "object" } } ],
//!            "broken": "connection refused" },
//!   "turns": [ { "on": "text", "reply": [
//!     { "mcp": "docs", "tool": "search", "arguments": { "q": "{input}" }, "output": "3 hits" },
//!     { "say": "I found three." } ] } ] }
//! ```
//!
//! In `say`, `text` and textual `arguments`, `{input}` stands for the user's words, `{output}` for the output
//! of the tool, and `{output.a.b}` for a member of it. An unknown name stays as it is.

mod fill;
mod read;

use std::collections::BTreeMap;

use realtime_protocol::item::McpListedTool;
use realtime_protocol::tool::McpTool;

use crate::brain::script::fill::fill;
use crate::brain::{Brain, McpCall, Parrot, Reply, Speech, Step, Trigger, Turn};
use crate::disaster::Disaster;

/// A brain that follows a script. [The module's own text](self) gives the format.
///
/// ```json
/// { "turns": [
///     { "on": "request", "reply": [ { "say": "Hello! Which city?" } ] },
///     { "on": "speech", "transcript": "What is the weather in Paris?",
///       "reply": [ { "call": "get_weather", "arguments": { "city": "Paris" } } ] },
///     { "on": { "tool": "get_weather" }, "repeat": true,
///       "reply": [ { "delay_ms": 300 }, { "say": "It is {output.summary}." } ] }
/// ] }
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    turns: Vec<ScriptTurn>,
    used: Vec<bool>,
    /// The turn whose transcript was given last, until it is answered.
    heard: Option<usize>,
    /// What MCP servers list, by label.
    mcp: BTreeMap<String, Result<Vec<McpListedTool>, String>>,
    fallback: Parrot,
    disasters: Vec<Disaster>,
}

/// A script that cannot be followed: where, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {reason}")]
#[non_exhaustive]
pub struct ScriptError {
    /// The member at fault, such as `turns[2].reply[0]`; `script` for the whole text.
    pub path: String,
    /// What was expected and what came.
    pub reason: String,
}

#[derive(Clone, Debug)]
struct ScriptTurn {
    on: On,
    transcript: Option<String>,
    repeat: bool,
    reply: Reply,
}

#[derive(Clone, Debug)]
enum On {
    Any,
    Request,
    Speech,
    Text,
    TextWith(String),
    Tool(String),
    Idle,
    Approval(String),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] names the member that is unknown, missing or of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let read::Contents { turns, disasters, mcp } = read::read_file(text)?;
        Ok(Self {
            used: vec![false; turns.len()],
            turns,
            disasters,
            mcp,
            heard: None,
            fallback: Parrot::new(),
        })
    }

    /// The built-in script: a weather assistant, greeted, asked twice and thanked. It calls `get_weather`
    /// with a `city`, and reads the output out.
    ///
    /// # Panics
    /// Never: the script is a part of this crate, and a test reads it.
    pub fn demo() -> Self {
        Self::parse(include_str!("../demo.json")).expect("a test reads the built-in script")
    }

    /// Disasters that begin with the connection. [`Options::script`](crate::Options::script) adds them.
    pub fn disasters(&self) -> &[Disaster] {
        &self.disasters
    }

    /// Removes the transcripts, for a user who says something else than the script expects. Speech is then
    /// described by its length.
    #[must_use]
    pub fn without_transcripts(mut self) -> Self {
        self.turns.iter_mut().for_each(|turn| turn.transcript = None);
        self
    }

    /// The first turn that fits and is left.
    fn find(&self, fits: impl Fn(&On) -> bool) -> Option<usize> {
        self.turns.iter().zip(&self.used).position(|(turn, used)| !used && fits(&turn.on))
    }

    fn take(&mut self, index: usize) {
        if let (Some(used), Some(turn)) = (self.used.get_mut(index), self.turns.get(index)) {
            *used = !turn.repeat;
        }
    }
}

impl Brain for Script {
    fn reply(&mut self, turn: &Turn<'_>) -> Reply {
        let heard = self.heard.take();
        let found = match turn.trigger {
            // The turn was taken when its transcript was asked for.
            Trigger::Speech { .. } => heard.or_else(|| self.find(|on| on.fits(&turn.trigger))),
            _ => self.find(|on| on.fits(&turn.trigger)),
        };
        let Some(index) = found else { return self.fallback.reply(turn) };
        self.take(index);
        self.turns.get(index).map(|found| found.reply.filled(&turn.trigger)).unwrap_or_default()
    }

    fn transcript(&mut self, _speech: &Speech<'_>) -> Option<String> {
        let index = self.find(|on| matches!(on, On::Speech | On::Any))?;
        self.take(index);
        self.heard = Some(index);
        self.turns.get(index)?.transcript.clone()
    }

    fn is_finished(&mut self, _speech: &Speech<'_>) -> bool {
        let turn = self.find(|on| matches!(on, On::Speech | On::Any)).and_then(|index| self.turns.get(index));
        let transcript = turn.and_then(|turn| turn.transcript.as_deref()).unwrap_or_default();
        !transcript.ends_with(['…', ',']) && !transcript.ends_with("...")
    }

    fn mcp_tools(&mut self, server: &McpTool) -> Result<Vec<McpListedTool>, String> {
        match self.mcp.get(server.server_label.value().map_or("", String::as_str)) {
            Some(tools) => tools.clone(),
            None => self.fallback.mcp_tools(server),
        }
    }
}

impl On {
    fn fits(&self, trigger: &Trigger<'_>) -> bool {
        match (self, trigger) {
            (Self::Any, _)
            | (Self::Request, Trigger::Request)
            | (Self::Speech, Trigger::Speech { .. })
            | (Self::Idle, Trigger::Idle)
            | (Self::Text, Trigger::Text(_)) => true,
            (Self::Approval(name), Trigger::Approval(approval)) => approval.call.name == *name,
            (Self::TextWith(part), Trigger::Text(text)) => text.to_lowercase().contains(part.as_str()),
            (Self::Tool(name), Trigger::ToolOutputs(outputs)) => outputs.iter().any(|o| o.name == *name),
            _ => false,
        }
    }
}

impl McpCall {
    fn filled(&self, trigger: &Trigger<'_>) -> Self {
        Self { arguments: fill(&self.arguments, trigger), ..self.clone() }
    }
}

impl Reply {
    /// The reply with the words and outputs of the trigger put in.
    fn filled(&self, trigger: &Trigger<'_>) -> Self {
        let fill = |text: &str| fill(text, trigger);
        let steps = self.steps.iter().map(|step| match step {
            Step::Say { transcript, audio } => {
                Step::Say { transcript: fill(transcript), audio: audio.clone() }
            }
            Step::Text(text) => Step::Text(fill(text)),
            Step::Call { name, arguments } => Step::Call { name: name.clone(), arguments: fill(arguments) },
            Step::Mcp { call, approval, outcome } => Step::Mcp {
                call: call.filled(trigger),
                approval: approval.clone().or_else(|| match trigger {
                    Trigger::Approval(approval) => Some(approval.request_id.clone()),
                    _ => None,
                }),
                outcome: outcome.clone().map(|output| fill(&output)),
            },
            Step::AskApproval(call) => Step::AskApproval(call.filled(trigger)),
            Step::Wait(time) => Step::Wait(*time),
        });
        Self { steps: steps.collect(), ending: self.ending.clone(), disasters: self.disasters.clone() }
    }
}
