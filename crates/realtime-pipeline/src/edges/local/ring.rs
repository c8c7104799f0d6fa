//! Samples between an audio callback and the call's task: [`ring`].
//!
//! Rule: neither side ever waits for the other, takes a lock, or allocates. Each sample is an atomic, so no
//! `unsafe` is needed. There is one writer and one reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicI16, AtomicU64, Ordering};

/// The most samples that are written before they are announced. So many at the end of the ring may be
/// overwritten at any time, and are not read.
const BLOCK: u64 = 256;

/// The ends of a ring that holds at least so many samples.
pub(super) fn ring(room: usize) -> (SampleWriter, SampleReader) {
    let slots = (0..room.max(1) + 2 * BLOCK as usize).map(|_| AtomicI16::new(0)).collect();
    let ring = Arc::new(Ring {
        slots,
        written: AtomicU64::new(0),
        read: AtomicU64::new(0),
        cut: AtomicU64::new(0),
        cut_seen: AtomicU64::new(0),
        dropped_from: AtomicU64::new(0),
    });
    (SampleWriter(Arc::clone(&ring)), SampleReader { ring, read: 0, lost: 0 })
}

/// Positions count samples since the beginning. They never wrap: 64 bits last for millions of years.
#[derive(Debug)]
struct Ring {
    slots: Box<[AtomicI16]>,
    written: AtomicU64,
    read: AtomicU64,
    /// What lies before it is not wanted any more. 0: nothing was ever dropped.
    cut: AtomicU64,
    /// The last cut that the reader knows of.
    cut_seen: AtomicU64,
    /// Where the reader stood at that cut.
    dropped_from: AtomicU64,
}

/// The end that gives samples.
#[derive(Debug)]
pub(super) struct SampleWriter(Arc<Ring>);

/// The end that takes samples.
#[derive(Debug)]
pub(super) struct SampleReader {
    ring: Arc<Ring>,
    read: u64,
    lost: u64,
}

impl Ring {
    fn slot(&self, position: u64) -> &AtomicI16 {
        &self.slots[usize::try_from(position % self.slots.len() as u64).unwrap_or_default()]
    }

    /// How many samples may wait: the rest is being overwritten.
    fn room(&self) -> u64 {
        self.slots.len() as u64 - BLOCK
    }
}

impl SampleWriter {
    /// Gives samples. The reader loses the oldest ones if there are more than fit.
    pub(super) fn push(&mut self, samples: impl IntoIterator<Item = i16>) {
        let mut announced = self.0.written.load(Ordering::Relaxed);
        let mut written = announced;
        for sample in samples {
            // Who reads this sample too early also reads what was announced before it: hence `Release`.
            self.0.slot(written).store(sample, Ordering::Release);
            written += 1;
            if written - announced == BLOCK {
                self.0.written.store(written, Ordering::Release);
                announced = written;
            }
        }
        self.0.written.store(written, Ordering::Release);
    }

    /// How many samples were given since the beginning.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many samples wait for the reader.
    pub(super) fn waiting(&self) -> u64 {
        self.written().saturating_sub(self.0.read.load(Ordering::Acquire))
    }

    /// How many more samples fit.
    pub(super) fn free(&self) -> u64 {
        self.0.room().saturating_sub(self.waiting())
    }

    /// Nothing that waits is wanted any more. The reader drops it when it reads next.
    pub(super) fn cut(&mut self) {
        // One more than the position, so that a cut at the very beginning is one.
        self.0.cut.store(self.written() + 1, Ordering::Release);
    }

    /// Where the reader stood when it dropped what was [cut](Self::cut). `None`: it has not yet.
    pub(super) fn dropped_from(&self) -> Option<u64> {
        let is_seen = self.0.cut_seen.load(Ordering::Acquire) == self.0.cut.load(Ordering::Relaxed);
        is_seen.then(|| self.0.dropped_from.load(Ordering::Relaxed))
    }
}

impl SampleReader {
    /// Takes the oldest samples, as many as there are and fit. Returns how many.
    pub(super) fn pop(&mut self, out: &mut [i16]) -> usize {
        let room = self.ring.room();
        loop {
            let written = self.ring.written.load(Ordering::Acquire);
            if written - self.read > room {
                // Half of it stays: the writer goes on, and would overtake again at once.
                let next = written - room / 2;
                self.lost += next - self.read;
                self.read = next;
            }
            let count = usize::try_from(written - self.read).unwrap_or(usize::MAX).min(out.len());
            for (position, sample) in (self.read..).zip(&mut out[..count]) {
                *sample = self.ring.slot(position).load(Ordering::Acquire);
            }
            // If the writer has overtaken meanwhile, these samples are no neighbours.
            if self.ring.written.load(Ordering::Acquire) - self.read <= room {
                self.read += count as u64;
                self.ring.read.store(self.read, Ordering::Release);
                return count;
            }
        }
    }

