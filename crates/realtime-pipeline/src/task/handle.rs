//! Acting on a run from outside: [`TaskHandle`].

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::chain::{Answer, Direction, FrameKind, Intent};

/// The most that waits for the task.
const MOST_WAITING: usize = 1024;

/// Acts on a run from outside. Clones act on the same run.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    requests: mpsc::Sender<Request>,
}

pub(super) type Requests = mpsc::Receiver<Request>;

/// Something from outside.
#[derive(Debug)]
pub(super) enum Request {
    Frame(Direction, FrameKind),
    Intent(Intent, oneshot::Sender<Answer>),
}

pub(super) fn channel() -> (TaskHandle, Requests) {
    let (requests, waiting) = mpsc::channel(MOST_WAITING);
    (TaskHandle { requests }, waiting)
}

/// Why the task did not take something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The run is over.
    #[error("the run is over")]
    Over,
    /// Too much waits for the task already.
    #[error("too much waits for the run already: wait for answers")]
    Full,
}

impl TaskHandle {
    /// Puts a frame into the chain at its source, as if it came from there.
    ///
    /// # Errors
    /// [`AskError`]: the frame is dropped.
    #[doc(alias("queue_frame", "queue_frames"))]
    pub fn queue(&self, kind: FrameKind) -> Result<(), AskError> {
        self.give(Request::Frame(Direction::Downstream, kind))
    }

    /// Puts a frame into the chain at its sink, to flow upstream.
    ///
    /// # Errors
    /// [`AskError`]: the frame is dropped.
    pub fn queue_up(&self, kind: FrameKind) -> Result<(), AskError> {
        self.give(Request::Frame(Direction::Upstream, kind))
    }

    /// Asks the service for something, and waits for its answer. Dropping the future drops the answer, and
    /// undoes nothing.
    ///
    /// # Errors
    /// [`AskError`]: nothing was asked.
    pub async fn ask(&self, intent: Intent) -> Result<Answer, AskError> {
        let (to, answer) = oneshot::channel();
        self.give(Request::Intent(intent, to))?;
        Ok(answer.await.unwrap_or(Answer::Closed))
    }

    /// Asks for the end of the run, after what came before is done.
    ///
    /// # Errors
    /// [`AskError`]: nothing was asked.
    #[doc(alias = "stop_when_done")]
    pub fn end(&self, reason: impl Into<Arc<str>>) -> Result<(), AskError> {
        self.queue(FrameKind::End { reason: reason.into() })
    }

    /// Ends the run now.
    ///
    /// # Errors
    /// [`AskError`]: nothing was asked.
    pub fn cancel(&self, reason: impl Into<Arc<str>>) -> Result<(), AskError> {
        self.queue(FrameKind::Cancel { reason: reason.into() })
    }

    /// Keeps the user's audio from the model, or lets it through again.
    ///
    /// # Errors
    /// [`AskError`]: nothing was asked.
    #[doc(alias = "set_audio_input_paused")]
    pub async fn pause_input(&self, paused: bool) -> Result<Answer, AskError> {
        self.ask(Intent::PauseInput(paused)).await
    }

    /// Returns whether the run is over.
    #[doc(alias = "has_finished")]
    pub fn is_over(&self) -> bool {
        self.requests.is_closed()
    }

    /// Waits for the end of the run.
    pub async fn over(&self) {
        self.requests.closed().await;
    }

    fn give(&self, request: Request) -> Result<(), AskError> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AskError::Full,
            mpsc::error::TrySendError::Closed(_) => AskError::Over,
        })
    }
}
