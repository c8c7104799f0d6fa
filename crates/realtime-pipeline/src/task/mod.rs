//! One call as one task: [`Task`] drives a chain, the session of its service, and the two edges.
//!
//! ```no_run
//! use realtime_pipeline::client::Endpoint;
//! use realtime_pipeline::chain::{Samples, Stages};
//! use realtime_pipeline::edges::{WavSink, WavSource};
//! use realtime_pipeline::playout::Playout;
//! use realtime_pipeline::service::RealtimeService;
//! use realtime_pipeline::task::Task;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut service = RealtimeService::new(Endpoint::openai_from_env("gpt-realtime")?);
//! let stages = Stages::new().then(service.core()).then(Playout::new());
//! let task = Task::new(stages)?
//!     .service(service)
//!     .source(WavSource::open("question.wav")?)
//!     .sink(WavSink::create("answer.wav")?);
//! let finished = task.run().await?;
//! eprintln!("{:?}", finished.ended);
//! # Ok(())
//! # }
//! ```

mod drive;
mod handle;
mod hang_up;
mod outlet;
mod runner;
mod settled;
mod signals;
mod stop_signals;
mod works;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use realtime_client::ConnectError;
use realtime_context::AgentError;
use realtime_protocol::call::CloseReason;

use crate::chain::{Chain, ChainOptions, Ended, Fault, Losses, Observer, Stages, WrongChain};
use crate::edges::{Sink, Source, Transport};
use crate::service::RealtimeService;

pub use handle::{AskError, TaskHandle};
pub use hang_up::HangUp;
pub use runner::{Runner, RunningTask};
pub use stop_signals::StopSignals;

/// How long the sink and the session may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// One call: a chain, its service's session, a source and a sink, all in one task.
///
/// [`run`](Self::run) connects, drives all of it, and ends when the chain does. Dropping its future ends the
/// call at once.
#[doc(alias = "PipelineTask")]
#[must_use = "it does nothing until it runs"]
pub struct Task {
    chain: Chain,
    service: Option<RealtimeService>,
    source: Option<Box<dyn Source>>,
    sink: Option<Box<dyn Sink>>,
    handle: TaskHandle,
    requests: handle::Requests,
}

/// How a run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How the chain ended.
    pub ended: Ended,
    /// How the session ended; `None`: there was none.
    pub closed: Option<CloseReason>,
    /// What the chain lost.
    pub losses: Losses,
}

impl Finished {
    /// This, if the run ended because it was over.
    ///
    /// # Errors
    /// [`TaskError::Failed`] if a stage has failed, and [`TaskError::SessionEnded`] if the session ended for
    /// another reason than this side's wish.
    pub fn into_result(self) -> Result<Self, TaskError> {
        if let Ended::Failed { fault } = self.ended {
            return Err(TaskError::Failed(fault));
        }
        match self.closed {
            Some(reason) if reason != CloseReason::Requested => Err(TaskError::SessionEnded { reason }),
            _ => Ok(self),
        }
    }
}

/// Why a run did not begin, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The stages make no chain.
    #[error(transparent)]
    WrongChain(#[from] WrongChain),
    /// The model can't be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The task has a service, and its stage is not in the chain: put
    /// [`RealtimeService::core`] into it.
    #[error("expected the service's stage in the chain: put `RealtimeService::core` into it")]
    NoCore,
    /// An agent's names don't fit.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A stage has failed.
    #[error(transparent)]
    Failed(Arc<Fault>),
    /// The session ended before the run did.
    #[error("the session ended: {reason}")]
    SessionEnded {
        /// Why.
        reason: CloseReason,
    },
    /// The run's task panicked, or its thread is gone.
    #[error("the run panicked")]
    Panicked,
}

impl Task {
    /// A task for these stages, with the default options.
    ///
    /// # Errors
    /// [`WrongChain`]: these stages can't work together, and it says what to change.
    pub fn new(stages: Stages) -> Result<Self, WrongChain> {
        Self::with(stages, ChainOptions::new())
    }

    /// A task for these stages.
    ///
    /// # Errors
    /// [`WrongChain`]: these stages can't work together, and it says what to change.
    pub fn with(stages: Stages, options: ChainOptions) -> Result<Self, WrongChain> {
        let (handle, requests) = handle::channel();
        let chain = Chain::with(stages, options)?;
        Ok(Self { chain, service: None, source: None, sink: None, handle, requests })
    }

    /// The service whose [`core`](RealtimeService::core) is in the chain. Its call begins with the run.
    pub fn service(mut self, service: RealtimeService) -> Self {
        self.service = Some(service);
        self
    }

    /// Where input comes from. Without one, frames come by the [`handle`](Self::handle) alone.
    pub fn source(mut self, source: impl Source + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Where output goes. Without one, what leaves the chain is dropped.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Both edges.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        let (source, sink) = transport.split();
        (self.source, self.sink) = (Some(source), Some(sink));
        self
    }

    /// Adds an observer: it sees every frame on every hop.
    pub fn observe(mut self, observer: impl Observer + 'static) -> Self {
        self.chain.observe(observer);
        self
    }

    /// Acts on the run from outside. Clone it for other tasks.
    pub const fn handle(&self) -> &TaskHandle {
        &self.handle
    }

    /// Runs the call to its end.
    ///
    /// Must be called within a tokio runtime with time and, for a service over the network, I/O enabled. A
    /// call does best on a runtime of one thread.
    ///
    /// # Errors
    /// [`TaskError::Connect`]: the model can't be reached. [`TaskError::NoCore`]: the service's stage was left
    /// out. The run did not begin.
    pub async fn run(self) -> Result<Finished, TaskError> {
        let Self { chain, service, source, sink, handle, requests } = self;
        drop(handle);
        if service.is_some() && !chain.shape().has_service() {
            return Err(TaskError::NoCore);
        }
        let call = match service {
            Some(service) => Some(service.connect().await?),
            None => None,
        };
        Ok(drive::Drive::new(chain, call, source, sink, requests).run().await)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: Option<&str>| name.map(Arc::<str>::from);
        f.debug_struct("Task")
            .field("chain", &self.chain)
            .field("service", &self.service)
            .field("source", &name(self.source.as_ref().map(|source| source.name())))
            .field("sink", &name(self.sink.as_ref().map(|sink| sink.name())))
            .finish_non_exhaustive()
    }
}
