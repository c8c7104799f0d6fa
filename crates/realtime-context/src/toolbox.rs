//! The tools of an agent, by name: [`Toolbox`], which its owners share, and [`Tools`], one version of it.
//!
//! The rule kept here: the handler and the declaration of a tool change together. A tool that is taken out is
//! declared no longer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use realtime_protocol::call::{Command, Notice, Outcome};
use realtime_protocol::field::Field;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::tool::Tool;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::hosted::HostedServer;
use crate::tool::{Function, Handler, Hook, ToolNameError, ToolPolicy};

/// Tools by name, with an optional handler for all other names.
///
/// A clone is the same toolbox: a tool that one registers, all have. Each change makes a new version. A call
/// runs the version that its response has seen.
///
/// ```
/// use realtime_context::{FunctionContext, ToolError, Toolbox};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
/// use serde_json::json;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct WeatherArgs {
///     /// The city, without its country.
///     city: String,
/// }
///
/// let toolbox = Toolbox::new()
///     .tool("get_weather", "Looks up the weather", |args: WeatherArgs| async move {
///         if args.city.is_empty() {
///             return Err(ToolError::new("which city?"));
///         }
///         Ok(json!({ "city": args.city, "celsius": 3 }))
///     })
///     .tool("book", "Books a seat", |(): (), cx: FunctionContext| async move {
///         cx.progress("asking the theatre");
///         Ok::<_, ToolError>(json!({ "booking": cx.key() }))
///     });
/// let tools = toolbox.tools();
/// assert_eq!(tools.declarations()[0].function_name(), Some("get_weather"));
/// assert!(toolbox.clone().unregister("book").is_some());
/// assert!(toolbox.tools().get("book").is_none() && tools.get("book").is_some());
/// ```
#[derive(Clone, Default)]
pub struct Toolbox {
    shelf: Arc<Mutex<Shelf>>,
}

/// Names that were declared, with the number of the declaration: those of the newest one, and at most
/// [`MOST_DECLARED`] in all otherwise.
#[derive(Debug, Default)]
struct Declared {
    names: BTreeMap<String, u64>,
    last: u64,
}

/// Names that are remembered: a call may change its tools at each turn.
const MOST_DECLARED: usize = 1024;

