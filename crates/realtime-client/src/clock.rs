//! Time, as the driver knows it.

use std::pin::Pin;
use std::time::Duration;

use realtime_protocol::time::{Timestamp, UnixTime};
use tokio::time::{Instant, Sleep, sleep_until};

/// The driver's two clocks: monotonic time, and the time of day.
pub(crate) struct Clock {
    pub(crate) origin: Origin,
    pub(crate) wall: Box<dyn Fn() -> UnixTime + Send>,
}

/// The origin of a client's monotonic time. It is tokio's time, so that tests can pause it.
#[derive(Clone, Copy)]
pub(crate) struct Origin(pub(crate) Instant);

impl Origin {
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::ZERO + self.0.elapsed()
    }

    /// `None`: the time is too far away to be represented.
    pub(crate) fn instant(self, at: Timestamp) -> Option<Instant> {
        self.0.checked_add(Duration::from_micros(at.as_micros()))
    }
}

/// Wakes the loop no later than asked. If the deadline moves away, the alarm stays: moving it costs more than
/// one needless turn.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    set_for: Option<Instant>,
}

impl Alarm {
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.set_for.is_some_and(|set_for| set_for <= deadline) {
            return;
        }
        self.set_for = Some(deadline);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(deadline),
            None => self.sleep = Some(Box::pin(sleep_until(deadline))),
        }
    }

    pub(crate) async fn ring(&mut self) {
        match (&mut self.sleep, self.set_for) {
            (Some(sleep), Some(_)) => sleep.await,
            _ => std::future::pending().await,
        }
        self.set_for = None;
    }
}
