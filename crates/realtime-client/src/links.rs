//! The connections of one client, each from its first attempt to its last byte. Usually there is one, and a
//! second while a call moves from one session to the next.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use realtime_protocol::call::{ConnectionId, DisconnectReason};
use realtime_protocol::event::{ClientEvent, Dialect};
use realtime_protocol::flow::{Beat, OutboxBounds, Pulse, Shortfall};
use realtime_protocol::time::Timestamp;
use tokio::time::{Sleep, sleep};

use crate::clock::{Origin, earlier};
use crate::counters::Tally;
use crate::outgoing::Outgoing;
use crate::wire::{Received, Text, Wire};

/// How long the server may take to answer a close frame, and to close the connection after its own.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// An attempt to connect. Boxed because it is large and short-lived, unlike the driver.
pub(crate) type Connecting = BoxFuture<'static, Result<Box<dyn Wire>, DisconnectReason>>;

/// What happens to a connection.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The WebSocket is open.
    Opened,
    /// A wire text came.
    Text(Text),
    /// A binary message that is not text came, with its length in bytes.
    Binary(usize),
    /// Input audio waited too long, and is not sent.
    Unsent(Shortfall),
    /// The connection could not be made, or has ended. Only [`Gone`](Self::Gone) follows.
    Disconnected(DisconnectReason),
    /// Nothing is left of the connection.
    Gone,
}

/// All connections of a client.
pub(crate) struct Links {
    links: Vec<Link>,
    bounds: OutboxBounds,
    keepalive: Option<Duration>,
    origin: Origin,
    tally: Arc<Tally>,
}

struct Link {
    conn: ConnectionId,
    outgoing: Outgoing,
    /// Set once the connection is open.
    pulse: Option<Pulse>,
    keepalive: Option<Duration>,
    /// When a timeout was found to be due. What has arrived by then is read before the pulse counts.
    due: Option<Timestamp>,
    origin: Origin,
    state: State,
}

enum State {
    Connecting(Connecting),
    Open(Box<dyn Wire>),
    /// We sent a close frame; the server's last texts still count.
    Closing(Box<dyn Wire>, Pin<Box<Sleep>>),
    /// The end is told; only the close frame is still being sent.
    Draining(Box<dyn Wire>, Pin<Box<Sleep>>),
    Gone,
}

impl Links {
    pub(crate) const fn new(
        bounds: OutboxBounds,
        keepalive: Option<Duration>,
        origin: Origin,
        tally: Arc<Tally>,
    ) -> Self {
        Self { links: Vec::new(), bounds, keepalive, origin, tally }
    }

    /// Begins a connection.
    pub(crate) fn connect(&mut self, conn: ConnectionId, attempt: Connecting) {
        self.links.push(Link {
            conn,
            outgoing: Outgoing::new(conn, self.bounds, self.origin, Arc::clone(&self.tally)),
            pulse: None,
            keepalive: self.keepalive,
            due: None,
            origin: self.origin,
            state: State::Connecting(attempt),
        });
    }

    /// Sends an event. It is dropped if the connection is not open any more.
    pub(crate) fn send(&mut self, conn: ConnectionId, dialect: Dialect, event: ClientEvent) {
        let Some(Link { outgoing, state: State::Open(wire), .. }) = self.link(conn) else { return };
        outgoing.speak(dialect);
        if outgoing.is_empty() && wire.has_room() {
            wire.send(outgoing.encode(&event));
        } else {
            outgoing.push(&event);
        }
    }

    /// Ends a connection politely, or an attempt at once. `Disconnected` follows either way.
    pub(crate) fn close(&mut self, conn: ConnectionId) {
        let Some(link) = self.link(conn) else { return };
        link.state = match std::mem::replace(&mut link.state, State::Gone) {
            State::Connecting(_) => {
                let reason = "the attempt to connect was given up".to_owned();
                State::Connecting(Box::pin(ready(Err(DisconnectReason::Lost { reason }))))
            }
            State::Open(mut wire) => {
                while let Some(text) = link.outgoing.pop() {
                    wire.send(text);
                }
                wire.close();
                State::Closing(wire, Box::pin(sleep(CLOSE_DEADLINE)))
            }
            state @ (State::Closing(..) | State::Draining(..) | State::Gone) => state,
        };
    }

    /// Ends all connections, politely. Nothing more is read of them: the call is to be told so for each one
    /// that is returned.
    pub(crate) fn abandon(&mut self) -> Vec<ConnectionId> {
        let mut abandoned = Vec::new();
        for link in &mut self.links {
            link.state = match std::mem::replace(&mut link.state, State::Gone) {
                State::Open(mut wire) => {
                    while let Some(text) = link.outgoing.pop() {
                        wire.send(text);
                    }
                    wire.close();
                    State::Draining(wire, Box::pin(sleep(CLOSE_DEADLINE)))
                }
                State::Closing(wire, deadline) => State::Draining(wire, deadline),
                State::Connecting(_) => State::Gone,
                state @ (State::Draining(..) | State::Gone) => {
                    link.state = state;
                    continue;
                }
            };
            abandoned.push(link.conn);
        }
        abandoned
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.links.iter().filter_map(Link::poll_timeout).min()
    }

