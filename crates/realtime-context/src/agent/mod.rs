//! Several agents in one call: [`Agents`]. One of them speaks; a tool hands over to another one.
//!
//! The rules kept here: instructions and tools change in one update of the session, after the output of the
//! tool that hands over and before the next response. The conversation stays. The voice changes only where
//! the service lets it: before anything was spoken in the session, so that it may change with the next one.

mod listener;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use realtime_protocol::call::{Command, Notice};
use realtime_protocol::field::Field;
use realtime_protocol::id::CallId;
use realtime_protocol::session_config::SessionConfig;
use serde_json::{Value, json};

use crate::tool::{Function, FunctionContext, Reply, ToolError, ToolPolicy};
use crate::toolbox::{Companion, Toolbox, Tools, Watching};

pub use spec::{AgentError, AgentSpec};

/// The agents of a call, of which one speaks. Clones are the same agents.
///
/// Give it to the client with the toolbox that holds the tools of all agents
/// (`ClientOptions::toolbox(..).agents(..)`). An agent hands over by the tool `handoff_to_<name>`, which each
/// agent has for its [`handoffs`](AgentSpec::handoffs). Of several in one response the first one counts, and
/// the others are answered with an error. The application may also [switch](Self::switch_to). The new agent's
/// greeting, or its answer, is asked for.
///
/// ```
/// use realtime_context::{AgentSpec, Agents, Toolbox};
///
/// let agents = Agents::new([
///     AgentSpec::new("front_desk", "You find out what the caller wants.").handoffs(["billing"]),
///     AgentSpec::new("billing", "You help with invoices.").description("Knows all invoices"),
/// ])?;
/// let toolbox = agents.toolbox(&Toolbox::new())?;
/// assert!(toolbox.tools().get("handoff_to_billing").is_some());
/// agents.switch_to("billing")?;
/// assert_eq!(agents.current(), "billing");
/// assert!(toolbox.is_empty());
/// # Ok::<(), realtime_context::AgentError>(())
/// ```
#[derive(Clone)]
pub struct Agents {
    shared: Arc<Shared>,
}

struct Shared {
    specs: BTreeMap<String, AgentSpec>,
    /// The tools that hand over, by agent.
    handoffs: BTreeMap<String, Function>,
    handing: Handing,
    state: Mutex<State>,
    /// The tools of the agent that speaks.
    active: Toolbox,
}

/// The call of the response that hands over, and to whom: the first one.
type Handing = Arc<Mutex<Option<(CallId, String)>>>;

struct State {
    current: String,
    library: Toolbox,
    watching: Option<Watching>,
    /// The library's notices that were passed on.
    noticed: u64,
    /// Whether something was spoken in the session: its voice can't change any more.
    spoken: bool,
    /// Whether the agent speaks with another voice than its own.
    keeps_voice: bool,
    stage: Stage,
    notices: Vec<Notice>,
}

/// How far the call is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    New,
    /// A configuration was made.
    Configured,
    /// A session serves.
    Serving,
}

