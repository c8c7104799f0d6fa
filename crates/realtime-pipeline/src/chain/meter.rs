//! How long steps take, by the driver's clock: [`Meter`].

use std::fmt;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

/// The longest that a step should take.
pub const LONGEST_STEP: Duration = Duration::from_millis(5);

/// Reads the driver's clock.
pub(super) type Clock = Box<dyn FnMut() -> Timestamp + Send>;

/// Measures steps, each without the steps inside it. Without a clock it measures nothing.
pub(super) struct Meter {
    clock: Option<Clock>,
    /// Time of the steps inside the step that runs.
    inner: Duration,
}

/// A step that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: Timestamp,
    /// Time of the steps before this one, inside the step around it.
    before: Duration,
}

impl Meter {
    pub(super) const fn new(clock: Option<Clock>) -> Self {
        Self { clock, inner: Duration::ZERO }
    }

    /// A step begins.
    pub(super) fn begin(&mut self) -> Option<Begun> {
        let at = self.clock.as_mut()?();
        Some(Begun { at, before: std::mem::take(&mut self.inner) })
    }

    /// The step has ended: how long it took.
    pub(super) fn end(&mut self, begun: Option<Begun>) -> Option<Duration> {
        let Begun { at, before } = begun?;
        let took = self.clock.as_mut()?().saturating_since(at);
        let own = took.saturating_sub(self.inner);
        self.inner = before + took;
        Some(own)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("has_clock", &self.clock.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_measured_without_the_steps_inside_it() {
        let mut times = [0, 1, 4, 5, 11, 20].into_iter();
        let mut meter = Meter::new(Some(Box::new(move || Timestamp::from_millis(times.next().unwrap()))));
        let outer = meter.begin();
        for expected in [3, 6] {
            let inner = meter.begin();
            assert_eq!(meter.end(inner), Some(Duration::from_millis(expected)));
        }
        assert_eq!(meter.end(outer), Some(Duration::from_millis(11)));
        assert!(Meter::new(None).begin().is_none());
    }
}
