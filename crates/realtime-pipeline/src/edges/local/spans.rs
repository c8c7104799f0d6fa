//! Where positions in the loudspeaker's ring lie in what was handed out: [`Spans`].

use std::collections::VecDeque;

use crate::chain::{AudioSource, OutputAudio, SinkPosition};

/// The most stretches that are kept: ten seconds in chunks of 5 ms are 2,000.
const MOST: usize = 4_096;

/// What lies where in the ring.
#[derive(Debug)]
pub(super) struct Spans {
    /// The device's rate (Hz).
    rate: u32,
    /// Where in the ring the audio begins that runs through the converter without a flush.
    origin: u64,
    /// The rate (Hz) and the length (samples) of that audio.
    run: Option<(u32, u64)>,
    spans: VecDeque<Span>,
    told: Option<SinkPosition>,
}

/// A stretch of one source.
#[derive(Clone, Debug)]
struct Span {
    from: u64,
    to: u64,
    source: AudioSource,
    start: u64,
    frames: u64,
}

impl Spans {
    /// For a device with this rate (Hz).
    pub(super) const fn new(rate: u32) -> Self {
        Self { rate, origin: 0, run: None, spans: VecDeque::new(), told: None }
    }

    /// Audio goes to the converter. It lies in the ring after the audio before it.
    pub(super) fn push(&mut self, played: &OutputAudio) {
        let (rate, frames) = (played.audio.rate(), played.audio.frames());
        let before = self.run.filter(|(of, _)| *of == rate).map_or(0, |(_, length)| length);
        self.run = Some((rate, before + frames));
        let place = |samples| self.origin + scaled(samples, self.rate, rate);
        let (from, to) = (place(before), place(before + frames));
        if self.spans.len() == MOST {
            self.spans.pop_front();
        }
        let (source, start) = (played.source.clone(), played.start);
        self.spans.push_back(Span { from, to, source, start, frames });
    }

    /// The converter was flushed, and the ring ends here: the next audio begins there.
    pub(super) const fn flushed(&mut self, written: u64) {
        self.origin = written;
        self.run = None;
    }

    /// The rate (Hz) of the audio that runs through the converter. `None`: it holds nothing.
    pub(super) fn running(&self) -> Option<u32> {
        self.run.map(|(rate, _)| rate)
    }

    /// Returns whether this audio goes on where the last audio ended.
    pub(super) fn is_followed_by(&self, played: &OutputAudio) -> bool {
        self.spans
            .back()
            .is_some_and(|last| last.source == played.source && last.start + last.frames == played.start)
    }

    /// All before this position has been heard: where that is. `None`: nothing new was.
    pub(super) fn heard(&mut self, position: u64) -> Option<SinkPosition> {
        let begun = self.spans.iter().take_while(|span| span.from < position).count();
        self.spans.drain(..begun.saturating_sub(1));
        let span = self.spans.front().filter(|span| span.from < position)?;
        let sounded = (position - span.from).min(span.to - span.from);
        // To the end of the span if it has sounded, whatever was rounded.
        let samples = match span.to - span.from {
            length if sounded == length => span.frames,
            length => sounded * span.frames / length,
        };
        let at = SinkPosition { source: span.source.clone(), samples: span.start + samples };
        let is_new = self.told.as_ref() != Some(&at);
        is_new.then(|| self.told.insert(at).clone())
    }

    /// What lies before `cut` was dropped, and was heard up to `position`. Returns the last that was heard.
    pub(super) fn dropped(&mut self, cut: u64, position: u64) -> Option<SinkPosition> {
        let at = self.heard(position.min(cut)).or_else(|| self.told.clone());
        self.spans.retain(|span| span.from >= cut);
        self.told = None;
        at
    }
}

/// Samples at one rate as samples at another, rounded up, as the converter does.
fn scaled(samples: u64, to: u32, from: u32) -> u64 {
    let scaled = (u128::from(samples) * u128::from(to)).div_ceil(u128::from(from.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Audio;

    fn played(clip: &str, start: u64, rate: u32, frames: usize) -> OutputAudio {
        let (source, audio) = (AudioSource::Clip(clip.into()), Audio::mono(rate, vec![1; frames]));
        OutputAudio { response_id: None, source, start, mark: None, audio }
    }

    fn at(clip: &str, samples: u64) -> Option<SinkPosition> {
        Some(SinkPosition { source: AudioSource::Clip(clip.into()), samples })
    }

    #[test]
    fn positions_are_told_at_the_rate_of_what_was_handed_out() {
        let mut spans = Spans::new(48_000);
        spans.push(&played("a", 100, 24_000, 480));
        spans.push(&played("a", 580, 24_000, 480));
        spans.push(&played("b", 0, 24_000, 240));
        assert_eq!(spans.heard(0), None);
        assert_eq!(spans.heard(480), at("a", 340));
        assert_eq!(spans.heard(480), None, "told");
        assert_eq!(spans.heard(960), at("a", 580));
        assert_eq!(spans.heard(1_000), at("a", 600));
        assert_eq!(spans.heard(1_922), at("b", 1));
        assert_eq!(spans.heard(9_999), at("b", 240));
        assert_eq!(spans.spans.len(), 1, "what was heard is forgotten");
    }

    #[test]
    fn odd_rates_end_exactly_where_the_converter_does() {
        let mut spans = Spans::new(44_100);
        for n in 0..50 {
            spans.push(&played("a", n * 441, 22_050, 441));
        }
        assert_eq!((spans.running(), spans.heard(44_100)), (Some(22_050), at("a", 22_050)));
        spans.flushed(44_100);
        spans.push(&played("b", 0, 24_000, 7));
        assert_eq!(spans.heard(44_113), at("b", 7), "7 samples are 12.9, and become 13");
        assert!(spans.is_followed_by(&played("b", 7, 24_000, 1)));
        assert!(!spans.is_followed_by(&played("b", 8, 24_000, 1)));
    }

    #[test]
    fn what_was_dropped_is_never_heard() {
        let mut spans = Spans::new(8_000);
        spans.push(&played("a", 0, 8_000, 800));
        assert_eq!(spans.heard(300), at("a", 300));
        // The cut is asked for here, and heeded later.
        spans.flushed(800);
        spans.push(&played("b", 0, 8_000, 80));
        assert_eq!(spans.dropped(800, 340), at("a", 340));
        assert_eq!(spans.heard(700), None);
        assert_eq!(spans.heard(810), at("b", 10));
        spans.flushed(880);
        assert_eq!(spans.dropped(880, 810), at("b", 10));
        assert_eq!(spans.dropped(880, 880), None, "nothing was heard since");
    }
}
