//! One tool: its declaration, its handler and its policy.
//!
//! The rule kept here: a handler is called only with arguments of its own type. Anything else that the model
//! sends is answered with a text that says what was expected, what came and where.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::call::{FunctionCall, FunctionOutput};
use realtime_protocol::field::RawJson;
use realtime_protocol::tool::{FunctionTool, Tool};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments;
use crate::schema::Parameters;

/// A future on the heap that any executor can run.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A tool that this side runs: its declaration for the model, its handler, and its policy.
///
/// A clone shares the handler.
#[derive(Clone)]
pub struct Function {
    name: String,
    description: String,
    parameters: Value,
    policy: ToolPolicy,
    handler: Arc<Handler>,
}

type Handler =
    dyn Fn(&FunctionCall) -> Result<BoxFuture<'static, FunctionOutput>, FunctionOutput> + Send + Sync;

impl Function {
    /// Declares a tool by the type of its handler's argument.
    ///
    /// `A` is usually a struct: its fields are the tool's parameters, and the model reads their doc comments.
    /// `()` stands for no parameters. Any other type (a string, a number, a list) is declared as one
    /// parameter named `value`.
    ///
    /// The handler returns anything that serializes, or an error whose text the model reads.
    pub fn new<A, F, Fut, R, E>(name: impl Into<String>, description: impl Into<String>, handler: F) -> Self
    where
        A: DeserializeOwned + JsonSchema,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        let Parameters { schema, shape } = Parameters::of::<A>();
        Self {
            name: name.into(),
            description: description.into(),
            parameters: schema,
            policy: ToolPolicy::default(),
            handler: Arc::new(move |call| {
                let args = arguments::read(&call.arguments, shape).map_err(FunctionOutput::Error)?;
                Ok(answer(handler(args)))
            }),
        }
    }

    /// Declares a tool by a JSON Schema; its handler reads the arguments itself and sees the whole call.
    pub fn raw<F, Fut, R, E>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        handler: F,
    ) -> Self
    where
        F: Fn(FunctionCall, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        Self {
            name: name.into(),
            description: description.into(),
            parameters,
            policy: ToolPolicy::default(),
            handler: Arc::new(move |call| {
                let args = arguments::read_object(&call.arguments).map_err(FunctionOutput::Error)?;
                Ok(answer(handler(call.clone(), args)))
            }),
        }
    }

    /// Replaces the policy.
    #[must_use]
    pub const fn policy(mut self, policy: ToolPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The name by which the model calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its description for the model.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    pub const fn parameters(&self) -> &Value {
        &self.parameters
    }

    /// How it is run.
    pub const fn tool_policy(&self) -> ToolPolicy {
        self.policy
    }

    /// Its declaration in `session.update`.
    pub fn declaration(&self) -> Tool {
        FunctionTool::default()
            .name(self.name.clone())
            .description(self.description.clone())
            .parameters(RawJson::from(self.parameters.clone()))
            .into()
    }

    /// Checks the arguments and calls the handler. Returns the future that gives the output. The handler's
    /// synchronous part runs at once; its future runs when polled.
    ///
    /// # Errors
    /// [`FunctionOutput::Error`] if the arguments do not fit: the handler was not called. Give it to the
    /// model as the call's output.
    pub fn start(&self, call: &FunctionCall) -> Result<BoxFuture<'static, FunctionOutput>, FunctionOutput> {
        (self.handler)(call)
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

/// How a tool is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToolPolicy {
    /// How long the handler may take before the call is answered as timed out. `None`: no limit. Default: 30
    /// s. While a call runs, the model does not answer the user.
    pub timeout: Option<Duration>,
    /// What to do with a running call when the user speaks over the assistant.
    pub on_interrupt: OnInterrupt,
    /// Whether the model speaks about the result.
    pub reply: Reply,
}

impl Default for ToolPolicy {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            on_interrupt: OnInterrupt::default(),
            reply: Reply::default(),
        }
    }
}

/// What to do with a running call when the user speaks over the assistant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnInterrupt {
    /// The handler is dropped and the call answered as cancelled.
    #[default]
    Cancel,
    /// The handler runs on, and its result is sent when it is ready. For tools that change something.
    Keep,
}

/// Whether the model speaks about a result.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Once all calls of a response are answered, the model is asked for one response.
    #[default]
    Auto,
    /// The result is sent, and the model is not asked to say anything.
    Silent,
}

/// Why a handler failed, in words for the model. Handlers may also return any other error that implements
/// `Display`.
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

/// Turns what a handler returns into a call's output.
fn answer<Fut, R, E>(result: Fut) -> BoxFuture<'static, FunctionOutput>
where
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize,
    E: fmt::Display,
{
    Box::pin(async move {
        match result.await {
            Ok(value) => serde_json::to_value(value).map_or_else(
                |error| FunctionOutput::Error(format!("the result is no JSON: {error}")),
                FunctionOutput::Result,
            ),
            Err(error) => FunctionOutput::Error(error.to_string()),
        }
    })
}
