//! The life of a session, and the one table of its transitions.
//!
//! ```text
//! Connecting ── connected ──▶ Opening ── session.created ──▶ Configuring ── session.updated ──▶ Ready
//!     │                         │                                │                               │
//!     └───────── close, disconnect, fatal error, deadline ───────┴──────▶ Closing ──▶ Closed ◀───┘
//! ```

use crate::call::CloseReason;
use crate::time::Timestamp;

/// Where a session is in its life.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum State {
    /// Not connected yet.
    #[default]
    Connecting,
    /// Connected; `session.created` is due.
    Opening { deadline: Timestamp },
    /// `session.update` was sent; `session.updated` is due.
    Configuring { deadline: Timestamp },
    /// The configuration is acknowledged.
    Ready,
    /// The connection is to be closed. The reason is decided, and told when it is closed.
    Closing { reason: CloseReason },
    /// Over.
    Closed,
}

/// What changes the state of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Connected { created_due: Timestamp },
    Created { ready_due: Timestamp },
    Acknowledged,
    Close { reason: CloseReason },
    Disconnected,
}

impl State {
    /// Takes a step. Returns whether the state changed. Nothing else changes the state.
    pub(super) fn step(&mut self, step: Step) -> bool {
        let next = match (&*self, step) {
            (Self::Connecting, Step::Connected { created_due }) => Self::Opening { deadline: created_due },
            (Self::Opening { .. }, Step::Created { ready_due }) => Self::Configuring { deadline: ready_due },
            (Self::Configuring { .. }, Step::Acknowledged) => Self::Ready,
            (Self::Closing { .. } | Self::Closed, Step::Close { .. }) => return false,
            (_, Step::Close { reason }) => Self::Closing { reason },
            (Self::Closed, Step::Disconnected) => return false,
            (_, Step::Disconnected) => Self::Closed,
            (_, Step::Connected { .. } | Step::Created { .. } | Step::Acknowledged) => return false,
        };
        *self = next;
        true
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Returns whether the session takes no more commands.
    pub(super) const fn is_ended(&self) -> bool {
        matches!(self, Self::Closing { .. } | Self::Closed)
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Opening { deadline } | Self::Configuring { deadline } => Some(*deadline),
            Self::Connecting | Self::Ready | Self::Closing { .. } | Self::Closed => None,
        }
    }
}
