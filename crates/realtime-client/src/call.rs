//! A call that runs: [`ActiveCall`].

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
#[cfg(feature = "tools")]
use realtime_context::Conversation;
use realtime_protocol::call::Event;

use crate::events::Events;
use crate::handle::Handle;

/// A call that runs: what it tells comes from [`next`](Self::next), what it is asked goes to its
/// [`handle`](Self::handle).
///
/// Its task is spawned on the runtime, unless
/// [`ClientOptions::polled`](crate::ClientOptions::polled) leaves it to this value. Dropping the call closes
/// it once no clone of its handle is left.
#[must_use = "dropping it closes the call"]
pub struct ActiveCall {
    handle: Handle,
    events: Events,
    #[cfg(feature = "tools")]
    conversation: Option<Conversation>,
    /// The call's task, if it was not spawned.
    task: Option<BoxFuture<'static, ()>>,
}

impl ActiveCall {
    pub(crate) const fn new(
        handle: Handle,
        events: Events,
        #[cfg(feature = "tools")] conversation: Option<Conversation>,
        task: Option<BoxFuture<'static, ()>>,
    ) -> Self {
        Self {
            handle,
            events,
            #[cfg(feature = "tools")]
            conversation,
            task,
        }
    }

    /// The next event. `None`: the call has ended, its connections are closed and its log is written.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event, if one is there already. It does not let a call that is
    /// [polled](crate::ClientOptions::polled) go on: only [`next`](Self::next) brings such a call new events.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_next()
    }

    /// Gives commands. Clone it for other tasks.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The conversation that the options named.
    #[cfg(feature = "tools")]
    pub const fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }

    /// The two ends apart, for two tasks. A task that was left to this value is spawned.
    pub fn split(self) -> (Handle, Events) {
        if let Some(task) = self.task {
            tokio::spawn(task);
        }
        (self.handle, self.events)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(task) = &mut self.task else { return Pin::new(&mut self.events).poll_next(cx) };
        if let Some(event) = self.events.try_next() {
            return Poll::Ready(Some(event));
        }
        if task.as_mut().poll(cx).is_ready() {
            self.task = None;
            return Pin::new(&mut self.events).poll_next(cx);
        }
        // Only the task adds events: nobody needs to be woken for them.
        self.events.try_next().map_or(Poll::Pending, |event| Poll::Ready(Some(event)))
    }
}

impl Stream for ActiveCall {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for ActiveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveCall")
            .field("handle", &self.handle)
            .field("events", &self.events)
            .field("is_spawned", &self.task.is_none())
            .finish_non_exhaustive()
    }
}
