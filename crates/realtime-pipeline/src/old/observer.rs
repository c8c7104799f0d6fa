//! Observers: they see every frame on every hop and cannot hold up the pipeline.
//!
//! Each has its own bounded queue and task. One that is too slow misses frames and is told how many.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::old::frame::{Direction, Frame};

/// Frames that wait for an observer, at most.
const CAPACITY: usize = 4096;

/// Watches a pipeline: for logs, metrics, tests, progress on a screen.
pub trait Observer: Send + 'static {
    /// A frame is handed from one processor to the next. Called in the order of the hand-overs; a frame is
    /// seen once on each hop, with the same [`Frame::id`].
    fn on_frame(&mut self, seen: &Observed);

    /// This many frames were missed before the next one, because this observer was too slow.
    fn on_missed(&mut self, frames: u64) {
        tracing::warn!(frames, "an observer is too slow and missed frames");
    }
}

/// A frame on its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Observed {
    /// The name of the processor that pushed it, or `source`.
    pub source: Arc<str>,
    /// The name of the processor that gets it, `source` or `sink`.
    pub destination: Arc<str>,
    /// The frame.
    pub frame: Frame,
    /// Which way.
    pub direction: Direction,
    /// When, since the pipeline's start.
    pub at: Duration,
}

/// The pipeline's side of its observers.
#[derive(Default)]
pub(crate) struct Observers {
    queues: Mutex<Vec<Queue>>,
}

struct Queue {
    frames: mpsc::Sender<Observed>,
    missed: Arc<AtomicU64>,
}

impl Observers {
    /// Adds an observer. Returns its task, to be run until it ends.
    pub(crate) fn add<O: Observer>(&self, mut observer: O) -> impl Future<Output = ()> + Send + 'static {
        let (frames, mut queue) = mpsc::channel(CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        self.lock().push(Queue { frames, missed: Arc::clone(&missed) });
        async move {
            while let Some(seen) = queue.recv().await {
                let missed = missed.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    observer.on_missed(missed);
                }
                observer.on_frame(&seen);
            }
        }
    }

    pub(crate) fn tell(&self, seen: impl FnOnce() -> Observed) {
        let queues = self.lock();
        if queues.is_empty() {
            return;
        }
        let seen = seen();
        for queue in queues.iter() {
            if let Err(mpsc::error::TrySendError::Full(_)) = queue.frames.try_send(seen.clone()) {
                queue.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lets every observer see the waiting frames, and end.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Queue>> {
        // Nothing in here can panic halfway through a change.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::old::frame::{FrameKind, Generation};

    #[derive(Clone, Default)]
    struct Counts(Arc<Mutex<(usize, u64)>>);

    impl Observer for Counts {
        fn on_frame(&mut self, _seen: &Observed) {
            self.0.lock().unwrap().0 += 1;
        }

        fn on_missed(&mut self, frames: u64) {
            self.0.lock().unwrap().1 += frames;
        }
    }

    #[tokio::test]
    async fn a_slow_observer_misses_frames_and_is_told_how_many() {
        let observers = Observers::default();
        let counts = Counts::default();
        let task = observers.add(counts.clone());
        for id in 0..CAPACITY as u64 + 10 {
            observers.tell(|| Observed {
                source: "a".into(),
                destination: "b".into(),
                frame: Frame::new(id, Generation::default(), None, FrameKind::InputFinished),
                direction: Direction::Downstream,
                at: Duration::ZERO,
            });
        }
        observers.close();
        task.await;
        assert_eq!(*counts.0.lock().unwrap(), (CAPACITY, 10));
    }
}
