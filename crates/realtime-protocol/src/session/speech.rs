//! The user's speech under an interruption policy: whether it counts and when its turn is answered, and the
//! one table of its transitions.
//!
//! | | `Began` | `Began`, over the assistant | `Enough` | `Ended` | `Ended`, words decide | `Committed` | `Dropped` | `Claimed` | `Transcribed` | `Overdue` | `Overdue`, words known |
//! |---|---|---|---|---|---|---|---|---|---|---|---|
//! | `Quiet` | `Counts`, counts | `Weighed` |  |  |  |  |  |  |  |  |  |
//! | `Weighed` | `Counts`, counts |  | `Counts`, counts | `Quiet`, passes | `Awaited` |  | `Quiet`, passes | `Counts` |  | `Counts`, counts | `Passed`, passes |
//! | `Passed` | `Counts`, counts | `Weighed` | `Counts`, counts | `Quiet` | `Quiet` |  | `Quiet` | `Counts` |  |  |  |
//! | `Awaited` | `Counts`, counts | `Weighed` | `Stopped`, counts |  |  | `AwaitedItem` | `Quiet`, passes | `Stopped` | `Quiet`, passes | `Quiet`, passes | `Quiet`, passes |
//! | `AwaitedItem` | `Counts`, counts | `Weighed` | `Quiet`, counts, answers |  |  |  | `Quiet`, passes | `Quiet`, answers | `Quiet`, passes | `Quiet`, passes | `Quiet`, passes |
//! | `Counts` | counts | `Weighed` |  | `Stopped` | `Stopped` |  | `Quiet` |  |  |  |  |
//! | `Stopped` | `Counts`, counts, answers | `Weighed`, answers |  |  |  | `Quiet`, answers | `Quiet` |  |  | `Quiet`, answers | `Quiet`, answers |
//!
//! An empty cell changes nothing. "Counts" and "passes": it is known whether the speech interrupts.
//! "Answers": the turn is over and counts, so the model is to be asked. `Enough`: enough words are known, or
//! nothing is audible any more. `Dropped`: the audio of the turn was discarded, or the application commits it
//! and decides itself. `Claimed`: the application interrupts, so the speech counts whatever the policy says.
//! `Transcribed`: no more words come.

use core::time::Duration;

use crate::time::Timestamp;

/// How long a turn that counts waits for its item. After that it is answered without it: a server commits
/// when it reports the end of speech, but some servers do not tell of the commit.
const UNCOMMITTED: Duration = Duration::from_secs(1);

/// The state of the user's newest speech.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Speech {
    /// There is nothing to decide.
    #[default]
    Quiet,
    /// The user speaks, and it is not known yet whether the speech counts.
    Weighed {
        /// When time decides, or the words known by then.
        due: Timestamp,
    },
    /// The user speaks, and the speech does not count unless more words come.
    Passed,
    /// The user has stopped, and the words of the speech decide.
    Awaited {
        /// When the words known by then decide.
        due: Timestamp,
        /// When the user stopped.
        stopped: Timestamp,
    },
    /// The same, and the item is there.
    AwaitedItem {
        /// When the words known by then decide.
        due: Timestamp,
        /// When the user stopped.
        stopped: Timestamp,
    },
    /// The user speaks, and the speech counts.
    Counts,
    /// It counted and is over; its item is to come.
    Stopped {
        /// When the user stopped.
        stopped: Timestamp,
        /// When the item counts as not coming.
        until: Timestamp,
    },
}

/// What happens to the speech.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The user begins to speak.
    Began {
        /// When time decides; `None`: nothing is audible.
        due: Option<Timestamp>,
    },
    /// Enough words are known, or nothing is audible any more.
    Enough { now: Timestamp },
    /// The user stops.
    Ended {
        now: Timestamp,
        /// Whether words may still come and decide.
        words_decide: bool,
    },
    /// The speech becomes an item.
    Committed,
    /// The speech becomes no item, or the application answers it.
    Dropped,
    /// The application interrupts.
    Claimed { now: Timestamp },
    /// All its words are known, and they are too few.
    Transcribed,
    /// Time passes.
    Overdue {
        now: Timestamp,
        /// Whether any words are known.
        words: bool,
    },
}

/// What a step decides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub(super) struct Decision {
    /// Whether the speech interrupts, if that is known now.
    pub(super) counts: Option<bool>,
    /// The end of the turn to be answered now.
    pub(super) answers: Option<Timestamp>,
}

