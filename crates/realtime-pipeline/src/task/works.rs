//! What stages have handed out: it runs in tasks of its own, so that it never keeps the call waiting.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use tokio::task::{AbortHandle, JoinSet};

use crate::chain::{BlockingWork, Done, WorkFailed, WorkFuture, WorkId, WorkValue, panic_text};

/// The work that runs.
#[derive(Debug, Default)]
pub(super) struct Works {
    running: JoinSet<(WorkId, Result<WorkValue, String>)>,
    handles: BTreeMap<WorkId, AbortHandle>,
}

impl Works {
    pub(super) fn spawn(&mut self, work: WorkId, future: WorkFuture) {
        let caught = futures_util::FutureExt::catch_unwind(AssertUnwindSafe(future));
        let handle = self
            .running
            .spawn(async move { (work, caught.await.map_err(|panic| panic_text(&*panic).to_owned())) });
        self.handles.insert(work, handle);
    }

    pub(super) fn spawn_blocking(&mut self, work: WorkId, act: BlockingWork) {
        let handle = self.running.spawn_blocking(move || {
            (work, catch_unwind(AssertUnwindSafe(act)).map_err(|panic| panic_text(&*panic).to_owned()))
        });
        self.handles.insert(work, handle);
    }

    pub(super) fn drop_work(&mut self, work: WorkId) {
        if let Some(handle) = self.handles.remove(&work) {
            handle.abort();
        }
    }

    /// Work that has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(WorkId, Done)> {
        while let Poll::Ready(Some(ended)) = self.running.poll_join_next(cx) {
            // What was dropped ends without a word.
            let Ok((work, done)) = ended else { continue };
            if self.handles.remove(&work).is_some() {
                return Poll::Ready((work, done.map_err(|message| WorkFailed::Panicked { message })));
            }
        }
        Poll::Pending
    }
}
