//! The accounts of playback: what waits, what was played of each content part, and the position when it was
//! stopped.
//!
//! Pure: no clock. It is told when audio leaves for the output, and counts bytes, so that nothing is rounded.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use realtime_protocol::audio::AudioFormat;
use realtime_protocol::call::PlaybackPosition;
use realtime_protocol::id::ItemId;
use realtime_protocol::time::MediaTime;

use crate::old::frame::Generation;
use crate::old::payload::{AudioFrame, OutputAudio};

/// Audio that waits to be played, with an account for each content part of an item.
///
/// What [`take`](Self::take) returned counts as played. It never exceeds what [`push`](Self::push) took in.
#[derive(Debug)]
pub struct PlayoutQueue {
    /// In the order of playback. The first one plays. It leaves when it is complete and played, or when
    /// another follows.
    parts: VecDeque<Part>,
    reports: VecDeque<PlaybackPosition>,
    report_every: MediaTime,
    /// Audio of an earlier generation is refused.
    generation: Generation,
    queued_bytes: usize,
    most_bytes: usize,
}

/// Why audio was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// It belongs to an interrupted response.
    #[error("the audio belongs to an interrupted response")]
    Stale,
    /// Too much waits already.
    #[error("expected at most {limit} bytes of audio to wait, got {waiting} and {more} more")]
    Full {
        /// Bytes that wait.
        waiting: usize,
        /// Bytes that came.
        more: usize,
        /// The most that may wait.
        limit: usize,
    },
}

#[derive(Debug)]
struct Part {
    item_id: ItemId,
    content_index: u32,
    format: AudioFormat,
    /// Audio that waits, each with its place in the part, in bytes.
    waiting: VecDeque<(u64, Bytes)>,
    /// The position at which the next audio is to begin, in bytes.
    received: u64,
    /// The position up to which it has been played, in bytes.
    played: u64,
    /// What the last report said; `None` before the first.
    reported: Option<u64>,
    whole: bool,
}

/// Ten minutes of PCM at 24 kHz: the server sends a whole response faster than it plays.
const MOST_BYTES: usize = 10 * 60 * 48_000;

impl PlayoutQueue {
    /// An empty queue that reports a part's beginning, each `report_every` of it, and its end.
    pub fn new(report_every: Duration) -> Self {
        Self {
            parts: VecDeque::new(),
            reports: VecDeque::new(),
            report_every: report_every.into(),
            generation: Generation::default(),
            queued_bytes: 0,
            most_bytes: MOST_BYTES,
        }
    }

    /// Takes audio in, after all waiting audio of its part and of the parts before it.
    ///
    /// # Errors
    /// [`Rejected`]: the audio is dropped, and counts as received and not played.
    pub fn push(&mut self, generation: Generation, audio: OutputAudio) -> Result<(), Rejected> {
        if generation < self.generation {
            return Err(Rejected::Stale);
        }
        let OutputAudio { item_id, content_index, start, audio: AudioFrame { format, data } } = audio;
        let more = data.len();
        if self.queued_bytes + more > self.most_bytes {
            return Err(Rejected::Full { waiting: self.queued_bytes, more, limit: self.most_bytes });
        }
        let index = self.index(&item_id, content_index).unwrap_or_else(|| {
            self.parts.push_back(Part {
                item_id,
                content_index,
                format,
                waiting: VecDeque::new(),
                received: 0,
                played: 0,
                reported: None,
                whole: false,
            });
            self.parts.len() - 1
        });
        self.queued_bytes += more;
        self.parts[index].receive(start, data);
        Ok(())
    }

    /// No more audio of a part will come.
    pub fn finish_part(&mut self, item_id: &ItemId, content_index: u32) {
        if let Some(index) = self.index(item_id, content_index) {
            self.parts[index].whole = true;
            self.settle();
        }
    }

    /// Returns the next audio to be played, at most `most`, and from one part only. From here on it counts as
    /// played.
    pub fn take(&mut self, most: Duration) -> Option<OutputAudio> {
        self.settle();
        let part = self.parts.front_mut()?;
        let audio = part.take(most)?;
        self.queued_bytes -= audio.audio.data.len();
        if part.is_report_due(self.report_every) {
            self.reports.push_back(part.report());
        }
        self.settle();
        Some(audio)
    }

    /// Empties the queue and refuses audio older than `generation`. Returns the position of playback, in the
    /// part that played or was about to. `None`: nothing was left to play.
    pub fn stop(&mut self, generation: Generation) -> Option<PlaybackPosition> {
        self.generation = self.generation.max(generation);
        self.settle();
        let position = self.parts.front().map(Part::position);
        self.parts.clear();
        self.queued_bytes = 0;
        position
    }

