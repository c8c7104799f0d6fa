//! Starting an MCP server, or connecting to it, and how long to wait before doing so again.

use std::io;
use std::time::Duration;

use rmcp::model::Tool;
use rmcp::transport::TokioChildProcess;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::contained;
use crate::mcp::Running;
use crate::mcp::call::Hears;
use crate::mcp::error::McpError;
use crate::mcp::http::Http;

/// The pause before the first attempt.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// A server that has run for so long works.
const HEALTHY: Duration = Duration::from_secs(60);

/// How a server is started.
pub(super) struct Start {
    pub(super) name: String,
    pub(super) way: Way,
    /// For all of it, up to the list of tools.
    pub(super) deadline: Duration,
}

/// How a server is reached.
pub(super) enum Way {
    Child(Box<dyn FnMut() -> Command + Send>),
    Http(Http),
}

impl Start {
    /// Starts the server, and has it list its tools. If the future is dropped, a program is killed.
    pub(super) async fn open(&mut self, hears: &Hears) -> Result<(Running, Vec<Tool>), McpError> {
        let (name, deadline) = (self.name.clone(), self.deadline);
        let opened = async {
            let running = Box::pin(self.way.open(&name, hears.clone())).await?;
            let listed = running.list_all_tools().await;
            let listed = listed.map_err(|error| McpError::failed(&name, "list its tools", error))?;
            Ok((running, listed))
        };
        timeout(deadline, opened).await.map_err(|_| McpError::TimedOut { server: name.clone(), deadline })?
    }
}

impl Way {
    async fn open(&mut self, name: &str, hears: Hears) -> Result<Running, McpError> {
        let connecting = match self {
            Self::Child(command) => {
                let command =
                    contained::catch(command).ok_or_else(|| io::Error::other("its command panicked"));
                let started = command
                    .and_then(TokioChildProcess::new)
                    .map_err(|source| McpError::NotStarted { server: name.to_owned(), source })?;
                rmcp::serve_client(hears, started).await
            }
            Self::Http(http) => rmcp::serve_client(hears, http.transport(name)?).await,
        };
        connecting.map_err(|error| McpError::failed(name, "begin a session", error))
    }
}

/// How often a server that has ended is started again, and when.
#[derive(Debug)]
pub(super) struct Backoff {
    most: u32,
    /// Attempts since the server last worked.
    made: u32,
}

impl Backoff {
    pub(super) const fn new(most: u32) -> Self {
        Self { most, made: 0 }
    }

    /// A server that ran since then has ended.
    pub(super) fn ended(&mut self, since: Instant) {
        if since.elapsed() >= HEALTHY {
            self.made = 0;
        }
    }

    /// The pause before the next attempt. `None`: there is none.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.made)).min(LONGEST);
        self.made = (self.made < self.most).then_some(self.made + 1)?;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_a_server_that_works_is_counted_anew() {
        let mut backoff = Backoff::new(9);
        let began = Instant::now();
        let pauses: Vec<u128> =
            std::iter::from_fn(|| backoff.next()).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        backoff.ended(began);
        assert_eq!(backoff.next(), None);
        tokio::time::advance(HEALTHY).await;
        backoff.ended(began);
        assert_eq!(backoff.next(), Some(FIRST));
        assert_eq!(Backoff::new(0).next(), None);
    }
}
