//! Input audio: what is held until the session is ready, and how much the server's buffer holds.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use crate::audio::AudioFormat;
use crate::time::MediaTime;

/// The server makes no item of less than this.
pub(super) const SHORTEST_COMMIT: MediaTime = MediaTime::from_millis(100);

/// The user's audio on its way to the server.
#[derive(Debug, Default)]
pub(super) struct InputAudio {
    held: VecDeque<Bytes>,
    /// Bytes appended since the last commit or clear.
    buffered_bytes: u64,
    /// Audio from before a push-to-talk turn, the newest.
    pre_roll: VecDeque<Bytes>,
    in_turn: bool,
}

impl InputAudio {
    /// Keeps audio until the session is ready, the newest up to `most`. Gives back what was dropped.
    pub(super) fn hold(&mut self, audio: Bytes, format: AudioFormat, most: Duration) -> MediaTime {
        format.duration(keep_newest(&mut self.held, audio, format.bytes(most.into())))
    }

    /// Keeps audio from outside of a turn, the newest up to `most`.
    pub(super) fn keep_back(&mut self, audio: Bytes, format: AudioFormat, most: Duration) {
        keep_newest(&mut self.pre_roll, audio, format.bytes(most.into()));
    }

    /// A push-to-talk turn begins: what was kept back of it, oldest first.
    pub(super) fn begin_turn(&mut self) -> VecDeque<Bytes> {
        self.in_turn = true;
        core::mem::take(&mut self.pre_roll)
    }

    /// A push-to-talk turn ends.
    pub(super) fn end_turn(&mut self) {
        self.in_turn = false;
    }

    /// Whether a push-to-talk turn runs.
    pub(super) const fn in_turn(&self) -> bool {
        self.in_turn
    }

    /// The held audio, oldest first.
    pub(super) fn release(&mut self) -> VecDeque<Bytes> {
        core::mem::take(&mut self.held)
    }

    /// Notes that audio was sent.
    pub(super) fn appended(&mut self, bytes: usize) {
        self.buffered_bytes += bytes as u64;
    }

    /// Notes that the server's buffer is empty again.
    pub(super) fn emptied(&mut self) {
        self.buffered_bytes = 0;
    }

    /// How much the server's buffer holds.
    pub(super) const fn buffered(&self, format: AudioFormat) -> MediaTime {
        format.duration(self.buffered_bytes)
    }
}

/// Adds audio to a queue that keeps the newest `most` bytes, cutting the oldest in whole samples. Gives back how many
/// bytes were dropped.
fn keep_newest(queue: &mut VecDeque<Bytes>, audio: Bytes, most: u64) -> u64 {
    queue.push_back(audio);
    let held: u64 = queue.iter().map(|audio| audio.len() as u64).sum();
    // An even number of bytes is a whole number of samples in every format.
    let surplus = held.saturating_sub(most).next_multiple_of(2);
    let mut left = surplus.min(held);
    while left > 0 {
        let Some(oldest) = queue.front_mut() else { break };
        let cut = left.min(oldest.len() as u64);
        left -= cut;
        if cut == oldest.len() as u64 {
            queue.pop_front();
        } else {
            *oldest = oldest.slice(usize::try_from(cut).unwrap_or(usize::MAX)..);
        }
    }
    surplus.min(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_audio_is_kept_to_the_sample() {
        let mut input = InputAudio::default();
        let format = AudioFormat::PCM16_24K;
        for second in 0..5_u8 {
            input.keep_back(Bytes::from(alloc::vec![second; 48_000]), format, Duration::from_millis(1500));
        }
        let kept = input.begin_turn();
        let sizes: alloc::vec::Vec<(u8, usize)> = kept.iter().map(|audio| (audio[0], audio.len())).collect();
        assert_eq!(sizes, [(3, 24_000), (4, 48_000)]);
    }
}