impl Declared {
    fn extend(&mut self, names: impl Iterator<Item = String>) {
        self.last += 1;
        self.names.extend(names.map(|name| (name, self.last)));
        while self.names.len() > MOST_DECLARED
            && let Some((name, number)) = self.names.iter().min_by_key(|(_, number)| **number)
            && *number < self.last
        {
            let name = name.clone();
            self.names.remove(&name);
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }
}

#[derive(Default)]
struct Shelf {
    tools: Arc<Tools>,
    /// Names that this toolbox has declared since it was made: what a configuration holds under them is its
    /// own.
    declared: Declared,
    /// The labels of hosted servers that this toolbox has declared since it was made.
    declared_hosted: Declared,
    hooks: Vec<Weak<dyn Fn() + Send + Sync>>,
    misnamed: Option<ToolNameError>,
    /// What goes with the next declaration.
    companion: Option<Companion>,
    /// The newest version that a server was told of, and what came of that.
    declared_as: Option<(u64, Outcome)>,
    /// What a call declares in place of this toolbox: a part of it.
    part: Option<Toolbox>,
    /// The newest notices for the calls that have this toolbox, and how many there were.
    notices: VecDeque<Notice>,
    noticed: u64,
}

/// The notices that a toolbox keeps for calls.
const MOST_NOTICES: usize = 64;

impl Toolbox {
    /// No tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool with the default policy; see [`Function::new`]. A wrong name is told by
    /// [`check`](Self::check).
    #[must_use]
    pub fn tool<A, Takes>(
        self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: impl Handler<A, Takes>,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
    {
        self.with(Function::new(name, description, handler))
    }

    /// Adds a tool. It replaces a tool of the same name, in its place. A wrong name is told by
    /// [`check`](Self::check).
    #[must_use]
    pub fn with(self, function: Function) -> Self {
        if let Err(error) = self.register(function) {
            self.shelf().misnamed.get_or_insert(error);
        }
        self
    }

    /// Declares an MCP server that the service calls by itself. It replaces one of the same label.
    #[must_use]
    pub fn hosted(self, server: HostedServer) -> Self {
        self.register_hosted(server);
        self
    }

    /// Handles all calls with unregistered names: [`FunctionContext::call`](crate::FunctionContext::call) has
    /// the name. Such tools are not declared, so the model must learn of them from elsewhere.
    #[must_use]
    pub fn catch_all<Takes>(self, policy: ToolPolicy, handler: impl Handler<Value, Takes>) -> Self {
        let function = Function::raw("", "", json!({}), handler).policy(policy);
        self.change(|tools| tools.catch_all = Some(function));
        self
    }

    /// Adds a tool and returns the one of the same name that it replaces.
    ///
    /// # Errors
    /// [`ToolNameError`] if the service would refuse the name: nothing happened, rename the tool.
    pub fn register(&self, function: Function) -> Result<Option<Function>, ToolNameError> {
        function.check_name()?;
        Ok(self.change(|tools| tools.put(function)))
    }

    /// Takes a tool out. Calls of it that run already go on.
    pub fn unregister(&self, name: &str) -> Option<Function> {
        self.tools().get(name)?;
        self.change(|tools| {
            let index = tools.functions.iter().position(|function| function.name() == name)?;
            Some(tools.functions.remove(index))
        })
    }

    /// Takes tools out and adds others, in one new version: for tools that come from elsewhere, such as from
    /// an MCP server. A tool that is there and not taken out is never replaced. Returns what was not
    /// added, and why.
    pub fn exchange(&self, remove: &[String], add: Vec<Function>) -> Vec<ToolRefusal> {
        self.change(|tools| {
            tools.functions.retain(|function| !remove.iter().any(|name| name == function.name()));
            let mut refused = Vec::new();
            for function in add {
                let name = function.name().to_owned();
                if let Err(error) = function.check_name() {
                    refused.push(ToolRefusal::Misnamed(error));
                } else if tools.get(&name).is_some() {
                    refused.push(ToolRefusal::Taken { name });
                } else {
                    tools.functions.push(function);
                }
            }
            refused
        })
    }

    /// Replaces the tools, together with other members of the session.
    pub(crate) fn switch(&self, tools: &Tools, companion: Option<Companion>) {
        if companion.is_some() {
            self.shelf().companion = companion;
        }
        self.change(|own| {
            (own.functions, own.hosted) = (tools.functions.clone(), tools.hosted.clone());
            own.catch_all.clone_from(&tools.catch_all);
        });
    }

    pub(crate) fn take_companion(&self) -> Option<Companion> {
        self.shelf().companion.take()
    }

    /// Tells the applications of all calls that have this toolbox, now or later: for who looks after tools
    /// from elsewhere. The newest 64 are kept.
    pub fn tell(&self, notice: Notice) {
        let hooks = {
            let mut shelf = self.shelf();
            if shelf.notices.len() == MOST_NOTICES {
                shelf.notices.pop_front();
            }
            shelf.notices.push_back(notice);
            shelf.noticed += 1;
            shelf.hooks.clone()
        };
        hooks.iter().filter_map(Weak::upgrade).for_each(|hook| hook());
    }

    /// The notices since so many, as far as they are kept, and how many there were.
    pub(crate) fn notices(&self, since: u64) -> (Vec<Notice>, u64) {
        let shelf = self.shelf();
        let new = usize::try_from(shelf.noticed.saturating_sub(since)).unwrap_or(usize::MAX);
        let old = shelf.notices.len().saturating_sub(new);
        (shelf.notices.iter().skip(old).cloned().collect(), shelf.noticed)
    }

    pub(crate) fn has_noticed(&self) -> u64 {
        self.shelf().noticed
    }

    /// Declares a hosted MCP server, and returns the one of the same label that it replaces.
    pub fn register_hosted(&self, server: HostedServer) -> Option<HostedServer> {
        self.change(|tools| match tools.hosted.iter_mut().find(|old| old.label() == server.label()) {
            Some(old) => Some(std::mem::replace(old, server)),
            None => {
                tools.hosted.push(server);
                None
            }
        })
    }

    /// Takes a hosted MCP server out.
    pub fn unregister_hosted(&self, label: &str) -> Option<HostedServer> {
        self.tools().hosted(label)?;
        self.change(|tools| {
            let index = tools.hosted.iter().position(|server| server.label() == label)?;
            Some(tools.hosted.remove(index))
        })
    }

    /// Replaces all tools at once: functions, hosted servers and the catch-all handler.
    pub fn replace(&self, other: &Self) {
        let new = other.tools();
        self.change(|tools| {
            (tools.functions, tools.hosted) = (new.functions.clone(), new.hosted.clone());
            tools.catch_all = new.catch_all.clone();
        });
    }

    /// Makes a toolbox of what `change` makes of each tool. Tools that are added to this one later are not in
    /// it.
    #[must_use]
    pub fn map(&self, change: impl Fn(Function) -> Function) -> Self {
        let tools = self.tools();
        let changed = Self::new();
        changed.change(|own| {
            own.functions = tools.functions.iter().cloned().map(&change).collect();
            own.hosted.clone_from(&tools.hosted);
            own.catch_all = tools.catch_all.clone().map(&change);
        });
        changed
    }

    /// Returns the first tool that was added under a name that the service would refuse.
    ///
    /// # Errors
    /// [`ToolNameError`]: the tool is not in the toolbox. Rename it.
    pub fn check(&self) -> Result<(), ToolNameError> {
        self.shelf().misnamed.clone().map_or(Ok(()), Err)
    }

    /// The tools as they are now.
    pub fn tools(&self) -> Arc<Tools> {
        Arc::clone(&self.shelf().tools)
    }

    /// Counts the changes: a driver compares it at each input.
    pub fn version(&self) -> u64 {
        self.shelf().tools.version
    }

    /// What came of the newest declaration, in the call that has this toolbox; `None`: the server has not
    /// answered it, or no call has it. Of a toolbox that several calls share, what came of it in one of them.
    pub fn declared(&self) -> Option<Outcome> {
        let part = self.shelf().part.clone();
        if let Some(part) = part {
            return part.declared();
        }
        let shelf = self.shelf();
        let newest = shelf.declared_as.as_ref().filter(|(version, _)| *version == shelf.tools.version);
        newest.map(|(_, outcome)| outcome.clone())
    }

    /// A server has answered the declaration of that version.
    pub(crate) fn note_declared(&self, version: u64, outcome: Outcome) {
        let mut shelf = self.shelf();
        shelf.declared_as = Some((version, outcome));
        shelf.part = None;
    }

    /// A call declares this one instead, which follows all changes.
    pub(crate) fn declare_instead(&self, part: &Self) {
        self.shelf().part = Some(part.clone());
    }

    /// Returns whether there is no tool to declare.
    pub fn is_empty(&self) -> bool {
        let tools = self.tools();
        tools.functions.is_empty() && tools.hosted.is_empty()
    }

    /// Puts the tools into a configuration. Other tools of `base` stay, in front. Tools and hosted servers
    /// that this toolbox has declared before and has no longer are taken out.
    pub fn session_config(&self, mut base: SessionConfig) -> SessionConfig {
        let mut shelf = self.shelf();
        let tools = Arc::clone(&shelf.tools);
        shelf.declared.extend(tools.functions.iter().map(|function| function.name().to_owned()));
        shelf.declared_hosted.extend(tools.hosted.iter().map(|server| server.label().to_owned()));
        if shelf.declared.is_empty() && shelf.declared_hosted.is_empty() {
            return base;
        }
        let mut declarations = std::mem::take(&mut base.tools).into_value().unwrap_or_default();
        declarations.retain(|tool| match tool {
            Tool::Mcp(server) => {
                !server.server_label.value().is_some_and(|label| shelf.declared_hosted.contains(label))
            }
            tool => tool.function_name().is_none_or(|name| !shelf.declared.contains(name)),
        });
        declarations.extend(tools.declarations());
        base.tools = Field::Value(declarations);
        base
    }

    /// Returns whether a hosted server of that label is or was declared here.
    pub(crate) fn has_declared_hosted(&self, label: &str) -> bool {
        self.shelf().declared_hosted.contains(label)
    }

    /// Calls `hook` after each change, on the thread that made it, for as long as the returned value is kept:
    /// a driver wakes its task by it.
    pub fn on_change(&self, hook: impl Fn() + Send + Sync + 'static) -> Watching {
        let hook: Hook = Arc::new(hook);
        self.watch(&hook);
        Watching { _hook: hook }
    }

    /// Calls a hook after each change, as long as there is an owner of it.
    pub(crate) fn watch(&self, hook: &Hook) {
        let mut shelf = self.shelf();
        shelf.hooks.retain(|hook| hook.strong_count() > 0);
        shelf.hooks.push(Arc::downgrade(hook));
    }

    /// Makes a new version.
    fn change<R>(&self, change: impl FnOnce(&mut Tools) -> R) -> R {
        let (result, hooks) = {
            let mut shelf = self.shelf();
            let tools = Arc::make_mut(&mut shelf.tools);
            let result = change(tools);
            tools.version += 1;
            (result, shelf.hooks.clone())
        };
        hooks.iter().filter_map(Weak::upgrade).for_each(|hook| hook());
        result
    }

    /// Nobody panics while holding it.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toolbox").field("tools", &self.tools()).finish_non_exhaustive()
    }
}

/// Keeps a hook of [`Toolbox::on_change`] in place.
#[must_use = "dropping it takes the hook away"]
pub struct Watching {
    _hook: Hook,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

/// What goes with the declaration of other tools.
#[derive(Debug)]
pub(crate) struct Companion {
    /// Members that change with the tools.
    pub(crate) config: Box<SessionConfig>,
    /// What is asked for once the session has them.
    pub(crate) then: Option<Command>,
}

/// One version of a [`Toolbox`].
#[derive(Clone, Debug, Default)]
pub struct Tools {
    version: u64,
    functions: Vec<Function>,
    hosted: Vec<HostedServer>,
    catch_all: Option<Function>,
}

impl Tools {
    pub(crate) const fn of(functions: Vec<Function>, hosted: Vec<HostedServer>) -> Self {
        Self { version: 0, functions, hosted, catch_all: None }
    }

