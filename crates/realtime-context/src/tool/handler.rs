//! What can handle a call: [`Handler`], which closures of one or two arguments are.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use realtime_protocol::call::FunctionOutput;
use serde::Serialize;

use crate::tool::FunctionContext;

/// A future on the heap that any executor can run.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A closure that handles calls: `|args| async { … }`, or `|args, cx| async { … }` if it wants to know more
/// of its call than its arguments.
///
/// It returns anything that serializes, or an error whose text the model reads. `Takes` is never named: it
/// tells the two forms apart.
pub trait Handler<A, Takes>: Send + Sync + 'static {
    /// Handles a call.
    fn handle(&self, args: A, cx: FunctionContext) -> BoxFuture<'static, FunctionOutput>;
}

/// Of [`Handler`]: the closure takes the arguments alone.
#[derive(Debug)]
pub struct TakesArgs;

/// Of [`Handler`]: the closure takes the arguments and a [`FunctionContext`].
#[derive(Debug)]
pub struct TakesContext;

impl<A, F, Fut, R, E> Handler<A, TakesArgs> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize,
    E: fmt::Display,
{
    fn handle(&self, args: A, _: FunctionContext) -> BoxFuture<'static, FunctionOutput> {
        answer(self(args))
    }
}

impl<A, F, Fut, R, E> Handler<A, TakesContext> for F
where
    F: Fn(A, FunctionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize,
    E: fmt::Display,
{
    fn handle(&self, args: A, cx: FunctionContext) -> BoxFuture<'static, FunctionOutput> {
        answer(self(args, cx))
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
