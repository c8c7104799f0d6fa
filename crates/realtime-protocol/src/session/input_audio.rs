//! Input audio: what is held until the session is ready, and how much the server's buffer holds.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use crate::audio::AudioFormat;
use crate::time::MediaTime;

/// The server makes no item of less than this.
pub(super) const SHORTEST_COMMIT: MediaTime = MediaTime::from_millis(100);

/// The largest append (bytes of base64 text): the reference says 15 MiB.
pub(super) const LARGEST_APPEND: usize = 15 * 1024 * 1024;

/// The user's audio on its way to the server.
#[derive(Debug, Default)]
pub(super) struct InputAudio {
    held: VecDeque<Bytes>,
    held_bytes: u64,
    /// Bytes appended since the last commit or clear.
    buffered_bytes: u64,
}

impl InputAudio {
    /// Keeps audio until the session is ready, the newest up to `most`. Gives back what was dropped.
    pub(super) fn hold(&mut self, audio: Bytes, format: AudioFormat, most: Duration) -> MediaTime {
        self.held_bytes += audio.len() as u64;
        self.held.push_back(audio);
        let most = format.bytes(most.into());
        let mut dropped = 0;
        while self.held_bytes > most && self.held.len() > 1 {
            let Some(oldest) = self.held.pop_front() else { break };
            self.held_bytes -= oldest.len() as u64;
            dropped += oldest.len() as u64;
        }
        format.duration(dropped)
    }

    /// The held audio, oldest first.
    pub(super) fn release(&mut self) -> VecDeque<Bytes> {
        self.held_bytes = 0;
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
