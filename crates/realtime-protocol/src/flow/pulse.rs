//! Tells a quiet connection from a dead one: [`Pulse`].

use core::time::Duration;

use crate::time::Timestamp;

/// Tells a quiet connection from a dead one.
///
/// If nothing was received for a while, the driver sends a ping. If nothing comes for as long again, the
/// connection counts as lost. Anything counts: a text, a pong, a part of a message, or that the peer takes
/// bytes again after it was stuck.
///
/// Call [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout), and do what it
/// says. First read what has arrived and report it by [`heard`](Self::heard): a driver that overslept must
/// not take its own sleep for the peer's silence.
///
/// ```
/// use core::time::Duration;
/// use realtime_protocol::flow::{Beat, Pulse};
/// use realtime_protocol::time::Timestamp;
///
/// let at = Timestamp::from_millis;
/// let mut pulse = Pulse::new(at(0), Some(Duration::from_secs(15)));
/// pulse.heard(at(4_000));
/// assert_eq!(pulse.poll_timeout(), Some(at(19_000)));
/// assert_eq!(pulse.handle_timeout(at(19_000)), Some(Beat::Ping));
/// pulse.heard(at(19_040)); // the pong
/// assert_eq!(pulse.handle_timeout(at(34_040)), Some(Beat::Ping));
/// assert_eq!(pulse.handle_timeout(at(49_040)), Some(Beat::Dead));
/// assert_eq!(pulse.poll_timeout(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Pulse {
    /// The longest silence before a ping, and then before the connection counts as lost.
    every: Duration,
    state: State,
}

/// What to do about a silent connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a silent connection is asked, or given up")]
pub enum Beat {
    /// Send a ping.
    Ping,
    /// Nothing answered the ping: the connection counts as lost. Returned once.
    Dead,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Never pings.
    Off,
    /// Something was received last at this time.
    Heard(Timestamp),
    /// A ping was sent at this time, and nothing was received since.
    Asked(Timestamp),
    Dead,
}

impl Pulse {
    /// The pulse of a connection that is open since `now`. `every`: how long it may be silent before a ping.
    /// `None` or zero: no pings.
    pub fn new(now: Timestamp, every: Option<Duration>) -> Self {
        let every = every.unwrap_or_default();
        Self { every, state: if every.is_zero() { State::Off } else { State::Heard(now) } }
    }

    /// Something was received on the connection.
    pub fn heard(&mut self, now: Timestamp) {
        match self.state {
            State::Heard(at) | State::Asked(at) => self.state = State::Heard(now.max(at)),
            State::Off | State::Dead => {}
        }
    }

    /// Returns what to do if nothing was received for too long. Does nothing if called early.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Option<Beat> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        if let State::Heard(_) = self.state {
            self.state = State::Asked(now);
            return Some(Beat::Ping);
        }
        self.state = State::Dead;
        Some(Beat::Dead)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None`: nothing is due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Heard(at) | State::Asked(at) => Some(at + self.every),
            State::Off | State::Dead => None,
        }
    }

    /// The longest time for which a dead connection goes unnoticed, if timeouts are handled when they are
    /// due.
    pub const fn limit(&self) -> Duration {
        self.every.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_connection_that_answers_each_ping_lives_for_ever() {
        let mut pulse = Pulse::new(at(0), Some(EVERY));
        for n in 1..1000 {
            assert_eq!(pulse.handle_timeout(at(n * 100)), Some(Beat::Ping));
            pulse.heard(at(n * 100));
        }
    }

    #[test]
    fn a_driver_that_slept_too_long_asks_before_it_gives_up() {
        let mut pulse = Pulse::new(at(0), Some(EVERY));
        assert_eq!(pulse.handle_timeout(at(3_600_000)), Some(Beat::Ping));
        assert_eq!(pulse.handle_timeout(at(3_600_099)), None);
        assert_eq!(pulse.handle_timeout(at(3_600_100)), Some(Beat::Dead));
    }

    #[test]
    fn a_pulse_that_is_off_or_dead_wants_nothing() {
        for every in [None, Some(Duration::ZERO)] {
            let mut pulse = Pulse::new(at(0), every);
            pulse.heard(at(1));
            assert_eq!((pulse.poll_timeout(), pulse.handle_timeout(at(u64::MAX))), (None, None));
        }
        let mut pulse = Pulse::new(at(0), Some(EVERY));
        assert_eq!([100, 200].map(|ms| pulse.handle_timeout(at(ms))), [Some(Beat::Ping), Some(Beat::Dead)]);
        pulse.heard(at(201));
        assert_eq!((pulse.poll_timeout(), pulse.handle_timeout(at(u64::MAX))), (None, None));
    }

    #[test]
    fn the_longest_silence_that_can_be_written_does_not_overflow() {
        let mut pulse = Pulse::new(at(u64::MAX), Some(Duration::MAX));
        assert_eq!(pulse.limit(), Duration::MAX);
        assert_eq!(pulse.handle_timeout(at(0)), None);
    }

    proptest! {
        /// Sounds at any times: only a silence of more than `EVERY` after a ping is death, and none lasts
        /// longer than the limit.
        #[test]
        fn death_is_told_after_a_silence_of_the_limit_and_not_before(gaps in prop::collection::vec(1_u64..400, 1..40)) {
            let mut pulse = Pulse::new(at(0), Some(EVERY));
            let mut heard = at(0);
            for gap in gaps {
                let next = heard + Duration::from_millis(gap);
                let mut beats = Vec::new();
                while let Some(due) = pulse.poll_timeout().filter(|due| *due < next) {
                    // Spurious and early timeouts change nothing.
                    prop_assert_eq!(pulse.handle_timeout(due - Duration::from_micros(1)), None);
                    let beat = pulse.handle_timeout(due);
                    prop_assert_eq!(pulse.handle_timeout(due), None);
                    beats.extend(beat.map(|beat| (due.saturating_since(heard), beat)));
                }
                let expected = [(EVERY, Beat::Ping), (pulse.limit(), Beat::Dead)];
                let due = expected.iter().filter(|(after, _)| *after < Duration::from_millis(gap)).count();
                prop_assert_eq!(&beats, &expected[..due]);
                if due == 2 {
                    return Ok(());
                }
                pulse.heard(next);
                heard = next;
            }
        }
    }
}
