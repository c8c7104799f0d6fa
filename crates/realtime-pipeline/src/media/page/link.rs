//! Whether a page is there: [`Link`], and what waits for it while it is away: [`Backlog`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use super::up::LONGEST;

/// How far the conversation with a page is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// A socket is there, on which `hello` is awaited. `away`: the page was there before, and the call goes
    /// on until then without it.
    Greeting { until: Timestamp, away: Option<Timestamp> },
    /// The page is there. It counts as lost if it says nothing until about then.
    Open { silent: Timestamp },
    /// The page may come back until then.
    Away { until: Timestamp },
    /// Nothing follows.
    Over,
}

/// How long a page may take for its `hello`.
pub(super) const HELLO: Duration = Duration::from_secs(10);
/// How long a page may say nothing: its connection may be broken without a word.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

impl Link {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// When something here is due.
    pub(super) const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Greeting { until, .. } | Self::Away { until } | Self::Open { silent: until } => Some(until),
            Self::Over => None,
        }
    }
}

/// Texts for a page that is away.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    texts: VecDeque<String>,
    bytes: usize,
    /// Texts that were dropped.
    missed: u64,
}

/// The most texts that wait.
const MOST_TEXTS: usize = 256;

impl Backlog {
    /// Keeps a text. The oldest ones make room.
    pub(super) fn push(&mut self, text: String) {
        self.bytes += text.len();
        self.texts.push_back(text);
        while self.texts.len() > MOST_TEXTS || self.bytes > LONGEST {
            let Some(oldest) = self.texts.pop_front() else { break };
            self.bytes -= oldest.len();
            self.missed += 1;
        }
    }

    /// Gives what waits, and how many texts were dropped.
    pub(super) fn take(&mut self) -> (VecDeque<String>, u64) {
        let Self { texts, missed, .. } = std::mem::take(self);
        (texts, missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_texts_make_room_and_are_counted() {
        let mut backlog = Backlog::default();
        for number in 0..MOST_TEXTS + 2 {
            backlog.push(number.to_string());
        }
        backlog.push("x".repeat(LONGEST - 10));
        let (texts, missed) = backlog.take();
        assert_eq!(texts.len() as u64 + missed, MOST_TEXTS as u64 + 3);
        assert!(texts.iter().map(String::len).sum::<usize>() <= LONGEST);
        assert_eq!(backlog.take(), (VecDeque::new(), 0));
    }
}
