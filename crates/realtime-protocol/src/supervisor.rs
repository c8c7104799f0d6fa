//! Many connections, one call: [`Supervisor`].
//!
//! It has the same shape as [`Session`], keyed by [`ConnectionId`], so that a driver or a replay holds one object
//! for the whole of a call. In this version a call has one connection; when that ends, so does the call.

use alloc::collections::VecDeque;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::event::ClientEvent;
use crate::session::{
    Command, CommandError, CommandId, DisconnectReason, Output, Session, SessionEvent, SessionOptions,
};
use crate::time::{Timestamp, UnixTime};

/// Names a connection of a call.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// One thing that a supervisor wants done or tells.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must do all of them")]
pub enum SupervisorOutput {
    /// Open a connection, then call [`handle_connected`](Supervisor::handle_connected), or
    /// [`handle_disconnected`](Supervisor::handle_disconnected) where that fails.
    Connect(ConnectionId),
    /// Send this over that connection.
    Send(ConnectionId, ClientEvent),
    /// Close that connection, then call [`handle_disconnected`](Supervisor::handle_disconnected).
    Close(ConnectionId),
    /// Tell this to the application.
    Event(SessionEvent),
}

/// The state machine of one call, however many connections it takes.
///
/// The contract is [`Session`]'s: after any `handle_*`, poll outputs until `None`, then read the timeout.
///
/// ```
/// use realtime_protocol::session::{Command, CommandId, SessionEvent, SessionOptions};
/// use realtime_protocol::supervisor::{ConnectionId, Supervisor, SupervisorOutput};
/// use realtime_protocol::time::{Timestamp, UnixTime};
///
/// let mut call = Supervisor::new(SessionOptions::default());
/// let connection = ConnectionId(0);
/// assert_eq!(call.poll_output(), Some(SupervisorOutput::Connect(connection)));
///
/// // The driver has connected, and the server speaks first.
/// call.handle_connected(Timestamp::from_millis(0), connection, UnixTime::from_secs(1_790_000_000));
/// call.handle_text(Timestamp::from_millis(40), connection, r#"{"type":"session.created","session":{}}"#);
/// while let Some(output) = call.poll_output() {
///     if let SupervisorOutput::Send(_, event) = output {
///         assert_eq!(event.kind(), "session.update");
///     }
/// }
///
/// // Once the configuration is acknowledged, a request for a response goes out at once.
/// call.handle_text(Timestamp::from_millis(80), connection, r#"{"type":"session.updated","session":{}}"#);
/// call.handle_command(Timestamp::from_millis(90), CommandId(1), Command::CreateResponse { params: None })?;
/// let outputs: Vec<_> = std::iter::from_fn(|| call.poll_output()).collect();
/// assert!(matches!(outputs[0], SupervisorOutput::Event(SessionEvent::Ready { .. })));
/// assert!(matches!(&outputs[1], SupervisorOutput::Send(_, event) if event.kind() == "response.create"));
/// # Ok::<(), realtime_protocol::session::CommandError>(())
/// ```
#[derive(Debug)]
pub struct Supervisor {
    connection: ConnectionId,
    session: Session,
    outputs: VecDeque<SupervisorOutput>,
}

impl Supervisor {
    /// A call whose first output is [`SupervisorOutput::Connect`].
    pub fn new(options: SessionOptions) -> Self {
        let connection = ConnectionId::default();
        let outputs = VecDeque::from([SupervisorOutput::Connect(connection)]);
        Self { connection, session: Session::new(options), outputs }
    }

    /// A connection is open. `wall` is the time of day.
    pub fn handle_connected(&mut self, now: Timestamp, connection: ConnectionId, wall: UnixTime) {
        if let Some(session) = self.session_of(connection) {
            session.handle_connected(now, wall);
        }
    }

    /// The server sent a wire text.
    pub fn handle_text(&mut self, now: Timestamp, connection: ConnectionId, text: &str) {
        if let Some(session) = self.session_of(connection) {
            session.handle_text(now, text);
        }
    }

    /// A connection has ended, or could not be made.
    pub fn handle_disconnected(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        reason: DisconnectReason,
    ) {
        if let Some(session) = self.session_of(connection) {
            session.handle_disconnected(now, reason);
        }
    }

    /// The application asks for something.
    ///
    /// # Errors
    /// [`CommandError`] when the command can't be right; nothing happened, and it is handed back.
    pub fn handle_command(
        &mut self,
        now: Timestamp,
        id: CommandId,
        command: Command,
    ) -> Result<(), CommandError> {
        self.session.handle_command(now, id, command)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.session.handle_timeout(now);
    }

    /// What to do or tell next, oldest first.
    pub fn poll_output(&mut self) -> Option<SupervisorOutput> {
        self.outputs.pop_front().or_else(|| {
            Some(match self.session.poll_output()? {
                Output::Send(event) => SupervisorOutput::Send(self.connection, event),
                Output::Event(event) => SupervisorOutput::Event(event),
                Output::Close => SupervisorOutput::Close(self.connection),
            })
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.session.poll_timeout()
    }

    /// Whether the call is over and tells nothing more once its outputs are drained.
    pub fn is_ended(&self) -> bool {
        self.session.is_closed()
    }

    /// The session of a connection; input for one that has gone is nobody's.
    fn session_of(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        (connection == self.connection).then_some(&mut self.session)
    }
}
