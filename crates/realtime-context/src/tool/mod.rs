//! One tool: its declaration, its handler and its policy.
//!
//! The rule kept here: a handler is entered only with arguments of its own type. The answer to all other
//! arguments is a text that says what was expected, what came and where.

mod function_context;
mod handler;
mod policy;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use realtime_protocol::call::{FunctionCall, FunctionOutput};
use realtime_protocol::field::RawJson;
use realtime_protocol::tool::{FunctionTool, Tool};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments;
use crate::schema::Parameters;

pub use function_context::FunctionContext;
pub(crate) use function_context::Hook;
pub use handler::{BoxFuture, Handler, TakesArgs, TakesContext};
pub use policy::{Filler, OnInterrupt, OnTakeover, Reply, ToolPolicy};

/// A tool that this side runs: its declaration for the model, the handler, and how it is run.
///
/// A clone shares the handler.
#[derive(Clone)]
pub struct Function {
    name: String,
    description: String,
    parameters: Value,
    policy: ToolPolicy,
    approval: Option<Arc<Approval>>,
    /// Hears of each call before it runs, in the order of the calls.
    on_start: Option<Arc<OnStart>>,
    handler: Arc<Handles>,
}

type Handles = dyn Fn(&Arc<FunctionCall>, FunctionContext) -> Result<BoxFuture<'static, FunctionOutput>, FunctionOutput>
    + Send
    + Sync;
type OnStart = dyn Fn(&FunctionCall) + Send + Sync;
type Approval = dyn Fn(Arc<FunctionCall>) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// The longest name of a tool that the service takes (characters).
const LONGEST_NAME: usize = 64;

impl Function {
    /// Declares a tool by the type of its handler's first argument.
    ///
    /// `A` is usually a struct: its fields are the tool's parameters, and their doc comments are what the
    /// model reads of them. The struct's own doc comment is not sent: the description says what the tool
    /// does. `()` stands for no parameters. Any other type (a string, a number, a list) is declared as one
    /// parameter named `value`.
    pub fn new<A, Takes>(
        name: impl Into<String>,
        description: impl Into<String>,
        handler: impl Handler<A, Takes>,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
    {
        let Parameters { schema, shape } = Parameters::of::<A>();
        Self {
            name: name.into(),
            description: description.into(),
            parameters: schema,
            policy: ToolPolicy::default(),
            approval: None,
            on_start: None,
            handler: Arc::new(move |call, cx| {
                let args = arguments::read(&call.arguments, shape).map_err(FunctionOutput::Error)?;
                Ok(handler.handle(args, cx))
            }),
        }
    }

    /// Declares a tool by a JSON Schema. Its handler reads the arguments itself: any JSON object.
    pub fn raw<Takes>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        handler: impl Handler<Value, Takes>,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters,
            policy: ToolPolicy::default(),
            approval: None,
            on_start: None,
            handler: Arc::new(move |call, cx| {
                let args = arguments::read_object(&call.arguments).map_err(FunctionOutput::Error)?;
                Ok(handler.handle(args, cx))
            }),
        }
    }

    /// Replaces the policy.
    #[must_use]
    pub fn policy(mut self, policy: ToolPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Calls `hook` for each call before it runs, in the order of the calls. Handlers may run in any order.
    pub(crate) fn on_start(mut self, hook: impl Fn(&FunctionCall) + Send + Sync + 'static) -> Self {
        self.on_start = Some(Arc::new(hook));
        self
    }

    pub(crate) fn tell_start(&self, call: &FunctionCall) {
        if let Some(hook) = &self.on_start {
            hook(call);
        }
    }

    /// Asks before each call runs. `Err` refuses it, and the model reads the text. A hook that panics refuses
    /// it too, and so does one that has no answer when the policy's timeout is over.
    #[must_use]
    pub fn approval<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Arc<FunctionCall>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.approval = Some(Arc::new(move |call| Box::pin(hook(call))));
        self
    }

    /// Runs each call within `wrap`, which gets the call and its run. Nothing of the handler has run before
    /// `wrap` awaits the run, and if it does not, nothing will. Its output is the call's. So a call is
    /// written down before it runs, or answered from what is written down.
    #[must_use]
    pub fn within<F, Fut>(mut self, wrap: F) -> Self
    where
        F: Fn(Arc<FunctionCall>, BoxFuture<'static, FunctionOutput>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = FunctionOutput> + Send + 'static,
    {
        let handler = self.handler;
        self.handler = Arc::new(move |call, cx| {
            let (handler, function_call) = (Arc::clone(&handler), Arc::clone(call));
            let run = async move {
                match handler(&function_call, cx) {
                    Ok(run) => run.await,
                    Err(output) => output,
                }
            };
            Ok(Box::pin(wrap(Arc::clone(call), Box::pin(run))))
        });
        self
    }

    /// The name by which the model calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the model reads about it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    pub const fn parameters(&self) -> &Value {
        &self.parameters
    }

    /// How it is run.
    pub const fn tool_policy(&self) -> &ToolPolicy {
        &self.policy
    }

    /// Its entry in `session.update`.
    pub fn declaration(&self) -> Tool {
        FunctionTool::default()
            .name(self.name.clone())
            .description(self.description.clone())
            .parameters(RawJson::from(self.parameters.clone()))
            .into()
    }

    /// Checks the arguments and makes the future that ends in the output. Before the future is polled, only
    /// the code in front of the handler's `async` block runs.
    ///
    /// # Errors
    /// [`FunctionOutput::Error`] if the arguments do not fit: the handler was not entered. Give it to the
    /// model as the call's output.
    pub fn start(
        &self,
        call: &Arc<FunctionCall>,
        cx: FunctionContext,
    ) -> Result<BoxFuture<'static, FunctionOutput>, FunctionOutput> {
        (self.handler)(call, cx)
    }

    pub(crate) fn ask(&self, call: Arc<FunctionCall>) -> Option<BoxFuture<'static, Result<(), String>>> {
        self.approval.as_ref().map(|hook| hook(call))
    }

    pub(crate) const fn needs_approval(&self) -> bool {
        self.approval.is_some()
    }

    /// Returns whether it is a clone of the other one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.policy == other.policy && Arc::ptr_eq(&self.handler, &other.handler)
    }

    /// Checks the name by the service's rule.
    pub(crate) fn check_name(&self) -> Result<(), ToolNameError> {
        let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        let is_valid = (1..=LONGEST_NAME).contains(&self.name.len()) && self.name.chars().all(fits);
        if is_valid { Ok(()) } else { Err(ToolNameError { name: self.name.clone() }) }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("description", &self.description)
            .field("parameters", &self.parameters)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The service would refuse a tool of this name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected a name of 1 to {LONGEST_NAME} letters (a to z), digits, `_` and `-`, got `{name}`: rename the tool"
)]
pub struct ToolNameError {
    /// The name.
    pub name: String,
}

/// Why a handler failed, in words for the model. Handlers may return any other error that prints as well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(String);

impl ToolError {
    /// An error of that text.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl From<&str> for ToolError {
    fn from(message: &str) -> Self {
        Self(message.into())
    }
}

impl From<String> for ToolError {
    fn from(message: String) -> Self {
        Self(message)
    }
}
