//! Many connections, one call: [`Call`].
//!
//! It has the same shape as [`Session`], keyed by [`ConnectionId`], so that a driver or a replay holds one
//! object for a whole call. It decides when and where to connect, when a new session is told what was said,
//! which session serves, when to change over and when to give up.
//!
//! # The life of a call
//! ```text
//!            ┌──────────────── backoff ◀─────────── failed ───────────┐
//!            ▼                                                        │
//! serving ── lost ──▶ Connect ──▶ configured ──▶ Seed ──▶ acknowledged ──▶ serving
//!    │                   ▲            │           ▲                         ▲
//!    └── near its age ───┘            └ between ──┘                         │
//!        limit                          two turns ── old one closed ────────┘
//! ```
//! A lost connection and a planned rotation take the same steps. A rotation waits for the end of a turn, and
//! keeps the old session until the new one has acknowledged what was said. An urgent rotation
//! ([`Command::Rotate`], or [`Event::Overdue`] with `rotate` if the server has frozen) waits for nothing. It
//! ends the old session before the new one is seeded, because anything the old one did after that would be
//! missing from the seed. The two sessions never both respond: before it serves, the new one gets its
//! configuration and its history, but no audio and no request.
//!
//! # What survives a connection
//! | | |
//! |---|---|
//! | configuration | as changed since the beginning; of a seed's instructions and an update's the later ones |
//! | `create_item`, `create_response`, `update_config` | what was not acknowledged is carried over, its waiter open: sent on two connections at most, and on none after a server closed with 1003, 1007 or 1009 |
//! | other commands | settle as [`Outcome::Closed`](crate::call::Outcome::Closed) in the step of the loss |
//! | a reply that was due | asked for on each connection, twice at most, if nothing of it was said; one that had begun ends as `lost`, and is asked for again if [`Reconnect::ask_again`] says so |
//! | function calls | an output given late answers the same call made anew; see [`FunctionEnd::Detached`] |
//! | input audio | what came while nothing served, as far as it is not too old |
//! | ids | none: each connection makes its own |
//!
//! A call that attaches to a running session ([`Begin::Attach`]) goes on in the same conversation. The
//! session is not seeded, what may have arrived is not sent again, and function calls that wait there are
//! answered under their own ids. [`Call::suspend`] moves a call to another process by the same rules.
//!
//! [`FunctionEnd::Detached`]: crate::call::FunctionEnd::Detached

mod blame;
mod commands;
mod connection;
mod ending;
mod endpoints;
mod functions;
mod held;
mod relay;
mod routing;
mod seeding;
mod succession;
mod suspend;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::audio::AudioFormat;
use crate::call::machine::blame::{ConfigDeaths, SeedLimit};
use crate::call::machine::commands::Commands;
use crate::call::machine::connection::Connection;
use crate::call::machine::ending::Owes;
use crate::call::machine::endpoints::Endpoints;
use crate::call::machine::functions::Functions;
use crate::call::machine::held::HeldAudio;
use crate::call::machine::seeding::Instructions;
use crate::call::machine::succession::{Rotation, Successor};
use crate::call::{
    CallOptions, CloseReason, Command, CommandError, CommandId, DisconnectReason, Event, Media, MediaError,
    Reconnect, Seed,
};
use crate::event::{ClientEvent, Dialect};
use crate::flow::Shortfall;
use crate::id::ItemId;
use crate::session::SessionOptions;
use crate::time::{Timestamp, UnixTime, earlier};

#[cfg(doc)]
use crate::session::{Begin, Session};

/// Identifies a connection of a call.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// One thing that a call wants the driver to do, or tells the application.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum Output {
    /// Open a connection, then call [`handle_connected`](Call::handle_connected), or
    /// [`handle_disconnected`](Call::handle_disconnected) if that fails.
    Connect {
        /// The connection.
        connection: ConnectionId,
        /// Where to: the endpoint's place in the driver's list, from 0.
        endpoint: u32,
    },
    /// Send this.
    Send {
        /// Over which connection.
        connection: ConnectionId,
        /// The dialect of its server.
        dialect: Dialect,
        /// What to send.
        event: ClientEvent,
    },
    /// Close that connection, then call [`handle_disconnected`](Call::handle_disconnected).
    Close(ConnectionId),
    /// Ask the application's [`Reseed`](crate::call::Reseed) for a [`Seed`], and hand it to
    /// [`handle_seed`](Call::handle_seed). Without a `Reseed`, hand in an empty seed.
    Seed {
        /// The connection.
        connection: ConnectionId,
        /// Items that pending commands will create.
        carried: Vec<ItemId>,
        /// The largest item that the server is known to take (bytes of JSON). Larger ones are left out.
        /// `None`: no limit is known.
        largest: Option<usize>,
    },
    /// Tell this to the application.
    Event(Event),
}

