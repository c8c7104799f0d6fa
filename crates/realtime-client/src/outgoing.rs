//! What is sent over one connection: its outbox, with this client's clock and counters.

use std::sync::Arc;

use realtime_protocol::call::{ConnectionId, DisconnectReason};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::flow::{Outbox, OutboxBounds, Shortfall};
use realtime_protocol::time::Timestamp;

use crate::clock::Origin;
use crate::counters::Tally;
use crate::observe::trace_sent;

/// The way out to one connection. Nothing reads the clock or waits while the connection takes everything.
pub(crate) struct Outgoing {
    conn: ConnectionId,
    outbox: Outbox,
    origin: Origin,
    tally: Arc<Tally>,
}

impl Outgoing {
    pub(crate) const fn new(
        conn: ConnectionId,
        bounds: OutboxBounds,
        origin: Origin,
        tally: Arc<Tally>,
    ) -> Self {
        Self { conn, outbox: Outbox::new(bounds), origin, tally }
    }

    /// Sets the server's dialect.
    pub(crate) const fn speak(&mut self, dialect: Dialect) {
        self.outbox.speak(dialect);
    }

    /// An event's wire text, to be sent now.
    pub(crate) fn encode(&mut self, event: &ClientEvent) -> String {
        let text = self.outbox.encode(event);
        self.leaves(text)
    }

    /// Adds an event to the queue.
    pub(crate) fn push(&mut self, event: &ClientEvent) {
        self.outbox.push(self.origin.now(), event);
        self.count();
    }

    /// The next wire text that waited.
    pub(crate) fn pop(&mut self) -> Option<String> {
        if self.outbox.is_empty() {
            return None;
        }
        let text = self.outbox.pop(self.origin.now());
        self.count();
        text.map(|text| self.leaves(text))
    }

    /// The audio that was dropped because the connection is too slow.
    pub(crate) fn shed(&mut self) -> Option<Shortfall> {
        self.outbox.poll_timeout()?;
        let shortfall = self.outbox.shed(self.origin.now())?;
        if let Shortfall::Unsent { bytes } = shortfall {
            self.tally.input_audio_dropped_bytes.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        self.count();
        Some(shortfall)
    }

    /// Why too much waits, if it does.
    pub(crate) fn overflow(&self) -> Option<DisconnectReason> {
        self.outbox.overflow()
    }

    /// When to call [`shed`](Self::shed); `None`: nothing is due.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.outbox.poll_timeout()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    fn leaves(&self, text: String) -> String {
        trace_sent(self.conn, &text);
        self.tally.texts_sent.add(1);
        self.tally.bytes_sent.add(text.len());
        text
    }

    fn count(&self) {
        self.tally.input_audio_waiting_bytes.set(self.outbox.audio_bytes());
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.tally.input_audio_waiting_bytes.set(0);
    }
}
