//! Setting a client up: [`Client`] and its [`ClientOptions`].

use std::fmt;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
#[cfg(feature = "tools")]
use realtime_context::{Agents, Conversation, DeskOptions, Guard, Guarded, Toolbox};
use realtime_protocol::call::{Call, CallOptions, Listener, Listeners, Reconnect, Reseed, Suspended};
use realtime_protocol::log::Header;
#[cfg(feature = "webrtc")]
use realtime_protocol::session::PlaybackSource;
use realtime_protocol::session::SessionOptions;
use realtime_protocol::time::UnixTime;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::time::Instant;
use tracing::Instrument;

use crate::bell::Bell;
use crate::call::ActiveCall;
use crate::clock::{Alarm, Clock, Origin};
use crate::connect::dial::{Bounded, Network, Streams};
use crate::connect::{self, ConnectError, Dial, Endpoint};
use crate::contained::{Contained, Panics};
use crate::driver::{Driver, State};
use crate::endpoints::{self, Endpoints};
use crate::events::{self, Bounds};
use crate::handle::Handle;
use crate::keeper::{Asked, Keeper};
use crate::links::Links;
use crate::observe::Observer;
use crate::requests;
use crate::spans::FunctionSpans;
use crate::tap::{LogSink, Tap};
#[cfg(feature = "webrtc")]
use crate::webrtc::WebRtc;
use crate::wire::Wire;
#[cfg(feature = "tools")]
use crate::wiring;

/// The options of a client, besides its endpoint.
pub struct ClientOptions {
    /// The session's options: its configuration, its deadlines. The endpoint sets the dialect.
    pub session: SessionOptions,
    /// Where the session log goes. Default: nowhere.
    pub log: Option<Box<dyn LogSink>>,
    /// The time of day, to tell when the session expires and for times in the log. Default: the system's
    /// clock.
    pub wall: Box<dyn Fn() -> UnixTime + Send>,
    /// How much may wait.
    pub bounds: Bounds,
    /// When to reconnect. Default: `None`: the call ends with its first connection.
    pub reconnect: Option<Reconnect>,
    /// Tells a new session what was said before. Default: none: the new session knows nothing.
    pub reseed: Option<Box<dyn Reseed + Send>>,
    /// Listeners that get every event before the application does, in this order, after the conversation, the
    /// tools, the agents and the guards. Default: none.
    pub listeners: Vec<Box<dyn Listener>>,
    /// The conversation that follows the call. Default: none.
    #[cfg(feature = "tools")]
    pub conversation: Option<Conversation>,
    /// The agents of the call. Default: none.
    #[cfg(feature = "tools")]
    pub agents: Option<Agents>,
    /// What looks at the assistant's words. Default: none.
    #[cfg(feature = "tools")]
    pub guards: Vec<Guarded>,
    /// The functions that the model may call: declared and run. Default: none.
    #[cfg(feature = "tools")]
    pub toolbox: Option<Toolbox>,
    /// How they are run.
    #[cfg(feature = "tools")]
    pub desk: DeskOptions,
    /// Wakes the client's task, so that it looks for what listeners ask.
    pub(crate) wake: Arc<Bell>,
    pub(crate) functions: FunctionSpans,
    /// The call that goes on here. Default: none: a new call begins.
    pub resume: Option<Suspended>,
    keeper: Asked,
    /// Endpoints to try, in this order, when the client's endpoint fails. Default: none.
    pub fallbacks: Vec<Endpoint>,
    /// How long a connection may be silent before the client sends a ping. If no pong or data comes for as
    /// long again, the connection counts as lost. `None`: no pings. Default: 15 s.
    pub keepalive: Option<Duration>,
    /// Whether `tracing` gets to see transcripts, texts and arguments. Default: `false`.
    pub trace_content: bool,
    /// Whether the call's task is left to [`ActiveCall`]. Default: `false`: it is spawned.
    pub polled: bool,
}

impl ClientOptions {
    /// Options for this session, with defaults for everything else.
    pub fn new(session: SessionOptions) -> Self {
        Self {
            session,
            log: None,
            wall: Box::new(system_time),
            bounds: Bounds::default(),
            reconnect: None,
            reseed: None,
            listeners: Vec::new(),
            #[cfg(feature = "tools")]
            conversation: None,
            #[cfg(feature = "tools")]
            agents: None,
            #[cfg(feature = "tools")]
            guards: Vec::new(),
            #[cfg(feature = "tools")]
            toolbox: None,
            #[cfg(feature = "tools")]
            desk: DeskOptions::default(),
            wake: Arc::default(),
            functions: FunctionSpans::default(),
            resume: None,
            keeper: Asked::default(),
            fallbacks: Vec::new(),
            keepalive: Some(Duration::from_secs(15)),
            trace_content: false,
            polled: false,
        }
    }