    /// All of these, and more functions.
    pub(crate) fn and(&self, more: impl Iterator<Item = Function>) -> Self {
        let functions = self.functions.iter().cloned().chain(more).collect();
        Self { functions, hosted: self.hosted.clone(), catch_all: self.catch_all.clone(), ..*self }
    }

    /// Returns whether it declares the same and runs it in the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.functions.len() == other.functions.len()
            && self.functions.iter().zip(&other.functions).all(|(one, other)| one.is_same(other))
            && self
                .hosted
                .iter()
                .map(HostedServer::declaration)
                .eq(other.hosted.iter().map(HostedServer::declaration))
    }

    /// Counts the changes of the toolbox.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The registered tool of that name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name() == name)
    }

    /// What handles calls of that name: the registered tool, or the catch-all handler. `None`: there is no
    /// such tool.
    pub fn handler(&self, name: &str) -> Option<&Function> {
        self.get(name).or(self.catch_all.as_ref())
    }

    /// The hosted MCP server of that label.
    pub fn hosted(&self, label: &str) -> Option<&HostedServer> {
        self.hosted.iter().find(|server| server.label() == label)
    }

    /// The functions, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter()
    }

    /// What the session is told about the tools: functions, then hosted servers, in the order in which they
    /// were registered.
    pub fn declarations(&self) -> Vec<Tool> {
        let hosted = self.hosted.iter().map(HostedServer::declaration);
        self.functions.iter().map(Function::declaration).chain(hosted).collect()
    }

    fn put(&mut self, function: Function) -> Option<Function> {
        match self.functions.iter_mut().find(|old| old.name() == function.name()) {
            Some(old) => Some(std::mem::replace(old, function)),
            None => {
                self.functions.push(function);
                None
            }
        }
    }
}

