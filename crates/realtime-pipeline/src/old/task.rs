//! A pipeline's run: one task per processor, watched over until all have stopped.
//!
//! If a task ends, the others are told to stop, get time to do so, and are then aborted.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::old::cx::{Cx, Neighbour, Phase, Request, SOURCE, Shared};
use crate::old::error::{Error, PipelineError, Severity};
use crate::old::frame::{Direction, Frame, FrameKind, Generation};
use crate::old::lanes::{Mailbox, inbox};
use crate::old::observer::Observer;
use crate::old::pipeline::PipelineOptions;
use crate::old::processor::Stage;

/// A linked pipeline that has not begun to run.
#[derive(Debug)]
pub struct PipelineTask {
    start: Frame,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    first: Option<Neighbour>,
    actors: Vec<Actor>,
    watching: Vec<Watching>,
    options: PipelineOptions,
}

/// How a run ended without an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Finished {
    /// End went through the whole pipeline.
    Ended,
    /// The run was cancelled.
    Cancelled,
}

/// Pushes into a running pipeline, and ends it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PipelineHandle {
    shared: Arc<Shared>,
    first: Option<Neighbour>,
}

impl PipelineHandle {
    /// Pushes a frame into the first processor, downstream. Waits while that one's ordered lane is full.
    pub async fn push(&self, kind: FrameKind) {
        match kind {
            FrameKind::End => self.end(),
            FrameKind::Cancel => self.cancel(),
            kind => {
                let Some(first) = &self.first else { return };
                let frame = self.shared.frame(kind, None);
                self.shared.hand_over(&SOURCE.into(), first, frame, Direction::Downstream).await;
            }
        }
    }

    /// Ends the run once everything before it is done, within the drain limit.
    pub fn end(&self) {
        self.shared.request(Request::End);
    }

    /// Ends the run now. Processors still get to stop.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Begins a new generation: see [`Cx::interrupt`].
    pub fn interrupt(&self) -> Generation {
        self.shared.interrupt()
    }
}

impl PipelineTask {
    pub(crate) fn new(stages: Vec<Stage>, options: PipelineOptions) -> Self {
        let (requests, requested) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(requests));
        let (neighbours, mailboxes): (Vec<Neighbour>, Vec<Mailbox>) = stages
            .iter()
            .map(|stage| {
                let (inbox, mailbox) = inbox(options.lanes);
                (Neighbour { name: Arc::clone(&stage.name), inbox }, mailbox)
            })
            .unzip();
        let actors = stages
            .into_iter()
            .zip(mailboxes)
            .enumerate()
            .map(|(index, (stage, mailbox))| {
                let cx = Cx {
                    name: Arc::clone(&stage.name),
                    shared: Arc::clone(&shared),
                    inbox: neighbours[index].inbox.clone(),
                    upstream: index.checked_sub(1).map(|before| neighbours[before].clone()),
                    downstream: neighbours.get(index + 1).cloned(),
                };
                Actor { stage, mailbox, cx }
            })
            .collect();
        let first = neighbours.into_iter().next();
        let start = shared.frame(FrameKind::Start, None);
        if let Some(first) = &first {
            // Before anything that a handle pushes before the run: the urgent lane is never full.
            drop(first.inbox.try_push(start.clone(), Direction::Downstream));
        }
        Self { start, shared, requests: requested, first, actors, watching: Vec::new(), options }
    }

    /// Adds an observer. It sees every frame from the beginning of the run.
    pub fn observe<O: Observer>(&mut self, observer: O) {
        let run = Box::pin(self.shared.observers.add(observer));
        self.watching.push(Watching(run));
    }

    /// A handle on the run.
    pub fn handle(&self) -> PipelineHandle {
        PipelineHandle { shared: Arc::clone(&self.shared), first: self.first.clone() }
    }

    /// Runs the pipeline to its end. Dropping this future aborts every task without calling
    /// [`Processor::stop`](crate::old::Processor::stop): cancel by the handle instead.
    ///
    /// # Errors
    /// [`PipelineError`] names the processor that failed, panicked, reported a fatal fault or did not stop.
    /// All others have stopped.
    pub async fn run(mut self) -> Result<Finished, PipelineError> {
        self.shared.start();
        if let Some(first) = &self.first {
            self.shared.tell(&SOURCE.into(), &first.name, &self.start, Direction::Downstream);
        }
        let mut tasks = Tasks::default();
        for Watching(run) in self.watching {
            tasks.spawn_observer(run);
        }
        let names: Vec<Arc<str>> = self.actors.iter().map(|actor| Arc::clone(&actor.stage.name)).collect();
        for Actor { stage, mailbox, cx } in self.actors {
            tasks.spawn(stage.name, (stage.run)(mailbox, cx, self.options.stop_limit));
        }
        let watch =
            Watch { shared: &self.shared, first: self.first.as_ref(), names: &names, options: &self.options };
        let result = watch.until_decided(&mut tasks, &mut self.requests).await;
        tracing::debug!(result = ?result.as_ref().map_err(PipelineError::one_line), "the pipeline stops");
        let phase = if matches!(result, Ok(Finished::Ended)) { Phase::Finishing } else { Phase::Cancelled };
        let stopped = watch.stop(&mut tasks, phase).await;
        // The first error is the one that the caller needs.
        result.and_then(|finished| stopped.map(|()| finished))
    }
}