impl Agents {
    /// These agents; the first one begins.
    ///
    /// # Errors
    /// [`AgentError`] if a name is wrong or there twice, if an agent hands over to itself or to one that is
    /// not there, or if there is none.
    pub fn new(specs: impl IntoIterator<Item = AgentSpec>) -> Result<Self, AgentError> {
        let mut first = None;
        let mut by_name = BTreeMap::new();
        for agent in specs {
            first.get_or_insert_with(|| agent.name.clone());
            if !spec::has_valid_name(&agent) {
                return Err(AgentError::BadName { name: agent.name });
            }
            if let Some(same) = by_name.insert(agent.name.clone(), agent) {
                return Err(AgentError::SameName { name: same.name });
            }
        }
        let known = || by_name.keys().cloned().collect::<Vec<_>>().join(", ");
        let named = by_name.values().flat_map(|agent: &AgentSpec| &agent.handoffs);
        if let Some(name) = named.into_iter().find(|name| !by_name.contains_key(*name)) {
            return Err(AgentError::NoSuchAgent { name: name.clone(), known: known() });
        }
        if let Some(agent) = by_name.values().find(|agent| agent.handoffs.contains(&agent.name)) {
            return Err(AgentError::HandsOverToItself { name: agent.name.clone() });
        }
        let current = first.ok_or_else(|| AgentError::NoSuchAgent { name: String::new(), known: known() })?;
        let library = Toolbox::new();
        let state = State {
            current,
            library,
            watching: None,
            noticed: 0,
            spoken: false,
            keeps_voice: false,
            stage: Stage::New,
            notices: Vec::new(),
        };
        let handing = Handing::default();
        let tool = |agent: &AgentSpec| (agent.name.clone(), handoff(agent, &handing));
        let handoffs = by_name.values().map(tool).collect();
        let state = Mutex::new(state);
        let shared = Shared { specs: by_name, handoffs, handing, state, active: Toolbox::new() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes the agents' tools from `library`, and returns the toolbox that always holds those of the agent
    /// that speaks: declare and run that one. It follows changes of `library`.
    ///
    /// # Errors
    /// [`AgentError`] if an agent has a tool that is not there, or a tool has the name of one that hands
    /// over.
    pub fn toolbox(&self, library: &Toolbox) -> Result<Toolbox, AgentError> {
        let tools = library.tools();
        for agent in self.shared.specs.values() {
            let is_known = |name: &&String| {
                *name == spec::ALL || tools.get(name).is_some() || tools.hosted(name).is_some()
            };
            if let Some(missing) = agent.tools.iter().find(|name| !is_known(name)) {
                return Err(AgentError::NoSuchTool { agent: agent.name.clone(), tool: missing.clone() });
            }
            if tools.get(&agent.handoff_tool()).is_some() {
                return Err(AgentError::TakenName { tool: agent.handoff_tool() });
            }
        }
        self.state().library = library.clone();
        let agents: Weak<Shared> = Arc::downgrade(&self.shared);
        let watching = library.on_change(move || {
            if let Some(shared) = agents.upgrade() {
                Self { shared }.follow_library();
            }
        });
        self.state().watching = Some(watching);
        self.shared.active.switch(&self.active_tools(), None);
        self.follow_library();
        library.declare_instead(&self.shared.active);
        Ok(self.shared.active.clone())
    }

    /// The name of the agent that speaks.
    pub fn current(&self) -> String {
        self.state().current.clone()
    }

    /// The agent of that name.
    pub fn get(&self, name: &str) -> Option<&AgentSpec> {
        self.shared.specs.get(name)
    }

    /// Puts the instructions and the voice of the agent that speaks into a configuration. Do this before the
    /// session begins.
    #[must_use]
    pub fn session_config(&self, mut base: SessionConfig) -> SessionConfig {
        let spec = self.spec();
        self.state().stage = Stage::Configured;
        base.instructions = Field::Value(spec.instructions);
        if let Some(voice) = spec.voice {
            base.output_mut().voice = voice.as_str().into();
        }
        base
    }

    /// Hands over to another agent, as its tool does. Before a call, it is the one that begins. In a call,
    /// its greeting or its answer is asked for. Does nothing if that agent speaks.
    ///
    /// # Errors
    /// [`AgentError::NoSuchAgent`].
    pub fn switch_to(&self, name: &str) -> Result<(), AgentError> {
        let Some(spec) = self.get(name) else {
            let known = self.shared.specs.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(AgentError::NoSuchAgent { name: name.into(), known });
        };
        let companion = {
            let mut state = self.state();
            if state.current == name {
                return Ok(());
            }
            let from = std::mem::replace(&mut state.current, name.to_owned());
            let mut config = SessionConfig::default().instructions(spec.instructions.as_str());
            let keeps_voice = state.spoken && spec.voice.is_some();
            state.keeps_voice = keeps_voice;
            if let Some(voice) = spec.voice.as_deref().filter(|_| !keeps_voice) {
                config.output_mut().voice = voice.into();
            }
            state.notices.push(Notice::AgentChanged { from, to: name.to_owned(), keeps_voice });
            let then = if state.stage == Stage::Serving { greet(spec, true) } else { None };
            (state.stage != Stage::New).then(|| Companion { config: Box::new(config), then })
        };
        self.shared.active.switch(&self.active_tools(), companion);
        Ok(())
    }

    fn spec(&self) -> AgentSpec {
        let current = self.current();
        self.get(&current).cloned().unwrap_or_default()
    }

    /// The tools of the agent that speaks, and those that hand over.
    fn active_tools(&self) -> Tools {
        let spec = self.spec();
        let tools = self.state().library.tools();
        let handoffs = spec.handoffs.iter().filter_map(|name| self.shared.handoffs.get(name)).cloned();
        if spec.tools.iter().any(|name| name == spec::ALL) {
            return tools.and(handoffs);
        }
        let functions = spec.tools.iter().filter_map(|name| tools.get(name)).cloned();
        let hosted = spec.tools.iter().filter_map(|label| tools.hosted(label)).cloned().collect();
        Tools::of(functions.chain(handoffs).collect(), hosted)
    }

    /// The library has changed, or has a notice.
    fn follow_library(&self) {
        let notices = {
            let mut state = self.state();
            let (notices, noticed) = state.library.notices(state.noticed);
            state.noticed = noticed;
            notices
        };
        notices.into_iter().for_each(|notice| self.shared.active.tell(notice));
        let tools = self.active_tools();
        if !self.shared.active.tools().is_same(&tools) {
            self.shared.active.switch(&tools, None);
        }
    }

    /// Nobody panics while holding it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("current", &self.current())
            .field("agents", &self.shared.specs.keys())
            .finish_non_exhaustive()
    }
}

/// The tool that hands over. Its output is sent before the agents change, and nobody speaks in between. Only
/// the first one of a response hands over.
fn handoff(to: &AgentSpec, handing: &Handing) -> Function {
    let description = match to.description.as_str() {
        "" => format!("Hands the conversation over to the agent {}.", to.name),
        description => format!("Hands the conversation over to the agent {}. {description}", to.name),
    };
    let name = to.name.clone();
    let parameters = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let (first, started, next) = (Arc::clone(handing), Arc::clone(handing), name.clone());
    Function::raw(to.handoff_tool(), description, parameters, move |_: Value, cx: FunctionContext| {
        let first = lock(&first).clone();
        let output = match first {
            Some((call_id, to)) if call_id != *cx.call_id() => Err(ToolError::new(format_args!(
                "this response hands the conversation over to {to} already, and only its first handoff counts"
            ))),
            _ => Ok(json!({ "handed_over_to": name })),
        };
        async { output }
    })
    .on_start(move |call| {
        lock(&started).get_or_insert_with(|| (call.call_id.clone(), next.clone()));
    })
    .policy(ToolPolicy::new().reply(Reply::Silent))
}

fn lock(handing: &Handing) -> MutexGuard<'_, Option<(CallId, String)>> {
    handing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has an agent say its greeting. One without a greeting answers, if it `must_speak`.
fn greet(spec: &AgentSpec, must_speak: bool) -> Option<Command> {
    let params = spec.greeting_params().map(Box::new);
    let protected = params.is_some();
    (must_speak || protected).then_some(Command::CreateResponse { params, protected })
}
