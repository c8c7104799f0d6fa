//! What a page was sent and has played: [`Sent`].
//!
//! Rule: a position never exceeds what was sent. After the page has dropped what it held, what comes has
//! another number, so that a late report of what came before is not taken for one of it.

use std::collections::VecDeque;
use std::time::Duration;

use realtime_protocol::time::Timestamp;

use super::RATE;
use super::up::Place;
use crate::chain::{AudioSource, SinkPosition};

/// Items whose audio a page may not have played. A number is one run of a part or clip.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Oldest first. All before the one that plays have been played.
    items: VecDeque<Item>,
    last_number: u32,
    /// Samples that were sent (at 24,000 Hz), of all items.
    total: u64,
    /// Those of them that were played or dropped.
    gone: u64,
    /// What the page last told, and when.
    told: Option<(Place, Timestamp)>,
}

#[derive(Debug)]
struct Item {
    number: u32,
    source: AudioSource,
    /// Samples per second of the source (Hz).
    rate: u32,
    /// Where it ends so far, in samples of the source.
    end: u64,
    /// The same at 24,000 Hz, as the page counts.
    wire_end: u64,
    /// `total` when it ended there.
    total: u64,
    /// What was played of it, at 24,000 Hz.
    played: u64,
    /// Whether the page was told that nothing more of it comes.
    is_done: bool,
}

/// The most items whose audio waits at a page. What is older counts as played.
const MOST_ITEMS: usize = 256;

impl Sent {
    /// Audio of a source begins at this sample. Returns its item's number, and whether that is new.
    pub(super) fn begin(&mut self, source: &AudioSource, rate: u32, start: u64) -> (u32, bool) {
        let goes_on =
            |item: &&Item| item.source == *source && item.rate == rate && item.end <= start && !item.is_done;
        if let Some(item) = self.items.back().filter(goes_on) {
            return (item.number, false);
        }
        self.last_number += 1;
        let (wire_end, total) = (to_wire(start, rate), self.total);
        let source = source.clone();
        let number = self.last_number;
        let item = Item { number, source, rate, end: start, wire_end, total, played: 0, is_done: false };
        self.items.push_back(item);
        if self.items.len() > MOST_ITEMS {
            self.items.pop_front();
        }
        (number, true)
    }

    /// Where the next audio of the last item begins, as the page counts: at this sample of the source, or
    /// directly after what was sent.
    pub(super) fn next_offset(&self, start: u64) -> u64 {
        self.items.back().map_or(0, |item| {
            if start > item.end { to_wire(start, item.rate).max(item.wire_end) } else { item.wire_end }
        })
    }

    /// Samples of the last item were sent: from `offset` as the page counts, up to `end` as its source does.
    pub(super) fn sent(&mut self, offset: u64, samples: u64, end: u64) {
        self.total += samples;
        if let Some(item) = self.items.back_mut() {
            (item.end, item.wire_end, item.total) = (end, offset + samples, self.total);
        }
    }

    /// More samples of an item were sent than its source has: the rest of a filter.
    pub(super) fn grow(&mut self, number: u32, samples: u64) {
        self.total += samples;
        if let Some(item) = self.items.iter_mut().rev().find(|item| item.number == number) {
            item.wire_end += samples;
            item.total = self.total;
        }
    }

    /// The last item's number, and where it ends, as the page counts.
    pub(super) fn last(&self) -> Option<(u32, u64)> {
        self.items.back().map(|item| (item.number, item.wire_end))
    }

    /// Where the last item ends, in samples of its source. `None`: it is of another source.
    pub(super) fn end_of_last(&self, source: &AudioSource) -> Option<u64> {
        self.items.back().filter(|item| item.source == *source).map(|item| item.end)
    }

    /// Nothing more of the last item comes. Returns its number and its end, as the page counts, once.
    pub(super) fn finish_last(&mut self) -> Option<(u32, u64)> {
        let last = self.items.back_mut().filter(|item| !item.is_done)?;
        last.is_done = true;
        Some((last.number, last.wire_end))
    }

    /// The page tells what it has played. `None`: nothing is known of that item any more.
    pub(super) fn played(&mut self, place: Place, now: Timestamp) -> Option<SinkPosition> {
        let index = self.items.iter().position(|item| item.number == place.item)?;
        self.items.drain(..index);
        let item = self.items.front_mut()?;
        item.played = item.played.max(place.samples.min(item.wire_end));
        self.gone = self.gone.max(item.total.saturating_sub(item.wire_end - item.played));
        let at = item.at();
        self.told = Some((Place { item: item.number, samples: item.played }, now));
        Some(at)
    }

    /// What the page has probably played by now: what it told, and what has sounded since, within the same
    /// item. `None`: it has told nothing.
    pub(super) fn estimate(&mut self, now: Timestamp) -> Option<SinkPosition> {
        let (told, at) = self.told?;
        let item = self.items.front().filter(|item| item.number == told.item && item.played > 0)?;
        let since = samples_in(now.saturating_since(at));
        let samples = told.samples.saturating_add(since).min(item.wire_end);
        self.played(Place { item: told.item, samples }, now)
    }

    /// The page holds nothing any more: what was not played is dropped.
    pub(super) fn drop_all(&mut self) {
        self.items.clear();
        self.gone = self.total;
        self.told = None;
    }

