//! Whose turn it is to speak, which holds back requests, and the one table of its transitions.
//!
//! | | `Started` | `Claimed` | `Stopped` | `Stopped`, the server responds | `Committed` | `Cleared` | `Undetected` | `Answered` | `Silent` | `Overdue` |
//! |---|---|---|---|---|---|---|---|---|---|---|
//! | `Open` | `Speaking` | `Claimed` |  | `Expecting` |  |  |  |  |  |  |
//! | `Speaking` | `Speaking` |  | `Open`, ends it | `Expecting`, ends it | `Expecting`, ends it | `Open`, ends it | `Open`, ends it |  | `Lapsed`, ends it | `Lapsed` |
//! | `Lapsed` | `Speaking` | `Claimed` | `Open` | `Expecting` | `Expecting` | `Open` | `Open` |  |  |  |
//! | `Claimed` | `Speaking` | `Claimed` | `Open` | `Expecting` | `Expecting` | `Open` |  |  | `Open` | `Open` |
//! | `Expecting` | `Speaking` |  | `Open` | `Expecting` |  |  | `Open` | `Open` |  | `Open` |
//!
//! An empty cell changes nothing. "Ends it": the user counts as having stopped, which is told. `Committed` is
//! as `Stopped`, for servers that do not report the end of speech. `Claimed`: the application, not the
//! server, says that the user speaks. `Silent`: no audio was appended for a while.

use crate::time::Timestamp;

/// Whose turn it is to speak. This holds back requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    /// Nobody's.
    #[default]
    Open,
    /// The user speaks.
    Speaking {
        /// How long requests wait for the end of the speech. Its event may have been lost.
        until: Timestamp,
        /// When the user counts as silent because no audio came. `None`: this side never appended any.
        silent: Option<Timestamp>,
    },
    /// The end of the user's speech was lost, or no more audio comes: requests no longer wait for it.
    Lapsed,
    /// The application says that the user speaks over a request: only requests that the user spoke over wait
    /// for the end of the speech.
    Claimed {
        /// How long they wait, at most.
        until: Timestamp,
        /// When the user counts as silent because no audio came.
        silent: Timestamp,
    },
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
        /// When the speech counts as over.
        until: Timestamp,
        /// When the user counts as silent, unless audio is appended.
        silent: Option<Timestamp>,
    },
    /// The application says that the user speaks.
    Claimed {
        /// When the speech counts as over.
        until: Timestamp,
        /// When the user counts as silent, unless audio is appended.
        silent: Timestamp,
    },
    /// Audio is appended.
    Appended {
        /// When the user counts as silent, unless more is appended.
        silent: Timestamp,
    },
    /// The user stops.
    Stopped {
        now: Timestamp,
        /// Until when the server's own response may come, if it makes one.
        response_due: Option<Timestamp>,
    },
    /// What the user said becomes an item.
    Committed {
        now: Timestamp,
        /// Until when the server's own response may come, if it makes one.
        response_due: Option<Timestamp>,
    },
    /// The user's audio was discarded.
    Cleared,
    /// Turns are not detected any more: no event will end the speech.
    Undetected,
    /// A response of the conversation begins.
    Answered,
    /// Time passes.
    Overdue { now: Timestamp },
}

impl Turn {
    /// Takes a step. Returns whether the user now counts as having stopped. Nothing else changes the turn.
    pub(super) fn step(&mut self, step: Step) -> bool {
        let next = match (*self, step) {
            (_, Step::Started { until, silent }) => Self::Speaking { until, silent },
            (Self::Open | Self::Lapsed | Self::Claimed { .. }, Step::Claimed { until, silent }) => {
                Self::Claimed { until, silent }
            }
            (Self::Speaking { until, .. }, Step::Appended { silent }) => {
                Self::Speaking { until, silent: Some(silent) }
            }
            (Self::Claimed { until, .. }, Step::Appended { silent }) => Self::Claimed { until, silent },
            (_, Step::Stopped { now, response_due })
            | (
                Self::Speaking { .. } | Self::Lapsed | Self::Claimed { .. },
                Step::Committed { now, response_due },
            ) => response_due.map_or(Self::Open, |until| Self::Expecting { stopped: now, until }),
            (Self::Speaking { .. } | Self::Lapsed | Self::Claimed { .. }, Step::Cleared)
            | (Self::Speaking { .. } | Self::Lapsed | Self::Expecting { .. }, Step::Undetected)
            | (Self::Expecting { .. }, Step::Answered) => Self::Open,
            (Self::Claimed { until, silent }, Step::Overdue { now }) if until.min(silent) <= now => {
                Self::Open
            }
            (Self::Speaking { silent: Some(silent), .. }, Step::Overdue { now }) if silent <= now => {
                Self::Lapsed
            }
            (Self::Speaking { until, .. }, Step::Overdue { now }) if until <= now => {
                *self = Self::Lapsed;
                return false; // a user who speaks for very long may still be heard
            }
            (Self::Expecting { until, .. }, Step::Overdue { now }) if until <= now => Self::Open,
            (
                same,
                Step::Claimed { .. }
                | Step::Appended { .. }
                | Step::Undetected
                | Step::Committed { .. }
                | Step::Cleared
                | Step::Answered
                | Step::Overdue { .. },
            ) => same,
        };
        let spoke = matches!(core::mem::replace(self, next), Self::Speaking { .. });
        spoke && !matches!(next, Self::Speaking { .. })
    }

