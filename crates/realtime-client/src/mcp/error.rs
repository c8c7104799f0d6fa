//! Why the tools of an MCP server are not in a toolbox: [`McpError`].

use std::error::Error;
use std::io;
use std::time::Duration;

use realtime_context::ToolRefusal;

/// Why an MCP server's tools were not put into a toolbox. The text names the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// The program could not be started: check its path.
    #[error("the MCP server `{server}` could not be started")]
    NotStarted {
        /// The server's name.
        server: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address can't be used: this build has no TLS, or it is no address.
    #[error("the MCP server `{server}` has an address that can't be used: {reason}")]
    BadAddress {
        /// The server's name.
        server: String,
        /// What was expected.
        reason: String,
    },
    /// The server did not answer as MCP wants it, or not at all.
    #[error("the MCP server `{server}` did not {what}")]
    Failed {
        /// The server's name.
        server: String,
        /// What it did not do.
        what: &'static str,
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server took too long.
    #[error("the MCP server `{server}` was not ready within {deadline:?}")]
    TimedOut {
        /// The server's name.
        server: String,
        /// The deadline.
        deadline: Duration,
    },
    /// The server has more tools than a session takes: name those that you want with
    /// [`allow`](crate::McpServer::allow).
    #[error("expected at most {most} tools of the MCP server `{server}`, got {got}: allow fewer of them")]
    TooManyTools {
        /// The server's name.
        server: String,
        /// The most.
        most: usize,
        /// How many it has.
        got: usize,
    },
    /// A tool that was allowed by name is not there.
    #[error("the MCP server `{server}` has no tool `{name}`")]
    NoSuchTool {
        /// The server's name.
        server: String,
        /// The tool's name on the server.
        name: String,
    },
    /// A tool can't be declared.
    #[error("a tool of the MCP server `{server}` can't be declared: {source}")]
    Tool {
        /// The server's name.
        server: String,
        /// Which one, and why.
        source: ToolRefusal,
    },
}

impl McpError {
    pub(super) fn failed(
        server: &str,
        what: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { server: server.to_owned(), what, source: source.into() }
    }
}
