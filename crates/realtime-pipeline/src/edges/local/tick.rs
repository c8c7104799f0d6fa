//! When the task looks at the rings again: [`Tick`].
//!
//! Callbacks do not wake the task: that takes locks of the runtime, and their thread must not wait.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Comes every 10 ms.
#[derive(Debug, Default)]
pub(super) struct Tick(Option<Interval>);

impl Tick {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let interval = self.0.get_or_insert_with(|| {
            let mut interval = interval(Duration::from_millis(10));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        interval.poll_tick(cx).map(drop)
    }
}
