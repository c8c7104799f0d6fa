//! The socket part: a listener, and one loop around each [`Connection`].
//!
//! All time is tokio's, so that a test can stop it; the wall clock is an option.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use realtime_protocol::time::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, tungstenite};
use tracing::Instrument;

use crate::connection::Connection;
use crate::disaster::{Line, LineOutput};
use crate::handshake;
use crate::http::{self, Answer, HttpError, Replayed, read_body, read_head};
use crate::options::Options;

/// A server on a TCP port.
///
/// One task per connection; what goes wrong in one, a panic of its brain included, ends that one alone.
#[derive(Debug)]
pub struct Emulator {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

/// Why a connection ended, other than by a close.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The handshake was refused, with that HTTP status: path, model or key.
    #[error("the handshake was refused with status {0}")]
    Refused(u16),
    /// The client was too slow: in its handshake, or in reading what was sent.
    #[error("the client took longer than {0:?}")]
    TooSlow(Duration),
    /// The socket failed, or the client broke the WebSocket protocol.
    #[error("the WebSocket failed")]
    WebSocket(#[from] Box<tungstenite::Error>),
}

impl Emulator {
    /// Listens on an address; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`io::Error`] where the address cannot be had.
    pub async fn bind(address: impl ToSocketAddrs, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, options })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients, without the model: `ws://127.0.0.1:PORT/v1/realtime`.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }

    /// Serves until `shutdown` is ready; then closes all connections with code 1001, and returns when they are
    /// gone, after five seconds at the latest.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        tracing::info!(address = %self.address, "listening");
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(result) = connections.join_next() => report(result),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() >= self.options.most_connections => {
                        connections.spawn(turn_away(stream));
                    }
                    Ok((stream, peer)) => {
                        let (options, mut stopped) = (self.options.clone(), stopped.clone());
                        let served = async move {
                            stream.set_nodelay(true).map_err(tungstenite::Error::from).map_err(Box::new)?;
                            serve_until(stream, options, async move { drop(stopped.changed().await) }).await
                        };
                        connections.spawn(served.instrument(tracing::info_span!("connection", %peer)));
                    }
                    // Out of file handles, or a client that is gone already: a moment later it may go better.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(stop);
        let all_gone = async {
            while let Some(result) = connections.join_next().await {
                report(result);
            }
        };
        if timeout(GRACE, all_gone).await.is_err() {
            tracing::warn!(left = connections.len(), "aborting connections");
        }
        connections.shutdown().await;
        tracing::info!("stopped");
    }
}

/// Serves one connection over any byte stream, from the WebSocket handshake to the close.
///
/// With [`tokio::io::duplex`] and a paused clock, a test has a server without a socket, in virtual time.
///
/// # Errors
/// [`ServeError`] where it did not end by a close; there is nothing to be done about it.
pub async fn serve_stream<S>(stream: S, options: Options) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    serve_until(stream, options, pending()).await
}

