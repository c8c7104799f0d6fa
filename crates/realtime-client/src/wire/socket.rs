//! A WebSocket as a wire, over either library: it counts what waits, and says how it ended.

use std::pin::pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use realtime_protocol::call::DisconnectReason;
use tokio::io::AsyncReadExt;

use super::stream::{CLOSED, Tracked};
use super::{Received, Text, Wire};

/// What a library does: it reads and writes frames, answers pings and close frames by itself, and sends
/// nothing before it is flushed.
pub(super) trait Frames: Send {
    /// The next message. `None`: the stream has ended.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>>;

    /// Queues a frame. Nothing follows a close frame.
    fn queue(&mut self, frame: Frame);

    /// Sends what is queued. A failure to write is kept by the stream.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    fn stream(&mut self) -> &mut Tracked;
}

/// A message that a library has read.
pub(super) enum Message {
    Text(Text),
    /// A binary message that is not UTF-8, with its length in bytes.
    Binary(usize),
    /// A ping, which the library answers, or a pong.
    Control,
    /// A close frame, which the library answers.
    Close {
        code: Option<u16>,
        reason: String,
    },
    /// The server broke the protocol. If it can be told so, a close frame waits to be sent.
    Violation(String),
}

/// A frame to be sent.
pub(super) enum Frame {
    Text(String),
    Ping,
    Close,
}

/// An open WebSocket.
pub(super) struct Socket<F> {
    frames: F,
    /// Whether the server reads too slowly: the latest flush has not ended.
    blocked: bool,
    /// An upper bound of the bytes that wait to be sent: all that was queued since nothing waited.
    unsent: usize,
}

impl<F: Frames> Socket<F> {
    pub(super) const fn new(frames: F) -> Self {
        Self { frames, blocked: false, unsent: 0 }
    }

    /// Queues a frame. If too much waits, the connection is broken.
    fn queue(&mut self, frame: Frame) {
        let payload = match &frame {
            Frame::Text(text) => text.len(),
            Frame::Ping | Frame::Close => 0,
        };
        match self.charge(payload) {
            Ok(()) => self.frames.queue(frame),
            Err(reason) => drop(self.frames.stream().broken.get_or_insert(reason)),
        }
    }

    fn charge(&mut self, payload: usize) -> Result<(), String> {
        self.unsent += payload + FRAME;
        match self.unsent {
            ..=MAX_UNSENT => Ok(()),
            _ => Err(format!("more than {MAX_UNSENT} bytes wait to be sent")),
        }
    }
}

impl<F: Frames> Wire for Socket<F> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        loop {
            let Poll::Ready(message) = self.frames.poll_next(cx) else {
                let broken = self.frames.stream().broken.as_ref();
                return broken.map_or(Poll::Pending, |reason| Poll::Ready(lost(reason.clone())));
            };
            return Poll::Ready(match message {
                Some(Message::Text(text)) => Received::Text(text),
                Some(Message::Binary(bytes)) => Received::Binary(bytes),
                Some(Message::Control) => {
                    // It may have queued an answer.
                    let charged = self.charge(0);
                    let _ = self.poll_flush(cx);
                    match charged {
                        Ok(()) => continue,
                        Err(reason) => lost(reason),
                    }
                }
                Some(Message::Close { code, reason }) => {
                    let _ = self.charge(0);
                    Received::Ended(DisconnectReason::Closed { code, reason })
                }
                Some(Message::Violation(reason)) => {
                    let _ = self.charge(0);
                    lost(reason)
                }
                None => lost(CLOSED.to_owned()),
            });
        }
    }

    fn send(&mut self, text: String) {
        self.queue(Frame::Text(text));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unsent == 0 {
            return Poll::Ready(());
        }
        let (was_blocked, before) = (self.blocked, self.frames.stream().written);
        self.blocked = self.frames.poll_flush(cx).is_pending();
        let stream = self.frames.stream();
        stream.alive |= was_blocked && stream.written > before;
        if self.blocked {
            return Poll::Pending;
        }
        self.unsent = 0;
        Poll::Ready(())
    }

    fn has_room(&self) -> bool {
        !self.blocked && self.unsent < ROOM
    }

    fn close(&mut self) {
        self.queue(Frame::Close);
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll_flush(cx);
        let stream = self.frames.stream();
        while let Ok(1..) = ready!(pin!(stream.read(&mut [0; 1024])).poll_unpin(cx)) {}
        Poll::Ready(())
    }

    fn ping(&mut self) {
        self.queue(Frame::Ping);
    }

    fn take_alive(&mut self) -> bool {
        std::mem::take(&mut self.frames.stream().alive)
    }
}

fn lost(reason: String) -> Received {
    Received::Ended(DisconnectReason::Lost { reason })
}

/// Beyond this much (bytes), texts wait in the outbox.
const ROOM: usize = 1024 * 1024;
/// The most that may wait to be sent (bytes). If the server reads too slowly for that, the connection counts
/// as lost.
pub(super) const MAX_UNSENT: usize = 32 * 1024 * 1024;
/// What a frame costs besides its payload, at most (bytes of memory).
const FRAME: usize = 256;
/// A text longer than this does not fit into a library's initial buffer (bytes). The libraries reuse the
/// memory of a dropped text, and would keep the largest buffer for the rest of the call, so such a text is
/// held until the library has another buffer.
pub(super) const HELD: usize = 8 * 1024;

#[cfg(test)]
mod tests;
