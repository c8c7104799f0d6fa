//! The tools of an agent, by name.
//!
//! The rule kept here: every call has an answer. An unregistered name goes to the catch-all handler. Without
//! one, the call is answered as unknown, so that no call stays open.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use realtime_protocol::call::{FunctionCall, FunctionOutput};
use realtime_protocol::field::Field;
use realtime_protocol::session_config::SessionConfig;
use realtime_protocol::tool::Tool;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::tool::{BoxFuture, Function, ToolPolicy};

/// Tools by name, with an optional handler for all other names.
///
/// Needs no runtime: [`start`](Self::start) returns a future, which the caller runs and drops by its
/// [`policy`](Self::policy). A clone is cheap and independent: tools registered later in one do not appear in
/// the other.
///
/// ```
/// use realtime_context::{ToolError, Toolbox};
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
/// let toolbox = Toolbox::new().tool("get_weather", "Looks up the weather", |args: WeatherArgs| async move {
///     if args.city.is_empty() {
///         return Err(ToolError::new("which city?"));
///     }
///     Ok(json!({ "city": args.city, "celsius": 3 }))
/// });
/// assert_eq!(toolbox.declarations()[0].function_name(), Some("get_weather"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    functions: Arc<Vec<Function>>,
    catch_all: Option<Function>,
}

impl Toolbox {
    /// No tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool with the default policy; see [`Function::new`].
    pub fn tool<A, F, Fut, R, E>(
        self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: F,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        self.with(Function::new(name, description, handler))
    }

    /// Adds a tool. One of the same name is replaced, in its place.
    pub fn with(mut self, function: Function) -> Self {
        self.register(function);
        self
    }

    /// Handles all calls with unregistered names. Such tools are not declared: the model must learn of them
    /// in another way.
    pub fn catch_all<F, Fut, R, E>(mut self, policy: ToolPolicy, handler: F) -> Self
    where
        F: Fn(FunctionCall, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        self.catch_all = Some(Function::raw("", "", json!({}), handler).policy(policy));
        self
    }

    /// Adds a tool and returns the one of the same name that it replaces.
    pub fn register(&mut self, function: Function) -> Option<Function> {
        let functions = Arc::make_mut(&mut self.functions);
        match functions.iter_mut().find(|old| old.name() == function.name()) {
            Some(old) => Some(std::mem::replace(old, function)),
            None => {
                functions.push(function);
                None
            }
        }
    }

    /// Takes a tool out. Its running calls go on.
    pub fn unregister(&mut self, name: &str) -> Option<Function> {
        let index = self.functions.iter().position(|function| function.name() == name)?;
        Some(Arc::make_mut(&mut self.functions).remove(index))
    }

