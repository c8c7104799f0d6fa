//! The connections of one client, each from its first attempt to its last byte. There is one at most times,
//! and a second while a call moves from one session to the next.

use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use realtime_protocol::call::{ConnectionId, DisconnectReason};
use realtime_protocol::event::{ClientEvent, Dialect};
use tokio::time::{Instant, Sleep, sleep};

use crate::counters::Tally;
use crate::outbox::{Outbox, Patience};
use crate::socket::{Received, Socket, Text};

/// How long the far side may take to answer a goodbye, and to hang up after its own.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// An attempt to connect, boxed: it is large and short-lived, and the driver is neither.
pub(crate) type Connecting = BoxFuture<'static, Result<Socket, DisconnectReason>>;

/// What happens to a connection.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The WebSocket is open.
    Opened,
    /// A wire text came.
    Text(Text),
    /// A binary message of so many bytes came that is no text.
    Binary(usize),
    /// So many bytes of input audio waited too long, and are not sent.
    Unsent(usize),
    /// The connection could not be made, or has ended: nothing but [`Gone`](Self::Gone) follows.
    Disconnected(DisconnectReason),
    /// Nothing is left of the connection.
    Gone,
}

/// All connections of a client.
pub(crate) struct Links {
    links: Vec<Link>,
    patience: Patience,
    keepalive: Option<Duration>,
    tally: Arc<Tally>,
}

struct Link {
    conn: ConnectionId,
    outbox: Outbox,
    pulse: Option<Pulse>,
    state: State,
}

/// Tells a connection that is quiet from one that is dead.
struct Pulse {
    every: Duration,
    alarm: Pin<Box<Sleep>>,
    asked: bool,
}

enum State {
    Connecting(Connecting),
    Open(Socket),
    /// We said goodbye; the far side's last texts still count.
    Closing(Socket, Pin<Box<Sleep>>),
    /// The end is told; only the goodbye is on its way.
    Draining(Socket, Pin<Box<Sleep>>),
    Gone,
}

impl Links {
    pub(crate) const fn new(patience: Patience, keepalive: Option<Duration>, tally: Arc<Tally>) -> Self {
        Self { links: Vec::new(), patience, keepalive, tally }
    }

    /// Begins a connection.
    pub(crate) fn connect(&mut self, conn: ConnectionId, attempt: Connecting) {
        let outbox = Outbox::new(conn, self.patience, Arc::clone(&self.tally));
        let pulse = self.keepalive.filter(|every| !every.is_zero()).map(Pulse::new);
        self.links.push(Link { conn, outbox, pulse, state: State::Connecting(attempt) });
    }

    /// Sends an event; it is dropped where the connection is not open any more.
    pub(crate) fn send(&mut self, conn: ConnectionId, dialect: Dialect, event: ClientEvent) {
        let Some(Link { outbox, state: State::Open(socket), .. }) = self.link(conn) else { return };
        outbox.speak(dialect);
        if outbox.is_empty() && socket.has_room() {
            socket.send(outbox.encode(&event));
        } else {
            outbox.push(&event);
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
            State::Open(mut socket) => {
                while let Some(text) = link.outbox.pop() {
                    socket.send(text);
                }
                socket.start_close();
                State::Closing(socket, Box::pin(sleep(CLOSE_DEADLINE)))
            }
            state @ (State::Closing(..) | State::Draining(..) | State::Gone) => state,
        };
    }

    /// What happens next to any of them; waits forever where there is none. Nothing is lost when the future
    /// is dropped.
    pub(crate) async fn next(&mut self) -> (ConnectionId, LinkEvent) {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(ConnectionId, LinkEvent)> {
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
                Ok(socket) => {
                    self.state = State::Open(socket);
                    LinkEvent::Opened
                }
                Err(reason) => {
                    self.state = State::Gone;
                    LinkEvent::Disconnected(reason)
                }
            }),
            State::Open(socket) => {
                let unsent = self.outbox.shed();
                if unsent > 0 {
                    return Poll::Ready(LinkEvent::Unsent(unsent));
                }
                if let Some(reason) = self.outbox.overflow() {
                    self.state = State::Gone;
                    return Poll::Ready(LinkEvent::Disconnected(DisconnectReason::Lost { reason }));
                }
                socket.poll_flush(cx);
                while socket.has_room()
                    && let Some(text) = self.outbox.pop()
                {
                    socket.send(text);
                    socket.poll_flush(cx);
                }
                if let Poll::Ready(received) = socket.poll(cx) {
                    return Poll::Ready(self.receive(received));
                }
                let Some(pulse) = &mut self.pulse else { return Poll::Pending };
                pulse.poll(cx, socket).map(|()| {
                    let reason = format!("not a sign of life within {} s", pulse.limit().as_secs());
                    self.state = State::Gone;
                    LinkEvent::Disconnected(DisconnectReason::Lost { reason })
                })
            }
            State::Closing(socket, deadline) => {
                if let Poll::Ready(received) = socket.poll(cx) {
                    return Poll::Ready(self.receive(received));
                }
                deadline.as_mut().poll(cx).map(|()| {
                    let reason = format!("no answer to the goodbye within {} s", CLOSE_DEADLINE.as_secs());
                    self.state = State::Gone;
                    LinkEvent::Disconnected(DisconnectReason::Lost { reason })
                })
            }
            State::Draining(socket, deadline) => {
                if socket.poll_end(cx).is_ready() || deadline.as_mut().poll(cx).is_ready() {
                    self.state = State::Gone;
                    return Poll::Ready(LinkEvent::Gone);
                }
                Poll::Pending
            }
            State::Gone => Poll::Ready(LinkEvent::Gone),
        }
    }

    fn receive(&mut self, received: Received) -> LinkEvent {
        match received {
            Received::Text(text) => LinkEvent::Text(text),
            Received::Binary(bytes) => LinkEvent::Binary(bytes),
            Received::Ended(reason) => {
                self.state = match std::mem::replace(&mut self.state, State::Gone) {
                    State::Open(socket) => State::Draining(socket, Box::pin(sleep(CLOSE_DEADLINE))),
                    State::Closing(socket, deadline) => State::Draining(socket, deadline),
                    state @ (State::Connecting(_) | State::Draining(..) | State::Gone) => state,
                };
                LinkEvent::Disconnected(reason)
            }
        }
    }
}

impl Pulse {
    fn new(every: Duration) -> Self {
        Self { every, alarm: Box::pin(sleep(every)), asked: false }
    }

    /// How long a dead connection may go unnoticed.
    const fn limit(&self) -> Duration {
        self.every.saturating_mul(2)
    }

    /// Asks for a sign of life when nothing came for a while; is ready when there was none.
    fn poll(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<()> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            if socket.take_alive() {
                self.asked = false;
            } else if self.asked {
                return Poll::Ready(());
            } else {
                self.asked = true;
                socket.ping();
                socket.poll_flush(cx);
            }
            self.alarm.as_mut().reset(Instant::now() + self.every);
        }
        Poll::Pending
    }
}
