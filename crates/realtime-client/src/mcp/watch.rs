//! A connection to an MCP server: follows the changes of its tools, tells its end, starts it again, and ends
//! it.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realtime_protocol::call::Notice;
use rmcp::model::Tool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::mcp::Running;
use crate::mcp::call::Remote;
use crate::mcp::error::McpError;
use crate::mcp::start::{Backoff, Start};
use crate::mcp::tools::Offer;

/// How long a server may take to list its tools again.
const LIST: Duration = Duration::from_secs(30);
/// How long a server may take to end.
const END: Duration = Duration::from_secs(10);

/// A connection to an MCP server, whose tools are in a toolbox.
///
/// Dropping it takes the tools out of the toolbox and ends the server.
#[must_use = "dropping the connection takes its tools out of the toolbox"]
pub struct McpConnection {
    remote: Arc<Remote>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// What the connection and its task both see.
struct Shared {
    /// The names of the tools in the toolbox; `None`: they were taken out for good.
    names: Mutex<Option<Vec<String>>>,
    is_alive: AtomicBool,
}

impl Shared {
    fn set_alive(&self, is_alive: bool) {
        self.is_alive.store(is_alive, Ordering::Release);
    }

    /// Nobody panics while holding it.
    fn names(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl McpConnection {
    /// The names of the server's tools in the toolbox, as they are now.
    pub fn tools(&self) -> Vec<String> {
        self.shared.names().clone().unwrap_or_default()
    }

    /// Returns whether the connection stands: not while a server that has ended is started again. An HTTP
    /// server that can't be reached is only noticed by a call.
    pub fn is_alive(&self) -> bool {
        self.shared.is_alive.load(Ordering::Acquire)
    }

    /// Takes the tools out of the toolbox, ends the server, and waits for its end, for at most 10 s.
    pub async fn close(mut self) {
        self.withdraw();
        if let Some(task) = self.task.take() {
            // It does not panic.
            let _ = task.await;
        }
    }

    fn withdraw(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        // The task may have ended.
        let _ = stop.send(());
        let names = self.shared.names().take();
        self.remote.toolbox.exchange(&names.unwrap_or_default(), Vec::new());
    }
}

impl Drop for McpConnection {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl fmt::Debug for McpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpConnection")
            .field("server", &self.remote.name)
            .field("tools", &self.tools())
            .field("is_alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

pub(super) fn spawn(
    running: Running,
    remote: Arc<Remote>,
    (start, backoff): (Start, Backoff),
    offer: Offer,
    listed: Vec<Tool>,
    names: Vec<String>,
) -> McpConnection {
    let shared = Arc::new(Shared { names: Mutex::new(Some(names)), is_alive: AtomicBool::new(true) });
    let (stop, stopped) = oneshot::channel();
    let (to_task, shared_too) = (Arc::clone(&remote), Arc::clone(&shared));
    let watch = Watch { remote: to_task, shared: shared_too, start, backoff, offer, listed };
    let task = tokio::spawn(watch.run(running, stopped));
    McpConnection { remote, shared, stop: Some(stop), task: Some(task) }
}

struct Watch {
    remote: Arc<Remote>,
    shared: Arc<Shared>,
    start: Start,
    backoff: Backoff,
    offer: Offer,
    listed: Vec<Tool>,
}

impl Watch {
    async fn run(mut self, running: Running, mut stopped: oneshot::Receiver<()>) {
        let mut next = Some(running);
        while let Some(running) = next.take() {
            let since = Instant::now();
            if self.follow(running, &mut stopped).await {
                self.backoff.ended(since);
                tokio::select! {
                    biased;
                    _ = &mut stopped => {}
                    again = self.start_again() => next = again,
                }
            }
        }
        self.remote.is_gone();
    }

    /// Follows a server until it ends, or is to end. Returns whether it has ended by itself.
    async fn follow(&mut self, running: Running, stopped: &mut oneshot::Receiver<()>) -> bool {
        let end = running.cancellation_token();
        let mut ended = Box::pin(running.waiting());
        loop {
            tokio::select! {
                biased;
                _ = &mut *stopped => break,
                _ = &mut ended => {
                    self.shared.set_alive(false);
                    return true;
                }
                () = self.remote.hears.changed.notified() => {}
            }
            let peer = self.remote.peer();
            tokio::select! {
                biased;
                _ = &mut *stopped => break,
                listed = timeout(LIST, peer.list_all_tools()) => match listed {
                    Ok(Ok(listed)) => self.replace(listed),
                    Ok(Err(_)) | Err(_) => self.remote.tell("its tools have changed and can't be listed"),
                }
            }
        }
        self.shared.set_alive(false);
        end.cancel();
        // It is killed if it does not end by itself.
        let _ = timeout(END, ended).await;
        false
    }

    /// Starts a server that has ended. `None`: it can't be, or not again.
    async fn start_again(&mut self) -> Option<Running> {
        let mut reason = "it has ended".to_owned();
        loop {
            let Some(pause) = self.backoff.next() else {
                // Whoever hears of it finds it so.
                self.remote.is_gone();
                self.remote.tell(&reason);
                return None;
            };
            self.remote.tell(&format!("{reason}: it is started again in {pause:?}"));
            sleep(pause).await;
            match self.start.open(&self.remote.hears).await {
                Ok((running, listed)) => {
                    self.remote.is_back(running.peer().clone());
                    self.shared.set_alive(true);
                    self.replace(listed);
                    return Some(running);
                }
                Err(error) => reason = told(&error),
            }
        }
    }

    fn replace(&mut self, listed: Vec<Tool>) {
        if listed == self.listed {
            return;
        }
        let functions = match self.offer.functions(&self.remote, &listed) {
            Ok(functions) => functions,
            Err(error) => return self.remote.tell(&error.to_string()),
        };
        let Some(old) = self.shared.names().clone() else { return };
        let mut new: Vec<String> = functions.iter().map(|function| function.name().to_owned()).collect();
        let refused = self.remote.toolbox.exchange(&old, functions);
        new.retain(|name| !refused.iter().any(|refusal| refusal.name() == name));
        if let Some(names) = &mut *self.shared.names() {
            names.clone_from(&new);
            new.clear();
        }
        if !new.is_empty() {
            // They were all taken out meanwhile.
            self.remote.toolbox.exchange(&new, Vec::new());
        }
        for refusal in refused {
            self.remote.toolbox.tell(Notice::McpToolRefused {
                server: self.remote.name.clone(),
                name: refusal.name().to_owned(),
                reason: refusal.to_string(),
            });
        }
        self.listed = listed;
    }
}

/// An error with its causes.
fn told(error: &McpError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
