//! The stream of call events: [`Events`], and how much may wait: [`Bounds`].
//!
//! The [`Inbox`] decides what is dropped if the application reads too slowly. This file has its two ends.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::Stream;
use realtime_protocol::call::Event;
use realtime_protocol::flow::{Inbox, InboxBounds, OutboxBounds, Shortfall};

use crate::counters::Tally;

/// How much may wait, of what the application gives and of what it reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// Commands that wait to be taken by the session. They wait only for the client's task, never for the
    /// network. Default: 1,024.
    pub commands: usize,
    /// Bytes of their payloads besides audio: items, outputs of functions, configurations. Default: 32 MiB.
    pub command_bytes: usize,
    /// Bytes of input audio in the queue, and again this much per slow connection. Beyond it the oldest audio
    /// is dropped, and [`Warning::InputAudioDropped`] says so. Default: 4 MiB, 87 s of PCM at 24 kHz.
    ///
    /// [`Warning::InputAudioDropped`]: realtime_protocol::call::Warning::InputAudioDropped
    pub input_audio_bytes: usize,
    /// The greatest age of input audio that is sent over a slow connection. Older audio is dropped and told,
    /// because a model that hears the past answers it. `None`: all is sent, for example audio from a file,
    /// which is never late. Default: 2 s.
    pub input_audio_age: Option<Duration>,
    /// Bytes of the model's audio that wait to be read. Beyond it the oldest is dropped, and
    /// [`Warning::AudioDropped`] says so. Default: 16 MiB, 5.8 min of PCM at 24 kHz. The server sends audio
    /// faster than it plays.
    ///
    /// [`Warning::AudioDropped`]: realtime_protocol::call::Warning::AudioDropped
    pub audio_bytes: usize,
    /// Other events that wait to be read; beyond it the session closes. Events that came since the
    /// application had its turn do not count yet. Default: 16,384.
    pub events: usize,
    /// Bytes of wire text that those events came from; beyond it the session closes. Default: 64 MiB.
    pub event_bytes: usize,
}

impl Bounds {
    /// Replaces [`commands`](field@Self::commands).
    #[must_use]
    pub const fn commands(mut self, commands: usize) -> Self {
        self.commands = commands;
        self
    }

    /// Replaces [`command_bytes`](field@Self::command_bytes).
    #[must_use]
    pub const fn command_bytes(mut self, command_bytes: usize) -> Self {
        self.command_bytes = command_bytes;
        self
    }

    /// Replaces [`input_audio_bytes`](field@Self::input_audio_bytes).
    #[must_use]
    pub const fn input_audio_bytes(mut self, input_audio_bytes: usize) -> Self {
        self.input_audio_bytes = input_audio_bytes;
        self
    }

    /// Replaces [`input_audio_age`](field@Self::input_audio_age).
    #[must_use]
    pub const fn input_audio_age(mut self, input_audio_age: Option<Duration>) -> Self {
        self.input_audio_age = input_audio_age;
        self
    }

    /// Replaces [`audio_bytes`](field@Self::audio_bytes).
    #[must_use]
    pub const fn audio_bytes(mut self, audio_bytes: usize) -> Self {
        self.audio_bytes = audio_bytes;
        self
    }

    /// Replaces [`events`](field@Self::events).
    #[must_use]
    pub const fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Replaces [`event_bytes`](field@Self::event_bytes).
    #[must_use]
    pub const fn event_bytes(mut self, event_bytes: usize) -> Self {
        self.event_bytes = event_bytes;
        self
    }

    /// What waits for the application.
    pub(crate) fn inbox(&self) -> InboxBounds {
        InboxBounds::default().audio_bytes(self.audio_bytes).events(self.events).event_bytes(self.event_bytes)
    }

    /// What waits for a connection.
    pub(crate) fn outbox(&self) -> OutboxBounds {
        OutboxBounds::default().audio_bytes(self.input_audio_bytes).audio_age(self.input_audio_age)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            commands: 1024,
            command_bytes: 32 << 20,
            input_audio_bytes: 4 << 20,
            input_audio_age: Some(Duration::from_secs(2)),
            audio_bytes: 16 << 20,
            events: 16_384,
            event_bytes: 64 << 20,
        }
    }
}

