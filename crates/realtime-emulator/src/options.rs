//! The options of a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use realtime_protocol::event::Dialect;
use realtime_protocol::time::UnixTime;
use realtime_protocol::tool::Secret;

use crate::brain::{Brain, Parrot, Script};
use crate::connection::ConnectionOptions;
use crate::disaster::{Action, Disaster, LineOptions, Rehearsal};
use crate::handshake::Asked;
use crate::profile::Profile;
use crate::registry::Registry;
use crate::spawned::Received;
use crate::voice::VoiceKind;

/// Makes the brain of each connection.
pub type BrainFactory = dyn Fn() -> Box<dyn Brain> + Send + Sync;

/// Tells the wall time.
pub type WallClock = dyn Fn() -> UnixTime + Send + Sync;

/// Settings of a server. Clones share the short-lived keys, the calls, and the count of connections, which
/// together with the seed makes their ids.
///
/// The default is a [`Parrot`] that accepts any key.
#[derive(Clone)]
pub struct Options {
    pub(crate) brain: Arc<BrainFactory>,
    pub(crate) api_key: Option<Arc<str>>,
    pub(crate) wall: Arc<WallClock>,
    pub(crate) most_connections: usize,
    audio_memory: usize,
    disasters: Arc<[Disaster]>,
    rehearsals: Vec<&'static Rehearsal>,
    control: bool,
    connection: ConnectionOptions,
    pub(crate) key_seed: Option<u64>,
    pub(crate) forbidden_keys: Vec<Arc<str>>,
    pub(crate) allowed_origins: Vec<Arc<str>>,
    pub(crate) beta: bool,
    pub(crate) log_directory: Option<Arc<Path>>,
    pub(crate) registry: Arc<Registry>,
    /// Keeps what clients send.
    pub(crate) received: Option<Received>,
}

impl Options {
    /// Answers by a script, and adds its disasters.
    #[must_use]
    pub fn script(self, script: Script) -> Self {
        let disasters = script.disasters().to_vec();
        self.disasters(disasters).brain(move || script.clone())
    }

    /// Disasters on each connection; default none.
    #[must_use]
    pub fn disasters(mut self, disasters: impl IntoIterator<Item = Disaster>) -> Self {
        self.disasters = disasters.into_iter().collect();
        self
    }

    /// Rehearses a server met in the field, on each connection, in addition to all other disasters.
    #[must_use]
    pub fn rehearse(mut self, rehearsal: &'static Rehearsal) -> Self {
        self.rehearsals.push(rehearsal);
        self
    }

    /// Whether clients may ask for disasters, by events of type `emulator.disaster`; default no.
    #[must_use]
    pub const fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// The brain. `make` is called once for each connection.
    #[must_use]
    pub fn brain<B: Brain + 'static>(mut self, make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        self.brain = Arc::new(move || Box::new(make()));
        self
    }

    /// The only accepted key; default: any key, or none.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// A known key without permissions: it is answered with HTTP status 403.
    #[must_use]
    pub fn forbidden_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.forbidden_keys.push(key.into());
        self
    }

    /// Allows pages of this origin, such as `https://app.example`, to use the server from a browser; `*`
    /// stands for all. Default: only pages of this machine (`localhost`, `127.0.0.1`, `[::1]`). Others are
    /// answered with HTTP status 403, so that a page that happens to be open cannot drive the server. Clients
    /// other than browsers send no origin.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<Arc<str>>) -> Self {
        self.allowed_origins.push(origin.into());
        self
    }

    /// Whether beta is served; default yes. Otherwise it is refused as by OpenAI since the beta's end: by an
    /// error and close code 4000.
    #[must_use]
    pub const fn beta(mut self, beta: bool) -> Self {
        self.beta = beta;
        self
    }

    /// Writes a log of each session into this directory, as `session-NUMBER.jsonl`, in the format of
    /// [`realtime_protocol::log`] without the application's part; default none. It holds everything that was
    /// said.
    #[must_use]
    pub fn log_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.log_directory = Some(Arc::from(directory.into()));
        self
    }

    /// How much audio is sent at once; default 400 ms. Zero: one delta.
    #[must_use]
    pub const fn burst(mut self, burst: Duration) -> Self {
        self.connection.burst = burst;
        self
    }

    /// Sound in one delta of audio; default 100 ms.
    #[must_use]
    pub const fn audio_delta(mut self, length: Duration) -> Self {
        self.connection.audio_delta = length;
        self
    }

    /// Which voice speaks; default tones.
    #[must_use]
    pub fn voice(mut self, voice: VoiceKind) -> Self {
        self.connection.voice = voice;
        self
    }

    /// The seed of all ids; default 0. Each connection derives its own seed from it, by its number.
    /// Short-lived keys and the ids of calls use the seed only if it is set here; otherwise they cannot be
    /// guessed.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.connection.seed = seed;
        self.key_seed = Some(seed);
        self
    }

    /// How many times faster than real time audio is sent; default 10. Zero or infinite: all at once.
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

    /// Tokens that a response can read, as for `truncation`; default as documented for the model.
    #[must_use]
    pub const fn context_tokens(mut self, tokens: u64) -> Self {
        self.connection.context_tokens = Some(tokens);
        self
    }

    /// The server to imitate; default OpenAI's. It decides the dialect.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.connection.profile = profile;
        self
    }

    /// How long a session lives; default 60 minutes.
    #[must_use]
    pub const fn session_length(mut self, length: Duration) -> Self {
        self.connection.session_length = length;
        self
    }

    /// The options of each connection's core. The `model` comes from the URL.
    #[must_use]
    pub fn connection(mut self, options: ConnectionOptions) -> Self {
        self.connection = options;
        self
    }

    /// Connections at once; default 1,024. If there are more, the oldest one whose request has not come yet
    /// is closed (HTTP status 408). If there is none, the new one is answered with HTTP status 503.
    #[must_use]
    pub const fn most_connections(mut self, most: usize) -> Self {
        self.most_connections = most;
        self
    }

    /// Bytes of audio, approximately, that all sessions together keep for `retrieve`; default 256 MiB. Each
    /// session gets its share when it begins, at least half a MiB.
    #[must_use]
    pub const fn audio_memory(mut self, bytes: usize) -> Self {
        self.audio_memory = bytes;
        self
    }

    /// The wall clock for `expires_at`; default the system's.
    #[must_use]
    pub fn wall_clock(mut self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        self.wall = Arc::new(clock);
        self
    }
}