    /// Writes the session log to `sink`.
    #[must_use]
    pub fn log(mut self, sink: impl LogSink + 'static) -> Self {
        self.log = Some(Box::new(sink));
        self
    }

    /// Takes the time of day from `wall`, for example to get the same session log every time.
    #[must_use]
    pub fn wall(mut self, wall: impl Fn() -> UnixTime + Send + 'static) -> Self {
        self.wall = Box::new(wall);
        self
    }

    /// Makes another connection when one ends. The new session is told what was said by the
    /// [`conversation`](Self::conversation) or by [`reseed`](Self::reseed), and knows nothing without them.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Tells each new session what was said before, for calls without a
    /// [`conversation`](Self::conversation), which does it itself. `reseed` is called from the client's task,
    /// also with each event, and must not take long. If it panics,
    /// [`Notice::Panicked`](realtime_protocol::call::Notice::Panicked) names it and the call ends.
    #[must_use]
    pub fn reseed(mut self, reseed: impl Reseed + Send + 'static) -> Self {
        self.reseed = Some(Box::new(reseed));
        self
    }

    /// Adds a listener. It gets every event before the application does, and after the conversation, the
    /// tools, the agents, the guards, and the listeners added before it. It is called from the client's task
    /// and must not take long. If it panics, [`Notice::Panicked`](realtime_protocol::call::Notice::Panicked)
    /// names it and the call ends.
    #[must_use]
    pub fn listener(mut self, listener: impl Listener + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Declares these tools in the session's configuration, and runs them when the model calls them, each
    /// call in a task of its own. Every call gets exactly one output.
    #[cfg(feature = "tools")]
    #[must_use]
    pub fn toolbox(mut self, toolbox: Toolbox) -> Self {
        self.toolbox = Some(toolbox);
        self
    }

    /// Replaces how tools are run: how many at once, for example.
    #[cfg(feature = "tools")]
    #[must_use]
    pub const fn desk(mut self, options: DeskOptions) -> Self {
        self.desk = options;
        self
    }

    /// Follows a call in this conversation, which puts its instructions into the configuration, learns from
    /// every event, tells the server what the application changes, and tells each new session what was said.
    #[cfg(feature = "tools")]
    #[must_use]
    pub fn conversation(mut self, conversation: Conversation) -> Self {
        let wake = Arc::clone(&self.wake);
        conversation.on_change(move || wake.ring());
        self.reseed = Some(Box::new(conversation.clone()));
        self.conversation = Some(conversation);
        self
    }

    /// Has several agents in the call, of which one speaks: its instructions, tools and voice are the
    /// session's, and a tool hands over. Their tools are those of [`toolbox`](Self::toolbox), by name. The
    /// conversation's own instructions do not hold then.
    #[cfg(feature = "tools")]
    #[must_use]
    pub fn agents(mut self, agents: Agents) -> Self {
        self.agents = Some(agents);
        self
    }

    /// Adds a guard: it looks at what the assistant says, and may stop it and have something else said.
    /// If it panics, nothing more is said:
    /// [`Notice::Panicked`](realtime_protocol::call::Notice::Panicked) names it and the call ends.
    #[cfg(feature = "tools")]
    #[must_use]
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.guards.push(Guarded::new(guard));
        self
    }

    /// Goes on with a call of another process, whose configuration replaces the session's. Its first
    /// connection counts as one after a loss: a session that [attaches] goes on in the same conversation, any
    /// other is configured and told what was said. Functions that ran elsewhere are treated by their tools'
    /// `on_takeover`.
    ///
    /// [attaches]: realtime_protocol::session::Begin::Attach
    #[must_use]
    pub fn resume(mut self, suspended: Suspended) -> Self {
        self.resume = Some(suspended);
        self
    }

    /// Lets `keeper` ask the call for what another process goes on with.
    #[must_use]
    pub fn keeper(mut self, keeper: &Keeper) -> Self {
        self.keeper = keeper.asked();
        self
    }

