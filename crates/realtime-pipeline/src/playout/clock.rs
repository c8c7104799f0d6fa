//! When each sample is due: [`Clock`].

use std::time::Duration;

use realtime_protocol::time::Timestamp;

/// Counts samples from the beginning of playback, so that the times of chunks do not drift.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Timestamp,
    rate: u32,
    samples: u64,
}

impl Clock {
    /// The first sample is due now.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { began: now, rate: 1, samples: 0 }
    }

    /// When the next sample is due.
    pub(super) fn due(&self) -> Timestamp {
        self.began + time_of(self.samples, self.rate)
    }

    /// Samples have been handed out, at `rate` Hz.
    pub(super) fn advance(&mut self, samples: u64, rate: u32) {
        if rate != self.rate {
            *self = Self { began: self.due(), rate, samples: 0 };
        }
        self.samples += samples;
    }

    /// Begins anew if the next sample is overdue: nobody can hear what should have been heard before.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        if self.due() < now {
            *self = Self { began: now, rate: self.rate, samples: 0 };
        }
    }
}

/// How long samples sound at `rate` Hz, rounded down to a microsecond.
pub(super) fn time_of(samples: u64, rate: u32) -> Duration {
    let micros = u128::from(samples) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The samples of a duration at `rate` Hz, to the nearest one.
pub(super) fn samples_in(time: Duration, rate: u32) -> u64 {
    let samples = (time.as_micros() * u128::from(rate) + 500_000) / 1_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

/// The samples of a duration at `rate` Hz, rounded down.
pub(super) fn whole_samples_in(time: Duration, rate: u32) -> u64 {
    u64::try_from(time.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_odd_chunks_does_not_drift() {
        let mut clock = Clock::new(Timestamp::from_millis(7));
        // 20 ms of 11,025 Hz are 220.5 samples.
        for _ in 0..24 * 3600 * 50 {
            clock.advance(221, 11_025);
        }
        let exact = 24 * 3600 * 50 * 221 * 1_000_000_u64 / 11_025;
        assert_eq!(clock.due(), Timestamp::from_micros(7_000 + exact));
        clock.advance(0, 8_000);
        clock.advance(8, 8_000);
        assert_eq!(clock.due(), Timestamp::from_micros(8_000 + exact));
    }

    #[test]
    fn a_clock_that_is_late_begins_anew_and_one_that_is_early_does_not() {
        let mut clock = Clock::new(Timestamp::ZERO);
        clock.advance(80, 8_000);
        clock.catch_up(Timestamp::from_millis(4));
        assert_eq!(clock.due(), Timestamp::from_millis(10));
        clock.catch_up(Timestamp::from_millis(30));
        assert_eq!(clock.due(), Timestamp::from_millis(30));
        clock.advance(80, 8_000);
        assert_eq!(clock.due(), Timestamp::from_millis(40));
    }

    #[test]
    fn samples_and_times_convert_back() {
        for rate in [8_000, 11_025, 24_000, 44_100] {
            for samples in [0, 1, 7, 441, 1_000_003] {
                assert_eq!(samples_in(time_of(samples, rate), rate), samples, "{samples} at {rate} Hz");
            }
        }
    }
}
