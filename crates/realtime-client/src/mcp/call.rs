//! A call of a tool on an MCP server: its progress, its cancellation, and what the model reads if it fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use realtime_context::{FunctionContext, ToolError, Toolbox};
use realtime_protocol::call::Notice;
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ProgressNotificationParam,
    ProgressToken, RequestId, ServerResult,
};
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::mcp::tools::output;

/// What a server tells without being asked.
#[derive(Clone, Default)]
pub(super) struct Hears {
    /// The tools have changed.
    pub(super) changed: Arc<Notify>,
    /// The calls that run, by what their progress is told under.
    calls: Arc<Mutex<HashMap<ProgressToken, FunctionContext>>>,
}

impl Hears {
    /// Nobody panics while holding it.
    fn calls(&self) -> MutexGuard<'_, HashMap<ProgressToken, FunctionContext>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHandler for Hears {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(cx) = self.calls().get(&params.progress_token) {
            let ProgressNotificationParam { progress, total, message, .. } = params;
            cx.progress(json!({ "progress": progress, "total": total, "message": message }));
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// A server whose tools are called. It may end, and be started again.
pub(super) struct Remote {
    pub(super) name: String,
    link: Mutex<Link>,
    pub(super) toolbox: Toolbox,
    pub(super) hears: Hears,
}

/// How a server is reached now.
struct Link {
    /// The latest one: it may have ended.
    peer: Peer<RoleClient>,
    /// Whether a server that has ended is started again.
    comes_back: bool,
}

impl Remote {
    pub(super) const fn new(
        name: String,
        peer: Peer<RoleClient>,
        toolbox: Toolbox,
        hears: Hears,
        comes_back: bool,
    ) -> Self {
        Self { name, link: Mutex::new(Link { peer, comes_back }), toolbox, hears }
    }

    /// Nobody panics while holding it.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn peer(&self) -> Peer<RoleClient> {
        self.link().peer.clone()
    }

    /// The server was started again.
    pub(super) fn is_back(&self, peer: Peer<RoleClient>) {
        self.link().peer = peer;
    }

    /// The server has ended for good.
    pub(super) fn is_gone(&self) {
        self.link().comes_back = false;
    }

    /// Calls a tool. If the future is dropped, the server is told that nobody waits for the result.
    pub(super) async fn call(
        &self,
        tool: String,
        arguments: Value,
        cx: FunctionContext,
    ) -> Result<Value, ToolError> {
        let Value::Object(arguments) = arguments else {
            return Err("expected an object as arguments".into());
        };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let request = CallToolRequest::new(params).into();
        let peer = self.peer();
        let asked = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let handle = asked.map_err(|error| self.explain(error))?;
        let (id, token) = (Some(handle.id.clone()), handle.progress_token.clone());
        let mut call = Running { remote: self, peer, id, token };
        self.hears.calls().insert(call.token.clone(), cx);
        let answer = handle.await_response().await;
        call.id = None;
        match answer.map_err(|error| self.explain(error))? {
            ServerResult::CallToolResult(result) => output(result),
            _ => {
                Err(format!("the MCP server `{}` answered with something else than a result", self.name)
                    .into())
            }
        }
    }

    /// Tells the application that the server fails.
    pub(super) fn tell(&self, reason: &str) {
        self.toolbox.tell(Notice::McpServerFailed { server: self.name.clone(), reason: reason.to_owned() });
    }

    fn explain(&self, error: ServiceError) -> ToolError {
        let name = &self.name;
        ToolError::new(match error {
            ServiceError::McpError(error) => error.message.into_owned(),
            ServiceError::TransportClosed if self.link().comes_back => {
                format!("the MCP server `{name}` has ended and is being started again: try again in a moment")
            }
            ServiceError::TransportClosed => {
                format!("the MCP server `{name}` has ended: its tools can't run")
            }
            ServiceError::TransportSend(_) => {
                self.tell("a call did not reach it");
                format!("the MCP server `{name}` can't be reached: its tools can't run")
            }
            error => format!("the MCP server `{name}` did not answer: {error}"),
        })
    }
}

/// A call that runs.
struct Running<'a> {
    remote: &'a Remote,
    peer: Peer<RoleClient>,
    /// `None`: it is answered.
    id: Option<RequestId>,
    token: ProgressToken,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.remote.hears.calls().remove(&self.token);
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = Some("the result is not wanted any more".to_owned());
            // A server that is gone needs no word.
            let _ = peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason)).await;
        });
    }
}
