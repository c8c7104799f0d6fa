//! What is heard of the assistant, as others are told: [`Speech`].

use std::time::Duration;

use realtime_protocol::time::Timestamp;

use crate::chain::BotSpeech;

/// Whether the assistant speaks.
#[derive(Debug, Default)]
pub(super) struct Speech {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Silent,
    /// It sounds. It is told again at `next`.
    Sounds { next: Timestamp },
    /// Silence within what is not over yet.
    Pauses { since: Timestamp, next: Timestamp },
}

/// How often it is told that the assistant speaks.
const EVERY: Duration = Duration::from_millis(200);
/// How long a pause may be before it counts as the end of speech.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Speech {
    /// Returns whether it has begun and not ended.
    pub(super) const fn is_on(&self) -> bool {
        !matches!(self.state, State::Silent)
    }

    /// How it sounds now. `is_over`: nothing is left to be heard. Returns what to tell.
    pub(super) fn step(&mut self, now: Timestamp, sounds: bool, is_over: bool) -> Option<BotSpeech> {
        match (&mut self.state, sounds) {
            (State::Silent, true) => {
                self.state = State::Sounds { next: now + EVERY };
                Some(BotSpeech::Started)
            }
            (State::Silent, false) => None,
            (State::Sounds { next } | State::Pauses { next, .. }, true) => {
                let is_due = *next <= now;
                let next = match *next + EVERY {
                    // After a pause it does not catch up.
                    _ if !is_due => *next,
                    later if later > now => later,
                    _ => now + EVERY,
                };
                self.state = State::Sounds { next };
                is_due.then_some(BotSpeech::Speaking)
            }
            (State::Sounds { .. } | State::Pauses { .. }, false) if is_over => self.stop(),
            (State::Sounds { next }, false) => {
                self.state = State::Pauses { since: now, next: *next };
                None
            }
            (State::Pauses { since, .. }, false) if *since + LONGEST_PAUSE <= now => self.stop(),
            (State::Pauses { .. }, false) => None,
        }
    }

    /// It is cut off. Returns what to tell.
    pub(super) fn stop(&mut self) -> Option<BotSpeech> {
        self.is_on().then(|| {
            self.state = State::Silent;
            BotSpeech::Stopped
        })
    }

    /// When a pause counts as the end.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Pauses { since, .. } => Some(since + LONGEST_PAUSE),
            State::Silent | State::Sounds { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_goes_on_pauses_and_ends() {
        use BotSpeech::{Speaking, Started, Stopped};
        let mut speech = Speech::default();
        for (ms, sounds, is_over, told) in [
            (0, false, true, None),
            (10, true, false, Some(Started)),
            (200, true, false, None),
            (211, true, false, Some(Speaking)),
            (410, true, false, Some(Speaking)),
            (500, false, false, None),
            (2_000, true, false, Some(Speaking)),
            (2_100, true, false, None),
            (2_150, false, false, None),
            (5_149, false, false, None),
            (5_150, false, false, Some(Stopped)),
            (5_160, true, false, Some(Started)),
            (5_170, false, true, Some(Stopped)),
            (5_180, false, true, None),
        ] {
            assert_eq!(speech.step(Timestamp::from_millis(ms), sounds, is_over), told, "{ms} ms");
        }
        assert_eq!(speech.stop(), None);
    }
}
