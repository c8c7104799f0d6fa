//! The clock of a driver.

use std::future::pending;

use realtime_protocol::time::Timestamp;
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
