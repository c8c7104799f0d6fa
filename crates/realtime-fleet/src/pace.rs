//! How often something happens that costs: [`Pace`].

use std::time::Duration;

use realtime_protocol::time::Timestamp;

/// Times that come one after another once there was none for a while: a turn has several moments that count.
const AT_ONCE: u32 = 4;

/// Once in this time on average at most, and after a pause four times as they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    every: Duration,
    /// Until when the times so far use it up.
    paid: Timestamp,
}

impl Pace {
    pub(crate) const fn new(every: Duration) -> Self {
        Self { every, paid: Timestamp::ZERO }
    }

    /// When it may happen next.
    pub(crate) fn next(&self) -> Timestamp {
        self.paid - self.every * (AT_ONCE - 1)
    }

    /// It happens.
    pub(crate) fn take(&mut self, now: Timestamp) {
        self.paid = self.paid.max(now) + self.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn four_come_at_once_and_then_one_in_its_time() {
        let mut pace = Pace::new(Duration::from_secs(2));
        let times = (0..6).map(|_| {
            let next = pace.next().max(at(1000));
            pace.take(next);
            next
        });
        assert_eq!(times.collect::<Vec<_>>(), [1000, 1000, 1000, 1000, 3000, 5000].map(at));
    }
}
