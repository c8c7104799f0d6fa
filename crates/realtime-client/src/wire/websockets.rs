//! The frames of a WebSocket by tokio-websockets, which logs nothing. No other file uses it, except to hold
//! its texts.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, CloseCode, Config, Error, Limits, Message, WebSocketStream};

use super::socket::{self, Frame, Frames, HELD, MAX_UNSENT};
use super::stream::Tracked;
use super::{Buffer, Text};

/// The library's socket.
pub(super) struct Library {
    inner: WebSocketStream<Tracked>,
    /// The latest message, if it is large, until the next one is asked for.
    held: Option<Message>,
}

impl Library {
    /// A text from the server may have that many bytes.
    pub(super) fn new(stream: Tracked, max_text: usize) -> Self {
        let inner = ClientBuilder::new()
            // A text is one frame, and is sent only when flushed.
            .config(Config::default().frame_size(MAX_UNSENT).flush_threshold(usize::MAX))
            .limits(Limits::default().max_payload_len(Some(max_text)))
            .take_over(stream);
        Self { inner, held: None }
    }

    fn push(&mut self, message: Message) {
        // By its configuration it is always ready, so this fails only after a close frame.
        if self.inner.poll_ready_unpin(&mut Context::from_waker(Waker::noop())).is_ready() {
            let _ = self.inner.start_send_unpin(message);
        }
    }
}

impl Frames for Library {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<socket::Message>> {
        let received = self.inner.poll_next_unpin(cx);
        self.held = None;
        received.map(|received| {
            let message = match received? {
                Ok(message) => message,
                Err(error) => {
                    if let Error::PayloadTooLong { .. } = error {
                        // If it came in fragments, the library has not told the server.
                        self.push(Message::close(Some(CloseCode::MESSAGE_TOO_BIG), ""));
                    }
                    return Some(socket::Message::Violation(error.to_string()));
                }
            };
            if message.is_text() {
                self.held = (message.as_payload().len() > HELD).then(|| message.clone());
                return Some(socket::Message::Text(Text(Buffer::Websockets(message))));
            }
            if let Some((code, reason)) = message.as_close() {
                let code = (code != CloseCode::NO_STATUS_RECEIVED).then(|| code.into());
                return Some(socket::Message::Close { code, reason: reason.to_owned() });
            }
            if message.is_ping() || message.is_pong() {
                return Some(socket::Message::Control);
            }
            let payload = message.as_payload();
            Some(match std::str::from_utf8(payload) {
                // Copied, because the library does not turn a binary message into a text.
                Ok(text) => socket::Message::Text(text.to_owned().into()),
                Err(_) => socket::Message::Binary(payload.len()),
            })
        })
    }

    fn queue(&mut self, frame: Frame) {
        self.push(match frame {
            Frame::Text(text) => Message::text(Bytes::from(text)),
            Frame::Ping => Message::ping(""),
            Frame::Close => Message::close(Some(CloseCode::NORMAL_CLOSURE), ""),
        });
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_flush_unpin(cx).map(drop)
    }

    fn stream(&mut self) -> &mut Tracked {
        self.inner.get_mut()
    }
}