/// A processor and what belongs to its task.
struct Actor {
    stage: Stage,
    mailbox: Mailbox,
    cx: Cx,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.stage.name)
    }
}

/// An observer's task.
struct Watching(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("observer")
    }
}

/// The running tasks by name. Dropped, it aborts them.
#[derive(Default)]
struct Tasks {
    processors: JoinSet<Result<(), Error>>,
    observers: JoinSet<()>,
    names: BTreeMap<Id, Arc<str>>,
}

impl Tasks {
    fn spawn(&mut self, name: Arc<str>, run: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let id = self.processors.spawn(run).id();
        self.names.insert(id, name);
    }

    fn spawn_observer(&mut self, run: impl Future<Output = ()> + Send + 'static) {
        self.observers.spawn(run);
    }

    /// The end of the next processor, or the panic of an observer. Waits for ever if there is none.
    async fn next(&mut self) -> Result<(), PipelineError> {
        loop {
            tokio::select! {
                Some(joined) = self.processors.join_next_with_id() => return self.judge(joined),
                Some(joined) = self.observers.join_next() => joined.map_err(|error| panicked("an observer".into(), error))?,
                else => std::future::pending().await,
            }
        }
    }

    fn judge(&mut self, joined: Result<(Id, Result<(), Error>), JoinError>) -> Result<(), PipelineError> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let processor = self.names.remove(&id).unwrap_or_else(|| "a task".into());
        match joined {
            Ok((_, Ok(()))) => Ok(()),
            Ok((_, Err(source))) => Err(PipelineError::Failed { processor, source }),
            Err(error) => Err(panicked(processor, error)),
        }
    }
}

/// Watches over a run.
struct Watch<'a> {
    shared: &'a Shared,
    first: Option<&'a Neighbour>,
    /// The processors' names, from the source to the sink.
    names: &'a [Arc<str>],
    options: &'a PipelineOptions,
}

impl Watch<'_> {
    /// Serves requests until it is clear how the run ends.
    async fn until_decided(
        &self,
        tasks: &mut Tasks,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> Result<Finished, PipelineError> {
        let mut phase = self.shared.phase.subscribe();
        loop {
            tokio::select! {
                biased;
                ended = tasks.next() => ended?,
                () = cancelled(&mut phase) => return Ok(Finished::Cancelled),
                Some(request) = requests.recv() => match request {
                    Request::End => self.end(tasks),
                    Request::Drained => return Ok(Finished::Ended),
                    Request::Fault(fault) if fault.severity == Severity::Fatal => {
                        return Err(PipelineError::Fatal(fault));
                    }
                    Request::Fault(fault) => tracing::warn!(%fault, "a processor reports a fault"),
                },
                () = self.overdue() => {
                    let holder = self.names.get(self.shared.passed_end.load(Ordering::Relaxed));
                    let stuck = holder.into_iter().cloned().collect();
                    return Err(PipelineError::Stuck { stuck, limit: self.options.drain_limit });
                }
            }
        }
    }

    /// Pushes End. A second call changes nothing.
    fn end(&self, tasks: &mut Tasks) {
        let deadline = Instant::now() + self.options.drain_limit;
        if self.shared.drain_deadline.set(deadline).is_err() {
            return;
        }
        let Some(first) = self.first else {
            self.shared.request(Request::Drained);
            return;
        };
        // The first processor's lane may be full: another task waits for room.
        let (inbox, end) = (first.inbox.clone(), self.shared.frame(FrameKind::End, None));
        self.shared.tell(&SOURCE.into(), &first.name, &end, Direction::Downstream);
        tasks.spawn(SOURCE.into(), async move {
            inbox.push_ordered(end).await;
            Ok(())
        });
    }

    /// End should have reached the sink by now: a processor hangs.
    async fn overdue(&self) {
        match self.shared.drain_deadline.get() {
            Some(deadline) => sleep_until(*deadline + self.options.stop_limit).await,
            None => std::future::pending().await,
        }
    }

    /// Stops every processor, then lets observers see the rest.
    async fn stop(&self, tasks: &mut Tasks, phase: Phase) -> Result<(), PipelineError> {
        self.shared.phase.send_replace(phase);
        // Each processor has its own limit; the margin lets it come first.
        let limit = self.options.stop_limit + Duration::from_secs(1);
        let mut first_error = Ok(());
        let all = async {
            while let Some(joined) = tasks.processors.join_next_with_id().await {
                let judged = tasks.judge(joined);
                if first_error.is_ok() {
                    first_error = judged;
                }
            }
        };
        if timeout(limit, all).await.is_err() {
            let stuck = tasks.names.values().cloned().collect();
            tasks.processors.shutdown().await;
            return Err(PipelineError::Stuck { stuck, limit });
        }
        self.shared.observers.close();
        let observers = async { while tasks.observers.join_next().await.is_some() {} };
        if timeout(limit, observers).await.is_err() {
            tracing::warn!("observers did not see the last frames in time");
        }
        first_error
    }
}

async fn cancelled(phase: &mut watch::Receiver<Phase>) {
    let gone = phase.wait_for(|phase| *phase == Phase::Cancelled).await.is_err();
    debug_assert!(!gone, "the caller holds the sender");
}

fn panicked(task: Arc<str>, error: JoinError) -> PipelineError {
    let message = error.try_into_panic().map_or_else(|error| error.to_string(), |panic| words(&*panic));
    PipelineError::Panicked { task, message }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
