//! One clip for each turn: where it begins and ends.
//!
//! Pure. A clip is kept whole until the turn is over, at most [`LONGEST`].

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use super::options::RecordedVoice;
use super::writer::{Piece, time};
use crate::chain::Audio;
use crate::convert::{ConvertError, Mono};
use crate::edges::timeline::Stretch;

/// The clip of one speaker, in the making.
#[derive(Debug)]
pub(super) struct Clips {
    voice: RecordedVoice,
    rate: u32,
    mono: Mono,
    /// The last samples before a turn.
    before: VecDeque<i16>,
    /// How many of them are kept.
    preroll: usize,
    clip: Option<Clip>,
}

#[derive(Debug)]
struct Clip {
    turn: u32,
    at: Timestamp,
    samples: Vec<i16>,
}

/// The longest clip. What follows in the turn is left out.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

impl Clips {
    pub(super) fn new(voice: RecordedVoice, rate: u32, preroll: Duration) -> Self {
        let preroll = preroll.as_millis() * u128::from(rate) / 1000;
        let preroll = usize::try_from(preroll).unwrap_or_default();
        Self { voice, rate, mono: Mono::new(rate), before: VecDeque::new(), preroll, clip: None }
    }

    /// Adds audio. Gives how much of it is left out, since the clip is too long.
    pub(super) fn add(&mut self, audio: &Audio) -> Result<Duration, ConvertError> {
        let samples = self.mono.convert(audio)?;
        let Some(clip) = &mut self.clip else {
            self.before.extend(samples);
            let extra = self.before.len().saturating_sub(self.preroll);
            self.before.drain(..extra);
            return Ok(Duration::ZERO);
        };
        let most = usize::try_from(LONGEST.as_secs() * u64::from(self.rate)).unwrap_or(usize::MAX);
        let some = samples.len().min(most.saturating_sub(clip.samples.len()));
        clip.samples.extend_from_slice(&samples[..some]);
        Ok(time((samples.len() - some) as u64, self.rate))
    }

    /// Returns whether a clip is open.
    pub(super) const fn is_open(&self) -> bool {
        self.clip.is_some()
    }

    /// A turn of this number begins. Does nothing if a clip is open.
    pub(super) fn begin(&mut self, turn: u32, now: Timestamp) {
        if self.clip.is_none() {
            let samples = Vec::from(std::mem::take(&mut self.before));
            let before = time(samples.len() as u64, self.rate).as_micros() as u64;
            let at = Timestamp::from_micros(now.as_micros().saturating_sub(before));
            self.clip = Some(Clip { turn, at, samples });
        }
    }

    /// What sounds after now was not heard.
    pub(super) fn cut(&mut self, now: Timestamp) {
        let Some(clip) = &mut self.clip else { return };
        let heard = now.saturating_since(clip.at).as_micros() * u128::from(self.rate) / 1_000_000;
        clip.samples.truncate(usize::try_from(heard).unwrap_or(usize::MAX));
        self.mono.reset();
    }

    /// The turn is over: its clip, if there is sound in it.
    pub(super) fn end(&mut self) -> Option<Piece> {
        let Clip { turn, at, mut samples } = self.clip.take()?;
        samples.extend(self.mono.flush());
        let stretch = Stretch { samples, silence: 0 };
        let piece = Piece { voice: self.voice, turn: Some(turn), at, channels: 1, stretch };
        (!piece.stretch.samples.is_empty()).then_some(piece)
    }
}