    /// The tool of that name.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name() == name)
    }

    /// The tools, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter()
    }

    /// Returns whether there is no tool to declare.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The declarations of the tools, in the order in which they were registered.
    pub fn declarations(&self) -> Vec<Tool> {
        self.functions.iter().map(Function::declaration).collect()
    }

    /// Puts the tools into a configuration. Tools of `base` with other names, and remote MCP servers, stay in
    /// front. An empty toolbox changes nothing.
    pub fn session_config(&self, mut base: SessionConfig) -> SessionConfig {
        if self.is_empty() {
            return base;
        }
        let mut tools = std::mem::take(&mut base.tools).into_value().unwrap_or_default();
        tools.retain(|tool| tool.function_name().is_none_or(|name| self.get(name).is_none()));
        tools.extend(self.declarations());
        base.tools = Field::Value(tools);
        base
    }

    /// How calls of that name are run: the tool's policy, the catch-all's, or the default.
    pub fn policy(&self, name: &str) -> ToolPolicy {
        self.handler(name).map(Function::tool_policy).unwrap_or_default()
    }

    /// Checks a call and returns the future that gives its output.
    ///
    /// # Errors
    /// The output to answer at once, without a handler: [`FunctionOutput::Unknown`] for an unhandled name,
    /// [`FunctionOutput::Error`] for arguments that do not fit.
    pub fn start(&self, call: &FunctionCall) -> Result<BoxFuture<'static, FunctionOutput>, FunctionOutput> {
        self.handler(&call.name).ok_or(FunctionOutput::Unknown)?.start(call)
    }

    fn handler(&self, name: &str) -> Option<&Function> {
        self.get(name).or(self.catch_all.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use serde::Deserialize;

    use crate::tool::{OnInterrupt, Reply, ToolError};

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
        let call = FunctionCall {
            key: String::new(),
            call_id: "call_1".into(),
            item_id: None,
            name: name.into(),
            arguments: arguments.into(),
        };
        match toolbox.start(&call) {
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
    fn a_name_that_nobody_registered_is_answered_as_unknown() {
        assert_eq!(call(&weather(), "get_time", "{}"), FunctionOutput::Unknown);
    }

    #[test]
    fn the_catch_all_gets_other_names_with_their_raw_arguments() {
        let policy = ToolPolicy { reply: Reply::Silent, ..ToolPolicy::default() };
        let toolbox = weather().catch_all(policy, |call: FunctionCall, args: Value| async move {
            Ok::<_, ToolError>(json!([call.name, args]))
        });
        assert_eq!(
            call(&toolbox, "get_time", r#"{"zone":"CET"}"#),
            FunctionOutput::Result(json!(["get_time", { "zone": "CET" }]))
        );
        assert_eq!(toolbox.policy("get_time").reply, Reply::Silent);
        assert_eq!(toolbox.policy("get_weather").reply, Reply::Auto);
        assert_eq!(toolbox.declarations().len(), 1);
    }

    #[test]
    fn registering_again_replaces_and_unregistering_removes() {
        let mut toolbox = weather();
        let before = toolbox.clone();
        let again = Function::new("get_weather", "Knows nothing", |(): ()| async { Ok::<_, ToolError>(0) });
        assert!(toolbox.register(again).is_some());
        assert_eq!(call(&toolbox, "get_weather", ""), FunctionOutput::Result(json!(0)));
        assert!(toolbox.unregister("get_weather").is_some());
        assert!(toolbox.unregister("get_weather").is_none());
        assert_eq!(call(&toolbox, "get_weather", "{}"), FunctionOutput::Unknown);
        assert!(before.get("get_weather").is_some());
    }

    #[test]
    fn policies_are_kept_by_tool() {
        let policy = ToolPolicy {
            timeout: Some(Duration::from_millis(500)),
            on_interrupt: OnInterrupt::Keep,
            reply: Reply::Silent,
        };
        let book = Function::new("book", "Books", |_: WeatherArgs| async { Ok::<_, ToolError>(1) });
        let toolbox = weather().with(book.policy(policy));
        assert_eq!(toolbox.policy("book"), policy);
        assert_eq!(toolbox.policy("get_weather"), ToolPolicy::default());
        assert_eq!(toolbox.policy("nobody"), ToolPolicy::default());
    }

    #[test]
    fn tools_join_those_of_the_configuration_and_replace_their_namesakes() {
        let old = realtime_protocol::tool::FunctionTool::default();
        let base = SessionConfig::realtime()
            .tools(vec![old.clone().name("get_weather").into(), old.name("hang_up").into()]);
        let config = weather().session_config(base.clone());
        let names: Vec<_> =
            config.tools.value().unwrap().iter().filter_map(|tool| tool.function_name()).collect();
        assert_eq!(names, ["hang_up", "get_weather"]);
        assert_eq!(Toolbox::new().session_config(base.clone()), base);
    }

    #[test]
    fn a_toolbox_crosses_threads() {
        const fn crosses<T: Clone + Send + Sync + 'static>(_: &T) {}
        crosses(&weather());
    }
}
