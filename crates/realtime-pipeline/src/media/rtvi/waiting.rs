//! Messages of the client's that the application has not answered: [`Waiting`].

use std::collections::VecDeque;

use realtime_protocol::time::Timestamp;

/// The most that wait at once.
pub(super) const MOST: usize = 64;

/// Messages that wait for an answer, by their ids, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<(String, Timestamp)>);

impl Waiting {
    /// A message has come. Returns whether there is room for it.
    pub(super) fn add(&mut self, id: &str, until: Timestamp) -> bool {
        let has_room = self.0.len() < MOST;
        if has_room {
            self.0.push_back((id.to_owned(), until));
        }
        has_room
    }

    /// It is answered. Returns whether it waited.
    pub(super) fn answer(&mut self, id: &str) -> bool {
        let at = self.0.iter().position(|(waiting, _)| waiting == id);
        at.and_then(|at| self.0.remove(at)).is_some()
    }

    /// The id of one that has waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<String> {
        self.0.front().filter(|(_, until)| *until <= now)?;
        self.0.pop_front().map(|(id, _)| id)
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.0.front().map(|(_, until)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_answered_once_or_expires() {
        let at = Timestamp::from_millis;
        let mut waiting = Waiting::default();
        assert!(waiting.add("a", at(10)) && waiting.add("b", at(20)));
        assert!(waiting.answer("b") && !waiting.answer("b"));
        assert_eq!((waiting.poll_timeout(), waiting.expire(at(9))), (Some(at(10)), None));
        assert_eq!((waiting.expire(at(10)), waiting.poll_timeout()), (Some("a".to_owned()), None));
        assert!(!waiting.answer("a"));
        assert_eq!((0..100).filter(|id| waiting.add(&id.to_string(), at(0))).count(), MOST);
    }
}
