//! WebSockets of any library: [`Socket`], and the messages of the libraries: [`WebSocketMessage`].

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Sink, Stream};

use crate::media::SocketMessage;

/// A message of a WebSocket library. There are implementations for `axum` and `tokio-tungstenite`, each
/// behind the feature of its name.
pub trait WebSocketMessage: Sized + Send + 'static {
    /// The message's content. `None`: it is of no use here, such as a ping, which the library answers.
    fn into_content(self) -> Option<SocketMessage>;

    /// A message to send.
    fn from_content(content: SocketMessage) -> Self;

    /// The message that closes a socket with status 1000. Default, `None`: the library closes it in its own
    /// way.
    fn goodbye() -> Option<Self> {
        None
    }
}

/// Why a socket is of no use any more.
pub(super) type SocketError = Arc<dyn Error + Send + Sync>;

/// An open WebSocket.
pub(super) trait Socket: Send {
    /// The next message. `None`: it is closed.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<SocketMessage, SocketError>>>;

    /// Returns whether it takes a message.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Takes a message, after [`poll_ready`](Self::poll_ready) was ready.
    fn send(&mut self, message: SocketMessage) -> Result<(), SocketError>;

    /// Writes what it has taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Says goodbye.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;
}

/// A stream and sink of a library's messages, as a [`Socket`].
pub(super) struct Messages<S> {
    socket: S,
    /// Whether the message that closes it has gone out.
    is_closing: bool,
}

impl<S> Messages<S> {
    pub(super) const fn new(socket: S) -> Self {
        Self { socket, is_closing: false }
    }
}

impl<S, M, E> Socket for Messages<S>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin + Send,
    M: WebSocketMessage,
    E: Error + Send + Sync + 'static,
{
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<SocketMessage, SocketError>>> {
        loop {
            let message = std::task::ready!(Pin::new(&mut self.socket).poll_next(cx));
            match message.map(|message| message.map(M::into_content)) {
                None => return Poll::Ready(None),
                Some(Ok(None)) => {}
                Some(Ok(Some(content))) => return Poll::Ready(Some(Ok(content))),
                Some(Err(error)) => return Poll::Ready(Some(Err(Arc::new(error)))),
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Pin::new(&mut self.socket).poll_ready(cx).map_err(shared)
    }

    fn send(&mut self, message: SocketMessage) -> Result<(), SocketError> {
        Pin::new(&mut self.socket).start_send(M::from_content(message)).map_err(shared)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(shared)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        if !self.is_closing {
            std::task::ready!(self.poll_ready(cx))?;
            self.is_closing = true;
            if let Some(goodbye) = M::goodbye() {
                Pin::new(&mut self.socket).start_send(goodbye).map_err(shared)?;
            }
        }
        Pin::new(&mut self.socket).poll_close(cx).map_err(shared)
    }
}

fn shared(error: impl Error + Send + Sync + 'static) -> SocketError {
    Arc::new(error)
}