    /// Returns whether requests need not wait for it.
    pub(super) const fn lets_requests_go(self) -> bool {
        matches!(self, Self::Open | Self::Lapsed | Self::Claimed { .. })
    }

    /// Returns whether only the application says that the user speaks.
    pub(super) const fn is_claimed(self) -> bool {
        matches!(self, Self::Claimed { .. })
    }

    /// Returns whether the server's own response is awaited.
    pub(super) const fn is_expecting(self) -> bool {
        matches!(self, Self::Expecting { .. })
    }

    /// Returns whether the user speaks, as the server or the application says.
    pub(super) const fn is_speech(self) -> bool {
        matches!(self, Self::Speaking { .. } | Self::Claimed { .. })
    }

    /// When something here is due.
    pub(super) fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Speaking { until, silent } => Some(silent.map_or(until, |silent| silent.min(until))),
            Self::Claimed { until, silent } => Some(silent.min(until)),
            Self::Expecting { until, .. } => Some(until),
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

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    const STATES: [(&str, Turn); 5] = [
        ("Open", Turn::Open),
        ("Speaking", Turn::Speaking { until: at(10), silent: Some(at(3)) }),
        ("Lapsed", Turn::Lapsed),
        ("Claimed", Turn::Claimed { until: at(10), silent: at(3) }),
        ("Expecting", Turn::Expecting { stopped: Timestamp::ZERO, until: at(10) }),
    ];

    fn name(turn: Turn) -> &'static str {
        match turn {
            Turn::Open => "Open",
            Turn::Speaking { .. } => "Speaking",
            Turn::Lapsed => "Lapsed",
            Turn::Claimed { .. } => "Claimed",
            Turn::Expecting { .. } => "Expecting",
        }
    }

    fn cell(from: Turn, steps: &[Step]) -> String {
        let mut turn = from;
        let mut ends = false;
        for step in steps {
            ends |= turn.step(*step);
        }
        table::cell((turn != from).then(|| format!("`{}`", name(turn))), ends.then_some("ends it"))
    }

    #[test]
    fn the_table_in_the_docs_is_what_the_turn_does() {
        let columns = [
            "`Started`",
            "`Claimed`",
            "`Stopped`",
            "`Stopped`, the server responds",
            "`Committed`",
            "`Cleared`",
            "`Undetected`",
            "`Answered`",
            "`Silent`",
            "`Overdue`",
        ];
        let states = STATES.map(|(name, _)| name);
        table::check(include_str!("turn.rs"), &columns, &states, |from| {
            let Some((_, from)) = STATES.into_iter().find(|(name, _)| *name == from) else { unreachable!() };
            let response_due = Some(at(8));
            [
                cell(from, &[Step::Started { until: at(20), silent: None }]),
                cell(from, &[Step::Claimed { until: at(20), silent: at(13) }]),
                cell(from, &[Step::Stopped { now: at(5), response_due: None }]),
                cell(from, &[Step::Stopped { now: at(5), response_due }]),
                cell(from, &[Step::Committed { now: at(5), response_due }]),
                cell(from, &[Step::Cleared]),
                cell(from, &[Step::Undetected]),
                cell(from, &[Step::Answered]),
                cell(from, &[Step::Overdue { now: at(3) }]),
                cell(from, &[Step::Appended { silent: at(13) }, Step::Overdue { now: at(10) }]),
            ]
            .into()
        });
    }

    #[test]
    fn nothing_is_overdue_before_its_deadline() {
        for (_, from) in STATES {
            let mut turn = from;
            assert!(!turn.step(Step::Overdue { now: at(2) }));
            assert_eq!(turn, from);
        }
    }

    #[test]
    fn speech_whose_audio_comes_from_elsewhere_is_never_silent() {
        let mut turn = Turn::default();
        turn.step(Step::Started { until: at(120), silent: None });
        assert!(!turn.step(Step::Overdue { now: at(119) }));
        assert_eq!(turn.deadline(), Some(at(120)));
    }
}