/// The state machine of one call, however many connections it takes.
///
/// The contract is [`Session`]'s: after any `handle_*`, poll outputs until `None`, then read the timeout.
///
/// ```
/// use realtime_protocol::call::{Call, Command, CommandId, ConnectionId, Event, Output};
/// use realtime_protocol::session::SessionOptions;
/// use realtime_protocol::time::{Timestamp, UnixTime};
///
/// let mut call = Call::new(SessionOptions::default());
/// let connection = ConnectionId(0);
/// assert_eq!(call.poll_output(), Some(Output::Connect { connection, endpoint: 0 }));
///
/// // The driver has connected, and the server speaks first.
/// call.handle_connected(Timestamp::from_millis(0), connection, UnixTime::from_secs(1_790_000_000));
/// call.handle_text(Timestamp::from_millis(40), connection, r#"{"type":"session.created","session":{}}"#);
/// while let Some(output) = call.poll_output() {
///     if let Output::Send { event, .. } = output {
///         assert_eq!(event.kind(), "session.update");
///     }
/// }
///
/// // Once the configuration is acknowledged, a request for a response goes out at once.
/// call.handle_text(Timestamp::from_millis(80), connection, r#"{"type":"session.updated","session":{}}"#);
/// call.handle_command(Timestamp::from_millis(90), CommandId(1), Command::CreateResponse { params: None, protected: false })?;
/// let outputs: Vec<_> = std::iter::from_fn(|| call.poll_output()).collect();
/// assert!(matches!(outputs[0], Output::Event(Event::Ready { .. })));
/// assert!(matches!(&outputs[1], Output::Send { event, .. } if event.kind() == "response.create"));
/// # Ok::<(), realtime_protocol::call::CommandError>(())
/// ```
#[derive(Debug)]
pub struct Call {
    /// Their configuration includes all changes so far.
    options: SessionOptions,
    /// Counts changes of the configuration.
    config_version: u32,
    reconnect: Reconnect,
    now: Timestamp,
    outputs: VecDeque<Output>,
    /// Connections made so far.
    connections: u32,
    serving: Option<Box<Connection>>,
    successor: Successor,
    rotation: Option<Rotation>,
    commands: Commands,
    calls: Functions,
    audio: HeldAudio,
    /// The format of input audio: as asked for, then as the last serving session has reported.
    input_format: AudioFormat,
    endpoints: Endpoints,
    /// Attempts since the call was healthy.
    attempts: u32,
    /// Since when nothing serves.
    lost_at: Option<Timestamp>,
    owes: Owes,
    /// The command that asked the serving session for that reply, until it is answered.
    asked: Option<CommandId>,
    /// How often that reply was asked for.
    asks: u8,
    /// Rounds of function calls without user input, in sessions that have ended.
    rounds: u32,
    instructions: Instructions,
    seed_limit: SeedLimit,
    config_deaths: ConfigDeaths,
    /// Whether the application was told that the call is ready.
    was_ready: bool,
    /// Why the serving endpoint is to be replaced.
    leave_because: Option<CloseReason>,
    /// The number of the call's own commands.
    own_commands: u64,
    /// Whether it was suspended under another clock, and no input has come since.
    resuming: bool,
    ended: bool,
}

impl Call {
    /// Makes a call, whose first output is [`Output::Connect`]. [`SessionOptions`] alone make a call of one
    /// connection.
    pub fn new(options: impl Into<CallOptions>) -> Self {
        let CallOptions { session: options, reconnect } = options.into();
        let endpoints = Endpoints::new(&reconnect.endpoints, options.dialect, reconnect.cooldown);
        let connection = ConnectionId::default();
        Self {
            serving: Some(Connection::new(connection, 0, endpoints.dialect(0), &options, 0)),
            input_format: options.config.input_format(),
            config_version: 0,
            reconnect,
            now: Timestamp::ZERO,
            outputs: VecDeque::from([Output::Connect { connection, endpoint: 0 }]),
            connections: 1,
            successor: Successor::None,
            rotation: None,
            commands: Commands::default(),
            calls: Functions::default(),
            audio: HeldAudio::default(),
            endpoints,
            attempts: 0,
            lost_at: None,
            owes: Owes::default(),
            asked: None,
            asks: 0,
            rounds: 0,
            instructions: Instructions { told: options.config.instructions.clone(), changed: false },
            seed_limit: SeedLimit::default(),
            config_deaths: ConfigDeaths::default(),
            was_ready: false,
            leave_because: None,
            own_commands: 0,
            resuming: false,
            ended: false,
            options,
        }
    }

