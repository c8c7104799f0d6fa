//! The agent that is served: the demo's, or that of a file. [`LoadedAgent`] is what each call's agent is made
//! of.
//!
//! # The file
//! TOML, or the same in JSON if the file's name ends with `.json`:
//!
//! ```toml
#![doc = include_str!("../../agents/hotel.toml")]
//! ```
//!
//! | member | what it is | default |
//! |---|---|---|
//! | `instructions` | what the model is told to be | must be there |
//! | `name` | the agent's name | `agent` |
//! | `greeting` | what the model is told to say when the call begins | the user begins |
//! | `voice`, `model` | of the model's service | the service's, `gpt-realtime` |
//! | `tools` | HTTP tools: [`HttpTool`] | none |
//! | `mcp` | MCP servers: [`McpTools`] | none |
//! | `agents` | others to hand over to, as [`AgentSpec`] has them; all of them know all tools | none |
//! | `prices` | of a million tokens, as [`Prices`] has them, for the cost of each call | unknown |
//! | `limits` | `minutes`, `cost`, and `last_words` that the model says then | none |
//! | `phone` | what the model may do with a call: `hang_up`, `send_digits`, `transfer` | nothing |
//!
//! `${NAME}` in an address, a header or a command stands for a variable of the environment, so that no secret
//! stands in the file. `$$` stands for `$`.

mod file;
mod fill;
mod http_tool;
mod mcp;

use std::path::Path;
use std::time::Duration;

use realtime_context::budget::{Budget, Prices, SpendLimits};
use realtime_context::{AgentSpec, Agents, Function, ToolError, Toolbox};
use realtime_pipeline::Agent;
use realtime_pipeline::agent::{PhoneTools, demo};
use realtime_protocol::session_config::SessionConfig;
use serde_json::{Value, json};

use crate::Error;
use crate::environment::Environment;

pub use file::{AgentFile, Limits, PhoneFile};
pub use http_tool::HttpTool;
pub use mcp::McpTools;

/// An agent that calls are made of. It is loaded once: its tools are those of all calls.
#[derive(Debug)]
pub struct LoadedAgent {
    spec: AgentSpec,
    others: Vec<AgentSpec>,
    library: Toolbox,
    model: Option<String>,
    prices: Option<Prices>,
    limits: SpendLimits,
    phone: PhoneFile,
    /// Whether the emulator's built-in script knows it.
    is_demo: bool,
    /// The MCP servers run as long as these are kept.
    _servers: mcp::Connections,
}

/// How the other end of a call is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reach {
    /// By a phone carrier, which transfers calls and presses keys.
    Phone,
    /// By SIP at the model's server, which transfers calls.
    Sip,
    /// In another way: a page, an RTVI client.
    Other,
}

impl LoadedAgent {
    /// The demo's agent: a weather assistant.
    pub fn demo() -> Self {
        Self {
            spec: demo::spec(),
            others: Vec::new(),
            library: demo::tools(),
            model: None,
            prices: None,
            limits: SpendLimits::default(),
            phone: PhoneFile::default(),
            is_demo: true,
            _servers: mcp::Connections::default(),
        }
    }

    /// The agent of a file, and the demo's without one. Connects to its MCP servers.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// The file cannot be read, or says something that cannot be: the error names the line or the member, and
    /// what to do. Or an MCP server cannot be reached.
    pub async fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, Error> {
        match path {
            Some(path) => Self::of(AgentFile::read(path)?, environment)
                .await
                .map_err(|error| format!("{}: {error}", path.display()).into()),
            None => Ok(Self::demo()),
        }
    }

    async fn of(file: AgentFile, environment: &Environment) -> Result<Self, Error> {
        let library = Toolbox::new();
        for (index, tool) in file.tools.iter().enumerate() {
            let function = tool
                .function(environment)
                .map_err(|error| format!("tools[{index}]{}: {error}", tool.shown()))?;
            if library.tools().get(function.name()).is_some() {
                return Err(
                    format!("tools[{index}]: the name `{}` is there twice: rename one", tool.name).into()
                );
            }
            library.register(function).map_err(|error| format!("tools[{index}]: {error}"))?;
        }
        let servers = mcp::Connections::open(&file.mcp, &library, environment).await?;

        let mut others = file.agents;
        others
            .iter_mut()
            .filter(|other| other.tools.is_empty())
            .for_each(|other| other.tools.push("*".into()));
        let mut spec = AgentSpec::new(file.name, file.instructions)
            .tools(["*"])
            .handoffs(others.iter().map(|other| other.name.clone()));
        (spec.greeting, spec.voice) = (file.greeting, file.voice);
        let loaded = Self {
            spec,
            others,
            library,
            model: file.model,
            prices: file.prices,
            limits: SpendLimits {
                cost: file.limits.cost,
                duration: file.limits.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
                last_words: file.limits.last_words,
            },
            phone: file.phone,
            is_demo: false,
            _servers: servers,
        };
        for name in loaded.phone_tools(Reach::Phone).functions().iter().map(Function::name) {
            if loaded.library.tools().get(name).is_some() {
                return Err(format!("phone: a tool has the name `{name}`: rename it").into());
            }
        }
        // Names that don't fit are told now, and not at the first call.
        loaded.agents()?.toolbox(&loaded.library)?;
        if loaded.limits.cost.is_some() && loaded.prices.is_none() {
            return Err("limits.cost needs the member `prices`: add it, or remove the limit".into());
        }
        Ok(loaded)
    }

