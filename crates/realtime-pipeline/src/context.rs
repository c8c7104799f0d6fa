//! The conversation's context, shared: the service updates it, every processor may read it.

use std::sync::{Arc, Mutex, PoisonError};

use realtime_context::{Change, Context, Message};
use realtime_protocol::call::Event;

/// A handle on the one [`Context`] of a conversation. Clones are the same context.
///
/// Each method holds the lock only while it runs, never over an await.
#[derive(Clone, Debug, Default)]
pub struct SharedContext {
    inner: Arc<Mutex<Context>>,
}

impl SharedContext {
    /// Shares a context.
    pub fn new(context: Context) -> Self {
        Self { inner: Arc::new(Mutex::new(context)) }
    }

    /// Runs `f` on the context. Keep it short: the service waits meanwhile to apply events.
    pub fn with<T>(&self, f: impl FnOnce(&mut Context) -> T) -> T {
        // A panic of a reader leaves the context intact.
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All that was said so far, in chat form.
    pub fn messages(&self) -> Vec<Message> {
        self.with(|context| context.messages())
    }

    pub(crate) fn apply(&self, event: &Event) -> Vec<Change> {
        self.with(|context| context.apply(event))
    }
}

impl From<Context> for SharedContext {
    fn from(context: Context) -> Self {
        Self::new(context)
    }
}
