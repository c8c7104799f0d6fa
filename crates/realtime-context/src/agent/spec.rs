//! What an agent is, as data: [`AgentSpec`].

use realtime_protocol::response::ResponseParams;
use serde::{Deserialize, Serialize};

use crate::tool::Function;

/// What an agent is: what it is told to be, which tools it has, and to whom it hands over.
///
/// Its JSON has these members and no others: an unknown one is an error that names it.
///
/// ```
/// use realtime_context::AgentSpec;
///
/// let spec: AgentSpec = serde_json::from_str(
///     r#"{ "name": "billing", "instructions": "You help with invoices.", "tools": ["find_invoice"],
///          "handoffs": ["front_desk"], "voice": "cedar", "greeting": "Say that you are from billing." }"#,
/// )?;
/// assert_eq!(spec.tools, ["find_invoice"]);
/// let error = serde_json::from_str::<AgentSpec>(r#"{ "name": "a", "instructions": "", "voise": "cedar" }"#);
/// assert!(error.unwrap_err().to_string().contains("voise"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AgentSpec {
    /// The name: letters, digits, `_` and `-`, as in the name of a tool.
    pub name: String,
    /// What the model is told to be.
    pub instructions: String,
    /// What the agent is for, for the agents that hand over to it. Default: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its tools, by name: functions, and hosted servers by label. `"*"` is all of them, also those that come
    /// later. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// The agents to which it may hand over, by name. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handoffs: Vec<String>,
    /// Its voice. Default: the one that the session has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    /// What the model is told to say when the agent begins. Default: the first agent waits for the user, and
    /// any other one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
}

/// The name that stands for all tools.
pub(super) const ALL: &str = "*";

impl AgentSpec {
    /// An agent without tools.
    pub fn new(name: impl Into<String>, instructions: impl Into<String>) -> Self {
        Self { name: name.into(), instructions: instructions.into(), ..Self::default() }
    }

    /// Says what the agent is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Replaces the tools.
    #[must_use]
    pub fn tools<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.tools = names.into_iter().map(Into::into).collect();
        self
    }

    /// Replaces the agents to which it may hand over.
    #[must_use]
    pub fn handoffs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.handoffs = names.into_iter().map(Into::into).collect();
        self
    }

    /// Replaces the voice.
    #[must_use]
    pub fn voice(mut self, voice: impl Into<String>) -> Self {
        self.voice = Some(voice.into());
        self
    }

    /// Replaces what the model is told to say when the agent begins.
    #[must_use]
    pub fn greeting(mut self, greeting: impl Into<String>) -> Self {
        self.greeting = Some(greeting.into());
        self
    }

    /// The name of the tool that hands over to it.
    pub fn handoff_tool(&self) -> String {
        format!("{HANDOFF}{}", self.name)
    }

    /// What the response is asked for that says the greeting. `None`: there is no greeting.
    pub fn greeting_params(&self) -> Option<ResponseParams> {
        let greeting = self.greeting.as_ref()?;
        // Instructions of a response stand in place of the session's.
        let instructions = format!("{}\n\nBegin now: {greeting}", self.instructions);
        Some(ResponseParams::default().instructions(instructions))
    }
}

/// What the names of tools that hand over begin with.
const HANDOFF: &str = "handoff_to_";

/// Why agents can't be set up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The service would refuse the tool that hands over to it.
    #[error("expected letters, digits, `_` and `-` in the name of an agent, got `{name}`: rename it")]
    BadName {
        /// The agent.
        name: String,
    },
    /// Two agents have the same name.
    #[error("expected agents of different names, got `{name}` twice: rename one")]
    SameName {
        /// The name.
        name: String,
    },
    /// There is no such agent.
    #[error("expected one of the agents {known}, got `{name}`")]
    NoSuchAgent {
        /// What was named.
        name: String,
        /// The agents that there are.
        known: String,
    },
    /// An agent hands over to itself: nobody would speak after that.
    #[error("expected other agents in the handoffs of the agent `{name}`, got itself: take it out")]
    HandsOverToItself {
        /// The agent.
        name: String,
    },
    /// A tool is in no toolbox.
    #[error(
        "the agent `{agent}` has the tool `{tool}`, which is not in the toolbox: register it, or correct the name"
    )]
    NoSuchTool {
        /// The agent.
        agent: String,
        /// The tool.
        tool: String,
    },
    /// A tool has the name of a tool that hands over.
    #[error("the tool `{tool}` has the name of a tool that hands over: rename it")]
    TakenName {
        /// The tool.
        tool: String,
    },
}

/// Returns whether the tool that hands over has a name that the service takes.
pub(super) fn has_valid_name(spec: &AgentSpec) -> bool {
    let function =
        Function::raw(spec.handoff_tool(), "", serde_json::Value::Null, |_: serde_json::Value| async {
            Ok::<_, std::convert::Infallible>(())
        });
    !spec.name.is_empty() && function.check_name().is_ok()
}
