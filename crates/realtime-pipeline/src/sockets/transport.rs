//! A media socket as both edges of a call: [`MediaSocket`].

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink as MessageSink, Stream};
use realtime_protocol::audio::AudioFormat;

use crate::chain::{ClearId, Direction, FrameKind, SinkReport};
use crate::edges::{EdgeError, Pace, Sink, Source, Transport};
use crate::media::MediaProtocol;
use crate::sockets::WebSocketMessage;
use crate::sockets::line::{Line, Shared, lock};
use crate::sockets::socket::Messages;

/// A WebSocket to a carrier, a page or another client that a call is held over.
///
/// Wait until it [is ready](Self::ready), so that the call is made for who is there.
#[doc(alias("FastAPIWebsocketTransport", "WebsocketServerTransport"))]
#[must_use = "give it to an agent or a task"]
pub struct MediaSocket<P>(Shared<P>);

/// Reaches a [`MediaSocket`] while its call runs: goes on over another socket. Cheap to clone.
pub struct MediaLine<P>(Shared<P>);

/// The other end has gone before a call began.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}: expected a call, and the other end has gone before it began: {why}")]
pub struct NotReady {
    name: String,
    why: Arc<str>,
    #[source]
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// How long the other end may take for its leave.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

impl<P: MediaProtocol> MediaSocket<P> {
    /// An open socket of a WebSocket library, such as `axum`'s or `tokio-tungstenite`'s, on which this is
    /// spoken. Must be called within a tokio runtime with time enabled.
    pub fn new<S, M, E>(socket: S, protocol: P) -> Self
    where
        S: Stream<Item = Result<M, E>> + MessageSink<M, Error = E> + Unpin + Send + 'static,
        M: WebSocketMessage,
        E: Error + Send + Sync + 'static,
    {
        Self(Arc::new(Mutex::new(Line::new(Box::new(Messages::new(socket)), protocol))))
    }

    /// Waits until the other end has said who it is.
    ///
    /// # Errors
    /// [`NotReady`] if it has gone, or if the protocol gave it up.
    pub async fn ready(&mut self) -> Result<(), NotReady> {
        poll_fn(|cx| {
            let mut line = lock(&self.0);
            let is_known = |line: &Line<P>| line.protocol.is_ready() || line.protocol.is_over();
            let known = line.poll_read_until(cx, is_known);
            // Answers to what was read go out, and what was said last, such as why there is no call.
            let written = line.poll_write(cx);
            std::task::ready!(known);
            if line.protocol.is_ready() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(written);
            line.tell_oddities();
            let name = line.protocol.name().to_owned();
            let why = line.protocol.why_over().unwrap_or_else(|| "it closed the socket".into());
            Poll::Ready(Err(NotReady { name, why, cause: line.lost.clone() }))
        })
        .await
    }

    /// Reads what the protocol knows, such as who calls.
    pub fn read<T>(&self, read: impl FnOnce(&P) -> T) -> T {
        read(&lock(&self.0).protocol)
    }

    /// Reaches it while its call runs.
    pub fn line(&self) -> MediaLine<P> {
        MediaLine(Arc::clone(&self.0))
    }
}

impl<P: MediaProtocol> MediaLine<P> {
    /// Goes on over another socket, in place of the one that was lost or stands.
    ///
    /// # Errors
    /// Gives the socket back if the call is over, or if it is over without the socket that stands.
    pub fn attach<S, M, E>(&self, socket: S) -> Result<(), S>
    where
        S: Stream<Item = Result<M, E>> + MessageSink<M, Error = E> + Unpin + Send + 'static,
        M: WebSocketMessage,
        E: Error + Send + Sync + 'static,
    {
        let mut line = lock(&self.0);
        if !line.detach() {
            return Err(socket);
        }
        line.attach(Box::new(Messages::new(socket)));
        Ok(())
    }

