//! Answers that are due from the server: how long each may take, and what follows when it does not come.

use alloc::collections::BTreeMap;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An answer that is due from the server after something that this side or the user did.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// `input_audio_buffer.committed` to a commit. Default: 10 s, rotate.
    Committed,
    /// `input_audio_buffer.cleared` to a clear. Default: 10 s, report.
    Cleared,
    /// `response.created` to a `response.create`. Default: 10 s, rotate.
    ResponseCreated,
    /// The first word, sound or item of a response that runs. Default: 30 s, rotate: a model may think.
    FirstOutput,
    /// The next output of a response that runs, after its first, up to its `response.done`. Default: 30 s,
    /// rotate; ten times as long while the server itself calls an MCP tool.
    NextOutput,
    /// `response.done` to a cancel. Default: 10 s, rotate.
    ResponseDone,
    /// `session.updated` to a `session.update`. Default: 10 s, report.
    SessionUpdated,
    /// `conversation.item.added` to an item. Default: 10 s, rotate.
    ItemAdded,
    /// `conversation.item.deleted` to a deletion. Default: 10 s, report.
    ItemDeleted,
    /// `conversation.item.truncated` to a truncation. Default: 10 s, report.
    ItemTruncated,
    /// `conversation.item.retrieved` to a retrieval. Default: 10 s, report.
    ItemRetrieved,
}

impl Answer {
    /// All of them, in their order.
    const ALL: [Self; 11] = [
        Self::Committed,
        Self::Cleared,
        Self::ResponseCreated,
        Self::FirstOutput,
        Self::NextOutput,
        Self::ResponseDone,
        Self::SessionUpdated,
        Self::ItemAdded,
        Self::ItemDeleted,
        Self::ItemTruncated,
        Self::ItemRetrieved,
    ];

    /// Its default. Where a server that stays silent has frozen, another session takes its place.
    const fn usual(self) -> Deadline {
        match self {
            Self::FirstOutput | Self::NextOutput => Deadline::rotate(30),
            Self::Committed | Self::ResponseCreated | Self::ResponseDone | Self::ItemAdded => {
                Deadline::rotate(10)
            }
            Self::Cleared
            | Self::SessionUpdated
            | Self::ItemDeleted
            | Self::ItemTruncated
            | Self::ItemRetrieved => Deadline::report(10),
        }
    }
}

/// What follows when an answer does not come in time.
///
/// The command that waits for the answer ends in any case, with
/// [`Outcome::TimedOut`](crate::call::Outcome::TimedOut). For the output of a response
/// ([`Answer::FirstOutput`], [`Answer::NextOutput`]) this takes two steps:
///
/// 1. The output is overdue: the policy applies.
/// 2. One deadline of [`Answer::ResponseDone`] later, the commands that asked for the response end with
///    `TimedOut`, unless the response has gone on meanwhile, or another session has taken over. Output that
///    comes even later is still passed on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OverduePolicy {
    /// [`Event::Overdue`](crate::call::Event::Overdue) says so.
    #[default]
    Report,
    /// The same event, and it asks for a new session if this server has sent such an answer before. A server
    /// that never sends it is not frozen: it does not support the answer.
    Rotate,
    /// Nothing.
    Off,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Deadline {
    /// How long.
    pub after: Duration,
    /// What follows.
    pub policy: OverduePolicy,
}

impl Deadline {
    /// An answer that may take this long, and what follows when it does not come.
    pub const fn new(after: Duration, policy: OverduePolicy) -> Self {
        Self { after, policy }
    }

    const fn report(secs: u64) -> Self {
        Self { after: Duration::from_secs(secs), policy: OverduePolicy::Report }
    }

    const fn rotate(secs: u64) -> Self {
        Self { after: Duration::from_secs(secs), policy: OverduePolicy::Rotate }
    }
}

/// How long each [`Answer`] may take.
///
/// ```
/// use core::time::Duration;
/// use realtime_protocol::session::{Answer, Deadline, Deadlines, OverduePolicy};
///
/// // A model that thinks for long.
/// let patient = Deadline::new(Duration::from_secs(120), OverduePolicy::Report);
/// let deadlines = Deadlines::default().with(Answer::FirstOutput, patient);
/// assert_eq!(deadlines.of(Answer::FirstOutput).after, Duration::from_secs(120));
/// assert_eq!(deadlines.of(Answer::Committed).after, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines([Deadline; Answer::ALL.len()]);

impl Deadlines {
    /// All deadlines the same.
    pub const fn all(deadline: Deadline) -> Self {
        Self([deadline; Answer::ALL.len()])
    }

    /// Replaces the deadline of an answer.
    #[must_use]
    pub const fn with(mut self, answer: Answer, deadline: Deadline) -> Self {
        self.0[answer as usize] = deadline;
        self
    }

    /// The deadline of an answer.
    pub const fn of(&self, answer: Answer) -> Deadline {
        self.0[answer as usize]
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self(Answer::ALL.map(Answer::usual))
    }
}

/// A map by the answers' names.
impl Serialize for Deadlines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Answer::ALL.into_iter().zip(&self.0))
    }
}

/// An answer that is not named has its default.
impl<'de> Deserialize<'de> for Deadlines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<Answer, Deadline>::deserialize(deserializer)?;
        Ok(named.into_iter().fold(Self::default(), |all, (answer, deadline)| all.with(answer, deadline)))
    }
}

/// Answers that this server has sent at least once, as a bit set.
#[derive(Debug, Default)]
pub(super) struct Seen(u16);

impl Seen {
    pub(super) const fn note(&mut self, answer: Answer) {
        self.0 |= 1 << answer as u16;
    }

    /// Returns whether an overdue answer asks for a new session.
    pub(super) fn asks_for_rotation(&self, answer: Answer, policy: OverduePolicy) -> bool {
        policy == OverduePolicy::Rotate && self.0 & (1 << answer as u16) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_own_place() {
        for (place, answer) in Answer::ALL.into_iter().enumerate() {
            assert_eq!(answer as usize, place);
        }
    }

    #[test]
    fn deadlines_are_written_by_the_answers_names_and_those_not_named_are_the_default() {
        let written = serde_json::to_value(Deadlines::default()).unwrap();
        assert_eq!(written["first_output"]["after"]["secs"], 30);
        let read: Deadlines =
            serde_json::from_str(r#"{"cleared":{"after":{"secs":1,"nanos":0},"policy":"off"}}"#)
                .expect("deadlines");
        let off = Deadline { after: Duration::from_secs(1), policy: OverduePolicy::Off };
        assert_eq!(read, Deadlines::default().with(Answer::Cleared, off));
    }
}
