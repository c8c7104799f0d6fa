//! The source of a line's events: its own connection, or a channel of a call.

use realtime_protocol::event::Dialect;
use realtime_protocol::id::EventId;
use realtime_protocol::time::Timestamp;

use crate::call::Channel;
use crate::connection::{Connection, Fault, Output};

/// The server's end of a line.
#[derive(Debug)]
pub(super) enum Source {
    Own(Box<Connection>),
    Call(Channel),
}

impl Source {
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Own(connection) => connection.dialect(),
            Self::Call(channel) => channel.dialect(),
        }
    }

    /// Returns whether others act on it too, so that it may have outputs without a cause here.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Call(_))
    }

    pub(super) fn handle_text(&mut self, now: Timestamp, text: &str) {
        match self {
            Self::Own(connection) => connection.handle_text(now, text),
            Self::Call(channel) => channel.handle_text(now, text),
        }
    }

    pub(super) fn handle_binary(&mut self, now: Timestamp) {
        match self {
            Self::Own(connection) => connection.handle_binary(now),
            Self::Call(channel) => channel.handle_binary(now),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        match self {
            Self::Own(connection) => connection.handle_timeout(now),
            Self::Call(channel) => channel.handle_timeout(now),
        }
    }

    pub(super) fn press_key(&mut self, now: Timestamp, key: char) {
        match self {
            Self::Own(connection) => connection.press_key(now, key),
            Self::Call(channel) => channel.press_key(now, key),
        }
    }

    pub(super) fn refuse(&mut self, fault: Fault, event_id: Option<EventId>) {
        match self {
            Self::Own(connection) => connection.refuse(fault, event_id),
            Self::Call(channel) => channel.refuse(fault, event_id),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Own(connection) => connection.poll_output(),
            Self::Call(channel) => channel.poll_output(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Own(connection) => connection.poll_timeout(),
            Self::Call(channel) => channel.poll_timeout(),
        }
    }
}
