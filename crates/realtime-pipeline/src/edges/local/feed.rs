//! What the loudspeaker's callback does: [`Feed`].

use super::hearing::{SoundWriter, Stretch};
use super::ring::{SampleReader, SampleWriter};
use super::state::DeviceState;
use std::sync::Arc;

/// Gives the device what waits in the ring, and silence when nothing does.
#[derive(Debug)]
pub(super) struct Feed {
    reader: SampleReader,
    log: SoundWriter,
    /// Gets all that the device is given: what an echo is an echo of.
    reference: Option<SampleWriter>,
    state: Arc<DeviceState>,
    rate: u32,
}

impl Feed {
    /// For a device of this rate (Hz).
    pub(super) const fn new(
        reader: SampleReader,
        log: SoundWriter,
        reference: Option<SampleWriter>,
        state: Arc<DeviceState>,
        rate: u32,
    ) -> Self {
        Self { reader, log, reference, state, rate }
    }

    /// Fills `out`, whose first sample sounds at `at` (µs). What was cut off falls to silence within 5 ms.
    pub(super) fn fill(&mut self, at: u64, out: &mut [i16]) {
        let mut filled = 0;
        if let Some(cut) = self.reader.cut() {
            let from = self.reader.position();
            let left = usize::try_from(cut.saturating_sub(from)).unwrap_or(usize::MAX);
            let most = (self.rate as usize / 200).min(left).min(out.len());
            filled = self.reader.pop(&mut out[..most]);
            for (n, sample) in (0_i32..).zip(&mut out[..filled]) {
                let length = i32::try_from(filled).unwrap_or(i32::MAX);
                *sample = (i32::from(*sample) * (length - n) / length) as i16;
            }
            self.log.push(Stretch { at, from, to: from + filled as u64 });
            self.reader.drop_to(cut);
        }
        let from = self.reader.position();
        let taken = self.reader.pop(&mut out[filled..]);
        let begins = at + filled as u64 * 1_000_000 / u64::from(self.rate.max(1));
        self.log.push(Stretch { at: begins, from, to: from + taken as u64 });
        let silence = &mut out[filled + taken..];
        silence.fill(0);
        self.state.add_silence(silence.len() as u64);
        if let Some(reference) = &mut self.reference {
            reference.push(out.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hearing::sound_log;
    use super::super::ring::ring;
    use super::*;

    #[test]
    fn the_device_gets_what_waits_then_silence_and_all_of_it_is_the_reference() {
        let ((mut writer, reader), (log, mut sounds)) = (ring(1_000), sound_log());
        let (reference, mut heard) = ring(1_000);
        let state = Arc::new(DeviceState::default());
        let mut feed = Feed::new(reader, log, Some(reference), Arc::clone(&state), 8_000);
        writer.push([5; 100]);
        let mut out = [9; 80];
        feed.fill(1_000, &mut out);
        assert_eq!(out, [5; 80]);
        feed.fill(11_000, &mut out);
        assert_eq!((&out[..20], &out[20..], state.silence()), (&[5; 20][..], &[0; 60][..], 60));
        assert_eq!(sounds.pop(), Some(Stretch { at: 1_000, from: 0, to: 80 }));
        assert_eq!(sounds.pop(), Some(Stretch { at: 11_000, from: 80, to: 100 }));
        let mut reference = [1; 200];
        assert_eq!(heard.pop(&mut reference), 160);
        assert_eq!((&reference[..100], &reference[100..160]), (&[5; 100][..], &[0; 60][..]));
    }

    #[test]
    fn a_cut_fades_and_what_follows_it_sounds_at_once() {
        let ((mut writer, reader), (log, mut sounds)) = (ring(1_000), sound_log());
        let mut feed = Feed::new(reader, log, None, Arc::default(), 8_000);
        writer.push([1_000; 500]);
        writer.cut();
        writer.push([7; 10]);
        let mut out = [9; 80];
        feed.fill(0, &mut out);
        assert_eq!((out[0], out[20], out[39], out[40], out[49], out[50]), (1_000, 500, 25, 7, 7, 0));
        assert_eq!(writer.dropped_from(), Some(40));
        assert_eq!(sounds.pop(), Some(Stretch { at: 0, from: 0, to: 40 }));
        assert_eq!(sounds.pop(), Some(Stretch { at: 5_000, from: 500, to: 510 }));
    }
}