    /// The oldest report that has not been fetched.
    pub fn poll_report(&mut self) -> Option<PlaybackPosition> {
        self.reports.pop_front()
    }

    /// Returns whether nothing waits to be played.
    pub const fn is_empty(&self) -> bool {
        self.queued_bytes == 0
    }

    /// Returns whether every part that began has been played to its end, so that silence is not a pause.
    pub fn is_finished(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that wait.
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    fn index(&self, item_id: &ItemId, content_index: u32) -> Option<usize> {
        self.parts.iter().position(|part| part.content_index == content_index && part.item_id == *item_id)
    }

    /// Closes the accounts of parts at the front that have been played to their end.
    fn settle(&mut self) {
        while let Some(part) = self.parts.front_mut() {
            let over = part.waiting.is_empty() && (part.whole || self.parts.len() > 1);
            let Some(mut part) = over.then(|| self.parts.pop_front()).flatten() else { return };
            if part.reported != Some(part.played) {
                self.reports.push_back(part.report());
            }
        }
    }
}

impl Part {
    fn receive(&mut self, start: u64, data: Bytes) {
        let start = start.saturating_mul(u64::from(self.format.sample_bytes()));
        // The audio is further ahead than expected: some was lost in between, and the given position counts.
        let at = start.max(self.received);
        self.received = at + data.len() as u64;
        if !data.is_empty() {
            self.waiting.push_back((at, data));
        }
    }

    fn take(&mut self, most: Duration) -> Option<OutputAudio> {
        let sample = self.format.sample_bytes() as usize;
        let most = usize::try_from(self.format.bytes(most.into())).unwrap_or(usize::MAX).max(sample);
        let (at, first) = self.waiting.pop_front()?;
        let mut end = at + first.len() as u64;
        let mut data = first;
        if data.len() > most {
            let rest = data.split_off(most);
            end -= rest.len() as u64;
            self.waiting.push_front((end, rest));
        } else if data.len() < most && self.waiting.front().is_some_and(|(next, _)| *next == end) {
            // Odd little pieces: put together what is contiguous.
            let mut joined = BytesMut::from(data);
            while let Some((next, more)) = self.waiting.front_mut()
                && *next == end
                && joined.len() < most
            {
                let more = more.split_to(more.len().min(most - joined.len()));
                joined.extend_from_slice(&more);
                end += more.len() as u64;
                *next = end;
                if self.waiting.front().is_some_and(|(_, rest)| rest.is_empty()) {
                    self.waiting.pop_front();
                }
            }
            data = joined.freeze();
        }
        self.played = end;
        Some(OutputAudio {
            item_id: self.item_id.clone(),
            content_index: self.content_index,
            start: self.format.samples(at),
            audio: AudioFrame { format: self.format, data },
        })
    }

    fn position(&self) -> PlaybackPosition {
        PlaybackPosition {
            item_id: self.item_id.clone(),
            content_index: self.content_index,
            played: self.format.samples(self.played),
        }
    }

    /// At the first sample, so that the time of first sound is known, and then each time a step is passed.
    fn is_report_due(&self, every: MediaTime) -> bool {
        let step = |bytes| self.format.duration(bytes).as_micros() / every.as_micros().max(1);
        self.reported.is_none_or(|reported| step(self.played) > step(reported))
    }

