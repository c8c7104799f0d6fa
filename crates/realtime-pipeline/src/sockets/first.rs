//! The first text of a socket, read before it is known what is done with the socket: [`first_text`].

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream, StreamExt};
use tokio::time::timeout;

use crate::media::SocketMessage;
use crate::sockets::WebSocketMessage;

/// A socket whose first message was read. It gives that message again, and then goes on.
pub struct First<S, M> {
    first: Option<M>,
    socket: S,
}

/// Why a socket gave no first text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoText<E: Error + 'static> {
    /// It said nothing.
    #[error("expected a first text within {within:?}, and none came")]
    Silent {
        /// How long it was waited for.
        within: Duration,
    },
    /// It said something else.
    #[error("expected a text as the first message, got a binary message")]
    Binary,
    /// It was closed before.
    #[error("expected a first text, and the socket was closed")]
    Closed,
    /// It broke.
    #[error("expected a first text, and the socket broke")]
    Lost(#[source] E),
}

/// Waits for the first text of a socket, such as the `hello` of a page that comes back to its call
/// ([`page::token_in`](crate::media::page::token_in)). The socket that is given back has it still.
///
/// # Errors
/// [`NoText`]: the socket is dropped.
pub async fn first_text<S, M, E>(mut socket: S, within: Duration) -> Result<(String, First<S, M>), NoText<E>>
where
    S: Stream<Item = Result<M, E>> + Unpin,
    M: WebSocketMessage,
    E: Error + 'static,
{
    let first = async {
        loop {
            match socket.next().await.map(|message| message.map(M::into_content)) {
                Some(Ok(None)) => {}
                Some(Ok(Some(SocketMessage::Text(text)))) => return Ok(text),
                Some(Ok(Some(SocketMessage::Binary(_)))) => return Err(NoText::Binary),
                Some(Err(error)) => return Err(NoText::Lost(error)),
                None => return Err(NoText::Closed),
            }
        }
    };
    let text = timeout(within, first).await.map_err(|_| NoText::Silent { within })??;
    let first = Some(M::from_content(SocketMessage::Text(text.clone())));
    Ok((text, First { first, socket }))
}

// Nothing in it is pinned.
impl<S: Unpin, M> Unpin for First<S, M> {}

impl<S, M, E> Stream for First<S, M>
where
    S: Stream<Item = Result<M, E>> + Unpin,
{
    type Item = Result<M, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.socket.poll_next_unpin(cx),
        }
    }
}

impl<S: Sink<M> + Unpin, M> Sink<M> for First<S, M> {
    type Error = S::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.socket).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: M) -> Result<(), S::Error> {
        Pin::new(&mut self.socket).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

impl<S, M> fmt::Debug for First<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("First").field("is_read", &self.first.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{iter, pending};

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Message {
        Ping,
        Said(SocketMessage),
    }

    impl WebSocketMessage for Message {
        fn into_content(self) -> Option<SocketMessage> {
            match self {
                Self::Ping => None,
                Self::Said(content) => Some(content),
            }
        }

        fn from_content(content: SocketMessage) -> Self {
            Self::Said(content)
        }
    }

    fn text(text: &str) -> Message {
        Message::Said(SocketMessage::Text(text.into()))
    }

    async fn first(messages: Vec<Message>) -> Result<Vec<Message>, String> {
        let socket = iter(messages.into_iter().map(Ok::<_, Infallible>));
        let read = first_text(socket, Duration::from_secs(1)).await;
        let (_, socket) = read.map_err(|error| error.to_string())?;
        Ok(socket.map(|message| message.unwrap()).collect().await)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_text_is_read_and_comes_again() {
        let messages = first(vec![Message::Ping, text("hello"), text("more")]).await;
        assert_eq!(messages, Ok(vec![text("hello"), text("more")]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_first_text_is_told() {
        let binary = Message::Said(SocketMessage::Binary(bytes::Bytes::new()));
        assert!(first(vec![binary]).await.unwrap_err().contains("got a binary message"));
        assert!(first(vec![Message::Ping]).await.unwrap_err().contains("was closed"));
        let silent = pending::<Result<Message, Infallible>>();
        let error = first_text(silent, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "expected a first text within 1s, and none came");
    }
}
