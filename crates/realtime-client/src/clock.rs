//! Time, as the driver knows it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
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

/// The earlier of two deadlines, if there is one.
pub(crate) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Wakes the task no later than asked. If the deadline moves away, the alarm stays: moving it costs more than
/// one needless turn.
#[derive(Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it wakes whom; `None`: it is off.
    set: Option<(Timestamp, Waker)>,
}

impl Alarm {
    /// Wakes this task at `due`, or earlier.
    pub(crate) fn set(
        &mut self,
        now: Timestamp,
        due: Option<Timestamp>,
        origin: Origin,
        cx: &mut Context<'_>,
    ) {
        let Some(due) = due else { return };
        let is_set =
            |(at, waker): &(Timestamp, Waker)| now < *at && *at <= due && waker.will_wake(cx.waker());
        if self.set.as_ref().is_some_and(is_set) {
            return;
        }
        let Some(instant) = origin.instant(due) else { return };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(instant);
                sleep
            }
            none => none.insert(Box::pin(sleep_until(instant))),
        };
        match sleep.as_mut().poll(cx) {
            Poll::Pending => self.set = Some((due, cx.waker().clone())),
            Poll::Ready(()) => {
                self.set = None;
                cx.waker().wake_by_ref(); // it is due by now
            }
        }
    }
}
