//! Which output of a running response is due next, and the one table of the transitions.
//!
//! | | `Output` | `ServerFault` | `Failed` | `Overdue` |
//! |---|---|---|---|---|
//! | `Begun` | `Going` | `Stalled` | `Forsaken` | `Stalled`, misses `FirstOutput` |
//! | `Going` | `Going` | `Stalled` | `Forsaken` | `Stalled`, misses `NextOutput` |
//! | `Stalled` | `Going` | `Stalled` | `Forsaken` | `Forsaken` |
//! | `Forsaken` |  |  |  |  |
//!
//! An empty cell changes nothing. A forsaken response is still told in full, but nothing waits for it.

use core::time::Duration;

use crate::session::deadlines::Answer;
use crate::time::Timestamp;

/// Which output of a running response is due next, and when it is overdue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Pace {
    /// Its first output.
    Begun(Timestamp),
    /// More of it, or its end.
    Going(Timestamp),
    /// The overdue output. When its time is up, nothing waits for it any more.
    Stalled(Timestamp),
    /// Nothing: no command waits for it any more, and the next response may be requested.
    Forsaken,
}

/// What happens to a response that runs.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) enum Step {
    /// Some of it came, or a sign of it.
    Output {
        /// When more is due.
        due: Timestamp,
    },
    /// The server reports a fault of its own, without naming a response.
    ServerFault {
        /// How long this response may still go on.
        due: Timestamp,
    },
    /// The server says that the request for it failed.
    Failed,
    /// Time passes.
    Overdue {
        now: Timestamp,
        /// How long the rest may still come.
        patience: Duration,
    },
}

impl Pace {
    /// Takes a step. Returns the answer that is missing from now on. Nothing else changes the pace.
    pub(in crate::session) fn step(&mut self, step: Step) -> Option<Answer> {
        let (next, missing) = match (*self, step) {
            (Self::Forsaken, _) | (_, Step::Failed) => (Self::Forsaken, None),
            (_, Step::Output { due }) => (Self::Going(due), None),
            (Self::Begun(was) | Self::Going(was) | Self::Stalled(was), Step::ServerFault { due }) => {
                (Self::Stalled(was.min(due)), None)
            }
            (Self::Begun(due), Step::Overdue { now, patience }) if due <= now => {
                (Self::Stalled(now + patience), Some(Answer::FirstOutput))
            }
            (Self::Going(due), Step::Overdue { now, patience }) if due <= now => {
                (Self::Stalled(now + patience), Some(Answer::NextOutput))
            }
            (Self::Stalled(due), Step::Overdue { now, .. }) if due <= now => (Self::Forsaken, None),
            (same, Step::Overdue { .. }) => (same, None),
        };
        *self = next;
        missing
    }

    /// When something of it is due.
    pub(super) const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Begun(due) | Self::Going(due) | Self::Stalled(due) => Some(due),
            Self::Forsaken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::session::sequencer::table;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    const STATES: [(&str, Pace); 4] = [
        ("Begun", Pace::Begun(Timestamp::from_millis(10_000))),
        ("Going", Pace::Going(Timestamp::from_millis(10_000))),
        ("Stalled", Pace::Stalled(Timestamp::from_millis(10_000))),
        ("Forsaken", Pace::Forsaken),
    ];

    fn name(pace: Pace) -> &'static str {
        match pace {
            Pace::Begun(_) => "Begun",
            Pace::Going(_) => "Going",
            Pace::Stalled(_) => "Stalled",
            Pace::Forsaken => "Forsaken",
        }
    }

    fn cell(from: Pace, step: Step) -> String {
        let mut pace = from;
        let missing = pace.step(step).map(|answer| format!("misses `{answer:?}`"));
        table::cell((pace != from).then(|| format!("`{}`", name(pace))), missing.as_deref())
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_pace_does() {
        let states = STATES.map(|(name, _)| name);
        let columns = ["`Output`", "`ServerFault`", "`Failed`", "`Overdue`"];
        table::check(include_str!("pace.rs"), &columns, &states, |from| {
            let Some((_, from)) = STATES.into_iter().find(|(name, _)| *name == from) else { unreachable!() };
            let overdue = Step::Overdue { now: at(10), patience: Duration::from_secs(5) };
            [Step::Output { due: at(20) }, Step::ServerFault { due: at(5) }, Step::Failed, overdue]
                .map(|step| cell(from, step))
                .into()
        });
    }

    #[test]
    fn nothing_is_overdue_before_its_deadline() {
        for (_, from) in STATES {
            let mut pace = from;
            assert_eq!(pace.step(Step::Overdue { now: at(9), patience: Duration::ZERO }), None);
            assert_eq!(pace, from);
        }
    }
}
