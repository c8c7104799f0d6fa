//! Wakes the client's task for what has happened outside of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// Rung by anybody, heard by one task. It stays rung until it is heard.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Bell {
    #[cfg_attr(not(feature = "tools"), expect(dead_code, reason = "conversations and tools ring"))]
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Returns whether it was rung since the last call. If not, the task is woken when it is.
    pub(crate) fn hear(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.rung.swap(false, Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_ring_is_heard_once_whenever_it_came() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let bell = Bell::default();
        bell.ring();
        assert!(bell.hear(&cx) && !bell.hear(&cx));
        bell.ring();
        bell.ring();
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "the task was asleep once");
        assert!(bell.hear(&cx) && !bell.hear(&cx));
    }
}