    /// How long it sounds what was sent and not played.
    pub(super) fn waiting(&self) -> Duration {
        Duration::from_micros((self.total - self.gone).saturating_mul(1_000_000) / u64::from(RATE))
    }
}

impl Item {
    /// What was played of it, as its source counts.
    fn at(&self) -> SinkPosition {
        // The end is exact, however the rates divide.
        let samples = if self.played == self.wire_end {
            self.end
        } else {
            scale(self.played, self.rate, RATE).min(self.end)
        };
        SinkPosition { source: self.source.clone(), samples }
    }
}

/// Samples of a source as the page counts them.
fn to_wire(samples: u64, rate: u32) -> u64 {
    scale(samples, RATE, rate)
}

fn scale(samples: u64, by: u32, of: u32) -> u64 {
    let scaled = u128::from(samples) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn samples_in(time: Duration) -> u64 {
    u64::try_from(time.as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(item: &str) -> AudioSource {
        AudioSource::Part { item_id: item.into(), content_index: 0 }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// Sends so many samples of a source that is at 24,000 Hz.
    fn send(sent: &mut Sent, item: &str, start: u64, samples: u64) -> u32 {
        let (number, _) = sent.begin(&part(item), RATE, start);
        let offset = sent.next_offset(start);
        sent.sent(offset, samples, start + samples);
        number
    }

    fn played(sent: &mut Sent, item: u32, samples: u64) -> Option<(String, u64)> {
        let at = sent.played(Place { item, samples }, at(0))?;
        let AudioSource::Part { item_id, .. } = at.source else { panic!("a part") };
        Some((item_id.to_string(), at.samples))
    }

    #[test]
    fn positions_are_those_of_the_item_and_never_beyond_what_was_sent() {
        let mut sent = Sent::default();
        assert_eq!(send(&mut sent, "a", 0, 480), 1);
        assert_eq!(send(&mut sent, "a", 480, 480), 1);
        assert_eq!(send(&mut sent, "b", 0, 240), 2);
        assert_eq!(sent.waiting(), Duration::from_millis(50));
        assert_eq!(played(&mut sent, 1, 500), Some(("a".into(), 500)));
        assert_eq!(played(&mut sent, 1, 400), Some(("a".into(), 500)), "it does not fall");
        assert_eq!(played(&mut sent, 1, u64::MAX), Some(("a".into(), 960)));
        assert_eq!(sent.waiting(), Duration::from_millis(10));
        assert_eq!(played(&mut sent, 2, 9_999), Some(("b".into(), 240)));
        assert_eq!((played(&mut sent, 1, 1), played(&mut sent, 7, 1)), (None, None));
        assert_eq!(sent.waiting(), Duration::ZERO);
    }

    #[test]
    fn what_comes_again_after_the_page_dropped_it_has_another_number() {
        let mut sent = Sent::default();
        send(&mut sent, "a", 0, 4_800);
        played(&mut sent, 1, 1_000);
        sent.drop_all();
        assert_eq!(sent.waiting(), Duration::ZERO);
        assert_eq!(send(&mut sent, "a", 1_000, 480), 2);
        assert_eq!(played(&mut sent, 1, 4_800), None, "it is not known any more");
        assert_eq!(played(&mut sent, 2, 1_200), Some(("a".into(), 1_200)));
        assert_eq!(sent.waiting(), Duration::from_micros(11_666));
    }

    #[test]
    fn a_clip_that_begins_anew_is_another_item_and_a_gap_is_none() {
        let mut sent = Sent::default();
        assert_eq!(send(&mut sent, "beep", 0, 480), 1);
        assert_eq!(send(&mut sent, "beep", 960, 480), 1);
        assert_eq!((sent.last(), sent.end_of_last(&part("beep"))), (Some((1, 1_440)), Some(1_440)));
        assert_eq!(send(&mut sent, "beep", 0, 480), 2);
        assert_eq!(sent.end_of_last(&part("a")), None);
        assert_eq!((sent.finish_last(), sent.finish_last()), (Some((2, 480)), None));
        assert_eq!(send(&mut sent, "beep", 480, 480), 3, "the page does not wait for more of it");
    }

    #[test]
    fn what_sounded_since_the_last_report_is_estimated_within_the_item() {
        let mut sent = Sent::default();
        assert_eq!(sent.estimate(at(0)), None);
        send(&mut sent, "a", 0, 4_800);
        send(&mut sent, "b", 0, 4_800);
        assert_eq!(sent.estimate(at(50)), None, "it may not have begun");
        sent.played(Place { item: 1, samples: 2_400 }, at(100));
        assert_eq!(sent.estimate(at(130)).map(|at| at.samples), Some(3_120));
        assert_eq!(sent.estimate(at(900)).map(|at| at.samples), Some(4_800));
    }

    #[test]
    fn a_source_of_another_rate_is_told_in_its_own_samples() {
        let mut sent = Sent::default();
        sent.begin(&part("a"), 8_000, 800);
        assert_eq!(sent.next_offset(800), 2_400);
        sent.sent(2_400, 2_399, 1_600);
        let at = |sent: &mut Sent, samples| sent.played(Place { item: 1, samples }, at(0)).unwrap().samples;
        assert_eq!(at(&mut sent, 3_600), 1_200);
        sent.grow(1, 1);
        assert_eq!(at(&mut sent, 4_799), 1_599);
        assert_eq!(at(&mut sent, 4_800), 1_600, "its end is its end");
    }
}
