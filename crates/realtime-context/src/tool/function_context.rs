//! What a handler knows of its call: [`FunctionContext`].

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use realtime_protocol::call::FunctionCall;
use realtime_protocol::id::CallId;
use serde_json::Value;

/// Wakes who must look at the desk: see [`Desk::on_change`](crate::Desk::on_change).
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What a handler knows of its call, beside its arguments: an optional second argument.
///
/// A clone is the same call's. `Debug` shows no content.
#[derive(Clone)]
pub struct FunctionContext {
    call: Arc<FunctionCall>,
    shared: Arc<Shared>,
}

struct Shared {
    hook: Option<Hook>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    waiting: Vec<Waker>,
    progress: VecDeque<Value>,
}

/// Progress that waits to be told; the oldest goes first.
const MOST_PROGRESS: usize = 64;

impl FunctionContext {
    /// For a driver of one's own: the context of a call whose progress nobody hears.
    pub fn of(call: &Arc<FunctionCall>) -> Self {
        Self::new(Arc::clone(call), None)
    }

    pub(crate) fn new(call: Arc<FunctionCall>, hook: Option<Hook>) -> Self {
        Self { call, shared: Arc::new(Shared { hook, state: Mutex::default() }) }
    }

    /// The call as the model made it.
    pub fn call(&self) -> &FunctionCall {
        &self.call
    }

    /// The call's id.
    pub fn call_id(&self) -> &CallId {
        &self.call.call_id
    }

    /// The idempotency key. The same call, made again after a lost connection or in another process, has the
    /// same key: give it to services that take one.
    pub fn key(&self) -> &str {
        &self.call.key
    }

    /// Returns whether the output is not wanted any more: the call was interrupted, took too long, or ended.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Waits until the output is not wanted any more. A handler that is cancelled is dropped; this is for
    /// work that it has given to other tasks.
    pub async fn cancelled(&self) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.cancelled {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Tells the application how far the call is:
    /// [`Notice::FunctionProgress`](realtime_protocol::call::Notice::FunctionProgress). The model does not
    /// hear of it. Of more than 64 that wait, the oldest are dropped.
    pub fn progress(&self, progress: impl Into<Value>) {
        {
            let mut state = self.state();
            state.progress.push_back(progress.into());
            if state.progress.len() > MOST_PROGRESS {
                state.progress.pop_front();
            }
        }
        if let Some(hook) = &self.shared.hook {
            hook();
        }
    }

    pub(crate) fn cancel(&self) {
        let waiting = {
            let mut state = self.state();
            state.cancelled = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn take_progress(&self) -> VecDeque<Value> {
        std::mem::take(&mut self.state().progress)
    }

    pub(crate) fn has_progress(&self) -> bool {
        !self.state().progress.is_empty()
    }

    /// A handler that panicked left nothing half done here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FunctionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionContext").field("call", &self.call).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn context() -> FunctionContext {
        FunctionContext::new(
            Arc::new(FunctionCall {
                key: "key".into(),
                call_id: "call_1".into(),
                item_id: None,
                name: "f".into(),
                arguments: "{}".into(),
            }),
            None,
        )
    }

    #[test]
    fn those_who_wait_are_told_that_the_output_is_not_wanted() {
        let context = context();
        let mut waits = pin!(context.cancelled());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        context.cancel();
        assert!(context.is_cancelled());
        assert!(waits.poll(&mut cx).is_ready());
    }

    #[test]
    fn progress_that_nobody_takes_is_bounded() {
        let context = context();
        (0..100).for_each(|step| context.progress(step));
        let waiting = context.take_progress();
        assert_eq!((waiting.len(), waiting.back()), (MOST_PROGRESS, Some(&Value::from(99))));
        assert!(!context.has_progress());
    }
}
