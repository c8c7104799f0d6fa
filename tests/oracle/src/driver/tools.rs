//! The tools of a scenario: a real toolbox, whose handlers return when the scenario lets them.
//!
//! There, a context declares functions and a handler is registered by name, before or after. Here a tool is
//! both: the toolbox has what the context declares, and each tool runs the handler that is registered when it
//! is called. Handlers without a declaration are the toolbox's catch-all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use realtime_context::{Function, FunctionContext, OnInterrupt, Reply, ToolError, ToolPolicy, Toolbox};
use realtime_protocol::call::{FunctionCall, FunctionOutput};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::run::lock;
use crate::scenario::{Chat, Registration, Scenario, Step};

/// The handlers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools(Arc<Shared>);

/// What handlers and scenario tell each other.
#[derive(Default)]
struct Shared {
    /// By name; the empty one is for any other.
    registered: Mutex<BTreeMap<String, Registration>>,
    released: watch::Sender<BTreeSet<String>>,
    records: Mutex<Vec<Value>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Tools {
    pub(super) fn register(&self, function: &Registration) {
        let name = function.name.clone().unwrap_or_default();
        lock(&self.0.registered).insert(name, function.clone());
    }

    pub(super) fn release(&self, call_id: &str) {
        self.0.released.send_modify(|released| {
            released.insert(call_id.to_owned());
        });
    }

    /// What was done since the last time, as records of a trace.
    pub(super) fn take_records(&self) -> Vec<Value> {
        std::mem::take(&mut lock(&self.0.records))
    }

    /// The tools of a context, with the policies of the handlers that the scenario registers, now or later.
    pub(super) fn toolbox(&self, chat: &Chat, scenario: &Scenario) -> Toolbox {
        let registrations = || {
            scenario.numbered().filter_map(|(_, step)| match step {
                Step::RegisterFunction(function) => Some(function),
                _ => None,
            })
        };
        let of = |name: &str| {
            let named = registrations().find(|function| function.name.as_deref() == Some(name));
            named.or_else(|| registrations().find(|function| function.name.is_none()))
        };
        let mut toolbox = Toolbox::new();
        let declared = chat.wire_tools().unwrap_or_default();
        for tool in declared.as_array().into_iter().flatten() {
            let name = tool["name"].as_str().unwrap_or_default();
            let description = tool["description"].as_str().unwrap_or_default();
            let function = Function::raw(name, description, tool["parameters"].clone(), self.handler());
            // A name that the service would refuse is declared by nobody.
            let _ = toolbox.register(function.policy(of(name).map_or_else(ToolPolicy::new, policy)));
        }
        if let Some(first) = registrations().next() {
            toolbox = toolbox.catch_all(policy(first), self.handler());
        }
        toolbox
    }

    fn handler(
        &self,
    ) -> impl Fn(Value, FunctionContext) -> realtime_context::BoxFuture<'static, Result<Value, ToolError>>
    + Clone
    + Send
    + Sync
    + 'static {
        let shared = Arc::clone(&self.0);
        move |arguments: Value, cx: FunctionContext| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { shared.handle(arguments, cx).await })
        }
    }
}

impl Shared {
    async fn handle(&self, arguments: Value, cx: FunctionContext) -> Result<Value, ToolError> {
        let registered = {
            let registered = lock(&self.registered);
            registered.get(&cx.call().name).or_else(|| registered.get("")).cloned()
        };
        let Some(spec) = registered else {
            let unknown =
                serde_json::from_str::<Value>(&FunctionOutput::Unknown.to_wire()).unwrap_or_default();
            return Err(ToolError::new(unknown["error"].as_str().unwrap_or_default()));
        };
        self.record(cx.call(), "called", Some(arguments));
        let mut unfinished = Unfinished { shared: Some(self), call: cx.call() };
        if spec.hold {
            let mut released = self.released.subscribe();
            // The sender lives as long as this.
            let _ = released.wait_for(|released| released.contains(cx.call_id().as_str())).await;
        }
        if let Some(error) = spec.raises {
            unfinished.shared = None;
            self.record(cx.call(), "raised", None);
            return Err(ToolError::new(error));
        }
        unfinished.shared = None;
        self.record(cx.call(), "returned", None);
        if spec.no_result {
            pending::<()>().await;
        }
        Ok(spec.result)
    }

    fn record(&self, call: &FunctionCall, phase: &str, arguments: Option<Value>) {
        let mut record = json!({ "name": call.name, "call_id": call.call_id, "phase": phase });
        if let Some(arguments) = arguments {
            record["arguments"] = arguments;
        }
        lock(&self.records).push(record);
    }
}

/// A handler that is dropped was cancelled.
struct Unfinished<'a> {
    shared: Option<&'a Shared>,
    call: &'a FunctionCall,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared {
            shared.record(self.call, "cancelled", None);
        }
    }
}

fn policy(function: &Registration) -> ToolPolicy {
    let on_interrupt = match function.cancel_on_interruption {
        Some(false) => OnInterrupt::Finish,
        _ => OnInterrupt::Cancel,
    };
    let reply = if function.run_llm == Some(false) { Reply::Silent } else { Reply::Auto };
    ToolPolicy::new().on_interrupt(on_interrupt).reply(reply)
}
