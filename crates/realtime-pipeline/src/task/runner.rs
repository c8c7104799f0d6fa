//! Many calls on several runtimes of one thread each: [`Runner`].

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{join_all, select};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::task::{Finished, StopSignals, Task, TaskError, TaskHandle};

/// Runs calls on threads of its own: each thread has a runtime, and each call stays on one thread, which is
/// what calls are cheapest on. A new call goes to the thread that has the fewest.
///
/// Dropping it lets the calls go on to their end, and then ends the threads.
#[doc(alias("PipelineRunner", "WorkerRunner"))]
pub struct Runner {
    threads: Vec<Thread>,
    running: Arc<Mutex<Vec<TaskHandle>>>,
}

struct Thread {
    tasks: mpsc::UnboundedSender<Job>,
    load: Arc<AtomicUsize>,
    joined: JoinHandle<()>,
}

/// Makes a task on its thread, and runs it.
type Job = Box<dyn FnOnce() + Send>;

/// A call that runs on a thread of a [`Runner`].
#[must_use = "it tells how the run ended"]
#[derive(Debug)]
pub struct RunningTask {
    handle: TaskHandle,
    finished: oneshot::Receiver<Result<Finished, TaskError>>,
}

impl RunningTask {
    /// Acts on the run.
    pub const fn handle(&self) -> &TaskHandle {
        &self.handle
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    /// [`TaskError`]: the run did not begin, or its task panicked.
    pub async fn finished(self) -> Result<Finished, TaskError> {
        self.finished.await.unwrap_or(Err(TaskError::Panicked))
    }
}

impl Runner {
    /// A runner with this many threads, at least one.
    ///
    /// # Errors
    /// The operating system gives no thread, or none of what a runtime needs.
    pub fn new(threads: usize) -> io::Result<Self> {
        let threads = (0..threads.max(1)).map(Thread::start).collect::<io::Result<_>>()?;
        Ok(Self { threads, running: Arc::default() })
    }

    /// Runs a call on the thread that has the fewest.
    pub fn spawn(&self, task: Task) -> RunningTask {
        let handle = task.handle().clone();
        let (to, finished) = oneshot::channel();
        let least = self.threads.iter().min_by_key(|thread| thread.load.load(Ordering::Relaxed));
        if let Some(thread) = least {
            let load = Load::new(&thread.load);
            let job: Job = Box::new(move || {
                // A panic drops `load` too: it belongs to the future.
                tokio::spawn(async move {
                    let load = load;
                    let finished = task.run().await;
                    drop(load);
                    // Who spawned it may not wait for it.
                    let _ = to.send(finished);
                });
            });
            // A thread ends only with its runner.
            let _ = thread.tasks.send(job);
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| !other.is_over());
        running.push(handle.clone());
        RunningTask { handle, finished }
    }

    /// How many calls run.
    pub fn running(&self) -> usize {
        self.threads.iter().map(|thread| thread.load.load(Ordering::Relaxed)).sum()
    }

    /// Ends all calls: each may finish what it has begun, within its own limit and within this one. Those
    /// that have not ended by then are cancelled. New calls are still taken.
    pub async fn drain(&self, limit: Duration) {
        let handles = self.handles();
        for handle in &handles {
            // One that is over is drained.
            let _ = handle.end("the runner is drained");
        }
        let all = join_all(handles.iter().map(TaskHandle::over));
        if timeout(limit, all).await.is_err() {
            self.cancel("the runner is drained, and its limit is over");
        }
    }

    /// Waits for SIGINT or SIGTERM (elsewhere than on Unix: Ctrl-C), and [drains](Self::drain) then. A second
    /// signal cancels all calls.
    ///
    /// # Errors
    /// The operating system lets nobody wait for signals.
    pub async fn drain_on_signal(&self, limit: Duration) -> io::Result<()> {
        let mut signals = StopSignals::new()?;
        signals.next().await;
        let drained = Box::pin(self.drain(limit));
        let again = Box::pin(signals.next());
        if let futures_util::future::Either::Right(_) = select(drained, again).await {
            self.cancel("a second signal came");
        }
        Ok(())
    }

    fn cancel(&self, reason: &str) {
        for handle in self.handles() {
            // One that is over needs it no more.
            let _ = handle.cancel(reason);
        }
    }

    fn handles(&self) -> Vec<TaskHandle> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all threads have ended, once their calls have.
    pub fn join(self) {
        let Self { threads, .. } = self;
        for Thread { tasks, joined, .. } in threads {
            drop(tasks);
            // A thread that panicked has ended.
            let _ = joined.join();
        }
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let (tasks, mut jobs) = mpsc::unbounded_channel::<Job>();
        let load = Arc::new(AtomicUsize::new(0));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let busy = Arc::clone(&load);
        let joined = std::thread::Builder::new().name(format!("calls-{number}")).spawn(move || {
            runtime.block_on(async {
                while let Some(job) = jobs.recv().await {
                    job();
                }
                // The runner is gone: the calls go on to their end.
                while busy.load(Ordering::Relaxed) > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        })?;
        Ok(Self { tasks, load, joined })
    }
}

/// Counts a call on its thread, also if its task panics.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn new(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("threads", &self.threads.len())
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}
