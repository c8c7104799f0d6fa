//! What carries wire texts between a call and a server: a WebSocket, or an application's own [`Wire`].
//!
//! | module | what lives there |
//! |---|---|
//! | `socket` | a WebSocket as a wire: what may wait, what was lost, who lives |
//! | `websockets`, `tungstenite` | the libraries that read and write frames, each used by its file only |
//! | `stream` | the bytes under a WebSocket |
//! | `redacted` | a wire whose texts never show a secret |

use std::fmt;
use std::ops::Deref;
use std::task::{Context, Poll};

use realtime_protocol::call::DisconnectReason;

use crate::connect::auth::Secrets;
use redacted::Redacted;
use socket::Socket;
use stream::{ByteStream, Tracked};

pub(crate) mod redacted;
pub(crate) mod socket;
pub(crate) mod stream;
#[cfg(feature = "tungstenite")]
mod tungstenite;
mod websockets;

/// An open connection, as the client's task drives it: it never waits, and bounds what it keeps.
///
/// The client has WebSockets. Implement this to carry wire texts otherwise (in memory, over a carrier's own
/// transport, over another WebSocket library), and give a [`Dial`](crate::Dial) to
/// [`Client::dial_with`](crate::Client::dial_with).
///
/// In each turn the task calls [`poll_flush`](Self::poll_flush), then [`poll_recv`](Self::poll_recv). Both
/// must arrange a wake-up, as futures do. A wire that is dropped closes its connection.
///
/// ```
/// use std::task::{Context, Poll};
///
/// use realtime_client::{Client, ClientOptions, Endpoint, Received, Wire};
/// use realtime_protocol::call::{DisconnectReason, Event};
/// use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
///
/// /// Wire texts through two queues.
/// struct Channel(UnboundedSender<String>, UnboundedReceiver<String>);
///
/// impl Wire for Channel {
///     fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
///         self.1.poll_recv(cx).map(|text| match text {
///             Some(text) => Received::Text(text.into()),
///             None => Received::Ended(DisconnectReason::Closed { code: None, reason: String::new() }),
///         })
///     }
///
///     fn send(&mut self, text: String) {
///         // `poll_recv` tells if nobody is there any more.
///         let _ = self.0.send(text);
///     }
///
///     fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
///         Poll::Ready(())
///     }
///
///     fn has_room(&self) -> bool {
///         true
///     }
///
///     fn close(&mut self) {
///         self.1.close();
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (to_server, mut from_client) = unbounded_channel();
/// let (to_client, from_server) = unbounded_channel();
/// let mut only = Some(Channel(to_server, from_server));
/// let dial = move |_number: u32, _endpoint: &Endpoint| {
///     let wire = Box::new(only.take().expect("one attempt")) as Box<dyn Wire>;
///     async { Ok(wire) }
/// };
/// let endpoint = Endpoint::new("ws://memory", "gpt-realtime")?;
/// let (handle, mut events) = Client::dial_with(dial, endpoint, ClientOptions::default()).await?.split();
///
/// to_client.send(r#"{"type":"session.created","session":{}}"#.to_owned())?;
/// assert!(from_client.recv().await.is_some_and(|text| text.contains("session.update")));
/// to_client.send(r#"{"type":"session.updated","session":{}}"#.to_owned())?;
/// assert!(matches!(events.next().await, Some(Event::Created { .. })));
/// assert!(matches!(events.next().await, Some(Event::Ready { .. })));
/// handle.close().await?;
/// # Ok(())
/// # }
/// ```
pub trait Wire: Send {
    /// What came, oldest first. After [`Received::Ended`] the task only calls [`poll_end`](Self::poll_end).
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Queues a wire text. Texts that are queued together should leave together. Nothing is sent after
    /// [`close`](Self::close).
    fn send(&mut self, text: String);

    /// Sends what is queued, as far as the connection takes it. Ready: all of it was taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns whether the connection takes more for now. While it does not, texts wait where audio can still
    /// be merged or dropped.
    fn has_room(&self) -> bool;

    /// Begins to close: queues a close frame, or what this wire has for it. Texts may still arrive until the
    /// server has answered with [`Received::Ended`], for which the task waits 2 s.
    fn close(&mut self);

    /// After the end: sends what is left, and waits for the server to close the connection. The task waits
    /// 2 s at most. Default: there is nothing to wait for.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }

    /// Asks the server for a sign of life, which [`take_alive`](Self::take_alive) then tells. Default: does
    /// nothing.
    fn ping(&mut self) {}

    /// Returns whether the server showed life since the last call: something came, or it took bytes after it
    /// was stuck. Default: always, for a wire that cannot be silent and dead.
    fn take_alive(&mut self) -> bool {
        true
    }
}

/// What comes out of a [`Wire`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// A wire text. Some proxies send it as a binary message, which is read as text, too.
    Text(Text),
    /// A binary message that is not UTF-8, with its length in bytes. The session is told and goes on.
    Binary(usize),
    /// The server closed the connection, or it was lost.
    Ended(DisconnectReason),
}

/// A wire text, in the buffer it was read into. `Debug` shows only its length.
pub struct Text(Buffer);

/// The buffers that texts come in.
enum Buffer {
    /// Always a text message.
    Websockets(tokio_websockets::Message),
    #[cfg(feature = "tungstenite")]
    Tungstenite(tokio_tungstenite::tungstenite::Utf8Bytes),
    Owned(String),
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Buffer::Owned(text))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Buffer::Websockets(message) => message.as_text().unwrap_or_default(),
            #[cfg(feature = "tungstenite")]
            Buffer::Tungstenite(text) => text,
            Buffer::Owned(text) => text,
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

/// The library that reads and writes a WebSocket's frames.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WebSocketLibrary {
    /// tokio-websockets, the default. It logs nothing, and neither copies nor keeps texts.
    #[default]
    TokioWebsockets,
    /// tokio-tungstenite, the most widely used one (feature `tungstenite`).
    ///
    /// **It logs content.** To the crate `log` it writes, at TRACE, every text that comes and every frame
    /// that goes, in full, and at DEBUG the reason of a close frame. Keep the targets `tungstenite` and
    /// `tokio_tungstenite` below DEBUG where conversations are private. It never sees the key of the
    /// handshake, unless a server repeats it.
    #[cfg(feature = "tungstenite")]
    Tungstenite,
}

impl WebSocketLibrary {
    /// Goes on after a WebSocket handshake. `read`: the bytes that came with it.
    pub(crate) async fn begin(
        self,
        stream: Box<dyn ByteStream>,
        read: bytes::Bytes,
        secrets: Secrets,
    ) -> Box<dyn Wire> {
        let stream = Tracked::new(stream, read);
        match self {
            Self::TokioWebsockets => {
                Box::new(Redacted::new(Socket::new(websockets::Library::new(stream, MAX_TEXT)), secrets))
            }
            #[cfg(feature = "tungstenite")]
            Self::Tungstenite => {
                let library = tungstenite::Library::new(stream, MAX_TEXT).await;
                Box::new(Redacted::new(Socket::new(library), secrets))
            }
        }
    }
}

/// The largest wire text from the server (bytes): a retrieved item includes its audio.
const MAX_TEXT: usize = 64 * 1024 * 1024;
