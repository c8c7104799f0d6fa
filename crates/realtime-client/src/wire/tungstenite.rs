//! The frames of a WebSocket by tokio-tungstenite. It logs what is said to the crate `log`, at TRACE: see
//! [`WebSocketLibrary::Tungstenite`](super::WebSocketLibrary::Tungstenite). No other file uses it, except to
//! hold its texts.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::socket::{self, Frame, Frames, HELD};
use super::stream::Tracked;
use super::{Buffer, Text};

/// The library's socket.
pub(super) struct Library {
    inner: WebSocketStream<Tracked>,
    /// The latest large message. The library's buffer ends in its memory, and would reuse it for ever if
    /// nobody else had it, so it is held until the buffer has moved on: after that many bytes were read.
    held: Option<(Bytes, u64)>,
}

impl Library {
    /// A text from the server may have that many bytes.
    pub(super) async fn new(stream: Tracked, max_text: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(HELD)
            // A text is sent only when flushed.
            .write_buffer_size(usize::MAX - 1)
            .max_message_size(Some(max_text))
            .max_frame_size(Some(max_text));
        let inner = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        Self { inner, held: None }
    }

    /// Queues a message. After a close frame the library refuses it.
    fn push(&mut self, message: Message) {
        let _ = self.inner.start_send_unpin(message);
    }

    fn close(&mut self, code: CloseCode) {
        self.push(Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() })));
    }

    fn hold(&mut self, payload: &Bytes) {
        if payload.len() > HELD {
            self.held = Some((payload.clone(), self.inner.get_ref().taken + 2 * HELD as u64));
        }
    }
}

impl Frames for Library {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<socket::Message>> {
        let received = self.inner.poll_next_unpin(cx);
        let taken = self.inner.get_ref().taken;
        self.held.take_if(|(_, until)| *until <= taken);
        received.map(|received| {
            Some(match received? {
                Ok(Message::Text(text)) => {
                    self.hold(text.as_ref());
                    socket::Message::Text(Text(Buffer::Tungstenite(text)))
                }
                Ok(Message::Binary(payload)) => {
                    self.hold(&payload);
                    let bytes = payload.len();
                    match Utf8Bytes::try_from(payload) {
                        Ok(text) => socket::Message::Text(Text(Buffer::Tungstenite(text))),
                        Err(_) => socket::Message::Binary(bytes),
                    }
                }
                Ok(Message::Close(frame)) => {
                    let code = frame.as_ref().map(|frame| frame.code.into());
                    let reason = frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default();
                    socket::Message::Close { code, reason }
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => socket::Message::Control,
                // The stream says what happened.
                Err(Error::Io(error)) => socket::Message::Violation(error.to_string()),
                Err(error) => {
                    // The library does not tell the server.
                    self.close(match error {
                        Error::Utf8(_) => CloseCode::Invalid,
                        Error::Capacity(_) => CloseCode::Size,
                        _ => CloseCode::Protocol,
                    });
                    socket::Message::Violation(error.to_string())
                }
            })
        })
    }

    fn queue(&mut self, frame: Frame) {
        match frame {
            Frame::Text(text) => self.push(Message::text(text)),
            Frame::Ping => self.push(Message::Ping(Bytes::new())),
            Frame::Close => self.close(CloseCode::Normal),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_flush_unpin(cx).map(drop)
    }

    fn stream(&mut self) -> &mut Tracked {
        self.inner.get_mut()
    }
}
