//! The clocks of a driver.

use std::future::pending;

use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::time::{Instant, sleep_until};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Waits until then, or for ever.
    pub(crate) async fn wait(self, until: Option<Timestamp>) {
        match until {
            Some(until) => {
                sleep_until(self.origin + until.saturating_since(Timestamp::ZERO)).await;
            }
            None => pending().await,
        }
    }
}

/// The time of day.
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a driver gives machines their time")]
pub(crate) fn wall() -> UnixTime {
    use std::time::{SystemTime, UNIX_EPOCH};
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