    /// The model that it asks for, if any.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What the model is told to say when a call begins, if the agent begins it.
    pub fn greeting(&self) -> Option<&str> {
        self.spec.greeting.as_deref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The names of its tools, in their order.
    pub fn tools(&self) -> Vec<String> {
        self.library.tools().iter().map(|tool| tool.name().to_owned()).collect()
    }

    /// Its name and its tools, for a person.
    pub fn introduction(&self) -> String {
        let tools = self.tools();
        let tools = if tools.is_empty() { "no tools".to_owned() } else { tools.join(", ") };
        format!("{} ({tools})", self.name())
    }

    /// What it is, in lines for a person.
    pub fn description(&self) -> Vec<String> {
        let listed = |names: Vec<String>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        let others = self.others.iter().map(|other| other.name.clone()).collect();
        vec![
            format!("agent     {}", self.name()),
            format!("greets    {}", if self.spec.greeting.is_some() { "yes" } else { "no: the user begins" }),
            format!("voice     {}", self.spec.voice.as_deref().unwrap_or("the service's own")),
            format!("model     {}", self.model().unwrap_or("gpt-realtime")),
            format!("tools     {}", listed(self.tools())),
            format!("hands to  {}", listed(others)),
        ]
    }

    /// The same as JSON.
    pub fn summary(&self) -> Value {
        json!({
            "name": self.name(),
            "greets": self.spec.greeting.is_some(),
            "voice": self.spec.voice,
            "model": self.model(),
            "tools": self.tools(),
            "hands_to": self.others.iter().map(|other| &other.name).collect::<Vec<_>>(),
        })
    }

    /// Returns whether the emulator's built-in script knows it.
    pub const fn is_demo(&self) -> bool {
        self.is_demo
    }

    /// Returns whether the cost of a call is known.
    pub const fn knows_prices(&self) -> bool {
        self.prices.is_some()
    }

    /// A function with the name and the declaration of one of its tools, those for phone calls included, that
    /// answers this and does nothing else. `None`: it has no such tool.
    pub fn stand_in(&self, name: &str, answer: Value) -> Option<Function> {
        let tools = self.library.tools();
        let phone = self.phone_tools(Reach::Phone).functions();
        let known = tools.get(name).or_else(|| phone.iter().find(|function| function.name() == name))?;
        let handler = move |_: Value| std::future::ready(Ok::<_, ToolError>(answer.clone()));
        Some(Function::raw(name, known.description(), known.parameters().clone(), handler))
    }

    /// The names of its tools that ask a server.
    pub fn far_tools(&self) -> Vec<String> {
        if self.is_demo { Vec::new() } else { self.tools() }
    }

    /// What a call may cost, and how long it may take: at most this long.
    pub fn budget(&self, longest: Option<Duration>) -> Budget {
        let mut limits = self.limits.clone();
        limits.duration = limits.duration.into_iter().chain(longest).min();
        Budget::new(self.prices.unwrap_or_default(), limits)
    }

    /// The agent of one call, which speaks with this voice if one is given.
    pub fn agent(&self, reach: Reach, voice: Option<&str>) -> Agent {
        let mut spec = self.spec.clone();
        spec.voice = voice.map(str::to_owned).or(spec.voice);
        let agent = self.others.iter().cloned().fold(Agent::from_spec(spec), Agent::hands_over_to);
        let tools = self.phone_tools(reach);
        if tools.functions().is_empty() {
            return agent.library(self.library.clone());
        }
        // These tools act on one call, so the other tools are copied for it.
        let library = Toolbox::new();
        library.replace(&self.library);
        agent.library(library).phone_tools(tools)
    }

    /// Returns whether one of the agents has this name.
    pub fn knows(&self, name: &str) -> bool {
        self.spec.name == name || self.others.iter().any(|other| other.name == name)
    }

    /// What a session is told of it, where another side begins the session.
    ///
    /// # Errors
    /// Its names don't fit.
    pub fn session_config(
        &self,
        base: SessionConfig,
        reach: Reach,
        voice: Option<&str>,
    ) -> Result<SessionConfig, Error> {
        let (agents, library) = (self.agents()?, Toolbox::new());
        library.replace(&self.library);
        let library = self.phone_tools(reach).functions().into_iter().fold(library, Toolbox::with);
        let mut config = agents.toolbox(&library)?.session_config(agents.session_config(base));
        if let Some(voice) = voice {
            config.output_mut().voice = voice.into();
        }
        Ok(config)
    }

    /// What the model may do with a call that is reached like this.
    fn phone_tools(&self, reach: Reach) -> PhoneTools {
        let mut tools = PhoneTools::new();
        if self.phone.hang_up {
            tools = tools.hang_up();
        }
        if reach == Reach::Phone && self.phone.send_digits {
            tools = tools.send_digits();
        }
        if reach != Reach::Other {
            for (name, to) in &self.phone.transfer {
                tools = tools.transfer_to(name, to.as_str());
            }
        }
        tools
    }

    fn agents(&self) -> Result<Agents, Error> {
        Ok(Agents::new(std::iter::once(&self.spec).chain(&self.others).cloned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn load(text: &str) -> Result<LoadedAgent, Error> {
        let file = AgentFile::parse(Path::new("agent.toml"), text)?;
        LoadedAgent::of(file, &Environment::of([("KEY", "secret")])).await
    }

    #[tokio::test]
    async fn a_file_becomes_an_agent_with_its_tools_and_others() {
        let agent = load(
            r#"
            instructions = "You are a receptionist."
            voice = "marin"
            [[tools]]
            name = "rooms"
            description = "Free rooms"
            url = "https://h.example/rooms?key=${KEY}"
            parameters = { day = "The day" }
            [[agents]]
            name = "billing"
            instructions = "You help with invoices."
            [prices]
            output_audio = 64.0
            [limits]
            minutes = 10
            [phone]
            hang_up = true
            transfer = { sales = "+15550100001" }
            "#,
        )
        .await
        .unwrap();
        assert_eq!(agent.tools(), ["rooms"]);
        let config = agent.session_config(SessionConfig::realtime(), Reach::Other, None).unwrap();
        let text = config.encode(realtime_protocol::event::Dialect::Ga);
        for part in ["receptionist", "marin", "handoff_to_billing", "\"day\""] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("hang_up") && !text.contains("transfer_call"), "{text}");
        let phone = agent.session_config(SessionConfig::realtime(), Reach::Phone, None).unwrap();
        let phone = phone.encode(realtime_protocol::event::Dialect::Ga);
        assert!(phone.contains("transfer_call") && !phone.contains("15550100001"), "{phone}");
        assert_eq!(agent.tools(), ["rooms"], "tools of one call are no one else's");
        assert!(!format!("{agent:?}{text}").contains("secret"));
        assert!(!agent.is_demo() && agent.knows_prices());
    }

    #[tokio::test]
    async fn what_can_not_be_is_told_with_its_place_and_what_to_do() {
        let tool = "instructions = ''\n[[tools]]\nname = 'a'\ndescription = ''\n";
        for (text, expected) in [
            (
                format!("{tool}url = 'ftp://h'"),
                "tools[0] (`a`): expected an address that begins with http:// or https://",
            ),
            (
                format!("{tool}url = 'http://h/${{NONE}}'"),
                "tools[0] (`a`): expected the variable `NONE`, which is not set",
            ),
            (
                format!("{tool}url = 'http://h'\nmethod = 'BREW'"),
                "expected one of GET, POST, PUT, PATCH and DELETE, got `BREW`",
            ),
            (
                format!("{tool}url = 'http://h'\n[[tools]]\nname='a'\ndescription=''\nurl='http://h'"),
                "`a` is there twice",
            ),
            ("instructions = ''\n[[agents]]\nname = 'a b'\ninstructions = ''".into(), "got `a b`: rename it"),
            (
                format!("{tool}url = 'http://h'\n[phone]\nhang_up = true").replace("'a'", "'hang_up'"),
                "phone: a tool has the name `hang_up`: rename it",
            ),
            ("instructions = ''\n[limits]\ncost = 1".into(), "limits.cost needs the member `prices`"),
        ] {
            let error = load(&text).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_example_is_an_agent() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/hotel.toml"));
        let file = AgentFile::read(path).unwrap();
        assert_eq!((file.tools.len(), file.mcp.len(), file.agents.len()), (1, 1, 1));
        assert_eq!(file.limits.minutes, Some(15.0));
    }

    #[test]
    fn the_demo_s_agent_has_its_tool() {
        assert_eq!(LoadedAgent::demo().tools(), ["get_weather"]);
    }
}
