//! The conversation's context, shared: the service teaches it, everyone may look.

use std::sync::{Arc, Mutex, PoisonError};

use realtime_context::{Change, Context, Message};
use realtime_protocol::call::Event;

/// A handle on the one [`Context`] of a conversation. Clones are the same context.
///
/// The lock behind it is held within each method and never over an await.
#[derive(Clone, Debug, Default)]
pub struct SharedContext {
    inner: Arc<Mutex<Context>>,
}

impl SharedContext {
    /// Shares a context.
    pub fn new(context: Context) -> Self {
        Self { inner: Arc::new(Mutex::new(context)) }
    }

    /// Does something with the context. Keep it short: whoever applies events waits meanwhile.
    pub fn with<T>(&self, f: impl FnOnce(&mut Context) -> T) -> T {
        // A context whose reader panicked is as good as before: readers leave it whole.
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
