//! Input audio: what is kept back until the user's turn begins, and how much the server's buffer holds.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use crate::audio::AudioFormat;
use crate::time::MediaTime;

/// The server accepts no commit of less than this.
pub(super) const SHORTEST_COMMIT: MediaTime = MediaTime::from_millis(100);

/// The user's audio on its way to the server.
#[derive(Debug, Default)]
pub(super) struct InputAudio {
    /// Bytes appended since the last commit or clear.
    buffered_bytes: u64,
    /// Audio from before a push-to-talk turn, the newest.
    pre_roll: VecDeque<Bytes>,
    in_turn: bool,
    /// Whether the server's buffer holds the audio of a turn that came to nothing.
    stale: bool,
    /// Whether audio was ever appended here. If not, the user's audio takes another route than this
    /// connection.
    comes_from_here: bool,
}

impl InputAudio {
    /// Keeps audio from outside of a turn, the newest up to `most`.
    pub(super) fn keep_back(&mut self, audio: Bytes, format: AudioFormat, most: Duration) {
        self.pre_roll.push_back(audio);
        drop_oldest(self.pre_roll.iter_mut(), format.bytes(most.into()));
        self.pre_roll.retain(|audio| !audio.is_empty());
    }

    /// A push-to-talk turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.in_turn = true;
    }

    /// What was kept back, oldest first.
    pub(super) fn take_pre_roll(&mut self) -> VecDeque<Bytes> {
        core::mem::take(&mut self.pre_roll)
    }

    /// A push-to-talk turn ends.
    pub(super) fn end_turn(&mut self) {
        self.in_turn = false;
    }

    /// A push-to-talk turn was too short to be an item: its audio must not become part of the next turn.
    pub(super) fn abandon_turn(&mut self) {
        self.end_turn();
        self.stale |= core::mem::take(&mut self.buffered_bytes) > 0;
    }

    /// Returns whether the server's buffer must be cleared before more audio goes there.
    pub(super) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Returns whether a push-to-talk turn runs.
    pub(super) const fn in_turn(&self) -> bool {
        self.in_turn
    }

    /// Notes that audio was sent.
    pub(super) fn appended(&mut self, bytes: usize) {
        self.buffered_bytes += bytes as u64;
        self.comes_from_here = true;
    }

    /// Returns whether the user's audio is appended here.
    pub(super) const fn comes_from_here(&self) -> bool {
        self.comes_from_here
    }

    /// Notes that the driver could not send some of it.
    pub(super) fn unsent(&mut self, bytes: u64) {
        self.buffered_bytes = self.buffered_bytes.saturating_sub(bytes);
    }

    /// Notes that the server's buffer is empty again.
    pub(super) fn emptied(&mut self) {
        self.buffered_bytes = 0;
        self.stale = false;
    }

    /// How much the server's buffer holds.
    pub(super) const fn buffered(&self, format: AudioFormat) -> MediaTime {
        format.duration(self.buffered_bytes)
    }
}

/// Keeps the newest `most` bytes of audio and cuts the oldest, in whole samples. A chunk that is cut off
/// completely stays as an empty one. Returns the number of dropped bytes.
pub(crate) fn drop_oldest<'a>(audio: impl DoubleEndedIterator<Item = &'a mut Bytes>, most: u64) -> u64 {
    let mut room = most;
    let mut dropped = 0;
    for audio in audio.rev() {
        let bytes = audio.len() as u64;
        // An even number of bytes is a whole number of samples in every format.
        let cut = bytes.saturating_sub(room).next_multiple_of(2).min(bytes);
        room -= (bytes - cut).min(room);
        dropped += cut;
        if cut > 0 {
            room = 0; // nothing older than a gap
            *audio = audio.slice(usize::try_from(cut).unwrap_or(usize::MAX)..);
        }
    }
    dropped
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
        let kept = input.take_pre_roll();
        let sizes: alloc::vec::Vec<(u8, usize)> = kept.iter().map(|audio| (audio[0], audio.len())).collect();
        assert_eq!(sizes, [(3, 24_000), (4, 48_000)]);
    }
}
