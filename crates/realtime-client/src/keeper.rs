//! A call that moves, or that may be lost with its process: [`Keeper`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use realtime_protocol::call::Suspended;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait.
const WAITING: usize = 16;

/// Asks a running call for what another process goes on with: [`ClientOptions::resume`].
///
/// Give it to the call by [`ClientOptions::keeper`]. It works also where something else has the call's
/// [`Handle`](crate::Handle), and does not keep the call alive. Clones are the same one.
///
/// ```
/// use realtime_client::{Client, ClientOptions, Endpoint, Keeper};
///
/// # async fn example(endpoint: Endpoint) -> Result<(), Box<dyn std::error::Error>> {
/// let keeper = Keeper::new();
/// let call = Client::connect(endpoint.clone(), ClientOptions::default().keeper(&keeper)).await?;
/// // Now and then, for the case that this process is lost:
/// let snapshot = keeper.snapshot().await.ok_or("the call is over")?;
/// // Or in order, before this process ends:
/// let suspended = keeper.suspend().await.ok_or("the call is over")?;
///
/// // Another process goes on with one of them.
/// let call = Client::connect(endpoint, ClientOptions::default().resume(suspended)).await?;
/// # Ok(())
/// # }
/// ```
///
/// [`ClientOptions::keeper`]: crate::ClientOptions::keeper
/// [`ClientOptions::resume`]: crate::ClientOptions::resume
#[derive(Clone)]
pub struct Keeper {
    asks: mpsc::Sender<Ask>,
    asked: Arc<Mutex<Option<mpsc::Receiver<Ask>>>>,
}

/// What is asked of the call's task.
pub(crate) struct Ask {
    /// Whether the call ends here.
    pub(crate) suspend: bool,
    pub(crate) answer: oneshot::Sender<Suspended>,
}

/// The end that the call's task has.
#[derive(Default)]
pub(crate) struct Asked(Option<mpsc::Receiver<Ask>>);

impl Keeper {
    /// A keeper without a call.
    pub fn new() -> Self {
        let (asks, asked) = mpsc::channel(WAITING);
        Self { asks, asked: Arc::new(Mutex::new(Some(asked))) }
    }

    /// What another process would go on with if this one were lost now. `None`: the call is over, or was
    /// never made.
    pub async fn snapshot(&self) -> Option<Suspended> {
        self.ask(false).await
    }

    /// Ends the call here, so that it goes on elsewhere: nothing is said to the server, its events end with
    /// [`ConnectionEvent::Suspended`], and commands are refused. `None`: the call is over, or was never made.
    ///
    /// [`ConnectionEvent::Suspended`]: realtime_protocol::call::ConnectionEvent::Suspended
    pub async fn suspend(&self) -> Option<Suspended> {
        self.ask(true).await
    }

    async fn ask(&self, suspend: bool) -> Option<Suspended> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { suspend, answer }).await.ok()?;
        answered.await.ok()
    }

    /// For the one call that it is given to; of more, the first one.
    pub(crate) fn asked(&self) -> Asked {
        Asked(self.asked.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl Asked {
    /// The next question. The task is woken when there is one.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Ask> {
        match self.0.as_mut()?.poll_recv(cx) {
            Poll::Ready(Some(ask)) => Some(ask),
            Poll::Ready(None) => {
                self.0 = None;
                None
            }
            Poll::Pending => None,
        }
    }
}

impl Default for Keeper {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("is_over", &self.asks.is_closed()).finish()
    }
}
