//! What callbacks tell of their device: [`DeviceState`]. [`LocalCounts`] sums it up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What is known of one device. The callback that gives or takes audio touches atomics only.
#[derive(Debug, Default)]
pub(super) struct DeviceState {
    /// Why it is gone.
    lost: OnceLock<Arc<str>>,
    /// How often the system was too late for it.
    late: AtomicU64,
    /// Silence that a loudspeaker was given (samples).
    silence: AtomicU64,
    /// Gaps within what a loudspeaker played.
    gaps: AtomicU64,
    /// Audio of a microphone that nobody took in time (µs).
    dropped: AtomicU64,
}

impl DeviceState {
    pub(super) fn add_silence(&self, samples: u64) {
        self.silence.fetch_add(samples, Ordering::Relaxed);
    }

    pub(super) fn silence(&self) -> u64 {
        self.silence.load(Ordering::Relaxed)
    }

    /// Counts a gap. Returns whether it is the first one.
    pub(super) fn add_gap(&self) -> bool {
        self.gaps.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Counts audio that was dropped. Returns whether it is the first time.
    pub(super) fn add_dropped(&self, time: Duration) -> bool {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.dropped.fetch_add(micros, Ordering::Relaxed) == 0
    }

    /// How often the system was too late for the device.
    pub(super) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Why the device is gone, if it is.
    pub(super) fn lost(&self) -> Option<&Arc<str>> {
        self.lost.get()
    }

    /// The device told that something is wrong.
    pub(super) fn on_error(&self, error: &cpal::Error) {
        match error.kind() {
            cpal::ErrorKind::Xrun => {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
            // The stream goes on.
            cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => {}
            // The first reason counts. More is said after it.
            _ => drop(self.lost.set(error.to_string().trim_end_matches('.').into())),
        }
    }
}

/// What was lost between a call and the devices of its machine. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LocalCounts {
    pub(super) input: Arc<DeviceState>,
    pub(super) output: Arc<DeviceState>,
}

impl LocalCounts {
    /// Audio of the microphone that was dropped, since the call did not keep up.
    pub fn dropped_input(&self) -> Duration {
        Duration::from_micros(self.input.dropped.load(Ordering::Relaxed))
    }

    /// How often the system was too late to take the microphone's audio.
    pub fn late_input(&self) -> u64 {
        self.input.late()
    }

    /// How often the loudspeaker fell silent within an answer, since nothing more was there.
    pub fn gaps(&self) -> u64 {
        self.output.gaps.load(Ordering::Relaxed)
    }

    /// How often the system was too late to give the loudspeaker audio.
    pub fn late_output(&self) -> u64 {
        self.output.late()
    }
}

/// The time that callbacks and the task share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Now (µs).
    pub(super) fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_late_is_counted_and_any_other_error_is_the_end_of_the_device() {
        let counts = LocalCounts::default();
        counts.output.on_error(&cpal::ErrorKind::Xrun.into());
        counts.output.on_error(&cpal::ErrorKind::DeviceChanged.into());
        assert_eq!((counts.late_output(), counts.output.lost()), (1, None));
        counts.output.on_error(&cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, "unplugged."));
        counts.output.on_error(&cpal::ErrorKind::BackendError.into());
        assert_eq!(counts.output.lost().map(|why| &**why), Some("unplugged"));
        assert!(counts.input.add_dropped(Duration::from_millis(7)));
        assert!(!counts.input.add_dropped(Duration::from_millis(3)));
        assert_eq!(counts.dropped_input(), Duration::from_millis(10));
        assert!(counts.output.add_gap() && counts.gaps() == 1);
    }
}
