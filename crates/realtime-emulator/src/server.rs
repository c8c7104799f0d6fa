//! The socket part: a listener, and for each connection a session or the answer to an HTTP request.

use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, tungstenite};
use tracing::Instrument;

use crate::drive::{self, SLOWEST, in_time};
use crate::handshake;
use crate::http::{self, Answer, HttpError, Request, read_body, read_head};
use crate::options::Options;
use crate::origin;
use crate::waiting::{Place, Waiting};

/// A server on a TCP port.
///
/// There is one task per connection. A failure in one, including a panic of its brain, ends only that
/// connection.
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
    /// The handshake was refused with this HTTP status: path, model or key.
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
    /// [`io::Error`] if the address cannot be used.
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

    /// The URL of the page for a person, who watches the sessions there and talks to a new one by microphone:
    /// `http://127.0.0.1:PORT/`. A server that listens on all addresses is named by that of this machine, as
    /// browsers give the microphone only to such a page.
    pub fn page_url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/")
    }

    /// Serves until `shutdown` is ready; then closes all connections with code 1001, and returns when they
    /// are gone, after five seconds at the latest.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let waiting = Waiting::default();
        tokio::pin!(shutdown);
        tracing::info!(address = %self.address, "listening");
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(result) = connections.join_next() => report(result),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _))
                        if connections.len() >= self.options.most_connections && !waiting.give_way() =>
                    {
                        connections.spawn(turn_away(stream));
                    }
                    Ok((stream, peer)) => {
                        let (options, mut stopped) = (self.options.clone(), stopped.clone());
                        let place = Some(waiting.enter());
                        let served = async move {
                            stream.set_nodelay(true).map_err(tungstenite::Error::from).map_err(Box::new)?;
                            serve_until(stream, options, place, async move { drop(stopped.changed().await) }).await
                        };
                        connections.spawn(served.instrument(tracing::info_span!("connection", %peer)));
                    }
                    // Out of file handles, or the client is gone already: try again a moment later.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(stop);
        #[cfg(feature = "webrtc")]
        self.options.registry.end_calls();
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
/// [`ServeError`] if it did not end by a close. There is nothing to do about it.
pub async fn serve_stream<S>(stream: S, options: Options) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    serve_until(stream, options, None, pending()).await
}

async fn serve_until<S>(
    mut stream: S,
    options: Options,
    place: Option<Place>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (request, rest) = match read_request(&mut stream, place).await {
        Ok(read) => read,
        Err(error) => return Err(refuse_unread(stream, error).await),
    };
    let page = match origin::check(&request, &options) {
        Ok(page) => page.map(String::from),
        Err(refusal) => {
            tell(&mut stream, &refusal, None).await?;
            return Err(ServeError::Refused(refusal.status));
        }
    };
    if !request.is_upgrade() {
        let answer = http::answer(&request, &options);
        tracing::debug!(method = request.method, path = request.path, status = answer.status, "answered");
        return tell(&mut stream, &answer, page.as_deref()).await;
    }
    let asked = match handshake::is_whole(&request).and_then(|()| handshake::accept(&request, &options)) {
        Ok(asked) => asked,
        Err(refusal) => {
            tell(&mut stream, &refusal, page.as_deref()).await?;
            return Err(ServeError::Refused(refusal.status));
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    in_time(async { Ok(stream.write_all(&handshake::switch(&request, &asked)).await?) }).await?;
    // Frames may have come with the request.
    let mut socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
    drive::run(&mut socket, asked, &options, stop).await
}

/// Reads a request and, if it does not ask for a WebSocket, its body. Also returns what came after the head.
async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    place: Option<Place>,
) -> Result<(Request, Vec<u8>), HttpError> {
    let read = async {
        let slow = |_| HttpError::Refused(408, "The request did not come in time.");
        let (mut request, length, mut bytes) =
            timeout(SLOWEST_HEAD, read_head(stream)).await.map_err(slow)??;
        let mut rest = bytes.split_off(length.min(bytes.len()));
        if !request.is_upgrade() {
            let body = read_body(stream, &request, std::mem::take(&mut rest));
            request.body = timeout(SLOWEST, body).await.map_err(slow)??;
        }
        Ok((request, rest))
    };
    let Some(mut place) = place else { return read.await };
    tokio::select! {
        biased;
        read = read => read,
        () = place.told_to_go() => {
            Err(HttpError::Refused(408, "The request did not come before there were too many connections."))
        }
    }
}

async fn turn_away(mut stream: TcpStream) -> Result<(), ServeError> {
    let refusal = Answer::refusal(503, "too_many_connections", "There are too many connections.");
    tell(&mut stream, &refusal, None).await?;
    Err(ServeError::Refused(503))
}

/// Answers an unreadable request, if the client is still there.
async fn refuse_unread<S: AsyncWrite + Unpin>(mut stream: S, error: HttpError) -> ServeError {
    match error {
        HttpError::Refused(status, message) => {
            let refusal = Answer::refusal(status, "bad_request", message);
            tell(&mut stream, &refusal, None)
                .await
                .map_or_else(|error| error, |()| ServeError::Refused(status))
        }
        HttpError::Io(error) => Box::new(tungstenite::Error::from(error)).into(),
    }
}

/// Sends an answer as the last thing on its connection. A page of this origin may read it.
async fn tell<S: AsyncWrite + Unpin>(
    stream: &mut S,
    answer: &Answer,
    origin: Option<&str>,
) -> Result<(), ServeError> {
    in_time(async {
        stream.write_all(&answer.bytes(origin)).await?;
        Ok(stream.shutdown().await?)
    })
    .await
}

fn report(result: Result<Result<(), ServeError>, JoinError>) {
    match result {
        Ok(Ok(())) => tracing::debug!("connection closed"),
        Ok(Err(error)) => tracing::debug!(%error, "connection ended"),
        Err(error) if error.is_panic() => tracing::error!(%error, "connection panicked"),
        Err(_) => {}
    }
}

/// Bytes; small, because each connection has one.
const READ_BUFFER: usize = 16 << 10;
/// Bytes; one append may have 15 MiB.
const MOST_MESSAGE: usize = 16 << 20;
/// For the head of a request.
const SLOWEST_HEAD: Duration = Duration::from_secs(5);
/// For all connections to end after the shutdown.
const GRACE: Duration = Duration::from_secs(5);
