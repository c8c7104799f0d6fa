//! Hosted MCP servers: tools that the service calls by itself, declared in the same [`Toolbox`] as functions.
//!
//! The rule kept here: what nobody approves is refused.
//!
//! [`Toolbox`]: crate::Toolbox

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use realtime_protocol::field::Field;
use realtime_protocol::id::ItemId;
use realtime_protocol::item::McpApprovalRequestItem;
use realtime_protocol::tool::{
    AllowedTools, ApprovalFilters, ApprovalMode, Connector, McpTool, McpToolFilter, RequireApproval, Secret,
    Tool,
};

use crate::tool::BoxFuture;

/// An MCP server that the service calls by itself, with the session's other tools.
///
/// Each call needs an approval unless [`never_ask`](Self::never_ask) says otherwise. A request goes to the
/// hook of [`approval`](Self::approval). Without a hook it is refused, and the application is told by
/// [`Notice::HostedApproval`](realtime_protocol::call::Notice::HostedApproval).
///
/// `Debug` shows the label alone.
///
/// ```
/// use realtime_context::{HostedServer, Toolbox};
///
/// let docs = HostedServer::at("docs", "https://mcp.example/docs")
///     .authorization("token")
///     .allow(["search", "fetch", "remove"])
///     .never_ask_for(["search", "fetch"])
///     .approval(|request| async move {
///         if request.name == "remove" { Err("ask a colleague".to_owned()) } else { Ok(()) }
///     });
/// let toolbox = Toolbox::new().hosted(docs);
/// assert_eq!(toolbox.tools().declarations().len(), 1);
/// ```
#[derive(Clone)]
pub struct HostedServer {
    tool: McpTool,
    timeout: Duration,
    hook: Option<Arc<Hook>>,
}

type Hook = dyn Fn(Arc<ApprovalRequest>) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// How long the hook may take, unless the application says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

impl HostedServer {
    /// The MCP server at an address that the service reaches.
    pub fn at(label: impl Into<String>, url: impl Into<String>) -> Self {
        McpTool::default().server_label(label.into()).server_url(url.into()).into()
    }

    /// One of the service's own connectors. It needs an [`authorization`](Self::authorization).
    pub fn connector(label: impl Into<String>, connector: Connector) -> Self {
        McpTool::default().server_label(label.into()).connector_id(connector).into()
    }

    /// The token that the service sends to the MCP server. It never enters a log.
    #[must_use]
    pub fn authorization(mut self, token: impl Into<String>) -> Self {
        self.tool.authorization = Field::Value(Secret(token.into()));
        self
    }

    /// A header that the service sends to the MCP server. Its value never enters a log.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut headers = std::mem::take(&mut self.tool.headers).into_value().unwrap_or_default();
        headers.insert(name.into(), Secret(value.into()));
        self.tool.headers = Field::Value(headers);
        self
    }

    /// What the MCP server is for, for the model.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.tool.server_description = Field::Value(description.into());
        self
    }

    /// The tools that may be called. Default: all that the MCP server lists.
    #[must_use]
    pub fn allow<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.tool.allowed_tools = Field::Value(Box::new(AllowedTools::Names(names)));
        self
    }

    /// No call needs an approval. Default: each does.
    #[must_use]
    pub fn never_ask(mut self) -> Self {
        self.tool.require_approval = Field::Value(Box::new(RequireApproval::Mode(ApprovalMode::Never)));
        self
    }

    /// Calls of these tools need no approval, those of the others do.
    #[must_use]
    pub fn never_ask_for<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let filters = ApprovalFilters::default().never(McpToolFilter::default().tool_names(names));
        self.tool.require_approval = Field::Value(Box::new(RequireApproval::Filters(filters)));
        self
    }

    /// Decides about each call that needs an approval. `Err` refuses it, and the model reads the text. A hook
    /// that panics refuses the call too, and so does one that has no answer in time.
    #[must_use]
    pub fn approval<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Arc<ApprovalRequest>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |request| Box::pin(hook(request))));
        self
    }

    /// How long the hook may take. Default: 30 s.
    #[must_use]
    pub const fn approval_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The label by which the conversation's items name it.
    pub fn label(&self) -> &str {
        self.tool.server_label.value().map_or("", String::as_str)
    }

    /// Its entry in `session.update`.
    pub fn declaration(&self) -> Tool {
        self.tool.clone().into()
    }

    /// Returns whether somebody decides about calls.
    pub(crate) const fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn ask(&self, request: Arc<ApprovalRequest>) -> BoxFuture<'static, Result<(), String>> {
        match &self.hook {
            Some(hook) => hook(request),
            None => Box::pin(async { Err(NO_HOOK.to_owned()) }),
        }
    }
}

/// Why a call is refused that nobody decides about.
pub(crate) const NO_HOOK: &str = "nobody here approves calls of this server";

impl From<McpTool> for HostedServer {
    /// An MCP server by its entry in `session.update`, with everything that the service knows.
    fn from(tool: McpTool) -> Self {
        Self { tool, timeout: TIMEOUT, hook: None }
    }
}

impl fmt::Debug for HostedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedServer")
            .field("label", &self.label())
            .field("approval", &self.hook.is_some())
            .finish_non_exhaustive()
    }
}

/// The service asks whether it may call a tool of a hosted MCP server. `Debug` does not show the arguments.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// The request's item.
    pub item_id: ItemId,
    /// The MCP server's label.
    pub server_label: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: JSON as text.
    pub arguments: String,
}

impl ApprovalRequest {
    /// `None`: it has no id, so nobody can answer it.
    pub(crate) fn of(item: &McpApprovalRequestItem) -> Option<Self> {
        Some(Self {
            item_id: item.id.value()?.clone(),
            server_label: item.server_label.value().cloned().unwrap_or_default(),
            name: item.name.value().cloned().unwrap_or_default(),
            arguments: item.arguments.value().cloned().unwrap_or_default(),
        })
    }
}

impl fmt::Debug for ApprovalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalRequest")
            .field("item_id", &self.item_id)
            .field("server_label", &self.server_label)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_declared_with_its_secrets_and_shown_without() {
        let server = HostedServer::at("docs", "https://mcp.example")
            .authorization("sk-1")
            .header("x-key", "sk-2")
            .allow(["search"])
            .never_ask();
        let json = serde_json::to_value(server.declaration()).unwrap();
        let expected = serde_json::json!({
            "type": "mcp", "server_label": "docs", "server_url": "https://mcp.example", "authorization": "sk-1",
            "headers": { "x-key": "sk-2" }, "allowed_tools": ["search"], "require_approval": "never",
        });
        assert_eq!(json, expected);
        assert!(!format!("{server:?}").contains("sk-"));
    }
}