    /// Time has passed: what is due is done by [`poll_next`](Self::poll_next).
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        for link in &mut self.links {
            link.due = Some(now);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The next event of any connection.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(ConnectionId, LinkEvent)> {
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            let conn = link.conn;
            let Poll::Ready(event) = link.poll(cx) else { continue };
            if matches!(event, LinkEvent::Gone) {
                self.links.remove(index);
            } else {
                // Another connection comes first next time, so that none can starve the others.
                self.links.rotate_left(index + 1);
            }
            return Poll::Ready((conn, event));
        }
        Poll::Pending
    }

    fn link(&mut self, conn: ConnectionId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.conn == conn)
    }
}

impl Link {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        match &mut self.state {
            State::Connecting(attempt) => attempt.as_mut().poll(cx).map(|result| match result {
                Ok(wire) => {
                    self.state = State::Open(wire);
                    self.pulse = Some(Pulse::new(self.origin.now(), self.keepalive));
                    LinkEvent::Opened
                }
                Err(reason) => {
                    self.state = State::Gone;
                    LinkEvent::Disconnected(reason)
                }
            }),
            State::Open(wire) => {
                if let Some(shortfall) = self.outgoing.shed() {
                    return Poll::Ready(LinkEvent::Unsent(shortfall));
                }
                if let Some(reason) = self.outgoing.overflow() {
                    self.state = State::Gone;
                    return Poll::Ready(LinkEvent::Disconnected(reason));
                }
                let _ = wire.poll_flush(cx);
                while wire.has_room()
                    && let Some(text) = self.outgoing.pop()
                {
                    wire.send(text);
                    let _ = wire.poll_flush(cx);
                }
                if let Poll::Ready(received) = wire.poll_recv(cx) {
                    return Poll::Ready(self.receive(received));
                }
                match self.due.take() {
                    Some(now) => self.beat(cx, now),
                    None => Poll::Pending,
                }
            }
            State::Closing(wire, deadline) => {
                if let Some(shortfall) = self.outgoing.shed() {
                    return Poll::Ready(LinkEvent::Unsent(shortfall));
                }
                let _ = wire.poll_flush(cx);
                if let Poll::Ready(received) = wire.poll_recv(cx) {
                    return Poll::Ready(self.receive(received));
                }
                deadline.as_mut().poll(cx).map(|()| {
                    let reason =
                        format!("no answer to the close frame within {} s", CLOSE_DEADLINE.as_secs());
                    self.state = State::Gone;
                    LinkEvent::Disconnected(DisconnectReason::Lost { reason })
                })
            }
            State::Draining(wire, deadline) => {
                if wire.poll_end(cx).is_ready() || deadline.as_mut().poll(cx).is_ready() {
                    self.state = State::Gone;
                    return Poll::Ready(LinkEvent::Gone);
                }
                Poll::Pending
            }
            State::Gone => Poll::Ready(LinkEvent::Gone),
        }
    }

    /// Called when everything that arrived is read: pings the peer, or gives it up, if that is due.
    fn beat(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Poll<LinkEvent> {
        let (State::Open(wire), Some(pulse)) = (&mut self.state, &mut self.pulse) else {
            return Poll::Pending;
        };
        if wire.take_alive() {
            pulse.heard(now);
        }
        match pulse.handle_timeout(now) {
            None => Poll::Pending,
            Some(Beat::Ping) => {
                wire.ping();
                let _ = wire.poll_flush(cx);
                Poll::Pending
            }
            Some(Beat::Dead) => {
                let reason = format!("no pong or data within {} s", pulse.limit().as_secs());
                self.state = State::Gone;
                Poll::Ready(LinkEvent::Disconnected(DisconnectReason::Lost { reason }))
            }
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        if !matches!(self.state, State::Open(_)) {
            return None;
        }
        earlier(self.outgoing.poll_timeout(), self.pulse.as_ref().and_then(Pulse::poll_timeout))
    }

    fn receive(&mut self, received: Received) -> LinkEvent {
        match received {
            Received::Text(text) => LinkEvent::Text(text),
            Received::Binary(bytes) => LinkEvent::Binary(bytes),
            Received::Ended(reason) => {
                self.state = match std::mem::replace(&mut self.state, State::Gone) {
                    State::Open(wire) => State::Draining(wire, Box::pin(sleep(CLOSE_DEADLINE))),
                    State::Closing(wire, deadline) => State::Draining(wire, deadline),
                    state @ (State::Connecting(_) | State::Draining(..) | State::Gone) => state,
                };
                LinkEvent::Disconnected(reason)
            }
        }
    }
}