impl Options {
    /// The next connection's number and options.
    pub(crate) fn for_connection(&self, asked: &mut Asked) -> (u64, ConnectionOptions) {
        let number = self.registry.next_connection();
        let seed = self.connection.seed.wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95));
        let own = &self.connection;
        let share = (self.audio_memory / (self.registry.sessions() + 1)).max(LEAST_SHARE);
        let mut limits = own.limits.clone();
        limits.conversation_audio_bytes = limits.conversation_audio_bytes.min(share);
        limits.item_audio_bytes = limits.item_audio_bytes.min(limits.conversation_audio_bytes);
        let own = ConnectionOptions {
            model: std::mem::take(&mut asked.model),
            seed,
            kind: asked.kind.clone(),
            dialect: self.dialect(asked.dialect),
            session: std::mem::take(&mut asked.session),
            sideband: own.sideband || asked.call.is_some(),
            limits,
            ..own.clone()
        };
        (number, own)
    }

    /// For how long nobody can join a fresh call.
    pub(crate) fn hides_calls_for(&self) -> Duration {
        self.rehearsals.iter().map(|rehearsal| rehearsal.hides_calls_for()).max().unwrap_or_default()
    }

    /// The dialect to speak if a client asks for `asked`.
    pub(crate) fn dialect(&self, asked: Dialect) -> Dialect {
        self.connection.profile.dialect().unwrap_or(asked)
    }

    /// The disasters of a connection.
    pub(crate) fn for_line(&self, connection: &ConnectionOptions, key: Secret) -> LineOptions {
        let mut disasters = self.disasters.to_vec();
        disasters.extend(self.rehearsals.iter().flat_map(|rehearsal| rehearsal.disasters()));
        if connection.dialect == Dialect::Beta && !self.beta {
            let code = "beta_api_shape_disabled";
            let error = Action::Error { code: code.into(), message: None, param: None, names: None };
            let cut = Action::Cut { code: Some(4000), reason: format!("invalid_request_error.{code}") };
            disasters.extend([error, cut].map(|action| Disaster::at("session.created", action)));
        }
        LineOptions { disasters, seed: connection.seed, control: self.control, key }
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        (self.wall)().as_micros() / 1_000_000
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brain: Arc::new(|| Box::new(Parrot::new())),
            api_key: None,
            wall: Arc::new(system_time),
            most_connections: 1024,
            audio_memory: 256 << 20,
            disasters: Arc::default(),
            rehearsals: Vec::new(),
            control: false,
            connection: ConnectionOptions::default(),
            key_seed: None,
            forbidden_keys: Vec::new(),
            allowed_origins: Vec::new(),
            beta: true,
            log_directory: None,
            registry: Arc::default(),
            received: None,
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

/// Bytes: ten seconds of PCM.
const LEAST_SHARE: usize = 512 << 10;

fn system_time() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