    /// How many samples were taken or lost since the beginning.
    pub(super) const fn position(&self) -> u64 {
        self.read
    }

    /// How many samples were overwritten before they were read.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// The position before which nothing is wanted, if there is such a wish that was not heeded yet.
    pub(super) fn cut(&self) -> Option<u64> {
        let cut = self.ring.cut.load(Ordering::Acquire);
        (cut != self.ring.cut_seen.load(Ordering::Relaxed)).then(|| cut - 1)
    }

    /// Heeds the wish: drops what lies before `cut`.
    pub(super) fn drop_to(&mut self, cut: u64) {
        self.ring.dropped_from.store(self.read, Ordering::Relaxed);
        self.read = self.read.max(cut);
        self.ring.read.store(self.read, Ordering::Release);
        self.ring.cut_seen.store(cut + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(reader: &mut SampleReader, most: usize) -> Vec<i16> {
        let mut out = vec![0; most];
        let count = reader.pop(&mut out);
        out.truncate(count);
        out
    }

    #[test]
    fn samples_come_in_order_however_they_are_cut_into_pieces() {
        let (mut writer, mut reader) = ring(1_000);
        let mut out = Vec::new();
        for piece in 0..1_000_i16 {
            writer.push((piece * 7)..(piece * 7 + 7));
            out.extend(pop(&mut reader, 1 + piece as usize % 20));
        }
        while writer.waiting() > 0 {
            out.extend(pop(&mut reader, 300));
        }
        assert_eq!(out, (0..7_000).collect::<Vec<i16>>());
        assert_eq!((reader.lost(), reader.position()), (0, 7_000));
    }

    #[test]
    fn a_reader_that_is_late_loses_the_oldest_and_knows_how_many() {
        let (mut writer, mut reader) = ring(100);
        writer.push(0..2_000);
        assert_eq!(writer.free(), 0);
        let rest = pop(&mut reader, 2_000);
        assert!(rest.len() >= 100 && rest.last() == Some(&1_999), "{} samples", rest.len());
        assert!(rest.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert_eq!(reader.lost() + rest.len() as u64, 2_000);
    }

    #[test]
    fn a_cut_drops_what_waits_and_tells_where_the_reader_stood() {
        let (mut writer, mut reader) = ring(1_000);
        writer.cut();
        assert_eq!((reader.cut(), writer.dropped_from()), (Some(0), None));
        reader.drop_to(0);
        assert_eq!((reader.cut(), writer.dropped_from()), (None, Some(0)));
        writer.push(0..500);
        pop(&mut reader, 200);
        writer.cut();
        writer.push([7]);
        let cut = reader.cut().unwrap();
        assert_eq!(pop(&mut reader, 5), [200, 201, 202, 203, 204], "a fade");
        reader.drop_to(cut);
        assert_eq!(writer.dropped_from(), Some(205));
        assert_eq!(pop(&mut reader, 10), [7]);
    }

    #[test]
    fn two_threads_lose_nothing_of_what_fits_and_mix_nothing_up() {
        let (mut writer, mut reader) = ring(4_000);
        let writing = std::thread::spawn(move || {
            for piece in 0..2_000_i32 {
                writer.push((piece * 100..piece * 100 + 100).map(|n| (n % 30_000) as i16));
                if piece % 16 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let (mut taken, mut before) = (0, None::<i16>);
        let mut jumps = 0;
        while taken + reader.lost() < 200_000 {
            for sample in pop(&mut reader, 480) {
                let follows =
                    before.is_none_or(|before| (i32::from(before) + 1) % 30_000 == i32::from(sample));
                jumps += u64::from(!follows);
                before = Some(sample);
                taken += 1;
            }
        }
        writing.join().unwrap();
        assert!(jumps == 0 || reader.lost() > 0, "{jumps} jumps without a loss");
        assert!(jumps <= reader.lost(), "{jumps} jumps, {} lost", reader.lost());
    }
}
