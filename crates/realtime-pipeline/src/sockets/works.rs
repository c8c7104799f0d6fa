//! What a protocol has handed out: it runs in tasks of its own, and goes on if the line ends first.

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures_util::{FutureExt, Stream, stream::FuturesUnordered};
use tokio::task::JoinHandle;

use crate::chain::{Done, WorkFailed, panic_text};
use crate::media::MediaWork;

/// The work that runs.
#[derive(Debug, Default)]
pub(super) struct Works(FuturesUnordered<JoinHandle<(u64, Done)>>);

impl Works {
    pub(super) fn spawn(&mut self, work: MediaWork) {
        let MediaWork { id, future } = work;
        let caught = AssertUnwindSafe(future).catch_unwind();
        self.0.push(tokio::spawn(async move {
            let done = caught
                .await
                .map_err(|panic| WorkFailed::Panicked { message: panic_text(&*panic).to_owned() });
            (id, done)
        }));
    }

    /// Work that has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(u64, Done)> {
        loop {
            match std::task::ready!(std::pin::Pin::new(&mut self.0).poll_next(cx)) {
                Some(Ok(ended)) => return Poll::Ready(ended),
                // The runtime ends.
                Some(Err(_)) => {}
                None => return Poll::Pending,
            }
        }
    }
}
