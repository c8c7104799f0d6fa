//! What stands where in what the carrier was sent: [`Places`].
//!
//! The playout counts samples of a part at the part's rate; the carrier plays one stream of samples at its
//! own. Both are counted here since the last flush, so that nothing is rounded twice.

use std::collections::VecDeque;

use crate::chain::{AudioSource, SinkPosition};

/// Stretches of audio, in the order of hearing.
#[derive(Debug)]
pub(super) struct Places {
    /// Samples per second of the carrier (Hz).
    rate: u32,
    spans: VecDeque<Span>,
    /// Where the next audio begins, in the carrier's samples.
    end: u64,
    run: Run,
    /// What was last told.
    heard: Option<SinkPosition>,
}

/// Audio of one source without a gap.
#[derive(Debug)]
struct Span {
    source: AudioSource,
    rate: u32,
    /// The position of its first sample in the source, and how many there are.
    start: u64,
    samples: u64,
    /// Where it stands, in the carrier's samples.
    begins: u64,
    ends: u64,
}

/// Audio of one rate in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    rate: u32,
    begins: u64,
    samples: u64,
}

/// The most stretches that wait to be heard. A carrier that tells nothing is not told of the oldest.
const MOST_SPANS: usize = 1_024;

impl Places {
    /// For a carrier that plays so many samples a second.
    pub(super) const fn new(rate: u32) -> Self {
        let run = Run { rate: 0, begins: 0, samples: 0 };
        Self { rate, spans: VecDeque::new(), end: 0, run, heard: None }
    }

    /// Audio follows. Returns whether another source has ended or begun with it.
    pub(super) fn push(&mut self, source: &AudioSource, rate: u32, start: u64, samples: u64) -> bool {
        if self.run.rate != rate {
            self.run = Run { rate, begins: self.end, samples: 0 };
        }
        let begins = self.end;
        self.run.samples += samples;
        let ends = self.run.begins + scaled(self.run.samples, rate, self.rate);
        self.end = ends;
        let is_same = |span: &Span| span.source == *source;
        if let Some(last) = self.spans.back_mut().filter(|last| is_same(last))
            && (last.rate, last.start + last.samples) == (rate, start)
        {
            (last.samples, last.ends) = (last.samples + samples, ends);
            return false;
        }
        let begins_part = !self.spans.back().is_some_and(is_same);
        if self.spans.len() == MOST_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(Span { source: source.clone(), rate, start, samples, begins, ends });
        begins_part
    }

    /// Where the next audio begins, in the carrier's samples.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// All that was given has gone out, up to here: the next audio begins here.
    pub(super) fn align(&mut self, end: u64) {
        self.end = end;
        self.run = Run::default();
    }

    /// The carrier has played up to here. Gives what was heard that was not told: the ends of sources that
    /// are over, and the place in the one that sounds.
    pub(super) fn advance(&mut self, played: u64, heard: &mut VecDeque<SinkPosition>) {
        while let Some(span) = self.spans.front()
            && span.begins < played
        {
            let at = SinkPosition { source: span.source.clone(), samples: span.position(played, self.rate) };
            let is_over = span.ends <= played;
            if self.heard.as_ref() != Some(&at) {
                if heard.back().is_some_and(|last| last.source == at.source) {
                    heard.pop_back();
                }
                heard.push_back(at.clone());
                self.heard = Some(at);
            }
            // The last one stays, so that what follows of it is known to be the same.
            if !is_over || self.spans.len() == 1 {
                break;
            }
            self.spans.pop_front();
        }
    }

    /// The last place that was told.
    pub(super) const fn heard(&self) -> Option<&SinkPosition> {
        self.heard.as_ref()
    }

    /// What was not heard is dropped, and samples count from 0.
    pub(super) fn restart(&mut self) {
        self.spans.clear();
        self.align(0);
    }
}

impl Span {
    /// The position in the source when the carrier has played up to here.
    fn position(&self, played: u64, rate: u32) -> u64 {
        if played >= self.ends {
            return self.start + self.samples;
        }
        let since =
            u128::from(played.saturating_sub(self.begins)) * u128::from(self.rate) / u128::from(rate.max(1));
        self.start + u64::try_from(since).unwrap_or(u64::MAX).min(self.samples)
    }
}

/// So many samples at another rate, rounded up as a resampler does.
fn scaled(samples: u64, from: u32, to: u32) -> u64 {
    let scaled = (u128::from(samples) * u128::from(to)).div_ceil(u128::from(from.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(item: &str) -> AudioSource {
        AudioSource::Part { item_id: item.into(), content_index: 0 }
    }

    fn told(places: &mut Places, played: u64) -> Vec<(String, u64)> {
        let mut heard = VecDeque::new();
        places.advance(played, &mut heard);
        let name = |source: AudioSource| match source {
            AudioSource::Part { item_id, .. } => item_id.as_str().to_owned(),
            _ => "clip".to_owned(),
        };
        heard.into_iter().map(|at| (name(at.source), at.samples)).collect()
    }

    #[test]
    fn positions_are_those_of_the_part_at_its_own_rate() {
        let mut places = Places::new(8_000);
        for chunk in 0..50 {
            places.push(&part("one"), 24_000, chunk * 480, 480);
        }
        assert_eq!(places.end(), 8_000);
        assert_eq!(told(&mut places, 4_000), [("one".to_owned(), 12_000)]);
        assert_eq!(told(&mut places, 4_000), [], "it was told");
        assert_eq!(told(&mut places, 9_000), [("one".to_owned(), 24_000)]);
    }

    #[test]
    fn what_is_passed_over_is_told_to_its_end() {
        let mut places = Places::new(8_000);
        assert!(places.push(&part("one"), 8_000, 0, 800));
        assert!(!places.push(&part("one"), 8_000, 800, 800));
        assert!(!places.push(&part("one"), 8_000, 4_000, 800), "some of it was lost before");
        assert!(places.push(&part("two"), 16_000, 0, 1_600));
        assert_eq!(told(&mut places, 1_000), [("one".to_owned(), 1_000)]);
        assert_eq!(told(&mut places, 2_000), [("one".to_owned(), 4_400)]);
        assert_eq!(told(&mut places, 2_800), [("one".to_owned(), 4_800), ("two".to_owned(), 800)]);
    }

    #[test]
    fn odd_rates_do_not_drift() {
        let mut places = Places::new(8_000);
        for chunk in 0..100 {
            places.push(&part("one"), 11_025, chunk * 221, 221);
        }
        assert_eq!(places.end(), (22_100_u64 * 8_000).div_ceil(11_025));
        let end = places.end();
        assert_eq!(told(&mut places, end), [("one".to_owned(), 22_100)]);
    }

    #[test]
    fn after_a_flush_places_count_from_zero() {
        let mut places = Places::new(8_000);
        places.push(&part("one"), 8_000, 0, 8_000);
        told(&mut places, 2_000);
        places.restart();
        assert_eq!(told(&mut places, 1), []);
        assert!(places.push(&part("one"), 8_000, 2_000, 6_000));
        assert_eq!(told(&mut places, 100), [("one".to_owned(), 2_100)]);
    }

    #[test]
    fn a_carrier_that_tells_nothing_costs_a_bounded_table() {
        let mut places = Places::new(8_000);
        for number in 0..5_000_u64 {
            places.push(&part(&number.to_string()), 8_000, 0, 8);
        }
        assert_eq!(places.spans.len(), MOST_SPANS);
        assert_eq!(told(&mut places, 40_000).len(), MOST_SPANS);
    }
}
