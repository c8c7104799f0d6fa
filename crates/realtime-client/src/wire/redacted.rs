//! A wire whose texts never show a secret of its attempt, whatever the server repeats.

use std::task::{Context, Poll};

use realtime_protocol::call::DisconnectReason;

use super::{Received, Wire};
use crate::connect::auth::Secrets;

/// The wire, and what must not be shown.
pub(crate) struct Redacted<W> {
    wire: W,
    secrets: Secrets,
}

impl<W: Wire> Redacted<W> {
    pub(crate) const fn new(wire: W, secrets: Secrets) -> Self {
        Self { wire, secrets }
    }
}

impl<W: Wire> Wire for Redacted<W> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.wire.poll_recv(cx).map(|received| match received {
            Received::Text(text) => {
                let redacted = self.secrets.redact_wire(&text);
                Received::Text(redacted.map_or(text, Into::into))
            }
            Received::Ended(DisconnectReason::Closed { code, reason }) => {
                Received::Ended(DisconnectReason::Closed { code, reason: self.secrets.redact(&reason) })
            }
            received @ (Received::Binary(_) | Received::Ended(_)) => received,
        })
    }

    fn send(&mut self, text: String) {
        self.wire.send(text);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wire.poll_flush(cx)
    }

    fn has_room(&self) -> bool {
        self.wire.has_room()
    }

    fn close(&mut self) {
        self.wire.close();
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wire.poll_end(cx)
    }

    fn ping(&mut self) {
        self.wire.ping();
    }

    fn take_alive(&mut self) -> bool {
        self.wire.take_alive()
    }
}