impl Decision {
    const NONE: Self = Self { counts: None, answers: None };
    const COUNTS: Self = Self { counts: Some(true), answers: None };
    const PASSES: Self = Self { counts: Some(false), answers: None };

    /// Joins two decisions, in order.
    pub(super) fn and(self, then: Self) -> Self {
        Self { counts: then.counts.or(self.counts), answers: then.answers.or(self.answers) }
    }

    const fn answering(self, stopped: Timestamp) -> Self {
        Self { answers: Some(stopped), ..self }
    }
}

impl Speech {
    /// Takes a step. Returns what is decided. Nothing else changes the speech.
    pub(super) fn step(&mut self, step: Step) -> Decision {
        let (next, decision) = match (*self, step) {
            // Speech in several bursts is weighed as one.
            (
                Self::Weighed { due } | Self::Awaited { due, .. } | Self::AwaitedItem { due, .. },
                Step::Began { due: Some(_) },
            ) => (Self::Weighed { due }, Decision::NONE),
            (Self::Stopped { stopped, .. }, Step::Began { due: Some(due) }) => {
                (Self::Weighed { due }, Decision::NONE.answering(stopped))
            }
            (Self::Stopped { stopped, .. }, Step::Began { due: None }) => {
                (Self::Counts, Decision::COUNTS.answering(stopped))
            }
            (_, Step::Began { due: Some(due) }) => (Self::Weighed { due }, Decision::NONE),
            (_, Step::Began { due: None }) => (Self::Counts, Decision::COUNTS),

            (Self::Weighed { .. } | Self::Passed, Step::Enough { .. }) => (Self::Counts, Decision::COUNTS),
            (Self::Awaited { stopped, .. }, Step::Enough { now }) => {
                (Self::Stopped { stopped, until: now + UNCOMMITTED }, Decision::COUNTS)
            }
            (Self::AwaitedItem { stopped, .. }, Step::Enough { .. }) => {
                (Self::Quiet, Decision::COUNTS.answering(stopped))
            }

            (Self::Weighed { due }, Step::Ended { now, words_decide: true }) => {
                (Self::Awaited { due, stopped: now }, Decision::NONE)
            }
            (Self::Weighed { .. }, Step::Ended { .. } | Step::Dropped)
            | (Self::Awaited { .. } | Self::AwaitedItem { .. }, Step::Dropped | Step::Transcribed) => {
                (Self::Quiet, Decision::PASSES)
            }
            (Self::Counts, Step::Ended { now, .. }) => {
                (Self::Stopped { stopped: now, until: now + UNCOMMITTED }, Decision::NONE)
            }
            (Self::Passed, Step::Ended { .. } | Step::Dropped)
            | (Self::Counts | Self::Stopped { .. }, Step::Dropped) => (Self::Quiet, Decision::NONE),

            (Self::Awaited { due, stopped }, Step::Committed) => {
                (Self::AwaitedItem { due, stopped }, Decision::NONE)
            }
            (Self::Stopped { stopped, .. }, Step::Committed) => {
                (Self::Quiet, Decision::NONE.answering(stopped))
            }

            (Self::Weighed { .. } | Self::Passed, Step::Claimed { .. }) => (Self::Counts, Decision::NONE),
            (Self::Awaited { stopped, .. }, Step::Claimed { now }) => {
                (Self::Stopped { stopped, until: now + UNCOMMITTED }, Decision::NONE)
            }
            (Self::AwaitedItem { stopped, .. }, Step::Claimed { .. }) => {
                (Self::Quiet, Decision::NONE.answering(stopped))
            }

            (Self::Weighed { due }, Step::Overdue { now, words: false }) if due <= now => {
                (Self::Counts, Decision::COUNTS)
            }
            (Self::Weighed { due }, Step::Overdue { now, words: true }) if due <= now => {
                (Self::Passed, Decision::PASSES)
            }
            (Self::Awaited { due, .. } | Self::AwaitedItem { due, .. }, Step::Overdue { now, .. })
                if due <= now =>
            {
                (Self::Quiet, Decision::PASSES)
            }
            (Self::Stopped { stopped, until }, Step::Overdue { now, .. }) if until <= now => {
                (Self::Quiet, Decision::NONE.answering(stopped))
            }
            (
                same,
                Step::Enough { .. }
                | Step::Ended { .. }
                | Step::Committed
                | Step::Dropped
                | Step::Claimed { .. }
                | Step::Transcribed
                | Step::Overdue { .. },
            ) => (same, Decision::NONE),
        };
        *self = next;
        decision
    }

