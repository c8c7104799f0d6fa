//! How late the runtime's tasks start: [`Lateness`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

/// How often it is looked.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// Looks that count: those of 5 s.
const LOOKS: usize = 500;
/// Looks after which the result is reckoned: ten times a second. It is a sum over all of them.
const ROUND: usize = 10;

/// The latenesses of a timer in the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    due: Option<Timestamp>,
    looks: VecDeque<Duration>,
    /// Looks since the result was reckoned.
    since: usize,
}

impl Lateness {
    /// The timer has fired. Returns what one look in a hundred is later than, ten times a second.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Option<Duration> {
        if let Some(due) = self.due {
            if self.looks.len() == LOOKS {
                self.looks.pop_front();
            }
            self.looks.push_back(now.saturating_since(due));
        }
        self.due = Some(now + TICK);
        self.since = (self.since + 1) % ROUND;
        (self.since == 0).then(|| self.percentile_99())
    }

    /// When it is to fire next.
    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    fn percentile_99(&self) -> Duration {
        let mut looks: Vec<Duration> = self.looks.iter().copied().collect();
        let rank = looks.len().saturating_sub(1).min(looks.len() * 99 / 100);
        match looks.is_empty() {
            true => Duration::ZERO,
            false => *looks.select_nth_unstable(rank).1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn one_late_look_is_no_load_and_many_are() {
        let mut lateness = Lateness::default();
        let mut now = 0;
        for n in 0..1000 {
            now += if n % 200 == 0 { 110 } else { 10 };
            let told = lateness.tick(at(now));
            assert_eq!(told, (n % 10 == 9).then_some(Duration::ZERO), "look {n}");
        }
        let told = (0..50).filter_map(|_| {
            now += 60;
            lateness.tick(at(now))
        });
        assert_eq!(told.last(), Some(Duration::from_millis(50)));
    }
}
