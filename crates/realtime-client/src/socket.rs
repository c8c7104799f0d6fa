//! The WebSocket, as the driver wants it: wire texts in and out, without ever waiting. The one file that
//! another WebSocket library would replace.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use realtime_protocol::session::DisconnectReason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// A stream of bytes that a WebSocket can run over.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Bytes read from the stream at once. tungstenite fills its free buffer with zeros before each read, so
/// that more costs time on small events; less costs system calls on large ones.
const READ_BUFFER: usize = 16 * 1024;
/// The most that one wire text from the server may have (bytes): a retrieved item brings its audio along.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// The most that may wait to be sent (bytes). A far side that reads so slowly counts as lost.
const MAX_UNSENT: usize = 32 * 1024 * 1024;

/// The limits and buffers of a connection.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_TEXT))
        .max_frame_size(Some(MAX_TEXT))
        .max_write_buffer_size(MAX_UNSENT)
}

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
    inner: WebSocketStream<Box<dyn ByteStream>>,
    unflushed: bool,
    /// Whether the far side is behind: the latest flush has not ended.
    blocked: bool,
    /// Whether anything came since this was asked last.
    heard: bool,
    /// Why writing has failed; reading goes on, for the far side's last words explain it.
    broken: Option<String>,
}

impl Socket {
    pub(crate) const fn new(inner: WebSocketStream<Box<dyn ByteStream>>) -> Self {
        Self { inner, unflushed: false, blocked: false, heard: false, broken: None }
    }

    /// Queues a wire text. It leaves with the next [`poll`](Self::poll), all that is queued in one write.
    pub(crate) fn send(&mut self, text: String) {
        // tungstenite copies and masks the text into its own output buffer, and takes it as a `Bytes` that it
        // checks for UTF-8 unless it was a `String`: a buffer of ours, used again, would cost that check.
        self.start_send(Message::text(text));
    }

    /// Whether the connection does not take any more for now.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Asks the far side for a sign of life.
    pub(crate) fn ping(&mut self) {
        self.start_send(Message::Ping(Bytes::new()));
    }

    /// Whether anything came since this was asked last: an answer to a ping counts too.
    pub(crate) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Queues a goodbye. Texts may still arrive until the far side has answered it.
    pub(crate) fn start_close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        self.start_send(Message::Close(Some(frame)));
    }

    /// Sends what is queued as far as the connection takes it, answers pings, and gives what came.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.poll_flush(cx);
        loop {
            let received = Pin::new(&mut self.inner).poll_next(cx);
            self.heard |= received.is_ready();
            return match received {
                Poll::Ready(Some(Ok(Message::Text(text)))) => Poll::Ready(Received::Text(text)),
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => Poll::Ready(Received::Binary(bytes.len())),
                // tungstenite answers pings itself, with the next read or flush.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    self.unflushed = true;
                    let (code, reason) = match frame {
                        Some(frame) => (Some(frame.code.into()), frame.reason.as_str().to_owned()),
                        None => (None, String::new()),
                    };
                    Poll::Ready(Received::Ended(DisconnectReason::Closed { code, reason }))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(lost(error.to_string())),
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
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.inner).poll_next(cx)) {}
        Poll::Ready(())
    }

    fn start_send(&mut self, message: Message) {
        self.unflushed = true;
        match Pin::new(&mut self.inner).start_send(message) {
            // After a goodbye nothing is sent any more: whoever reads will learn of it.
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {}
            Err(Error::WriteBufferFull(_)) => {
                self.broken = Some(format!("more than {MAX_UNSENT} bytes wait to be sent"));
            }
            Err(error) => self.broken = Some(error.to_string()),
        }
    }

    /// Sends what is queued as far as the connection takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if !self.unflushed {
            return;
        }
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending => self.blocked = true,
            Poll::Ready(result) => {
                (self.unflushed, self.blocked) = (false, false);
                if let Err(error) = result {
                    self.broken.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }
}

fn lost(reason: String) -> Received {
    Received::Ended(DisconnectReason::Lost { reason })
}