    fn report(&mut self) -> PlaybackPosition {
        self.reported = Some(self.played);
        self.position()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMAT: AudioFormat = AudioFormat::PCM16_24K;
    const CHUNK: Duration = Duration::from_millis(20);

    fn queue() -> PlayoutQueue {
        PlayoutQueue::new(Duration::from_millis(100))
    }

    fn bytes(millis: u64) -> u64 {
        FORMAT.bytes(MediaTime::from_millis(millis))
    }

    fn audio(item: &str, from: u64, len: u64) -> OutputAudio {
        OutputAudio {
            item_id: item.into(),
            content_index: 0,
            start: FORMAT.samples(from),
            audio: AudioFrame { format: FORMAT, data: vec![0; len as usize].into() },
        }
    }

    fn push(queue: &mut PlayoutQueue, item: &str, from_ms: u64, millis: u64) {
        queue.push(Generation::default(), audio(item, bytes(from_ms), bytes(millis))).unwrap();
    }

    fn play(queue: &mut PlayoutQueue, millis: u64) {
        for _ in 0..millis / 20 {
            queue.take(CHUNK).unwrap();
        }
    }

    fn at(position: &PlaybackPosition) -> (String, u64) {
        (position.item_id.to_string(), position.played / 24)
    }

    fn reports(queue: &mut PlayoutQueue) -> Vec<(String, u64)> {
        std::iter::from_fn(|| queue.poll_report()).map(|position| at(&position)).collect()
    }

    #[test]
    fn stopped_in_the_second_of_three_items_it_stood_there_to_the_sample() {
        let mut queue = queue();
        for item in ["one", "two", "three"] {
            push(&mut queue, item, 0, 200);
            queue.finish_part(&item.into(), 0);
        }
        play(&mut queue, 260);
        let position = queue.stop(Generation::default().next()).unwrap();
        assert_eq!(at(&position), ("two".to_owned(), 60));
        assert!(queue.is_finished());
        assert_eq!(queue.take(CHUNK), None);
    }

    #[test]
    fn audio_of_what_was_interrupted_is_refused_and_what_follows_is_not() {
        let mut queue = queue();
        let next = Generation::default().next();
        assert_eq!(queue.stop(next), None);
        assert_eq!(queue.push(Generation::default(), audio("late", 0, 480)), Err(Rejected::Stale));
        queue.push(next, audio("new", 0, 480)).unwrap();
        assert_eq!(queue.queued_bytes(), 480);
    }

    #[test]
    fn reports_come_at_the_beginning_each_tenth_of_a_second_and_at_the_end_of_a_part() {
        let mut queue = queue();
        push(&mut queue, "one", 0, 250);
        queue.finish_part(&"one".into(), 0);
        push(&mut queue, "two", 0, 60);
        while queue.take(CHUNK).is_some() {}
        let (one, two) = (|ms| ("one".to_owned(), ms), |ms| ("two".to_owned(), ms));
        assert_eq!(reports(&mut queue), [one(20), one(100), one(200), one(250), two(20)]);
        // The second part is played as far as it came, and may go on.
        assert!(queue.is_empty() && !queue.is_finished());
        queue.finish_part(&"two".into(), 0);
        assert_eq!(reports(&mut queue), [two(60)]);
        assert!(queue.is_finished());
    }

    #[test]
    fn a_chunk_never_spans_two_parts() {
        let mut queue = queue();
        push(&mut queue, "one", 0, 30);
        push(&mut queue, "two", 0, 30);
        let lengths: Vec<_> = std::iter::from_fn(|| queue.take(CHUNK))
            .map(|chunk| (chunk.item_id.to_string(), chunk.audio.duration().as_millis()))
            .collect();
        let want = [("one", 20), ("one", 10), ("two", 20), ("two", 10)];
        assert_eq!(lengths, want.map(|(item, ms)| (item.to_owned(), ms)));
    }

    #[test]
    fn lost_audio_leaves_the_places_of_the_rest_as_they_are() {
        let mut queue = queue();
        push(&mut queue, "one", 0, 20);
        push(&mut queue, "one", 60, 20);
        play(&mut queue, 40);
        assert_eq!(queue.stop(Generation::default()).map(|p| at(&p)), Some(("one".to_owned(), 80)));
    }

    #[test]
    fn more_than_fits_is_refused_with_the_sizes() {
        let mut queue = queue();
        let error = queue.push(Generation::default(), audio("one", 0, MOST_BYTES as u64 + 2)).unwrap_err();
        assert_eq!(error, Rejected::Full { waiting: 0, more: MOST_BYTES + 2, limit: MOST_BYTES });
    }

    proptest! {
        #[test]
        fn what_was_played_never_exceeds_what_came_and_is_all_of_it_in_the_end(
            pieces in proptest::collection::vec((0_usize..3, 1_u64..900, 0_u32..4, 1_u64..60), 1..60),
        ) {
            let mut queue = queue();
            let mut received = [0_u64; 3];
            let mut played = [0_u64; 3];
            let items = ["a", "b", "c"];
            let mut last = 0;
            for (item, samples, takes, most) in pieces {
                // The server sends parts one after the other.
                let item = item.max(last);
                last = item;
                queue.push(Generation::default(), audio(items[item], received[item], samples * 2)).unwrap();
                received[item] += samples * 2;
                for _ in 0..takes {
                    let Some(chunk) = queue.take(Duration::from_millis(most)) else { break };
                    let item = items.iter().position(|name| chunk.item_id == *name).unwrap();
                    prop_assert_eq!(chunk.start, FORMAT.samples(played[item]));
                    played[item] += chunk.audio.data.len() as u64;
                    prop_assert!(played[item] <= received[item]);
                }
                while let Some(report) = queue.poll_report() {
                    let item = items.iter().position(|name| report.item_id == *name).unwrap();
                    prop_assert!(report.played <= FORMAT.samples(received[item]));
                }
            }
            while let Some(chunk) = queue.take(CHUNK) {
                let item = items.iter().position(|name| chunk.item_id == *name).unwrap();
                played[item] += chunk.audio.data.len() as u64;
            }
            prop_assert_eq!(played, received);
        }
    }
}
