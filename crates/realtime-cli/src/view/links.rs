//! The connections of a call.

use serde_json::Value;

use super::members::reason;
use super::model::Connection;

/// The connections so far, in the order in which they were begun.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Connection>,
}

impl Links {
    /// An attempt to connect begins.
    pub(super) fn connect(&mut self, at: i64, number: u64, endpoint: u64, event: usize) {
        let link = Connection { number, endpoint, start: at, event, ..Connection::default() };
        self.links.push(link);
    }

    /// The WebSocket is open.
    pub(super) fn connected(&mut self, at: i64, number: u64, event: usize) {
        if self.link(number).is_none_or(|link| link.open.is_some()) {
            self.connect(at, number, 0, event);
        }
        if let Some(link) = self.link(number) {
            link.open = Some(at);
        }
    }

    /// The session of the newest connection is configured.
    pub(super) fn ready(&mut self, at: i64) {
        if let Some(link) = self.links.last_mut() {
            link.ready.get_or_insert(at);
        }
    }

    /// This side ends a connection.
    pub(super) fn close(&mut self, number: u64) {
        if let Some(link) = self.link(number) {
            link.closed = true;
        }
    }

    /// A connection has ended, or could not be made.
    pub(super) fn disconnected(&mut self, at: i64, number: u64, why: &Value) {
        if let Some(link) = self.link(number) {
            link.end.get_or_insert(at);
            link.reason = reason(why);
        }
    }

    /// The connection that carries the call: the newest that is open.
    pub(super) fn current(&self) -> Option<u64> {
        let open = self.links.iter().rev().find(|link| link.open.is_some() && link.end.is_none());
        open.or_else(|| self.links.last()).map(|link| link.number)
    }

    pub(super) fn finish(self) -> Vec<Connection> {
        self.links
    }

    fn link(&mut self, number: u64) -> Option<&mut Connection> {
        self.links.iter_mut().rev().find(|link| link.number == number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connection_has_a_beginning_and_an_end_also_if_the_log_begins_with_it_open() {
        let mut links = Links::default();
        links.connected(0, 0, 1);
        links.ready(50);
        links.disconnected(90, 0, &json!({"lost": {"reason": "reset"}}));
        links.connect(95, 1, 2, 5);
        assert_eq!(links.current(), Some(1));
        links.connected(99, 1, 6);
        links.close(1);
        links.ready(120);
        let found = links.finish();
        assert_eq!(
            (found[0].ready, found[0].end, found[0].reason.as_str()),
            (Some(50), Some(90), "lost: reset")
        );
        assert_eq!((found[1].start, found[1].open, found[1].ready), (95, Some(99), Some(120)));
        assert!(found[1].closed && found[1].endpoint == 2 && found[1].end.is_none());
    }
}
