//! Setting a client up: [`Client`] and its [`ClientOptions`].

use std::fmt;
use std::future::ready;
use std::time::{SystemTime, UNIX_EPOCH};

use realtime_protocol::log::Header;
use realtime_protocol::session::{DisconnectReason, SessionOptions};
use realtime_protocol::supervisor::{Reconnect, Reseed, Supervisor, SupervisorOptions};
use realtime_protocol::time::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tracing::{Instrument, field, info_span};

use crate::connect;
use crate::driver::{Clock, Driver, State};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::events::{self, Bounds, Events};
use crate::handle::{self, Handle};
use crate::links::Connecting;
use crate::socket::Socket;
use crate::tap::{LogSink, Tap};

/// What a client is set up with, besides where to connect to.
pub struct ClientOptions {
    /// What this side decides about the session: its configuration, its deadlines.
    pub session: SessionOptions,
    /// Where the session log goes. Default: nowhere.
    pub log: Option<Box<dyn LogSink>>,
    /// The time of day, by which the session reads when it expires and the log says when it was. Default: the
    /// system's.
    pub wall: Box<dyn Fn() -> UnixTime + Send>,
    /// How much may wait for the application.
    pub bounds: Bounds,
    /// When a connection that ended is followed by another. Default: `None`: the call ends with its first one.
    pub reconnect: Option<Reconnect>,
    /// Tells a new session what was said before it. Default: nobody: it knows nothing.
    pub reseed: Option<Box<dyn Reseed + Send>>,
}

impl ClientOptions {
    /// Options for such a session, and the defaults for all else.
    pub fn new(session: SessionOptions) -> Self {
        Self {
            session,
            log: None,
            wall: Box::new(system_time),
            bounds: Bounds::default(),
            reconnect: None,
            reseed: None,
        }
    }

    /// Writes the session log there.
    #[must_use]
    pub fn log(mut self, sink: impl LogSink + 'static) -> Self {
        self.log = Some(Box::new(sink));
        self
    }

    /// Takes the time of day from there, so that a session log comes out the same every time.
    #[must_use]
    pub fn wall(mut self, wall: impl Fn() -> UnixTime + Send + 'static) -> Self {
        self.wall = Box::new(wall);
        self
    }

    /// Lets another connection follow one that ended. `reseed` tells its session what was said: it is called from the
    /// client's task, with each event too, and must not take long.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect, reseed: impl Reseed + Send + 'static) -> Self {
        self.reconnect = Some(reconnect);
        self.reseed = Some(Box::new(reseed));
        self
    }

    /// Replaces the bounds.
    #[must_use]
    pub const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::new(SessionOptions::default())
    }
}

impl From<SessionOptions> for ClientOptions {
    fn from(session: SessionOptions) -> Self {
        Self::new(session)
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("session", &self.session)
            .field("log", &self.log.is_some())
            .field("bounds", &self.bounds)
            .field("reconnect", &self.reconnect)
            .field("reseed", &self.reseed.is_some())
            .finish_non_exhaustive()
    }
}

/// Where clients come from. Each is one task on the runtime on which it was made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Client;

impl Client {
    /// Connects, and returns once the WebSocket is open. The session itself is usable when
    /// [`SessionEvent::Ready`] comes; what is asked of it before waits for that.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    ///
    /// [`SessionEvent::Ready`]: realtime_protocol::session::SessionEvent::Ready
    pub async fn connect(
        endpoint: Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<(Handle, Events), ConnectError> {
        let origin = Instant::now();
        let socket = Box::pin(connect::open(&endpoint)).await?;
        let model = endpoint.model().to_owned();
        Ok(start(&model, options.into(), origin, Connector { first: Some(socket), endpoint: Some(endpoint) }))
    }

    /// Does the WebSocket handshake over a stream that is there already, whatever it is: a proxy's, one with
    /// TLS of the caller's own, one in memory. Of the endpoint, the path, the headers and the deadline count.
    ///
    /// Must be called within a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        endpoint: &Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<(Handle, Events), ConnectError> {
        let origin = Instant::now();
        let socket = Box::pin(connect::over(endpoint, Box::new(stream))).await?;
        Ok(start(endpoint.model(), options.into(), origin, Connector { first: Some(socket), endpoint: None }))
    }
}

fn start(model: &str, options: ClientOptions, origin: Instant, mut connector: Connector) -> (Handle, Events) {
    let ClientOptions { session, log, wall, bounds, reconnect, reseed } = options;
    let (handle, requests, shared) = handle::channel(&bounds);
    let (sender, events) = events::channel(bounds);
    let dialect = session.dialect;
    let machines = SupervisorOptions { session, reconnect };
    let tap = log.map(|sink| {
        let header = Header::new(machines.clone(), model, wall());
        Tap::new(sink, &header, shared.tally.clone())
    });
    let span = info_span!("realtime_session", model, session_id = field::Empty);
    let driver = Driver {
        supervisor: Supervisor::new(machines),
        clock: Clock { origin, wall },
        dialect,
        connect: Box::new(move || connector.connect()),
        reseed,
        requests,
        events: sender,
        tap,
        shared,
        span: span.clone(),
        state: State::default(),
    };
    tokio::spawn(Box::new(driver).run().instrument(span));
    (handle, events)
}

/// Makes the connections that the supervisor asks for. The first is there before the driver is.
struct Connector {
    first: Option<Socket>,
    endpoint: Option<Endpoint>,
}

impl Connector {
    fn connect(&mut self) -> Connecting {
        if let Some(socket) = self.first.take() {
            return Box::pin(ready(Ok(socket)));
        }
        let Some(endpoint) = self.endpoint.clone() else {
            let reason = "the stream that the client was given is used up".to_owned();
            return Box::pin(ready(Err(DisconnectReason::Lost { reason })));
        };
        Box::pin(async move { connect::open(&endpoint).await.map_err(|error| failure(&error)) })
    }
}

/// What the supervisor is told of an attempt that failed.
fn failure(error: &ConnectError) -> DisconnectReason {
    let reason = chain(error);
    match error {
        ConnectError::KeyRefused { status, .. } | ConnectError::Http { status, .. } => {
            DisconnectReason::Refused { status: *status, reason }
        }
        _ => DisconnectReason::Lost { reason },
    }
}

/// An error's text with those of its causes: here it becomes data, and the causes are lost otherwise.
fn chain(error: &ConnectError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn system_time() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
