//! What the application gave the client's task to run: listeners, guards, what reseeds.
//!
//! The rule kept here: a panic of it stops here and is noted by name, and it is not called again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use realtime_protocol::call::{CommandError, CommandId, Event, Listener, Out};
use realtime_protocol::time::{Timestamp, UnixTime};

/// What has panicked and is not told. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics(Arc<Mutex<VecDeque<String>>>);

impl Panics {
    /// The next one.
    pub(crate) fn pop(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Returns whether all of them are told.
    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn note(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(what);
    }
}

/// Runs `work`. `None`: it panicked.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(payload) => {
            // A payload may panic when it is dropped.
            std::mem::forget(payload);
            None
        }
    }
}

/// Something of the application's. It is gone after its first panic.
pub(crate) struct Contained<T: ?Sized> {
    inner: RefCell<Option<Box<T>>>,
    what: String,
    panics: Panics,
}

impl<T: ?Sized> Contained<T> {
    /// `what`: what the application knows it by.
    pub(crate) fn new(what: String, inner: Box<T>, panics: &Panics) -> Self {
        Self { inner: RefCell::new(Some(inner)), what, panics: panics.clone() }
    }

    /// Runs `work` on it. `None`: it has panicked, now or before.
    pub(crate) fn run<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut slot = self.inner.borrow_mut();
        let inner = slot.as_deref_mut()?;
        let result = catch(|| work(inner));
        if result.is_none() {
            self.panics.note(self.what.clone());
            let inner = slot.take();
            catch(|| drop(inner));
        }
        result
    }
}

impl Listener for Contained<dyn Listener> {
    fn on_event(&mut self, now: Timestamp, wall: UnixTime, event: &Event, out: &mut Out<'_>) {
        self.run(|listener| listener.on_event(now, wall, event, out));
    }

    fn on_refused(&mut self, now: Timestamp, id: CommandId, error: &CommandError, out: &mut Out<'_>) {
        self.run(|listener| listener.on_refused(now, id, error, out));
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let due = self.run(|listener| listener.poll_timeout());
        // Its panic is told at once.
        due.unwrap_or_else(|| (!self.panics.is_empty()).then_some(Timestamp::ZERO))
    }

    fn handle_timeout(&mut self, now: Timestamp, out: &mut Out<'_>) {
        self.run(|listener| listener.handle_timeout(now, out));
    }
}

impl<T: ?Sized> Drop for Contained<T> {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().take();
        catch(|| drop(inner));
    }
}

impl<T: ?Sized> fmt::Debug for Contained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Contained").field(&self.what).finish()
    }
}