/// What a session tells, in order. The answers to commands go to their callers and do not appear here.
///
/// [`Event::Closed`] is the last event. `None` comes after it, when the connection is closed and the
/// session log is written: reading to `None` is how to wait for a clean end.
///
/// If it is dropped, the session goes on, with its events unread.
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// The next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.queue.poll_pop(cx)).await
    }

    /// The next event, if one is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.lock().pop()
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.inbox.abandon();
        waiting.count();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.queue.lock().inbox).finish()
    }
}

/// The driver's end. Dropping it ends the stream once the rest is read.
pub(crate) struct EventSender {
    queue: Arc<Queue>,
}

/// The effect of pushing an event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pushed {
    /// Older audio that was dropped for it.
    pub(crate) lost: Vec<Shortfall>,
    /// Whether the application should run before more is pushed.
    pub(crate) wants_turn: bool,
}

impl EventSender {
    /// Adds an event that came from `cost` bytes of wire text.
    pub(crate) fn push(&self, event: Event, cost: usize) -> Pushed {
        let mut waiting = self.queue.lock();
        let pushed = waiting.push(event, cost);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
        pushed
    }

    /// The application had its turn. Returns a shortfall if it does not read.
    pub(crate) fn handle_turn(&self) -> Option<Shortfall> {
        self.queue.lock().inbox.handle_turn()
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.finished = true;
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pub(crate) fn channel(bounds: InboxBounds, tally: Arc<Tally>) -> (EventSender, Events) {
    let waiting = Waiting { inbox: Inbox::new(bounds), tally, waker: None, finished: false };
    let queue = Arc::new(Queue { waiting: Mutex::new(waiting) });
    (EventSender { queue: Arc::clone(&queue) }, Events { queue })
}

struct Queue {
    waiting: Mutex<Waiting>,
}

struct Waiting {
    inbox: Inbox,
    tally: Arc<Tally>,
    waker: Option<Waker>,
    finished: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves the queue whole: no step of it calls foreign code.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.lock();
        match waiting.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if waiting.finished => Poll::Ready(None),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Waiting {
    fn push(&mut self, event: Event, cost: usize) -> Pushed {
        self.inbox.push(event, cost);
        let before = self.inbox.audio_bytes();
        let lost: Vec<Shortfall> = std::iter::from_fn(|| self.inbox.shed()).collect();
        if !lost.is_empty() {
            self.tally.audio_dropped.add(lost.len());
            self.tally.audio_dropped_bytes.add(before - self.inbox.audio_bytes());
        }
        self.count();
        Pushed { lost, wants_turn: self.inbox.wants_turn() }
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.inbox.pop();
        if event.is_some() {
            self.count();
        }
        event
    }

    fn count(&self) {
        self.tally.events_waiting.set(self.inbox.len());
        self.tally.audio_waiting_bytes.set(self.inbox.audio_bytes());
    }
}

#[cfg(test)]
mod tests {
    use realtime_protocol::call::StopId;

    use super::*;

    #[tokio::test]
    async fn the_stream_ends_with_its_sender() {
        let (sender, mut events) = channel(InboxBounds::default(), Arc::default());
        sender.push(other(), 0);
        let reader = tokio::spawn(async move { (events.next().await.is_some(), events.next().await) });
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(reader.await.unwrap(), (true, None));
    }

    #[test]
    fn what_waits_is_counted_until_nobody_reads() {
        let tally = Arc::<Tally>::default();
        let (sender, mut events) = channel(InboxBounds::default(), Arc::clone(&tally));
        for _ in 0..3 {
            assert_eq!(sender.push(other(), 0), Pushed::default());
        }
        assert!(events.try_next().is_some());
        assert_eq!(tally.snapshot().events_waiting, 2);
        drop(events);
        sender.push(other(), 0);
        assert_eq!(tally.snapshot().events_waiting, 0);
    }

    fn other() -> Event {
        Event::StopPlayback { id: StopId(1) }
    }
}
