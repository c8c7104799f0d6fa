//! What of the loudspeaker's ring sounds when: [`sound_log`] carries it from the callback, and [`Hearing`]
//! says what has been heard by now.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most stretches that wait for the task. A device takes some twenty to two hundred a second.
const MOST: usize = 1_024;

/// Samples of the ring that sound without a gap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stretch {
    /// When the first of them begins to sound (µs).
    pub(super) at: u64,
    /// The first one's position in the ring.
    pub(super) from: u64,
    /// The position after the last one.
    pub(super) to: u64,
}

/// Both ends of a log of stretches. If its reader is late, new ones are left out: those that follow say
/// enough.
pub(super) fn sound_log() -> (SoundWriter, SoundReader) {
    let slots = (0..MOST).map(|_| Default::default()).collect();
    let log = Arc::new(Log { slots, written: AtomicU64::new(0), read: AtomicU64::new(0) });
    (SoundWriter(Arc::clone(&log)), SoundReader(log))
}

#[derive(Debug)]
struct Log {
    slots: Box<[[AtomicU64; 3]]>,
    written: AtomicU64,
    read: AtomicU64,
}

/// The callback's end.
#[derive(Debug)]
pub(super) struct SoundWriter(Arc<Log>);

/// The task's end.
#[derive(Debug)]
pub(super) struct SoundReader(Arc<Log>);

impl SoundWriter {
    pub(super) fn push(&mut self, stretch: Stretch) {
        let written = self.0.written.load(Ordering::Relaxed);
        if stretch.from == stretch.to || written - self.0.read.load(Ordering::Acquire) >= MOST as u64 {
            return;
        }
        let slot = &self.0.slots[written as usize % MOST];
        for (place, value) in slot.iter().zip([stretch.at, stretch.from, stretch.to]) {
            place.store(value, Ordering::Relaxed);
        }
        self.0.written.store(written + 1, Ordering::Release);
    }
}

impl SoundReader {
    pub(super) fn pop(&mut self) -> Option<Stretch> {
        let read = self.0.read.load(Ordering::Relaxed);
        if read == self.0.written.load(Ordering::Acquire) {
            return None;
        }
        let [at, from, to] = &self.0.slots[read as usize % MOST];
        let [at, from, to] = [at, from, to].map(|place| place.load(Ordering::Relaxed));
        self.0.read.store(read + 1, Ordering::Release);
        Some(Stretch { at, from, to })
    }
}

/// What was heard.
#[derive(Debug)]
pub(super) struct Hearing {
    rate: u32,
    /// What the device has and may not have sounded, oldest first.
    ahead: VecDeque<Stretch>,
    heard: u64,
}

impl Hearing {
    /// Of a loudspeaker with this rate (Hz).
    pub(super) const fn new(rate: u32) -> Self {
        Self { rate, ahead: VecDeque::new(), heard: 0 }
    }

    /// The device has taken this.
    pub(super) fn note(&mut self, stretch: Stretch) {
        // A device that says it holds ever more is not believed for ever.
        if self.ahead.len() == MOST {
            self.ahead.pop_front();
        }
        self.ahead.push_back(stretch);
    }

    /// What lies before this position sounds no more than it has.
    pub(super) fn pass(&mut self, position: u64) {
        self.ahead.retain(|stretch| stretch.to > position);
        self.heard = self.heard.max(position);
    }

    /// The position in the ring up to which all has been heard by now (µs). A sample is heard when it begins
    /// to sound.
    pub(super) fn heard(&mut self, now: u64) -> u64 {
        while let Some(front) = self.ahead.front() {
            let Some(sounding) = now.checked_sub(front.at) else { break };
            let samples = sounding.saturating_mul(u64::from(self.rate)) / 1_000_000 + 1;
            self.heard = self.heard.max(front.from.saturating_add(samples).min(front.to));
            if self.heard < front.to {
                break;
            }
            self.ahead.pop_front();
        }
        self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_device_took_is_heard_when_it_sounds_and_silence_between_does_not_count() {
        let mut hearing = Hearing::new(1_000);
        assert_eq!(hearing.heard(5), 0);
        hearing.note(Stretch { at: 40_000, from: 0, to: 20 });
        hearing.note(Stretch { at: 90_000, from: 20, to: 40 });
        for (now_ms, heard) in [(0, 0), (39, 0), (40, 1), (49, 10), (59, 20), (80, 20), (90, 21), (200, 40)] {
            assert_eq!(hearing.heard(now_ms * 1_000), heard, "at {now_ms} ms");
        }
        assert_eq!(hearing.heard(0), 40, "what was heard stays heard");
    }

    #[test]
    fn a_log_that_nobody_reads_keeps_the_oldest_and_goes_on_later() {
        let (mut writer, mut reader) = sound_log();
        let stretch = |n: u64| Stretch { at: n, from: n, to: n + 1 };
        writer.push(Stretch { at: 1, from: 3, to: 3 });
        assert_eq!(reader.pop(), None, "an empty stretch says nothing");
        (0..5_000).for_each(|n| writer.push(stretch(n)));
        let read: Vec<Stretch> = std::iter::from_fn(|| reader.pop()).collect();
        assert_eq!((read.len(), read[0], read[1_023]), (1_024, stretch(0), stretch(1_023)));
        writer.push(stretch(5_000));
        assert_eq!(reader.pop(), Some(stretch(5_000)));
        // The samples between were heard before what follows them.
        let mut hearing = Hearing::new(1_000);
        read.into_iter().chain([stretch(5_000)]).for_each(|stretch| hearing.note(stretch));
        assert_eq!(hearing.heard(5_000), 5_001);
    }
}
