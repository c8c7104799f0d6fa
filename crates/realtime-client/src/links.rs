//! The connections of one client, each from its first attempt to its last byte. There is one at most times,
//! and a second while a call moves from one session to the next.

use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use realtime_protocol::session::DisconnectReason;
use realtime_protocol::supervisor::ConnectionId;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::socket::{Received, Socket};

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
    Text(Utf8Bytes),
    /// A binary message of so many bytes came.
    Binary(usize),
    /// The connection could not be made, or has ended: nothing but [`Gone`](Self::Gone) follows.
    Disconnected(DisconnectReason),
    /// Nothing is left of the connection.
    Gone,
}

/// All connections of a client.
#[derive(Default)]
pub(crate) struct Links {
    links: Vec<Link>,
}

struct Link {
    conn: ConnectionId,
    state: State,
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
    /// Begins a connection.
    pub(crate) fn connect(&mut self, conn: ConnectionId, attempt: Connecting) {
        self.links.push(Link { conn, state: State::Connecting(attempt) });
    }

    /// Queues a wire text; dropped where the connection is not open any more.
    pub(crate) fn send(&mut self, conn: ConnectionId, text: String) {
        if let Some(Link { state: State::Open(socket), .. }) = self.link(conn) {
            socket.send(text);
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
            State::Open(socket) => socket.poll(cx).map(|received| self.receive(received)),
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
