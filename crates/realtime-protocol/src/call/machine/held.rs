//! Input audio while there is no session: the newest is held, to the sample, and the loss is counted.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::audio::AudioFormat;
use crate::session::drop_oldest;
use crate::time::{MediaTime, Timestamp};

/// Input audio that waits.
#[derive(Debug, Default)]
pub(super) struct HeldAudio {
    chunks: VecDeque<(Timestamp, Bytes)>,
    bytes: u64,
    lost_bytes: u64,
    /// Where a push-to-talk turn begins: this many chunks before the end.
    turn: Option<usize>,
}

/// What is taken out.
#[derive(Debug)]
pub(super) struct Released {
    /// Audio from before the push-to-talk turn, oldest first. Without such a turn: all audio.
    pub(super) before: Vec<Bytes>,
    /// The turn's audio, if there is a turn.
    pub(super) turn: Option<Vec<Bytes>>,
    /// What was lost.
    pub(super) lost: MediaTime,
}

impl HeldAudio {
    /// Keeps audio, and drops what is older than `oldest`.
    pub(super) fn push(&mut self, now: Timestamp, audio: Bytes, format: AudioFormat, oldest: Duration) {
        self.bytes += audio.len() as u64;
        self.chunks.push_back((now, audio));
        if let Some(turn) = &mut self.turn {
            *turn += 1;
        }
        self.trim(now, format, oldest);
    }

    /// A push-to-talk turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.turn.get_or_insert(0);
    }

    /// It ends.
    pub(super) fn end_turn(&mut self) {
        self.turn = None;
    }

    /// Drops what is older than `oldest`, by its length or because no more came.
    pub(super) fn trim(&mut self, now: Timestamp, format: AudioFormat, oldest: Duration) {
        while let Some((came, audio)) = self.chunks.front()
            && *came + oldest < now
        {
            let bytes = audio.len() as u64;
            self.chunks.pop_front();
            self.bytes -= bytes;
            self.lost_bytes += bytes;
        }
        let most = format.bytes(oldest.into());
        let lost = drop_oldest(self.chunks.iter_mut().map(|(_, audio)| audio), most);
        self.chunks.retain(|(_, audio)| !audio.is_empty());
        self.bytes -= lost;
        self.lost_bytes += lost;
    }

    /// Returns whether a push-to-talk turn runs.
    pub(super) const fn in_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Drops all audio, and returns how much was lost. A push-to-talk turn runs on.
    pub(super) fn drop_all(&mut self, format: AudioFormat) -> MediaTime {
        let Self { bytes, lost_bytes, turn, .. } = core::mem::take(self);
        self.turn = turn.map(|_| 0);
        format.duration(bytes + lost_bytes)
    }

    /// Takes out what is held.
    pub(super) fn take(&mut self, format: AudioFormat) -> Released {
        let Self { chunks, lost_bytes, turn, .. } = core::mem::take(self);
        let begins = turn.map_or(chunks.len(), |turn| chunks.len().saturating_sub(turn));
        let mut before: Vec<Bytes> = chunks.into_iter().map(|(_, audio)| audio).collect();
        let after = before.split_off(begins);
        Released { before, turn: turn.map(|_| after), lost: format.duration(lost_bytes) }
    }
}

impl Released {
    /// Drops all of it.
    pub(super) fn lose(&mut self, format: AudioFormat) {
        let turn = self.turn.iter_mut().flat_map(core::mem::take);
        let bytes = core::mem::take(&mut self.before).into_iter().chain(turn).map(|audio| audio.len() as u64);
        self.lost += format.duration(bytes.sum());
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
        let Released { before, lost, .. } = held.take(FORMAT);
        let bytes = before.iter().map(|audio| audio.len() as u64).sum();
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

    #[test]
    fn a_push_to_talk_turn_keeps_its_place() {
        let mut held = HeldAudio::default();
        for begin in [false, true] {
            if begin {
                held.begin_turn();
            }
            push(&mut held, 0, 1000);
            push(&mut held, 0, 500);
        }
        let Released { before, turn, lost } = held.take(FORMAT);
        assert_eq!((before.len(), turn.map(|turn| turn.len()), lost.as_millis()), (1, Some(2), 1000));
        // A turn whose beginning is lost is still a turn.
        held.begin_turn();
        push(&mut held, 0, 3000);
        push(&mut held, 0, 2000);
        let Released { before, turn, .. } = held.take(FORMAT);
        assert_eq!((before.len(), turn.map(|turn| turn.len())), (0, Some(1)));
        assert_eq!(held.take(FORMAT).turn, None);
    }
}
