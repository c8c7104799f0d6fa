//! The WebSocket, as the driver wants it: wire texts in and out, and why it ended.

use std::task::{Context, Poll, ready};

use realtime_protocol::session::DisconnectReason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::frames::Message;
use crate::websocket::WebSocket;

/// A stream of bytes that a WebSocket can run over.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// What comes out of a socket.
#[derive(Debug)]
pub(crate) enum Received {
    /// A wire text.
    Text(Utf8Bytes),
    /// A binary message, which this protocol does not have; its length in bytes.
    Binary(usize),
    /// The far side closed, or the connection broke. Nothing follows besides what polling for the end of the
    /// stream gives.
    Ended(DisconnectReason),
}

/// An open WebSocket.
pub(crate) struct Socket {
    inner: WebSocket,
    /// Whether the far side is behind: the latest flush has not ended.
    blocked: bool,
    /// Whether anything came since this was asked last.
    heard: bool,
    /// Why writing has failed; reading goes on, for the far side's last words explain it.
    broken: Option<String>,
}

impl Socket {
    /// Goes on behind a handshake, of which `read` is what came with it.
    pub(crate) fn new(stream: Box<dyn ByteStream>, read: &[u8]) -> Self {
        Self { inner: WebSocket::new(stream, read), blocked: false, heard: false, broken: None }
    }

    /// Queues a wire text. It leaves with the next [`poll`](Self::poll), all that is queued in one write.
    pub(crate) fn send(&mut self, text: String) {
        if let Err(error) = self.inner.send(&text) {
            self.broken = Some(error);
        }
    }

    /// Whether the connection does not take any more for now.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Asks the far side for a sign of life.
    pub(crate) fn ping(&mut self) {
        self.inner.ping();
    }

    /// Whether anything came since this was asked last: an answer to a ping counts too.
    pub(crate) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Queues a goodbye. Texts may still arrive until the far side has answered it.
    pub(crate) fn start_close(&mut self) {
        self.inner.close(Some(1000), "");
    }

    /// Sends what is queued as far as the connection takes it, answers pings, and gives what came.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.poll_flush(cx);
        loop {
            let received = self.inner.poll_next(cx);
            self.heard |= received.is_ready();
            return match received {
                Poll::Ready(Some(Ok(Message::Text(text)))) => Poll::Ready(Received::Text(text)),
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => Poll::Ready(Received::Binary(bytes)),
                Poll::Ready(Some(Ok(Message::Ping(_)))) => {
                    self.poll_flush(cx);
                    continue;
                }
                Poll::Ready(Some(Ok(Message::Pong))) => continue,
                Poll::Ready(Some(Ok(Message::Close { code, reason }))) => {
                    Poll::Ready(Received::Ended(DisconnectReason::Closed { code, reason }))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(lost(error)),
                Poll::Ready(None) => Poll::Ready(lost("the far side hung up".to_owned())),
                Poll::Pending => match self.broken.take() {
                    Some(reason) => Poll::Ready(lost(reason)),
                    None => Poll::Pending,
                },
            };
        }
    }

    /// After either side's goodbye: sends what is left, and waits for the far side to hang up.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(cx);
        while let Some(Ok(_)) = ready!(self.inner.poll_next(cx)) {}
        Poll::Ready(())
    }

    /// Sends what is queued as far as the connection takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if !self.inner.is_unflushed() {
            return;
        }
        match self.inner.poll_flush(cx) {
            Poll::Pending => self.blocked = true,
            Poll::Ready(result) => {
                self.blocked = false;
                if let Err(error) = result {
                    self.broken.get_or_insert(error);
                }
            }
        }
    }
}

fn lost(reason: String) -> Received {
    Received::Ended(DisconnectReason::Lost { reason })
}