async fn serve_until<S>(
    mut stream: S,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut request, length, read) = match timeout(SLOWEST, read_head(&mut stream)).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(refuse_unread(stream, error).await),
        Err(_) => return Err(ServeError::TooSlow(SLOWEST)),
    };
    if !request.is_upgrade() {
        let body = read.get(length..).map(Vec::from).unwrap_or_default();
        match timeout(SLOWEST, read_body(&mut stream, &request, body)).await {
            Ok(Ok(body)) => request.body = body,
            Ok(Err(error)) => return Err(refuse_unread(stream, error).await),
            Err(_) => return Err(ServeError::TooSlow(SLOWEST)),
        }
        let answer = http::answer(&request, &options);
        tracing::debug!(method = request.method, path = request.path, status = answer.status, "answered");
        return tell(&mut stream, &answer).await;
    }
    let mut asked = match handshake::accept(&request, &options) {
        Ok(asked) => asked,
        Err(refusal) => {
            tell(&mut stream, &refusal).await?;
            return Err(ServeError::Refused(refusal.status));
        }
    };
    let selects = asked.selects_realtime;
    #[expect(clippy::result_large_err, reason = "the shape that the WebSocket library asks for")]
    let callback = |_: &Request, mut response: Response| {
        if selects {
            let realtime = HeaderValue::from_static("realtime");
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, realtime);
        }
        Ok(response)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let stream = Replayed::new(read, stream);
    let accepted = timeout(SLOWEST, accept_hdr_async_with_config(stream, callback, Some(config))).await;
    let mut socket = accepted.map_err(|_| ServeError::TooSlow(SLOWEST))?.map_err(Box::new)?;
    let _entered = options.registry.enter();
    let origin = Instant::now();
    let own = options.for_connection(&mut asked);
    let line = options.for_line(&own);
    let connection = Connection::new(own, (options.brain)(), Timestamp::ZERO, (options.wall)());
    let stop = async move {
        tokio::select! {
            () = stop => close_frame(1001, "the server is going away".into()),
            () = ended(asked.call) => close_frame(1000, "the call has ended".into()),
        }
    };
    match drive(&mut socket, Line::new(connection, line, Timestamp::ZERO), origin, stop).await {
        Ok(End::Close(frame)) => finish(&mut socket, frame).await,
        Ok(End::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How a connection ends.
enum End {
    /// This side closes, with that frame.
    Close(Option<CloseFrame>),
    /// The client is gone, or is to think that this side is.
    Gone,
}

/// Feeds the core until one side closes.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    mut line: Line,
    origin: Instant,
    stop: impl Future<Output = CloseFrame>,
) -> Result<End, ServeError> {
    tokio::pin!(stop);
    loop {
        while let Some(output) = line.poll_output() {
            match output {
                LineOutput::Text(text) => in_time(socket.feed(Message::text(text))).await?,
                LineOutput::Close { code, reason } => {
                    return Ok(End::Close(code.map(|code| close_frame(code, reason))));
                }
                LineOutput::Break => return Ok(End::Gone),
            }
        }
        in_time(socket.flush()).await?;
        let deadline = line.poll_timeout().map(|at| origin + Duration::from_micros(at.as_micros()));
        tokio::select! {
            biased; // the stop first, so that a flood of messages cannot keep it waiting
            frame = &mut stop => return Ok(End::Close(Some(frame))),
            message = socket.next(), if line.wants_input() => match message {
                Some(Ok(Message::Text(text))) => line.handle_text(now(origin), &text),
                Some(Ok(Message::Binary(_))) => line.handle_binary(now(origin)),
                // Pings and closes are answered by the library as it reads on.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Box::new(error).into()),
                None => return Ok(End::Gone),
            },
            () = sleep_until(deadline.unwrap_or(origin)), if deadline.is_some() => {
                line.handle_timeout(now(origin));
            }
        }
    }
}

/// Closes: sends the frame, and reads on until the client has answered, for a short while.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    frame: Option<CloseFrame>,
) -> Result<(), ServeError> {
    in_time(socket.close(frame)).await?;
    let answered = async { while let Some(Ok(_)) = socket.next().await {} };
    // A client that does not answer has been told all the same.
    let _ = timeout(CLOSING, answered).await;
    Ok(())
}

/// Bounds how long a client may take to read what is sent: nothing piles up behind a slow one.
async fn in_time(sending: impl Future<Output = tungstenite::Result<()>>) -> Result<(), ServeError> {
    match timeout(SLOWEST, sending).await {
        Ok(result) => result.map_err(|error| Box::new(error).into()),
        Err(_) => Err(ServeError::TooSlow(SLOWEST)),
    }
}

async fn turn_away(mut stream: TcpStream) -> Result<(), ServeError> {
    tell(&mut stream, &Answer::refusal(503, "too_many_connections", "There are too many connections."))
        .await?;
    Err(ServeError::Refused(503))
}

/// Answers what could not be read, if there is someone to be answered.
async fn refuse_unread<S: AsyncWrite + Unpin>(mut stream: S, error: HttpError) -> ServeError {
    match error {
        HttpError::Status(status) => {
            let refusal = Answer::refusal(status, "bad_request", "The request cannot be read.");
            tell(&mut stream, &refusal).await.map_or_else(|error| error, |()| ServeError::Refused(status))
        }
        HttpError::Io(error) => Box::new(tungstenite::Error::from(error)).into(),
    }
}

/// Sends an answer, the last thing on its connection.
async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, answer: &Answer) -> Result<(), ServeError> {
    in_time(async {
        stream.write_all(&answer.bytes()).await?;
        Ok(stream.shutdown().await?)
    })
    .await
}

/// Waits for the end of the call that was joined.
async fn ended(call: Option<watch::Receiver<bool>>) {
    match call {
        Some(mut call) => drop(call.wait_for(|ended| *ended).await),
        None => pending().await,
    }
}

fn report(result: Result<Result<(), ServeError>, JoinError>) {
    match result {
        Ok(Ok(())) => tracing::debug!("connection closed"),
        Ok(Err(error)) => tracing::debug!(%error, "connection ended"),
        Err(error) if error.is_panic() => tracing::error!(%error, "connection panicked"),
        Err(_) => {}
    }
}

fn close_frame(code: u16, reason: String) -> CloseFrame {
    CloseFrame { code: code.into(), reason: reason.into() }
}

fn now(origin: Instant) -> Timestamp {
    Timestamp::from_micros(u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Bytes; small, because each connection has one.
const READ_BUFFER: usize = 16 << 10;
/// Bytes; one append may have 15 MiB.
const MOST_MESSAGE: usize = 16 << 20;
/// For the handshake, and for taking what is sent.
const SLOWEST: Duration = Duration::from_secs(30);
/// For the client's answer to a close.
const CLOSING: Duration = Duration::from_secs(2);
/// For all connections to end after the shutdown.
const GRACE: Duration = Duration::from_secs(5);
