//! Input audio for which there is no session at the moment: the newest, to the sample, and what was lost of it.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use crate::audio::AudioFormat;
use crate::time::{MediaTime, Timestamp};

/// Input audio that waits.
#[derive(Debug, Default)]
pub(super) struct HeldAudio {
    chunks: VecDeque<(Timestamp, Bytes)>,
    bytes: u64,
    lost_bytes: u64,
}

impl HeldAudio {
    /// Keeps audio, and lets go of what is older than `oldest`.
    pub(super) fn push(&mut self, now: Timestamp, audio: Bytes, format: AudioFormat, oldest: Duration) {
        self.bytes += audio.len() as u64;
        self.chunks.push_back((now, audio));
        self.trim(now, format, oldest);
    }

    /// Lets go of what is older than `oldest`, by its length or because no more came.
    pub(super) fn trim(&mut self, now: Timestamp, format: AudioFormat, oldest: Duration) {
        while let Some((came, audio)) = self.chunks.front()
            && *came + oldest < now
        {
            self.lose(audio.len() as u64);
        }
        // An even number of bytes is a whole number of samples in every format.
        let surplus = self.bytes.saturating_sub(format.bytes(oldest.into()));
        self.lose(surplus.next_multiple_of(2).min(self.bytes));
    }

    /// Takes out what is held, oldest first, and says what was lost.
    pub(super) fn take(&mut self, format: AudioFormat) -> (VecDeque<(Timestamp, Bytes)>, MediaTime) {
        let Self { chunks, lost_bytes, .. } = core::mem::take(self);
        (chunks, format.duration(lost_bytes))
    }

    fn lose(&mut self, mut bytes: u64) {
        self.bytes -= bytes;
        self.lost_bytes += bytes;
        while bytes > 0
            && let Some((_, audio)) = self.chunks.front_mut()
        {
            let cut = bytes.min(audio.len() as u64);
            bytes -= cut;
            if cut == audio.len() as u64 {
                self.chunks.pop_front();
            } else {
                *audio = audio.slice(usize::try_from(cut).unwrap_or(usize::MAX)..);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat::PCM16_24K;
    const OLDEST: Duration = Duration::from_secs(2);

    fn push(held: &mut HeldAudio, at: u64, millis: u64) {
        let audio = Bytes::from(alloc::vec![0; FORMAT.bytes(MediaTime::from_millis(millis)) as usize]);
        held.push(Timestamp::from_millis(at), audio, FORMAT, OLDEST);
    }

    fn kept(held: &mut HeldAudio) -> (u64, u64) {
        let (chunks, lost) = held.take(FORMAT);
        let bytes = chunks.iter().map(|(_, audio)| audio.len() as u64).sum();
        (FORMAT.duration(bytes).as_millis(), lost.as_millis())
    }

    #[test]
    fn what_is_too_old_is_lost_to_the_millisecond() {
        let mut held = HeldAudio::default();
        for at in (0..10_000).step_by(30) {
            push(&mut held, at, 30);
        }
        assert_eq!(kept(&mut held), (2000, 334 * 30 - 2000));
        assert_eq!(kept(&mut held), (0, 0), "nothing is lost twice");
    }

    #[test]
    fn audio_grows_old_even_if_no_more_comes() {
        let mut held = HeldAudio::default();
        push(&mut held, 0, 500);
        push(&mut held, 2100, 500);
        held.trim(Timestamp::from_millis(2200), FORMAT, OLDEST);
        assert_eq!(kept(&mut held), (500, 500));
        push(&mut held, 0, 5000);
        assert_eq!(kept(&mut held), (2000, 3000), "one long piece is cut");
    }
}
