//! What can be set for a server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use realtime_protocol::time::UnixTime;

use crate::brain::{Brain, Parrot, Script};
use crate::connection::ConnectionOptions;
use crate::disaster::{Disaster, LineOptions};

/// Makes the brain of each connection.
pub type BrainFactory = dyn Fn() -> Box<dyn Brain> + Send + Sync;

/// Tells the wall time.
pub type WallClock = dyn Fn() -> UnixTime + Send + Sync;

/// Settings of a server. Clones share the count of connections, which with the seed makes their ids.
///
/// The default is a [`Parrot`] that takes any key.
#[derive(Clone)]
pub struct Options {
    pub(crate) brain: Arc<BrainFactory>,
    pub(crate) api_key: Option<Arc<str>>,
    pub(crate) wall: Arc<WallClock>,
    pub(crate) most_connections: usize,
    disasters: Arc<[Disaster]>,
    control: bool,
    connection: ConnectionOptions,
    /// Connections so far.
    count: Arc<AtomicU64>,
}

impl Options {
    /// Answers by a script, and lets its disasters happen.
    #[must_use]
    pub fn script(self, script: Script) -> Self {
        let disasters = script.disasters().to_vec();
        self.disasters(disasters).brain(move || script.clone())
    }

    /// What goes wrong on each connection; default nothing.
    #[must_use]
    pub fn disasters(mut self, disasters: impl IntoIterator<Item = Disaster>) -> Self {
        self.disasters = disasters.into_iter().collect();
        self
    }

    /// Whether clients may ask for disasters, by events of type `emulator.disaster`; default no.
    #[must_use]
    pub const fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// What answers: called once for each connection.
    #[must_use]
    pub fn brain<B: Brain + 'static>(mut self, make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        self.brain = Arc::new(move || Box::new(make()));
        self
    }

    /// The only key that is taken; default: any, or none.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// What all ids are made from; default 0. Each connection gets its own from it, by its number.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.connection.seed = seed;
        self
    }

    /// How many times faster than it plays audio is sent; default 10. Zero or infinite: all at once.
    #[must_use]
    pub const fn pace(mut self, pace: f64) -> Self {
        self.connection.pace = pace;
        self
    }

    /// From a response's start to its first item; default 200 ms.
    #[must_use]
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.connection.latency = latency;
        self
    }

    /// How long a session lives; default 60 minutes.
    #[must_use]
    pub const fn session_length(mut self, length: Duration) -> Self {
        self.connection.session_length = length;
        self
    }

    /// All that can be set for one connection's core. Its `model` comes from the URL.
    #[must_use]
    pub fn connection(mut self, options: ConnectionOptions) -> Self {
        self.connection = options;
        self
    }

    /// Connections at once; default 1,024. More are answered with HTTP status 503.
    #[must_use]
    pub const fn most_connections(mut self, most: usize) -> Self {
        self.most_connections = most;
        self
    }

    /// The wall clock that `expires_at` is reckoned by; default the system's.
    #[must_use]
    pub fn wall_clock(mut self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        self.wall = Arc::new(clock);
        self
    }

    /// The next connection's options.
    pub(crate) fn for_connection(&self, model: String) -> ConnectionOptions {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let seed = self.connection.seed.wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95));
        ConnectionOptions { model, seed, ..self.connection.clone() }
    }
}

impl Options {
    /// What can go wrong on a connection.
    pub(crate) fn for_line(&self, seed: u64) -> LineOptions {
        LineOptions {
            disasters: self.disasters.to_vec(),
            seed,
            control: self.control,
            ..LineOptions::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brain: Arc::new(|| Box::new(Parrot::new())),
            api_key: None,
            wall: Arc::new(system_time),
            most_connections: 1024,
            disasters: Arc::default(),
            control: false,
            connection: ConnectionOptions::default(),
            count: Arc::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("api_key", &self.api_key.as_ref().map(|_| "[redacted]"))
            .field("most_connections", &self.most_connections)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn system_time() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