/// Why [`Toolbox::exchange`] did not add a tool.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolRefusal {
    /// The service would refuse its name.
    #[error(transparent)]
    Misnamed(#[from] ToolNameError),
    /// There is another tool of that name.
    #[error("expected a name that no other tool has, got `{name}`: give the tools a prefix, or leave it out")]
    Taken {
        /// The name.
        name: String,
    },
}

impl ToolRefusal {
    /// The tool's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Misnamed(error) => &error.name,
            Self::Taken { name } => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use realtime_protocol::call::{FunctionCall, FunctionOutput};
    use serde::Deserialize;

    use crate::tool::{FunctionContext, Reply, ToolError};

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    struct WeatherArgs {
        city: String,
        days: Option<u8>,
    }

    fn weather() -> Toolbox {
        Toolbox::new().tool("get_weather", "Looks up the weather", |args: WeatherArgs| async move {
            match args.city.as_str() {
                "Atlantis" => Err(ToolError::new("no such city")),
                city => Ok(json!({ "city": city, "days": args.days })),
            }
        })
    }

    fn call(toolbox: &Toolbox, name: &str, arguments: &str) -> FunctionOutput {
        let call = Arc::new(FunctionCall {
            key: String::new(),
            call_id: "call_1".into(),
            item_id: None,
            name: name.into(),
            arguments: arguments.into(),
        });
        let tools = toolbox.tools();
        let Some(function) = tools.handler(name) else { return FunctionOutput::Unknown };
        match function.start(&call, FunctionContext::new(Arc::clone(&call), None)) {
            Err(output) => output,
            Ok(future) => match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(output) => output,
                Poll::Pending => panic!("the handlers here await nothing"),
            },
        }
    }

    #[test]
    fn a_call_runs_the_tool_of_its_name() {
        let output = call(&weather(), "get_weather", r#"{"city":"Oslo"}"#);
        assert_eq!(output, FunctionOutput::Result(json!({ "city": "Oslo", "days": null })));
    }

    #[test]
    fn what_runs_a_tool_may_answer_for_it_and_then_nothing_of_it_runs() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let toolbox = Toolbox::new().tool("count", "Counts", move |(): ()| {
            counted.fetch_add(1, Ordering::Relaxed); // in front of the future
            async { Ok::<_, ToolError>("ran") }
        });
        let known = |call: Arc<FunctionCall>, run: crate::BoxFuture<'static, FunctionOutput>| async move {
            match call.arguments.contains("known") {
                true => FunctionOutput::Result(json!("from the journal")),
                false => run.await,
            }
        };
        let toolbox = toolbox.map(|function| function.within(known));
        let output = call(&toolbox, "count", r#"{"known":1}"#);
        assert_eq!(
            (output, runs.load(Ordering::Relaxed)),
            (FunctionOutput::Result(json!("from the journal")), 0)
        );
        let output = call(&toolbox, "count", "{}");
        assert_eq!((output, runs.load(Ordering::Relaxed)), (FunctionOutput::Result(json!("ran")), 1));
    }

    #[test]
    fn a_failure_is_told_in_the_handlers_words() {
        let output = call(&weather(), "get_weather", r#"{"city":"Atlantis"}"#);
        assert_eq!(output, FunctionOutput::Error("no such city".into()));
    }

    #[test]
    fn arguments_that_do_not_fit_are_answered_without_entering_the_handler() {
        for (arguments, text) in [
            ("{}", "expected a member `city`, got none at the top level"),
            (r#"{"city":7}"#, "expected a string, got integer `7` at `city`"),
            (
                r#"{"city":"Oslo","days":400}"#,
                "expected an integer from 0 to 255, got integer `400` at `days`",
            ),
            ("[]", "expected an object, got an array at the top level"),
        ] {
            let output = call(&weather(), "get_weather", arguments);
            assert_eq!(output, FunctionOutput::Error(text.into()), "{arguments}");
        }
    }

    #[test]
    fn the_catch_all_gets_other_names_with_their_raw_arguments() {
        let policy = ToolPolicy::new().reply(Reply::Silent);
        let toolbox = weather().catch_all(policy, |args: Value, cx: FunctionContext| async move {
            Ok::<_, ToolError>(json!([cx.call().name, args]))
        });
        assert_eq!(
            call(&toolbox, "get_time", r#"{"zone":"CET"}"#),
            FunctionOutput::Result(json!(["get_time", { "zone": "CET" }]))
        );
        let tools = toolbox.tools();
        assert_eq!(tools.handler("get_time").unwrap().tool_policy().reply, Reply::Silent);
        assert_eq!(tools.handler("get_weather").unwrap().tool_policy().reply, Reply::Auto);
        assert_eq!(tools.declarations().len(), 1);
    }

    #[test]
    fn a_change_is_seen_by_all_owners_and_told_to_who_wants_to_know() {
        let toolbox = weather();
        let told = Arc::new(AtomicUsize::new(0));
        let watching = toolbox.on_change({
            let (told, toolbox) = (Arc::clone(&told), toolbox.clone());
            // The toolbox is not locked meanwhile.
            move || {
                let count = toolbox.tools().iter().count();
                told.fetch_add(count + 1, Ordering::Relaxed);
            }
        });
        let owner = toolbox.clone();
        let before = toolbox.tools();
        let again = Function::new("get_weather", "Knows nothing", |(): ()| async { Ok::<_, ToolError>(0) });
        assert!(owner.register(again).unwrap().is_some());
        assert_eq!(call(&toolbox, "get_weather", ""), FunctionOutput::Result(json!(0)));
        assert!(owner.unregister("get_weather").is_some());
        assert!(owner.unregister("get_weather").is_none());
        assert_eq!(call(&toolbox, "get_weather", "{}"), FunctionOutput::Unknown);
        assert_eq!(told.load(Ordering::Relaxed), 3);
        drop(watching);
        let _ = toolbox.unregister("get_weather");
        toolbox.register(Function::new("f", "", |(): ()| async { Ok::<_, ToolError>(0) })).unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 3, "nobody watches");
        assert!(before.get("get_weather").is_some() && before.version() < toolbox.tools().version());
    }

    #[test]
    fn a_toolbox_that_outlives_its_calls_keeps_nothing_of_them() {
        let toolbox = weather();
        for _ in 0..100 {
            let mut desk = crate::Desk::new(toolbox.clone(), crate::DeskOptions::default());
            desk.on_change(|| {});
            let agents = crate::Agents::new([crate::AgentSpec::new("a", "")]).unwrap();
            let _ = agents.toolbox(&toolbox).unwrap();
        }
        assert!(toolbox.shelf().hooks.len() <= 2);
    }

    #[test]
    fn names_that_were_declared_are_remembered_up_to_a_bound() {
        let mut declared = Declared::default();
        for number in 0..2000 {
            declared.extend(["stays".to_owned(), format!("f{number}")].into_iter());
        }
        assert_eq!(declared.names.len(), MOST_DECLARED);
        assert!(declared.contains("stays") && declared.contains("f1999") && !declared.contains("f0"));
        declared.extend((0..2000).map(|number| format!("g{number}")));
        assert_eq!(declared.names.len(), 2000, "all that are declared now");
    }

    #[test]
    fn a_tool_that_is_taken_out_is_declared_no_longer() {
        let old = realtime_protocol::tool::FunctionTool::default();
        let base = SessionConfig::realtime()
            .tools(vec![old.clone().name("get_weather").into(), old.name("hang_up").into()]);
        let toolbox = weather();
        let names = |config: &SessionConfig| -> Vec<String> {
            let tools = config.tools.value().unwrap().iter();
            tools.filter_map(|tool| tool.function_name()).map(ToOwned::to_owned).collect()
        };
        let config = toolbox.session_config(base.clone());
        assert_eq!(names(&config), ["hang_up", "get_weather"]);
        toolbox.unregister("get_weather");
        assert_eq!(names(&toolbox.session_config(config)), ["hang_up"]);
        let empty = toolbox.session_config(SessionConfig::realtime());
        assert_eq!(empty.tools, Field::Value(Vec::new()));
        assert_eq!(Toolbox::new().session_config(base.clone()), base);
    }

    #[test]
    fn tools_from_elsewhere_replace_their_own_and_no_others() {
        let function = |name: &str| Function::new(name, "", |(): ()| async { Ok::<_, ToolError>(0) });
        let toolbox = weather();
        let version = toolbox.version();
        let refused =
            toolbox.exchange(&[], vec![function("find"), function("get_weather"), function("not good")]);
        assert_eq!(refused.iter().map(ToolRefusal::name).collect::<Vec<_>>(), ["get_weather", "not good"]);
        assert_eq!(toolbox.version(), version + 1);
        assert!(toolbox.exchange(&["find".into()], vec![function("find"), function("fetch")]).is_empty());
        assert_eq!(
            toolbox.tools().iter().map(Function::name).collect::<Vec<_>>(),
            ["get_weather", "find", "fetch"]
        );
    }

    #[test]
    fn notices_are_kept_for_each_call() {
        let toolbox = Toolbox::new();
        for _ in 0..100 {
            toolbox.tell(Notice::BudgetSpent {});
        }
        assert_eq!((toolbox.notices(0).0.len(), toolbox.notices(0).1), (64, 100));
        assert_eq!(toolbox.notices(99).0.len(), 1);
        assert!(toolbox.notices(100).0.is_empty());
    }

    #[test]
    fn hosted_servers_are_declared_and_taken_out_by_label() {
        let other = realtime_protocol::tool::McpTool::default().server_label("other");
        let base = SessionConfig::realtime().tools(vec![other.into()]);
        let toolbox = weather().hosted(HostedServer::at("docs", "https://mcp.example"));
        let count = |config: &SessionConfig| config.tools.value().map_or(0, Vec::len);
        let config = toolbox.session_config(base);
        assert_eq!(count(&config), 3);
        assert_eq!(count(&toolbox.session_config(config.clone())), 3, "once");
        assert!(toolbox.unregister_hosted("docs").is_some() && toolbox.unregister_hosted("docs").is_none());
        assert_eq!(count(&toolbox.session_config(config)), 2);
    }

    #[test]
    fn names_are_checked_by_the_services_rule() {
        let function = |name: &str| Function::new(name, "", |(): ()| async { Ok::<_, ToolError>(0) });
        let long = "x".repeat(65);
        for name in ["", "get weather", "wetter_für", long.as_str()] {
            let toolbox = Toolbox::new().with(function(name));
            assert_eq!(toolbox.check().unwrap_err().name, name);
            assert!(toolbox.is_empty());
        }
        assert_eq!(Toolbox::new().with(function("get-weather_2")).check(), Ok(()));
    }

    #[test]
    fn a_toolbox_crosses_threads() {
        const fn crosses<T: Clone + Send + Sync + 'static>(_: &T) {}
        crosses(&weather());
    }
}