    /// Returns whether the user speaks.
    pub(super) const fn is_going_on(self) -> bool {
        matches!(self, Self::Weighed { .. } | Self::Passed | Self::Counts)
    }

    /// Returns whether words may still decide.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Weighed { .. } | Self::Passed | Self::Awaited { .. } | Self::AwaitedItem { .. })
    }

    /// Returns whether it is over and still to be decided or answered.
    pub(super) const fn is_pending(self) -> bool {
        matches!(self, Self::Awaited { .. } | Self::AwaitedItem { .. } | Self::Stopped { .. })
    }

    /// When something here is due.
    pub(super) const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Weighed { due } | Self::Awaited { due, .. } | Self::AwaitedItem { due, .. } => Some(due),
            Self::Stopped { until, .. } => Some(until),
            Self::Quiet | Self::Passed | Self::Counts => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::session::sequencer::table;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    const STATES: [(&str, Speech); 7] = [
        ("Quiet", Speech::Quiet),
        ("Weighed", Speech::Weighed { due: at(5) }),
        ("Passed", Speech::Passed),
        ("Awaited", Speech::Awaited { due: at(5), stopped: at(2) }),
        ("AwaitedItem", Speech::AwaitedItem { due: at(5), stopped: at(2) }),
        ("Counts", Speech::Counts),
        ("Stopped", Speech::Stopped { stopped: at(2), until: at(5) }),
    ];

    fn name(speech: Speech) -> &'static str {
        match speech {
            Speech::Quiet => "Quiet",
            Speech::Weighed { .. } => "Weighed",
            Speech::Passed => "Passed",
            Speech::Awaited { .. } => "Awaited",
            Speech::AwaitedItem { .. } => "AwaitedItem",
            Speech::Counts => "Counts",
            Speech::Stopped { .. } => "Stopped",
        }
    }

    fn cell(from: Speech, step: Step) -> String {
        let mut speech = from;
        let Decision { counts, answers } = speech.step(step);
        let verdict = counts.map(|counts| if counts { "counts" } else { "passes" });
        let says: Vec<&str> = verdict.into_iter().chain(answers.map(|_| "answers")).collect();
        let to = (name(speech) != name(from)).then(|| format!("`{}`", name(speech)));
        let says = says.join(", ");
        table::cell(to, Some(says.as_str()).filter(|says| !says.is_empty()))
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_speech_does() {
        let columns = [
            "`Began`",
            "`Began`, over the assistant",
            "`Enough`",
            "`Ended`",
            "`Ended`, words decide",
            "`Committed`",
            "`Dropped`",
            "`Claimed`",
            "`Transcribed`",
            "`Overdue`",
            "`Overdue`, words known",
        ];
        let states = STATES.map(|(name, _)| name);
        table::check(include_str!("speech.rs"), &columns, &states, |from| {
            let Some((_, from)) = STATES.into_iter().find(|(name, _)| *name == from) else { unreachable!() };
            let now = at(5);
            [
                Step::Began { due: None },
                Step::Began { due: Some(at(9)) },
                Step::Enough { now },
                Step::Ended { now, words_decide: false },
                Step::Ended { now, words_decide: true },
                Step::Committed,
                Step::Dropped,
                Step::Claimed { now },
                Step::Transcribed,
                Step::Overdue { now, words: false },
                Step::Overdue { now, words: true },
            ]
            .map(|step| cell(from, step))
            .into()
        });
    }

    #[test]
    fn nothing_is_overdue_before_its_deadline() {
        for (_, from) in STATES {
            for words in [false, true] {
                let mut speech = from;
                assert_eq!(speech.step(Step::Overdue { now: at(4), words }), Decision::NONE);
                assert_eq!(speech, from);
            }
        }
    }

    #[test]
    fn speech_in_bursts_is_weighed_as_one() {
        let mut speech = Speech::Weighed { due: at(5) };
        let ended = speech.step(Step::Ended { now: at(2), words_decide: true });
        let began = speech.step(Step::Began { due: Some(at(9)) });
        assert_eq!((ended, began), (Decision::NONE, Decision::NONE));
        assert_eq!(speech.deadline(), Some(at(5)));
    }
}