    /// Reads what the protocol knows.
    pub fn read<T>(&self, read: impl FnOnce(&P) -> T) -> T {
        read(&lock(&self.0).protocol)
    }

    /// Hangs up where no call runs, such as one that could not begin: the other end is told, and the socket
    /// is closed. Gives up after 2 s. Does nothing more if the call is over.
    pub async fn finish(&self) {
        lock(&self.0).tell(MediaProtocol::finish);
        let closed = poll_fn(|cx| lock(&self.0).poll_over(cx));
        if tokio::time::timeout(FINISH_LIMIT, closed).await.is_err() {
            tracing::warn!(
                "{}: the other end did not take its leave",
                self.read(|line| line.name().to_owned())
            );
        }
    }

    /// Acts on the protocol.
    pub fn tell<T>(&self, act: impl FnOnce(&mut P, realtime_protocol::time::Timestamp) -> T) -> T {
        lock(&self.0).tell(act)
    }
}

impl<P> Clone for MediaLine<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: MediaProtocol> Transport for MediaSocket<P> {
    fn split(self) -> (Box<dyn Source>, Box<dyn Sink>) {
        let (name, format, pace, takes_phone_requests) = {
            let line = lock(&self.0);
            let protocol = &line.protocol;
            let name = Arc::<str>::from(protocol.name());
            (name, protocol.input_format(), protocol.pace(), protocol.takes_phone_requests())
        };
        let source = SocketSource { name: Arc::clone(&name), format, line: Arc::clone(&self.0) };
        let sink = SocketSink { name, pace, takes_phone_requests, line: self.0, is_finished: false };
        (Box::new(source), Box::new(sink))
    }
}

/// What the other end says.
struct SocketSource<P> {
    name: Arc<str>,
    format: Option<AudioFormat>,
    line: Shared<P>,
}

/// What the other end hears.
struct SocketSink<P: MediaProtocol> {
    name: Arc<str>,
    pace: Pace,
    takes_phone_requests: bool,
    line: Shared<P>,
    is_finished: bool,
}

impl<P: MediaProtocol> Source for SocketSource<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn format(&self) -> Option<AudioFormat> {
        self.format
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameKind>> {
        lock(&self.line).poll_input(cx)
    }

    fn notify(&mut self, frame: &FrameKind) {
        let told = lock(&self.line).tell(|line, now| line.handle_frame(now, Direction::Upstream, frame));
        if let Err(error) = told {
            tracing::warn!(source = &*self.name, "{error}");
        }
    }
}

impl<P: MediaProtocol> Sink for SocketSink<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        let mut line = lock(&self.line);
        let _ = line.poll_write(cx);
        if line.has_room() || line.protocol.is_over() { Poll::Ready(Ok(())) } else { line.wait_for_room(cx) }
    }

    fn send(&mut self, frame: &FrameKind) -> Result<(), EdgeError> {
        lock(&self.line).tell(|line, now| line.handle_frame(now, Direction::Downstream, frame))
    }

    fn takes_phone_requests(&self) -> bool {
        self.takes_phone_requests
    }

    fn clear(&mut self, id: ClearId) {
        lock(&self.line).tell(|line, now| line.clear(now, id));
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<SinkReport> {
        lock(&self.line).poll_report(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EdgeError>> {
        let mut line = lock(&self.line);
        if !std::mem::replace(&mut self.is_finished, true) {
            line.tell(MediaProtocol::finish);
        }
        // Who read before is gone: the goodbyes of the other end are read here.
        line.poll_over(cx).map(Ok)
    }
}

impl<P: MediaProtocol> Drop for SocketSink<P> {
    fn drop(&mut self) {
        lock(&self.line).tell_oddities();
    }
}

impl<P: MediaProtocol> fmt::Debug for MediaSocket<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaSocket({})", lock(&self.0).protocol.name())
    }
}

impl<P: MediaProtocol> fmt::Debug for MediaLine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaLine({})", lock(&self.0).protocol.name())
    }
}