    /// Adds an endpoint to use when the earlier ones fail. This makes the call reconnect, with the defaults
    /// of [`Reconnect`] unless [`reconnect`](Self::reconnect) sets others.
    #[must_use]
    pub fn fallback(mut self, endpoint: Endpoint) -> Self {
        self.fallbacks.push(endpoint);
        self
    }

    /// Replaces how long a connection may be silent.
    #[must_use]
    pub const fn keepalive(mut self, silence: Option<Duration>) -> Self {
        self.keepalive = silence;
        self
    }

    /// Shows transcripts, texts and arguments to `tracing`, at the level `info`.
    #[must_use]
    pub const fn trace_content(mut self) -> Self {
        self.trace_content = true;
        self
    }

    /// Leaves the call's task to [`ActiveCall::next`]: an event is read in the task that made it, which is a
    /// third quicker than from a task of its own, and costs slightly more CPU. Then the call goes on only
    /// while `next` is polled, so give commands from other tasks, or without waiting for their answers.
    /// [`ActiveCall::split`] spawns the task after all.
    #[must_use]
    pub const fn polled(mut self) -> Self {
        self.polled = true;
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
            .field("fallbacks", &self.fallbacks)
            .field("keepalive", &self.keepalive)
            .finish_non_exhaustive()
    }
}

/// Connects clients. Each client is one task, on the runtime on which it was made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Client;

impl Client {
    /// Connects, and returns once the WebSocket is open. The session itself is usable when [`Event::Ready`]
    /// comes; earlier commands wait for that.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act. With [`fallbacks`](ClientOptions::fallbacks), an endpoint that
    /// fails is not an error: the call tries the next one, and its events say so. A mistake in the endpoint
    /// itself (its address, headers, proxy or certificates) is still an error.
    ///
    /// [`Event::Ready`]: realtime_protocol::call::Event::Ready
    pub async fn connect(
        endpoint: Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<ActiveCall, ConnectError> {
        Self::first_dial(Network::default(), endpoint, options.into()).await
    }

    /// Does the WebSocket handshake over an existing stream: through a proxy, with the caller's own TLS, or
    /// in memory. Only the endpoint's path, headers and deadline are used. The call cannot reconnect when the
    /// stream ends; for a call that does, see [`over_streams`](Self::over_streams).
    ///
    /// Must be called within a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        endpoint: &Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<ActiveCall, ConnectError> {
        let origin = Instant::now();
        let attempt = Ok(Box::pin(connect::over(endpoint, Box::new(stream))).await?);
        let used_up = Streams(|| {
            let reason = "the stream that the client was given is used up";
            ready(Err::<DuplexStream, _>(io::Error::new(io::ErrorKind::Unsupported, reason)))
        });
        begin(attempt, endpoint.clone(), Box::new(used_up), options.into(), origin)
    }

    /// Connects like [`connect`](Self::connect), but over streams from `open`. It is called once per attempt
    /// to reach the endpoint, and may take as long as an attempt may. Its error counts as
    /// [`ConnectError::Unreachable`]. Fallbacks are dialled as usual.
    ///
    /// With [`tokio::io::duplex`] and paused time, a call that loses its connections can be tested without a
    /// socket.
    ///
    /// Must be called within a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    pub async fn over_streams<S, F>(
        open: impl FnMut() -> F + Send + 'static,
        endpoint: Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<ActiveCall, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
    {
        Self::first_dial(Streams(open), endpoint, options.into()).await
    }

    /// Connects like [`connect`](Self::connect), but over wires that `dial` makes, also to fallbacks. It is
    /// called once per attempt. Of an endpoint, only its model, dialect and deadline are used, and what
    /// `dial` uses itself.
    ///
    /// Must be called within a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    pub async fn dial_with(
        dial: impl Dial + 'static,
        endpoint: Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<ActiveCall, ConnectError> {
        Self::first_dial(Bounded(dial), endpoint, options.into()).await
    }

