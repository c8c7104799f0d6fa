//! Which side of a task has something, so that a turn asks only those: a call wakes seventy times a second,
//! and each side that is asked in vain is cold memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Set when its side has something, or may have.
#[derive(Debug)]
pub(super) struct Signal {
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Debug)]
struct Bell {
    is_set: AtomicBool,
    task: Arc<AtomicWaker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_set.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }
}

impl Signal {
    /// A signal of this task. It is set, so that its side is asked once.
    pub(super) fn new(task: &Arc<AtomicWaker>) -> Self {
        let bell = Arc::new(Bell { is_set: AtomicBool::new(true), task: Arc::clone(task) });
        Self { waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// Sets it, from the task itself.
    pub(super) fn set(&self) {
        self.bell.is_set.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.bell.is_set.load(Ordering::Acquire)
    }

    /// Returns whether it was set, and clears it.
    pub(super) fn take(&self) -> bool {
        self.is_set() && self.bell.is_set.swap(false, Ordering::AcqRel)
    }

    /// A context whose waker sets it.
    pub(super) const fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

/// The signals of a task's sides, and how it is woken.
#[derive(Debug)]
pub(super) struct Signals {
    task: Arc<AtomicWaker>,
    pub(super) source: Signal,
    pub(super) requests: Signal,
    pub(super) works: Signal,
    pub(super) time: Signal,
    pub(super) call: Signal,
    pub(super) settled: Signal,
    pub(super) sink: Signal,
}

impl Signals {
    pub(super) fn new() -> Self {
        let task = Arc::new(AtomicWaker::new());
        let signal = || Signal::new(&task);
        Self {
            source: signal(),
            requests: signal(),
            works: signal(),
            time: signal(),
            call: signal(),
            settled: signal(),
            sink: signal(),
            task,
        }
    }

    /// The task runs: its sides need not wake it.
    pub(super) fn awake(&self) {
        drop(self.task.take());
    }

    /// The task is about to wait. Returns whether it may: no side has something.
    pub(super) fn rest(&self, cx: &Context<'_>) -> bool {
        if self.any() {
            return false;
        }
        self.task.register(cx.waker());
        // A side may have had something just before.
        !self.any()
    }

    fn any(&self) -> bool {
        let Self { source, requests, works, time, call, settled, sink, .. } = self;
        [source, requests, works, time, call, settled, sink].into_iter().any(Signal::is_set)
    }
}
