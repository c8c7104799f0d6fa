//! MCP servers on this side: their tools become tools of a [`Toolbox`], by the protocol's own SDK, `rmcp`.
//!
//! The rules kept here: a tool from a server never replaces another one, and what goes wrong is told to the
//! application or to the model.
//!
//! `rmcp` logs what servers send, results of tools among it, at the levels `info` and `debug`: keep the
//! target `rmcp` out of logs that must hold no content.

mod call;
mod error;
mod http;
mod start;
mod tools;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_context::{Function, Toolbox};
use rmcp::service::{RoleClient, RunningService};
use tokio::process::Command;

use crate::mcp::call::{Hears, Remote};
use crate::mcp::http::Http;
use crate::mcp::start::{Backoff, Start, Way};
use crate::mcp::tools::Offer;

pub use error::McpError;
pub use watch::McpConnection;

/// An MCP server, and how its tools are put into a [`Toolbox`].
///
/// ```no_run
/// use realtime_client::McpServer;
/// use realtime_context::{ToolPolicy, Toolbox};
/// use tokio::process::Command;
///
/// # async fn run() -> Result<(), realtime_client::McpError> {
/// let toolbox = Toolbox::new();
/// // The tools are `files_read` and `files_list`. They are there as long as the connection is kept.
/// let files = McpServer::child("files", || Command::new("my-mcp-server"))
///     .prefix("files_")
///     .allow(["read", "list"])
///     .each(|tool| tool.policy(ToolPolicy::new().timeout(std::time::Duration::from_secs(5))))
///     .connect(&toolbox)
///     .await?;
/// assert!(files.is_alive());
/// # Ok(())
/// # }
/// ```
#[must_use = "a server does nothing until `connect` is awaited"]
pub struct McpServer {
    start: Start,
    offer: Offer,
    restarts: u32,
}

type Running = RunningService<RoleClient, Hears>;

impl McpServer {
    /// A program that speaks MCP on its standard input and output. It is started by
    /// [`connect`](Self::connect) and stopped with the connection. What it writes to its standard error goes
    /// to this program's. If it ends by itself, it is started [again](Self::restarts).
    ///
    /// `name` stands in errors and notices. `command` makes the command for each start.
    pub fn child(name: impl Into<String>, command: impl FnMut() -> Command + Send + 'static) -> Self {
        Self::new(name, Way::Child(Box::new(command)))
    }

    /// A server that speaks MCP by streamable HTTP at this address. No proxy is used.
    ///
    /// `name` stands in errors and notices.
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, Way::Http(Http::new(url.into())))
    }

    /// The token that an HTTP server asks for. A program gets its own by its environment.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        if let Way::Http(http) = &mut self.start.way {
            http.bearer = Some(token.into());
        }
        self
    }

    /// Stands before the names of the tools. Default: nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.offer.prefix = prefix.into();
        self
    }

    /// The tools that are taken, by their names on the server. Default: all.
    pub fn allow<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.offer.allowed = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Changes each tool before it is declared: its policy, or who approves its calls.
    pub fn each(mut self, change: impl Fn(Function) -> Function + Send + Sync + 'static) -> Self {
        self.offer.change = Some(Box::new(change));
        self
    }

    /// How long connecting and listing the tools may take. Default: 30 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.start.deadline = deadline;
        self
    }

    /// How often in a row a server that has ended is started again, or connected to again: 0.25 s after its
    /// end, and after twice as long each time, up to 30 s. One that then runs for a minute is counted anew.
    /// Meanwhile its tools stay declared, and the model reads that they can't run yet. Each end and each
    /// failure is told by [`Notice::McpServerFailed`](realtime_protocol::call::Notice::McpServerFailed).
    /// Default: 3. 0: never.
    ///
    /// A call that was running is not made again: it may have done something.
    pub const fn restarts(mut self, restarts: u32) -> Self {
        self.restarts = restarts;
        self
    }

    /// Connects, and puts the server's tools into the toolbox, in one new version. When the server says that
    /// its tools have changed, they are replaced.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`McpError`]. Nothing was put into the toolbox.
    pub async fn connect(self, toolbox: &Toolbox) -> Result<McpConnection, McpError> {
        let Self { mut start, offer, restarts } = self;
        let hears = Hears::default();
        let (running, listed) = start.open(&hears).await?;
        let remote =
            Remote::new(start.name.clone(), running.peer().clone(), toolbox.clone(), hears, restarts > 0);
        let remote = Arc::new(remote);
        let functions = offer.functions(&remote, &listed)?;
        let names: Vec<String> = functions.iter().map(|function| function.name().to_owned()).collect();
        let refused = toolbox.exchange(&[], functions);
        if let Some(refusal) = refused.first() {
            let added: Vec<String> =
                names.into_iter().filter(|name| !refused.iter().any(|r| r.name() == name)).collect();
            toolbox.exchange(&added, Vec::new());
            return Err(McpError::Tool { server: remote.name.clone(), source: refusal.clone() });
        }
        Ok(watch::spawn(running, remote, (start, Backoff::new(restarts)), offer, listed, names))
    }

    fn new(name: impl Into<String>, way: Way) -> Self {
        let start = Start { name: name.into(), way, deadline: Duration::from_secs(30) };
        Self { start, offer: Offer::default(), restarts: 3 }
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.start.name).finish_non_exhaustive()
    }
}
