//! One connection of a call: its session, and what the call knows of it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::call::options::mix;
use crate::call::{ConnectionId, Event};
use crate::event::Dialect;
use crate::session::{Session, SessionOptions};
use crate::time::{Timestamp, UnixTime};

/// The longest life of a session, whatever the server's clock says.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);

/// If a session is said to end sooner than this, the server's clock is wrong.
const SHORTEST_LIFE: Duration = Duration::from_secs(30);

/// A connection and its session.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) endpoint: u32,
    pub(super) dialect: Dialect,
    pub(super) session: Session,
    /// The configuration that it was made with, by its number.
    pub(super) config_version: u32,
    /// When the connection was made, and the time of day then.
    pub(super) connected: Option<(Timestamp, UnixTime)>,
    /// Since when it serves and is ready.
    pub(super) serves_since: Option<Timestamp>,
    /// What its session told before it served.
    pub(super) buffer: Vec<Event>,
}

impl Connection {
    pub(super) fn new(
        id: ConnectionId,
        endpoint: u32,
        dialect: Dialect,
        options: &SessionOptions,
        config_version: u32,
    ) -> Box<Self> {
        // Every connection has its own ids, so that an id of an earlier connection cannot be mistaken for one
        // of its own.
        let entropy = if id.0 == 0 { options.entropy } else { mix(options.entropy ^ u64::from(id.0)) };
        let mut session = Session::new(SessionOptions { dialect, entropy, ..options.clone() });
        session.number_for(id.0);
        Box::new(Self {
            id,
            endpoint,
            dialect,
            session,
            config_version,
            connected: None,
            serves_since: None,
            buffer: Vec::new(),
        })
    }

    /// When to prepare another connection, because this one nears its age limit.
    pub(super) fn rotate_at(&self, before: Duration) -> Option<Timestamp> {
        if before.is_zero() {
            return None;
        }
        let (at, wall) = self.connected?;
        let expires = UnixTime::from_secs(*self.session.config().expires_at.value()?);
        let life = expires.saturating_since(wall).min(LONGEST_LIFE);
        (life >= SHORTEST_LIFE).then(|| at + (life - before.min(LONGEST_LIFE).min(life / 2)))
    }
}