    /// A connection is open. `wall` is the time of day.
    pub fn handle_connected(&mut self, now: Timestamp, connection: ConnectionId, wall: UnixTime) {
        let now = self.advance(now);
        if let Some(connection) = self.connection_mut(connection) {
            connection.connected = Some((now, wall));
            connection.session.handle_connected(now, wall);
        }
        self.run_to_rest();
    }

    /// The server sent a wire text.
    pub fn handle_text(&mut self, now: Timestamp, connection: ConnectionId, text: &str) {
        let now = self.advance(now);
        if let Some(connection) = self.connection_mut(connection) {
            connection.session.handle_text(now, text);
        }
        self.run_to_rest();
    }

    /// A connection has ended, or could not be made.
    pub fn handle_disconnected(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        reason: DisconnectReason,
    ) {
        self.advance(now);
        if self.serving.as_ref().is_some_and(|serving| serving.id == connection) {
            self.lose_serving(reason, None);
        } else if self.successor.connection().is_some_and(|successor| successor.id == connection) {
            self.lose_successor(reason);
        }
        self.run_to_rest();
    }

    /// The application asks for something.
    ///
    /// # Errors
    /// [`CommandError`] if the command can't be right. It had no effect, and is handed back.
    pub fn handle_command(
        &mut self,
        now: Timestamp,
        id: CommandId,
        command: Command,
    ) -> Result<(), CommandError> {
        self.advance(now);
        let taken = self.route(id, command);
        self.run_to_rest();
        taken
    }

    /// The application gives audio, or tells what was played. It keeps its order among the commands.
    ///
    /// # Errors
    /// [`MediaError`] if its shape can't be right or the call has ended. It had no effect, and is handed
    /// back.
    pub fn handle_media(&mut self, now: Timestamp, media: Media) -> Result<(), MediaError> {
        self.advance(now);
        let taken = self.route_media(media);
        self.run_to_rest();
        taken
    }

    /// What was said before, for the session of a connection: the answer to [`Output::Seed`].
    pub fn handle_seed(&mut self, now: Timestamp, connection: ConnectionId, seed: Seed) {
        self.advance(now);
        self.apply_seed(connection, seed);
        self.run_to_rest();
    }

    /// The driver could not pass something on.
    pub fn handle_shortfall(&mut self, now: Timestamp, shortfall: Shortfall) {
        self.advance(now);
        self.fall_short(shortfall);
        self.run_to_rest();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let now = self.advance(now);
        if let Some(connection) = &mut self.serving {
            connection.session.handle_timeout(now);
        }
        if let Some(connection) = self.successor.connection_mut() {
            connection.session.handle_timeout(now);
        }
        self.run_to_rest();
    }

    /// What to do or tell next, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let serving = self.serving.as_ref().and_then(|connection| connection.session.poll_timeout());
        let successor = self.successor.connection().and_then(|connection| connection.session.poll_timeout());
        earlier(earlier(serving, successor), self.succession_due())
    }

    /// Returns whether more may be said without a new request: a response runs, is asked for or is due, a
    /// function runs, or no session serves at the moment.
    pub fn is_replying(&self) -> bool {
        !self.ended && self.serving.as_ref().is_none_or(|connection| connection.session.is_replying())
    }

    /// Why the call is about to end, or its one session to close: it takes no command any more. `None` while
    /// it goes on, and once [`Event::Closed`] has told.
    pub fn closing_reason(&self) -> Option<&CloseReason> {
        self.serving.as_ref()?.session.closing_reason()
    }

    /// Returns whether the call is over and tells nothing more once its outputs are drained.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Time never goes back.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        if core::mem::take(&mut self.resuming) {
            self.lost_at = Some(self.now);
            self.calls.restart(self.now);
        }
        self.now
    }

    /// Returns a live connection. Input for one that has ended is ignored.
    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let serving = self.serving.as_deref_mut().filter(|connection| connection.id == id);
        serving.or_else(|| self.successor.connection_mut().filter(|connection| connection.id == id))
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Takes everything out of the sessions and decides what follows, until nothing changes.
    fn run_to_rest(&mut self) {
        loop {
            self.relay_serving();
            if !matches!(self.successor, Successor::None) {
                self.relay_successor();
            }
            if !self.step() {
                break;
            }
        }
    }

    /// A new id for a command of the call itself. No driver's counter gets there.
    fn own_command(&mut self) -> CommandId {
        self.own_commands += 1;
        CommandId(OWN_COMMANDS | self.own_commands)
    }
}

/// This bit is set in the ids of the call's own commands.
const OWN_COMMANDS: u64 = 1 << 63;

/// Returns whether a command is the call's own, so that its answer is not passed on.
const fn is_own(id: CommandId) -> bool {
    id.0 & OWN_COMMANDS != 0
}
