//! Whose turn it is to speak, as far as it holds back requests, and the one table of its transitions.
//!
//! | | `Started` | `Stopped` | `Stopped`, the server responds | `Committed` | `Undetected` | `Answered` | `Overdue` |
//! |---|---|---|---|---|---|---|---|
//! | `Open` | `Speaking` |  | `Expecting` |  |  |  |  |
//! | `Speaking` | `Speaking` | `Open` | `Expecting` | `Expecting` | `Open` |  | `Lapsed` |
//! | `Lapsed` | `Speaking` | `Open` | `Expecting` | `Expecting` | `Open` |  |  |
//! | `Expecting` | `Speaking` | `Open` | `Expecting` |  | `Open` | `Open` | `Open` |
//!
//! An empty cell changes nothing. `Committed` is as `Stopped`, for servers that do not say that the user stopped.

use crate::time::Timestamp;

/// Whose turn it is to speak, as far as it holds back requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    /// Nobody's.
    #[default]
    Open,
    /// The user speaks.
    Speaking {
        /// How long requests wait for the end of that, which may have been lost.
        until: Timestamp,
    },
    /// The user has spoken for longer than anyone does: requests wait for it no longer.
    Lapsed,
    /// The user has spoken, and the server will respond by itself.
    Expecting {
        /// When the user stopped.
        stopped: Timestamp,
        /// When it counts as not coming.
        until: Timestamp,
    },
}

/// What happens to the turn.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) enum Step {
    /// The user begins to speak.
    Started {
        /// When nobody speaks any more.
        until: Timestamp,
    },
    /// The user stops.
    Stopped {
        now: Timestamp,
        /// Until when the server may respond by itself, if it does.
        response_due: Option<Timestamp>,
    },
    /// What the user said becomes an item.
    Committed {
        now: Timestamp,
        /// Until when the server may respond by itself, if it does.
        response_due: Option<Timestamp>,
    },
    /// Turns are not detected any more: nobody will say that the user stopped.
    Undetected,
    /// A response of the conversation begins.
    Answered,
    /// Time passes.
    Overdue { now: Timestamp },
}

impl Turn {
    /// Moves on. Nothing else changes the turn.
    pub(super) fn step(&mut self, step: Step) {
        *self = match (*self, step) {
            (_, Step::Started { until }) => Self::Speaking { until },
            (_, Step::Stopped { now, response_due })
            | (Self::Speaking { .. } | Self::Lapsed, Step::Committed { now, response_due }) => {
                response_due.map_or(Self::Open, |until| Self::Expecting { stopped: now, until })
            }
            (_, Step::Undetected) | (Self::Expecting { .. }, Step::Answered) => Self::Open,
            (Self::Speaking { until }, Step::Overdue { now }) if until <= now => Self::Lapsed,
            (Self::Expecting { until, .. }, Step::Overdue { now }) if until <= now => Self::Open,
            (same, Step::Committed { .. } | Step::Answered | Step::Overdue { .. }) => same,
        }
    }

    /// Whether requests need not wait for it.
    pub(super) const fn lets_requests_go(self) -> bool {
        matches!(self, Self::Open | Self::Lapsed)
    }

    /// Whether the server's own response is waited for.
    pub(super) const fn is_expecting(self) -> bool {
        matches!(self, Self::Expecting { .. })
    }

    /// When something here is due.
    pub(super) const fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Speaking { until } | Self::Expecting { until, .. } => Some(until),
            Self::Open | Self::Lapsed => None,
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

    const STATES: [(&str, Turn); 4] = [
        ("Open", Turn::Open),
        ("Speaking", Turn::Speaking { until: Timestamp::from_millis(10_000) }),
        ("Lapsed", Turn::Lapsed),
        ("Expecting", Turn::Expecting { stopped: Timestamp::ZERO, until: Timestamp::from_millis(10_000) }),
    ];

    fn name(turn: Turn) -> &'static str {
        match turn {
            Turn::Open => "Open",
            Turn::Speaking { .. } => "Speaking",
            Turn::Lapsed => "Lapsed",
            Turn::Expecting { .. } => "Expecting",
        }
    }

    fn cell(from: Turn, step: Step) -> String {
        let mut turn = from;
        turn.step(step);
        table::cell((turn != from).then(|| format!("`{}`", name(turn))), None)
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_turn_does() {
        let columns = [
            "`Started`",
            "`Stopped`",
            "`Stopped`, the server responds",
            "`Committed`",
            "`Undetected`",
            "`Answered`",
            "`Overdue`",
        ];
        let states = STATES.map(|(name, _)| name);
        table::check(include_str!("turn.rs"), &columns, &states, |from| {
            let Some((_, from)) = STATES.into_iter().find(|(name, _)| *name == from) else { unreachable!() };
            [
                Step::Started { until: at(20) },
                Step::Stopped { now: at(5), response_due: None },
                Step::Stopped { now: at(5), response_due: Some(at(8)) },
                Step::Committed { now: at(5), response_due: Some(at(8)) },
                Step::Undetected,
                Step::Answered,
                Step::Overdue { now: at(10) },
            ]
            .map(|step| cell(from, step))
            .into()
        });
    }

    #[test]
    fn nothing_is_overdue_before_its_deadline() {
        for (_, from) in STATES {
            let mut turn = from;
            turn.step(Step::Overdue { now: at(9) });
            assert_eq!(turn, from);
        }
    }
}
