//! Starts and stops a recording while the run goes on: [`RecorderHandle`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Starts and stops a recording. The recorder follows with the next frame that it sees.
#[derive(Clone, Debug, Default)]
pub struct RecorderHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How often it was started and stopped. It records if that is odd.
    turns: AtomicU64,
    /// Audio that is lost (us).
    lost: AtomicU64,
}

impl RecorderHandle {
    /// Starts the recording, or goes on after a stop. Of the time between, nothing is in it. Does nothing if
    /// it records already.
    #[doc(alias("start_recording", "AudioBufferStartRecordingFrame"))]
    pub fn start(&self) {
        self.turn(0);
    }

    /// Stops the recording, and writes what belongs to it. Does nothing if it does not record.
    #[doc(alias("stop_recording", "AudioBufferStopRecordingFrame"))]
    pub fn stop(&self) {
        self.turn(1);
    }

    /// Returns whether it was started and not stopped. A recording whose file or callback has failed is
    /// stopped.
    pub fn is_recording(&self) -> bool {
        records(self.turns())
    }

    /// How much audio is missing in the recordings: it came in a format that can't be converted, or the disk
    /// was too slow. Each loss was a fault too.
    pub fn lost(&self) -> Duration {
        Duration::from_micros(self.0.lost.load(Ordering::Relaxed))
    }

    pub(super) fn turns(&self) -> u64 {
        self.0.turns.load(Ordering::Acquire)
    }

    pub(super) fn lose(&self, lost: Duration) {
        let micros = u64::try_from(lost.as_micros()).unwrap_or(u64::MAX);
        self.0.lost.fetch_add(micros, Ordering::Relaxed);
    }

    /// One turn more, if the last bit is `from`.
    fn turn(&self, from: u64) {
        let next = |turns: u64| (turns % 2 == from).then_some(turns.wrapping_add(1));
        // It is in the other state already otherwise.
        let _ = self.0.turns.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

/// Returns whether it records after so many turns.
pub(super) const fn records(turns: u64) -> bool {
    turns % 2 == 1
}