    /// Connects like [`connect`](Self::connect), but by WebRTC, also to fallbacks: see [`WebRtc`] for what
    /// differs. The server plays, so the options' playback is set to [`PlaybackSource::Server`].
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`ConnectError`], by who must act.
    #[cfg(feature = "webrtc")]
    pub async fn over_webrtc(
        webrtc: WebRtc,
        endpoint: Endpoint,
        options: impl Into<ClientOptions>,
    ) -> Result<ActiveCall, ConnectError> {
        let mut options = options.into();
        options.session.playback = PlaybackSource::Server;
        Self::first_dial(Bounded(webrtc), endpoint, options).await
    }

    async fn first_dial(
        mut dial: impl Dial + 'static,
        endpoint: Endpoint,
        options: ClientOptions,
    ) -> Result<ActiveCall, ConnectError> {
        let origin = Instant::now();
        let attempt = dial.dial(0, &endpoint).await;
        begin(attempt, endpoint, Box::new(dial), options, origin)
    }
}

/// Starts a call after its first attempt to connect. If that failed, the error goes to the caller, unless
/// there is a fallback.
fn begin(
    attempt: Result<Box<dyn Wire>, ConnectError>,
    endpoint: Endpoint,
    dial: Box<dyn Dial>,
    options: ClientOptions,
    origin: Instant,
) -> Result<ActiveCall, ConnectError> {
    #[cfg(feature = "tools")]
    let options = wiring::configure(options)?;
    let attempt = match attempt {
        Err(error) if options.fallbacks.is_empty() || error.is_mistake() => return Err(error),
        attempt => attempt.map_err(|error| endpoints::failure(&error)),
    };
    Ok(start(Endpoints::new(attempt, endpoint, dial), options, origin))
}

fn start(mut endpoints: Endpoints, options: ClientOptions, origin: Instant) -> ActiveCall {
    #[cfg(feature = "tools")]
    let conversation = options.conversation.clone();
    #[cfg(feature = "tools")]
    let (mut listening, options) = wiring::listen(options);
    #[cfg(not(feature = "tools"))]
    let mut listening: Vec<(String, Box<dyn Listener>)> = Vec::new();
    let ClientOptions {
        mut session,
        log,
        wall,
        bounds,
        mut reconnect,
        reseed,
        listeners,
        wake,
        functions,
        resume,
        keeper,
        fallbacks,
        keepalive,
        trace_content,
        polled,
        ..
    } = options;
    session.dialect = endpoints.first().dialect();
    let model = endpoints.first().model().to_owned();
    if !fallbacks.is_empty() {
        endpoints.extend(fallbacks);
        reconnect.get_or_insert_default().endpoints = endpoints.dialects();
    }
    let origin = Origin(origin);
    let (given, requests, shared) = requests::channel(&bounds, resume.as_ref());
    let handle = Handle::new(given, Arc::clone(&shared));
    let (sender, events) = events::channel(bounds.inbox(), shared.tally.clone());
    shared.input.set(session.config.input_format());
    shared.interruption.get_or_init(|| session.interruption);
    let machines =
        CallOptions::default().session(session).reconnect(reconnect.unwrap_or_else(Reconnect::none));
    let tap = log.map(|sink| {
        let header = Header::new(machines.clone(), model.as_str(), wall());
        let header = match &resume {
            Some(suspended) => header.resuming(suspended.clone()),
            None => header,
        };
        Tap::new(sink, header, shared.tally.clone())
    });
    let observer = Observer::new(endpoints.first(), functions, trace_content);
    let span = observer.span();
    let named = |(index, listener)| (format!("listener {}", index + 1), listener);
    listening.extend(listeners.into_iter().enumerate().map(named));
    let panics = Panics::default();
    let reseed = reseed.map(|reseed| Contained::new("what reseeds".to_owned(), reseed, &panics));
    let mut contained = Listeners::default();
    for (what, listener) in listening {
        contained.add(Box::new(Contained::new(what, listener, &panics)));
    }
    let driver = Driver {
        call: match resume {
            Some(suspended) => Call::resume(machines, suspended),
            None => Call::new(machines),
        },
        keeper,
        clock: Clock { origin, wall },
        endpoints,
        links: Links::new(bounds.outbox(), keepalive, origin, shared.tally.clone()),
        reseed,
        requests,
        events: sender,
        listeners: contained,
        panics,
        wake,
        alarm: Alarm::default(),
        tap,
        shared,
        observer,
        state: State::default(),
    };
    let task = Box::new(driver).run().instrument(span);
    let task = match polled {
        true => Some(task.boxed()),
        false => {
            tokio::spawn(task);
            None
        }
    };
    ActiveCall::new(
        handle,
        events,
        #[cfg(feature = "tools")]
        conversation,
        task,
    )
}

fn system_time() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
